//! An entry as JSON.
//!
//! Nothing in which a name could stand is left out: bytes that are no text, keys that are no strings, and what is nested
//! too deep are written as something that is searched; what is packed is written as wrappers write that. What has no such
//! form, such as NaN, is null.

use std::io::Write;

use super::{
    Fault, Token, begins_with_entry,
    broken::broken,
    entries,
    entry::{length, parts},
};
use crate::{
    audit::wire_time,
    record::{rewrite::lossy_text, stream::packing, unwrap::encoded},
};

/// Levels that are written as they are: more than are searched. What lies deeper is written flat.
const MAX_DEPTH: usize = 128;

/// Bytes of entries that were packed in a record and are written as JSON, since each byte may be a value.
const MAX_UNPACKED_BYTES: usize = 8 << 20;

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
        Some(time) => lossy_text(wire_time(time).as_bytes(), into),
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
            lossy_text(&json, self.into);
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
                Token::Str(bytes) | Token::Bin(bytes) => lossy_text(bytes, self.into),
                // The mark keeps it from being taken for a string, as which nobody wrote it.
                Token::Ext(_, bytes) => lossy_text(&[b"#", bytes].concat(), self.into),
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
