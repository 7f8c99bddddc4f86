use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

#[derive(Clone, Debug, PartialEq)]
struct Taken {
    bytes: Vec<u8>,
    shape: Shape,
    offset: u64,
    is_named: bool,
}

/// Frames `input`, read in pieces of the given lengths (over and over), and whether each commit was followed by a pause.
fn frame(mut framer: Framer, input: &[u8], reads: &[usize], pauses: bool) -> Vec<Taken> {
    let mut taken = Vec::new();
    let mut emit = |piece: Piece<'_>| {
        taken.push(Taken {
            bytes: piece.bytes.to_vec(),
            shape: piece.shape,
            offset: piece.offset,
            is_named: piece.header.is_some(),
        });
    };
    let mut rest = input;
    for length in reads.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let space = framer.space((*length).max(1));
        let read = space.len().min(rest.len()).min((*length).max(1));
        space[..read].copy_from_slice(&rest[..read]);
        rest = &rest[read..];
        framer.commit(read, &mut emit);
        if pauses {
            framer.give_back();
        }
    }
    framer.finish(&mut emit);
    taken
}

/// Records with the same bounds whatever the reads: lines cut apart, oversized parts joined.
fn records(taken: &[Taken]) -> Vec<(bool, Vec<u8>)> {
    let mut records: Vec<(bool, Vec<u8>)> = Vec::new();
    for piece in taken {
        match piece.shape {
            Shape::Lines => {
                let lines = piece.bytes.split_inclusive(|byte| *byte == b'\n');
                records.extend(lines.map(|line| (false, line.to_vec())));
            }
            Shape::Value | Shape::MessagePack | Shape::PushEvents => {
                records.push((false, piece.bytes.clone()))
            }
            Shape::Oversized { first: true, .. } => records.push((true, piece.bytes.clone())),
            Shape::Oversized { first: false, .. } => {
                let (_, record) = records.last_mut().unwrap();
                assert!(record.ends_with(&piece.bytes[..OVERLAP]));
                record.extend_from_slice(&piece.bytes[OVERLAP..]);
            }
        }
    }
    records
}

/// Those that are not white space only: whether such a line before the first value is one, a read may decide.
fn telling_records(taken: &[Taken]) -> Vec<(bool, Vec<u8>)> {
    let all = records(taken).into_iter();
    all.filter(|(_, bytes)| !bytes.trim_ascii().is_empty())
        .collect()
}

fn lines_of(input: &[u8], max: usize) -> Vec<(bool, Vec<u8>)> {
    let lines = input.split_inclusive(|byte| *byte == b'\n');
    let is_long = |line: &[u8]| line.strip_suffix(b"\n").unwrap_or(line).len() > max;
    lines.map(|line| (is_long(line), line.to_vec())).collect()
}

/// Text that is no bracketed JSON, with all that lines may hold.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let token = select(vec![
        &b"a"[..],
        b"\n",
        b"\r\n",
        b"\0",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"{\"a\":1}",
        b" ",
        b"\n\n",
        b"line\n",
    ]);
    (vec(token, 0..200)).prop_map(|tokens| [b"x".as_slice(), &tokens.concat()].concat())
}

#[test]
fn a_blank_line_before_a_value_is_no_record_to_tell_of() {
    for reads in [&[1][..], &[2], &[usize::MAX]] {
        let taken = frame(Framer::new(5), b"\n{\n", reads, false);
        let told = telling_records(&taken);
        assert_eq!(told, [(false, b"{".to_vec())], "{reads:?}");
    }
}

