use baitline::record::protobuf::{
    Fault, Field, entries, is_log, write_entry, write_record, write_texts,
};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{Value, entry, message, number, shortest};

/// Any value.
fn value() -> impl Strategy<Value = Value> {
    let text = || prop::collection::vec(any::<u8>(), 0..40);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Integer),
        any::<f64>().prop_map(Value::Float),
        text().prop_map(Value::Bytes),
        ".{0,200}".prop_map(|text| Value::from(text.as_str())),
        (any::<i64>(), any::<i32>()).prop_map(|(seconds, nanos)| Value::Time(seconds, nanos)),
        (0..2_000_000_000_i64, 0..1_000_000_000).prop_map(|(time, nanos)| Value::Time(time, nanos)),
    ];
    leaf.prop_recursive(5, 64, 20, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(Value::Array),
            prop::collection::vec((text(), inner), 0..20).prop_map(Value::Map),
        ]
    })
}

/// What is written of `value`, as far as `serde_json` keeps it: of pairs with the same key the last.
fn expected(value: &Value) -> Json {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match value {
        Value::Bytes(bytes) => text(bytes).into(),
        Value::Time(seconds, nanoseconds) => jiff::Timestamp::new(*seconds, *nanoseconds)
            .map_or(Json::Null, |time| format!("{time:.6}").into()),
        Value::Integer(integer) => (*integer).into(),
        Value::Float(float) => serde_json::from_str(&format!("{float:?}")).unwrap_or(Json::Null),
        Value::Bool(truth) => (*truth).into(),
        Value::Map(pairs) => {
            let pair = |(key, value): &(Vec<u8>, Value)| (text(key), expected(value));
            Json::Object(pairs.iter().map(pair).collect())
        }
        Value::Array(items) => Json::Array(items.iter().map(expected).collect()),
        Value::Null => Json::Null,
    }
}

fn json(entry: &[u8]) -> String {
    let mut json = Vec::new();
    write_entry(entry, &mut json);
    String::from_utf8(json).expect("JSON is UTF-8")
}

fn texts(entry: &[u8]) -> Vec<u8> {
    let mut texts = Vec::new();
    write_texts(entry, &mut texts);
    texts
}

fn parsed(entry: &[u8]) -> Json {
    let json = json(entry);
    serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"))
}

fn is_broken(entry: &[u8]) -> bool {
    serde_json::from_str::<Json>(&json(entry)).is_err()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_was_written_is_read_in_whatever_form(
        value in value(), dice in prop::collection::vec(0..4_u8, 1..20),
    ) {
        let bytes = value.entry(&mut dice.iter().copied().cycle());
        prop_assert_eq!(entries(&bytes).collect::<Vec<_>>(), [Ok(&bytes[..])]);
        prop_assert!(is_log(&bytes));
        let wanted = match (&value, expected(&value)) {
            (Value::Map(_) | Value::Array(_), wanted) => wanted,
            (_, scalar) => json!({"message": scalar}),
        };
        prop_assert_eq!(parsed(&bytes), wanted);
    }

    #[test]
    fn any_bytes_are_walked_and_written(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let whole = entries(&bytes).map_while(Result::ok).map(<[u8]>::len).sum::<usize>();
        prop_assert!(whole <= bytes.len());
        for bytes in [bytes.clone(), entry(&bytes, &mut shortest())] {
            is_log(&bytes);
            json(&bytes);
            prop_assert!(texts(&bytes).len() <= 2 * bytes.len() + 1);
        }
    }

    #[test]
    fn damage_is_survived(
        value in value(), damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = value.entry(&mut shortest());
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        is_log(&bytes);
        json(&bytes);
    }
}

#[test]
fn a_length_makes_no_promise() {
    for bytes in [
        &b"\x0a\xff\xff\xff\xff\x0fx"[..],
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x",
        b"\x0a\x05abcd",
        b"\x0a",
        b"\x8a",
        b"\x09\0\0\0\0\0\0\0",
        b"\x0d\0\0\0",
        b"",
    ] {
        assert_eq!(Field::read(bytes), Err(Fault::CutOff), "{bytes:x?}");
    }
    for bytes in [
        // Groups, no field, what no wire type is, numbers beyond 64 and 29 bits.
        &b"\x0b\x0c"[..],
        b"\x02\x00",
        b"\x0e",
        b"\x0f",
        b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
        b"\xfa\xff\xff\xff\xff\x0f\x00",
    ] {
        assert_eq!(Field::read(bytes), Err(Fault::Malformed), "{bytes:x?}");
    }
}

