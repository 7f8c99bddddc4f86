//! MessagePack that is posted, in forms that nobody should post.

use baitline::{
    detect::{Config as Detect, Detector},
    source::{
        Block, Decoding,
        http_server::{Config, Encoding, Method, search},
        server::{Auth, Tls},
    },
};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use super::{Value, soundness::gzip};
use crate::recordings::decoy;

/// An event that names the decoy by its full user name.
pub fn event() -> Value {
    Value::from(&json!({
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "auditID": "1",
        "stage": "ResponseComplete", "verb": "list", "requestURI": "/api/v1/namespaces",
        "user": {"username": "system:serviceaccount:honeypot:backup-sa"},
        "requestReceivedTimestamp": "2026-11-23T17:21:08.000001Z",
    }))
}

/// A source that takes whatever is posted to it, with these limits.
pub fn http_server(max_body_bytes: usize, max_line_bytes: usize) -> Config {
    Config {
        address: ([127, 0, 0, 1], 0).into(),
        path: "/".to_owned(),
        strict_path: true,
        method: Method::Post,
        auth: Auth {
            strategy: None,
            username: None,
            password: None,
            token: None,
        },
        tls: Tls::default(),
        encoding: Encoding::Json,
        response_code: 200,
        max_body_bytes,
        max_decompression_ratio: 1000,
        connection_limit: 1,
        max_line_bytes,
        decoding: Decoding::Audit,
    }
}

/// The techniques of what is found in a body.
fn found(body: &[u8]) -> Vec<&'static str> {
    let config = http_server(1 << 20, 8192);
    let decoys = [decoy("honeypot", "backup-sa", true)];
    let detector = Detector::new(&Detect::default(), &decoys, None, "audit".into());
    let mut outlet = Pipeline {
        detector: detector.expect("no glob"),
        found: Vec::new(),
    };
    search(&config, body, "", &mut outlet);
    outlet.found
}

struct Pipeline {
    detector: Detector,
    found: Vec<&'static str>,
}

impl baitline::source::Outlet for Pipeline {
    fn take(&mut self, block: &Block<'_>) -> bool {
        let mut found = Vec::new();
        self.detector.scan(block, Timestamp::UNIX_EPOCH, &mut found);
        self.found
            .extend(found.iter().map(|found| found.technique.as_str()));
        !found.is_empty()
    }

    fn commit(&mut self, _: baitline::source::Progress) {}

    fn try_commit(
        &mut self,
        _: baitline::source::Progress,
    ) -> Result<(), baitline::source::Progress> {
        Ok(())
    }
}