proptest! {
    #[test]
    fn any_reads_give_the_same_lines(
        input in text(),
        reads in vec(1usize..40, 1..8),
        pauses: bool,
        max in select(vec![7usize, 30, 1000]),
    ) {
        // A long line that begins with a bracket is cut structurally: not here.
        let input: Vec<u8> = input.into_iter().map(|b| if b == b'{' { b'(' } else { b }).collect();
        let taken = frame(Framer::new(max), &input, &reads, pauses);
        prop_assert_eq!(records(&taken), lines_of(&input, max));
        let mut offset = 0;
        for piece in &taken {
            prop_assert_eq!(piece.offset, offset);
            offset += piece.bytes.len() as u64;
        }
    }

    #[test]
    fn any_bytes_in_any_reads_give_the_same_records(
        input in vec(select(b"{}[]\",: \n\r\\aitems\xff".to_vec()), 0..400),
        before in select(vec!["", "text\n", "a, log\n", "id,log\n", "x: y\n\nit's {\n"]),
        reads in vec(1usize..40, 1..8),
        pauses: bool,
        max in select(vec![5usize, 50, 1000]),
    ) {
        let input = [before.as_bytes(), &input].concat();
        let whole = telling_records(&frame(Framer::new(max), &input, &[usize::MAX], false));
        let read = telling_records(&frame(Framer::new(max), &input, &reads, pauses));
        prop_assert_eq!(read, whole.clone());
        // Nothing is lost but white space, commas and brackets.
        let telling = |bytes: &[u8]| -> Vec<u8> {
            bytes.iter().copied().filter(|b| !b" \n\r,{}[]".contains(b)).collect()
        };
        prop_assert_eq!(telling(&records_bytes(&whole)), telling(&input));
    }

    #[test]
    fn any_reads_give_the_same_records_where_lines_of_a_runtime_stand_behind_json(
        tokens in vec(select(vec!["2026-11-23T17:21:01.912216789Z stdout P ", "2026-11-23T17:21:01Z stderr F ", "2026-11-23",
            "7", "{", "}", "[", "]", "\"", ",", ":", "a", " ", "\n", "{\"b\":1}\n"]), 0..60),
        reads in vec(1usize..90, 1..8),
        pauses: bool,
        max in select(vec![5usize, 50, 1000]),
    ) {
        let input = ["{\n".to_owned(), tokens.concat()].concat().into_bytes();
        let whole = telling_records(&frame(Framer::new(max), &input, &[usize::MAX], false));
        let read = telling_records(&frame(Framer::new(max), &input, &reads, pauses));
        prop_assert_eq!(read, whole);
    }
}

/// The lines that are not white space only, where they lie, and whether their columns have names.
fn named_lines(framer: Framer, input: &[u8], reads: &[usize]) -> Vec<(u64, bool)> {
    let taken = frame(framer, input, reads, false).into_iter();
    let lines = taken.filter(|piece| piece.shape == Shape::Lines);
    let lines = lines.flat_map(|piece| {
        let (mut at, mut lines) = (piece.offset, Vec::new());
        for line in piece.bytes.split_inclusive(|byte| *byte == b'\n') {
            if !line.trim_ascii().is_empty() {
                lines.push((at, piece.is_named));
            }
            at += line.len() as u64;
        }
        lines
    });
    lines.collect()
}

