//! What a crash left at the end of a file: a message that is half written.
//!
//! Only what cannot be a whole message, and begins as one of ours, is taken for one.

use std::{fs::File, io};

use crate::{
    dedupe::AlertKind,
    detect::Severity,
    format::{json::BEGINNINGS, reason},
    sink::Codec,
    store::{read_between, start_of_last_line},
};

/// A longer line is none of ours.
const LONGEST_LINE: u64 = 64 << 20; // 64 MiB

/// More lines than an alert has.
const MOST_LINES: usize = 1000;

/// How a detection begins as text, with 9 for any digit.
const TIME: &[u8] = b"9999-99-99 99:99:99 UTC ";

/// What is wrong with the end of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Torn {
    Nothing,
    /// From `start` on it is the beginning of a message.
    Message {
        start: u64,
    },
    /// Only the newline is missing.
    LineEnd,
    /// The last line has no newline, and was not written by us.
    Foreign,
}

/// Looks at the end of `file`, which has `length` bytes. `may_cut` says how messages are written
/// there, if a half of one is to be found and not only a missing newline.
pub(super) fn look(file: &File, length: u64, may_cut: Option<Codec>) -> io::Result<Torn> {
    let last = Line::before(file, length)?;
    Ok(match may_cut {
        None if last.is_torn() => Torn::LineEnd,
        None => Torn::Nothing,
        Some(Codec::Json) => json(&last),
        Some(Codec::Text) => text(file, last)?,
    })
}

/// A line of the file, without its newline.
struct Line {
    start: u64,
    bytes: Vec<u8>,
    has_newline: bool,
}

impl Line {
    /// The last line before `end`: the one that ends there, or that has no end.
    fn before(file: &File, end: u64) -> io::Result<Self> {
        let start = start_of_last_line(file, end)?;
        let has_newline = start == end && end > 0;
        let (start, end) = if has_newline {
            (start_of_last_line(file, end - 1)?, end - 1)
        } else {
            (start, end)
        };
        let shown = end.min(start.saturating_add(LONGEST_LINE));
        Ok(Self {
            start,
            bytes: read_between(file, start, shown)?,
            has_newline,
        })
    }

    fn is_torn(&self) -> bool {
        !self.has_newline && !self.bytes.is_empty()
    }

    /// What was written: a disk that lost power may have kept the length and not the bytes.
    fn written(&self) -> &[u8] {
        let zeros = self.bytes.iter().rev().take_while(|byte| **byte == 0);
        &self.bytes[..self.bytes.len() - zeros.count()]
    }
}

fn json(last: &Line) -> Torn {
    let written = last.written();
    if !last.is_torn() {
        Torn::Nothing
    } else if !BEGINNINGS.iter().any(|start| agree(start, written)) {
        Torn::Foreign
    } else if serde_json::from_slice::<serde::de::IgnoredAny>(&last.bytes).is_ok() {
        Torn::LineEnd
    } else {
        Torn::Message { start: last.start }
    }
}

/// An alert is a headline, facts that are indented, and an empty line. A detection is one line.
fn text(file: &File, last: Line) -> io::Result<Torn> {
    let written = last.written();
    let otherwise = if !last.is_torn() {
        Torn::Nothing
    } else if written.is_empty() {
        Torn::Message { start: last.start }
    } else if starts_headline(written) || starts_detection(written) {
        return Ok(Torn::Message { start: last.start });
    } else {
        Torn::Foreign
    };
    let mut line = last;
    for _ in 0..MOST_LINES {
        if is_headline(&line) {
            return Ok(Torn::Message { start: line.start });
        }
        let is_fact = agree(b"  ", line.written()) && !(line.has_newline && line.bytes.is_empty());
        if !is_fact || line.start == 0 {
            break;
        }
        line = Line::before(file, line.start)?;
    }
    Ok(otherwise)
}

fn is_headline(line: &Line) -> bool {
    line.has_newline && line.bytes.ends_with(b"]") && starts_headline(&line.bytes)
}

fn starts_headline(line: &[u8]) -> bool {
    Severity::ALL.iter().any(|severity| {
        let severity = severity.as_str().to_uppercase();
        AlertKind::ALL
            .iter()
            .any(|kind| agree(format!("{severity} {}: ", reason(*kind)).as_bytes(), line))
    })
}

