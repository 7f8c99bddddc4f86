//! The search of Vector's events finds exactly what is found if every event is written as JSON and decoded.

use std::sync::LazyLock;

use baitline::{
    detect::{Detection, Detector, Technique},
    record::protobuf::{entries, write_entry},
    source::{Block, Provenance, Shape},
};
use base64::prelude::*;
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{Value, entry, message, shortest};
use crate::{
    msgpack::{
        self,
        soundness::{Bait, HONEYPOT, RECORDED, SHAPES, detector, record},
    },
    soundness::{events, run_with, wrapped},
};

/// Names whose lengths are the code of a digit, of a dash and of a letter.
const FIFTY: &str = "n1234567890123456789012345678901234567890123456789";
const DASH: &str = "n12345678901234567890123456789012345678901234";
const HUNDRED: &str = "n123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789";

/// What is found in events of Vector.
fn scan(mut detector: Detector, bytes: &[u8]) -> Vec<Detection> {
    let block = Block {
        bytes,
        shape: Shape::PushEvents,
        header: None,
        first_part: None,
        provenance: &|_| Provenance::default(),
    };
    let mut found = Vec::new();
    detector.scan(&block, Timestamp::UNIX_EPOCH, &mut found);
    detector.finish(Timestamp::UNIX_EPOCH, &mut found);
    found
}

/// What is found if every event is written as JSON, and decoded.
fn decode_all(detector: Detector, bytes: &[u8]) -> Vec<Detection> {
    let (mut lines, mut at) = (Vec::new(), 0);
    for event in entries(bytes) {
        let event = event.unwrap_or(&bytes[at..]);
        at += event.len();
        write_entry(event, &mut lines);
        lines.push(b'\n');
    }
    run_with(Detector::decode_all, detector, &lines)
}

fn compare(bait: Bait, bytes: &[u8]) -> Vec<Detection> {
    let found = scan(detector(bait), bytes);
    assert_eq!(found, decode_all(detector(bait), bytes));
    found
}

/// What holds an event, of which `text` is JSON, in one of many shapes, as one of the events of a request.
fn event(
    shape: u8,
    form: u8,
    event: &Json,
    text: &str,
    dice: &mut dyn Iterator<Item = u8>,
) -> Vec<u8> {
    let value = Value::from(&record(shape, event, text, dice));
    // What follows looks like a letter.
    let unknown = |dice: &mut dyn Iterator<Item = u8>| message(12, b"x", dice);
    match form {
        0 => value.entry(dice),
        1 => {
            let value = value.encoded(dice);
            let value = message(2, &value, dice);
            entry(&[value, unknown(dice)].concat(), dice)
        }
        2 => {
            let metadata = Value::map([("data", "b".into())]).encoded(dice);
            let metadata = message(3, &metadata, dice);
            entry(&[value.log(dice), metadata].concat(), dice)
        }
        _ => {
            let metadata = value.encoded(dice);
            let metadata = message(1, &metadata, dice);
            let log = Value::map([("message", "x".into())]).log(dice);
            entry(&[log, message(4, &metadata, dice)].concat(), dice)
        }
    }
}

const FORMS: u8 = 4;

/// Recorded events that name the decoy.
static NAMING: LazyLock<Vec<&Json>> = LazyLock::new(|| {
    let names = |audit: &&Json| audit.to_string().contains("honeypot");
    RECORDED.iter().filter(names).collect()
});

/// Any tree in which events hang, as maps, as text and as base64, under any keys, beside names.
fn tree() -> impl Strategy<Value = Value> {
    let audit = || any::<prop::sample::Index>().prop_map(|index| *index.get(&NAMING));
    let texts = [
        "honeypot",
        "backup-sa-2",
        "xhoneypot",
        "proxy",
        "data",
        "a b",
        "",
        "2",
        "eyJr",
    ];
    let leaf = prop_oneof![
        audit().prop_map(|audit| Value::from(&msgpack::Value::from(audit))),
        audit().prop_map(|audit| Value::from(audit.to_string().as_str())),
        audit().prop_map(|audit| BASE64_STANDARD.encode(audit.to_string()).as_str().into()),
        audit().prop_map(|audit| {
            let numbers = audit.to_string().into_bytes().into_iter().map(i64::from);
            Value::Array(numbers.map(Value::Integer).collect())
        }),
        prop::sample::select(texts.to_vec()).prop_map(Value::from),
        any::<i64>().prop_map(Value::Integer),
        Just(Value::Time(1_795_455_390, 82_177_123)),
        Just(Value::Null),
    ];
    let keys = [
        "data",
        "Data",
        "MESSAGE",
        "rawData",
        "data_base64",
        "message",
        "log",
        "honeypot",
        "items",
        "kind",
    ];
    let key = prop::sample::select(keys.map(str::as_bytes).map(<[u8]>::to_vec).to_vec());
    leaf.prop_recursive(4, 12, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((key.clone(), inner), 0..4).prop_map(Value::Map),
        ]
    })
}

