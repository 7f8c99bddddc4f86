//! Who reads whom, by places in the pipeline's lists.

use std::sync::Arc;

use crate::{
    config::{Pipeline, SinkConfig, TransformConfig},
    dedupe::ComponentKind,
    source::Decoding,
    store::StillOpen,
};

/// What detections and alerts come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A source of detections that another baitline made, by its place in [`Pipeline::sources`].
    Source(usize),
    /// By its place in [`Pipeline::transforms`].
    Transform(usize),
}

/// The readers of one origin.
#[derive(Clone, Debug, Default)]
pub struct Readers {
    /// `dedupe` transforms, by their places.
    pub dedupes: Vec<usize>,
    /// By their places in [`Pipeline::sinks`].
    pub sinks: Arc<[usize]>,
    /// Those of the sinks that a remote `dedupe` may stand behind.
    pub relays: Arc<[usize]>,
}

/// The readers of everything that can be read.
pub struct Routes {
    sources: Vec<Readers>,
    transforms: Vec<Readers>,
}

impl Routes {
    pub fn new(pipeline: &Pipeline) -> Self {
        let sources: Vec<Readers> = pipeline
            .sources
            .iter()
            .map(|source| readers(&source.id, pipeline))
            .collect();
        let transforms: Vec<Readers> = pipeline
            .transforms
            .iter()
            .map(|transform| readers(&transform.id, pipeline))
            .collect();
        Self {
            sources,
            transforms,
        }
    }

    pub fn of(&self, origin: Origin) -> &Readers {
        match origin {
            Origin::Source(place) => &self.sources[place],
            Origin::Transform(place) => &self.transforms[place],
        }
    }
}

/// The sinks that take the alerts which come of the source at `place`, or, where no `dedupe` stands
/// behind it, all that it feeds.
pub fn told_of_source(pipeline: &Pipeline, place: usize) -> Arc<[usize]> {
    let mut reached = vec![&pipeline.sources[place].id];
    let mut dedupes = Vec::new();
    // No way has more steps than there are transforms.
    for _ in &pipeline.transforms {
        for transform in &pipeline.transforms {
            let is_fed = transform.inputs.iter().any(|id| reached.contains(&id));
            if is_fed && !reached.contains(&&transform.id) {
                reached.push(&transform.id);
                if let TransformConfig::Dedupe(_) = transform.config {
                    dedupes.push(&transform.id);
                }
            }
        }
    }
    let ways_end = if dedupes.is_empty() { reached } else { dedupes };
    readers_of_any(pipeline, &ways_end)
}

/// The sinks other than the one at `place` that take alerts; if there are none, all others.
pub fn told_of_sink(pipeline: &Pipeline, place: usize) -> Arc<[usize]> {
    let transforms = pipeline.transforms.iter();
    let dedupes: Vec<_> = transforms
        .filter(|transform| matches!(transform.config, TransformConfig::Dedupe(_)))
        .map(|transform| &transform.id)
        .collect();
    let others =
        |sinks: &mut dyn Iterator<Item = usize>| sinks.filter(|sink| *sink != place).collect();
    let told: Arc<[usize]> = others(&mut readers_of_any(pipeline, &dedupes).iter().copied());
    if told.is_empty() {
        return others(&mut (0..pipeline.sinks.len()));
    }
    told
}

/// Whether the sink at `place` is told of an incident that is open.
pub fn is_told(pipeline: &Pipeline, place: usize, incident: &StillOpen) -> bool {
    match (&incident.alert.component, &incident.transform) {
        (Some(component), _) => {
            let own = match component.kind {
                ComponentKind::Source => {
                    let mut sources = pipeline.sources.iter();
                    let at = sources.position(|source| source.id == component.id);
                    at.map(|at| told_of_source(pipeline, at))
                }
                ComponentKind::Sink => {
                    let mut sinks = pipeline.sinks.iter();
                    let at = sinks.position(|sink| sink.id == component.id);
                    at.map(|at| told_of_sink(pipeline, at))
                }
            };
            // Or it is another baitline's.
            let sources = 0..pipeline.sources.len();
            let agents = sources
                .filter(|at| pipeline.sources[*at].config.decoding() == Decoding::Detection)
                .map(|at| told_of_source(pipeline, at));
            own.into_iter()
                .chain(agents)
                .any(|told| told.contains(&place))
        }
        (None, Some(transform)) => {
            let inputs = &pipeline.sinks[place].inputs;
            inputs.iter().any(|input| **input == **transform)
        }
        (None, None) => false,
    }
}

fn readers_of_any(pipeline: &Pipeline, ids: &[&Arc<str>]) -> Arc<[usize]> {
    let sinks = pipeline.sinks.iter().enumerate();
    sinks
        .filter(|(_, sink)| sink.inputs.iter().any(|id| ids.contains(&id)))
        .map(|(place, _)| place)
        .collect()
}

