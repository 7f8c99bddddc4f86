//! An entry as JSON.
//!
//! Nothing in which a name could stand is left out: bytes that are no text, keys that are no strings, and what is nested
//! too deep are written as something that is searched; what is packed is written as wrappers write that. What has no such
//! form, such as NaN, is null.

use std::{io::Write, ops::Range};

use memchr::memchr_iter;

use super::{
    super::{encoded, packing},
    Fault, Token, begins_with_entry, entries,
    entry::{length, parts},
    string_end,
};
use crate::audit::wire_time;

/// Levels that are written as they are: more than are searched. What lies deeper is written flat.
const MAX_DEPTH: usize = 128;

/// Bytes of entries that were packed in a record and are written as JSON, since each byte may be a value.
const MAX_UNPACKED_BYTES: usize = 8 << 20;

/// Bytes of a string that is shown to begin where nothing else can be read.
const MAX_WORD_BYTES: usize = 255;

/// Appends `entry` as JSON: `["2026-11-23T17:21:08.912184Z", record]`, as the wrappers write that name a time, with metadata
/// behind; or the record alone, if it has no time. What is cut off or malformed makes broken JSON, with what is left in a string.
pub fn write_entry(entry: &[u8], into: &mut Vec<u8>) {
    if length(entry) == Err(Fault::NoEntry) {
        return broken(entry, into);
    }
    let Some(parts) = parts(entry) else {
        write_values(entry, 1, into);
        return;
    };
    into.push(b'[');
    match parts.time {
        Some(time) => text(wire_time(time).as_bytes(), into),
        None => into.extend_from_slice(b"null"),
    }
    into.push(b',');
    let is_whole = write_values(parts.rest, parts.count, into);
    if !matches!(
        parts.metadata,
        [] | [0x80] | [0xde, 0, 0] | [0xdf, 0, 0, 0, 0]
    ) {
        into.push(b',');
        write_values(parts.metadata, 1, into);
    }
    if is_whole {
        into.push(b']');
    }
}

/// What was packed in a record, as JSON, one entry a line, if it begins with entries. What follows and is none is broken, to the
/// end, and so is all of it if it is very long.
pub fn entries_as_json(bytes: &[u8]) -> Option<Vec<u8>> {
    if !are_entries(bytes) {
        return None;
    }
    let (mut json, mut rest) = (Vec::new(), bytes);
    if bytes.len() > MAX_UNPACKED_BYTES {
        broken(bytes, &mut json);
        return Some(json);
    }
    for entry in entries(bytes) {
        let entry = entry.unwrap_or(rest);
        write_entry(entry, &mut json);
        json.push(b'\n');
        rest = &rest[entry.len()..];
    }
    Some(json)
}

/// As [`write_entry`], but without the time and what stands beside it.
pub fn write_record(entry: &[u8], into: &mut Vec<u8>) {
    write_values(parts(entry).map_or(entry, |parts| parts.rest), 1, into);
}

/// Appends the first `count` values of `bytes` with commas between them. If they cannot be read, false, and no bracket that
/// follows may close what is broken.
fn write_values(bytes: &[u8], count: u32, into: &mut Vec<u8>) -> bool {
    let mut writer = Writer {
        rest: bytes,
        into,
        open: vec![Open::new(Form::Items, count.into())],
        is_within: false,
    };
    let outcome = writer.values();
    if outcome.is_err() {
        let rest = writer.rest;
        broken(rest, into);
    }
    outcome.is_ok()
}

/// Appends what cannot be read, behind a bracket without a partner: so all of it is broken, and no excerpt is made of it. Strings
/// in it that are packed are written as wrappers write them, as far as they are there.
fn broken(rest: &[u8], into: &mut Vec<u8>) {
    into.push(b'[');
    let mut behind = 0;
    for packed in packed_strings(rest) {
        unreadable(&rest[behind..packed.start], into);
        into.push(b',');
        behind = packed.end;
        encoded::write(&rest[packed], into);
        into.push(b',');
    }
    unreadable(&rest[behind..], into);
}

/// Appends a string of what cannot be read. Brackets in it are escaped unless JSON may stand there: what seems to lie within them
/// would be searched, and what lies behind them would not.
fn unreadable(bytes: &[u8], into: &mut Vec<u8>) {
    if may_hold_object(bytes) {
        return text(&with_quotes(bytes), into);
    }
    let mut escaped = Vec::new();
    text(&with_quotes(bytes), &mut escaped);
    for byte in escaped {
        match byte {
            // Memory takes all.
            b'[' | b']' | b'{' | b'}' => drop(write!(into, "\\u{byte:04x}")),
            other => into.push(other),
        }
    }
}

/// Whether an object of JSON may begin in `bytes`.
fn may_hold_object(bytes: &[u8]) -> bool {
    let mut braces = memchr_iter(b'{', bytes);
    braces.any(|at| bytes[at + 1..].trim_ascii_start().starts_with(b"\""))
}

