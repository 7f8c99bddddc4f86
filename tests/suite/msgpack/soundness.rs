//! The search of MessagePack finds exactly what is found if every entry is written as JSON and decoded.

use std::{cell::RefCell, collections::HashMap, io::Read, iter, sync::LazyLock};

use baitline::{
    detect::{Config, Detection, Detector, Technique},
    record::msgpack::{entries, write_entry},
    source::{Block, Provenance, Shape},
};
use base64::prelude::*;
use flate2::{
    Compression,
    read::{GzEncoder, ZlibEncoder},
};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::Value;
use crate::{
    recordings::{decoy, recording},
    soundness::{events, run_with, wrapped},
};

pub static RECORDED: LazyLock<Vec<Json>> = LazyLock::new(|| {
    let events = |folder| {
        let text = recording(folder, "audit.ndjson.gz");
        let lines = text
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        lines
            .map(|line| serde_json::from_slice(line).expect("it is JSON"))
            .collect::<Vec<Json>>()
    };
    [events("metadata"), events("request-response")].concat()
});

/// What a decoy is called, and whether the whole namespace is bait.
pub type Bait = (&'static str, &'static str, bool);

pub const HONEYPOT: Bait = ("honeypot", "backup-sa", true);

/// Detectors take time to make.
pub fn detector(bait: Bait) -> Detector {
    thread_local! {
        static KNOWN: RefCell<HashMap<Bait, Detector>> = RefCell::default();
    }
    KNOWN.with_borrow_mut(|known| {
        let made = known.entry(bait).or_insert_with(|| {
            let (namespace, name, whole_namespace) = bait;
            let decoys = [decoy(namespace, name, whole_namespace)];
            Detector::new(&Config::default(), &decoys, None, "test".into()).expect("no glob")
        });
        made.another()
    })
}

/// What is found in entries of MessagePack.
fn scan(mut detector: Detector, bytes: &[u8]) -> Vec<Detection> {
    let block = Block {
        bytes,
        shape: Shape::MessagePack,
        header: None,
        first_part: None,
        provenance: &|_| Provenance::default(),
    };
    let mut found = Vec::new();
    detector.scan(&block, Timestamp::UNIX_EPOCH, &mut found);
    detector.finish(Timestamp::UNIX_EPOCH, &mut found);
    found
}

/// What is found if every entry is written as JSON, and decoded.
fn decode_all(detector: Detector, bytes: &[u8]) -> Vec<Detection> {
    let (mut lines, mut rest) = (Vec::new(), bytes);
    for entry in entries(bytes) {
        // What cannot be read is one, to the end.
        let entry = entry.unwrap_or(rest);
        write_entry(entry, &mut lines);
        lines.push(b'\n');
        rest = &rest[entry.len()..];
    }
    run_with(Detector::decode_all, detector, &lines)
}

fn compare(bait: Bait, bytes: &[u8]) -> Vec<Detection> {
    let found = scan(detector(bait), bytes);
    assert_eq!(found, decode_all(detector(bait), bytes));
    found
}

/// What looks like a letter or a digit behind a string, or before one.
fn with_neighbours(value: Value, dice: &mut dyn Iterator<Item = u8>) -> Value {
    match value {
        Value::Str(text) if dice.next() == Some(1) => Value::Array(vec![
            Value::Integer(b'a'.into()),
            Value::Str(text),
            Value::Integer(b'z'.into()),
        ]),
        Value::Str(text) if dice.next() == Some(1) => Value::Bin(text),
        Value::Array(items) => {
            let items = items.into_iter().map(|item| with_neighbours(item, dice));
            let mut items: Vec<Value> = items.collect();
            if dice.next() == Some(2) {
                items.push(Value::Integer(b'0'.into()));
            }
            Value::Array(items)
        }
        Value::Map(pairs) => {
            let pairs = pairs
                .into_iter()
                .map(|(key, value)| match (dice.next(), key) {
                    (Some(3), Value::Str(key)) => (Value::Bin(key), with_neighbours(value, dice)),
                    (_, key) => (key, with_neighbours(value, dice)),
                });
            let mut pairs: Vec<_> = pairs.collect();
            if dice.next() == Some(2) {
                // Behind every string value comes a key that looks like a letter.
                pairs = pairs
                    .into_iter()
                    .flat_map(|pair| [pair, (Value::Integer(b'k'.into()), Value::Nil)])
                    .collect();
            }
            Value::Map(pairs)
        }
        other => other,
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    read(GzEncoder::new(bytes, Compression::fast()))
}

/// At one of its levels.
fn zlib(bytes: &[u8], dice: &mut dyn Iterator<Item = u8>) -> Vec<u8> {
    let level = dice.next().unwrap_or_default() % 10;
    read(ZlibEncoder::new(bytes, Compression::new(level.into())))
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("memory takes all")
}

fn read(mut reader: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).expect("memory takes all");
    bytes
}

