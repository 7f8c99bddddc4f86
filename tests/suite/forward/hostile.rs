//! Peers that mean harm, or are broken.

use std::{io::Write, iter};

use baitline::source::server::Refusal;

use super::{Mode, Source, client::gzip};
use crate::{msgpack::Value, program::inputs::noise};

fn entry(record: Value) -> Value {
    Value::Array(vec![Value::Integer(1_795_455_390), record])
}

fn packed(bytes: Vec<u8>) -> Vec<u8> {
    Value::Array(vec![
        "tag".into(),
        Value::Bin(bytes),
        Value::map([("chunk", "c".into())]),
    ])
    .bytes()
}

/// Sends `bytes`, and sees that the connection is closed without an acknowledgement.
fn is_closed(source: &Source, bytes: &[u8]) {
    let mut client = source.connect();
    // It may be closed before all is written.
    let _ = client.stream.write_all(bytes);
    assert_eq!(client.hear(), None);
}

#[test]
fn what_is_no_message_ends_its_connection_and_no_other() {
    let source = Source::start(|_| {});
    let mut good = source.connect();
    let garbage = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"{\"log\": \"x\"}".to_vec(),
        vec![0xc1],
        b"\x92\xa3tag\xc1".to_vec(),
        b"\x92\x07\x90".to_vec(),
        b"\x93\xa3tag\x90\x07".to_vec(),
        b"\x91\x90".to_vec(),
        // Entries that are none, or end too early.
        packed(b"\xc1".to_vec()),
        packed(b"\x92\x07".to_vec()),
        packed([entry("x".into()).bytes(), b"\x92\x07\xda\xff".to_vec()].concat()),
        // No gzip behind its first bytes, and half of one.
        packed(b"\x1f\x8b\x08garbage".to_vec()),
        packed(gzip(&entry("x".into()).bytes())[..15].to_vec()),
        packed(gzip(&[0xc1; 100])),
    ];
    for (times, bytes) in garbage.iter().enumerate() {
        is_closed(&source, bytes);
        source.wait_refused(Refusal::Malformed, times as u64 + 1);
    }
    good.settle();
    for seed in 0..50 {
        let bytes = &noise(5000)[seed * 97..];
        let mut client = source.connect();
        let _ = client.stream.write_all(bytes);
        let _ = client.stream.shutdown(std::net::Shutdown::Write);
        assert_eq!(client.hear(), None);
    }
    good.settle();
    source.end();
}

#[test]
fn what_is_sound_before_garbage_is_acknowledged() {
    let source = Source::start(|_| {});
    let mut client = source.connect();
    let good = Mode::Forward.messages(&[entry("x".into())], Some("good"), &mut iter::repeat(0));
    client.send(&[good.as_slice(), &packed(vec![0xc1]), &good].concat());
    assert_eq!(client.ack().as_deref(), Some("good"));
    assert_eq!(client.hear(), None);
    source.end();
}

#[test]
fn no_length_is_believed_that_is_beyond_the_limit() {
    let source = Source::start(|config| config.max_message_bytes = 1 << 20);
    for bytes in [
        b"\x92\xdb\xff\xff\xff\xff".as_slice(),
        b"\x92\xa3tag\xc6\xff\xff\xff\xffx",
        b"\x92\xa3tag\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xdd\xff\xff\xff\xff\xa3tag",
    ] {
        is_closed(&source, bytes);
    }
    // Somewhat too long.
    is_closed(&source, &packed(vec![0; 1 << 20]));
    source.connect().settle();
    assert_eq!(
        source.refused(Refusal::TooLarge) + source.refused(Refusal::Malformed),
        6
    );
    source.end();
}

#[test]
fn what_is_nested_10_000_deep_is_searched() {
    let source = Source::start(|_| {});
    let mut client = source.connect();
    let user = "system:serviceaccount:honeypot:backup-sa";
    let event = serde_json::json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "1",
        "user": {"username": user}, "verb": "list"});
    for depth in [10, 100, 10_000] {
        let open = [b"\x81\xa1k".repeat(depth), Value::from(&event).bytes()].concat();
        let bytes = [b"\x92\x07".to_vec(), open].concat();
        client.send(&packed(bytes));
        assert_eq!(client.ack().as_deref(), Some("c"));
    }
    let techniques: Vec<&str> = source
        .found()
        .iter()
        .map(|found| found.technique.as_str())
        .collect();
    assert_eq!(techniques, ["token_use", "undecodable", "undecodable"]);
    source.end();
}

#[test]
fn bombs_are_refused() {
    let source = Source::start(|config| {
        config.max_message_bytes = 100_000;
        config.max_line_bytes = 50_000;
    });
    // Entry after entry, and one that never ends.
    let small = entry(Value::map([("log", "x".repeat(900).as_str().into())])).bytes();
    let many = small.repeat(4000);
    is_closed(&source, &packed(gzip(&many)));
    is_closed(
        &source,
        &packed(zstd::encode_all(many.as_slice(), 1).expect("memory takes all")),
    );
    let endless = [
        b"\x92\x07\xdb\xff\xff\xff\xff".to_vec(),
        vec![b'x'; 10 << 20],
    ]
    .concat();
    is_closed(&source, &packed(gzip(&endless)));
    source.wait_refused(Refusal::TooLarge, 3);
    // As much as may be.
    let mut client = source.connect();
    client.send(&packed(gzip(&small.repeat(1600))));
    assert_eq!(client.ack().as_deref(), Some("c"));
    source.end();
}

#[test]
fn half_a_message_is_nothing() {
    let source = Source::start(|_| {});
    let bytes = packed(entry("x".into()).bytes());
    for length in [1, 3, 7, bytes.len() - 1] {
        let mut client = source.connect();
        client.send(&bytes[..length]);
        client
            .stream
            .shutdown(std::net::Shutdown::Write)
            .expect("it is open");
        assert_eq!(client.hear(), None);
    }
    source.connect().settle();
    source.end();
}

#[test]
fn who_is_idle_makes_room_and_who_is_not_permitted_is_not_heard() {
    let source = Source::start(|config| config.connection_limit = 4);
    let idle: Vec<_> = (0..40).map(|_| source.connect()).collect();
    source.connect().settle();
    drop(idle);
    source.end();
    let source = Source::start(|config| {
        config.permit_origin = vec!["10.0.0.0/8".parse().expect("a network")];
    });
    assert_eq!(source.connect().hear(), None);
    source.wait_refused(Refusal::Auth, 1);
    source.end();
}
