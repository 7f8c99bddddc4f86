use proptest::{collection::vec, prelude::*, sample::select};

use crate::record::{
    OVERLAP, Shape,
    stream::framing::{Framer, Piece},
};

const TIME: &str = "2026-11-23T17:21:01.912216789Z";
const MAX: usize = 1 << 20;

/// Reads `input` in pieces of the given lengths, over and over, and gives what is handed on, run by run.
fn read(mut framer: Framer, input: &[u8], reads: &[usize]) -> Vec<(String, Shape, u64)> {
    let mut taken = Vec::new();
    let mut emit = |piece: Piece<'_>| {
        let text = String::from_utf8_lossy(piece.bytes).into_owned();
        taken.push((text, piece.shape, piece.offset));
    };
    let mut rest = input;
    for length in reads.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let space = framer.space(*length);
        let count = space.len().min(rest.len()).min(*length);
        space[..count].copy_from_slice(&rest[..count]);
        rest = &rest[count..];
        framer.commit(count, &mut emit);
    }
    framer.finish(&mut emit);
    assert_eq!(framer.resumable_at(), input.len() as u64);
    taken
}

/// What is handed on, as one text.
#[track_caller]
fn joined(input: &str) -> String {
    let texts = |reads| -> String {
        let taken = read(Framer::new(MAX), input.as_bytes(), &[reads]);
        taken.into_iter().map(|(text, ..)| text).collect()
    };
    let whole = texts(usize::MAX);
    assert_eq!(texts(1), whole);
    whole
}

fn cri(stream: &str, tag: &str, text: &str) -> String {
    format!("{TIME} {stream} {tag} {text}\n")
}

/// `text` as it stands in a JSON string.
fn docker(stream: &str, text: &str) -> String {
    format!("{{\"log\":\"{text}\",\"stream\":\"{stream}\",\"time\":\"{TIME}\"}}\n")
}

/// `lines` one after the other.
fn log(lines: &[String]) -> String {
    lines.concat()
}

#[test]
fn a_carriage_return_at_the_end_of_a_line_is_no_part_of_the_text() {
    let lines = |end: &str| {
        [
            ("P", "{\"a\":\"back"),
            ("P", "up"),
            ("F", "-sa\"}"),
            ("F", "x"),
        ]
        .map(|(tag, text)| cri("stdout", tag, text).replace('\n', end))
        .concat()
    };
    assert_eq!(
        joined(&lines("\r\n")).replace('\r', ""),
        joined(&lines("\n"))
    );
    let wanted = format!("{TIME} stdout F {{\"a\":\"backup-sa\"}}");
    for end in ["\n", "\r\n"] {
        assert!(joined(&lines(end)).starts_with(&wanted), "{end:?}");
    }
}