#[test]
fn a_body_in_any_form_is_told() {
    let array = |values: &[Value]| Value::Array(values.to_vec()).bytes();
    let entry = |record: Value| Value::Array(vec![1.into(), record]);
    let Value::Map(mut pairs) = event() else {
        panic!("an event is a map");
    };
    pairs.insert(0, (1.into(), 2.into()));
    let clean = entry(Value::map([("a", 1.into())])).bytes();
    let packed = Value::Bin(entry(event()).bytes());
    let text = br#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"2","stage":"ResponseComplete","verb":"list","#;
    let text = [
        text.as_slice(),
        br#""user":{"username":"system:serviceaccount:honeypot:backup-sa"}}"#,
    ]
    .concat();
    let long = Value::map([("a", "x".repeat(10_000).as_str().into())]);
    for (name, body, techniques) in [
        ("a map", event().bytes(), &["token_use"][..]),
        (
            "junk between",
            [&clean, b"\x07".as_slice(), &entry(event()).bytes()].concat(),
            &["undecodable"],
        ),
        (
            "maps, the same twice",
            array(&[event(), event()]),
            &["token_use"],
        ),
        (
            "entries, the same twice",
            array(&[entry(event()), entry(event())]),
            &["token_use"],
        ),
        (
            "a key that is a number",
            Value::Map(pairs).bytes(),
            &["token_use"],
        ),
        (
            "junk first",
            [b"\x07".as_slice(), &event().bytes()].concat(),
            &["undecodable"],
        ),
        (
            "a digit first",
            [b"0".as_slice(), &event().bytes()].concat(),
            &["undecodable"],
        ),
        (
            "a message",
            array(&["tag".into(), 1.into(), event()]),
            &["token_use"],
        ),
        (
            "a packed message",
            array(&["tag".into(), packed]),
            &["token_use"],
        ),
        (
            "junk behind",
            [&entry(event()).bytes(), &clean, b"\xc1".as_slice()].concat(),
            &["token_use"],
        ),
        (
            "a needle in the junk behind",
            [
                &entry(event()).bytes(),
                b"\xc1\xff\x07".as_slice(),
                &event().bytes(),
            ]
            .concat(),
            &["token_use", "undecodable"],
        ),
        (
            "text behind",
            [&entry(event()).bytes(), b"\xc1".as_slice(), &text].concat(),
            &["token_use", "token_use"],
        ),
        (
            "broken text behind",
            [
                &entry(event()).bytes(),
                b"\xc1".as_slice(),
                &text[..text.len() - 1],
            ]
            .concat(),
            &["token_use", "undecodable"],
        ),
        (
            "junk in a list of entries",
            [
                b"\x93".as_slice(),
                &entry(event()).bytes(),
                &clean,
                b"\xc1\xff".as_slice(),
            ]
            .concat(),
            &["token_use"],
        ),
        (
            "a needle in the junk in a list",
            [b"\x93".as_slice(), &clean, b"\xc1\xff", &event().bytes()].concat(),
            &["undecodable"],
        ),
        (
            "a packed message that ends in junk",
            array(&[
                "tag".into(),
                Value::Bin([&entry(event()).bytes(), b"\xc1\xff".as_slice()].concat()),
            ]),
            &["token_use"],
        ),
        (
            "a packed message with a needle in its junk",
            array(&[
                "tag".into(),
                Value::Bin([&clean, b"\xc1\xff".as_slice(), &event().bytes()].concat()),
            ]),
            &["undecodable"],
        ),
        (
            "a record that ends in junk",
            [
                b"\x83\xa1a".as_slice(),
                &event().bytes(),
                b"\xa1b\xc1\xff\xa1c\xa1d",
            ]
            .concat(),
            &["token_use"],
        ),
        (
            "a long one",
            [b"\x07".as_slice(), &array(&[long, event()])].concat(),
            &["undecodable"],
        ),
    ] {
        assert_eq!(found(&body), techniques, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Sound entries, junk, and an event in it, as a body, as a string in a message, and as one in a record, packed or not.
    #[test]
    fn junk_hides_neither_what_stands_before_it_nor_what_stands_in_it(
        before in 0..4_usize, junk in prop::collection::vec(any::<u8>(), 0..60), form in 0..5_u8, is_timed in any::<bool>(),
        metadata in any::<bool>(),
    ) {
        let record = |record: Value| {
            let time = || Value::time(1_795_455_390, 0);
            let beside = Value::Array(vec![time(), Value::map([("a", "b".into())])]);
            match (is_timed, metadata) {
                (false, _) => record,
                (true, false) => Value::Array(vec![time(), record]),
                (true, true) => Value::Array(vec![beside, record]),
            }
        };
        let clean = record(Value::map([("log", "x".into())])).bytes();
        let sound = [&clean.repeat(before), &*record(event()).bytes()].concat();
        // No value begins so.
        let bytes = [&*sound, b"\xc1", &junk, &event().bytes()].concat();
        let string = |bytes: &[u8]| Value::Bin(bytes.to_vec());
        let body = match form {
            0 => bytes,
            1 => Value::Array(vec!["tag".into(), string(&bytes)]).bytes(),
            2 => Value::map([("log", string(&bytes)), ("z", 1.into())]).bytes(),
            3 => Value::map([("log", string(&gzip(&bytes)))]).bytes(),
            _ => Value::Array(vec!["tag".into(), string(&gzip(&gzip(&bytes)))]).bytes(),
        };
        let found = found(&body);
        prop_assert!(found.starts_with(&["token_use"]) && found.contains(&"undecodable"), "{found:?}");
    }
}

#[test]
fn what_a_header_says_is_no_letter_of_a_name() {
    // The length of the string is the digit "0".
    let user = "system:serviceaccount:honeypot:backup-sa";
    let long = format!("{user:/<48}");
    let body = Value::map([("auditID", "1".into()), ("auth", long.as_str().into())]);
    assert_eq!(
        found(&[b"\x07".as_slice(), &body.bytes()].concat()),
        ["undecodable"]
    );
}
