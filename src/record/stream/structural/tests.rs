use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use crate::record::{
    Shape,
    stream::framing::{Framer, Piece},
};

/// The values of a stream, read in pieces of `read` bytes.
fn cut(input: &str, read: usize) -> Vec<String> {
    let mut values = Vec::new();
    let mut emit = |piece: Piece<'_>| {
        if piece.shape == Shape::Value {
            values.push(String::from_utf8_lossy(piece.bytes).into_owned());
        }
    };
    let mut framer = Framer::new(1 << 20);
    for bytes in input.as_bytes().chunks(read) {
        framer.space(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        framer.commit(bytes.len(), &mut emit);
    }
    framer.finish(&mut emit);
    values
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z{}\\[\\],:\"\\\\ \n]{0,12}".prop_map(Value::from),
        Just(json!("items")),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let key = prop_oneof![Just("items".to_string()), "[a-z\"\\\\{\\[]{0,6}"];
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((key, inner), 0..6).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

fn parsed(values: &[String]) -> Vec<Value> {
    values
        .iter()
        .map(|value| serde_json::from_str(value).expect(value))
        .collect()
}

proptest! {
    #[test]
    fn elements_of_arrays_are_those_of_serde_json(
        documents in vec(vec(any_json(), 1..5), 1..4),
        read in 1usize..50,
    ) {
        let text: String = documents
            .iter()
            .map(|array| serde_json::to_string_pretty(&Value::from(array.clone())).unwrap() + "\n")
            .collect();
        prop_assert_eq!(parsed(&cut(&text, read)), documents.concat());
    }

    #[test]
    fn items_of_a_list_are_those_of_serde_json(items in vec(any_json(), 1..5), read in 1usize..50) {
        let list = json!({ "apiVersion": "audit.k8s.io/v1", "items": items, "kind": "EventList" });
        let text = serde_json::to_string_pretty(&list).unwrap();
        let values = cut(&text, read);
        let head = &values[0];
        prop_assert!(head.starts_with("\u{7b}\n") && head.contains("apiVersion"), "head");
        prop_assert!(values[values.len() - 1].contains("EventList"));
        prop_assert_eq!(parsed(&values[1..values.len() - 1]), items);
    }

    #[test]
    fn objects_without_items_are_whole(mut value in any_json(), read in 1usize..50) {
        if let Some(object) = value.as_object_mut() {
            object.remove("items");
        }
        let object = json!({ "first": 1, "value": value });
        let text = serde_json::to_string_pretty(&object).unwrap() + "\n";
        prop_assert_eq!(parsed(&cut(&text.repeat(2), read)), [object.clone(), object]);
    }
}

/// `json` with a newline before each object that may stand at the beginning of a line.
fn broken_before_objects(json: &str) -> String {
    let mut text = String::new();
    let (mut in_string, mut escaped) = (false, false);
    for (at, byte) in json.char_indices() {
        let is_placed = text.ends_with([':', ',', '[']);
        if !in_string && is_placed && json[at..].starts_with("{\"") {
            text.push('\n');
        }
        in_string ^= byte == '"' && !escaped;
        escaped = byte == '\\' && !escaped;
        text.push(byte);
    }
    text
}

proptest! {
    #[test]
    fn nothing_is_out_of_place_in_json(value in any_json(), read in 1usize..50) {
        let object = json!({ "first": 1, "value": [value, {"last": {"a": 1}}] });
        let text = format!("{{\n{}\n", &broken_before_objects(&object.to_string())[1..]);
        prop_assert_eq!(parsed(&cut(&text.repeat(2), read)), [object.clone(), object]);
    }

    #[test]
    fn lines_behind_a_document_that_was_cut_off_are_handed_on(
        document in any_json(),
        kept in any::<prop::sample::Index>(),
        head in prop::sample::select(vec!["", "2026-11-23T17:21:01.912216789Z stdout F ", "I1123 a: "]),
        read in 1usize..50,
    ) {
        let document = serde_json::to_string_pretty(&json!({"a": [document], "b": 1})).unwrap();
        let lines: Vec<&str> = document.lines().collect();
        let mut text = lines[..=kept.index(lines.len() - 1)].join("\n");
        let events = ["{\"n\":[0]}", "{\"n\":[1]}", "{\"n\":[2]}"];
        for event in events {
            text = format!("{text}\n{head}{event}");
        }
        text.push('\n');
        let mut values = Vec::new();
        let mut emit = |piece: Piece<'_>| values.push(String::from_utf8_lossy(piece.bytes).into_owned());
        let mut framer = Framer::new(1 << 20);
        for bytes in text.as_bytes().chunks(read) {
            framer.space(bytes.len())[..bytes.len()].copy_from_slice(bytes);
            framer.commit(bytes.len(), &mut emit);
        }
        for event in events {
            prop_assert!(values.iter().any(|value| value.contains(event)), "{event} in {text}: {values:?}");
        }
    }
}

#[test]
fn a_bare_bracket_that_nobody_closes_hides_nothing() {
    for bracket in ["{", "[", "{\n\"a\":", "{\n\"a\": [", "{\n\"a\": {"] {
        let text = format!("{bracket}\n{{\"b\":1}}\n{{\"c\":1}}\n{{");
        for read in [1, 2, 1000] {
            let values = cut(&text, read);
            assert!(values.contains(&"{\"c\":1}".to_owned()), "{values:?}");
            assert!(
                values.iter().any(|value| value.ends_with("{\"b\":1}")),
                "{values:?}"
            );
        }
    }
}

#[test]
fn a_cut_off_document_does_not_hide_the_next() {
    let text = "{\n  \"a\": \"broken\n{\n  \"b\": 2\n}\n[\n  1,\n  {\"c\":\n[\n  3\n]\n{\r\n \"d\": 4\r\n}\n{\n  \"e\"";
    let want = [
        "{\n  \"a\": \"broken",
        "{\n  \"b\": 2\n}",
        "1",
        "{\"c\":",
        "3",
        "{\r\n \"d\": 4\r\n}",
        "{\n  \"e\"",
    ];
    for read in [1, 2, 3, 1000] {
        assert_eq!(cut(text, read), want, "reads of {read}");
    }
}

#[test]
fn elements_at_column_zero_are_elements_all_the_same() {
    assert_eq!(
        cut("[\n{\n\"a\":1\n},\n{\n\"b\":2\n}\n]\n", 5),
        ["{\n\"a\":1\n}", "{\n\"b\":2\n}"]
    );
    let list = "{\n\"items\":\n[\n{\n\"a\":1\n}\n]\n}\n";
    assert_eq!(cut(list, 5), ["{\n\"items\":", "{\n\"a\":1\n}"]);
}

#[test]
fn a_value_is_handed_on_with_its_last_bracket() {
    let mut framer = Framer::new(1 << 20);
    let mut values = 0;
    let text = b"{\n \"a\": {}\n}";
    framer.space(text.len())[..text.len()].copy_from_slice(text);
    framer.commit(text.len(), &mut |_| values += 1);
    assert_eq!(values, 1);
}

#[test]
fn text_that_is_no_json_comes_through_line_by_line() {
    let text = "{\n}\nsystem:serviceaccount:honeypot:backup-sa, auditID 1\nplain \"quoted\n";
    assert_eq!(
        cut(text, 7)[1..],
        [
            "system:serviceaccount:honeypot:backup-sa, auditID 1",
            "plain \"quoted"
        ]
    );
}
