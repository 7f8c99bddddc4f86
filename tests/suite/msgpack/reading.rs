use baitline::record::msgpack::{
    Fault, Step, Token, Walk, begins_with_entry, entries, write_entry,
};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::Value;

/// Any value.
pub fn value() -> impl Strategy<Value = Value> {
    let text = || prop::collection::vec(any::<u8>(), 0..40);
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        (i128::from(i64::MIN)..=i128::from(u64::MAX)).prop_map(Value::Integer),
        any::<i8>().prop_map(|small| Value::Integer(small.into())),
        any::<f64>().prop_map(Value::Float),
        text().prop_map(Value::Str),
        ".{0,40}".prop_map(|text| Value::from(text.as_str())),
        text().prop_map(Value::Bin),
        (any::<i8>(), text()).prop_map(|(kind, bytes)| Value::Ext(kind, bytes)),
    ];
    leaf.prop_recursive(5, 64, 20, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(Value::Array),
            prop::collection::vec((inner.clone(), inner), 0..20).prop_map(Value::Map),
        ]
    })
}

fn token(value: &Value) -> Token<'_> {
    match value {
        Value::Nil => Token::Nil,
        Value::Bool(truth) => Token::Bool(*truth),
        Value::Integer(number) => Token::Integer(*number),
        Value::Float(number) => Token::Float(*number),
        Value::Str(bytes) => Token::Str(bytes),
        Value::Bin(bytes) => Token::Bin(bytes),
        Value::Ext(kind, bytes) => Token::Ext(*kind, bytes),
        Value::Array(items) => Token::Array(items.len() as u32),
        Value::Map(pairs) => Token::Map(pairs.len() as u32),
    }
}

/// Reads `value` at the beginning of `bytes`, and gives what is behind it.
fn expect<'b>(value: &Value, bytes: &'b [u8]) -> &'b [u8] {
    let (read, length) = Token::read(bytes).expect("a value");
    let same = match (read, token(value)) {
        (Token::Float(one), Token::Float(other)) => {
            one.to_bits() == other.to_bits() || one == other
        }
        (one, other) => one == other,
    };
    assert!(same, "{read:?} for {value:?}");
    let rest = &bytes[length..];
    match value {
        Value::Array(items) => items.iter().fold(rest, |rest, item| expect(item, rest)),
        Value::Map(pairs) => pairs
            .iter()
            .fold(rest, |rest, (key, value)| expect(value, expect(key, rest))),
        _ => rest,
    }
}

fn json(entry: &[u8]) -> String {
    let mut json = Vec::new();
    write_entry(entry, &mut json);
    String::from_utf8(json).expect("JSON is UTF-8")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_was_written_is_read_in_whatever_form(
        value in value(), dice in prop::collection::vec(0..4_u8, 1..20),
    ) {
        let bytes = value.encoded(&mut dice.iter().copied().cycle());
        prop_assert_eq!(expect(&value, &bytes).len(), 0);
        let written: serde_json::Result<Json> = serde_json::from_str(&json(&bytes));
        let is_entry = entries(&bytes).all(|entry| entry.is_ok());
        prop_assert_eq!(written.is_ok(), is_entry, "{}", json(&bytes));
    }

    #[test]
    fn a_value_ends_where_it_ends_however_little_comes_at_once(
        value in value(), behind in any::<u8>(), step in 1..9_usize,
    ) {
        let mut bytes = value.bytes();
        let length = bytes.len();
        bytes.push(behind);
        let mut walk = Walk::default();
        for end in (0..length).step_by(step) {
            let Ok(Step::AtLeast(least)) = walk.on(&bytes[..end]) else {
                panic!("it is not whole");
            };
            prop_assert!(least > end as u64 && least <= length as u64);
        }
        prop_assert_eq!(walk.on(&bytes), Ok(Step::End(length)));
        prop_assert_eq!(walk.on(&bytes), Ok(Step::End(length)));
    }

    #[test]
    fn any_bytes_are_walked_and_written(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Walk::default().on(&bytes);
        let whole = entries(&bytes).map_while(Result::ok).map(<[u8]>::len).sum::<usize>();
        prop_assert!(whole <= bytes.len());
        let _ = json(&bytes);
    }
}

