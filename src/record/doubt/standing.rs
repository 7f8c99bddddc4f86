//! How values of JSON stand in a line of text: as what a shipper or a logger wrote behind its own head of the line, or within what a
//! client sent and a server logged.
//!
//! Behind what a shipper carries stands nothing but what closes it, separators and numbers. Where a client's text stands in
//! quotes, a value in it stands within them.

use std::{cell::Cell, ops::Range};

use memchr::{memchr, memchr_iter, memchr2, memmem, memrchr};

use super::keys;
use crate::{
    audit::Event,
    record::{
        text::{
            escape::{first_quote, is_escaped, last_quote},
            extent::value_length,
            pieces::{self, Piece},
        },
        unwrap::lifted::is_of_client,
    },
};

/// Values of a line that are judged by all of it.
const MAX_LOOKS: usize = 256;

/// Brackets without a partner that are passed over in search of the last value.
const MAX_OPEN: usize = 8;

/// What stands behind the request in an entry of Google's, as the times of an event do behind its bodies.
const BEHIND_REQUEST: &str = "requestMetadata";

/// Bytes in which a tag of XML is looked for.
const MAX_TAG_BYTES: usize = 256;

/// A text that is searched from its beginning to its end.
pub struct Lines<'t> {
    text: &'t [u8],
    last: Cell<Line>,
    between: Cell<Between>,
}

/// What stands between the values of a line that could be decoded.
#[derive(Clone, Copy, Default)]
struct Between {
    /// Up to where it was looked at.
    end: usize,
    /// Whether a key that only an event has stands there.
    has_field: bool,
}

/// What is known of the last line that was looked at.
#[derive(Clone, Copy, Default)]
struct Line {
    start: usize,
    end: usize,
    /// Where the value ends with which it begins.
    value_end: usize,
    /// Whether something is said behind its last value.
    says_more: bool,
    /// Where its first quote stands, and its first bracket of a tag; its end, if none does.
    quote: usize,
    tag: usize,
    /// How far its quotes are counted, and whether one of them is open there.
    counted: usize,
    in_quotes: bool,
    /// How many places were judged by all of it.
    looks: usize,
    /// Up to where it is the rest of an event that began before it, as far as its first text of a shipper shows, if there is one.
    rest_of_event: Option<usize>,
    /// Where its last quote stands outside of all tags, if that was asked for.
    last_quote: Option<usize>,
}

/// What stands at one place in a text.
pub struct Standing<'v> {
    lines: &'v Lines<'v>,
    place: Range<usize>,
    form: Form,
    /// Whether it lies within something that was cut off or damaged.
    is_item: bool,
    /// Whether a key that only an event has stands in the line before it, in no value that could be decoded.
    is_behind_field: bool,
}

/// How it is written there.
#[derive(Clone, Copy)]
enum Form {
    /// As it is.
    Plain,
    /// As Python prints it: its quotes are not escaped in a string of JSON.
    Python,
    /// In a field of CSV.
    Doubled,
    /// In a text of XML.
    Entities,
    /// In a string, behind escaped quotes.
    Escaped,
}

impl<'t> Lines<'t> {
    pub fn new(text: &'t [u8]) -> Self {
        Self {
            text,
            last: Cell::default(),
            between: Cell::default(),
        }
    }

    /// `text`, which lies in this one, is a value that could be decoded.
    pub fn pass(&self, text: &[u8]) {
        let end = self.place(text).end;
        let between = self.between.get();
        let end = end.max(between.end);
        self.between.set(Between { end, ..between });
    }

    /// Where `text` lies in this one.
    fn place(&self, text: &[u8]) -> Range<usize> {
        let all = self.text.len();
        let start = text.as_ptr().addr().wrapping_sub(self.text.as_ptr().addr());
        let start = start.min(all);
        start..(start + text.len()).min(all)
    }

    /// Whether a key that only an event has stands before `start` in its line, in no value that was [passed](Self::pass).
    fn has_field_before(&self, start: usize) -> bool {
        let Between { end, has_field } = self.between.get();
        let has_field = self.text.get(end..start).is_none_or(|text| {
            let line = memrchr(b'\n', text);
            let rest = &text[line.map_or(0, |newline| newline + 1)..];
            (has_field && line.is_none()) || pieces::has_field(rest)
        });
        let end = start.max(end);
        self.between.set(Between { end, has_field });
        has_field
    }

