use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

fn field(number: u8, body: impl AsRef<[u8]>) -> Vec<u8> {
    let (mut field, mut length) = (vec![number << 3 | 2], body.as_ref().len());
    while length >= 0x80 {
        field.push(length as u8 | 0x80);
        length >>= 7;
    }
    field.push(length as u8);
    field.extend_from_slice(body.as_ref());
    field
}

/// The `AnyValue` that is `json`.
fn value_of(json: &Json) -> Vec<u8> {
    let varint = |tag: u8, mut number: u64| {
        let mut bytes = vec![tag];
        while number >= 0x80 {
            bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    };
    match json {
        Json::Null => Vec::new(),
        Json::String(text) => field(1, text),
        Json::Bool(truth) => varint(0x10, u64::from(*truth)),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => varint(0x18, integer.cast_unsigned()),
            None => double(number.as_f64().unwrap()),
        },
        Json::Array(items) => {
            let items: Vec<u8> = items
                .iter()
                .flat_map(|item| field(1, value_of(item)))
                .collect();
            field(5, items)
        }
        Json::Object(pairs) => {
            let pairs: Vec<u8> = pairs
                .iter()
                .flat_map(|(key, value)| field(1, pair(key, &value_of(value))))
                .collect();
            field(6, pairs)
        }
    }
}

fn double(number: f64) -> Vec<u8> {
    [&[0x21], &number.to_le_bytes()[..]].concat()
}

fn pair(key: &str, value: &[u8]) -> Vec<u8> {
    [field(1, key), field(2, value)].concat()
}

/// A `LogRecord`, observed and of some severity.
fn record(body: &[u8], attributes: &[(&str, Json)]) -> Vec<u8> {
    let time = [&[0x09][..], &1_795_454_469_250_000_000_u64.to_le_bytes()].concat();
    let observed = [&[0x59][..], &1_u64.to_le_bytes()].concat();
    let attributes = attributes
        .iter()
        .flat_map(|(key, value)| field(6, pair(key, &value_of(value))));
    [time, vec![0x10, 9], field(3, "INFO"), field(5, body)]
        .concat()
        .into_iter()
        .chain(attributes)
        .chain(vec![0x45, 0, 0, 0, 0])
        .chain(field(9, [7; 16]))
        .chain(observed)
        .collect()
}

fn resource_logs(resource: &[(&str, Json)], records: &[Vec<u8>]) -> Vec<u8> {
    let resource: Vec<u8> = resource
        .iter()
        .flat_map(|(key, value)| field(1, pair(key, &value_of(value))))
        .collect();
    let scope = field(1, field(1, "otelcol/filelog"));
    let records: Vec<u8> = records.iter().flat_map(|record| field(2, record)).collect();
    let scope_logs = field(2, [scope, records].concat());
    field(
        1,
        [field(1, resource), scope_logs, field(3, "schema")].concat(),
    )
}

/// What is searched of `bytes`, and whether all of them could be read.
fn searched(bytes: &[u8]) -> (Vec<(Vec<u8>, Shape)>, bool) {
    let mut taken = Vec::new();
    let outcome = Export {
        max_line_bytes: 1000,
        take: &mut |bytes, shape| {
            taken.push((bytes.to_vec(), shape));
            true
        },
    }
    .search(bytes);
    (taken, outcome.is_ok())
}

fn together(taken: &[(Vec<u8>, Shape)]) -> Vec<u8> {
    taken.iter().flat_map(|(bytes, _)| bytes.clone()).collect()
}

