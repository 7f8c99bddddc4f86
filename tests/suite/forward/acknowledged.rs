//! What is sent is found, and acknowledged when it is safe.

use std::{iter, slice, time::Duration};

use baitline::{record::msgpack::Token, source::Counters};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{Client, Mode, Source};
use crate::{msgpack::Value, program::inputs::token_use, recordings};

/// The use of the decoy's token, by its number.
fn event(number: u32) -> Json {
    token_use(number, "10.0.3.7", json!({}))
}

/// An entry with an event, parsed or as a text.
fn entry(number: u32) -> Value {
    let time = match number % 3 {
        0 => Value::Integer(1_795_455_390),
        1 => Value::time(1_795_455_390, 5),
        _ => Value::Array(vec![Value::time(1_795_455_390, 5), Value::Map(Vec::new())]),
    };
    let record = match number % 2 {
        0 => Value::from(&event(number)),
        _ => Value::map([("log", event(number).to_string().as_str().into())]),
    };
    Value::Array(vec![time, record])
}

fn ids(numbers: impl Iterator<Item = u32>) -> Vec<String> {
    numbers.map(|number| format!("request-{number}")).collect()
}

#[test]
fn every_mode_is_found_and_acknowledged() {
    let source = Source::start(|_| {});
    let mut client = source.connect();
    let mut number = 0;
    for mode in Mode::ALL {
        for dice in [[0, 0, 0], [1, 2, 3], [3, 3, 3]] {
            let entries: Vec<Value> = (number..number + 6).map(entry).collect();
            let chunk = format!("chunk-{number}");
            let messages = mode.messages(&entries, Some(&chunk), &mut dice.into_iter().cycle());
            client.send(&messages);
            let times = if mode == Mode::Message {
                entries.len()
            } else {
                1
            };
            for _ in 0..times {
                assert_eq!(client.ack().as_deref(), Some(chunk.as_str()), "{mode:?}");
            }
            number += 6;
        }
    }
    assert_eq!(source.audit_ids(), ids(0..number));
    let origin = &source.found()[0].origin;
    assert_eq!(origin.position.as_deref(), Some("forward:unix"));
    assert_eq!(origin.headers["tag"], "kube.audit");
    assert_eq!(
        origin.time.map(|time| time.as_second()),
        Some(1_795_455_390)
    );
    source.end();
}

#[test]
fn messages_may_follow_each_other_and_be_cut_anywhere() {
    let source = Source::start(|_| {});
    let mut messages = Vec::new();
    let event = json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "1",
        "user": {"username": "system:serviceaccount:honeypot:backup-sa"}});
    let entry = Value::Array(vec![Value::time(1_795_455_390, 5), Value::from(&event)]);
    for (number, mode) in (0..).zip(Mode::ALL) {
        // Some clients look whether anybody is there.
        messages.push(0xc0);
        let chunk = format!("chunk-{number}");
        let mut dice = [number as u8, 1, 2].into_iter().cycle();
        messages.extend(mode.messages(slice::from_ref(&entry), Some(&chunk), &mut dice));
    }
    let mut client = source.connect();
    for cut in 1..messages.len() {
        client.send(&messages[..cut]);
        client.send(&messages[cut..]);
        for number in 0..Mode::ALL.len() {
            assert_eq!(client.ack(), Some(format!("chunk-{number}")), "{cut}");
        }
    }
    assert_eq!(source.found().len(), (messages.len() - 1) * Mode::ALL.len());
    // A byte at a time.
    for byte in &messages {
        client.send(&[*byte]);
    }
    for number in 0..Mode::ALL.len() {
        assert_eq!(client.ack(), Some(format!("chunk-{number}")));
    }
    source.end();
}

#[test]
fn nothing_is_acknowledged_before_it_is_safe() {
    let source = Source::with(false, |_| {});
    let (mut client, mut other) = (source.connect(), source.connect());
    let hit = Mode::Packed.messages(&[entry(1)], Some("hit"), &mut iter::repeat(0));
    client.send(&hit);
    let acknowledge = source
        .commits
        .recv_timeout(super::PATIENCE)
        .expect("a commit");
    // Others are served while it waits, and what holds nothing need not wait.
    let clean = Value::Array(vec![
        Value::Integer(1),
        Value::map([("log", "clean".into())]),
    ]);
    other.send(&Mode::Forward.messages(&[clean], Some("clean"), &mut iter::repeat(0)));
    assert_eq!(other.ack().as_deref(), Some("clean"));
    client
        .stream
        .set_read_timeout(Some(Duration::from_millis(100)))
        .expect("a timeout");
    let heard = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| client.ack()));
    assert!(heard.is_err(), "nothing is said yet");
    client
        .stream
        .set_read_timeout(Some(super::PATIENCE))
        .expect("a timeout");
    acknowledge();
    assert_eq!(client.ack().as_deref(), Some("hit"));
    // If it never becomes safe, it is never acknowledged: the connection ends.
    client.send(&hit);
    drop(
        source
            .commits
            .recv_timeout(super::PATIENCE)
            .expect("a commit"),
    );
    assert_eq!(client.hear(), None);
    source.end();
}

