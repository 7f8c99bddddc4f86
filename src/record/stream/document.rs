//! JSON that is spread over lines, among lines that are records of their own: `cat ndjson pretty`.
//!
//! Such a document begins with a line that opens an object or array and ends within it, behind a bracket or a comma, goes on in lines that
//! are indented, and ends with the first that is not and begins with what closes it. It is looked for only around a line that is worth it,
//! and at the end of what was read.

use std::ops::Range;

use memchr::{memchr, memrchr};

use super::structural::{Cut, Cutter};

/// The beginning of a record in a sequence (RFC 7464).
const RECORD_SEPARATOR: u8 = 0x1e;

/// What sets colours on terminals, as `jq -C` does, begins so, and ends with a letter.
const COLOUR: &[u8] = b"\x1b[";

/// Where the document lies to which `line` of `lines` belongs. None begins before `from`, and those behind `from` that belong to none
/// are not looked at again if this is called for one line after the other.
pub fn around(lines: &[u8], from: usize, line: Range<usize>) -> Option<Range<usize>> {
    let start = beginning(lines, from, line.start)?;
    let end_of = |start: usize| {
        memchr(b'\n', &lines[start..]).map_or(lines.len(), |newline| start + newline)
    };
    let mut end = match start == line.start {
        true => line.end,
        false => end_of(start),
    };
    if !opens(&lines[start..end]) {
        return None;
    }
    loop {
        let next = lines.get(end + 1..).filter(|next| !next.is_empty())?;
        let at = end + 1;
        end = end_of(at);
        if !is_indented(next) {
            return closes(next).then_some(start..end);
        }
    }
}

/// Where the first line of the document begins in which the line that begins at `start` would lie.
pub fn beginning(lines: &[u8], from: usize, start: usize) -> Option<usize> {
    let mut start = start;
    while may_go_on(&lines[start..]) {
        let before = lines.get(from..start)?.strip_suffix(b"\n")?;
        start = from + memrchr(b'\n', before).map_or(0, |newline| newline + 1);
    }
    Some(start)
}

/// Where the document begins, not before `from`, that goes on behind the last of `lines`, all of which are complete. The first `known` bytes
/// of them are those of one that was open behind them, and are not looked at again.
pub fn open(lines: &[u8], from: usize, known: usize) -> Option<usize> {
    let last = |lines: &[u8]| {
        let before = lines.get(from..)?.strip_suffix(b"\n")?;
        let newline = memrchr(b'\n', before);
        let is_line = newline.is_some() || from == 0 || lines[from - 1] == b'\n';
        is_line.then(|| from + newline.map_or(0, |newline| newline + 1))
    };
    let mut start = last(lines)?;
    let mut end = lines.len();
    while start >= known && is_indented(&lines[start..]) {
        (start, end) = (last(&lines[..start])?, start);
    }
    match start < known {
        true => (from == 0).then_some(0),
        false => opens(&lines[start..end]).then_some(start),
    }
}

/// Whether the line that `lines` begins with may go on a document, so that it is not to be looked at without those before it.
pub fn may_go_on(lines: &[u8]) -> bool {
    is_indented(lines) || closes(lines)
}

/// Where lines end behind which no document goes on: the first such place in `lines` from `end` on, where a line ends.
pub fn end_from(lines: &[u8], mut end: usize) -> usize {
    while may_go_on(&lines[end..]) {
        end = memchr(b'\n', &lines[end..]).map_or(lines.len(), |newline| end + newline + 1);
    }
    end
}

fn is_indented(line: &[u8]) -> bool {
    matches!(line.first(), Some(b' ' | b'\t'))
}

fn closes(line: &[u8]) -> bool {
    matches!(bare(line).first(), Some(b'}' | b']'))
}

fn opens(line: &[u8]) -> bool {
    let ends_open = |line: &[u8]| matches!(line.trim_ascii_end().last(), Some(b'{' | b'[' | b','));
    matches!(bare(line).first(), Some(b'{' | b'['))
        && match line.trim_ascii_end().last() {
            // Perhaps that of a colour.
            Some(byte) if byte.is_ascii_alphabetic() => without_colours(line)
                .is_some_and(|plain| ends_open(&plain) && stays_open(bare(&plain))),
            _ => ends_open(line) && stays_open(bare(line)),
        }
}

/// Whether the bracket with which `line` begins is not closed in it.
fn stays_open(line: &[u8]) -> bool {
    let (mut cutter, mut rest) = (Cutter::stream(), line);
    while !rest.is_empty() {
        let (looked_at, cut) = cutter.next(rest);
        if matches!(cut, Some(Cut::Close { .. })) && !cutter.is_nested() {
            return false;
        }
        rest = &rest[looked_at..];
    }
    cutter.is_nested()
}

/// `line` without what may stand before its first letter.
fn bare(line: &[u8]) -> &[u8] {
    let mut line = line.strip_prefix(&[RECORD_SEPARATOR]).unwrap_or(line);
    while let Some(length) = colour(line) {
        line = &line[length..];
    }
    line
}

/// How many bytes `text` begins with that set a colour.
fn colour(text: &[u8]) -> Option<usize> {
    let rest = text.strip_prefix(COLOUR)?;
    let length = rest.iter().take_while(|byte| is_of_number(byte)).count();
    let ends = rest.get(length).is_some_and(u8::is_ascii_alphabetic);
    ends.then_some(COLOUR.len() + length + 1)
}

