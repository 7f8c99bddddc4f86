//! Alerts and detections as Falco writes its own: what falcosidekick, and whatever else reads Falco's JSON, takes.
//!
//! Where Falco's plugin for audit events has a field, it has the same name here (`ka.user.name`, `ka.verb`); the rest is
//! under `baitline.`. All values are strings, as the outputs of falcosidekick want them. Text of events is cut, and
//! harmless wherever it is passed on to.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::{
    facts::reason,
    names::{joined, label_names, link, since_1970},
    neutralise::unmarked,
};
use crate::{
    audit::wire_time,
    dedupe::Alert,
    detect::{Detection, Severity, Technique},
};

/// Characters of one value.
const VALUE: usize = 240;
/// Characters of the text for people.
const OUTPUT: usize = 900;

#[derive(Serialize)]
struct Event {
    uuid: String,
    output: String,
    priority: &'static str,
    rule: String,
    time: String,
    source: &'static str,
    output_fields: BTreeMap<String, String>,
    tags: BTreeSet<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hostname: Option<String>,
}

/// Appends `alert` to `out` as one JSON object.
pub fn alert(alert: &Alert, out: &mut Vec<u8>) {
    let rule = match (&alert.component, alert.techniques.first()) {
        (Some(component), _) => format!("Baitline {} in trouble", component.kind),
        (None, Some(technique)) => rule(*technique),
        (None, None) => "Kubernetes decoy".to_owned(),
    };
    let head = Head {
        id: alert.alert_id.to_string(),
        time: alert.last_seen,
        severity: (!alert.kind.ends_incident()).then_some(alert.severity),
        rule,
        text: format!("{}: {}", reason(alert.kind), alert.title),
        techniques: &alert.techniques,
        cluster: alert.cluster.as_deref(),
    };
    write(head, fields_of_alert(alert), out);
}

/// Appends `detection` to `out` as one JSON object.
pub fn detection(detection: &Detection, out: &mut Vec<u8>) {
    let or_unknown = |text: Option<&str>| text.unwrap_or("<NA>").to_owned();
    let head = Head {
        id: detection.detection_id.to_string(),
        time: detection.time,
        severity: Some(detection.severity),
        rule: rule(detection.technique),
        text: format!(
            "{} of decoy {} by {} from {}",
            detection.technique,
            or_unknown(detection.decoy.as_deref()),
            or_unknown(detection.actor.username.as_deref()),
            or_unknown(detection.source_ip.as_deref()),
        ),
        techniques: &[detection.technique],
        cluster: detection.cluster.as_deref(),
    };
    write(head, fields_of_detection(detection), out);
}

fn fields_of_alert(alert: &Alert) -> Fields {
    let mut fields = Fields::default();
    fields.add("ka.user.name", joined(&alert.actors, VALUE));
    fields.add("ka.impuser.name", joined(&alert.impersonated, VALUE));
    fields.add("ka.sourceips", alert.source_ip.as_deref());
    fields.add("ka.useragent", joined(&alert.user_agents, VALUE));
    fields.add("ka.cluster.name", alert.cluster.as_deref());
    if let Some(request) = alert.chief_request() {
        let resource = request.resource.as_deref().unwrap_or_default();
        let (resource, subresource) = match resource.split_once('/') {
            // The path, where there is no resource.
            Some(("", _)) => ("", ""),
            Some(parts) => parts,
            None => (resource, ""),
        };
        fields.add("ka.verb", request.verb.as_deref());
        fields.add("ka.target.resource", Some(resource));
        fields.add("ka.target.subresource", Some(subresource));
        fields.add("ka.response.code", request.code);
    }
    let component = alert.component.as_ref();
    let component = component.map(|component| format!("{} {}", component.kind, component.id));
    let token = alert.token.as_ref().and_then(|token| token.id.as_deref());
    fields.add("baitline.alert_id", Some(alert.alert_id));
    fields.add("baitline.incident_id", Some(alert.incident_id));
    fields.add("baitline.kind", Some(alert.kind));
    fields.add("baitline.severity", Some(alert.severity));
    fields.add("baitline.decoy", alert.decoy.as_deref());
    fields.add("baitline.component", component);
    fields.add("baitline.techniques", words(&alert.techniques));
    fields.add("baitline.count", Some(alert.count));
    fields.add("baitline.total", Some(alert.total));
    fields.add("baitline.granted", Some(alert.granted));
    fields.add("baitline.first_seen", Some(wire_time(alert.first_seen)));
    fields.add("baitline.last_seen", Some(wire_time(alert.last_seen)));
    fields.add("baitline.late_secs", alert.late_secs);
    fields.add("baitline.claimed_ips", joined(&alert.claimed_ips, VALUE));
    fields.add("baitline.token", token);
    fields.add("baitline.pod", alert.pod.as_deref());
    fields.add("baitline.node", alert.node.as_deref());
    fields.add_labels(&alert.labels);
    fields
}

