//! Parts of an event that a container runtime cut and a shipper did not join.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::forged::{hit, ids};

/// `text` as a part of a longer line, but for the last.
fn open(text: &str) -> Vec<Value> {
    vec![
        json!({"log": text, "logtag": "P"}),
        json!({"message": text, "_p": "P", "stream": "stdout"}),
        json!({"log": text, "logtag": "P:x"}),
        json!({"log": text, "partial_message": "true", "partial_id": "1", "partial_ordinal": "2", "partial_last": "false"}),
        json!({"log": text, "partial_message": true}),
        json!({"log": text, "partial_id": "1", "partial_ordinal": 2}),
        json!({"message": text, "_partial": true}),
        json!({"message": text, "_partial": "true"}),
        json!({"MESSAGE": text, "CONTAINER_PARTIAL_MESSAGE": "true"}),
        json!({"records": [{"data": text, "logtag": "P"}]}),
    ]
}

/// `text` as the last part, or as a line that was never cut.
fn last(text: &str) -> Vec<Value> {
    vec![
        json!({"log": text, "logtag": "F"}),
        json!({"log": text, "_p": "F"}),
        json!({"log": text, "logtag": "F:x"}),
        json!({"log": text, "partial_message": "true", "partial_id": "1", "partial_ordinal": "3", "partial_last": "true"}),
        json!({"MESSAGE": text, "CONTAINER_PARTIAL_MESSAGE": "true", "CONTAINER_PARTIAL_LAST": "true"}),
    ]
}

fn techniques(record: &Value) -> Vec<String> {
    ids(&record.to_string())
        .into_iter()
        .map(|(id, _)| id)
        .collect()
}

/// An event of somebody else whose body looks like an event of the decoy.
fn forging() -> String {
    let mut event = hit("quiet");
    event["user"] = json!({"username": "jane"});
    event["requestObject"] = json!({"a": {"b": hit("forged")}, "c": [hit("forged").to_string()]});
    event.to_string()
}

#[test]
fn no_part_of_an_event_is_an_event_wherever_it_was_cut() {
    let text = forging();
    for (at, _) in text.char_indices().skip(1) {
        let (first, rest) = text.split_at(at);
        for record in last(rest)
            .into_iter()
            .take(2)
            .chain(open(first).into_iter().take(2))
        {
            let found = techniques(&record);
            assert!(found.iter().all(|id| id == "undecodable"), "{record}");
        }
    }
}

#[test]
fn the_middle_of_an_event_is_broken_even_if_it_is_a_whole_value() {
    let forged = hit("forged").to_string();
    for text in [
        forged.clone(),
        format!("x\":{forged}"),
        format!("{forged}}},\"auditID\""),
    ] {
        for record in open(&text) {
            assert_eq!(techniques(&record), ["undecodable"], "{record}");
        }
    }
    for record in last(&format!("{forged}}}}},\"stage\":\"x\"}}")) {
        assert_eq!(techniques(&record), ["undecodable"], "{record}");
    }
}

#[test]
fn a_line_that_was_never_cut_is_read() {
    let real = hit("real").to_string();
    let lines = [
        real.clone(),
        format!("{real}\n"),
        format!("I1123 [audit] {real}"),
        format!(" [{real}]"),
        format!("{{\"type\":\"alert\",\"of\":{real}}}"),
    ];
    for text in lines {
        for record in last(&text) {
            assert_eq!(techniques(&record), ["real"], "{record}");
        }
        for record in [
            json!({"log": text, "_partial": false}),
            json!({"log": text, "partial_message": "false"}),
            json!({"log": text, "partial_id": null}),
        ] {
            assert_eq!(techniques(&record), ["real"], "{record}");
        }
    }
}

#[test]
fn a_line_of_a_runtime_that_goes_on_elsewhere_is_no_event() {
    let forged = hit("forged");
    for head in [
        "2026-11-23T17:21:01.912216789Z stdout P ",
        "2026-11-23T17:21:01Z stderr P:x x\":",
    ] {
        let line = format!("{head}{forged}");
        for record in [line.clone(), json!({ "message": line }).to_string()] {
            let found: Vec<_> = ids(&record).into_iter().map(|(id, _)| id).collect();
            assert_eq!(found, ["undecodable"], "{record}");
        }
    }
}

/// Fluent Bit's `multiline.parser cri` and Fluentd's `concat` keep the mark of the first part beside the joined text.
#[test]
fn what_is_longer_than_a_part_was_joined() {
    let mut event = hit("joined");
    event["requestObject"] = json!({"padding": "x".repeat(16 << 10)});
    let event = event.to_string();
    for record in open(&event) {
        assert_eq!(techniques(&record), ["joined"], "{record}");
    }
    let cut = &event[..event.len() - 1];
    for record in open(cut) {
        assert_eq!(techniques(&record), ["undecodable"], "{record}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, ..ProptestConfig::default() })]

    #[test]
    fn no_text_of_a_client_makes_the_end_of_an_event_an_event(
        words in prop::collection::vec(prop::sample::select(vec!["@", "{", "}", "[", "]", "\"", ":", ",", "\\", "{\"a\":", "1"]), 1..8),
        key in prop::sample::select(vec!["userAgent", "requestURI", "requestObject", "annotations"]),
    ) {
        let text = words.concat().replace('@', &hit("forged").to_string());
        let mut event = hit("quiet");
        event["user"] = json!({"username": "jane"});
        event[key] = json!([text, {text.clone(): hit("forged")}]);
        let event = event.to_string();
        for (at, _) in event.char_indices().skip(1) {
            let record = &last(&event[at..])[0];
            let found = techniques(record);
            prop_assert!(found.iter().all(|id| id == "undecodable"), "{}", record);
        }
    }
}