    /// How `piece` stands in it.
    pub fn standing(&'t self, piece: &Piece<'_>) -> Standing<'t> {
        let form = match piece {
            Piece::Value(_) | Piece::Item(_) | Piece::Backslashed(..) => Form::Plain,
            Piece::Python(..) => Form::Python,
            Piece::Doubled(_) => Form::Doubled,
            Piece::Entities(_) => Form::Entities,
            Piece::Broken(_) | Piece::Strings(..) => Form::Escaped,
        };
        let place = self.place(piece.text());
        Standing {
            lines: self,
            is_behind_field: matches!(form, Form::Python) && self.has_field_before(place.start),
            place,
            form,
            is_item: matches!(piece, Piece::Item(_)),
        }
    }

    /// The line in which `place` ends, of which all is known that is asked of a value there.
    fn line(&self, place: &Range<usize>) -> Line {
        let mut line = self.last.get();
        if !(line.start..line.end).contains(&place.start) || place.end > line.end {
            let start = memrchr(b'\n', &self.text[..place.start]).map_or(0, |newline| newline + 1);
            let length = memchr(b'\n', &self.text[place.end..]);
            let end = length.map_or(self.text.len(), |length| place.end + length);
            let first = |byte| {
                let offset = memchr(byte, &self.text[start..end]);
                offset.map_or(end, |offset| start + offset)
            };
            line = Line {
                start,
                end,
                value_end: start + first_value_length(&self.text[start..end]),
                looks: 0,
                quote: first(b'"'),
                tag: first(b'<'),
                says_more: says_more(behind_values(&self.text[place.end..end])),
                counted: start,
                in_quotes: false,
                rest_of_event: None,
                last_quote: None,
            };
        }
        let counted = line.counted.max(place.start);
        let mut uncounted = line.counted;
        // Before a zero stands a length, as journald writes one.
        if let Some(zero) = memrchr(0, &self.text[line.counted..counted]) {
            uncounted += zero;
            line.in_quotes = false;
        }
        let quotes = memchr_iter(b'"', &self.text[uncounted..counted]);
        let quotes = quotes.filter(|at| !is_escaped(&self.text[..uncounted + at]));
        line.in_quotes ^= quotes.count() % 2 == 1;
        line.counted = counted;
        line.looks += 1;
        self.last.set(line);
        line
    }

    /// Where the last quote stands in `line`, the last that was looked at, outside of all tags; 0, if none does.
    fn last_quote(&self, mut line: Line) -> usize {
        let text = &self.text[line.start..line.end];
        let of_text = || last_quote_outside_tags(text).map_or(0, |at| line.start + at);
        let at = *line.last_quote.get_or_insert_with(of_text);
        self.last.set(line);
        at
    }
}

impl Standing<'_> {
    /// Whether a text in it is believed only where shippers keep records: what it is a part of is not known.
    pub fn doubts_texts(&self) -> bool {
        self.is_item
    }

    /// Whether it may be what a client sent.
    pub fn is_of_client(&self) -> bool {
        let line = self.lines.line(&self.place);
        let before = &self.lines.text[line.start..self.place.start];
        // What stands in a value that is damaged or cut off is no text.
        let is_said = || {
            let is_inside = line.value_end > self.place.end;
            line.in_quotes || (line.says_more && !is_inside) || is_named(before)
        };
        match self.form {
            Form::Plain => is_said(),
            // Behind what is left of an event nobody knows where its strings begin and end.
            Form::Python => self.is_behind_field || is_said(),
            // Where the line begins within a field, the quotes before another are two.
            Form::Doubled => {
                let quotes = || memchr_iter(b'"', before).count();
                line.looks > MAX_LOOKS || quotes() % 2 == 0 || is_name_of_client(before)
            }
            // In a string of JSON, and not in an attribute of XML, whose texts have no other quotes.
            Form::Entities => {
                let is_quoted = line.quote < self.place.start && line.tag >= self.place.start;
                is_quoted || names_client(before) || self.lines.last_quote(line) >= self.place.end
            }
            Form::Escaped => !self.is_carried(line),
        }
    }

    /// Whether the string in quotes in which it stands in the line that is `known` is one that a shipper or a logger keeps a record in.
    fn is_carried(&self, mut known: Line) -> bool {
        let line = &self.lines.text[known.start..known.end];
        let at = self.place.start - known.start;
        let opening = opening_quote(&line[..at]);
        let string = string_length(&line[at..], opening.map_or(b'"', |open| line[open]));
        let behind = line.get(at + string + 1..).unwrap_or_default();
        let Some(open) = opening else {
            // All of the text may stand in a string, or what is left of one.
            return line[..at].trim_ascii().is_empty() && !says_more(behind);
        };
        // It stands behind a quote of the text's own.
        if memchr(b'"', &line[open + 1..at]).is_some() {
            return false;
        }
        let head = line[..open].trim_ascii_end();
        match head.split_last() {
            None => !says_more(behind),
            Some((b'=', name)) => {
                known.looks <= MAX_LOOKS && is_record(last_name(name)) && is_logfmt(behind)
            }
            Some((b':', name)) => {
                let rest = *known.rest_of_event.get_or_insert_with(|| {
                    let start = line.len() - behind.len();
                    rest_of_event(behind).map_or(0, |rest| start + rest)
                });
                self.lines.last.set(known);
                let name = name.trim_ascii_end().strip_suffix(b"\"");
                at >= rest && name.is_some_and(|name| is_record(last_name(name)))
            }
            Some((b'(' | b',', _)) if line[open] == b'\'' => !says_more(behind),
            // An array of records, or what could not be read of one in another encoding.
            Some((b'[', b"")) => known.value_end > known.start + at,
            Some((b',', time)) => is_time_of_loki(time) && known.value_end > known.start + at,
            Some(_) => false,
        }
    }
}