#[test]
fn each_shape_gives_what_its_event_is() {
    let mut count = 0;
    // But for an event that is a key.
    for shape in (0..SHAPES).filter(|shape| *shape != 11) {
        for form in 0..FORMS {
            for (audit, technique) in events(("honeypot", "backup-sa"), true, &str::to_owned) {
                let dice = &mut [9, 8, 7].into_iter().cycle();
                let bytes = event(shape, form, &audit, &audit.to_string(), dice);
                let found = compare(HONEYPOT, &bytes);
                let found: Vec<Technique> = found.iter().map(|found| found.technique).collect();
                let wanted: Vec<Technique> = technique.into_iter().collect();
                assert_eq!(found, wanted, "{shape}, {form}: {audit}");
                count += found.len();
            }
        }
    }
    assert!(count > 800);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn no_shape_hides_anything(
        names in prop::sample::select(vec![
            ("honeypot", "backup-sa"), ("ci", "deployer"), ("a", "b"), ("default", "x1.y"), ("p-9", "token"),
            ("data", "proxy"), ("database", "proxy-sa"), ("1", "200"), ("metadata-ns", "e"),
            (FIFTY, "x"), (DASH, HUNDRED),
        ]),
        layers in prop::collection::vec(0..4_u8, 0..=3),
        shape in 0..SHAPES,
        form in 0..FORMS,
        whole_namespace in any::<bool>(),
        dice in prop::collection::vec(0..6_u8, 64),
    ) {
        let mut endless = dice.iter().copied().cycle();
        let mut bytes = Vec::new();
        for (audit, _) in events(names, whole_namespace, &str::to_owned) {
            let text = wrapped(&audit, &layers, &mut endless);
            bytes.extend(event(shape, form, &audit, &text, &mut endless));
        }
        compare((names.0, names.1, whole_namespace), &bytes);
    }

    #[test]
    fn no_tree_hides_anything(
        trees in prop::collection::vec(tree(), 1..3),
        dice in prop::collection::vec(0..4_u8, 1..9),
        whole_namespace in any::<bool>(),
    ) {
        let dice = &mut dice.iter().copied().cycle();
        let bytes: Vec<u8> = trees.iter().flat_map(|tree| tree.entry(dice)).collect();
        compare(("honeypot", "backup-sa", whole_namespace), &bytes);
    }

    #[test]
    fn damage_hides_nothing(
        damage in prop::collection::vec((0..6000_usize, any::<u8>()), 0..6),
        cut in 0..9000_usize,
        start in 0..6000_usize,
        shape in 0..SHAPES,
        form in 0..FORMS,
        whole_namespace in any::<bool>(),
    ) {
        let mut bytes: Vec<u8> = RECORDED
            .iter()
            .skip(start)
            .take(8)
            .flat_map(|audit| {
                let mut dice = [1, 2, 3].into_iter().cycle();
                event(shape, form, audit, &audit.to_string(), &mut dice)
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
    let lines: Vec<u8> = RECORDED
        .iter()
        .flat_map(|audit| format!("{audit}\n").into_bytes())
        .collect();
    let events: Vec<u8> = RECORDED
        .iter()
        .flat_map(|audit| Value::from(&msgpack::Value::from(audit)).entry(&mut shortest()))
        .collect();
    for whole_namespace in [true, false] {
        let bait = ("honeypot", "backup-sa", whole_namespace);
        let found = compare(bait, &events);
        assert!(found.len() > 400, "{}", found.len());
        assert_eq!(found, run_with(Detector::scan, detector(bait), &lines));
    }
}

/// Nothing else in the event names the decoy.
#[test]
fn a_length_that_looks_like_a_letter_hides_no_name() {
    for name in [FIFTY, DASH] {
        assert!(matches!(name.len() as u8, b'0'..=b'9' | b'-'));
        let audit = json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "1", "level": "Metadata",
            "stage": "ResponseComplete", "requestURI": "/", "verb": "list", "user": {"username": "jane"},
            "requestReceivedTimestamp": "2026-11-23T17:21:08.912184Z",
            "objectRef": {"resource": "pods", "namespace": name}});
        let bytes = Value::from(&msgpack::Value::from(&audit)).entry(&mut shortest());
        let found = compare((name, "x", true), &bytes);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].technique, Technique::NamespaceTouch);
    }
}

#[test]
fn an_event_that_is_damaged_is_told() {
    let user = "system:serviceaccount:honeypot:backup-sa";
    let audit = json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "1", "level": "Metadata",
        "user": {"username": user}, "verb": "list", "z": "z"});
    let log = Value::from(&msgpack::Value::from(&audit)).log(&mut shortest());
    let whole = entry(&log, &mut shortest());
    // The lengths around it fit, or do not.
    for bytes in [
        entry(&log[..log.len() - 2], &mut shortest()),
        whole[..whole.len() - 2].to_vec(),
    ] {
        let found = compare(HONEYPOT, &bytes);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].technique, Technique::Undecodable);
    }
}

/// As above, wherever a byte is damaged: Vector's maps have no order, and what marks an event may stand behind.
#[test]
fn damage_before_all_else_is_told() {
    let audit = json!({"a": "damaged", "auditID": "1", "level": "Metadata", "verb": "list",
        "user": {"username": "system:serviceaccount:honeypot:backup-sa"}});
    let Value::Map(mut pairs) = Value::from(&msgpack::Value::from(&audit)) else {
        panic!("a map");
    };
    pairs.sort_by_key(|(key, _)| key.clone());
    let mut bytes = Value::Map(pairs).entry(&mut shortest());
    let at = bytes
        .windows(7)
        .position(|part| part == b"damaged")
        .expect("the first value");
    // The wire type of the value's kind: none that there is.
    bytes[at - 2] = 0x0f;
    let found = compare(HONEYPOT, &bytes);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].technique, Technique::Undecodable);
}
