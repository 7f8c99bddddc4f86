//! A log as JSON, and its texts alone.
//!
//! Nothing in which a name could stand is left out: bytes that are no text are replaced one by one, what is packed is written as
//! wrappers write that, and what cannot be read is written too, behind a bracket that is never closed. What has no such form,
//! such as NaN, is null.

use std::io::Write;

use super::event::{Token, walk};
use crate::{
    audit::wire_time,
    record::{rewrite::lossy_text, stream::packing, unwrap::encoded},
};

/// The map of an event that is no map, as Vector writes it for readers that know no other.
const DUMMY: &[u8] = b"{\".\":null}";

/// The key of an event that is neither a map nor an array, as Vector itself has it.
const MESSAGE: &[u8] = b"{\"message\":";

/// Appends the log in `entry` as JSON: an object most often; where there is metadata beside it, an array of both. What is cut
/// off or malformed makes broken JSON, with what is left in strings.
pub fn write_entry(entry: &[u8], into: &mut Vec<u8>) {
    write(entry, true, into);
}

/// As [`write_entry`], but without metadata.
pub fn write_record(entry: &[u8], into: &mut Vec<u8>) {
    write(entry, false, into);
}

fn write(entry: &[u8], with_metadata: bool, into: &mut Vec<u8>) {
    let mut writer = Writer::new(with_metadata, into);
    match walk(entry, &mut |token| writer.token(token)) {
        Ok(()) => writer.end(),
        Err(broken) => {
            if writer.depth == 0 {
                into.push(b'{');
            }
            for rest in rest(&entry[broken.at..]) {
                lossy_text(rest, into);
                into.push(b',');
            }
            // So that it is broken wherever it broke.
            into.extend_from_slice(b"{\"");
        }
    }
}

/// Appends the texts in `entry` as they are, each in quotes: enough to tell whether a decoy is named, and never more than twice
/// as long as the entry.
pub fn write_texts(entry: &[u8], into: &mut Vec<u8>) {
    let walked = walk(entry, &mut |token| {
        if let Token::Key(text) | Token::Text(text) = token {
            write_quoted(text.bytes, into);
        }
    });
    if let Err(broken) = walked {
        rest(&entry[broken.at..]).for_each(|text| write_quoted(text, into));
    }
}

/// As [`write_texts`], of bytes that begin anywhere within an entry.
pub fn write_torn_texts(bytes: &[u8], into: &mut Vec<u8>) {
    rest(bytes).for_each(|text| write_quoted(text, into));
}

/// Appends a line of JSON that cannot be read, with the texts in `bytes`, which cannot be read either.
pub(crate) fn write_broken(bytes: &[u8], into: &mut Vec<u8>) {
    into.push(b'{');
    write_torn_texts(bytes, into);
    into.extend_from_slice(b"{\"\n");
}

fn write_quoted(text: &[u8], into: &mut Vec<u8>) {
    into.push(b'"');
    into.extend_from_slice(text);
    into.push(b'"');
}

/// What follows where an entry cannot be read on. Tags and most lengths are control characters: what stands between them is a text
/// most often. A length that is none is told as the beginning of a text, and what is so long behind it once more.
fn rest(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let texts = bytes.split(u8::is_ascii_control);
    let texts = texts.filter(|text| !text.is_empty());
    texts.flat_map(|text| [Some(text), behind_length(text)].into_iter().flatten())
}

/// The text behind the first byte of `text`, if that may be its length.
fn behind_length(text: &[u8]) -> Option<&[u8]> {
    let (length, text) = text.split_first()?;
    text.get(..usize::from(*length))
}

struct Writer<'o> {
    into: &'o mut Vec<u8>,
    with_metadata: bool,
    /// Where all of it begins, and where the last value does that lies in no other: with a comma before it, and without.
    start: usize,
    before: usize,
    begin: usize,
    /// Values that lie in no other.
    count: usize,
    depth: usize,
    /// A comma is due before the next value.
    is_behind_value: bool,
    is_metadata: bool,
}

impl<'o> Writer<'o> {
    fn new(with_metadata: bool, into: &'o mut Vec<u8>) -> Self {
        let start = into.len();
        Self {
            into,
            with_metadata,
            start,
            before: start,
            begin: start,
            count: 0,
            depth: 0,
            is_behind_value: false,
            is_metadata: false,
        }
    }

    fn token(&mut self, token: Token<'_>) {
        match token {
            Token::Metadata => self.is_metadata = true,
            Token::MapBegins => self.open(b'{'),
            Token::ArrayBegins => self.open(b'['),
            Token::MapEnds => self.close(b'}'),
            Token::ArrayEnds => self.close(b']'),
            Token::Key(key) => {
                self.comma();
                lossy_text(key.bytes, self.into);
                self.into.push(b':');
                self.is_behind_value = false;
            }
            scalar => {
                self.begins();
                let is_alone = self.depth == 0;
                if is_alone {
                    self.into.extend_from_slice(MESSAGE);
                }
                self.scalar(scalar);
                if is_alone {
                    self.into.push(b'}');
                }
                self.ends();
            }
        }
    }

    fn open(&mut self, bracket: u8) {
        self.begins();
        self.into.push(bracket);
        self.depth += 1;
        self.is_behind_value = false;
    }

    fn close(&mut self, bracket: u8) {
        self.into.push(bracket);
        self.depth -= 1;
        self.ends();
    }

    fn comma(&mut self) {
        if self.is_behind_value {
            self.into.push(b',');
        }
    }

    fn begins(&mut self) {
        if self.depth > 0 {
            return self.comma();
        }
        let is_dummy = self.count > 0 && self.into[self.begin..] == *DUMMY;
        if is_dummy && !self.is_metadata {
            self.take_back();
            self.count -= 1;
        }
        self.before = self.into.len();
        self.is_behind_value = self.count > 0;
        self.comma();
        self.begin = self.into.len();
    }

    fn ends(&mut self) {
        self.is_behind_value = true;
        if self.depth > 0 {
            return;
        }
        let is_metadata = std::mem::take(&mut self.is_metadata);
        let is_nothing = || matches!(&self.into[self.begin..], b"{}" | b"{\"message\":null}");
        if is_metadata && (!self.with_metadata || is_nothing()) {
            self.take_back();
        } else {
            self.count += 1;
        }
    }

    fn take_back(&mut self) {
        self.into.truncate(self.before);
        self.begin = self.before;
    }

    fn scalar(&mut self, token: Token<'_>) {
        // Memory takes all.
        let _ = match token {
            Token::Text(bytes) if packing::is_packed(bytes.bytes) => {
                encoded::write(bytes.bytes, self.into);
                Ok(())
            }
            Token::Text(bytes) => {
                lossy_text(bytes.bytes, self.into);
                Ok(())
            }
            Token::Time(Some(time)) => write!(self.into, "\"{}\"", wire_time(time)),
            Token::Integer(number) => write!(self.into, "{number}"),
            Token::Float(number) if number.is_finite() => write!(self.into, "{number:?}"),
            Token::Bool(truth) => write!(self.into, "{truth}"),
            _ => write!(self.into, "null"),
        };
    }

    fn end(self) {
        match self.count {
            0 => self.into.extend_from_slice(b"{}"),
            1 => {}
            _ => {
                self.into.insert(self.start, b'[');
                self.into.push(b']');
            }
        }
    }
}
