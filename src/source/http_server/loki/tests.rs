use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

fn field(number: u8, body: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = body.len();
    while length >= 0x80 {
        field.push(length as u8 | 0x80);
        length >>= 7;
    }
    field.push(length as u8);
    field.extend_from_slice(body);
    field
}

fn entry(line: &str) -> Vec<u8> {
    let time = b"\x08\x85\xec\x91\xd8\x06\x10\x80\xe5\x9a\x77";
    field(2, &[field(1, time), field(2, line.as_bytes())].concat())
}

fn stream(labels: &str, lines: &[&str]) -> Vec<u8> {
    let entries = lines.iter().flat_map(|line| entry(line));
    let stream: Vec<u8> = field(1, labels.as_bytes())
        .into_iter()
        .chain(entries)
        .collect();
    field(1, &stream)
}

fn together(taken: &[(Vec<u8>, Shape)]) -> Vec<u8> {
    taken.iter().flat_map(|(bytes, _)| bytes.clone()).collect()
}

/// What is searched of `bytes`, and whether they are a push to their end.
fn searched(bytes: &[u8]) -> (Vec<(Vec<u8>, Shape)>, bool) {
    assert!(begins_push(bytes));
    let mut taken = Vec::new();
    let outcome = Push {
        max_line_bytes: 1000,
        take: &mut |bytes, shape| taken.push((bytes.to_vec(), shape)),
    }
    .search(bytes);
    (taken, outcome.is_ok())
}

/// The lines of JSON that are searched of a whole push.
fn lines(bytes: &[u8]) -> Vec<Json> {
    let (taken, is_whole) = searched(bytes);
    assert!(is_whole);
    let text = together(&taken);
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    lines
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

#[test]
fn each_line_has_the_labels_of_its_stream_and_its_time() {
    let bytes = [
        stream(
            r#"{cluster="prod", pod="a\"b\\"}"#,
            &["the first\n", "{\"two\":2}"],
        ),
        stream(r#"{"k8s.node"="n,=}",x=""}"#, &["the third"]),
        stream("{}", &["four"]),
        stream("{what is no label}", &["five"]),
    ];
    let time = "1795454469250000000";
    let wanted = [
        json!({"stream": {"cluster": "prod", "pod": "a\"b\\"}, "values": [[time, "the first\n"]]}),
        json!({"stream": {"cluster": "prod", "pod": "a\"b\\"}, "values": [[time, "{\"two\":2}"]]}),
        json!({"stream": {"k8s.node": "n,=}", "x": ""}, "values": [[time, "the third"]]}),
        json!({"stream": {}, "values": [[time, "four"]]}),
        json!({"stream": {}, "values": [[time, "five"]]}),
    ];
    assert_eq!(lines(&bytes.concat()), wanted);
}

#[test]
fn what_stands_beside_a_line_is_kept_and_what_is_missing_is_not_there() {
    let pair = |name: &[u8], value: &[u8]| [field(1, name), field(2, value)].concat();
    let whole = [
        field(2, b"line"),
        field(3, &pair(b"trace", b"1")),
        field(4, &pair(b"", b"\xff")),
    ]
    .concat();
    let bytes = field(
        1,
        &[field(2, &whole), field(2, b""), field(1, b"{a=\"b\"}")].concat(),
    );
    // A stream whose labels come last is none that anybody writes, but is read behind one.
    let bytes = [stream("{}", &[]), bytes].concat();
    let wanted =
        json!({"stream": {"a": "b"}, "values": [["", "line", {"trace": "1", "": "\u{fffd}"}]]});
    assert_eq!(lines(&bytes), [wanted]);
}

#[test]
fn what_is_cut_off_is_read_as_far_as_it_is_there_and_what_is_no_push_as_it_is() {
    let whole = stream("{a=\"b\"}", &["first", "{\"second\":2}"]);
    for cut in 11..whole.len() {
        let (taken, is_whole) = searched(&whole[..cut]);
        assert!(!is_whole, "{cut}");
        let text = String::from_utf8_lossy(&together(&taken)).into_owned();
        let has_first = cut >= whole.len() - 29;
        assert_eq!(text.contains("\"first\"]]}"), has_first, "{cut}: {text}");
    }
    let strange = [&whole[..], &field(9, b"{\"strange\":1}"), b"\xff"].concat();
    let (taken, is_whole) = searched(&strange);
    assert!(!is_whole);
    let taken = together(&taken);
    assert!(taken.windows(13).any(|bytes| bytes == b"{\"strange\":1}"));
    for text in ["{\"kind\":\"Event\"}", "\n{\"a\":1}", "\n\n{}", "", "\n"] {
        assert!(!begins_push(text.as_bytes()), "{text}");
    }
}

#[test]
fn labels_make_no_more_of_lines_than_they_are_long() {
    let labels = format!("{{a=\"{}\"}}", "x".repeat(10_000));
    let bytes = stream(&labels, &["line"; 100]);
    let (taken, _) = searched(&bytes);
    assert!(together(&taken).len() < bytes.len());
}

#[test]
fn what_is_longer_than_a_line_may_be_comes_in_parts_and_so_do_control_characters() {
    let long = "x".repeat(1001);
    let controls = "\u{1}".repeat(100_000);
    for line in [long, controls] {
        let (taken, is_whole) = searched(&stream("{}", &["{}", &line, "{}"]));
        assert!(is_whole);
        let shapes: Vec<Shape> = taken.iter().map(|(_, shape)| *shape).collect();
        let oversized = Shape::Oversized {
            first: true,
            last: true,
        };
        assert_eq!(shapes, [Shape::Lines, oversized, Shape::Lines]);
        assert!(taken[1].0.ends_with(line.as_bytes()));
    }
}

proptest! {
    #[test]
    fn any_bytes_will_do(start in 0..9_usize, bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let whole = stream("{a=\"b\"}", &["{}"]);
        let bytes = [&whole[..whole.len() - start], &bytes].concat();
        begins_push(&bytes);
        searched(&bytes);
    }

    #[test]
    fn any_label_comes_out(name in "[a-z_]{1,8}", value in "[ -~é\n\t]{0,20}") {
        let quoted = serde_json::to_string(&value).unwrap();
        let labels = format!("{{job=\"audit\", {name}={quoted}}}");
        let json = [b"{", &labels_as_json(labels.as_bytes())[..], b"}"].concat();
        let json: Json = serde_json::from_slice(&json).unwrap();
        prop_assert_eq!(json[&name].as_str(), Some(&*value));
    }
}
