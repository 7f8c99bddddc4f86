//! What is packed, and does not say so, or more often than it says.

use std::{
    io::{Read, Write},
    iter,
    time::Instant,
};

use baitline::source::server::Refusal;
use flate2::{Compression, read::ZlibEncoder};

use super::{PATIENCE, Source, client::gzip};
use crate::msgpack::{Value, bodies::event};

type Pack<'p> = &'p dyn Fn(&[u8]) -> Vec<u8>;

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    let mut encoder = ZlibEncoder::new(bytes, Compression::fast());
    encoder.read_to_end(&mut packed).expect("memory takes all");
    packed
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("memory takes all")
}

fn entry(record: Value) -> Vec<u8> {
    Value::Array(vec![1.into(), record]).bytes()
}

/// A message that does not say what its entries are packed in.
fn message(packed: Vec<u8>) -> Vec<u8> {
    let chunk = Value::map([("chunk", "c".into())]);
    Value::Array(vec!["tag".into(), Value::Bin(packed), chunk]).bytes()
}

#[test]
fn a_body_is_unpacked_whatever_it_is_packed_in_and_however_often() {
    let source = Source::start(|_| {});
    let mut client = source.connect();
    let entries = entry(event());
    let clean = entry(Value::map([("log", "x".into())]));
    let ways: [(&str, Pack); 6] = [
        ("zlib", &zlib),
        ("gzip twice", &|bytes| gzip(&gzip(bytes))),
        ("zstd twice", &|bytes| zstd(&zstd(bytes))),
        ("zstd in gzip", &|bytes| gzip(&zstd(bytes))),
        ("zlib in zstd", &|bytes| zstd(&zlib(bytes))),
        ("four times", &|bytes| gzip(&zlib(&zstd(&gzip(bytes))))),
    ];
    for (told, (name, pack)) in iter::zip(1.., ways) {
        client.send(&message(pack(&entries)));
        assert_eq!(client.ack().as_deref(), Some("c"), "{name}");
        let found = source.found();
        assert_eq!(found.len(), told, "{name}");
        assert_eq!(found[told - 1].technique.as_str(), "token_use", "{name}");
        // Less than the head by which text is told.
        client.send(&message(pack(&clean)));
        assert_eq!(client.ack().as_deref(), Some("c"), "{name}");
    }
    source.end();
}

#[test]
fn a_value_in_a_record_is_unpacked() {
    let source = Source::start(|_| {});
    let mut client = source.connect();
    let text = serde_json::json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "1", "verb": "list",
        "stage": "ResponseComplete", "user": {"username": "system:serviceaccount:honeypot:backup-sa"}});
    let lines = format!("{{\"kind\":\"Event\"}}\n{text}\n");
    for (told, packed) in iter::zip(
        1..,
        [
            gzip(lines.as_bytes()),
            zlib(lines.as_bytes()),
            zstd(lines.as_bytes()),
        ],
    ) {
        let record = Value::map([("stream", "kinesis".into()), ("log", Value::Bin(packed))]);
        client.send(&message(entry(record)));
        assert_eq!(client.ack().as_deref(), Some("c"));
        let techniques = source
            .found()
            .into_iter()
            .map(|found| found.technique.as_str());
        assert_eq!(techniques.collect::<Vec<_>>(), vec!["token_use"; told]);
    }
    source.end();
}

#[test]
fn what_is_behind_junk_is_searched_however_far() {
    let source = Source::start(|_| {});
    let clean = entry(Value::map([("log", "x".repeat(900).as_str().into())]));
    let junk = [b"\xc1", "y".repeat(600_000).as_bytes()].concat();
    let entries = [entry(event()), clean.repeat(1000), junk, entry(event())].concat();
    let mut client = source.connect();
    let _ = client.stream.write_all(&message(gzip(&entries)));
    assert_eq!(client.hear(), None);
    source.wait_refused(Refusal::Malformed, 1);
    let techniques = source
        .found()
        .into_iter()
        .map(|found| found.technique.as_str());
    assert_eq!(techniques.collect::<Vec<_>>(), ["token_use", "undecodable"]);
    source.end();
}

#[test]
fn bombs_in_bombs_are_refused_and_what_is_damaged_is_searched() {
    let source = Source::start(|config| {
        config.max_message_bytes = 100_000;
        config.max_line_bytes = 50_000;
    });
    let small = entry(Value::map([("log", "x".repeat(900).as_str().into())]));
    let send = |bytes: &[u8]| {
        let mut client = source.connect();
        // It may be closed before all is written.
        let _ = client.stream.write_all(&message(bytes.to_vec()));
        assert_eq!(client.hear(), None);
    };
    send(&gzip(&gzip(&small.repeat(4000))));
    // Of what is in between, more comes than may: members without anything in them.
    send(&gzip(&gzip(b"").repeat(100_000)));
    source.wait_refused(Refusal::TooLarge, 2);
    let whole = gzip(&gzip(&entry(event())));
    send(&whole[..whole.len() - 5]);
    source.wait_refused(Refusal::Malformed, 1);
    let began = Instant::now();
    while source.found().is_empty() {
        assert!(
            began.elapsed() < PATIENCE,
            "what comes before the damage is found"
        );
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    source.connect().settle();
    source.end();
}