/// A record in which `event` stands, of which `text` is JSON.
pub fn record(shape: u8, event: &Json, text: &str, dice: &mut dyn Iterator<Item = u8>) -> Value {
    let parsed = || Value::from(event);
    let encoded = || BASE64_STANDARD.encode(text);
    match shape {
        0 => parsed(),
        1 => Value::map([("log", text.into())]),
        2 => Value::map([("log", Value::Bin(text.as_bytes().to_vec()))]),
        3 => Value::map([("stream", "stdout".into()), ("message", parsed())]),
        4 => with_neighbours(parsed(), dice),
        5 => with_neighbours(
            Value::map([("records", Value::Array(vec![parsed()]))]),
            dice,
        ),
        6 => Value::map([("message", Value::map([("data", encoded().as_str().into())]))]),
        7 => Value::map([(
            "Records",
            Value::Array(vec![Value::map([("Data", Value::Bin(encoded().into()))])]),
        )]),
        8 => Value::map([("rawData", encoded().as_str().into())]),
        9 => Value::map([(
            "MESSAGE",
            Value::Array(
                text.bytes()
                    .map(|byte| Value::Integer(byte.into()))
                    .collect(),
            ),
        )]),
        10 => Value::map([(
            "log",
            json!({"data": encoded()}).to_string().as_str().into(),
        )]),
        11 => Value::Map(vec![(parsed(), parsed())]),
        12 => Value::map([("x", Value::Ext(5, text.as_bytes().to_vec()))]),
        13 => Value::map([("data", Value::Bin(gzip(text.as_bytes())))]),
        14 => Value::map([("log", Value::Str(zlib(text.as_bytes(), dice)))]),
        15 => Value::map([("log", Value::Bin(zstd(&gzip(text.as_bytes()))))]),
        16 => {
            let entry = Value::Array(vec![Value::Integer(1_795_455_390), parsed()]);
            let entries = [Value::map([("a", Value::Nil)]).bytes(), entry.bytes()];
            Value::Array(vec!["tag".into(), Value::Bin(gzip(&entries.concat()))])
        }
        17 => {
            // A frame that is skipped comes first.
            let frame = [b"\x5a*M\x18\x03\0\0\0abc", &*zstd(text.as_bytes())].concat();
            Value::map([("messages", Value::Array(vec![Value::Bin(frame)]))])
        }
        18 => {
            let encoded = BASE64_STANDARD.encode(zlib(text.as_bytes(), dice));
            Value::map([("data", encoded.as_str().into())])
        }
        _ => Value::map([
            ("log", format!("\u{e9} {text}").as_str().into()),
            ("n", Value::Integer(b'a'.into())),
        ]),
    }
}

pub const SHAPES: u8 = 20;

fn entry(form: u8, record: Value) -> Value {
    let time = Value::time(1_795_455_390, 0);
    match form {
        0 => record,
        1 => Value::Array(vec![Value::Integer(1_795_455_390), record]),
        2 => Value::Array(vec![time, record]),
        _ => {
            let metadata = Value::map([("a", Value::Integer(b'b'.into()))]);
            Value::Array(vec![Value::Array(vec![time, metadata]), record])
        }
    }
}

#[test]
fn each_shape_gives_what_its_event_is() {
    let mut count = 0;
    for shape in 0..SHAPES {
        for (event, technique) in events(("honeypot", "backup-sa"), true, &str::to_owned) {
            let mut dice = [9, 8, 7].into_iter().cycle();
            let value = entry(2, record(shape, &event, &event.to_string(), &mut dice));
            let found = compare(HONEYPOT, &value.bytes());
            let found: Vec<Technique> = found.iter().map(|found| found.technique).collect();
            assert_eq!(found, Vec::from_iter(technique), "{shape}: {event}");
            count += found.len();
        }
    }
    assert!(count > 200);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_shape_hides_anything(
        names in prop::sample::select(vec![
            ("honeypot", "backup-sa"), ("ci", "deployer"), ("a", "b"), ("default", "x1.y"), ("p-9", "token"),
            ("data", "proxy"), ("database", "proxy-sa"), ("1", "200"), ("metadata-ns", "e"),
        ]),
        layers in prop::collection::vec(0..4_u8, 0..=3),
        shape in 0..SHAPES,
        form in 0..4_u8,
        whole_namespace in any::<bool>(),
        dice in prop::collection::vec(0..6_u8, 64),
    ) {
        let mut endless = dice.iter().copied().cycle();
        let mut bytes = Vec::new();
        for (event, _) in events(names, whole_namespace, &str::to_owned) {
            let text = wrapped(&event, &layers, &mut endless);
            let value = entry(form, record(shape, &event, &text, &mut endless));
            bytes.extend(value.encoded(&mut endless));
        }
        compare((names.0, names.1, whole_namespace), &bytes);
    }

    #[test]
    fn damage_hides_nothing(
        damage in prop::collection::vec((0..6000_usize, any::<u8>()), 0..6),
        cut in 0..9000_usize,
        start in 0..6000_usize,
        shape in 0..SHAPES,
        whole_namespace in any::<bool>(),
    ) {
        let mut bytes: Vec<u8> = RECORDED
            .iter()
            .skip(start)
            .take(8)
            .flat_map(|event| {
                let mut dice = [1, 2, 3].into_iter().cycle();
                entry(2, record(shape, event, &event.to_string(), &mut dice)).bytes()
            })
            .collect();
        for (at, byte) in damage {
            if let Some(hit) = bytes.get_mut(at) {
                *hit = byte;
            }
        }
        bytes.truncate(bytes.len().saturating_sub(cut % 700));
        compare(("honeypot", "backup-sa", whole_namespace), &bytes);
    }
}