/// Where the strings lie in what cannot be read that are packed.
fn packed_strings(bytes: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut behind = 0;
    let mut faults = faults(bytes).peekable();
    let starts = bytes
        .iter()
        .enumerate()
        .filter(|(_, byte)| may_be_packed(**byte));
    starts.filter_map(move |(start, _)| {
        let end = (start >= behind).then(|| string_end(bytes, start))??;
        packing::shown(&bytes[start..end])?;
        while faults.next_if(|fault| *fault < start).is_some() {}
        // Strings may lie in one another: each byte is looked at once for all of them. No character goes on at `start`.
        let fault = faults.peek().copied().unwrap_or(bytes.len());
        let is_cut = fault != end && bytes.get(end).is_some_and(|byte| byte & 0xc0 == 0x80);
        (fault < end || is_cut).then(|| {
            behind = end;
            start..end
        })
    })
}

/// The places of all bytes that belong to no character of UTF-8.
fn faults(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let mut at = 0;
    bytes.utf8_chunks().flat_map(move |chunk| {
        let fault = at + chunk.valid().len();
        at = fault + chunk.invalid().len();
        fault..at
    })
}

/// Whether what begins with `byte` may be packed.
fn may_be_packed(byte: u8) -> bool {
    matches!(byte, 0x1f | 0x28 | 0x50..=0x5f | 0x78)
}

/// What cannot be read, with a quote before each string that stands in it: there begin keys, and names end behind no length
/// that looks like a letter. Nothing else is changed.
pub fn with_quotes(bytes: &[u8]) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(bytes.len() + bytes.len() / 8);
    for (at, byte) in bytes.iter().enumerate() {
        if byte.is_ascii_graphic() && begins_string(bytes, at) {
            quoted.push(b'"');
        }
        quoted.push(*byte);
    }
    quoted
}

/// Whether the header of a string of one word ends at `at`.
fn begins_string(bytes: &[u8], at: usize) -> bool {
    let is_header = |length: usize| {
        let start = at.checked_sub(length)?;
        let is_header = match bytes[start] {
            0xa0..=0xbf => length == 1,
            0xd9 | 0xc4 => length == 2,
            0xda | 0xc5 => length == 3,
            0xdb | 0xc6 => length == 5,
            _ => false,
        };
        is_header.then(|| Token::read(&bytes[start..]).ok())?
    };
    let is_word = |token| {
        let (Token::Str(body) | Token::Bin(body), _) = token else {
            return false;
        };
        body.len() <= MAX_WORD_BYTES && body.iter().all(u8::is_ascii_graphic)
    };
    [1, 2, 3, 5].into_iter().filter_map(is_header).any(is_word)
}

/// Whether a string is no text, but begins with entries.
fn are_entries(bytes: &[u8]) -> bool {
    begins_with_entry(bytes) && std::str::from_utf8(bytes).is_err()
}

struct Writer<'b, 'o> {
    rest: &'b [u8],
    into: &'o mut Vec<u8>,
    open: Vec<Open>,
    /// What is written lies in a string: what lies in strings of that is not looked at.
    is_within: bool,
}

/// An array or a map, of which values are still to come.
struct Open {
    form: Form,
    left: u64,
    is_first: bool,
}

/// How what is open is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Without brackets.
    Items,
    Array,
    /// An array that has all in it, however deep, beside each other.
    Flat,
    /// A map before a key.
    Key,
    /// A map before a value.
    Value,
    /// A map before the value of a key that is no scalar.
    ValueOfContainer,
}

impl Open {
    fn new(form: Form, left: u64) -> Self {
        Self {
            form,
            left,
            is_first: true,
        }
    }

    fn end(&self) -> &'static [u8] {
        match self.form {
            Form::Items => b"",
            Form::Array | Form::Flat => b"]",
            Form::Key | Form::Value | Form::ValueOfContainer => b"}",
        }
    }
}

impl Writer<'_, '_> {
    fn values(&mut self) -> Result<(), Fault> {
        while let Some(open) = self.open.last_mut() {
            if open.left == 0 {
                self.into.extend_from_slice(open.end());
                self.open.pop();
                continue;
            }
            let (token, length) = Token::read(self.rest)?;
            self.rest = &self.rest[length..];
            open.left -= 1;
            let form = open.form;
            if !open.is_first && !matches!(form, Form::Value) {
                self.into.push(b',');
            }
            open.is_first = false;
            let children = match token {
                Token::Array(length) => Some((Form::Array, u64::from(length))),
                Token::Map(length) => Some((Form::Key, 2 * u64::from(length))),
                _ => None,
            };
            open.form = match (form, children) {
                (Form::Key, None) => Form::Value,
                (Form::Key, Some(_)) => Form::ValueOfContainer,
                (Form::Value | Form::ValueOfContainer, _) => Form::Key,
                (other, _) => other,
            };
            if matches!(form, Form::ValueOfContainer)
                || matches!(form, Form::Key) && children.is_some()
            {
                self.into.extend_from_slice(b"\"\":");
            }
            match children {
                None => self.scalar(token, form),
                Some((_, more)) if form == Form::Flat => {
                    open.left = open.left.saturating_add(more);
                    self.into.extend_from_slice(b"null");
                }
                Some((container, more)) => self.begin(container, more),
            }
        }
        Ok(())
    }