fn readers(id: &Arc<str>, pipeline: &Pipeline) -> Readers {
    let sinks = |wanted: fn(&SinkConfig) -> bool| {
        let reading = pipeline.sinks.iter().enumerate();
        reading
            .filter(|(_, sink)| sink.inputs.contains(id) && wanted(&sink.config))
            .map(|(place, _)| place)
            .collect()
    };
    let transforms = pipeline.transforms.iter().enumerate();
    let dedupes = transforms.filter(|(_, transform)| {
        matches!(transform.config, TransformConfig::Dedupe(_)) && transform.inputs.contains(id)
    });
    Readers {
        dedupes: dedupes.map(|(place, _)| place).collect(),
        sinks: sinks(|_| true),
        relays: sinks(SinkConfig::may_feed_dedupe),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{Format, Text, parse},
        dedupe::Component,
        format::example,
    };

    fn pipeline(text: &str) -> Pipeline {
        let text = Text {
            name: "x.yaml".into(),
            format: Format::Yaml,
            text: format!("decoys: [{{ service_account: a/b }}]\n{text}"),
        };
        parse(&[text], &|_| None).unwrap().pipeline
    }

    /// Which of two sinks are told of what is open, of a `component` or of a decoy.
    fn are_told(
        pipeline: &Pipeline,
        transform: Option<&str>,
        component: Option<(ComponentKind, &str)>,
    ) -> [bool; 2] {
        let mut alert = example::opened();
        alert.component = component.map(|(kind, id)| Component {
            id: id.into(),
            kind,
            r#type: "x".into(),
        });
        let incident = StillOpen {
            transform: transform.map(str::to_owned),
            alert,
        };
        [0, 1].map(|place| is_told(pipeline, place, &incident))
    }

    /// Which sinks are told of each source, and which of each sink, by the ids' letters.
    fn told(text: &str) -> (Vec<String>, Vec<String>) {
        let pipeline = pipeline(text);
        let ids = |places: Arc<[usize]>| {
            let ids = places.iter().map(|place| &*pipeline.sinks[*place].id);
            ids.collect::<Vec<_>>().join(" ")
        };
        let sources = 0..pipeline.sources.len();
        let sinks = 0..pipeline.sinks.len();
        (
            sources
                .map(|at| ids(told_of_source(&pipeline, at)))
                .collect(),
            sinks.map(|at| ids(told_of_sink(&pipeline, at))).collect(),
        )
    }

    #[test]
    fn who_takes_alerts_is_told() {
        let (sources, sinks) = told(
            "
sources:
  audit: { type: stdin }
  agents: { type: file, include: [/a], decoding: { codec: detection } }
  other: { type: file, include: [/b] }
transforms:
  found: { type: detect, inputs: [audit] }
  incidents: { type: dedupe, inputs: [found, agents] }
  found2: { type: detect, inputs: [other] }
  incidents2: { type: dedupe, inputs: [found2] }
sinks:
  evidence: { type: file, path: /e, inputs: [found, found2] }
  slack: { type: console, inputs: [incidents] }
  siem: { type: file, path: /s, inputs: ['*'] }
  second: { type: file, path: /t, inputs: [incidents2] }
",
        );
        assert_eq!(sources, ["slack siem", "slack siem", "siem second"]);
        assert_eq!(
            sinks,
            [
                "slack siem second",
                "siem second",
                "slack second",
                "slack siem"
            ]
        );
    }

    #[test]
    fn a_sink_is_told_of_what_is_open_if_it_takes_the_alerts_of_it() {
        let pipeline = pipeline(
            "
sources: { audit: { type: stdin }, other: { type: file, include: [/b] } }
transforms:
  found: { type: detect, inputs: [audit] }
  incidents: { type: dedupe, inputs: [found] }
  found2: { type: detect, inputs: [other] }
  incidents2: { type: dedupe, inputs: [found2] }
sinks:
  first: { type: console, inputs: [incidents] }
  second: { type: console, inputs: [incidents2] }
",
        );
        let of = |transform, component| are_told(&pipeline, transform, component);
        assert_eq!(of(Some("incidents"), None), [true, false]);
        assert_eq!(of(Some("incidents2"), None), [false, true]);
        // It was renamed, or was forgotten.
        assert_eq!(of(Some("gone"), None), [false, false]);
        assert_eq!(of(None, None), [false, false]);
        let source = |id| of(None, Some((ComponentKind::Source, id)));
        assert_eq!(source("audit"), [true, false]);
        assert_eq!(source("other"), [false, true]);
        assert_eq!(source("gone"), [false, false]);
        assert_eq!(
            of(None, Some((ComponentKind::Sink, "first"))),
            [false, true],
            "of a sink the others are told"
        );
    }

    #[test]
    fn what_an_agent_told_of_itself_is_told_to_those_behind_its_source() {
        let pipeline = pipeline(
            "
sources: { agents: { type: stdin, decoding: { codec: detection } }, other: { type: file, include: [/b] } }
transforms:
  incidents: { type: dedupe, inputs: [agents] }
  found2: { type: detect, inputs: [other] }
  incidents2: { type: dedupe, inputs: [found2] }
sinks:
  first: { type: console, inputs: [incidents] }
  second: { type: console, inputs: [incidents2] }
",
        );
        let of_agent = are_told(&pipeline, None, Some((ComponentKind::Source, "audit")));
        assert_eq!(of_agent, [true, false]);
    }

    #[test]
    fn where_nobody_takes_alerts_those_who_take_detections_are_told() {
        let (sources, sinks) = told(
            "
sources:
  audit: { type: stdin }
  other: { type: file, include: [/b] }
transforms:
  found: { type: detect, inputs: [audit] }
  found2: { type: detect, inputs: [other] }
sinks:
  a: { type: console, inputs: [found] }
  b: { type: file, path: /b, inputs: [found, found2] }
",
        );
        assert_eq!(sources, ["a b", "b"]);
        assert_eq!(sinks, ["b", "a"]);
    }

    #[test]
    fn a_lone_sink_has_nobody_who_could_tell_of_it() {
        let (sources, sinks) = told(
            "
sources: { agents: { type: stdin, decoding: { codec: detection } } }
sinks: { a: { type: console, inputs: [agents] } }
",
        );
        assert_eq!(sources, ["a"]);
        assert_eq!(sinks, [""]);
    }
}
