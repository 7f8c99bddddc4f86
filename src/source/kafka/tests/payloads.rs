//! What a payload may be.

use std::{collections::BTreeSet, fs, io::Read, path::Path};

use flate2::{Compression, read::GzDecoder, read::GzEncoder};
use jiff::Timestamp;
use proptest::prelude::*;
use rdkafka::message::OwnedMessage;

use super::*;
use crate::{
    audit::DetectionId,
    config::Decoy,
    detect::{self, Detection, Detector, Severity, Technique},
    source::payload::{Payloads, is_garbage},
};

fn message(offset: i64, payload: Option<&[u8]>) -> OwnedMessage {
    OwnedMessage::new(
        payload.map(<[u8]>::to_vec),
        None,
        TOPIC.to_owned(),
        rdkafka::Timestamp::NotAvailable,
        3,
        offset,
        None,
    )
}

/// The pieces that come of payloads: each with its shape and the offset of its message. And how many were discarded.
fn pieces(
    max_line_bytes: usize,
    payloads: &[Option<&[u8]>],
) -> (Vec<(String, Shape, String)>, u64) {
    let context = Context::new(Stop::new().unwrap());
    let mut pieces = Vec::new();
    let messages: Vec<OwnedMessage> = (0..)
        .zip(payloads)
        .map(|(offset, payload)| message(offset, *payload))
        .collect();
    let mut outlet = |block: &Block<'_>| {
        let text = String::from_utf8_lossy(block.bytes);
        let mut start = 0;
        let lines = match block.shape {
            Shape::Lines => text.split_inclusive('\n').collect(),
            _ => vec![&*text],
        };
        for line in lines {
            let position = (block.provenance)(start).position.into();
            start += line.len();
            pieces.push((line.trim_end().to_owned(), block.shape, position));
        }
        true
    };
    Payloads::new(max_line_bytes).search(&messages, &context, &mut outlet);
    (pieces, context.counters.discarded.load(SeqCst))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    GzEncoder::new(bytes, Compression::fast())
        .read_to_end(&mut packed)
        .unwrap();
    packed
}

