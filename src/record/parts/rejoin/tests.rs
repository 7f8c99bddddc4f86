use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};

use super::*;

fn place() -> Place<'static> {
    Place {
        offset: 0,
        arrival: Timestamp::UNIX_EPOCH,
        provenance: &Provenance::default,
    }
}

/// What is to be searched in place of each record, and what is given back at the end.
fn rejoined(records: &[Value]) -> (Vec<Option<Value>>, Vec<Value>) {
    let mut rejoiner = Rejoiner::default();
    let parse = |text: String| serde_json::from_str(&text).expect("it is JSON");
    let searched = records.iter().map(|record| {
        let text = rejoiner.rejoin(record.to_string().as_bytes(), place());
        text.map(parse)
    });
    let searched = searched.collect();
    let given = rejoiner.finish().into_iter();
    let given = given.map(|given| parse(given.record)).collect();
    assert!(!rejoiner.is_waiting());
    assert_eq!(rejoiner.bytes, 0);
    (searched, given)
}

#[test]
fn the_whole_stands_in_the_place_of_the_last_part() {
    let (searched, given) = rejoined(&[
        json!([1, ["t", {"log": "{\"a\":", "logtag": "P", "pod": "x"}, {}], {"b": 2}]),
        json!({"log": "1,", "logtag": "P", "pod": "x"}),
        json!({"c": 3}),
        json!([{"log": "2}", "logtag": "F", "pod": "x"}, {"d": 4}]),
    ]);
    let whole = json!({"logtag": "F", "log": "{\"a\":1,2}", "pod": "x"});
    let wanted = [
        Some(json!([1, ["t", null, {}], {"b": 2}])),
        Some(Value::Null),
        None,
        Some(json!([whole, {"d": 4}])),
    ];
    assert_eq!(searched, wanted);
    assert_eq!(given, [] as [Value; 0]);
}

#[test]
fn parts_are_of_one_stream_whatever_each_has_of_its_own() {
    let part = |number: u64, tag: &str, pod: &str, text: &str| {
        json!({"log": text, "logtag": tag, "time": format!("2026-11-23T17:21:01.9{number}Z"), "n": number,
            "date": 1.5 * number as f64, "id": number.to_string(), "event": {"original": text, "pid": number.to_string()},
            "kubernetes": {"pod_name": pod, "labels": {"a": "b"}}})
    };
    let (searched, given) = rejoined(&[
        part(1, "P", "x", "{\"a\":"),
        part(2, "P", "y", "{\"b\":"),
        part(3, "F", "z", "3}"),
        part(4, "F", "y", "4}"),
        part(5, "F", "x", "5}"),
    ]);
    let texts = searched.iter().map(|searched| {
        let searched = searched.as_ref()?;
        assert!(
            searched.get("event").is_none(),
            "it holds a copy of the text"
        );
        searched["log"].as_str()
    });
    let texts: Vec<_> = texts.collect();
    assert_eq!(
        texts,
        [None, None, None, Some("{\"b\":4}"), Some("{\"a\":5}")]
    );
    assert_eq!(searched[2], None);
    assert_eq!(searched[4].as_ref().expect("it is whole")["n"], 1);
    assert_eq!(given, [] as [Value; 0]);
}

#[test]
fn what_is_whole_by_itself_is_no_last_part_and_no_first_if_it_is_long() {
    let long = json!({"a": "x".repeat(MAX_PART_BYTES)}).to_string();
    for record in [
        json!({"log": long, "logtag": "P"}),
        json!({"log": format!("I1123 {long}\n"), "logtag": "P"}),
    ] {
        assert_eq!(rejoined(&[record]), (vec![None], vec![]));
    }
    // Longer than CRI-O's parts and no part of containerd's, unless that was told to cut there.
    let joined = json!({"a": "x".repeat(9 << 10)}).to_string();
    let joined = json!({"log": joined, "_p": "P"});
    assert_eq!(
        rejoined(&[joined.clone(), joined.clone()]),
        (vec![None; 2], vec![])
    );
    let begun = json!({"log": "{\"a\":", "_p": "P"});
    let (searched, given) = rejoined(&[begun, joined]);
    assert_eq!((&searched[1], given.len()), (&Some(Value::Null), 1));
    let first = json!({"log": "{\"a\":", "logtag": "P"});
    let whole = json!({"log": "I1123 {\"b\":1}\n", "logtag": "F"});
    let (searched, given) = rejoined(&[first.clone(), whole]);
    assert_eq!(searched, [Some(Value::Null), None]);
    assert_eq!(given, [json!({"logtag": "P", "log": "{\"a\":"})]);
    // The last of a line was lost.
    let last = json!({"log": "2}", "logtag": "F"});
    let lost = json!({"log": "{\"b\":", "logtag": "P"});
    let (searched, _) = rejoined(&[lost, first.clone(), last.clone()]);
    let wanted = json!([{"logtag": "P", "log": "{\"b\":"}, {"logtag": "F", "log": "{\"a\":2}"}]);
    assert_eq!(searched[2], Some(wanted));
    // The first was sent twice.
    let (searched, _) = rejoined(&[first.clone(), first, last]);
    let wanted = json!({"logtag": "F", "log": "{\"a\":2}"});
    assert_eq!(searched[2], Some(wanted));
}

#[test]
fn what_is_given_back_is_never_one_value() {
    for text in ["{\"a\":1}", "x {\"a\":1} ", "[1]", "{", ""] {
        let (_, given) = rejoined(&[json!({"log": text, "logtag": "P"})]);
        assert!(
            !is_whole(given[0]["log"].as_str().expect("a text")),
            "{text}"
        );
    }
}

