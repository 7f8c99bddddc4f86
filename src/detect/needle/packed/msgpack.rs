//! MessagePack, as far as the needle scan asks for it.

use std::{cell::OnceCell, ops::Range};

use super::{Format, Under};
use crate::record::msgpack::{Token, entry_length, string_end};

/// Bytes between two places from which strings are looked for.
const STRIDE: usize = 128;

/// Entries of MessagePack.
#[derive(Debug)]
pub(in crate::detect) enum MessagePack {}

impl Format for MessagePack {
    type Strings<'b> = Strings<'b>;

    fn length(bytes: &[u8]) -> usize {
        entry_length(bytes).unwrap_or(bytes.len())
    }

    fn is_behind_length(bytes: &[u8], start: usize, end: usize) -> bool {
        let length = (end - start) as u8;
        let header = start.checked_sub(1).and_then(|before| bytes.get(before));
        header.is_some_and(|header| *header == length || *header == 0xa0 | length)
    }

    fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
        string_end(bytes, start)
    }

    fn under_key(bytes: &[u8]) -> Under<'_> {
        match Token::read(bytes) {
            Ok((Token::Str(value) | Token::Bin(value), _)) => Under::Text(value),
            Ok((Token::Array(_), _)) => Under::Array,
            Ok(_) => Under::Other,
            Err(_) => Under::Unknown,
        }
    }
}

pub(in crate::detect) struct Strings<'b> {
    bytes: &'b [u8],
    /// Where tokens begin, about [`STRIDE`] bytes from each other, once one was asked for.
    marks: OnceCell<Vec<usize>>,
}

impl<'b> super::Strings<'b> for Strings<'b> {
    fn of(bytes: &'b [u8]) -> Self {
        Self {
            bytes,
            marks: OnceCell::new(),
        }
    }

    fn around(&self, place: Range<usize>) -> Option<Range<usize>> {
        let marks = self.marks.get_or_init(|| self.walk());
        let behind = marks.partition_point(|mark| *mark <= place.start);
        let mut at = *marks.get(behind.checked_sub(1)?)?;
        loop {
            let (token, length) = Token::read(&self.bytes[at..]).ok()?;
            at += length;
            if at > place.start {
                let (Token::Str(body) | Token::Bin(body) | Token::Ext(_, body)) = token else {
                    return None;
                };
                let string = at - body.len()..at;
                return (string.start <= place.start && place.end <= string.end).then_some(string);
            }
        }
    }
}

impl Strings<'_> {
    fn walk(&self) -> Vec<usize> {
        let mut marks = vec![0];
        let (mut at, mut due) = (0, STRIDE);
        while let Ok((_, length)) = Token::read(&self.bytes[at..]) {
            at += length;
            if at >= due {
                marks.push(at);
                due = at + STRIDE;
            }
        }
        marks
    }
}
