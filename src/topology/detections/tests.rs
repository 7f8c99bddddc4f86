use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::Value;

use std::{slice, sync::Arc};

use super::*;
use crate::{
    detect::{Severity, Technique, Tool},
    format::{arbitrary, example},
};

fn read(shape: Shape, bytes: &[u8]) -> (Vec<Detection>, Counts) {
    let (sent, counts) = read_all(shape, bytes);
    (sent.detections, counts)
}

fn read_all(shape: Shape, bytes: &[u8]) -> (Sent, Counts) {
    let mut decoder = Decoder::default();
    let mut out = Sent::default();
    let provenance = &|at: usize| at.to_string().into();
    decoder.read(
        &Block {
            bytes,
            shape,
            header: None,
            first_part: None,
            provenance,
        },
        Timestamp::UNIX_EPOCH,
        &mut out,
    );
    let counts = decoder.counts();
    assert_eq!(counts.bytes, bytes.len() as u64);
    assert_eq!(counts.detections, out.detections.len() as u64);
    (out, counts)
}

fn line(detection: &Detection) -> String {
    let mut line = Vec::new();
    json::detection(detection, &mut line);
    String::from_utf8(line).unwrap()
}

fn alert(alert: &Alert) -> String {
    let mut line = Vec::new();
    json::alert(alert, &mut line);
    String::from_utf8(line).unwrap()
}

#[test]
fn alerts_of_incidents_are_passed_and_garbage_is_counted() {
    let detection = example::detection();
    let good = line(&detection);
    let lines = format!(
        "{good}\r\n\n{}{}{}\ngarbage\n{{\"kind\":\"Event\"}}\n{}\n\u{0}\n{good}",
        alert(&example::opened()),
        alert(&example::silent()),
        &good[..40],
        good.trim_end().replace("token_use", "token_lose"),
    );
    let torn = read(Shape::Lines, &good.as_bytes()[..40]).0.remove(0);
    let new = good.replace("token_use", "token_lose");
    let new = read(Shape::Lines, new.as_bytes()).0.remove(0);
    let found = vec![detection.clone(), torn, new, detection];
    let counts = Counts {
        bytes: lines.len() as u64,
        detections: 4,
        in_part: 2,
        alerts: 2,
        faulty: 3,
        oversized: 0,
    };
    for shape in [Shape::Lines, Shape::Value] {
        let sent = Sent {
            detections: found.clone(),
            notices: vec![example::silent()],
        };
        assert_eq!(read_all(shape, lines.as_bytes()), (sent, counts));
    }
    let not_text = [b"\xff\xfe\n".as_slice(), good.as_bytes()].concat();
    for shape in [Shape::Lines, Shape::Value] {
        let (read, counts) = read(shape, &not_text);
        assert_eq!((&read[..], counts.faulty), (&found[..1], 1));
    }
}

#[test]
fn what_incidents_keep_is_cut() {
    let long = "é".repeat(2 * LABEL_CHARS);
    let labels = (0..2 * LABELS).map(|number| (format!("{number:03}{long}"), long.clone()));
    let sent = Detection {
        decoy: Some(long.as_str().into()),
        cluster: Some(long.as_str().into()),
        labels: Arc::new(labels.collect()),
        ..example::detection()
    };
    let read = read(Shape::Lines, line(&sent).as_bytes()).0.remove(0);
    for name in [&read.decoy, &read.cluster] {
        assert_eq!(name.as_deref(), Some("é".repeat(NAME_CHARS).as_str()));
    }
    assert_eq!(read.labels.len(), LABELS);
    for (key, value) in read.labels.iter() {
        assert_eq!(key.chars().count(), NAME_CHARS);
        assert_eq!(value.chars().count(), LABEL_CHARS);
    }
}