#[test]
fn the_recordings_give_what_their_json_gives() {
    let lines = RECORDED
        .iter()
        .flat_map(|event| format!("{event}\n").into_bytes());
    let events: Vec<u8> = RECORDED
        .iter()
        .flat_map(|event| Value::from(event).bytes())
        .collect();
    let found = compare(HONEYPOT, &events);
    assert!(found.len() > 400, "{}", found.len());
    let lines: Vec<u8> = lines.collect();
    assert_eq!(found, run_with(Detector::scan, detector(HONEYPOT), &lines));
}

#[test]
fn text_in_place_of_entries_is_read_as_text() {
    let (event, _) = events(("honeypot", "backup-sa"), true, &str::to_owned).swap_remove(0);
    let text = event.to_string();
    let entry = entry(2, Value::map([("log", "x".into())])).bytes();
    for before in [b"".as_slice(), b"\n", b"  ", b"7 ", &entry] {
        let found = compare(HONEYPOT, &[before, text.as_bytes()].concat());
        assert_eq!(found.len(), 1, "{before:?}");
        assert_eq!(found[0].technique, Technique::TokenUse);
    }
}

#[test]
fn a_text_that_begins_as_what_is_packed_is_a_text() {
    let (mut event, _) = events(("honeypot", "backup-sa"), true, &str::to_owned).swap_remove(0);
    event["userAgent"] = "x\u{1}agent".into();
    let found = compare(HONEYPOT, &Value::from(&event).bytes());
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].technique, Technique::TokenUse);
    assert_eq!(found[0].user_agent.as_deref(), Some("x\u{1}agent"));
}

#[test]
fn a_packed_event_that_is_cut_off_or_stands_in_junk_is_told() {
    let (event, _) = events(("honeypot", "backup-sa"), true, &str::to_owned).swap_remove(0);
    let text = event.to_string();
    for packed in [
        gzip(text.as_bytes()),
        zlib(text.as_bytes(), &mut iter::repeat(6)),
    ] {
        let record = Value::map([("log", Value::Bin(packed)), ("z", "z".into())]).bytes();
        let cut_behind = &record[..record.len() - 1];
        // All of the text is there, the sum behind it is not.
        let cut_within = &record[..record.len() - 6];
        for bytes in [cut_behind, cut_within, &[b"\xc1", &*record].concat()] {
            let found = compare(HONEYPOT, bytes);
            let techniques: Vec<Technique> = found.iter().map(|found| found.technique).collect();
            let json = String::from_utf8_lossy(bytes);
            assert!(
                techniques.contains(&Technique::TokenUse),
                "{techniques:?}: {json}"
            );
        }
    }
    // More than is written as JSON.
    let filler = Value::map([("log", "x".repeat(1 << 20).as_str().into())]).bytes();
    let many = [filler.repeat(9), Value::from(&event).bytes()].concat();
    let found = compare(
        HONEYPOT,
        &Value::map([("log", Value::Bin(gzip(&many)))]).bytes(),
    );
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].technique, Technique::Undecodable);
    // What begins as gzip does and is none.
    let junk = [b"\x1f\x8b\x08", text.as_bytes()].concat();
    let found = compare(HONEYPOT, &Value::map([("log", Value::Bin(junk))]).bytes());
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].technique, Technique::Undecodable);
}

#[test]
fn an_event_that_is_cut_off_is_told() {
    let user = "system:serviceaccount:honeypot:backup-sa";
    let event = json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "1", "level": "Metadata",
        "user": {"username": user}, "verb": "list", "z": "z"});
    let bytes = Value::from(&event).bytes();
    let found = compare(HONEYPOT, &bytes[..bytes.len() - 2]);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].technique, Technique::Undecodable);
}
