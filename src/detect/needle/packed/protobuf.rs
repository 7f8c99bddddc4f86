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

    /// It begins behind the last byte of a length.
    fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
        let last = start.checked_sub(1).and_then(|before| bytes.get(before));
        last.filter(|last| **last < 0x80).map(|_| bytes.len())
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

#[cfg(test)]
mod tests {
    use super::{
        super::{super::tests::decoys, PackedNeedles},
        *,
    };

    fn message(number: u8, body: &[u8]) -> Vec<u8> {
        let length = body.len();
        let length = match length {
            ..0x80 => vec![length as u8],
            _ => vec![length as u8 | 0x80, (length >> 7) as u8],
        };
        [&[number << 3 | 2], &length[..], body].concat()
    }

    /// A log with one pair, whose value is of a kind.
    fn log(key: &str, kind: u8, value: &[u8]) -> Vec<u8> {
        let value = message(kind, value);
        let pair = [message(1, key.as_bytes()), message(2, &value)].concat();
        message(1, &message(1, &message(1, &pair)))
    }

    fn is_candidate(entry: &[u8]) -> bool {
        let needles = PackedNeedles::new(&decoys(&[("honeypot", "backup-sa")]));
        let clean = log("k", 1, b"v");
        let run = [&clean, entry, &clean].concat();
        let mut found = Vec::new();
        needles.scan::<Protobuf>(&run, |entry| {
            found.push(entry.clone());
            entry.end
        });
        let wanted = clean.len()..clean.len() + entry.len();
        assert!(found.is_empty() || found == [wanted], "{found:?}");
        !found.is_empty()
    }

    #[test]
    fn a_name_is_found_as_a_whole_and_only_so() {
        let padded = |length: usize| format!("honeypot{}", " ".repeat(length - 8));
        for (value, wanted) in [
            ("honeypot", true),
            ("x:honeypot:y", true),
            (r"\nhoneypot", true),
            ("%2fhoneypot", true),
            ("honeypot-2", false),
            ("x-honeypot", false),
            ("honeypots", false),
            ("%68oneypot", true),
            (r"\u0068oneypot", true),
            ("kube-system", false),
            // Lengths that look like a digit, like a letter, and like a letter that ends a longer number.
            (&padded(b'2'.into()), true),
            (&padded(b'z'.into()), true),
            (&padded(usize::from(b'a') << 7 | 1), true),
        ] {
            assert_eq!(
                is_candidate(&log("k", 1, value.as_bytes())),
                wanted,
                "{value}"
            );
        }
        assert!(is_candidate(&log("honeypot", 1, b"v")));
        // What follows looks like a letter.
        let value = message(2, &message(1, b"honeypot"));
        let log = [value, message(12, b"x")].concat();
        assert!(is_candidate(&message(1, &message(1, &log))));
    }

    #[test]
    fn what_hides_names_is_found_where_it_is_a_value_or_a_key() {
        for (value, wanted) in [
            ("proxy", true),
            (r#"{"a":"proxy"}"#, true),
            ("kube-proxy", false),
            ("proxies", false),
            (r#"{"data":"eyJr"}"#, true),
            (r#"{"data":"a b c"}"#, false),
        ] {
            assert_eq!(
                is_candidate(&log("k", 1, value.as_bytes())),
                wanted,
                "{value}"
            );
        }
        let item = message(1, &[4 << 3, b'{']);
        for (key, kind, value, wanted) in [
            ("data", 1, &b"eyJraW5k"[..], true),
            ("rawData", 1, b"eyJraW5k", true),
            ("MESSAGE", 8, &item, true),
            ("metadata", 1, b"eyJraW5k", false),
            ("data", 1, b"a b c", false),
            ("data", 7, b"", false),
            ("MESSAGE", 1, b"eyJraW5k", false),
        ] {
            assert_eq!(is_candidate(&log(key, kind, value)), wanted, "{key}");
        }
        // The length of a key may be longer than need be, and there may be no value.
        let key = [
            b"\x0a\x84\x00data".to_vec(),
            message(2, &message(1, b"eyJr")),
        ]
        .concat();
        assert!(is_candidate(&message(1, &message(1, &message(1, &key)))));
    }
}