/// Up to where `text`, which begins outside of strings, goes on with an event that began before it: behind what closes an object stand
/// keys that only an event has.
fn rest_of_event(text: &[u8]) -> Option<usize> {
    let (mut depth, mut least, mut last, mut at) = (0_i64, 0, None, 0);
    let is_one = |byte: &u8| b"\"{}[]".contains(byte);
    let is_behind_body = |key: &[u8]| {
        let mut known = Event::TIMES.into_iter().chain([BEHIND_REQUEST]);
        known.any(|known| known.as_bytes() == key)
    };
    while let Some(offset) = text[at..].iter().position(is_one) {
        at += offset + 1;
        match text[at - 1] {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                least = least.min(depth);
            }
            _ => {
                let string = at..at + first_quote(&text[at..], b'"')?;
                at = string.end + 1;
                if depth < 0 && depth == least && is_behind_body(&text[string]) {
                    last = Some(at);
                }
            }
        }
    }
    last
}

fn last_quote_outside_tags(text: &[u8]) -> Option<usize> {
    let (mut at, mut last) = (0, None);
    while let Some(offset) = memchr2(b'"', b'<', &text[at..]) {
        at += offset;
        if text[at] == b'<' {
            match tag_or_quote(text, at) {
                Some(end) if text[end] == b'>' => {
                    at = end + 1;
                    continue;
                }
                Some(quote) => at = quote,
                None => break,
            }
        }
        last = Some(at);
        at += 1;
    }
    last
}

/// Where the tag ends that begins at `start` of `text`, or, if it is none, the first quote stands that is not around a value of it.
fn tag_or_quote(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        at += memchr2(b'"', b'>', &text[at..])?;
        if !text[..at].ends_with(b"=") || text[at] == b'>' {
            return Some(at);
        }
        at += memchr(b'"', &text[at + 1..])? + 2;
    }
}

/// How long the value is with which `line` begins: all of it, if that is cut off, and nothing if it begins with none.
fn first_value_length(line: &[u8]) -> usize {
    let start = line.len() - line.trim_ascii_start().len();
    match line.get(start) {
        Some(b'{' | b'[') => {
            let length = value_length(line[start..].iter().copied());
            length.map_or(line.len() + 1, |length| start + length)
        }
        _ => 0,
    }
}

/// What stands behind the last whole value in `text`.
fn behind_values(text: &[u8]) -> &[u8] {
    let (mut end, mut at, mut open) = (0, 0, 0);
    while let Some(offset) = memchr2(b'{', b'[', &text[at..]).filter(|_| open < MAX_OPEN) {
        at += offset;
        match value_length(text[at..].iter().copied()) {
            Some(length) => {
                at += length;
                end = at;
            }
            None => {
                at += 1;
                open += 1;
            }
        }
    }
    &text[end..]
}

/// Whether `text` is more than what closes things, separators, numbers, tags of XML and colours of a terminal.
fn says_more(text: &[u8]) -> bool {
    let mut rest = text;
    while let [byte, behind @ ..] = rest {
        let length = |end| memchr(end, &behind[..behind.len().min(MAX_TAG_BYTES)]);
        let skipped = match byte {
            b'<' if behind.starts_with(b"/") => length(b'>'),
            b'\x1b' => length(b'm'),
            // What is left of a record that was a part of another.
            b'n' if behind.starts_with(b"ull") => Some(2),
            b'"' | b'}' => None,
            byte if byte.is_ascii_alphabetic() || !byte.is_ascii() => None,
            _ => {
                rest = behind;
                continue;
            }
        };
        let Some(skipped) = skipped else {
            return true;
        };
        rest = &behind[skipped + 1..];
    }
    false
}

