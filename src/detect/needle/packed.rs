//! The needle scan of entries that are no text: which of a run may touch a decoy, without a look at what is in the others.
//!
//! An entry that would have a needle in it if it were written as JSON has one here. What stands behind a quote there stands
//! here behind the header of a string, whose last byte is its length and may be any, as may the first byte of what follows:
//! either may look like a letter of a name. So whether a name is whole is asked of the string in which it stands; to find
//! that, entries are walked through, and only where a name was seen that looks like a part of a longer one.
//!
//! A string that is packed may hide any name. It is told by its first bytes.

mod msgpack;
mod protobuf;

use std::ops::Range;

pub(in crate::detect) use msgpack::MessagePack;
pub(in crate::detect) use protobuf::Protobuf;

use super::{Pattern, Search, Words, is_whole_name, sorted};
use crate::{
    detect::decoy::Decoy,
    record::{
        encoded,
        msgpack::begins_with_entry,
        packing::{self, MAGICS, SKIPPABLE},
        part_mark,
    },
};

/// A format of entries in which each string stands behind its length.
pub(in crate::detect) trait Format {
    type Strings<'b>: Strings<'b>;

    /// The length of the entry with which `bytes` begin; what cannot be read, up to the end, is one entry.
    fn length(bytes: &[u8]) -> usize;

    /// Whether what stands from `start` to `end` may be a whole string. In doubt it is.
    fn is_behind_length(bytes: &[u8], start: usize, end: usize) -> bool;

    /// Where the string ends, at most, that may begin at `start`. In doubt one does.
    fn string_end(bytes: &[u8], start: usize) -> Option<usize>;

    /// What a key of a map has under it, behind which `bytes` follow.
    fn under_key(bytes: &[u8]) -> Under<'_>;
}

/// Where the strings of a run of entries lie.
pub(in crate::detect) trait Strings<'b> {
    fn of(bytes: &'b [u8]) -> Self;

    /// The string all around `place`; `None` if there is none, or nobody knows.
    fn around(&self, place: Range<usize>) -> Option<Range<usize>>;
}

/// What a key may have under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::detect) enum Under<'b> {
    Text(&'b [u8]),
    Array,
    Other,
    /// Nobody can tell.
    Unknown,
}

/// Finds candidates among entries.
#[derive(Debug)]
pub(in crate::detect) struct PackedNeedles {
    patterns: Vec<Pattern<Condition>>,
    search: Search,
    /// For each pattern those that may stand at the same place, and itself: a search tells of one of them.
    rivals: Vec<Vec<usize>>,
    /// A decoy is called as numbers are written, which these formats do not write so.
    is_number: bool,
}

/// What must hold of a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Condition {
    Nothing,
    /// It is not a part of a longer name.
    WholeName,
    /// It is a whole string, or stands behind a quote in one.
    Value,
    /// It begins a key whose value may hide a record.
    Encoded,
    /// It begins a string that is packed.
    Packed,
    /// It begins a text that Docker cut off.
    Docker,
    /// It stands in a line of CRI that goes on in others, if a time is before it.
    KeptLine,
    /// It ends with a key that says that the text beside it goes on in another record, which begins so many bytes in.
    Mark(usize),
}

/// What makes a candidate beside the names of decoys.
const WORDS: [(&str, Condition); 4] = [
    ("proxy", Condition::Value),
    ("data", Condition::Encoded),
    // Also of rawData.
    ("Data", Condition::Encoded),
    ("MESSAGE", Condition::Encoded),
];

/// The key of Docker's text before one that is as long as those that it cuts off, in MessagePack.
const DOCKER_PART: &[u8] = b"log\xda\x40\x00";

impl PackedNeedles {
    pub fn new(decoys: &[Decoy]) -> Self {
        let words = Words::of(decoys);
        let patterns = sorted(patterns(&words));
        Self {
            search: Search::new(&patterns),
            rivals: rivals(&patterns),
            patterns,
            is_number: words.names.iter().any(|name| may_be_number(name)),
        }
    }

    /// Calls `found` with where an entry of `bytes` lies that has a needle in it; it returns where to go on, behind that entry or
    /// another. What cannot be read, up to the end, is one entry.
    pub fn scan<F: Format>(&self, bytes: &[u8], mut found: impl FnMut(Range<usize>) -> usize) {
        let mut entry = 0..0;
        let mut entry_at = |at: usize| {
            while entry.end <= at {
                entry = entry.end..entry.end + F::length(&bytes[entry.end..]);
            }
            entry.clone()
        };
        if self.is_number {
            let mut at = 0;
            while at < bytes.len() {
                at = found(entry_at(at));
            }
            return;
        }
        let strings = F::Strings::of(bytes);
        let is_needle = |number: usize, start: usize| {
            let mut rivals = self.rivals[number].iter();
            rivals.any(|rival| self.patterns[*rival].stands_at::<F>(bytes, &strings, start))
        };
        self.search
            .scan(bytes, &is_needle, &mut |at| found(entry_at(at)));
    }
}

