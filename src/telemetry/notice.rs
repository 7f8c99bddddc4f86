//! What people are told of a source that is silent and of a sink that fails: an alert like any other.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::{
    audit::{AlertId, IncidentId, IncidentKey, wire_time},
    dedupe::{Alert, AlertKind, Component},
    detect::Severity,
    format::span,
};

/// Most characters of a reason in a title.
const REASON: usize = 200;

/// Most characters of a title that another baitline wrote, and bytes of the names of what it is about.
const HEARD_TITLE: usize = 500;
const HEARD_NAMES: usize = 1_000;

/// Why a component is told of.
#[derive(Clone, Copy, Debug)]
pub enum Occasion<'a> {
    /// Nothing has come from the source for `secs`. `what` it reads: `audit events`. `reason`: what it says of
    /// itself.
    Silent {
        what: &'a str,
        secs: u64,
        reason: Option<&'a str>,
    },
    /// Something came from it again.
    Resumed { what: &'a str },
    /// The sink cannot deliver, and why: names no secret.
    Failing { reason: &'a str },
    /// It delivers again.
    Recovered,
}

/// The alert that tells of `component` what began at `since` and was so until `until`.
pub fn notice(
    component: &Component,
    cluster: Option<&Arc<str>>,
    occasion: Occasion<'_>,
    since: Timestamp,
    until: Timestamp,
) -> Alert {
    let kind = match occasion {
        Occasion::Silent { .. } => AlertKind::SourceSilent,
        Occasion::Resumed { .. } => AlertKind::SourceResumed,
        Occasion::Failing { .. } => AlertKind::SinkFailing,
        Occasion::Recovered => AlertKind::SinkRecovered,
    };
    let title = title(component, occasion, until.duration_since(since));
    alert(component, cluster, kind, title, (since, until))
}

/// What another baitline's [`notice`] says; `None` if it is none, since its ids are others. Of what these do not vouch for, only the
/// title is taken.
pub fn heard(told: Alert) -> Option<Alert> {
    let component = told.component?;
    let cluster = told.cluster.as_ref();
    let names = [cluster, Some(&component.id), Some(&component.r#type)];
    let names = names.into_iter().flatten().map(|name| name.len());
    if !told.kind.tells_of_component() || names.sum::<usize>() > HEARD_NAMES {
        return None;
    }
    let title = told.title.chars().take(HEARD_TITLE).collect();
    let times = (told.first_seen, told.last_seen);
    let said = alert(&component, cluster, told.kind, title, times);
    let is_it = said.alert_id == told.alert_id && said.incident_id == told.incident_id;
    is_it.then_some(said)
}

fn alert(
    component: &Component,
    cluster: Option<&Arc<str>>,
    kind: AlertKind,
    title: String,
    (since, until): (Timestamp, Timestamp),
) -> Alert {
    let sequence = if kind.ends_incident() { 2 } else { 1 };
    let incident_key = IncidentKey::of(&[
        b"component",
        cluster.map_or("", |cluster| cluster).as_bytes(),
        component.kind.as_str().as_bytes(),
        component.id.as_bytes(),
    ]);
    let (began, ended) = (wire_time(since), wire_time(until));
    let incident_id = IncidentId::of(&[&incident_key.to_bytes(), began.as_bytes()]);
    let alert_id = AlertId::of(&[
        &incident_id.to_bytes(),
        &u32::to_le_bytes(sequence),
        kind.as_str().as_bytes(),
        began.as_bytes(),
        ended.as_bytes(),
    ]);
    Alert {
        alert_id,
        incident_id,
        incident_key,
        sequence,
        kind,
        severity: Severity::High,
        title,
        decoy: None,
        cluster: cluster.cloned(),
        token: None,
        source_ip: None,
        claimed_ips: Vec::new(),
        techniques: Vec::new(),
        count: 0,
        total: 0,
        granted: false,
        first_seen: since,
        last_seen: until,
        actors: Vec::new(),
        impersonated: Vec::new(),
        pod: None,
        node: None,
        user_agents: Vec::new(),
        tools: Vec::new(),
        requests: Vec::new(),
        trail: Vec::new(),
        flood: None,
        late_secs: None,
        excerpt: None,
        labels: Arc::default(),
        component: Some(component.clone()),
    }
}

/// What happened, in one sentence.
fn title(component: &Component, occasion: Occasion<'_>, time: SignedDuration) -> String {
    let id = &component.id;
    let after = span(u64::try_from(time.as_secs()).unwrap_or_default());
    let short = |reason: &str| reason.chars().take(REASON).collect::<String>();
    match occasion {
        Occasion::Silent { what, secs, reason } => {
            let reason = reason.map_or(String::new(), |reason| format!(" ({})", short(reason)));
            let time = span(secs.max(1));
            format!("No {what} from source {id} for {time}: nothing would be seen{reason}")
        }
        Occasion::Resumed { what } => {
            format!("Source {id} gives {what} again, after {after} of silence")
        }
        Occasion::Failing { reason } => format!("Sink {id} cannot deliver: {}", short(reason)),
        Occasion::Recovered => format!("Sink {id} delivers again, after {after}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dedupe::ComponentKind, format::json};

    fn component(kind: ComponentKind) -> Component {
        let (id, name) = match kind {
            ComponentKind::Source => ("audit", "file"),
            ComponentKind::Sink => ("slack", "slack"),
        };
        Component {
            id: id.into(),
            kind,
            r#type: name.into(),
        }
    }

    fn tell(kind: ComponentKind, occasion: Occasion<'_>, secs: i64) -> Alert {
        let since = Timestamp::from_second(1_800_000_000).unwrap();
        let until = Timestamp::from_second(1_800_000_000 + secs).unwrap();
        notice(
            &component(kind),
            Some(&"prod-eu".into()),
            occasion,
            since,
            until,
        )
    }

    #[test]
    fn titles_say_what_it_means() {
        let silent = |what, reason| Occasion::Silent {
            what,
            secs: 300,
            reason,
        };
        let titles = [
            tell(ComponentKind::Source, silent("audit events", None), 301),
            tell(
                ComponentKind::Source,
                silent("detections", Some("no broker can be reached")),
                301,
            ),
            tell(
                ComponentKind::Source,
                Occasion::Resumed {
                    what: "audit events",
                },
                754,
            ),
            tell(
                ComponentKind::Sink,
                Occasion::Failing {
                    reason: "404 Not Found: no_service",
                },
                10,
            ),
            tell(ComponentKind::Sink, Occasion::Recovered, 3600),
            tell(ComponentKind::Sink, Occasion::Recovered, -3600),
        ]
        .map(|alert| alert.title);
        insta::assert_snapshot!(titles.join("\n"), @"
        No audit events from source audit for 5 min: nothing would be seen
        No detections from source audit for 5 min: nothing would be seen (no broker can be reached)
        Source audit gives audit events again, after 12 min 34 s of silence
        Sink slack cannot deliver: 404 Not Found: no_service
        Sink slack delivers again, after 1 h
        Sink slack delivers again, after 0 s
        ");
        let reason = "é".repeat(5000);
        let long = tell(
            ComponentKind::Sink,
            Occasion::Failing { reason: &reason },
            10,
        );
        assert!(long.title.chars().count() < 240);
    }

    #[test]
    fn both_ends_are_one_incident_and_another_time_is_another() {
        let failing = Occasion::Failing { reason: "404" };
        let first = tell(ComponentKind::Sink, failing, 10);
        let last = tell(ComponentKind::Sink, Occasion::Recovered, 100);
        assert_eq!(first.incident_id, last.incident_id);
        assert_ne!(first.alert_id, last.alert_id);
        assert_eq!((first.sequence, last.sequence), (1, 2));
        assert!(!first.kind.ends_incident() && last.kind.ends_incident());
        let later = notice(
            &component(ComponentKind::Sink),
            Some(&"prod-eu".into()),
            failing,
            last.last_seen,
            last.last_seen,
        );
        assert_eq!(later.incident_key, first.incident_key);
        assert_ne!(later.incident_id, first.incident_id);
    }

    #[test]
    fn what_is_written_is_read() {
        let told = tell(ComponentKind::Sink, Occasion::Recovered, 100);
        let mut line = Vec::new();
        json::alert(&told, &mut line);
        let json::Line::Alert(read) = json::read(&line).unwrap() else {
            panic!("it is an alert");
        };
        assert_eq!(*read, told);
    }
}