/// `text` without colours, also those that stand in others; `None` if it has none. Nothing that is left sets one.
pub fn without_colours(text: &[u8]) -> Option<Vec<u8>> {
    let mut plain = text[..memchr(COLOUR[0], text)?].to_vec();
    for byte in &text[plain.len()..] {
        plain.push(*byte);
        if byte.is_ascii_alphabetic() {
            plain.truncate(plain.len() - colour_at_end(&plain));
        }
    }
    (plain.len() < text.len()).then_some(plain)
}

/// How many bytes `text`, which ends with a letter, ends with that set a colour. Whether they do or not, no later letter stands right behind
/// the digits that are looked at.
fn colour_at_end(text: &[u8]) -> usize {
    let Some((_, before)) = text.split_last() else {
        return 0;
    };
    let numbers = before.iter().rev().take_while(|byte| is_of_number(byte));
    let start = &before[..before.len() - numbers.count()];
    match start.ends_with(COLOUR) {
        true => text.len() - start.len() + COLOUR.len(),
        false => 0,
    }
}

fn is_of_number(byte: &u8) -> bool {
    byte.is_ascii_digit() || *byte == b';'
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The document around the line in which `x` stands.
    fn document(text: &str) -> Option<&str> {
        let at = text.find('x').unwrap();
        let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let end = text[at..]
            .find('\n')
            .map_or(text.len(), |length| at + length);
        around(text.as_bytes(), 0, start..end).map(|place| &text[place])
    }

    #[test]
    fn a_document_is_known_around_each_of_its_lines() {
        for whole in [
            "{\n \"x\": 1\n}",
            "{\n\t\"a\": {\n\t\t\"x\": 1\n\t}\n}",
            "{\"items\":[\n  {\n   \"a\": \"x\"\n  }\n]}",
            "{ \"x\": 1,\n  \"a\": 2\n}",
            "{\n  \"a\": 1\n}, \"x\"",
            "\x1e{\n  \"x\": 1\n}",
            "\x1b[1;39m{\n  \x1b[0m\"x\"\n\x1b[1;39m}\x1b[0m",
            "{\r\n  \"x\": 1\r\n}\r",
        ] {
            assert_eq!(document(whole), Some(whole), "{whole}");
            let among = format!("{{\"a\":1}}\n{whole}\n{{\n");
            assert_eq!(document(&among), Some(whole), "{among}");
        }
        for none in [
            "{\"x\":1}\n{\"a\":2}\n",
            "{\n  \"x\": 1\n",
            "  \"x\": 1\n}\n",
            "text {\n  x\n}\n",
            "{\n  x\ntext\n}\n",
            "{\"a\":1}\n  x\n}\n",
            "[1]\nx\n[2]",
            "[main] it is,\n  x\n]\n",
            "{\"a\":1} {\n  x\n}\n",
        ] {
            assert_eq!(document(none), None, "{none}");
        }
    }

    #[test]
    fn a_document_is_open_until_it_is_closed() {
        for (lines, wanted) in [
            ("{\n", Some(0)),
            ("1\n{\n  \"a\": {\n", Some(2)),
            ("{\n  1\n}\n[\n  1\n", Some(8)),
            ("{\n  1\n}\n", None),
            ("text\n  1\n", None),
            ("  1\n", None),
            ("{\"a\":1}\n", None),
            ("", None),
        ] {
            assert_eq!(open(lines.as_bytes(), 0, 0), wanted, "{lines}");
        }
        assert_eq!(open(b"{\n  1\n", 2, 0), None);
        assert_eq!(open(b"}[\n", 1, 0), None);
    }

    #[test]
    fn what_was_open_is_not_judged_again() {
        for text in [
            "{\n 1\n 2\n}\n{\n",
            "{\n 1\n{\n 2\n 3\n",
            "{\n 1\ntext\n 2\n",
            "{}\n[\n{\n{}\n 1\n",
        ] {
            let (mut start, mut known) = (0, 0);
            for (newline, _) in text.match_indices('\n') {
                let lines = &text.as_bytes()[start..=newline];
                let place = open(lines, 0, known);
                assert_eq!(place, open(lines, 0, 0), "{text}");
                let ready = place.unwrap_or(lines.len());
                (start, known) = (start + ready, lines.len() - ready);
            }
        }
    }

    #[test]
    fn colours_are_taken_off_and_nothing_else() {
        for (text, wanted) in [
            ("a", None),
            ("a\x1bb\x1b", None),
            ("\x1b[1;39m{\x1b[0m}", Some("{}")),
            ("\x1b[K\x1bx\x1b[", Some("\x1bx\x1b[")),
            ("a\x1b[1\x1b[\x1b[0;1mm2mb", Some("ab")),
            ("\x1b\x1b[m[m\x1b[\x1b[mx", Some("")),
            ("\x1b[1\x1b[m-\x1b[mm", Some("\x1b[1-m")),
        ] {
            let plain = without_colours(text.as_bytes());
            assert_eq!(plain.as_deref(), wanted.map(str::as_bytes), "{text:?}");
        }
    }
}
