//! Alerts as Alertmanager takes them (`POST /api/v2/alerts`).
//!
//! Alertmanager knows an alert by its labels alone, and tells of it anew only when they are new. So they hold what names
//! the incident, what people route by, and of what changes just what people are to be told of again: severity, and
//! whether the stolen token was let in. Everything else, counts and techniques and times, is annotation.
//!
//! Text of events stands in annotations only; it is cut, and harmless wherever Alertmanager's receivers show it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::{
    facts::{Fact, facts, reason},
    names::{joined, label_names, link, shown, since_1970},
    neutralise::{unmarked, visible},
};
use crate::{
    audit::wire_time,
    dedupe::{Alert, ComponentKind},
};

/// Characters of a label's value.
const LABEL: usize = 200;
/// Characters of an annotation.
const ANNOTATION: usize = 240;
/// Characters of one line of the description, and of all of it.
const LINE: usize = 400;
const DESCRIPTION: usize = 4_000;

/// Names of labels that are ours.
const LABELS: [&str; 9] = [
    "alertname",
    "cluster",
    "component",
    "component_kind",
    "decoy",
    "granted",
    "incident_id",
    "namespace",
    "severity",
];

/// An incident as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    /// By these Alertmanager knows it.
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<&'static str, String>,
    pub starts_at: Timestamp,
}

impl Incident {
    /// As `alert` tells it.
    pub fn of(alert: &Alert) -> Self {
        Self {
            labels: labels(alert),
            annotations: annotations(alert),
            starts_at: since_1970(alert.first_seen),
        }
    }

    /// Appends it to `out` as one JSON object, for a receiver that is told at `now`: until `ends_at` it goes on.
    pub fn write(&self, now: Timestamp, ends_at: Timestamp, out: &mut Vec<u8>) {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Wire<'a> {
            labels: &'a BTreeMap<String, String>,
            annotations: &'a BTreeMap<&'static str, String>,
            starts_at: String,
            ends_at: String,
        }
        // What has not begun is no alert, and what ends before it begins is refused.
        let starts_at = self.starts_at.min(now);
        let wire = Wire {
            labels: &self.labels,
            annotations: &self.annotations,
            starts_at: wire_time(starts_at),
            ends_at: wire_time(ends_at.max(starts_at)),
        };
        // A Vec takes every write, and all keys are strings.
        serde_json::to_writer(out, &wire).expect("plain data is written to memory");
    }
}

fn labels(alert: &Alert) -> BTreeMap<String, String> {
    let component = alert.component.as_ref();
    let name = match component.map(|component| component.kind) {
        Some(ComponentKind::Source) => "BaitlineSourceSilent",
        Some(ComponentKind::Sink) => "BaitlineSinkFailing",
        None if alert.flood.is_some() => "BaitlineDecoyFlood",
        None => "BaitlineDecoyTouched",
    };
    let decoy = alert.decoy.as_deref();
    let namespace = decoy.and_then(|decoy| Some(decoy.split_once('/')?.0));
    let ours = [
        ("alertname", Some(name)),
        ("cluster", alert.cluster.as_deref()),
        ("component", component.map(|component| &*component.id)),
        (
            "component_kind",
            component.map(|component| component.kind.as_str()),
        ),
        ("decoy", decoy),
        ("granted", alert.granted.then_some("true")),
        ("namespace", namespace),
        ("severity", Some(alert.severity.as_str())),
    ];
    let ours = ours.into_iter().filter_map(|(name, value)| {
        let value = value.filter(|value| !value.is_empty())?;
        Some((name.to_owned(), visible(value, LABEL).into_owned()))
    });
    let id = ("incident_id".to_owned(), alert.incident_id.to_string());
    let theirs = label_names(&alert.labels, &LABELS).into_iter();
    let theirs = theirs.filter(|(name, value)| !is_runbook(name, value));
    let theirs = theirs.map(|(name, value)| (name, visible(value, LABEL).into_owned()));
    ours.chain([id]).chain(theirs).collect()
}

/// A link to what is to be done says nothing of where an alert belongs, and Alertmanager's tools look for it elsewhere.
fn is_runbook(name: &str, value: &str) -> bool {
    matches!(name, "runbook" | "runbook_url") && link(value).is_some()
}

fn annotations(alert: &Alert) -> BTreeMap<&'static str, String> {
    let words = |words: Vec<&str>| (!words.is_empty()).then(|| words.join(", "));
    let techniques = alert.techniques.iter();
    let attack = techniques.clone().flat_map(|technique| technique.attack());
    let mut ids: Vec<&str> = attack.copied().collect();
    ids.sort_unstable();
    ids.dedup();
    let token = alert.token.as_ref().and_then(|token| token.id.as_deref());
    let list =
        |names: &[String]| joined(names, ANNOTATION).map(|names| unmarked(&names, ANNOTATION));
    let runbook = ["runbook_url", "runbook"].iter();
    let runbook = runbook.filter_map(|name| alert.labels.get(*name));
    let all = [
        ("summary", shown(Some(&alert.title), ANNOTATION)),
        ("description", description(alert)),
        (
            "runbook_url",
            runbook.filter_map(|value| link(value)).next(),
        ),
        ("kind", Some(reason(alert.kind))),
        ("alert_id", Some(alert.alert_id.to_string())),
        (
            "hits",
            alert.decoy.is_some().then(|| alert.total.to_string()),
        ),
        (
            "techniques",
            words(techniques.map(|word| word.as_str()).collect()),
        ),
        ("attack", words(ids)),
        ("source_ip", shown(alert.source_ip.as_deref(), ANNOTATION)),
        ("token", shown(token, ANNOTATION)),
        ("actors", list(&alert.actors)),
        ("user_agents", list(&alert.user_agents)),
        ("pod", shown(alert.pod.as_deref(), ANNOTATION)),
        ("node", shown(alert.node.as_deref(), ANNOTATION)),
        ("first_seen", Some(wire_time(alert.first_seen))),
        ("last_seen", Some(wire_time(alert.last_seen))),
    ];
    all.into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