/// Whether `before` ends with what something of a client's is called.
fn is_named(before: &[u8]) -> bool {
    let is_between = |byte: &u8| b" \t:='\"".contains(byte);
    let length = before.iter().rposition(|byte| !is_between(byte));
    let name = last_name(&before[..length.map_or(0, |last| last + 1)]);
    let is_of_client = |name| std::str::from_utf8(name).is_ok_and(keys::names_text_of_client);
    is_of_client(name) || first_name(before).is_some_and(is_of_client)
}

/// The name before the first colon or equals sign in the word that `before` ends with, which goes on: `requestURI:/api?q=`.
fn first_name(before: &[u8]) -> Option<&[u8]> {
    let is_between = |byte: &u8| byte.is_ascii_whitespace() || *byte == b'"';
    let word = before.rsplit(is_between).next()?;
    let end = word.iter().position(|byte| b":=".contains(byte))?;
    Some(&word[..end])
}

/// Whether the field of CSV that `before` ends in begins with the name of a client's text, as the name of a column does.
fn is_name_of_client(before: &[u8]) -> bool {
    let field = before.rsplit(|byte| *byte == b'"').next();
    let name = field.and_then(|field| std::str::from_utf8(field).ok());
    name.is_some_and(is_of_client)
}

/// Whether the field of XML that `before` ends in is one of a client's texts.
fn names_client(before: &[u8]) -> bool {
    let tags = &before[before.len().saturating_sub(MAX_TAG_BYTES)..];
    let closed = memmem::rfind(tags, b"</").map_or(0, |at| at + 2);
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    let names = tags[closed..].split(|byte| !is_of_name(byte));
    names
        .filter_map(|name| std::str::from_utf8(name).ok())
        .any(is_of_client)
}

/// Whether `before` ends with the time with which a line of Loki's begins: `["1795454468000000000"`.
fn is_time_of_loki(before: &[u8]) -> bool {
    let Some(before) = before.trim_ascii_end().strip_suffix(b"\"") else {
        return false;
    };
    let digits = before.iter().rev().take_while(|byte| byte.is_ascii_digit());
    let digits = digits.count();
    digits > 18 && before[..before.len() - digits].ends_with(b"[\"")
}

/// Where the string begins that goes on behind `before`.
fn opening_quote(before: &[u8]) -> Option<usize> {
    if before.ends_with(b"'") {
        return Some(before.len() - 1);
    }
    last_quote(before)
}

/// How many bytes of `text` stand in the string in `quote`s in which it begins.
pub fn string_length(text: &[u8], quote: u8) -> usize {
    first_quote(text, quote).unwrap_or(text.len())
}

/// The key that `before` ends with.
fn last_name(before: &[u8]) -> &[u8] {
    let is_of_name = |byte: &&u8| byte.is_ascii_alphanumeric() || b"@._-".contains(byte);
    let length = before.iter().rev().take_while(is_of_name).count();
    &before[before.len() - length..]
}

fn is_record(name: &[u8]) -> bool {
    std::str::from_utf8(name).is_ok_and(keys::keeps_texts)
}

/// Whether `text` is what may stand behind a pair of logfmt: more of them.
fn is_logfmt(text: &[u8]) -> bool {
    let mut in_quotes = false;
    let mut words = text.split(|byte| {
        in_quotes ^= *byte == b'"';
        !in_quotes && byte.is_ascii_whitespace()
    });
    words.all(|word| memchr(b'=', word).is_some() || !says_more(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_around_values_of_tags_are_not_outside() {
        for (text, wanted) in [
            ("<a>&quot;</a>", None),
            ("<a b=\"c\" d=\"e>f\"/>x", None),
            ("<a b='c'>\"<d>", Some(9)),
            ("{\"a\":\"<b\",\"c>\"", Some(13)),
            ("x<<<\"<a b=\"c", Some(4)),
            ("\"<a", Some(0)),
        ] {
            assert_eq!(last_quote_outside_tags(text.as_bytes()), wanted, "{text}");
        }
    }

    #[test]
    fn an_event_goes_on_with_its_own_keys_behind_what_is_closed() {
        for (text, is_rest) in [
            (r#","type":"N"},"requestReceivedTimestamp":"2026""#, true),
            (r#","a":[{"b":1}]}},"x":{},"stageTimestamp":"2026"}"#, true),
            (r#","requestReceivedTimestamp":"2026"}"#, false),
            (r#"},{"a":{"requestReceivedTimestamp":"2026"}}"#, false),
            (r#"},"a":"requestReceivedTimestamp\"},"#, false),
            (r#"},"a":"#, false),
        ] {
            assert_eq!(rest_of_event(text.as_bytes()).is_some(), is_rest, "{text}");
        }
    }
}