    fn begin(&mut self, container: Form, children: u64) {
        let form = match self.open.len() > MAX_DEPTH {
            true => Form::Flat,
            false => container,
        };
        self.into.push(match form {
            Form::Key => b'{',
            _ => b'[',
        });
        self.open.push(Open::new(form, children));
    }

    /// Entries that lie in a string, as an array. What is none behind them is broken JSON in a string.
    fn within(&mut self, bytes: &[u8]) {
        self.into.push(b'[');
        let whole = entries(bytes).take_while(Result::is_ok).count() as u64;
        let mut writer = Writer {
            rest: bytes,
            into: self.into,
            open: vec![Open::new(Form::Items, whole)],
            is_within: true,
        };
        let outcome = writer.values();
        debug_assert!(outcome.is_ok(), "they are whole: {outcome:?}");
        let rest = writer.rest;
        if !rest.is_empty() {
            if whole > 0 {
                self.into.push(b',');
            }
            let mut json = Vec::new();
            broken(rest, &mut json);
            text(&json, self.into);
        }
        self.into.push(b']');
    }

    /// A key is a string, whatever it is.
    fn scalar(&mut self, token: Token<'_>, form: Form) {
        let is_key = form == Form::Key;
        if is_key && !matches!(token, Token::Str(_) | Token::Bin(_) | Token::Ext(..)) {
            self.into.push(b'"');
            number(token, self.into);
            self.into.push(b'"');
        } else {
            match token {
                Token::Str(bytes) | Token::Bin(bytes)
                    if !is_key && !self.is_within && are_entries(bytes) =>
                {
                    self.within(bytes);
                }
                Token::Str(bytes) | Token::Bin(bytes) if !is_key && packing::is_packed(bytes) => {
                    encoded::write(bytes, self.into);
                }
                Token::Str(bytes) | Token::Bin(bytes) => text(bytes, self.into),
                // The mark keeps it from being taken for a string, as which nobody wrote it.
                Token::Ext(_, bytes) => text(&[b"#", bytes].concat(), self.into),
                other => number(other, self.into),
            }
        }
        if is_key {
            self.into.push(b':');
        }
    }
}

/// Appends a number, or one of the words of JSON.
fn number(token: Token<'_>, into: &mut Vec<u8>) {
    // Memory takes all.
    let _ = match token {
        Token::Bool(truth) => write!(into, "{truth}"),
        Token::Integer(number) => write!(into, "{number}"),
        Token::Float(number) if number.is_finite() => write!(into, "{number:?}"),
        _ => write!(into, "null"),
    };
}

/// Appends a string. What is not UTF-8 in it is replaced, byte for byte of what a name has by itself.
pub fn text(bytes: &[u8], into: &mut Vec<u8>) {
    // Memory takes all.
    let _ = serde_json::to_writer(into, &String::from_utf8_lossy(bytes));
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    /// As [`packed_strings`], each string looked at on its own.
    fn one_by_one(bytes: &[u8]) -> Vec<Range<usize>> {
        let (mut found, mut behind) = (Vec::new(), 0);
        for start in 0..bytes.len() {
            let end = match may_be_packed(bytes[start]) && start >= behind {
                true => string_end(bytes, start),
                false => None,
            };
            if let Some(end) = end.filter(|end| packing::is_packed(&bytes[start..*end])) {
                behind = end;
                found.push(start..end);
            }
        }
        found
    }

    proptest! {
        #[test]
        fn packed_strings_are_found_as_if_each_was_looked_at_alone(
            parts in vec(
                select(vec![
                    &b"\xdb\x80\x00\x00\x00x\x01"[..], b"\xa5x\x01", b"\xd9\x09x\x9c", b"\xc4\x06\x1f\x8b\x08",
                    b"\xc3\xa9", b"\xe2\x82\xac", b"\xe2\x82", b"\xff", b"\x80", b"a", b"x\x01", b"\xf0\x9f\x98\x80",
                ]),
                0..24,
            ),
        ) {
            let bytes = parts.concat();
            prop_assert_eq!(packed_strings(&bytes).collect::<Vec<_>>(), one_by_one(&bytes));
        }
    }

    /// Each of these strings says that it goes on to the end; to look through each of them takes hours.
    #[test]
    fn strings_in_one_another_are_looked_through_once() {
        let bytes = b"\xdb\x80\x00\x00\x00x\x01".repeat(1 << 20);
        assert_eq!(packed_strings(&bytes[..bytes.len() - 7]).count(), 0);
    }
}