fn starts_detection(line: &[u8]) -> bool {
    let is_time = TIME.iter().zip(line).all(|(wanted, byte)| match wanted {
        b'9' => byte.is_ascii_digit(),
        wanted => wanted == byte,
    });
    let behind = line.get(TIME.len()..).unwrap_or_default();
    is_time
        && Severity::ALL
            .iter()
            .any(|severity| agree(severity.as_str().to_uppercase().as_bytes(), behind))
}

/// Whether `line` begins with `start`, as far as both go.
fn agree(start: &[u8], line: &[u8]) -> bool {
    start.iter().zip(line).all(|(a, b)| a == b)
}

#[cfg(test)]
mod tests {
    use std::{io::Write, sync::Arc};

    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::{
        format::{arbitrary, text::Style},
        store::Message,
    };

    fn look_at(bytes: &[u8], may_cut: Option<Codec>) -> Torn {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        look(&file, bytes.len() as u64, may_cut).unwrap()
    }

    /// What stands in the file after it was mended.
    fn mended(mut bytes: Vec<u8>, codec: Codec) -> Vec<u8> {
        match look_at(&bytes, Some(codec)) {
            Torn::Nothing => {}
            Torn::Message { start } => bytes.truncate(start as usize),
            Torn::LineEnd => bytes.push(b'\n'),
            Torn::Foreign => panic!("{:?}", String::from_utf8_lossy(&bytes)),
        }
        bytes
    }

    fn message() -> impl Strategy<Value = Message> {
        prop_oneof![
            arbitrary::alert().prop_map(|alert| Message::Alert(Arc::new(alert))),
            arbitrary::detection().prop_map(|mut detection| {
                // Years of four digits, as all are that an API server writes.
                detection.time = "2026-11-23T17:21:08Z".parse().unwrap();
                Message::Detection(Arc::new(detection))
            }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn wherever_it_is_cut_whole_messages_are_left(
            messages in vec(message(), 1..4),
            part in 0.0..1.0_f64,
            zeros in prop_oneof![Just(0_usize), 1..9_usize],
            codec in prop_oneof![Just(Codec::Json), Just(Codec::Text)],
        ) {
            let (mut bytes, mut bounds) = (Vec::new(), vec![0]);
            for message in &messages {
                codec.encode(message, Style::Plain, &mut bytes);
                bounds.push(bytes.len());
            }
            for cut in [(bytes.len() as f64 * part) as usize, bytes.len() - 1, bytes.len()] {
                let mut torn = bytes[..cut].to_vec();
                if !bounds.contains(&cut) {
                    torn.resize(cut + zeros, 0);
                }
                let left = mended(torn, codec);
                prop_assert!(bytes.starts_with(&left), "{:?}", String::from_utf8_lossy(&left));
                prop_assert!(bounds.contains(&left.len()), "{cut} gave {} of {bounds:?}", left.len());
                let whole = bounds.iter().filter(|bound| **bound <= cut).max().unwrap();
                prop_assert!(left.len() >= *whole, "{cut} gave {} of {bounds:?}", left.len());
            }
        }
    }

    #[test]
    fn what_others_write_is_never_cut() {
        for (codec, line) in [
            (Codec::Json, "not ours"),
            (Codec::Json, r#"{"level":"info","#),
            (Codec::Text, "HIGHWAY TO"),
            (Codec::Text, "2026-11-23 17:21:08 INFO started"),
            (Codec::Text, "  indented, without a headline"),
            (Codec::Text, "a line\n  indented"),
        ] {
            assert_eq!(
                look_at(line.as_bytes(), Some(codec)),
                Torn::Foreign,
                "{line}"
            );
            let whole = format!("{line}\n");
            assert_eq!(
                look_at(whole.as_bytes(), Some(codec)),
                Torn::Nothing,
                "{line}"
            );
        }
        let whole = br#"{"type":"alert","schema":1}"#;
        assert_eq!(look_at(whole, Some(Codec::Json)), Torn::LineEnd);
    }

    #[test]
    fn where_nothing_comes_again_nothing_is_cut() {
        assert_eq!(look_at(b"CRITICAL open", None), Torn::LineEnd);
        assert_eq!(look_at(b"", None), Torn::Nothing);
        assert_eq!(look_at(b"\n", None), Torn::Nothing);
    }
}