/// The lines of JSON that are searched of a request that can be read.
fn lines(bytes: &[u8]) -> Vec<Json> {
    assert!(begins_export(bytes));
    let (taken, is_whole) = searched(bytes);
    assert!(is_whole);
    let text = together(&taken);
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    lines
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

const TIME: &str = "1795454469250000000";

#[test]
fn each_record_has_its_own_resource_time_body_and_attributes() {
    let event = json!({"kind": "Event", "responseStatus": {"code": 403}, "sourceIPs": ["10.0.3.7"], "none": null});
    let text = event.to_string();
    let bytes = [
        resource_logs(
            &[("k8s.cluster.name", json!("prod")), ("n", json!(1))],
            &[
                record(
                    &value_of(&json!(text)),
                    &[("log.file.name", json!("audit.log"))],
                ),
                record(&value_of(&event), &[]),
            ],
        ),
        resource_logs(&[], &[record(&field(7, &text), &[]), record(&[], &[])]),
        resource_logs(
            &[],
            &[vec![], field(5, double(403.0)), field(5, double(0.5))],
        ),
    ];
    let resource = json!({"attributes": [
        {"key": "k8s.cluster.name", "value": {"stringValue": "prod"}}, {"key": "n", "value": {"stringValue": 1}},
    ]});
    let none = json!({"attributes": []});
    let wanted = [
        json!({"resource": resource, "timeUnixNano": TIME, "body": text, "attributes": {"log.file.name": "audit.log"}}),
        json!({"resource": resource, "timeUnixNano": TIME, "body": event}),
        json!({"resource": none, "timeUnixNano": TIME, "body": text}),
        json!({"resource": none, "timeUnixNano": TIME, "body": null}),
        // It is longer than these are many times over.
        json!({"body": null}),
        json!({"resource": none, "body": 403}),
        json!({"resource": none, "body": 0.5}),
    ];
    assert_eq!(lines(&bytes.concat()), wanted);
}

/// OTLP grows: what is not known yet takes nothing away from what is. But it may be damage as well.
#[test]
fn a_record_with_fields_that_are_not_known_is_searched_twice_unless_it_is_found() {
    let known = record(&value_of(&json!("x")), &[]);
    let strange = [known.clone(), field(15, "auditID\x0a\x05decoy")].concat();
    let bytes = resource_logs(&[], &[known.clone(), strange, known]);
    for is_found in [true, false] {
        let mut taken = Vec::new();
        let mut take = |bytes: &[u8], _| {
            taken.push(String::from_utf8_lossy(bytes).into_owned());
            is_found
        };
        let mut export = Export {
            max_line_bytes: 1000,
            take: &mut take,
        };
        assert_eq!(export.search(&bytes), Ok(()));
        let text = taken.concat();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), if is_found { 3 } else { 4 }, "{text}");
        assert_eq!((lines[0], lines[0]), (lines[1], lines[lines.len() - 1]));
        let is_broken = |line: &&str| line.ends_with("\"auditID\"\"decoy\"{\"");
        assert_eq!(lines.iter().any(is_broken), !is_found, "{text}");
    }
}

#[test]
fn what_cannot_be_read_is_broken_json_with_its_texts_in_quotes() {
    let sixty = format!("n{}", "1".repeat(59));
    let whole = value_of(&json!({"auditID": "1", "name": sixty, "user": {"username": "decoy"}}));
    let group = [&whole[..], b"\x0b"].concat();
    let twice = [&whole[..], &whole].concat();
    for body in [group, twice] {
        let sound = record(&value_of(&json!("x")), &[]);
        let (taken, is_whole) = searched(&resource_logs(&[], &[field(5, body), sound]));
        assert!(!is_whole);
        let text = String::from_utf8_lossy(&together(&taken)).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(serde_json::from_str::<Json>(lines[0]).is_err());
        assert!(serde_json::from_str::<Json>(lines[1]).is_ok());
        for name in ["auditID", "decoy", &sixty] {
            assert!(
                lines[0].contains(&format!("\"{name}\"")),
                "{name} in {text}"
            );
        }
    }
}

#[test]
fn of_what_is_cut_off_all_that_is_there_is_searched() {
    let body = value_of(&json!({"first": "one", "second": "two"}));
    let whole = resource_logs(
        &[],
        &[record(&value_of(&json!("before")), &[]), record(&body, &[])],
    );
    for cut in 10..whole.len() {
        let (taken, is_whole) = searched(&whole[..cut]);
        assert!(!is_whole, "{cut}");
        let (text, there) = (together(&taken), &whole[..cut]);
        let holds = |bytes: &[u8], word: &[u8]| bytes.windows(word.len()).any(|at| at == word);
        for word in ["before", "first", "one", "second", "two"] {
            let word = word.as_bytes();
            assert_eq!(holds(&text, word), holds(there, word), "{cut}");
        }
    }
}

#[test]
fn nothing_else_begins_so() {
    let mut whole = resource_logs(&[("a", json!("b"))], &[record(&value_of(&json!("x")), &[])]);
    assert!(begins_export(&whole) && begins_export(&whole[..whole.len() - 9]));
    whole.splice(0..0, *b"\x0a\x00");
    assert!(begins_export(&whole));
    let texts = [
        "{\"kind\":\"Event\"}",
        "\n{\n  \"kind\": \"Event\"\n}",
        "\n\n\n\n\n",
        "\n \n \n {\n",
        "\n{\n\n\n\n{}",
        "",
        "\n",
        "\n\0",
    ];
    for text in texts {
        assert!(!begins_export(text.as_bytes()), "{text}");
    }
    assert!(!begins_export(b"\x0a\x0c\x0a\x05{a=1}\x12\x03\x12\x01x"));
}

