//! Alerts find their way back into the log that is watched; they must raise no alert of their own.

use serde_json::{Value, json};

use super::{
    harness::{Ran, configuration, decoy, watch},
    inputs::{BODIES, METADATA, joined, lines, token_use},
};

/// What an attacker may put into a user agent so that it looks like an event when it is told.
const BAIT: &str = r#"{"auditID" honeypot backup-sa "apiVersion":"audit.k8s.io/v1" "stageTimestamp":"" \"auditID\":\""#;

/// The same, as other programs print an event.
const PRINTED: &str = r#"auditID=1 requestURI:2 honeypot/backup-sa {'auditID':'1','verb':'list','user':{'username':'system:serviceaccount:honeypot:backup-sa'}}"#;

fn all_told() -> Value {
    let mut configuration = configuration(decoy(true));
    configuration["sinks"]["evidence_txt"] =
        json!({"type": "file", "inputs": ["detections"], "path": "evidence.txt"});
    configuration
}

/// A run on hits, cut hits and hits with baits in all their text.
fn baited() -> Ran {
    let cut = lines(&BODIES)
        .into_iter()
        .filter(|line| memchr::memmem::find(line, b"honeypot").is_some())
        .map(|line| &line[..line.len() * 2 / 3]);
    let baits = [
        token_use(
            1,
            "10.0.3.7",
            json!({"userAgent": BAIT, "requestURI": BAIT}),
        ),
        token_use(
            2,
            "10.0.3.8",
            json!({"auditID": BAIT, "sourceIPs": [BAIT, "10.0.3.8"]}),
        ),
        token_use(
            5,
            "10.0.3.11",
            json!({"userAgent": &PRINTED[..40], "requestURI": PRINTED}),
        ),
        token_use(
            6,
            "10.0.3.12",
            json!({"userAgent": &PRINTED[42..], "user": {"username": PRINTED},
            "objectRef": {"resource": "secrets", "namespace": "honeypot", "name": "backup-sa-token"}}),
        ),
        token_use(
            3,
            "10.0.3.9",
            json!({"user": {"username": BAIT},
            "objectRef": {"resource": "secrets", "namespace": "honeypot", "name": "backup-sa-token"}}),
        ),
    ];
    let mut input = joined(cut.take(60));
    input.extend(joined(baits.map(|event| event.to_string())));
    // Cut behind its user agent, so that an excerpt shows the bait.
    let cut = token_use(4, "10.0.3.7", json!({"auditID": BAIT})).to_string();
    input.extend(joined([&cut[..cut.len() - 10]]));
    input.extend_from_slice(&METADATA);

    let ran = watch(&all_told(), &input);
    let told = ran.told();
    assert!(told.of_technique("undecodable").len() > 20 && told.hits() > 100);
    let shown = ran.file("told.ndjson") + &ran.stdout;
    assert!(shown.matches("auditID").count() > 10, "the baits are shown");
    ran
}

/// Log collectors cut long lines, bare or before they wrap the parts.
#[test]
fn its_json_lines_raise_none_though_they_are_cut_off() {
    let told = baited().file("told.ndjson");
    let mut fed_back = Vec::new();
    for line in told.lines() {
        for end in [line.len() / 2, line.len() * 4 / 5, line.len() - 1] {
            let part = String::from_utf8_lossy(&line.as_bytes()[..end]).into_owned();
            let cri = format!("2026-11-23T17:21:01.912216789Z stdout P {part}");
            fed_back.extend(joined([
                json!({"log": part, "stream": "stdout"}).to_string(),
                json!({ "message": cri }).to_string(),
                cri,
                part,
            ]));
        }
    }
    let ran = watch(&all_told(), &fed_back);
    assert_eq!(ran.told().detections.first(), None);
}

#[test]
fn what_baitline_says_raises_no_alert() {
    let ran = baited();
    let (evidence, told) = (ran.file("evidence.txt"), ran.file("told.ndjson"));
    let mut fed_back = Vec::new();
    for text in [&ran.stdout, &ran.stderr, &evidence, &told] {
        assert!(!text.is_empty());
        // Bare, and as shippers wrap it: by lines or as a whole, once or twice.
        fed_back.extend_from_slice(text.as_bytes());
        for line in text.lines() {
            let parsed: Option<Value> = serde_json::from_str(line).ok();
            let once = json!({"date": 1795458640.8, "log": line}).to_string();
            let cri = json!({"message": format!("2026-11-23T17:21:01.912216789Z stdout F {line}")})
                .to_string();
            let twice = json!({"message": once, "host": "node-1"}).to_string();
            fed_back.extend(joined([once, twice, cri]));
            fed_back.extend(joined(
                parsed.map(|line| json!({"log": line, "stream": "stdout"}).to_string()),
            ));
        }
        for message in text.split("\n\n") {
            fed_back.extend(joined([json!({"message": message}).to_string()]));
        }
        fed_back.extend(joined([json!({"log": text}).to_string()]));
    }
    let ran = watch(&all_told(), &fed_back);
    let told = ran.told();
    assert_eq!(told.detections.first(), None);
    assert_eq!(ran.stdout, "");
}