#[test]
fn lines_are_records_and_values_may_spread() {
    let pretty = "{\n \"a\": 1\n}";
    let list = "{\"kind\":\"EventList\",\"items\":[\n{\"a\":1},\n{\"b\":2}]}\n";
    let packed = [
        gzip(b"{\"g\":1}\n{\"g\":2}"),
        zstd::encode_all(&b"{\"z\":1}"[..], 1).unwrap(),
    ];
    let large = "x".repeat(100_000);
    let (pieces, discarded) = pieces(
        1 << 20,
        &[
            Some(b"{\"n\":1}\n{\"n\":2}\n"),
            None,
            Some(b""),
            Some(b" \r\n"),
            Some(pretty.as_bytes()),
            Some(b"\xff\x00garbage"),
            Some(list.as_bytes()),
            Some(&packed[0]),
            Some(&packed[1]),
            Some(b"{\"n\":3}"),
            Some(large.as_bytes()),
            Some(&packed[0][..20]),
            Some(b"{\"n\":4}"),
        ],
    );
    let told: Vec<String> = pieces
        .iter()
        .map(|(text, shape, position)| {
            let text: String = text
                .chars()
                .filter(char::is_ascii_graphic)
                .take(40)
                .collect();
            format!("{position} {shape:?} {text}")
        })
        .collect();
    // What was not cut off, and then all as it is, in whatever way that is packed.
    let (cut, told): (Vec<String>, _) = told.into_iter().partition(|told| told.contains("@11"));
    assert!(cut.len() > 1, "{cut:?}");
    insta::assert_snapshot!(told.join("\n"), @r#"
    audit/3@0 Lines {"n":1}
    audit/3@0 Lines {"n":2}
    audit/3@4 Value {"a":1}
    audit/3@5 Lines garbage
    audit/3@6 Value {"kind":"EventList","items":
    audit/3@6 Value {"a":1}
    audit/3@6 Value {"b":2}
    audit/3@7 Lines {"g":1}
    audit/3@7 Lines {"g":2}
    audit/3@8 Lines {"z":1}
    audit/3@9 Lines {"n":3}
    audit/3@10 Lines xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
    audit/3@12 Lines {"n":4}
    "#);
    // What is empty, and what no record can be in.
    assert_eq!(discarded, 3 + 2);
}

#[test]
fn what_no_record_can_be_in_is_garbage() {
    let garbage: [&[u8]; 7] = [
        b"not json",
        b"[1,2,3]",
        b"42",
        b"\"x\"",
        b"\xff\x00garbage",
        b"\x00\x01{\x02\x9c\xff\"kind\"",
        b"[\n1,\n2\n]",
    ];
    for payload in garbage {
        assert!(is_garbage(payload), "{}", payload.escape_ascii());
        let (pieces, discarded) = pieces(1 << 20, &[Some(payload)]);
        assert_eq!(discarded, 1, "{}", payload.escape_ascii());
        assert!(!pieces.is_empty(), "it is searched all the same");
    }
    // In whatever wraps them, and cut off.
    let records: [&[u8]; 6] = [
        b"{}",
        b" {\n \"kind\": \"Event\"",
        b"[{\"kind\":\"Event\"}]",
        b"\"{\\\"kind\\\":\\\"Event\\\"}\"",
        b"2026-11-23T17:21:01.912216789Z stdout F {\"kind\":\"Event\"",
        b"\x1b[1mINFO\x1b[0m user {\x1b[3mname\x1b[0m}",
    ];
    for payload in records {
        assert!(!is_garbage(payload), "{}", payload.escape_ascii());
    }
}

proptest! {
    /// No wrapper and no cut within a character makes garbage of an object.
    #[test]
    fn no_object_is_garbage(before in "[^{\\x00-\\x1f\\x7f]{0,20}", name in "\\PC{0,80}", cut in 1..100_usize) {
        let object = serde_json::json!({ "name": name }).to_string();
        let spread = object.replacen('{', "{\n  ", 1);
        for object in [object, spread] {
            let object = &object.as_bytes()[..cut.min(object.len())];
            prop_assert!(!is_garbage(&[before.as_bytes(), object].concat()));
        }
    }

    #[test]
    fn what_holds_no_brace_is_garbage(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
        let has_brace = payload.contains(&b'{');
        prop_assert!(has_brace || is_garbage(&payload));
    }
}

/// The Collector's Kafka exporter writes protobuf unless it is told otherwise.
#[test]
fn the_logs_of_opentelemetry_are_lines() {
    let export = b"\x0a\x0b\x0a\x00\x12\x07\x12\x05\x2a\x03\x0a\x01x";
    let (pieces, discarded) = pieces(1000, &[Some(b"{}"), Some(export), Some(b"[]")]);
    let line = |text: &str, offset| (text.to_owned(), Shape::Lines, format!("audit/3@{offset}"));
    let record = r#"{"resource":{"attributes":[]},"body":"x"}"#;
    assert_eq!(pieces, [line("{}", 0), line(record, 1), line("[]", 2)]);
    assert_eq!(discarded, 1);
}

#[test]
fn the_parts_of_a_containers_line_are_joined_within_a_payload() {
    let line = |tag, text| format!("2026-11-23T17:21:01.912216789Z stdout {tag} {text}\n");
    let parts = line("F", "one") + &line("P", "tw") + &line("F", "o");
    let (pieces, _) = pieces(1 << 20, &[Some(b"{}"), Some(parts.as_bytes())]);
    let texts: Vec<&str> = pieces.iter().map(|(text, ..)| text.as_str()).collect();
    let [one, two] = [line("F", "one"), line("F", "two")];
    assert_eq!(texts, ["{}", one.trim_end(), two.trim_end()]);
    assert!(pieces[2].2.ends_with("@1"));
}

#[test]
fn what_is_too_long_comes_in_parts() {
    let line = "x".repeat(30_000);
    let value = format!("[\n\"{line}\"\n]");
    let (pieces, _) = pieces(
        10_000,
        &[
            Some(b"short"),
            Some(line.as_bytes()),
            Some(value.as_bytes()),
        ],
    );
    let shapes = |offset: &str| -> Vec<Shape> {
        let of = pieces
            .iter()
            .filter(|(_, _, position)| position.ends_with(offset));
        of.map(|(_, shape, _)| *shape).collect()
    };
    assert_eq!(shapes("@0"), [Shape::Lines]);
    for offset in ["@1", "@2"] {
        let shapes = shapes(offset);
        assert!(
            matches!(shapes.first(), Some(Shape::Oversized { first: true, .. })),
            "{shapes:?}"
        );
        assert!(
            matches!(shapes.last(), Some(Shape::Oversized { last: true, .. })),
            "{shapes:?}"
        );
    }
}

#[test]
fn key_and_headers_are_kept_within_bounds() {
    let headers = (0..40).fold(OwnedHeaders::new(), |headers, number| {
        headers.insert(Header {
            key: &format!("h{number:02}"),
            value: Some(&[b'v'; 1000][..]),
        })
    });
    let key = [&b"prod\xff-eu"[..], &[b'k'; 1000]].concat();
    let message = OwnedMessage::new(
        Some(b"x".to_vec()),
        Some(key),
        TOPIC.to_owned(),
        rdkafka::Timestamp::NotAvailable,
        3,
        42,
        Some(headers.insert(Header::<&[u8]> {
            key: "none",
            value: None,
        })),
    );
    let context = Context::new(Stop::new().unwrap());
    let mut origin = Provenance::default();
    let mut outlet = |block: &Block<'_>| {
        origin = (block.provenance)(0);
        true
    };
    Payloads::new(100).search(&[message], &context, &mut outlet);
    assert_eq!(origin.position, "audit/3@42");
    assert!(origin.key.unwrap().starts_with("prod\u{fffd}-eukkk"));
    assert_eq!(origin.headers.len(), 16);
    assert!(
        origin
            .headers
            .iter()
            .all(|(name, value)| name.len() == 3 && value.len() == 256)
    );
}

/// Searches, as a pipeline does.
struct Search {
    detector: Detector,
    found: Vec<Detection>,
}

impl Outlet for Search {
    fn take(&mut self, block: &Block<'_>) -> bool {
        self.detector
            .scan(block, Timestamp::UNIX_EPOCH, &mut self.found);
        true
    }

    fn commit(&mut self, progress: Progress) {
        acknowledge(progress);
    }

    fn try_commit(&mut self, progress: Progress) -> Result<(), Progress> {
        acknowledge(progress);
        Ok(())
    }
}

fn search() -> Search {
    let decoy = Decoy {
        namespace: "honeypot".into(),
        service_account: "backup-sa".into(),
        secret: Some("backup-sa-token".into()),
        pod: Some("file-backup".into()),
        whole_namespace: true,
        severity: Severity::Low,
        labels: Arc::default(),
        expected: Vec::new(),
    };
    let config = detect::Config::default();
    Search {
        detector: Detector::new(&config, &[decoy], None, "audit".into()).unwrap(),
        found: Vec::new(),
    }
}

fn ids(found: &[Detection]) -> BTreeSet<DetectionId> {
    found
        .iter()
        .map(|detection| detection.detection_id)
        .collect()
}

fn recording(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name);
    let mut bytes = Vec::new();
    GzDecoder::new(fs::File::open(path).unwrap())
        .read_to_end(&mut bytes)
        .unwrap();
    bytes
}