/// Vector's own codec has the fields of a log where a request has the attributes of a resource.
#[test]
fn logs_of_vector_are_no_request() {
    let log = field(1, pair("message", &field(1, "{}")));
    for count in 1..4 {
        let logs = field(1, &log).repeat(count);
        assert!(!begins_export(&field(1, logs)), "{count}");
    }
}

/// Nothing else would show what they hold.
#[test]
fn a_resource_that_is_written_beside_no_record_is_searched_as_it_is() {
    let resource = field(1, field(1, pair("auditID", &field(1, "decoy"))));
    let records = field(2, field(2, record(&value_of(&json!("x")), &[])));
    let alone = [resource.clone(), field(3, "schema")].concat();
    let two = [resource, field(1, ""), records].concat();
    for logs in [alone, two] {
        let (taken, is_whole) = searched(&field(1, logs));
        let text = String::from_utf8_lossy(&together(&taken)).into_owned();
        assert!(!is_whole && text.contains("\"auditID\"\"decoy\""), "{text}");
    }
}

/// Their bytes in UTF-8 are words of MessagePack, which are long as JSON.
#[test]
fn a_long_text_of_letters_beyond_ascii_is_read() {
    let bytes = resource_logs(&[], &[record(&value_of(&json!("é".repeat(100_000))), &[])]);
    let mut taken = Vec::new();
    let mut export = Export {
        max_line_bytes: 1 << 20,
        take: &mut |_, shape| {
            taken.push(shape);
            true
        },
    };
    assert_eq!(export.search(&bytes), Ok(()));
    assert_eq!(taken, [Shape::Lines]);
}

#[test]
fn no_more_comes_of_a_request_than_a_few_times_its_length() {
    let long = json!("x".repeat(1001));
    let controls = json!("\u{1}".repeat(100_000));
    for body in [&long, &controls] {
        let (taken, is_whole) = searched(&resource_logs(&[], &[record(&value_of(body), &[])]));
        assert!(is_whole);
        let oversized = Shape::Oversized {
            first: true,
            last: true,
        };
        assert_eq!(taken.len(), 1);
        assert_eq!(taken[0].1, oversized);
    }
    let resource = [("a", json!("x".repeat(10_000)))];
    let bytes = resource_logs(&resource, &vec![record(&value_of(&json!("x")), &[]); 100]);
    let (taken, _) = searched(&bytes);
    assert!(together(&taken).len() < bytes.len() * 2);
    let numbers = resource_logs(
        &[],
        &[record(&value_of(&json!([1e300, 1e-300].repeat(30))), &[])],
    );
    assert!(together(&searched(&numbers).0).len() < numbers.len() * 2);
    let deep = (0..100_000).fold(Vec::new(), |inner, _| field(5, field(1, inner)));
    let (_, is_whole) = searched(&resource_logs(&[], &[field(5, deep)]));
    assert!(is_whole, "it is longer than is decoded");
    let deep = (0..150).fold(Vec::new(), |inner, _| field(5, field(1, inner)));
    let (_, is_whole) = searched(&resource_logs(&[], &[field(5, deep)]));
    assert!(!is_whole);
}

fn tree() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        (-1e9..1e9).prop_map(|number: f64| Json::from(number.trunc() + 0.5)),
        "\\PC{0,9}".prop_map(Json::from),
    ];
    leaf.prop_recursive(5, 30, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map("[a-z.\"]{0,5}", inner, 0..4)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_value_comes_out(body in tree(), attribute in tree(), told in "\\PC{0,9}") {
        let bytes = resource_logs(&[("k", json!(told))], &[record(&value_of(&body), &[("a", attribute.clone())])]);
        let (taken, is_whole) = searched(&bytes);
        prop_assert!(is_whole);
        if let [(line, Shape::Lines)] = &taken[..] {
            let line: Json = serde_json::from_slice(line).unwrap();
            prop_assert_eq!(&line["body"], &body);
            prop_assert_eq!(&line["attributes"]["a"], &attribute);
            prop_assert_eq!(&line["timeUnixNano"], TIME);
            prop_assert_eq!(&line["resource"]["attributes"][0]["value"]["stringValue"], &told);
        }
    }

    #[test]
    fn any_bytes_will_do(at in 0..99_usize, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut whole = resource_logs(&[("k", json!("v"))], &[record(&value_of(&json!({"a": [1, "b"]})), &[("a", json!(1))])]);
        let at = at.min(whole.len());
        whole.splice(at.., bytes);
        begins_export(&whole);
        let (taken, _) = searched(&whole);
        prop_assert!(together(&taken).len() <= 10 * whole.len() + 200);
    }
}