#[test]
fn a_length_makes_no_promise() {
    for (bytes, least) in [
        (b"\xdb\xff\xff\xff\xffx".as_slice(), 5 + u64::from(u32::MAX)),
        (b"\xc6\xff\xff\xff\xff", 5 + u64::from(u32::MAX)),
        (b"\xc9\xff\xff\xff\xff\x05", 6 + u64::from(u32::MAX)),
        (b"\xdd\xff\xff\xff\xff", 5 + u64::from(u32::MAX)),
        (b"\xdf\xff\xff\xff\xff\xa0", 5 + 2 * u64::from(u32::MAX)),
        (b"\xdb\xff\xff", 4),
        (b"", 1),
    ] {
        assert_eq!(
            Token::read(bytes).is_ok(),
            matches!(bytes.first(), Some(0xdd | 0xdf))
        );
        assert_eq!(
            Walk::default().on(bytes),
            Ok(Step::AtLeast(least)),
            "{bytes:x?}"
        );
    }
    assert_eq!(Walk::default().on(b"\x92\x01\xc1"), Err(Fault::Malformed));
}

#[test]
fn nothing_is_nested_too_deep() {
    let deep = |open: &[u8], times: usize| [open.repeat(times), b"\xa8honeypot".to_vec()].concat();
    for (open, times) in [
        (b"\x91".as_slice(), 10_000),
        (b"\x81\xa1k", 10_000),
        (b"\xdd\x00\x00\x00\x01", 1 << 20),
        (b"\x81\x91\xa1k", 10_000),
        // As a key.
        (b"\x81\x81\xa1k\xc0", 10_000),
    ] {
        let bytes = deep(open, times);
        assert_eq!(Walk::default().on(&bytes), Ok(Step::End(bytes.len())));
        let json = json(&bytes);
        assert!(json.contains("\"honeypot\""));
        let depth = json
            .bytes()
            .take_while(|byte| *byte != b'h')
            .filter(|byte| b"[{".contains(byte));
        assert!(depth.count() < 300);
    }
}

#[test]
fn entries_are_written_as_wrappers_write_them() {
    let record = || Value::map([("log", "x".into())]);
    let pair = |time: Value| Value::Array(vec![time, record()]);
    let with = |metadata: Value| {
        let head = Value::Array(vec![Value::time(1_795_455_390, 82_177_123), metadata]);
        Value::Array(vec![head, record()])
    };
    for (entry, wanted) in [
        (record(), json!({"log": "x"})),
        (
            pair(Value::Integer(1_795_455_390)),
            json!(["2026-11-23T17:36:30.000000Z", {"log": "x"}]),
        ),
        (
            pair(Value::Float(1_795_455_390.5)),
            json!(["2026-11-23T17:36:30.500000Z", {"log": "x"}]),
        ),
        (pair(Value::Nil), json!([null, {"log": "x"}])),
        (pair(Value::Integer(-7)), json!([null, {"log": "x"}])),
        (
            with(Value::Map(Vec::new())),
            json!(["2026-11-23T17:36:30.082177Z", {"log": "x"}]),
        ),
        (
            with(Value::map([("a", Value::Integer(1))])),
            json!(["2026-11-23T17:36:30.082177Z", {"log": "x"}, {"a": 1}]),
        ),
        // No time: an array like any other.
        (pair("tag".into()), json!(["tag", {"log": "x"}])),
    ] {
        let written: Json = serde_json::from_str(&json(&entry.bytes())).expect("it is JSON");
        assert_eq!(written, wanted);
    }
}