/// All that is known, one fact a line, most urgent first.
fn description(alert: &Alert) -> Option<String> {
    let mut text = String::new();
    for Fact { label, lines, .. } in facts(alert) {
        if matches!(&*label, "runbook" | "runbook_url") {
            continue;
        }
        let label = unmarked(&label, LINE);
        for line in lines {
            let line = format!("{label}: {}", unmarked(&line, LINE));
            if text.chars().count() + line.chars().count() > DESCRIPTION {
                text.push_str("\n…");
                return Some(text);
            }
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&line);
        }
    }
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::{
        dedupe::AlertKind,
        format::{arbitrary, example, neutralise::is_hidden},
    };

    fn written(alert: &Alert) -> (String, Value) {
        let mut out = Vec::new();
        let now = example::time("2026-11-23T17:22:00Z");
        let ends_at = example::time("2026-11-23T17:26:00Z");
        Incident::of(alert).write(now, ends_at, &mut out);
        let value = serde_json::from_slice(&out).unwrap();
        (String::from_utf8(out).unwrap(), value)
    }

    /// What Alertmanager checks.
    fn assert_taken(text: &str, alert: &Value) {
        assert!(text.len() <= 64 << 10, "{} bytes", text.len());
        assert!(!text.contains(is_hidden), "{text}");
        let time = |name: &str| -> Timestamp { alert[name].as_str().unwrap().parse().unwrap() };
        assert!(time("startsAt") <= time("endsAt"));
        assert!(time("startsAt") >= Timestamp::UNIX_EPOCH);
        for part in ["labels", "annotations"] {
            for (name, value) in alert[part].as_object().unwrap() {
                assert!(
                    name.chars()
                        .all(|char| char.is_ascii_alphanumeric() || char == '_')
                );
                assert!(
                    !name.starts_with(|first: char| first.is_ascii_digit()),
                    "{name}"
                );
                let value = value.as_str().unwrap();
                assert!(!value.is_empty(), "{name}");
                let may_break = part == "annotations" && name == "description";
                assert!(may_break && !value.contains('\r') || !value.contains(is_hidden));
            }
        }
        let labels = alert["labels"].as_object().unwrap();
        assert!(labels.len() <= 41 && labels.contains_key("alertname"));
    }

    #[test]
    fn incidents_as_they_go() {
        let pretty = |alert: &Alert| serde_json::to_string_pretty(&written(alert).1).unwrap();
        insta::assert_snapshot!("escalated", pretty(&example::escalated()));
        insta::assert_snapshot!("flood", pretty(&example::flood()));
        insta::assert_snapshot!("silent", pretty(&example::silent()));
        insta::assert_snapshot!("undecodable", pretty(&example::undecodable()));
    }

    #[test]
    fn only_what_people_are_told_of_again_makes_an_alert_a_new_one() {
        let labels = |alert: &Alert| Incident::of(alert).labels;
        let opened = example::opened();
        let escalated = example::escalated();
        assert_ne!(labels(&opened), labels(&escalated), "it was let in");
        assert_eq!(labels(&escalated), labels(&example::digest()));
        assert_eq!(labels(&escalated), labels(&example::closed()));
        let elsewhere = Alert {
            source_ip: Some("192.0.2.7".into()),
            token: None,
            ..example::opened()
        };
        assert_eq!(labels(&opened), labels(&elsewhere));
    }

    #[test]
    fn hostile_text_is_in_annotations_alone_and_harmless() {
        let told = Alert {
            cluster: None,
            ..example::hostile(example::HOSTILE)
        };
        let incident = Incident::of(&told);
        let labels = format!("{:?}", incident.labels);
        assert!(!labels.contains("evil"), "{labels}");
        for (name, value) in incident.annotations {
            let is_link = name == "runbook_url";
            assert!(!value.contains(['<', '>', '@', '`']), "{value}");
            assert!(is_link || !value.contains("//") && !value.contains("evil.example"));
        }
    }

    #[test]
    fn what_begins_in_the_future_begins_now() {
        let told = Alert {
            first_seen: example::time("2031-01-01T00:00:00Z"),
            ..example::opened()
        };
        let (text, alert) = written(&told);
        assert_taken(&text, &alert);
        assert_eq!(alert["startsAt"], "2026-11-23T17:22:00.000000Z");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn alertmanager_takes_any_incident(
            told in arbitrary::alert(),
            text in any::<String>(),
            times in 1..2_000_usize,
            kind in proptest::sample::select(AlertKind::ALL),
            labels in 0..60_usize,
        ) {
            let text = text.repeat(times);
            let label = |number: usize| (format!("{number}{text}"), text.clone());
            let swollen = Alert {
                kind,
                labels: Arc::new((0..labels).map(label).collect()),
                ..example::hostile(&text)
            };
            for told in [told, swollen] {
                let (text, alert) = written(&told);
                assert_taken(&text, &alert);
            }
        }
    }
}