proptest! {
    #[test]
    fn the_names_of_columns_are_known_whatever_the_reads_and_after_a_start(
        tokens in vec(select(vec!["id,log\n", "verb,user,requestURI,a", "\n", " ", "\r\n", "{", "[\n", "x", ",a", "\u{feff}", "sep=,\r\n", "{\"a\":1}\n", "1,\"2\"\n"]), 0..12),
        reads in vec(1usize..20, 1..8),
        max in select(vec![5usize, 20, 1000]),
    ) {
        let input = tokens.concat().into_bytes();
        let whole = named_lines(Framer::new(max), &input, &[usize::MAX]);
        prop_assert_eq!(&named_lines(Framer::new(max), &input, &reads), &whole);
        for (at, is_named) in whole.iter().filter(|(at, is_named)| *at > 0 && *is_named) {
            let rest = &input[usize::try_from(*at).unwrap()..];
            let behind = named_lines(Framer::resume(max, *at, &input), rest, &reads);
            prop_assert_eq!(behind.first(), Some(&(*at, *is_named)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn neighbouring_parts_share_the_overlap(
        length in 40_001usize..3_000_000,
        max in 100usize..40_000,
        reads in vec(1000usize..200_000, 1..4),
        newline: bool,
    ) {
        let mut input: Vec<u8> = (0..length).map(|at| b'a' + (at % 23) as u8).collect();
        if newline {
            input.extend_from_slice(b"\nnext\n");
        }
        let taken = frame(Framer::new(max), &input, &reads, false);
        let parts: Vec<_> = taken.iter().filter(|t| t.shape != Shape::Lines).collect();
        let record_end = (length + usize::from(newline)) as u64;
        prop_assert_eq!(parts[0].offset, 0);
        prop_assert_eq!(parts[parts.len() - 1].offset + parts[parts.len() - 1].bytes.len() as u64, record_end);
        for (index, pair) in parts.windows(2).enumerate() {
            let end = pair[0].offset + pair[0].bytes.len() as u64;
            prop_assert_eq!(pair[1].offset, end - OVERLAP as u64);
            prop_assert_eq!(pair[0].shape, Shape::Oversized { first: index == 0, last: false });
        }
        prop_assert!(parts.iter().all(|part| part.bytes.len() <= PART_BYTES.max(max)));
        let last = parts.last().unwrap().shape;
        let alone = parts.len() == 1;
        prop_assert_eq!(last, Shape::Oversized { first: alone, last: true });
        prop_assert_eq!(records(&taken), lines_of(&input, max));
    }
}

fn records_bytes(records: &[(bool, Vec<u8>)]) -> Vec<u8> {
    records
        .iter()
        .flat_map(|(_, bytes)| bytes.iter().copied())
        .collect()
}

fn texts(taken: &[Taken]) -> Vec<String> {
    taken
        .iter()
        .map(|piece| String::from_utf8_lossy(&piece.bytes).into_owned())
        .collect()
}

#[test]
fn complete_lines_are_handed_on_with_the_read_that_completes_them() {
    let mut framer = Framer::new(1000);
    let mut seen = Vec::new();
    let mut feed = |framer: &mut Framer, bytes: &[u8]| {
        framer.space(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        framer.commit(bytes.len(), &mut |piece| seen.push(piece.bytes.to_vec()));
        std::mem::take(&mut seen)
    };
    assert!(feed(&mut framer, b"{\"a\":").is_empty());
    assert_eq!(framer.handed_on(), 0);
    assert_eq!(
        feed(&mut framer, b"1}\n{\"b\":2}\n{"),
        [b"{\"a\":1}\n{\"b\":2}\n"]
    );
    assert_eq!(framer.handed_on(), 16);
    assert_eq!(framer.offset(), 17);
    assert_eq!(feed(&mut framer, b"}\n"), [b"{}\n"]);
}

#[test]
fn a_byte_order_mark_is_skipped_at_the_start_only() {
    let input = b"\xef\xbb\xbfone\n\xef\xbb\xbftwo\n";
    for reads in [1, 2, 3, 100] {
        let taken = frame(Framer::new(100), input, &[reads], false);
        assert_eq!(
            texts(&taken).concat(),
            "one\n\u{feff}two\n",
            "reads of {reads}"
        );
        assert_eq!(taken[0].offset, 3);
    }
    assert_eq!(
        records_bytes(&records(&frame(Framer::new(9), b"\xef\xbb", &[1], false))),
        b"\xef\xbb"
    );
}

#[test]
fn a_bare_bracket_in_the_first_line_means_json_over_many_lines() {
    let input = "\n \r\n{\r\n  \"kind\": \"Event\"\r\n}\r\n{\n \"b\": 2\n}\n";
    let taken = frame(Framer::new(1000), input.as_bytes(), &[3], false);
    let values: Vec<_> = taken
        .iter()
        .filter(|piece| piece.shape == Shape::Value)
        .cloned()
        .collect();
    assert_eq!(
        texts(&values),
        ["{\r\n  \"kind\": \"Event\"\r\n}", "{\n \"b\": 2\n}"]
    );
    assert_eq!(values[0].offset, 4);

    let lines = frame(Framer::new(1000), b"{ \"a\": 1 }\n{\n}\n", &[1000], false);
    assert!(lines.iter().all(|piece| piece.shape == Shape::Lines));
}

#[test]
fn several_brackets_in_the_first_line_mean_json_over_many_lines_too() {
    let two = ["{\n \"a\": 1\n}", "{\n \"b\": 2\n}"];
    for between in [", ", ",\n"] {
        for first in ["[", "[ ", "\n[", "[ \r\n"] {
            let input = format!("{first}{}]\n", two.join(between));
            for reads in [1, 3, 1000] {
                let taken = frame(Framer::new(1000), input.as_bytes(), &[reads], false);
                let values = taken.iter().filter(|piece| piece.shape == Shape::Value);
                let values: Vec<_> = values.cloned().collect();
                assert_eq!(texts(&values), two, "{input:?}");
            }
        }
    }
}

#[test]
fn blank_lines_before_the_first_record_do_not_pile_up() {
    let mut framer = Framer::new(1 << 20);
    let mut bytes = 0;
    for _ in 0..1000 {
        framer.space(1000)[..1000].fill(b'\n');
        framer.commit(1000, &mut |piece| bytes += piece.bytes.len());
    }
    assert_eq!(bytes, 1_000_000);
    assert!(framer.bytes.len() <= 2 * READ_BYTES);
}

#[test]
fn the_items_of_a_list_in_one_overlong_line_are_records_of_their_own() {
    let items: Vec<String> = (0..100)
        .map(|n| format!("{{\"auditID\":\"{n}\",\"x\":\"[,}}\"}}"))
        .collect();
    let line = format!(
        "{{\"kind\":\"EventList\",\"items\":[{}],\"more\":1}}\n{{\"next\":1}}\n",
        items.join(",")
    );
    let taken = frame(Framer::new(500), line.as_bytes(), &[64], false);
    let texts = texts(&taken);
    assert_eq!(texts[0], "{\"kind\":\"EventList\",\"items\":");
    assert_eq!(texts[1..101], items);
    assert_eq!(texts[101], "\"more\":1}");
    assert_eq!(texts[102], "{\"next\":1}\n");
    assert_eq!(taken[102].shape, Shape::Lines);
}

/// Whatever its bounds and however it is read; one that is no longer than a record may be stays whole, with what its head says.
#[test]
fn the_records_of_a_document_that_is_too_long_are_records_of_their_own() {
    let records: Vec<serde_json::Value> = (0..40)
        .map(|n| serde_json::json!({"message": {"data": format!("[{n}}}\"")}, "records": [1], "hits": {"hits": [2]}}))
        .collect();
    for (before, behind) in [
        ("{\"receivedMessages\":", ",\"more\":1}"),
        ("{\"logGroup\":\"g\",\"n\":[1],\"logEvents\" : ", "}"),
        (
            "{\"took\":1,\"hits\":{\"total\":{\"value\":40},\"hits\":",
            "}}",
        ),
        (
            "{\"status\":\"success\",\"data\":{\"result\":",
            "},\"x\":[1]}",
        ),
    ] {
        let list = serde_json::to_string(&records).unwrap();
        let document = format!("{before}{list}{behind}");
        let pretty: serde_json::Value = serde_json::from_str(&document).unwrap();
        let pretty = serde_json::to_string_pretty(&pretty).unwrap();
        for text in [
            format!("{document}\n{{\"next\":1}}\n"),
            document.clone(),
            pretty,
        ] {
            for reads in [1, 64, 10_000] {
                let cut = |max| {
                    let taken = frame(Framer::new(max), text.as_bytes(), &[reads], false);
                    let values = taken.iter().filter(|piece| piece.shape == Shape::Value);
                    let values: Vec<_> = values.cloned().collect();
                    texts(&values)
                };
                let values = cut(500);
                let parsed = values
                    .iter()
                    .filter_map(|text| serde_json::from_str(text).ok());
                let parsed: Vec<serde_json::Value> = parsed.collect();
                assert_eq!(parsed, records, "{text}");
                assert!(cut(10_000).len() <= 1, "{text}");
            }
        }
    }
}

/// The API server writes none of those keys at the top of an event, but a client may within a body.
#[test]
fn the_lists_in_an_event_that_is_too_long_are_no_records() {
    let body = format!("[{}1]", "{\"a\":[]},".repeat(100));
    for key in ["records", "events", "items", "hits"] {
        let event = format!(
            "{{\"kind\":\"Event\",\"requestObject\":{{\"{key}\":{body},\"data\":{{\"result\":{body}}}}}}}\n"
        );
        let taken = frame(Framer::new(500), event.as_bytes(), &[64], false);
        let is_part = |piece: &Taken| matches!(piece.shape, Shape::Oversized { .. });
        assert!(taken.iter().all(is_part), "{taken:?}");
    }
}

#[test]
fn a_giant_record_costs_its_limit_and_gives_its_memory_back() {
    for (opening, nested) in [
        (&b"x"[..], b"a"),
        (b"{\"a\":\"", b"a"),
        (b"{\n", b"["),
        (b"[\n", b"\""),
    ] {
        let mut framer = Framer::new(2 << 20);
        let mut emit = |piece: Piece<'_>| assert!(piece.bytes.len() <= 2 << 20);
        framer.space(opening.len())[..opening.len()].copy_from_slice(opening);
        framer.commit(opening.len(), &mut emit);
        let mut most = 0;
        for _ in 0..40 {
            let space = framer.space(READ_BYTES);
            let read = space.len();
            space.fill(nested[0]);
            framer.commit(read, &mut emit);
            most = most.max(framer.bytes.capacity());
        }
        assert!(most <= 3 << 20, "{most} for {opening:?}");
        framer.space(6)[..6].copy_from_slice(b"\"\n}\n{\n");
        framer.commit(6, &mut emit);
        framer.finish(&mut emit);
        assert!(
            framer.bytes.capacity() <= 4096,
            "{}",
            framer.bytes.capacity()
        );
    }
}

#[test]
fn a_long_line_in_little_reads_is_looked_at_once() {
    let mut framer = Framer::new(16 << 20);
    for _ in 0..200_000 {
        framer.space(50)[..50].fill(b'a');
        framer.commit(50, &mut |_| panic!("no record yet"));
        framer.give_back();
    }
    // Quadratic work would be 10^12 byte steps.
    assert_eq!(framer.offset(), 10_000_000);
    assert_eq!(framer.scanned, framer.end);
}

#[test]
fn a_stream_resumed_knows_its_shape_by_its_head() {
    let taken = frame(
        Framer::resume(1000, 50, b"{\n \"a\": 1\n"),
        b" \"b\": 1\n}\n{\n \"c\": 2\n}\n",
        &[4],
        false,
    );
    assert_eq!(texts(&taken).last().unwrap(), "{\n \"c\": 2\n}");
    assert_eq!(taken[0].offset, 51);
    let taken = frame(
        Framer::resume(1000, 50, b"{\"a\":1}\n"),
        b"{\n}\n",
        &[4],
        false,
    );
    assert_eq!(
        taken,
        [Taken {
            bytes: b"{\n}\n".to_vec(),
            shape: Shape::Lines,
            offset: 50,
            is_named: false,
        }]
    );
}

#[test]
fn lines_of_a_runtime_behind_a_value_over_many_lines_are_joined() {
    let head = "2026-11-23T17:21:01.912216789Z stdout";
    let lines = format!("{head} P {{\"a\":\"b\n{head} F c\"}}\n{head} F {{\"d\":1}}\n");
    let alone = texts(&frame(
        Framer::new(1 << 20),
        lines.as_bytes(),
        &[1000],
        false,
    ));
    assert!(
        alone.iter().any(|text| text.contains("\"bc\"")),
        "{alone:?}"
    );
    for before in ["{\n \"a\": 1\n}\n", "{\n", "{\n}\n2026\n", "[\n1\n]\n"] {
        let input = format!("{before}{lines}{{\n \"e\":\n 2\n}}\n");
        for read in [1, 7, 60, 1000] {
            let taken = texts(&frame(
                Framer::new(1 << 20),
                input.as_bytes(),
                &[read],
                true,
            ));
            let all = taken.concat();
            assert!(
                all.contains("\"bc\"") && all.contains("{\"d\":1}"),
                "{read}: {taken:?}"
            );
            assert!(
                taken.iter().any(|text| text.starts_with("{\n \"e\"")),
                "{taken:?}"
            );
        }
    }
}

#[test]
fn every_line_comes_with_the_names_of_its_columns() {
    let log = "id,log\n1,\"{}\"\n2,\"{}\"\n";
    let named = |mut framer: Framer, text: &str, read: usize| {
        let (mut named, mut at) = (Vec::new(), 0);
        let mut take = |piece: Piece<'_>| {
            let lines = piece.bytes.split(|byte| *byte == b'\n');
            let lines = lines.filter(|line| !line.is_empty());
            named.extend(lines.map(|_| piece.header.is_some()));
        };
        while at < text.len() {
            let count = read.min(text.len() - at);
            framer.space(count)[..count].copy_from_slice(&text.as_bytes()[at..at + count]);
            framer.commit(count, &mut take);
            at += count;
        }
        framer.finish(&mut take);
        named
    };
    for read in [1, 9, 100] {
        assert_eq!(named(Framer::new(1000), log, read), [true; 3]);
        let marked = format!("\u{feff}\r\n{log}");
        let all = named(Framer::new(1000), &marked, read);
        assert!(all.ends_with(&[true; 3]), "{all:?}");
        for before in ["sep=,\n", "sep=;\r\n", "\u{feff}sep=,\r\n"] {
            let all = named(Framer::new(1000), &format!("{before}{log}"), read);
            assert_eq!(all, [true; 3], "{before}");
        }
        let behind = Framer::resume(1000, 50, log.as_bytes());
        assert_eq!(named(behind, "3,x\n4,y", read), [true; 2]);
        for other in ["{\"id\":1}\nid,log\n", "it's,log\n1,2\n", "id,log"] {
            let all = named(Framer::new(1000), other, read);
            assert!(!all.contains(&true), "{other}");
        }
    }
}

#[test]
fn lines_of_text_before_a_bare_bracket_are_no_part_of_the_json() {
    let first = "{\n \"a\": 1\n}";
    let second = "{\r\n \"b\": {\r\n }\r\n}";
    for before in [
        "Warning: v1 is old\n",
        "$ kubectl get --raw \"/x\" | jq .\r\n\n",
        "2026-11-23T17:21:08Z INFO start\nI see [\n",
        "it's, log\n\n\n",
    ] {
        let input = format!("{before}{first}\nbetween: [1 {{\n2 words\n{second}\n");
        for read in [1, 7, 1000] {
            let taken = frame(Framer::new(1000), input.as_bytes(), &[read], true);
            let values: Vec<_> = texts(&taken)
                .into_iter()
                .filter(|text| text.starts_with("{\n") || text.starts_with("{\r"))
                .collect();
            assert_eq!(values, [first, second], "{read} {before}");
            assert!(texts(&taken).concat().starts_with(before.trim_end()));
        }
    }
    // Far from the beginning a bracket is a line like any other.
    let far = format!(
        "{}{first}\n",
        "text\n".repeat(beginning::START_BYTES / 5 + 2)
    );
    for read in [1, 1000, usize::MAX] {
        let taken = frame(Framer::new(1000), far.as_bytes(), &[read], false);
        assert!(taken.iter().all(|piece| piece.shape == Shape::Lines));
    }
}

#[test]
fn lines_of_text_are_handed_on_with_the_read_that_completes_them() {
    let mut framer = Framer::new(1000);
    for line in ["Warning\n", "\n", "another [\n", "{\"a\":1}\n", "last\n"] {
        let mut seen = Vec::new();
        framer.space(line.len())[..line.len()].copy_from_slice(line.as_bytes());
        framer.commit(line.len(), &mut |piece| seen.extend_from_slice(piece.bytes));
        assert_eq!(seen, line.as_bytes());
    }
}

#[test]
fn lines_of_json_over_many_lines_are_handed_on_together() {
    let document = "{\n  \"a\": [\n    1\n  ]\n}\n";
    let input = format!("{{\"b\":1}}\n{document}text\n{document}{{\n  \"c\"");
    for read in 1..input.len() {
        let taken = frame(Framer::new(1000), input.as_bytes(), &[read], true);
        let texts = texts(&taken);
        let whole = texts.iter().filter(|text| text.contains(document));
        let count: usize = whole.map(|text| text.matches(document).count()).sum();
        assert_eq!(count, 2, "{read} {texts:?}");
        assert_eq!(texts.concat(), input);
        // What is longer than a line may be is not waited for.
        let taken = frame(Framer::new(10), input.as_bytes(), &[read], false);
        assert_eq!(records_bytes(&records(&taken)), input.as_bytes());
    }
}

#[test]
fn a_record_may_be_spread_over_lines_behind_lines_of_text() {
    for (record, wanted) in [
        ("{\n \"a\": 1\n}", true),
        ("Warning\n\n{\n \"a\": 1\n}", true),
        ("Warning\n{\"a\": 1}\n{\n", false),
        ("Warning\nand more", false),
        ("{\"a\":1}\n{\n", false),
    ] {
        assert_eq!(is_spread_over_lines(record.as_bytes()), wanted, "{record}");
    }
}
