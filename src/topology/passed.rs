//! What other baitlines tell of their own sources and sinks: it goes to people as they told it, once each.
//!
//! They send at least once, so what was handed on is remembered by its alert id, in a `data_dir` beyond the process. And
//! whoever may send could make such alerts up: only what is bound to its ids is believed, so that none ends
//! an incident of a decoy, and there is a budget, so that none floods.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use lru::LruCache;
use tracing::warn;

use super::{engine::Notice, routes::told_of_source};
use crate::{
    audit::AlertId,
    config::Pipeline,
    dedupe::{Alert, Change, Part},
    store::Saved,
    telemetry::{Seldom, heard},
};

/// Alerts of one source that are remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

/// Alerts of one source that may come at once, a hundred: all agents at a time, if their network is away.
const AT_ONCE: NonZeroU32 = NonZeroU32::MIN.saturating_add(99);

/// The time in which there may be one more.
const EACH: Duration = Duration::from_secs(6);

/// What has been handed on.
pub struct Passed {
    /// In the order of [`Pipeline::sources`].
    sources: Vec<OfSource>,
}

struct OfSource {
    id: Arc<str>,
    /// Who is told, by places in [`Pipeline::sinks`].
    sinks: Arc<[usize]>,
    /// Those known longest are forgotten first.
    known: LruCache<AlertId, ()>,
    /// How many there have been.
    count: u64,
    budget: DefaultDirectRateLimiter,
    warning: Seldom,
}

impl Passed {
    /// Goes on from what it takes out of `saved`.
    pub fn new(pipeline: &Pipeline, saved: &mut Saved) -> Self {
        let sources = pipeline.sources.iter().enumerate();
        let sources = sources.map(|(place, source)| {
            let mut rows: Vec<_> = taken_out(saved, &source.id).collect();
            rows.sort_unstable();
            let mut known = LruCache::sparse(REMEMBERED);
            for (_, id) in &rows {
                known.put(*id, ());
            }
            OfSource {
                id: source.id.clone(),
                sinks: told_of_source(pipeline, place),
                known,
                count: rows.last().map_or(0, |(number, _)| *number),
                budget: budget(AT_ONCE),
                warning: Seldom::default(),
            }
        });
        Self {
            sources: sources.collect(),
        }
    }

    /// What is to be told of `alert`, which came by the source at place `source`; `None` if that was done. What is not
    /// believed, or too much, is counted in `discarded`.
    pub fn take(&mut self, source: usize, alert: Alert, discarded: &AtomicU64) -> Option<Notice> {
        let of_source = &mut self.sources[source];
        if of_source.known.get(&alert.alert_id).is_some() {
            return None;
        }
        let alert = heard(alert).ok_or("its ids are not those of what it says");
        let alert = alert.and_then(|alert| match of_source.budget.check() {
            Ok(()) => Ok(alert),
            Err(_) => Err("there were too many"),
        });
        match alert {
            Ok(alert) => Some(of_source.pass(alert)),
            Err(why) => {
                discarded.fetch_add(1, Relaxed);
                if of_source.warning.is_due() {
                    let source = &*of_source.id;
                    warn!(
                        source,
                        "an alert of an agent's component is not told: {why}"
                    );
                }
                None
            }
        }
    }
}

impl OfSource {
    fn pass(&mut self, alert: Alert) -> Notice {
        let change = |id: AlertId, value| Change {
            part: Part::Passed,
            key: id.to_string(),
            value,
        };
        self.count += 1;
        let forgotten = self.known.push(alert.alert_id, ());
        let mut changes = vec![change(alert.alert_id, Some(self.count.to_string()))];
        changes.extend(forgotten.map(|(id, ())| change(id, None)));
        Notice {
            alert,
            sinks: self.sinks.clone(),
            state: (self.id.clone(), changes),
        }
    }
}

/// Lets through so many at once, and one more each [`EACH`].
pub(super) fn budget(at_once: NonZeroU32) -> DefaultDirectRateLimiter {
    let quota = Quota::with_period(EACH).unwrap_or(Quota::per_minute(NonZeroU32::MIN)); // it is not zero
    RateLimiter::direct(quota.allow_burst(at_once))
}