impl Pattern<Condition> {
    fn stands_at<'b, F: Format>(
        &self,
        bytes: &'b [u8],
        strings: &F::Strings<'b>,
        start: usize,
    ) -> bool {
        let end = start + self.bytes.len();
        let is_whole = || {
            let is_whole_in = |string: Range<usize>| {
                if begins_with_entry(&bytes[string.clone()]) {
                    // Entries in a string have strings of their own.
                    return true;
                }
                let (start, end) = (start - string.start, end - string.start);
                is_whole_name(&bytes[string], start, end)
            };
            // Where no letter stands beside it, none does in its string.
            is_whole_name(bytes, start, end) || strings.around(start..end).is_none_or(is_whole_in)
        };
        bytes.get(start..end) == Some(&self.bytes)
            && match self.condition {
                Condition::Nothing | Condition::Docker => true,
                Condition::KeptLine => part_mark::may_be_kept_line(&bytes[..start]),
                Condition::WholeName => is_whole(),
                Condition::Value => {
                    F::is_behind_length(bytes, start, end) || is_behind_quote(bytes, start)
                }
                Condition::Encoded => is_encoded::<F>(bytes, start),
                Condition::Packed => is_packed::<F>(bytes, start),
                Condition::Mark(key) => is_mark::<F>(bytes, start + key, end),
            }
    }
}

fn patterns(words: &Words<'_>) -> Vec<Pattern<Condition>> {
    let hidden = words.hidden().map(|text| (text, Condition::Nothing));
    let spelt_out = words.spelt_out().map(|(word, is_whole)| match is_whole {
        true => (word, Condition::WholeName),
        false => (word, Condition::Nothing),
    });
    let visible = spelt_out
        .chain(WORDS)
        .map(|(word, condition)| (word.to_owned(), condition));
    let spelt = hidden
        .chain(visible)
        .map(|(text, condition)| (text.into_bytes(), condition));
    let packed = MAGICS
        .iter()
        .map(|magic| (magic.to_vec(), Condition::Packed));
    let marks = part_mark::KEYS.iter().flat_map(|key| marks(key));
    let kept_lines = part_mark::CRI.map(|tag| (tag.to_vec(), Condition::KeptLine));
    spelt
        .chain(packed)
        .chain(marks)
        .chain(kept_lines)
        .chain([(DOCKER_PART.to_vec(), Condition::Docker)])
        .map(|(bytes, condition)| Pattern { bytes, condition })
        .collect()
}

/// What tells of a key that is a mark: the key, with the last byte of its length before it if it is so short that it stands everywhere.
fn marks(key: &str) -> Vec<(Vec<u8>, Condition)> {
    let length = key.len() as u8;
    match key.len() {
        ..4 => [length, 0xa0 | length, 0]
            .map(|length| ([&[length], key.as_bytes()].concat(), Condition::Mark(1)))
            .to_vec(),
        _ => vec![(key.as_bytes().to_vec(), Condition::Mark(0))],
    }
}

fn rivals(patterns: &[Pattern<Condition>]) -> Vec<Vec<usize>> {
    let of = |pattern: &Pattern<Condition>| {
        let is_rival = |(number, other): (usize, &Pattern<Condition>)| {
            let (one, other) = (&pattern.bytes, &other.bytes);
            (one.starts_with(other) || other.starts_with(one)).then_some(number)
        };
        patterns.iter().enumerate().filter_map(is_rival).collect()
    };
    patterns.iter().map(of).collect()
}

/// Whether `name` may be how a number is written, or stand in one of the words that JSON has.
fn may_be_number(name: &str) -> bool {
    name.bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'e'))
        || ["null", "true", "false"]
            .iter()
            .any(|word| word.contains(name))
}

/// Whether a quote stands before `start`, in any layer of escapes.
fn is_behind_quote(bytes: &[u8], start: usize) -> bool {
    bytes[..start].ends_with(b"\"") || bytes[..start].ends_with(b"\\u0022")
}

/// Whether a key begins at `start` whose value may be bytes written as something else: a key of JSON in a string, or one of
/// a map.
fn is_encoded<F: Format>(bytes: &[u8], start: usize) -> bool {
    let is_raw = bytes[..start].ends_with(b"raw") && bytes[start..].starts_with(b"Data");
    let start = if is_raw { start - 3 } else { start };
    let text = &bytes[start..];
    let is_key_of_json = is_raw || is_behind_quote(bytes, start);
    if is_key_of_json && encoded::begins_at(text) {
        return true;
    }
    let mut keys = encoded::KEYS.iter().filter(|key| {
        text.starts_with(key.as_bytes()) && F::is_behind_length(bytes, start, start + key.len())
    });
    keys.any(|key| match F::under_key(&text[key.len()..]) {
        Under::Text(value) => {
            let value = String::from_utf8_lossy(value);
            encoded::is_base64_key(key) && encoded::may_be_base64(value.trim_start().as_bytes())
        }
        Under::Array => !encoded::is_base64_key(key),
        Under::Other => false,
        Under::Unknown => true,
    })
}

/// Whether a key stands from `start` to `end` that says that others follow.
fn is_mark<F: Format>(bytes: &[u8], start: usize, end: usize) -> bool {
    F::is_behind_length(bytes, start, end)
        && match F::under_key(&bytes[end..]) {
            Under::Text(value) => part_mark::begins_open(value),
            Under::Other | Under::Unknown => true,
            Under::Array => false,
        }
}

/// Whether a string that is packed begins at `start`, or, if what stands there never begins one, before it.
fn is_packed<F: Format>(bytes: &[u8], start: usize) -> bool {
    let is_skippable = bytes[start..].starts_with(SKIPPABLE);
    let start = start.checked_sub(usize::from(is_skippable));
    start.is_some_and(|start| {
        let string = F::string_end(bytes, start).map(|end| &bytes[start..end]);
        string.is_some_and(|string| packing::shown(string).is_some())
    })
}

#[cfg(test)]
mod tests;