#[test]
fn a_tag_of_forward_tells_streams_apart() {
    let tagged = |tag: &'static str| {
        move || Provenance {
            headers: [("tag".to_owned(), tag.to_owned())].into(),
            ..Provenance::default()
        }
    };
    let mut rejoiner = Rejoiner::default();
    let mut rejoin = |record: &str, tag| {
        let provenance = &tagged(tag);
        let place = Place {
            provenance,
            ..place()
        };
        rejoiner.rejoin(record.as_bytes(), place)
    };
    assert!(rejoin(r#"{"log":"{","logtag":"P"}"#, "a").is_some());
    assert_eq!(rejoin(r#"{"log":"}","logtag":"F"}"#, "b"), None);
    let whole = rejoin(r#"{"log":"}","logtag":"F"}"#, "a");
    assert_eq!(whole.as_deref(), Some(r#"{"logtag":"F","log":"{}"}"#));
}

#[test]
fn the_last_part_in_the_journal_bears_no_mark_and_the_priority_tells_its_stream() {
    let record = |text: &str, priority: &str, number: u64| json!({"MESSAGE": text, "CONTAINER_ID": "28b940872ade", "PRIORITY": priority, "_PID": number.to_string()});
    let part = |text, priority, number| {
        let mut part = record(text, priority, number);
        part["CONTAINER_PARTIAL_MESSAGE"] = "true".into();
        part
    };
    let (searched, _) = rejoined(&[
        part("{\"a\":", "6", 1),
        record("I1123 klog", "3", 2),
        record("1}", "6", 3),
    ]);
    let whole = searched[2].as_ref().expect("it is the last");
    assert_eq!(
        (&searched[1], &whole["MESSAGE"]),
        (&None, &json!("{\"a\":1}"))
    );
}

#[test]
fn what_is_waited_for_is_in_the_same_stream_and_comes_soon() {
    let mut rejoiner = Rejoiner::default();
    let first = r#"{"file":"/var/log/pods/kube-apiserver-1/0.log","log":"{","logtag":"P"}"#;
    rejoiner.rejoin(first.as_bytes(), place());
    assert!(rejoiner.is_waiting_for(first.replace('/', "\\/").as_bytes()));
    assert!(!rejoiner.is_waiting_for(first.replace("-1", "-2").as_bytes()));
    let later = |seconds| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds);
    let mut given = |offset, seconds| rejoiner.give_back(offset, later(seconds)).len();
    assert_eq!(given(PATIENCE_BYTES, 60), 0);
    assert_eq!(given(PATIENCE_BYTES + 1, 0), 1);
    rejoiner.rejoin(first.as_bytes(), place());
    assert_eq!(rejoiner.give_back(0, later(61)).len(), 1);
    // Nothing tells its stream.
    rejoiner.rejoin(br#"{"log":"{","logtag":"P"}"#, place());
    assert!(rejoiner.is_waiting_for(b"{}"));
}

#[test]
fn neither_many_lines_nor_one_without_an_end_drive_out_what_came_last() {
    let part = |stream: String, tag: &str, text: &str| json!({"log": text, "logtag": tag, "stream": stream});
    let many = (0..1200).map(|number| part(format!("other-{number}"), "P", &"x".repeat(14_000)));
    let endless = (0..20).map(|_| part("endless".into(), "P", &"x".repeat(1 << 20)));
    let event = |tag, text: &str| part("event".into(), tag, text);
    let first = format!("{{\"a\":\"{}", "x".repeat(15_000));
    let mut rejoiner = Rejoiner::default();
    let (mut given, mut latest) = (0, None);
    let parts = many.chain([event("P", &first)]).chain(endless);
    for part in parts.chain([event("F", "\"}")]) {
        latest = rejoiner.rejoin(part.to_string().as_bytes(), place());
        given += rejoiner.give_back(0, Timestamp::UNIX_EPOCH).len();
        assert!(rejoiner.bytes <= MAX_BYTES);
    }
    let whole: Value = serde_json::from_str(&latest.expect("both parts")).expect("it is JSON");
    assert_eq!(whole["log"], first + "\"}");
    given += rejoiner.finish().len();
    assert!(given > 1200, "{given}");
}

#[test]
fn what_the_parser_refuses_is_mended() {
    let record = b"{\"log\":\"{\\\"a\\\":\\\"\xff\x01\\ud800\",\"logtag\":\"P\"}";
    let mut rejoiner = Rejoiner::default();
    assert_eq!(rejoiner.rejoin(record, place()).as_deref(), Some("null"));
    let [given] = rejoiner.finish().try_into().ok().expect("one part");
    assert!(given.record.contains("{\\\"a\\\":"), "{}", given.record);
}

proptest! {
    #[test]
    fn any_bytes_will_do(
        words in vec(select(vec!["{", "}", "[", "]", "\"log\"", "\"logtag\"", ":", ",", "\"P\"", "\"F\"", "null", "\\", "\u{fffd}", "1"]), 0..30),
        byte in any::<u8>(),
    ) {
        let mut rejoiner = Rejoiner::default();
        let mut record = words.concat().into_bytes();
        for _ in 0..2 {
            rejoiner.rejoin(&record, place());
            record.push(byte);
        }
        rejoiner.finish();
        prop_assert_eq!(rejoiner.bytes, 0);
    }
}