/// What the recordings hold is found however they are cut into messages.
#[test]
fn every_hit_is_found_in_every_kind_of_payload() {
    let audit = recording("metadata/audit.ndjson.gz");
    let mut direct = search();
    direct.take(&Block {
        bytes: &audit,
        shape: Shape::Lines,
        header: None,
        first_part: None,
        provenance: &|_| Provenance::default(),
    });
    let wanted = ids(&direct.found);
    assert!(wanted.len() > 100, "{}", wanted.len());

    let lines: Vec<&[u8]> = audit
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .collect();
    let value = |line: &&[u8]| serde_json::from_slice::<serde_json::Value>(line).unwrap();
    let pretty = |value| serde_json::to_vec_pretty(&value).unwrap();
    let mut payloads: Vec<Vec<u8>> = Vec::new();
    for (number, lines) in lines.chunks(7).enumerate() {
        let values = || lines.iter().map(value).collect::<Vec<_>>();
        match number % 6 {
            0 => payloads.extend(lines.iter().map(|line| line.to_vec())),
            1 => payloads.push(lines.join(&b"\n"[..])),
            2 => payloads.extend(values().into_iter().map(pretty)),
            3 => payloads.push(pretty(serde_json::json!({
                "kind": "EventList", "apiVersion": "audit.k8s.io/v1", "items": values(),
            }))),
            4 => payloads.push(serde_json::to_vec(&values()).unwrap()),
            _ => payloads.push(gzip(&lines.join(&b"\n"[..]))),
        }
        payloads.push(b"\x00\xff garbage".to_vec());
        payloads.push(Vec::new());
    }

    let cluster = Cluster::start(3);
    for (number, payload) in payloads.iter().enumerate() {
        let key = format!("key {number}");
        let record = BaseRecord::to(TOPIC).key(&key).payload(payload);
        let header = Header {
            key: "cluster",
            value: Some("prod"),
        };
        let record = record.headers(OwnedHeaders::new().insert(header));
        assert!(cluster.producer.send(record).is_ok());
    }
    cluster.producer.flush(PATIENCE).unwrap();

    let stop = Stop::new().unwrap();
    let context = Context::new(stop.clone());
    let (counters, config) = (context.counters.clone(), cluster.config());
    let source = thread::spawn(move || {
        let mut search = search();
        read(&config, None, &context, &mut search).unwrap();
        search.found
    });
    let empty = payloads.iter().filter(|payload| payload.is_empty()).count() as u64;
    let deadline = Instant::now() + PATIENCE;
    while counters.discarded.load(SeqCst) < empty || counters.lag() != Some(0) {
        assert!(Instant::now() < deadline, "{counters:?}");
        thread::sleep(Duration::from_millis(50));
    }
    stop.trigger();
    let found = source.join().unwrap();
    assert_eq!(ids(&found), wanted);
    for detection in &found {
        let origin = &detection.origin;
        assert!(
            origin.position.as_ref().unwrap().starts_with("audit/"),
            "{origin:?}"
        );
        assert!(
            origin.key.as_ref().unwrap().starts_with("key "),
            "{origin:?}"
        );
        assert_eq!(origin.headers["cluster"], "prod");
        assert_ne!(detection.technique, Technique::Undecodable);
    }
}