/// What was handed on of the source `id`, by number.
fn taken_out(saved: &mut Saved, id: &str) -> impl Iterator<Item = (u64, AlertId)> + use<> {
    let taken = saved.take(id, Part::Passed);
    taken.into_iter().filter_map(|change| {
        let number = change.value?.parse().ok()?;
        Some((number, AlertId::from_hex(&change.key)?))
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{
        config::{Format, Text, parse},
        dedupe::{AlertKind, Component, ComponentKind},
        telemetry::{Occasion, notice},
    };

    fn pipeline() -> Pipeline {
        let text = "
sources: { agents: { type: stdin, decoding: { codec: detection } } }
transforms: { incidents: { type: dedupe, inputs: [agents] } }
sinks:
  evidence: { type: file, path: /e, inputs: [agents] }
  people: { type: console, inputs: [incidents] }
";
        let text = Text {
            name: "x.yaml".into(),
            format: Format::Yaml,
            text: text.into(),
        };
        parse(&[text], &|_| None).unwrap().pipeline
    }

    fn silent(number: i64) -> Alert {
        let component = Component {
            id: "audit".into(),
            kind: ComponentKind::Source,
            r#type: "file".into(),
        };
        let silent = Occasion::Silent {
            what: "audit events",
            secs: 300,
            reason: None,
        };
        let since = Timestamp::from_second(1_800_000_000 + number).unwrap();
        notice(&component, Some(&"prod".into()), silent, since, since)
    }

    #[test]
    fn each_is_told_once_also_after_a_restart() {
        let pipeline = pipeline();
        let discarded = AtomicU64::new(0);
        let mut saved = Saved::default();
        for number in 0..3 {
            let mut passed = Passed::new(&pipeline, &mut saved);
            assert!(saved.state.is_empty());
            for earlier in 0..number {
                assert!(passed.take(0, silent(earlier), &discarded).is_none());
            }
            let told = passed.take(0, silent(number), &discarded).unwrap();
            assert_eq!(told.alert, silent(number));
            assert_eq!(*told.sinks, [1], "who takes alerts");
            assert!(passed.take(0, silent(number), &discarded).is_none());
            // What a store would have by now.
            let known = (0..number).map(|number| Change {
                part: Part::Passed,
                key: silent(number).alert_id.to_string(),
                value: Some((number + 1).to_string()),
            });
            let (id, changes) = told.state;
            assert_eq!(changes[0].value, Some((number + 1).to_string()));
            let all = known.chain(changes).collect();
            saved.state.insert(id.to_string(), all);
        }
        assert_eq!(discarded.into_inner(), 0);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_forgotten_in_the_store_too() {
        let pipeline = pipeline();
        let rows = (0..REMEMBERED.get()).map(|number| Change {
            part: Part::Passed,
            key: silent(number as i64).alert_id.to_string(),
            value: Some(number.to_string()),
        });
        let mut saved = Saved::default();
        saved.state.insert("agents".into(), rows.collect());
        let mut passed = Passed::new(&pipeline, &mut saved);
        let told = passed.take(0, silent(-1), &AtomicU64::new(0)).unwrap();
        let forgotten = &told.state.1[1];
        assert_eq!(forgotten.key, silent(0).alert_id.to_string(), "the eldest");
        assert_eq!(forgotten.value, None);
    }

    #[test]
    fn what_an_agent_cannot_have_said_is_not_told() {
        let decoys_incident = crate::format::example::opened();
        let made_up: [fn(&mut Alert, &Alert); 5] = [
            |alert, other| alert.incident_id = other.incident_id,
            |alert, other| alert.alert_id = other.alert_id,
            |alert, _| alert.kind = AlertKind::SourceResumed,
            |alert, _| alert.component = None,
            |alert, _| alert.cluster = Some("x".repeat(1 << 20).into()),
        ];
        let (mut passed, discarded) = (
            Passed::new(&pipeline(), &mut Saved::default()),
            AtomicU64::new(0),
        );
        for change in made_up {
            let mut alert = silent(1);
            change(&mut alert, &decoys_incident);
            assert!(passed.take(0, alert, &discarded).is_none());
        }
        assert_eq!(discarded.into_inner(), made_up.len() as u64);
    }

    #[test]
    fn who_makes_them_up_without_end_floods_nobody() {
        let (mut passed, discarded) = (
            Passed::new(&pipeline(), &mut Saved::default()),
            AtomicU64::new(0),
        );
        let told =
            (0..10_000).filter(|number| passed.take(0, silent(*number), &discarded).is_some());
        let told = told.count();
        // One more each few seconds, if this machine is slow.
        assert!((100..200).contains(&told), "{told}");
        assert_eq!(discarded.into_inner(), 10_000 - told as u64);
    }
}
