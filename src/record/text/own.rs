//! Lines of baitline's own, which may come back by the same pipe: whole, or cut off by what carried them. Texts of clients stand in them.
//!
//! A client may let a text of its own begin as they do. So they are known by more than fits into the id of a request, and only as far as they
//! are JSON without spaces, as baitline writes it.

use std::ops::Range;

use memchr::{memchr_iter, memchr2_iter};

use super::{
    escape::unescaped,
    extent::{value_end, value_end_in_string},
};
use crate::format::json::BEGINNINGS;

/// What stands behind each of [`BEGINNINGS`] and the digit of a schema, before one identifier and another.
const BEFORE_IDS: [[&str; 2]; 2] = [
    [r#","alert_id":""#, r#"","incident_id":""#],
    [r#","detection_id":""#, r#"","request_id":""#],
];

const SCHEMA_DIGITS: usize = 1;
const ID_DIGITS: usize = 32;

/// What stands in JSON without spaces outside of strings, beside digits.
const OUTSIDE_STRINGS: &[u8] = b"{}[]:,\"+-.eEtrufalsn";

/// Whether `text` is nothing but such lines.
pub fn is_own(text: &[u8]) -> bool {
    let mut rest = text.trim_ascii();
    let is_any = !rest.is_empty();
    while let Some((length, _)) = first(rest) {
        rest = rest[length..].trim_ascii_start();
    }
    is_any && rest.is_empty()
}

/// The length of the line with which `text` begins, if it is such a line that was cut off.
pub fn cut_length(text: &[u8]) -> Option<usize> {
    first(text).and_then(|(length, is_cut)| is_cut.then_some(length))
}

/// The length of the line with which `text` begins, if it is such a line, and whether it was cut off: before the end of the text, or where
/// the next one begins.
fn first(text: &[u8]) -> Option<(usize, bool)> {
    if !begins(text.iter()) {
        return None;
    }
    // Where many are in one line, each is looked at up to the next.
    let mut ends = memchr2_iter(b'{', b'\n', text).skip(1);
    let end = ends.find(|end| text[*end] == b'\n' || begins(text[*end..].iter()));
    let line = &text[..end.unwrap_or(text.len())];
    match value_end(line) {
        Some(length) => Some((length, false)),
        None => is_json(line.trim_ascii_end()).then_some((line.len(), true)),
    }
}

/// Where the first such line stands in `line`, its quotes escaped or not.
pub fn place(line: &[u8]) -> Option<Range<usize>> {
    let is_plain = |byte: &&u8| **byte != b'\\';
    let mut starts = memchr_iter(b'{', line);
    let start = starts.find(|start| begins(line[*start..].iter().filter(is_plain)))?;
    let own = &line[start..];
    let end = match value_end_in_string(own) {
        Some(length) => start + length,
        None => line.len(),
    };
    (end < line.len() || is_json(&without_layers(own))).then_some(start..end)
}

/// Whether `bytes` begin as such a line does.
fn begins<'b>(bytes: impl Iterator<Item = &'b u8> + Clone) -> bool {
    let digits = [SCHEMA_DIGITS, ID_DIGITS, ID_DIGITS];
    BEGINNINGS.iter().zip(BEFORE_IDS).any(|(head, before)| {
        let heads = [head, before[0].as_bytes(), before[1].as_bytes()];
        let mut bytes = bytes.clone();
        heads.into_iter().zip(digits).all(|(head, digits)| {
            head.iter().all(|byte| bytes.next() == Some(byte))
                && (0..digits).all(|_| bytes.next().is_some_and(u8::is_ascii_hexdigit))
        })
    })
}

/// `text`, which begins with a bracket, without the backslashes of the strings in which it stands.
fn without_layers(text: &[u8]) -> Vec<u8> {
    let mut plain = String::from_utf8_lossy(text).into_owned();
    while plain.get(1..).is_some_and(|inner| inner.starts_with('\\')) {
        plain = unescaped(&plain);
    }
    plain.into_bytes()
}

/// Whether `text` is what JSON without spaces may begin with.
fn is_json(text: &[u8]) -> bool {
    let (mut in_string, mut is_escaped) = (false, false);
    text.iter().all(|byte| {
        let is_end = *byte == b'"' && !is_escaped;
        is_escaped = in_string && *byte == b'\\' && !is_escaped;
        in_string ^= is_end;
        match in_string {
            true => *byte >= b' ',
            false => byte.is_ascii_digit() || OUTSIDE_STRINGS.contains(byte),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(rest: &str) -> String {
        let id = "0123456789abcdef0123456789abcdef";
        format!(r#"{{"type":"alert","schema":1,"alert_id":"{id}","incident_id":"{id}",{rest}"#)
    }

    #[test]
    fn a_line_is_known_as_far_as_it_is_json() {
        for (rest, wanted) in [
            (r#""a":[1,null],"b":"x \"y"#, true),
            (r#""a":"x"}"#, true),
            ("", true),
            (r#""a":"x"},"b":{"#, false),
            (r#""a":"x"|"b"#, false),
            (" requestURI:/ user:map[", false),
            ("\"a\":\"x\ty", false),
        ] {
            assert_eq!(is_own(line(rest).as_bytes()), wanted, "{rest}");
        }
        assert!(is_own(
            format!("{}\n{}\r\n", line("\"a\":1}"), line("\"b")).as_bytes()
        ));
        assert!(!is_own(br#"{"type":"alert","schema":1,"alert_id":"0","#));
        assert!(!is_own(b"\n"));
        let two = line("\"a\":[{\"b") + &line("\"c\":1}");
        assert!(is_own(two.as_bytes()));
        assert_eq!(cut_length(two.as_bytes()), Some(line("\"a\":[{\"b").len()));
    }

    #[test]
    fn a_line_has_a_place_in_strings() {
        for inner in [line("\"a\":\"x\"}"), line("\"a\":\"x")] {
            let once = inner.replace('"', "\\\"");
            let twice = once.replace('\\', "\\\\").replace("\\\\\"", "\\\\\\\"");
            for own in [inner, once, twice] {
                assert_eq!(
                    place(format!("x {own}").as_bytes()),
                    Some(2..2 + own.len()),
                    "{own}"
                );
            }
        }
        let whole = line("\"a\":1}");
        assert_eq!(place(format!("{whole} b").as_bytes()), Some(0..whole.len()));
        assert_eq!(place(format!("{} b", line("")).as_bytes()), None);
    }
}