fn fields_of_detection(detection: &Detection) -> Fields {
    let Detection { actor, request, .. } = detection;
    let claimed = joined(&detection.claimed_ips, VALUE);
    let mut fields = Fields::default();
    fields.add("ka.auditid", request.audit_id.as_deref());
    fields.add("ka.stage", request.stage.as_deref());
    fields.add("ka.auth.decision", request.decision.as_deref());
    fields.add("ka.user.name", actor.username.as_deref());
    fields.add("ka.user.groups", joined(&actor.groups, VALUE));
    fields.add("ka.impuser.name", actor.impersonated.as_deref());
    fields.add("ka.verb", request.verb.as_deref());
    fields.add("ka.uri", request.uri.as_deref());
    fields.add("ka.target.resource", request.resource.as_deref());
    fields.add("ka.target.subresource", request.subresource.as_deref());
    fields.add("ka.target.namespace", request.namespace.as_deref());
    fields.add("ka.target.name", request.name.as_deref());
    fields.add("ka.response.code", request.code);
    fields.add("ka.sourceips", detection.source_ip.as_deref());
    fields.add("ka.useragent", detection.user_agent.as_deref());
    fields.add("ka.cluster.name", detection.cluster.as_deref());
    fields.add("baitline.detection_id", Some(detection.detection_id));
    fields.add("baitline.request_id", Some(detection.request_id));
    fields.add("baitline.incident_key", Some(detection.incident_key));
    fields.add("baitline.class", Some(detection.class));
    fields.add("baitline.severity", Some(detection.severity));
    fields.add("baitline.decoy", detection.decoy.as_deref());
    fields.add("baitline.techniques", Some(detection.technique));
    fields.add("baitline.granted", Some(detection.granted));
    fields.add("baitline.claimed_ips", claimed);
    fields.add("baitline.token", detection.token.id.as_deref());
    fields.add("baitline.pod", actor.pod.as_deref());
    fields.add("baitline.node", actor.node.as_deref());
    fields.add_labels(&detection.labels);
    fields
}

/// What an event is beside its fields.
struct Head<'a> {
    /// 32 hexadecimal digits.
    id: String,
    time: Timestamp,
    /// `None` for what is over.
    severity: Option<Severity>,
    rule: String,
    /// For people. Not yet neutralised.
    text: String,
    techniques: &'a [Technique],
    cluster: Option<&'a str>,
}

fn write(head: Head<'_>, fields: Fields, out: &mut Vec<u8>) {
    let time = format!("{:.9}", since_1970(head.time));
    let priority = priority(head.severity);
    let event = Event {
        uuid: uuid(&head.id),
        output: format!("{time}: {priority} {}", unmarked(&head.text, OUTPUT)),
        priority,
        rule: head.rule,
        time,
        source: "k8s_audit",
        output_fields: fields.0,
        tags: tags(head.techniques),
        hostname: head.cluster.map(|cluster| unmarked(cluster, VALUE)),
    };
    // A Vec takes every write, and all keys are strings.
    serde_json::to_writer(out, &event).expect("plain data is written to memory");
}

/// Names and values, none of which is empty.
#[derive(Default)]
struct Fields(BTreeMap<String, String>);

impl Fields {
    fn add(&mut self, name: &str, value: Option<impl ToString>) {
        let value = value.map(|value| unmarked(&value.to_string(), VALUE));
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.0.insert(name.to_owned(), value);
        }
    }

    fn add_labels(&mut self, labels: &BTreeMap<String, String>) {
        for (name, value) in label_names(labels, &[]) {
            // A link that the configuration gave stays one.
            let value = link(value).unwrap_or_else(|| unmarked(value, VALUE));
            self.0.insert(format!("baitline.label.{name}"), value);
        }
    }
}

/// Falco's word; of what is over, the word for what needs no action.
fn priority(severity: Option<Severity>) -> &'static str {
    match severity {
        Some(Severity::Critical) => "Critical",
        Some(Severity::High) => "Error",
        Some(Severity::Medium) => "Warning",
        Some(Severity::Low) => "Notice",
        None => "Informational",
    }
}

fn rule(technique: Technique) -> String {
    format!("Kubernetes decoy {technique}")
}

