//! Messages that no shipper sends, and that name a decoy: they are refused, and told all the same.

use std::{io::Write, iter, net::Shutdown, thread, time::Duration};

use super::{Mode, PATIENCE, Source};
use crate::msgpack::{Value, bodies::event};

fn array<const N: usize>(values: [Value; N]) -> Value {
    Value::Array(values.to_vec())
}

fn entry(record: Value) -> Value {
    array([1.into(), record])
}

#[test]
fn what_is_refused_is_searched() {
    let source = Source::start(|config| config.max_message_bytes = 1 << 20);
    let none = || Value::map([]);
    let clean = || Value::map([("a", "b".repeat(100).as_str().into())]);
    let tag = || Value::from("t");
    let packed = |bytes: &[u8]| array([tag(), Value::Bin(bytes.to_vec())]).bytes();
    let entries = |records: &[Value]| Value::Array(records.iter().cloned().map(entry).collect());
    let signal = Value::map([("fluent_signal", 1.into())]);
    let cut = |bytes: &[u8]| bytes[..bytes.len() - 20].to_vec();
    let long = ("z", "y".repeat(2 << 20).as_str().into());
    let chunk = Value::map([("chunk", "c".repeat(5000).as_str().into())]);
    let good = entry(event()).bytes();
    let run = |junk: &[u8]| [&entry(clean()).bytes(), junk, &good].concat();
    let odd = [
        ("five values", array([tag(), 1.into(), event(), none(), Value::Nil]).bytes()),
        ("options", array([tag(), 1.into(), event(), 7.into()]).bytes()),
        ("tag", array([Value::Nil, 1.into(), event()]).bytes()),
        ("time in words", array([tag(), "2026-11-23".into(), event()]).bytes()),
        ("time is true", array([tag(), Value::Bool(true), event()]).bytes()),
        ("no time", array([tag(), event()]).bytes()),
        ("no array", Value::map([("tag", tag()), ("record", event())]).bytes()),
        ("chunk", array([tag(), 1.into(), event(), chunk]).bytes()),
        ("metrics", array([tag(), entries(&[event()]), signal.clone()]).bytes()),
        ("a metric", array([tag(), 1.into(), event(), signal]).bytes()),
        ("cut off", cut(&array([tag(), entries(&[event(), clean()])]).bytes())),
        ("cut off, packed", cut(&packed(&run(b"")))),
        ("junk first", packed(&[b"\xc1", good.as_slice()].concat())),
        ("junk between", packed(&run(b"\x07"))),
        ("a newline between", packed(&run(b"\n"))),
        ("behind what is none", [array([tag(), 7.into()]).bytes(), array([tag(), 1.into(), event()]).bytes()].concat()),
        ("too long", array([tag(), 1.into(), event(), Value::map([long])]).bytes()),
        ("HTTP", b"POST / HTTP/1.1\r\n\r\n{\"kind\":\"Event\",\"auditID\":\"1\",\"user\":{\"username\":\"system:serviceaccount:honeypot:backup-sa\"}}".to_vec()),
    ];
    for (told, (name, bytes)) in iter::zip(1.., odd) {
        let mut client = source.connect();
        // It may be closed before all is written.
        let _ = client.stream.write_all(&bytes);
        let _ = client.stream.shutdown(Shutdown::Write);
        assert_eq!(client.hear(), None, "{name}");
        let began = std::time::Instant::now();
        while source.found().len() < told {
            assert!(began.elapsed() < PATIENCE / 3, "{name}");
            thread::sleep(Duration::from_millis(2));
        }
        assert_eq!(source.found().len(), told, "{name}");
    }
    let good = Mode::Message.messages(&[entry(event())], Some("c"), &mut iter::repeat(0));
    let mut client = source.connect();
    client.send(&good);
    assert_eq!(client.ack().as_deref(), Some("c"));
    source.end();
}
