//! What cannot be read of an entry, as broken JSON in which names can still be found.

use std::{io::Write, ops::Range};

use memchr::memchr_iter;

use super::{Token, string_end};
use crate::record::{rewrite::lossy_text, stream::packing, unwrap::encoded};

/// Bytes of a string that is shown to begin where nothing else can be read.
const MAX_WORD_BYTES: usize = 255;

/// Appends what cannot be read, behind a bracket without a partner: so all of it is broken, and no excerpt is made of it. Strings
/// in it that are packed are written as wrappers write them, as far as they are there.
pub(super) fn broken(rest: &[u8], into: &mut Vec<u8>) {
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
        return lossy_text(&with_quotes(bytes), into);
    }
    let mut escaped = Vec::new();
    lossy_text(&with_quotes(bytes), &mut escaped);
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