#[test]
fn nothing_is_nested_so_deep_that_it_is_lost() {
    let deep = |field: u64, times: usize| {
        let mut value = Value::from("honeypot").encoded(&mut shortest());
        for _ in 0..times {
            let dice = &mut shortest();
            let inner = match field {
                7 => message(1, &message(2, &value, dice), dice),
                _ => message(1, &value, dice),
            };
            value = message(field, &inner, dice);
        }
        entry(&message(2, &value, &mut shortest()), &mut shortest())
    };
    for field in [7, 8] {
        assert!(json(&deep(field, 100)).contains("\"honeypot\""));
        assert!(!is_broken(&deep(field, 100)));
        let json = json(&deep(field, 10_000));
        assert!(json.contains("honeypot"));
        assert!(is_broken(&deep(field, 10_000)));
        let depth = json.bytes().filter(|byte| b"[{".contains(byte)).count();
        assert!(depth < 300 || field == 7, "{depth}");
    }
}

#[test]
fn events_are_written_as_vector_prints_them() {
    let dice = &mut shortest();
    let map = Value::map([("log", "x".into())]);
    let log = map.log(dice);
    let with = |parts: &[&[u8]]| entry(&parts.concat(), &mut shortest());
    let empty = Value::Map(Vec::new()).encoded(dice);
    let told = Value::map([("a", Value::Integer(1))]).encoded(dice);
    let full = |value: &[u8]| {
        let secrets = message(6, b"secret", &mut shortest());
        message(
            4,
            &[message(1, value, &mut shortest()), secrets].concat(),
            &mut shortest(),
        )
    };
    let value = |value: Value| message(2, &value.encoded(&mut shortest()), &mut shortest());
    for (bytes, wanted) in [
        (with(&[&log]), json!({"log": "x"})),
        (with(&[]), json!({})),
        // As Vector sends a map: with metadata twice, which is empty most often.
        (
            with(&[&log, &message(3, &empty, dice), &full(&empty)]),
            json!({"log": "x"}),
        ),
        (with(&[&log, &full(&told)]), json!([{"log": "x"}, {"a": 1}])),
        (with(&[&full(&told), &log]), json!([{"a": 1}, {"log": "x"}])),
        (
            with(&[&log, &message(3, &told, dice)]),
            json!([{"log": "x"}, {"a": 1}]),
        ),
        // As it sends what is no map.
        (Value::from("text").entry(dice), json!({"message": "text"})),
        (Value::Array(vec![Value::Null]).entry(dice), json!([null])),
        (with(&[&value(map.clone())]), json!({"log": "x"})),
        (
            with(&[&value("text".into()), &full(&told)]),
            json!([{"message": "text"}, {"a": 1}]),
        ),
        // As nobody does.
        (
            with(&[&log, &value("text".into())]),
            json!([{"log": "x"}, {"message": "text"}]),
        ),
        (
            with(&[&log, &message(9, b"new", dice), &log]),
            json!([{"log": "x"}, {"log": "x"}]),
        ),
        // What protobuf leaves out.
        (with(&[&message(1, b"", dice)]), json!({"": null})),
        (with(&[&message(1, b"\x0a\x01k", dice)]), json!({"k": null})),
        (
            with(&[&message(1, b"\x12\x02\x30\x01", dice)]),
            json!({"": true}),
        ),
        (
            with(&[&message(1, b"\x0a\x01k\x12\x00", dice)]),
            json!({"k": null}),
        ),
    ] {
        assert_eq!(parsed(&bytes), wanted);
    }
    let mut record = Vec::new();
    write_record(&with(&[&log, &full(&told)]), &mut record);
    assert_eq!(record, br#"{"log":"x"}"#);
}

#[test]
fn what_is_not_known_is_passed_around_an_event_and_never_within() {
    let dice = &mut shortest();
    let log = Value::map([("log", "honeypot".into())]).log(dice);
    let unknown = [message(200, b"new", dice), number(100, 7, dice)].concat();
    let wrapper = [message(1, &log, dice), unknown.clone()].concat();
    assert_eq!(
        parsed(&message(1, &wrapper, dice)),
        json!({"log": "honeypot"})
    );
    assert_eq!(
        parsed(&entry(&[log.clone(), unknown.clone()].concat(), dice)),
        json!({"log": "honeypot"})
    );
    let text = Value::from("honeypot").encoded(dice);
    let of_value = |value: &[u8]| entry(&message(2, value, &mut shortest()), &mut shortest());
    let of_pair = |pair: &[u8]| entry(&message(1, pair, &mut shortest()), &mut shortest());
    let (key, held) = (message(1, b"k", dice), message(2, &text, dice));
    for bytes in [
        of_value(&[text.clone(), unknown.clone()].concat()),
        of_value(&[unknown.clone(), text.clone()].concat()),
        of_value(&[text.clone(), text.clone()].concat()),
        of_value(&message(4, b"honeypot", dice)),
        of_value(&message(10, b"honeypot", dice)),
        of_value(&[number(1, 7, dice), text.clone()].concat()),
        of_value(&message(8, &message(2, &text, dice), dice)),
        of_pair(&[held.clone(), key.clone()].concat()),
        of_pair(&[key.clone(), held.clone(), held.clone()].concat()),
        of_pair(&[key.clone(), key.clone(), held.clone()].concat()),
        of_pair(&[key, message(3, &text, dice)].concat()),
    ] {
        assert!(is_broken(&bytes), "{}", json(&bytes));
        assert!(json(&bytes).contains("honeypot"), "{}", json(&bytes));
    }
}

#[test]
fn what_is_cut_off_is_broken_and_keeps_all_there_is() {
    let dice = &mut shortest();
    let log = Value::map([("log", "honeypot".into()), ("next", "backup-sa".into())]).log(dice);
    let whole = entry(&log, dice);
    for length in 1..log.len() {
        // The lengths around it fit, or do not.
        for bytes in [entry(&log[..length], dice), whole[..length + 3].to_vec()] {
            assert!(is_log(&bytes));
            let json = json(&bytes);
            let is_whole_pair = length == 19 && Field::read(&bytes).is_ok();
            assert_eq!(is_broken(&bytes), !is_whole_pair, "{length}: {json}");
            for name in ["honeypot", "backup-sa"] {
                let is_there = bytes
                    .windows(name.len())
                    .any(|part| part == name.as_bytes());
                assert_eq!(json.contains(name), is_there, "{json}");
            }
        }
    }
}

#[test]
fn only_logs_are_logs() {
    let dice = &mut shortest();
    let of = |wrapper: &[u8]| message(1, wrapper, &mut shortest());
    let (log, metric, trace) = (
        message(1, b"", dice),
        message(2, b"x", dice),
        message(3, b"x", dice),
    );
    assert!(is_log(&of(&log)));
    assert!(is_log(&of(&[metric.clone(), log].concat())));
    assert!(is_log(&of(b"\xff")), "nobody can tell");
    assert!(is_log(b"\x0a\x05"));
    for other in [of(&metric), of(&trace), of(b""), message(2, b"x", dice)] {
        assert!(!is_log(&other));
        assert_eq!(parsed(&other), json!({}));
    }
}

#[test]
fn texts_are_told_as_they_are() {
    let dice = &mut shortest();
    let value = Value::map([
        (
            "a",
            Value::Array(vec!["\u{1}\"\u{e9}".into(), Value::Integer(1)]),
        ),
        ("b", Value::map([("c", "d".into())])),
    ]);
    let whole = value.entry(dice);
    assert_eq!(
        texts(&whole),
        "\"a\"\"\u{1}\"\u{e9}\"\"b\"\"c\"\"d\"".as_bytes()
    );
    // Where it cannot be read, what looks like text is.
    let mut damaged = whole.clone();
    let at = whole
        .windows(2)
        .position(|part| part == b"\x0a\x01")
        .expect("the first key");
    damaged[at] = 0x0b;
    let told = String::from_utf8_lossy(&texts(&damaged)).into_owned();
    assert!(
        told.contains("\"a\"") && told.contains("\"c\"") && told.contains("\"d\""),
        "{told}"
    );
    assert!(is_broken(&damaged));
    let json = json(&damaged);
    assert!(
        json.starts_with("{\"a\",") || json.starts_with("{{\"a\","),
        "{json}"
    );
}