fn words(techniques: &[Technique]) -> Option<String> {
    let words: Vec<_> = techniques
        .iter()
        .map(|technique| technique.as_str())
        .collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// As Falco's own rules are tagged: by tactic and by technique of ATT&CK.
fn tags(techniques: &[Technique]) -> BTreeSet<String> {
    let attack = techniques.iter().flat_map(|technique| technique.attack());
    let mut tags = BTreeSet::from(["k8s".to_owned(), "baitline".to_owned()]);
    for id in attack {
        tags.insert((*id).to_owned());
        let tactics = tactics(id).iter().map(|tactic| format!("mitre_{tactic}"));
        tags.extend(tactics);
    }
    tags
}

/// The tactics that an ATT&CK technique serves.
fn tactics(attack: &str) -> &'static [&'static str] {
    match attack {
        "T1528" | "T1552.007" => &["credential_access"],
        "T1550.001" => &["defense_evasion", "lateral_movement"],
        "T1098.006" => &["persistence", "privilege_escalation"],
        "T1609" => &["execution"],
        "T1610" => &["defense_evasion", "execution"],
        "T1562.001" => &["defense_evasion"],
        "T1485" => &["impact"],
        "T1613" => &["discovery"],
        _ => &[],
    }
}

/// The 32 digits of an id in the groups of a UUID, so that the same message has the same.
fn uuid(id: &str) -> String {
    let group = |from: usize, to: usize| id.get(from..to).unwrap_or_default();
    let groups = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
    groups.map(|(from, to)| group(from, to)).join("-")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::{
        dedupe::AlertKind,
        format::{arbitrary, example, neutralise::is_hidden},
    };

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> (String, Value) {
        let mut out = Vec::new();
        write(&mut out);
        let value = serde_json::from_slice(&out).unwrap();
        (String::from_utf8(out).unwrap(), value)
    }

    /// What falcosidekick checks, and what it does not and its outputs stumble over.
    fn assert_taken(text: &str, event: &Value) {
        assert!(text.len() <= 64 << 10, "{} bytes", text.len());
        assert!(!text.contains(is_hidden), "{text}");
        for name in ["rule", "output", "priority", "uuid"] {
            assert!(!event[name].as_str().unwrap().is_empty(), "{name}");
        }
        assert!(!event["rule"].as_str().unwrap().contains("Test rule"));
        let time: Timestamp = event["time"].as_str().unwrap().parse().unwrap();
        assert!(time >= Timestamp::UNIX_EPOCH);
        let fields = event["output_fields"].as_object().unwrap();
        assert!(fields.len() >= 4);
        assert!(
            fields
                .values()
                .all(|value| value.as_str().is_some_and(|text| !text.is_empty()))
        );
    }

    #[test]
    fn an_alert_and_a_detection() {
        let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap();
        let alert = |told: &Alert| pretty(&written(|out| super::alert(told, out)).1);
        insta::assert_snapshot!("escalated", alert(&example::escalated()));
        insta::assert_snapshot!("closed", alert(&example::closed()));
        insta::assert_snapshot!("flood", alert(&example::flood()));
        insta::assert_snapshot!("silent", alert(&example::silent()));
        let told = example::detection();
        insta::assert_snapshot!(
            "detection",
            pretty(&written(|out| super::detection(&told, out)).1)
        );
    }

    #[test]
    fn every_technique_of_attack_has_a_tactic() {
        for technique in Technique::ALL {
            for id in technique.attack() {
                assert!(!tactics(id).is_empty(), "{id}");
            }
        }
    }

    #[test]
    fn hostile_text_is_harmless_wherever_it_is_passed_on_to() {
        let told = example::hostile(example::HOSTILE);
        let (text, _) = written(|out| alert(&told, out));
        let told = example::hostile_detection(example::HOSTILE);
        let (more, _) = written(|out| detection(&told, out));
        for text in [text, more] {
            assert!(!text.contains(['<', '>', '@', '`']), "{text}");
            assert!(!text.contains("//evil") && !text.contains("evil.example"));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn falcosidekick_takes_any_message(
            told in arbitrary::alert(),
            seen in arbitrary::detection(),
            text in any::<String>(),
            times in 1..2_000_usize,
            kind in proptest::sample::select(AlertKind::ALL),
        ) {
            let swollen = Alert { kind, ..example::hostile(&text.repeat(times)) };
            for told in [told, swollen] {
                let (text, event) = written(|out| alert(&told, out));
                assert_taken(&text, &event);
            }
            for seen in [seen, example::hostile_detection(&text.repeat(times))] {
                let (text, event) = written(|out| detection(&seen, out));
                assert_taken(&text, &event);
            }
        }
    }
}