#[test]
fn the_parts_of_a_record_become_its_line() {
    let parts = log(&[
        cri("stdout", "F", "before"),
        cri("stdout", "P", "one "),
        cri("stdout", "P:x", " stdout P "),
        cri("stdout", "F:y", "three"),
        cri("stdout", "F", "after"),
    ]);
    let whole = log(&[
        cri("stdout", "F", "before"),
        cri("stdout", "F", "one  stdout P three"),
        cri("stdout", "F", "after"),
    ]);
    assert_eq!(joined(&parts), whole);

    let parts = log(&[
        docker("stdout", r"before\n"),
        docker("stdout", r#"{\"a\":\"one\\n"#),
        docker("stdout", r"two"),
        docker("stdout", r#"three\"}\n"#),
        docker("stdout", r"after\n"),
    ]);
    let whole = log(&[
        docker("stdout", r"before\n"),
        docker("stdout", r#"{\"a\":\"one\\ntwothree\"}\n"#),
        docker("stdout", r"after\n"),
    ]);
    assert_eq!(joined(&parts), whole);
}

#[test]
fn stdout_and_stderr_are_joined_apart() {
    let parts = log(&[
        cri("stdout", "P", "out "),
        cri("stderr", "F", "whole"),
        cri("stderr", "P", "err "),
        cri("stdout", "F", "end"),
        cri("stderr", "F", "end"),
    ]);
    let whole = log(&[
        cri("stderr", "F", "whole"),
        cri("stdout", "F", "out end"),
        cri("stderr", "F", "err end"),
    ]);
    assert_eq!(joined(&parts), whole);
}

#[test]
fn a_joined_record_stands_where_its_first_part_stands() {
    let first = cri("stdout", "F", "first");
    let parts = log(&[
        first.clone(),
        cri("stdout", "P", "a"),
        cri("stdout", "F", "b"),
        cri("stdout", "F", "last"),
    ]);
    let offsets: Vec<u64> = read(Framer::new(MAX), parts.as_bytes(), &[usize::MAX])
        .iter()
        .map(|(.., offset)| *offset)
        .collect();
    let line = first.len() as u64;
    assert_eq!(
        offsets,
        [0, line, line + 2 * cri("stdout", "P", "a").len() as u64]
    );
}

#[test]
fn nothing_is_resumed_behind_a_part_that_is_not_handed_on() {
    let mut framer = Framer::new(MAX);
    let mut at = 0;
    let mut feed = |line: &str| {
        framer.space(line.len())[..line.len()].copy_from_slice(line.as_bytes());
        framer.commit(line.len(), &mut |_| {});
        at += line.len() as u64;
        (framer.resumable_at(), at)
    };
    let (_, out) = feed(&cri("stdout", "F", "whole"));
    let (resumable, err) = feed(&cri("stdout", "P", "a"));
    assert_eq!(resumable, out);
    assert_eq!(feed(&cri("stderr", "P", "b")).0, out);
    assert_eq!(feed(&cri("stdout", "F", "a")).0, err);
    let (resumable, end) = feed(&cri("stderr", "F", "b"));
    assert_eq!(resumable, end);
}

#[test]
fn what_is_not_complete_is_handed_on_at_the_end() {
    let parts = log(&[cri("stderr", "P", "half"), docker("stdout", r#"{\"half"#)]);
    assert_eq!(joined(&parts), parts);
    let began_before = log(&[cri("stdout", "P", "rest "), cri("stdout", "F", "end")]);
    assert_eq!(joined(&began_before), cri("stdout", "F", "rest end"));
}

#[test]
fn a_record_that_is_never_complete_does_not_hold_the_place_for_ever() {
    let mut framer = Framer::new(64 << 20);
    let mut seen = 0;
    let mut feed = |line: &str| {
        framer.space(line.len())[..line.len()].copy_from_slice(line.as_bytes());
        framer.commit(line.len(), &mut |piece| {
            seen += usize::from(piece.bytes.ends_with(b"P half\n"));
        });
        (framer.resumable_at(), seen)
    };
    let half = cri("stdout", "P", "half");
    let other = cri("stderr", "F", &"x".repeat(100_000));
    assert_eq!(feed(&half), (0, 0));
    for _ in 0..100 {
        assert_eq!(feed(&other), (0, 0));
    }
    let (resumable, seen) = (0..100).map(|_| feed(&other)).last().unwrap();
    assert_eq!(seen, 1);
    assert_eq!(resumable, (half.len() + 200 * other.len()) as u64);
}

#[test]
fn other_lines_and_other_formats_lose_nothing() {
    let mixed = log(&[
        "plain stdout P text\n".into(),
        cri("stdout", "P", "{"),
        "\n{\"a\":1}\n".into(),
        docker("stdout", r"whole\n"),
        cri("stdout", "F", "rest"),
        format!("{TIME} stdout"),
    ]);
    let whole = log(&[
        "plain stdout P text\n".into(),
        "\n{\"a\":1}\n".into(),
        cri("stdout", "P", "{"),
        docker("stdout", r"whole\n"),
        cri("stdout", "F", "rest"),
        format!("{TIME} stdout"),
    ]);
    assert_eq!(joined(&mixed), whole);
}

#[test]
fn without_their_newlines_dockers_lines_are_no_parts() {
    let event = r#"{\"auditID\":\"1\",\"user\":{}}"#;
    for stripped in [
        log(&[docker("stdout", event), docker("stdout", event)]),
        log(&[docker("stderr", "I1123 starting"), docker("stderr", event)]),
        log(&[docker("stdout", ""), docker("stdout", event)]),
        // A container that was killed in the middle of a line, and its successor.
        log(&[
            docker("stdout", r#"{\"auditID\":\"0"#),
            docker("stdout", event),
        ]),
    ] {
        assert_eq!(joined(&stripped), stripped);
    }
    let full = "x".repeat(16 << 10);
    let parts = log(&[docker("stdout", &full), docker("stdout", event)]);
    assert_eq!(joined(&parts), docker("stdout", &(full + event)));
}

#[test]
fn a_part_among_lines_of_another_kind_is_seen() {
    let plain = format!("{}\n", "x".repeat(3000));
    let noise = plain.repeat(50);
    let (one, two) = ("1".repeat(8 << 10), "2".repeat(8 << 10));
    for (parts, whole) in [
        (
            cri("stdout", "P", &one) + &cri("stdout", "F", &two),
            cri("stdout", "F", &format!("{one}{two}")),
        ),
        (
            docker("stdout", &format!("{{{one}{one}")) + &docker("stdout", &format!("{two}\\n")),
            docker("stdout", &format!("{{{one}{one}{two}\\n")),
        ),
    ] {
        let taken = read(
            Framer::new(MAX),
            format!("{noise}{parts}{noise}").as_bytes(),
            &[usize::MAX],
        );
        let text: String = taken.into_iter().map(|(text, ..)| text).collect();
        assert_eq!(text, format!("{noise}{whole}{noise}"));
    }
}

/// Parts of oversized records joined; lines as they are.
fn records(taken: &[(String, Shape, u64)]) -> Vec<(bool, String)> {
    let mut records: Vec<(bool, String)> = Vec::new();
    for (text, shape, _) in taken {
        match shape {
            Shape::Oversized { first: false, .. } => {
                let (_, record) = records.last_mut().unwrap();
                assert!(record.ends_with(&text[..OVERLAP]));
                record.push_str(&text[OVERLAP..]);
            }
            Shape::Oversized { first: true, .. } => records.push((true, text.clone())),
            _ => records.extend(text.lines().map(|line| (false, format!("{line}\n")))),
        }
    }
    records
}

#[test]
fn a_joined_record_that_is_too_long_goes_on_in_parts() {
    let max = 50_000;
    let text: String = ('a'..='w').cycle().take(3_000_000).collect();
    for make in [cri, |stream: &str, tag: &str, text: &str| {
        docker(
            stream,
            &format!("{text}{}", if tag == "F" { "\\n" } else { "" }),
        )
    }] {
        let chunks: Vec<&str> = text
            .as_bytes()
            .chunks(16 << 10)
            .map(|c| std::str::from_utf8(c).unwrap())
            .collect();
        let (last, parts) = chunks.split_last().unwrap();
        let mut lines: Vec<String> = parts.iter().map(|part| make("stdout", "P", part)).collect();
        lines.insert(100, make("stderr", "F", "between"));
        lines.push(make("stdout", "F", last));
        let taken = read(Framer::new(max), log(&lines).as_bytes(), &[70_000]);
        let between = taken
            .iter()
            .position(|(text, ..)| text.contains("between"))
            .unwrap();
        let mut others = taken.clone();
        others.remove(between);
        let shapes: Vec<Shape> = others.iter().map(|(_, shape, _)| *shape).collect();
        assert_eq!(shapes.len(), 4);
        assert_eq!(
            shapes[0],
            Shape::Oversized {
                first: true,
                last: false
            }
        );
        assert_eq!(
            shapes[3],
            Shape::Oversized {
                first: false,
                last: true
            }
        );
        let whole = records(&others);
        assert_eq!(whole.len(), 1);
        assert!(whole[0].1.contains(&text));
        assert!(others.iter().all(|(text, ..)| text.len() <= 1 << 20));
    }
}

#[test]
fn two_oversized_records_do_not_mix() {
    let part = |letter: &str| letter.repeat(16 << 10);
    let mut lines = Vec::new();
    for _ in 0..200 {
        lines.push(cri("stdout", "P", &part("o")));
        lines.push(cri("stderr", "P", &part("e")));
    }
    lines.insert(202, format!("{}\n", part("x").repeat(10)));
    let taken = read(Framer::new(20_000), log(&lines).as_bytes(), &[100_000]);
    let whole = records(&taken);
    for (is_oversized, text) in &whole {
        assert!(is_oversized);
        let own = ["o", "e", "x"]
            .iter()
            .filter(|letter| text.contains(&part(letter)[..OVERLAP]));
        assert_eq!(own.count(), 1);
    }
    let mut open = false;
    for (_, shape, _) in &taken {
        if let Shape::Oversized { first, last } = shape {
            assert_eq!(*first, !open);
            open = !last;
        }
    }
    let count = |letter: char| -> usize {
        let letters = whole.iter().map(|(_, text)| text.matches(letter).count());
        letters.sum()
    };
    assert!(count('x') >= 10 * (16 << 10));
    for letter in ['o', 'e'] {
        assert!(count(letter) >= 200 * (16 << 10));
    }
}

#[derive(Clone, Debug)]
struct Written {
    stream: &'static str,
    text: String,
    cuts: Vec<prop::sample::Index>,
}

/// Texts that look like what might confuse the joiner, and where they are cut.
fn written() -> impl Strategy<Value = Written> {
    let token = select(vec![
        " stdout P ",
        " stderr P ",
        "P",
        "\\\\n",
        "\\\\",
        "\\\"",
        ",",
        "\\\",\\\"stream\\\":\\\"stdout\\\"",
        "n",
        " ",
        "2026-11-23T17:21:01Z stdout P ",
        "a",
    ]);
    let stream = select(vec!["stdout", "stderr"]);
    let cuts = vec(any::<prop::sample::Index>(), 0..5);
    (stream, vec(token, 0..20), cuts).prop_map(|(stream, tokens, cuts)| Written {
        stream,
        text: format!("{{{}", tokens.concat()),
        cuts,
    })
}

/// The lines of each record: cut anywhere but within an escape.
fn parts(record: &Written, is_docker: bool) -> Vec<String> {
    let units: Vec<&str> = {
        let (mut units, mut rest) = (Vec::new(), &record.text[..]);
        while !rest.is_empty() {
            let (unit, behind) = rest.split_at(if rest.starts_with('\\') { 2 } else { 1 });
            units.push(unit);
            rest = behind;
        }
        units
    };
    let mut cuts: Vec<usize> = record
        .cuts
        .iter()
        .map(|cut| cut.index(units.len()))
        .filter(|cut| *cut > 0)
        .collect();
    cuts.sort_unstable();
    cuts.dedup();
    let bounds: Vec<usize> = [vec![0], cuts, vec![units.len()]].concat();
    bounds
        .windows(2)
        .map(|bound| {
            let text = units[bound[0]..bound[1]].concat();
            let is_last = bound[1] == units.len();
            match (is_docker, is_last) {
                (true, true) => docker(record.stream, &(text + "\\n")),
                (true, false) => docker(record.stream, &text),
                (false, true) => cri(record.stream, "F", &text),
                (false, false) => cri(record.stream, "P", &text),
            }
        })
        .collect()
}

proptest! {
    #[test]
    fn any_cut_gives_the_lines_of_the_unsplit_log(
        written in vec(written(), 0..12),
        is_docker: bool,
        order in vec(any::<bool>(), 0..60),
        reads in vec(1usize..200, 1..6),
    ) {
        // Each stream's lines stay in order; those of the two are mixed in any.
        let mut streams = ["stdout", "stderr"].map(|stream| {
            let own = written.iter().filter(|record| record.stream == stream);
            own.flat_map(|record| parts(record, is_docker)).collect::<Vec<_>>().into_iter()
        });
        let mut input = String::new();
        for first in order.iter().chain(&[true, false]).cycle() {
            let line = streams[usize::from(*first)].next();
            input.extend(line);
            if streams.iter().all(|stream| stream.len() == 0) {
                break;
            }
        }
        let taken = read(Framer::new(MAX), input.as_bytes(), &reads);
        let text: String = taken.into_iter().map(|(text, ..)| text).collect();
        for stream in ["stdout", "stderr"] {
            let own = |line: &&str| match is_docker {
                true => line.contains(&format!("\",\"stream\":\"{stream}\",\"time\"")),
                false => line[TIME.len()..].starts_with(&format!(" {stream} ")),
            };
            let got: Vec<&str> = text.lines().filter(own).collect();
            let uncut = written.iter().filter(|record| record.stream == stream);
            let wanted: Vec<String> = uncut
                .flat_map(|record| parts(&Written { cuts: Vec::new(), ..record.clone() }, is_docker))
                .collect();
            let wanted: Vec<&str> = wanted.iter().map(|line| line.trim_end_matches('\n')).collect();
            prop_assert_eq!(got, wanted);
        }
    }
}
