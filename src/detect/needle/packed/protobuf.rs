//! The events of Vector, as far as the needle scan asks for them.

use std::{
    cell::{OnceCell, RefCell},
    ops::Range,
};

use super::{Format, Under};
use crate::record::protobuf::{Field, Token, Value, entries, walk};

/// Entries of a `PushEventsRequest`.
#[derive(Debug)]
pub(in crate::detect) enum Protobuf {}

impl Format for Protobuf {
    type Strings<'b> = Strings<'b>;

    fn length(bytes: &[u8]) -> usize {
        Field::read(bytes).map_or(bytes.len(), |(_, length)| length)
    }

    /// A length that is written longer than it need be ends with a zero.
    fn is_behind_length(bytes: &[u8], start: usize, end: usize) -> bool {
        let length = (end - start) as u8;
        let last = start.checked_sub(1).and_then(|before| bytes.get(before));
        last.is_some_and(|last| *last == length || *last == 0)
    }

    /// The value of a pair is its second field, and directly behind the key.
    fn under_key(bytes: &[u8]) -> Under<'_> {
        let Ok((
            Field {
                number: 2,
                value: Value::Bytes(value),
            },
            _,
        )) = Field::read(bytes)
        else {
            return Under::Unknown;
        };
        match Field::read(value) {
            Ok((
                Field {
                    number: 1,
                    value: Value::Bytes(text),
                },
                _,
            )) => Under::Text(text),
            Ok((Field { number: 8, .. }, _)) => Under::Array,
            Ok(_) => Under::Other,
            Err(_) => Under::Unknown,
        }
    }
}

pub(in crate::detect) struct Strings<'b> {
    bytes: &'b [u8],
    /// Where each entry begins, once a string was asked for.
    entries: OnceCell<Vec<usize>>,
    /// Which entry was walked through last, and where its strings lie, in order.
    walked: RefCell<(Option<usize>, Vec<Range<usize>>)>,
}

impl<'b> super::Strings<'b> for Strings<'b> {
    fn of(bytes: &'b [u8]) -> Self {
        Self {
            bytes,
            entries: OnceCell::new(),
            walked: RefCell::default(),
        }
    }

    fn around(&self, place: Range<usize>) -> Option<Range<usize>> {
        let starts = self.entries.get_or_init(|| self.starts());
        let behind = starts.partition_point(|start| *start <= place.start);
        let number = behind.checked_sub(1)?;
        let mut walked = self.walked.borrow_mut();
        let (known, strings) = &mut *walked;
        if *known != Some(number) {
            *known = Some(number);
            let end = starts.get(behind).copied().unwrap_or(self.bytes.len());
            self.walk(starts[number]..end, strings);
        }
        let behind = strings.partition_point(|string| string.start <= place.start);
        let string = strings.get(behind.checked_sub(1)?)?;
        (place.end <= string.end).then(|| string.clone())
    }
}

impl Strings<'_> {
    fn starts(&self) -> Vec<usize> {
        let mut at = 0;
        let entries = entries(self.bytes).map_while(Result::ok);
        let ends = entries.map(|entry| {
            at += entry.len();
            at
        });
        std::iter::once(0).chain(ends).collect()
    }

    fn walk(&self, entry: Range<usize>, strings: &mut Vec<Range<usize>>) {
        strings.clear();
        // What cannot be read has no strings that anybody knows.
        let _ = walk(&self.bytes[entry.clone()], &mut |token| {
            if let Token::Key(text) | Token::Text(text) = token {
                let start = entry.start + text.start;
                strings.push(start..start + text.bytes.len());
            }
        });
    }
}
