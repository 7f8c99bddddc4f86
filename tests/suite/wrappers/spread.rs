//! Events over many lines, among records of one line each, or of which each line became a record.

use baitline::detect::{Detector, Technique};
use base64::prelude::*;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    forged::{DECOY, forgeries, hit},
    streamed,
};

fn techniques(text: &str) -> Vec<Technique> {
    let all = streamed(Detector::scan, text.as_bytes());
    all.iter().map(|one| one.technique).collect()
}

fn pretty(event: &Value) -> String {
    serde_json::to_string_pretty(event).expect("it is JSON") + "\n"
}

/// As `jq -C` prints it.
fn coloured(text: &str) -> String {
    let brackets = ["{", "}"].map(|bracket| (bracket, format!("\x1b[1;39m{bracket}\x1b[0m")));
    let text = text.replace('"', "\x1b[0;32m\"\x1b[0m");
    brackets.iter().fold(text, |text, (bracket, coloured)| {
        text.replace(bracket, coloured)
    })
}

#[test]
fn an_event_over_many_lines_is_found_behind_other_records() {
    let event = pretty(&hit("1"));
    let quiet = event.replace(DECOY, "jane");
    let line = hit("2").to_string().replace(DECOY, "jane");
    let tabs = event.replace("  ", "\t");
    let carriage_returns = event.replace('\n', "\r\n");
    let list = format!("{{\"items\":[\n{event}]}}\n");
    let sequence = format!("\x1e{event}");
    for event in [event, tabs, carriage_returns, list, sequence] {
        for before in [
            "{\"x\":1}\n".to_owned(),
            format!("{line}\n"),
            format!("{line}\n{quiet}"),
            format!("{{\"x\":1}}\n2026-11-23 it begins: {{\n  it goes on\n{quiet}"),
            "{\"kind\":\"EventList\",\"items\":[\n".to_owned(),
        ] {
            let text = format!("{before}{event}{line}\n{event}");
            assert_eq!(techniques(&text), [Technique::TokenUse; 2], "{text}");
        }
    }
}

/// A year's pages in one document: each record in it is one, as if it stood alone.
#[test]
fn the_hits_in_a_document_that_is_longer_than_a_record_are_told() {
    let filler = json!({"kind": "Event", "user": {"username": "jane"}, "a": "x".repeat(6 << 20)});
    let texts = [filler.clone(), hit("1"), filler.clone(), hit("2"), filler];
    let texts = texts.map(|event| event.to_string());
    let each = |shape: fn(&String) -> Value| -> Value { texts.iter().map(shape).collect() };
    let packed = each(|text| json!({"message": {"data": BASE64_STANDARD.encode(text)}}));
    let sources = each(|text| json!({"_source": {"message": text}}));
    for document in [
        json!({"receivedMessages": packed}),
        json!({"events": each(|text| json!({"logStreamName": "kube-apiserver-audit-1", "message": text}))}),
        json!({"Records": each(|text| json!({"Data": BASE64_STANDARD.encode(text)}))}),
        json!({"took": 1, "hits": {"total": 5, "hits": sources}}),
    ] {
        for text in [document.to_string(), pretty(&document)] {
            assert_eq!(
                techniques(&text),
                [Technique::TokenUse; 2],
                "{}",
                &text[..100]
            );
        }
    }
}

#[test]
fn colours_of_a_terminal_hide_nothing() {
    let event = hit("1");
    for text in [pretty(&event), format!("{event}\n")] {
        let text = format!("{}{}", text.replace(DECOY, "jane"), coloured(&text));
        assert_eq!(techniques(&text), [Technique::TokenUse], "{text}");
    }
}

/// Nobody can tell which lines belong together.
#[test]
fn an_event_each_line_of_which_became_a_record_is_not_passed_over() {
    let event = hit("1");
    let wrap = |wrapped: fn(&str) -> String, event: &Value| -> String {
        pretty(event).lines().map(wrapped).collect()
    };
    let shapes: [fn(&str) -> String; 8] = [
        |line| format!("{}\n", line.replace('"', "&quot;")),
        |line| format!("{}\n", line.replace('"', "&#34;")),
        // As Snowflake prints a table.
        |line| format!("| {line:<60} |\n"),
        |line| format!("2026-11-23T17:21:01.912216789Z stdout F {line}\n"),
        |line| {
            format!(
                "{}\n",
                json!({"log": format!("{line}\n"), "stream": "stdout", "time": "2026-11-23T17:21:01.9Z"})
            )
        },
        |line| format!("[pod/audit-sink/c] {line}\n"),
        |line| format!(" {line:<60} +\n"),
        |line| {
            format!(
                "{}\n",
                json!({"logGroup": "/aws/eks/p/cluster", "logEvents": [{"id": "0", "message": line}]})
            )
        },
    ];
    for shape in shapes {
        let text = wrap(shape, &event);
        assert_eq!(techniques(&text), [Technique::Undecodable], "{text}");
        let mut other = event.clone();
        other["user"]["username"] = "jane".into();
        assert_eq!(techniques(&wrap(shape, &other)), [], "{text}");
        other["requestURI"] = "/api/v1/namespaces/honeypot/secrets/backup-sa".into();
        let text = wrap(shape, &other);
        assert_eq!(techniques(&text), [Technique::Undecodable], "{text}");
    }
}

/// Nor does a quote that a client puts into what it asks for.
#[test]
fn a_quote_in_a_line_hides_nothing() {
    let mut event = hit("1");
    event["user"]["username"] = "jane".into();
    for uri in ["?x=\"", "?x=\"\"\"y", "?\\\"", ""] {
        event["requestURI"] = format!("/api/v1/namespaces/honeypot/secrets/backup-sa{uri}").into();
        let shapes: [fn(&str) -> String; 4] = [
            |line| format!("[pod/audit-sink/c] {line}\n"),
            |line| format!("{}\n", line.replace('"', "\"\"")),
            |line| format!("{}\n", line.replace('"', "&quot;")),
            |line| format!(" {line:<60} +\n"),
        ];
        for shape in shapes {
            let text: String = pretty(&event).lines().map(shape).collect();
            assert_eq!(techniques(&text), [Technique::Undecodable], "{text}");
        }
    }
}

#[test]
fn what_a_client_writes_into_an_event_over_many_lines_is_no_event() {
    for forgery in forgeries() {
        let mut event = hit("quiet");
        event["user"] = json!({"username": "jane"});
        for key in ["userAgent", "requestObject", "responseObject"] {
            event[key] = forgery.clone();
        }
        let text = format!("{{\"x\":1}}\n{}", pretty(&event));
        assert_eq!(techniques(&text), [], "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn the_scan_finds_in_documents_what_decoding_finds(picks in prop::collection::vec(0..9_usize, 1..12), cut in any::<prop::sample::Index>()) {
        let event = pretty(&hit("1"));
        let quiet = event.replace(DECOY, "jane");
        let line = format!("{}\n", hit("2"));
        let half = &event[..cut.index(event.len())];
        let parts = [&event, &quiet, &line, half, "{\n", "}\n", "  \"username\": \"x\",\n", "text [\n", "]\n"];
        let text: String = picks.iter().map(|pick| parts[*pick]).collect();
        let text = format!("{{\"x\":1}}\n{text}").into_bytes();
        prop_assert_eq!(streamed(Detector::scan, &text), streamed(Detector::decode_all, &text));
    }
}