#[test]
fn what_has_no_form_in_json_is_written_all_the_same() {
    let key = |key: Value| Value::Map(vec![(key, "v".into())]);
    let list = |value: Value| Value::Array(vec![value]);
    for (value, wanted) in [
        (
            list(Value::Integer(u64::MAX.into())),
            "[18446744073709551615]",
        ),
        (
            list(Value::Integer(i64::MIN.into())),
            "[-9223372036854775808]",
        ),
        (list(Value::Float(f64::NAN)), "[null]"),
        (list(Value::Float(1e300)), "[1e300]"),
        (Value::Bin(b"a\xffb".to_vec()), "\"a\u{fffd}b\""),
        (Value::Str(b"a\"\n\x01".to_vec()), r#""a\"\n\u0001""#),
        (Value::Ext(5, b"ab".to_vec()), "\"#ab\""),
        (key(Value::Integer(-1)), r#"{"-1":"v"}"#),
        (key(Value::Nil), r#"{"null":"v"}"#),
        (key(Value::Bin(b"k".to_vec())), r#"{"k":"v"}"#),
        (key(Value::Ext(5, b"k".to_vec())), r##"{"#k":"v"}"##),
        (key(Value::Array(vec!["a".into()])), r#"{"":["a"],"":"v"}"#),
        (
            Value::Map(vec![
                ("a".into(), Value::Integer(1)),
                (Value::Map(Vec::new()), key("b".into())),
                ("a".into(), Value::Integer(2)),
            ]),
            r#"{"a":1,"":{},"":{"b":"v"},"a":2}"#,
        ),
    ] {
        assert_eq!(json(&value.bytes()), wanted);
    }
}

#[test]
fn entries_are_told_from_text_and_from_what_else_is_packed() {
    let record = Value::map([("log", "x".into())]);
    let entry = Value::Array(vec![Value::time(1, 2), record.clone()]);
    for bytes in [
        record.bytes(),
        entry.bytes(),
        Value::map([]).bytes(),
        entry.bytes()[..16].to_vec(),
    ] {
        assert!(begins_with_entry(&bytes), "{bytes:x?}");
    }
    for bytes in [
        b"\x92{\"kind\":\"Event\"}".as_slice(),
        b"\x82SNAPPY\0",
        b"{}",
        b"\x92\x07",
        b"\x91\x80",
        b"",
    ] {
        assert!(!begins_with_entry(bytes), "{bytes:x?}");
    }
}

#[test]
fn no_bracket_closes_what_is_broken() {
    let junk = b"\xc1{\"auditID\":\"1\"}";
    for head in [
        b"\x92\x07".as_slice(),
        b"\x92\x92\x07\x80",
        b"\x92\x92\x07\x81\xa1a\xa1b",
        b"\x93\x07\x80",
        b"\x92",
    ] {
        let json = json(&[head, junk].concat());
        let (mut open, mut is_within) = (0, false);
        for (at, byte) in json.bytes().enumerate() {
            match byte {
                b'"' if !json[..at].ends_with('\\') => is_within = !is_within,
                b'[' | b'{' if !is_within => open += 1,
                b']' if !is_within => panic!("{json}"),
                b'}' if !is_within => open -= 1,
                _ => {}
            }
        }
        assert!(open > 0, "{json}");
    }
}

#[test]
fn what_is_cut_off_is_broken_and_keeps_all_there_is() {
    let record = Value::map([("log", "honeypot".into()), ("next", "backup-sa".into())]);
    let entry = Value::Array(vec![Value::Integer(1_795_455_390), record]).bytes();
    for length in 1..entry.len() {
        let json = json(&entry[..length]);
        assert!(serde_json::from_str::<Json>(&json).is_err(), "{json}");
        for name in ["honeypot", "backup-sa"] {
            let is_there = entry[..length]
                .windows(name.len())
                .any(|part| part == name.as_bytes());
            assert_eq!(json.contains(name), is_there, "{json}");
        }
    }
}