#[test]
fn a_value_may_be_spread_over_lines_or_be_an_array() {
    let detection = example::detection();
    let value: Value = serde_json::from_str(&line(&detection)).unwrap();
    let pretty = serde_json::to_string_pretty(&value).unwrap();
    for (text, count) in [
        (pretty.clone(), 1),
        (
            format!(" [{pretty},\n{}, {pretty}]\n", alert(&example::opened())),
            2,
        ),
        (format!("{pretty}\n{pretty}"), 2),
        (format!("{pretty}{pretty} []"), 2),
        (" ".to_owned(), 0),
    ] {
        let (out, counts) = read(Shape::Value, text.as_bytes());
        assert_eq!(out, vec![detection.clone(); count], "{text}");
        assert_eq!((counts.in_part, counts.faulty), (0, 0), "{text}");
    }
    // Of an array that is torn, what is whole is read, and of the last what there is.
    let line = line(&detection);
    let half = line.find(r#""actor""#).unwrap();
    for shape in [Shape::Lines, Shape::Value] {
        let text = format!("[{},{}", line.trim_end(), &line[..half]);
        let (out, counts) = read(shape, text.as_bytes());
        assert_eq!((out.len(), counts.in_part, counts.faulty), (2, 2, 0));
        assert_eq!(out[0], detection);
        assert_eq!(out[1].detection_id, detection.detection_id);
    }
}

#[test]
fn a_line_that_a_shipper_read_is_what_stands_in_it() {
    let detection = example::detection();
    let good = line(&detection);
    let records = [
        serde_json::json!({"message": good, "file": "/var/log/baitline/detections.ndjson"}),
        serde_json::json!({"log": good.trim_end()}),
        serde_json::json!({"resource": {"attributes": []}, "timeUnixNano": "1", "body": good}),
        serde_json::json!({"body": serde_json::from_str::<serde_json::Value>(&good).unwrap(), "attributes": {"a": 1}}),
        serde_json::json!({"body": null}),
        serde_json::json!({"log": null, "message": alert(&example::opened())}),
        // Elsewhere it is understood, too.
        serde_json::json!({"text": good}),
        serde_json::json!({"message": {"message": good}}),
        serde_json::json!({"message": serde_json::json!({"message": good}).to_string()}),
    ];
    let lines: Vec<String> = records.iter().map(|record| format!("{record}\n")).collect();
    for shape in [Shape::Lines, Shape::Value] {
        let (out, counts) = read(shape, lines.concat().as_bytes());
        assert_eq!(out, vec![detection.clone(); 7]);
        assert_eq!((counts.in_part, counts.alerts, counts.faulty), (3, 1, 1));
    }
    // By Forward, as Fluent Bit and Fluentd send it: strings of up to 64 KiB.
    let text = |bytes: &str| {
        let length = (bytes.len() as u16).to_be_bytes();
        [b"\xda".as_slice(), &length, bytes.as_bytes()].concat()
    };
    let entry = |key: &str| [b"\x92\x07\x81".as_slice(), &text(key), &text(&good)].concat();
    let (out, counts) = read(
        Shape::MessagePack,
        &[entry("log"), entry("message"), entry("text")].concat(),
    );
    assert_eq!(out, vec![detection; 3]);
    assert_eq!((counts.in_part, counts.faulty), (1, 0));
}

#[test]
fn of_what_another_version_says_is_told_what_is_understood() {
    let detection = example::detection();
    let good = line(&detection);
    type Change = fn(&mut Detection);
    let changes: [(&str, &str, Change); 13] = [
        (r#""tool":"curl""#, r#""tool":"trufflehog""#, |read| {
            read.tool = Tool::Unknown;
        }),
        (r#""schema":1"#, r#""schema":2"#, |_| {}),
        (r#""schema":1,"#, "", |_| {}),
        (r#""granted":false"#, r#""granted":null"#, |_| {}),
        (r#""severity":"critical""#, r#""severity":"grave""#, |_| {}),
        (r#""class":"detect""#, r#""class":"seen""#, |_| {}),
        (
            r#""technique":"token_use""#,
            r#""technique":"escape""#,
            |read| {
                read.technique = Technique::Undecodable;
                read.excerpt = Some("technique 'escape'".into());
            },
        ),
        (
            r#""time":"2026-11-23T17:21:08.912184Z""#,
            r#""time":"9999-12-31T23:59:59Z""#,
            |read| read.time = Timestamp::UNIX_EPOCH,
        ),
        (r#""code":403"#, r#""code":70000"#, |read| {
            read.request.code = None;
        }),
        (
            r#""username":"system:serviceaccount:honeypot:backup-sa""#,
            r#""username":{}"#,
            |read| Arc::make_mut(&mut read.actor).username = None,
        ),
        (
            r#""decoy":"honeypot/backup-sa""#,
            r#""decoy":["honeypot/backup-sa"]"#,
            |read| read.decoy = Some(UNKNOWN_DECOY.into()),
        ),
        (
            r#""type":"detection""#,
            r#""type":"detection","type":"alert""#,
            |_| {},
        ),
        ("}\n", "} {}\n", |_| {}),
    ];
    for (from, to, change) in changes {
        assert!(good.contains(from), "{from}");
        let new = good.replacen(from, to, 1);
        let mut expected = detection.clone();
        change(&mut expected);
        for record in [new.clone(), serde_json::json!({ "log": new }).to_string()] {
            let (out, counts) = read(Shape::Lines, record.as_bytes());
            assert_eq!(out, slice::from_ref(&expected), "{record}");
            assert_eq!((counts.in_part, counts.faulty), (1, 0), "{record}");
        }
    }
    // How grave it is, nobody may make little of by a word that is not known.
    for (technique, severity) in [
        ("recon", Severity::High),
        ("impersonation", Severity::Critical),
    ] {
        let new = good
            .replace("token_use", technique)
            .replace(r#""critical""#, "5");
        assert_eq!(read(Shape::Lines, new.as_bytes()).0[0].severity, severity);
    }
}

#[test]
fn an_empty_text_of_an_agents_is_none() {
    let good: Value = serde_json::from_str(&line(&example::detection())).unwrap();
    let filled = |filler: Value| {
        let mut filled = good.clone();
        let top = [
            "cluster",
            "source_ip",
            "user_agent",
            "issued_credential_id",
            "excerpt",
        ];
        top.into_iter().for_each(|key| filled[key] = filler.clone());
        filled["token"]["id"] = filler.clone();
        for part in ["actor", "request", "origin"] {
            for (key, value) in filled[part].as_object_mut().unwrap() {
                if !value.is_array() && !["code", "time", "source", "headers"].contains(&&**key) {
                    *value = filler.clone();
                }
            }
        }
        filled.to_string()
    };
    let none = filled(Value::Null);
    assert!(none.matches("null").count() > 30, "{none}");
    let expected = read(Shape::Lines, none.as_bytes());
    let (found, counts) = read(Shape::Lines, filled("".into()).as_bytes());
    assert_eq!((found, counts.in_part), (expected.0, 0));

    let whole = line(&example::detection());
    let lists = whole.replace(r#""claimed_ips":["#, r#""claimed_ips":["","#);
    let lists = lists.replace(r#""groups":["#, r#""groups":["","#);
    assert_ne!(lists, whole);
    assert_eq!(
        read(Shape::Lines, lists.as_bytes()).0,
        [example::detection()]
    );
}

#[test]
fn what_says_no_decoy_is_told_of_one_that_is_not_known() {
    let mut detection = example::detection();
    detection.decoy = None;
    let (out, counts) = read(Shape::Lines, line(&detection).as_bytes());
    assert_eq!(out[0].decoy.as_deref(), Some(UNKNOWN_DECOY));
    assert_eq!(counts.in_part, 0);
    // What touched none stays what is kept and not told.
    detection.class = Class::Record;
    let (out, _) = read(Shape::Lines, line(&detection).as_bytes());
    assert_eq!(out, [detection]);
}

#[test]
fn what_says_that_it_is_a_detection_and_nothing_else_is_told_with_what_it_is() {
    let tears = [
        r#"{"type":"detection""#,
        r#"<134>1 - aggregator {"schema": 7, "type" : "detection", garbage"#,
        r#"{"log":"{\"type\":\"detection\",\"schema\":1,\"dete"#,
        r#""type": "detection","#,
    ];
    for torn in tears {
        let (out, counts) = read(Shape::Lines, torn.as_bytes());
        assert_eq!(
            (out.len(), counts.in_part, counts.faulty),
            (1, 1, 0),
            "{torn}"
        );
        let [detection] = &out[..] else {
            unreachable!()
        };
        assert_eq!(detection.technique, Technique::Undecodable);
        assert_eq!(
            (detection.class, detection.severity),
            (Class::Detect, Severity::High)
        );
        let excerpt = detection.excerpt.as_deref().unwrap_or_default();
        assert!(excerpt.contains("detection'"), "{excerpt}");
    }
    // An alert is none, whatever a client had it say.
    let quoting = alert(&example::hostile(r#"{"type":"detection","decoy":"a/b"}"#));
    let (out, counts) = read(Shape::Lines, &quoting.as_bytes()[..quoting.len() - 9]);
    assert_eq!((out, counts.faulty), (vec![], 1));
}

#[test]
fn what_is_made_up_of_next_to_nothing_is_bounded_by_what_it_took_to_send() {
    let bits = r#"{"type":"detection"}"#.repeat(10_000);
    for (shape, text) in [
        (Shape::Lines, bits.clone()),
        (Shape::Lines, bits.replace('}', "}\n")),
        (Shape::Value, bits.clone()),
        (
            Shape::Oversized {
                first: true,
                last: true,
            },
            bits.clone(),
        ),
    ] {
        let (out, counts) = read(shape, text.as_bytes());
        assert_eq!(out.len(), text.len() / LEAST_BYTES + 1);
        assert!(counts.faulty <= 10_000);
    }
}

#[test]
fn an_oversized_record_is_one_fault_however_many_its_parts_unless_it_says_what_it_is() {
    let good = line(&example::detection());
    for (bytes, found) in [("garbage", 0), (&*good, 1), (&good[..600], 1)] {
        let mut decoder = Decoder::default();
        let mut out = Sent::default();
        for (first, last) in [(true, false), (false, false), (false, true)] {
            let block = Block {
                bytes: if first { bytes.as_bytes() } else { b"x" },
                shape: Shape::Oversized { first, last },
                header: None,
                first_part: None,
                provenance: &|at| at.to_string().into(),
            };
            decoder.read(&block, Timestamp::UNIX_EPOCH, &mut out);
        }
        assert_eq!(out.detections.len() as u64, found);
        let counts = decoder.counts();
        assert_eq!((counts.oversized, counts.in_part), (1, found));
        assert_eq!(counts.faulty, 1 - found);
    }
}

#[test]
fn what_nobody_closes_costs_no_more_than_its_length() {
    for open in ["[\n", "{\"a\":\n", "\"\n", "[{\"a\":[\n"] {
        let (out, counts) = read(Shape::Value, open.repeat(1 << 18).as_bytes());
        assert_eq!(out, []);
        assert_eq!(counts.faulty, 1 << 18);
    }
}

proptest! {
    #[test]
    fn a_line_that_is_torn_anywhere_is_told(detection in arbitrary::detection(), at in any::<prop::sample::Index>()) {
        let line = line(&detection);
        let least = r#"{"type":"detection""#.len();
        let at = least + at.index(line.trim_end().len() - least);
        let text = String::from_utf8_lossy(&line.as_bytes()[..at]).into_owned();
        let (out, counts) = read(Shape::Lines, text.as_bytes());
        prop_assert_eq!((out.len(), counts.faulty), (1, 0));
        if at > line.find(r#""cluster""#).unwrap() && detection.decoy.is_some() {
            prop_assert_eq!(&out[0].decoy, &detection.decoy);
            prop_assert_eq!(out[0].detection_id, detection.detection_id);
            prop_assert_eq!(out[0].technique, detection.technique);
        }
    }

    #[test]
    fn all_that_was_written_is_read(detections in vec(arbitrary::detection(), 0..4)) {
        let lines: String = detections.iter().map(line).collect();
        prop_assert_eq!(&read(Shape::Lines, lines.as_bytes()).0, &detections);
        prop_assert_eq!(&read(Shape::Value, lines.as_bytes()).0, &detections);
    }

    #[test]
    fn whatever_says_that_it_is_a_detection_is_told_and_no_more(parts in vec(select(vec![
        "{", "}", "[", ",", ":", "\\", "\"", "\n", "\\\"type\\\":\\\"detection\\\"", "{\"type\":\"detection\"", "\"type\" : \"detection\",",
        "\"technique\":\"x\"", "\"decoy\":\"a/b\"", "\"type\":\"alert\"", "\"time\":0", "\"actor\":{", "\u{e4}",
    ]), 0..40)) {
        let text = parts.concat();
        for shape in [Shape::Lines, Shape::Value, Shape::Oversized { first: true, last: true }] {
            let (out, counts) = read(shape, text.as_bytes());
            prop_assert!(out.len() <= text.len() / LEAST_BYTES + 1);
            prop_assert!(out.iter().all(|detection| detection.decoy.is_some()));
            // A stray quote may make of a value what is none.
            let says_so = text.contains("{\"type\":\"detection\"") && !text.contains("alert");
            prop_assert!(!says_so || !out.is_empty() || shape == Shape::Value, "{}", text);
            prop_assert_eq!(counts.in_part, out.len() as u64);
        }
    }

    #[test]
    fn any_bytes_are_read(bytes in vec(any::<u8>(), 0..99), json in "[\\[\\]{}\",:\n0-9a]{0,40}") {
        for shape in [Shape::Lines, Shape::Value] {
            prop_assert_eq!(read(shape, &bytes).0, []);
            prop_assert_eq!(read(shape, json.as_bytes()).0, []);
        }
    }
}