#[test]
fn what_asks_for_no_acknowledgement_is_read_to_its_end() {
    let source = Source::start(|_| {});
    let entries: Vec<Value> = (0..500).map(entry).collect();
    for mode in Mode::ALL {
        let mut client = source.connect();
        client.send(&mode.messages(&entries, None, &mut iter::repeat(0)));
        client
            .stream
            .shutdown(std::net::Shutdown::Write)
            .expect("it is open");
        assert_eq!(client.hear(), None, "nothing is said, and then it ends");
    }
    assert_eq!(source.found().len(), 500 * Mode::ALL.len());
    source.end();
}

#[test]
fn long_records_are_told_though_they_are_not_decoded() {
    let source = Source::start(|config| config.max_line_bytes = 20_000);
    let mut client = source.connect();
    let mut long = event(2);
    long["requestObject"] = json!({"text": "x".repeat(30_000)});
    let entries = [event(1), long, event(3)]
        .map(|event| Value::Array(vec![Value::Integer(1_795_455_390), Value::from(&event)]));
    for mode in [Mode::Forward, Mode::Packed, Mode::Gzip, Mode::Message] {
        client.send(&mode.messages(&entries, None, &mut iter::repeat(0)));
    }
    client.settle();
    let techniques: Vec<&str> = source
        .found()
        .iter()
        .map(|found| found.technique.as_str())
        .collect();
    assert_eq!(
        techniques,
        ["token_use", "undecodable", "token_use"].repeat(4)
    );
    source.end();
}

#[test]
fn what_is_no_log_is_counted_and_passed() {
    let source = Source::start(|_| {});
    let mut client = source.connect();
    let options = Value::map([("chunk", "m".into()), ("fluent_signal", Value::Integer(1))]);
    let metrics = Value::Bin(Value::from(&json!({"meta": {}, "metrics": [1, 2]})).bytes());
    client.send(&Value::Array(vec!["metrics".into(), metrics, options]).bytes());
    assert_eq!(client.ack().as_deref(), Some("m"));
    assert_eq!(source.found().len(), 0);
    let discarded =
        |counters: &Counters| counters.discarded.load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(discarded(&source.counters), 1);
    source.end();
}

/// The chunks that messages ask to be acknowledged.
fn chunks(messages: &[u8]) -> Vec<String> {
    let keys = messages
        .windows(6)
        .enumerate()
        .filter(|(_, key)| *key == b"\xa5chunk");
    keys.map(|(at, _)| match Token::read(&messages[at + 6..]) {
        Ok((Token::Str(chunk), _)) => String::from_utf8_lossy(chunk).into_owned(),
        other => panic!("{other:?}"),
    })
    .collect()
}

#[test]
fn what_fluent_bit_sent_is_found_and_acknowledged() {
    let mut found = Vec::new();
    for (name, acknowledged) in [
        ("forward-parsed-json", 0),
        ("forward-raw-log-field", 0),
        ("forward-no-metadata", 0),
        ("forward-message-mode", 0),
        ("forward-packed-gzip", 0),
        ("forward-ack-chunk", 1),
    ] {
        let source = Source::start(|_| {});
        let mut client: Client<_> = source.connect();
        let path = recordings::path("fluent-bit", &format!("{name}.bin"));
        let messages = std::fs::read(path).expect("the recording is there");
        let chunks = chunks(&messages);
        assert_eq!(chunks.len(), acknowledged);
        client.send(&messages);
        for chunk in chunks {
            assert_eq!(client.ack(), Some(chunk));
        }
        client.settle();
        let these: Vec<_> = source
            .found()
            .iter()
            .map(|found| (found.detection_id, found.technique))
            .collect();
        assert!(these.len() >= 4);
        assert!(found.is_empty() || found == these, "{name}");
        found = these;
        source.end();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_sent_in_whatever_pieces_all_of_it_is_found(
        modes in prop::collection::vec((prop::sample::select(Mode::ALL.to_vec()), 1..5_u32), 1..6),
        dice in prop::collection::vec(0..4_u8, 1..20),
        pieces in prop::collection::vec(1..3000_usize, 1..20),
    ) {
        let source = Source::start(|_| {});
        let mut client = source.connect();
        let (mut bytes, mut number) = (Vec::new(), 0);
        let mut dice = dice.iter().copied().cycle();
        for (mode, count) in modes {
            let entries: Vec<Value> = (number..number + count).map(entry).collect();
            bytes.extend(mode.messages(&entries, None, &mut dice));
            number += count;
        }
        let mut rest = bytes.as_slice();
        for piece in pieces.iter().cycle() {
            let (now, later) = rest.split_at(rest.len().min(*piece));
            client.send(now);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        client.settle();
        prop_assert_eq!(source.audit_ids(), ids(0..number));
        source.end();
    }
}
