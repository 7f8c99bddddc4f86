//! The marks by which shippers tell that a text is a part of a longer line, which a container runtime cut and they did not
//! join.
//!
//! A part may begin in the middle of a body, so what looks like an event in it may be a client's text.

use std::sync::LazyLock;

use memchr::{memmem::Finder, memrchr2};
use simd_json::{prelude::*, tape::Object};

use crate::record::text::escape::{ends_in_newline, last_quote};

/// Bytes of the longest part of a line that a runtime writes: containerd and Docker cut there.
pub const MAX_PART_BYTES: usize = 16 << 10;

/// Where CRI-O cuts.
const CRIO_PART_BYTES: usize = 8 << 10;

/// Whether a text of so many bytes that is marked as a part may be a whole line: shippers that join parts keep the mark of the first
/// beside it.
pub fn may_be_joined(bytes: usize) -> bool {
    bytes > CRIO_PART_BYTES && bytes != MAX_PART_BYTES
}

/// Which part a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// One that others follow, unless [it is so long](may_be_joined) that a shipper may have joined them.
    Open,
    /// One that others follow, as it was cut.
    Cut,
    /// The last, or a whole line.
    Last,
}

/// The keys under which a part says that others follow it: the tag of CRI's lines, as Fluentd and as Fluent Bit calls it;
/// Vector's; Docker's, and the one that it gives to journald, which Fluentd may write in lower case
/// (<https://github.com/fluent-plugin-systemd/fluent-plugin-systemd>, `fields_lowercase`); and journald's own, where a program writes
/// longer lines than `LineMax`, 48 KiB by default (systemd.journal-fields(7)), with and without the underscore that shippers strip.
pub const KEYS: [&str; 10] = [
    "logtag",
    "_p",
    "_partial",
    "partial_message",
    "CONTAINER_PARTIAL_MESSAGE",
    "container_partial_message",
    "_LINE_BREAK",
    "_line_break",
    "LINE_BREAK",
    "line_break",
];

/// What journald says there of a line that goes on.
const LINE_MAX: &str = "line-max";

/// What stands behind the text of a record of Docker's, where a shipper left the order of its fields.
pub const DOCKER_TAIL: &[u8] = b"\",\"stream\":\"std";

/// Bytes after which Docker cuts, and marks a part by nothing but a newline that is not there.
pub const DOCKER_PART_BYTES: usize = 16 << 10;

/// The keys that say more of a part.
const OTHER_KEYS: [&str; 9] = [
    "partial_id",
    "partial_ordinal",
    "partial_last",
    "CONTAINER_PARTIAL_ID",
    "CONTAINER_PARTIAL_ORDINAL",
    "CONTAINER_PARTIAL_LAST",
    "container_partial_id",
    "container_partial_ordinal",
    "container_partial_last",
];

/// Whether `key` says something of a part.
pub fn is_mark(key: &str) -> bool {
    KEYS.contains(&key) || OTHER_KEYS.contains(&key)
}

/// [`KEYS`] as JSON has them.
static QUOTED_KEYS: LazyLock<[Finder<'static>; 10]> =
    LazyLock::new(|| KEYS.map(|key| Finder::new(format!("\"{key}\"").as_bytes()).into_owned()));

/// What stands in a line of CRI that goes on in others, behind its time.
pub const CRI: [&[u8]; 2] = [b" stdout P", b" stderr P"];

static CRI_TAGS: LazyLock<[Finder<'static>; 2]> = LazyLock::new(|| CRI.map(Finder::new));

/// Lengths that the time before it may have: with seconds and `Z`, with nanoseconds and an offset.
pub const TIME_BYTES: std::ops::RangeInclusive<usize> = 20..=40;

static DOCKER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(DOCKER_TAIL));

/// What an entry of a record says of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said<'v> {
    Text(&'v str),
    True,
    Null,
    Other,
}

/// The marks of a record.
#[derive(Clone, Copy, Debug, Default)]
pub struct Marks {
    is_open: bool,
    is_cut: bool,
    is_last: bool,
}

impl Marks {
    /// Takes what stands under `key`, which may be none of a mark's.
    pub fn see(&mut self, key: &str, said: Said<'_>) {
        let is_true = matches!(said, Said::True | Said::Text("true"));
        match key {
            "logtag" | "_p" => {
                if let Said::Text(tag) = said {
                    self.is_open |= tag.starts_with('P');
                    self.is_last |= tag.starts_with('F');
                }
            }
            "_partial"
            | "partial_message"
            | "CONTAINER_PARTIAL_MESSAGE"
            | "container_partial_message" => self.is_open |= is_true,
            "partial_id"
            | "partial_ordinal"
            | "CONTAINER_PARTIAL_ID"
            | "CONTAINER_PARTIAL_ORDINAL"
            | "container_partial_id"
            | "container_partial_ordinal" => self.is_open |= said != Said::Null,
            "_LINE_BREAK" | "_line_break" | "LINE_BREAK" | "line_break" => {
                self.is_cut |= said == Said::Text(LINE_MAX);
            }
            "partial_last" | "CONTAINER_PARTIAL_LAST" | "container_partial_last" => {
                self.is_last |= is_true;
            }
            _ => {}
        }
    }

    /// Which part they tell of, if they do.
    pub fn part(self) -> Option<Part> {
        match self {
            Self { is_cut: true, .. } => Some(Part::Cut),
            Self { is_last: true, .. } => Some(Part::Last),
            Self { is_open: true, .. } => Some(Part::Open),
            _ => None,
        }
    }
}

impl Part {
    /// Whether others follow it.
    pub fn goes_on(self) -> bool {
        self != Self::Last
    }

    /// Which part the texts of `object` are, if it says so.
    pub fn of(object: &Object<'_, '_>) -> Option<Self> {
        let mut marks = Marks::default();
        for (key, value) in object.iter() {
            let said = match value.into_string() {
                Some(text) => Said::Text(text),
                None if value.as_bool() == Some(true) => Said::True,
                None if value.is_null() => Said::Null,
                None => Said::Other,
            };
            marks.see(key, said);
        }
        marks.part()
    }
}

/// Whether `rest`, which stands behind the quote of one of [`KEYS`] in JSON, says that other parts follow.
pub fn says_open(rest: &[u8]) -> bool {
    let rest = rest.trim_ascii_start();
    rest.strip_prefix(b":").is_some_and(|value| {
        let value = value.trim_ascii_start();
        value.starts_with(b"true") || value.strip_prefix(b"\"").is_some_and(begins_open)
    })
}

/// Whether `text`, which stands under one of [`KEYS`], begins as one that says that other parts follow.
pub fn begins_open(text: &[u8]) -> bool {
    let words = ["P", "true", LINE_MAX];
    words.iter().any(|word| text.starts_with(word.as_bytes()))
}

/// Whether what stands before a [`DOCKER_TAIL`] is the text of a part that Docker cut off.
pub fn is_cut_by_docker(before: &[u8]) -> bool {
    let is_long = |quote| before.len() - quote > DOCKER_PART_BYTES;
    !ends_in_newline(before) && last_quote(before).is_some_and(is_long)
}

/// Whether what stands before one of [`CRI`] is a time that begins a line, or a string of JSON: a shipper kept the line whole.
pub fn begins_line(before: &[u8]) -> bool {
    let head = &before[before.len().saturating_sub(TIME_BYTES.end() + 1)..];
    let start = memrchr2(b'"', b'\n', head).map_or(0, |at| at + 1);
    is_time(&head[start..])
}

/// The same of a string behind its length, which may look like a part of the time: in doubt it is one.
pub fn may_be_kept_line(before: &[u8]) -> bool {
    let mut starts = TIME_BYTES.filter_map(|length| before.len().checked_sub(length));
    starts.any(|start| is_time(&before[start..]))
}

/// Whether `text` looks like the time of a line of CRI.
pub fn is_time(text: &[u8]) -> bool {
    TIME_BYTES.contains(&text.len()) && text[4] == b'-' && text[10] == b'T'
}

/// How the API server begins an event. A shipper's record, in which a part of one stands, begins otherwise.
const EVENT: &[u8] = b"{\"kind\":\"Event\"";

/// As [`holds_open`], of one record: of an event that stands alone no more than its beginning is looked at, since a flood is of these.
pub fn is_open(record: &[u8]) -> bool {
    !record.starts_with(EVENT) && holds_open(record)
}

/// Whether one of [`KEYS`] stands in `text`, which is JSON or many values of it, and says that other parts follow, or Docker
/// cut a text in it, or a line of CRI that others follow is in it.
pub fn holds_open(text: &[u8]) -> bool {
    let holds_mark = QUOTED_KEYS.iter().any(|key| {
        let mut places = key.find_iter(text);
        places.any(|at| says_open(&text[at + key.needle().len()..]))
    });
    let holds_line = || {
        CRI_TAGS.iter().any(|tag| {
            let mut places = tag.find_iter(text);
            places.any(|at| begins_line(&text[..at]))
        })
    };
    holds_mark
        || holds_line()
        || DOCKER
            .find_iter(text)
            .any(|at| is_cut_by_docker(&text[..at]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_counts_where_its_value_says_that_others_follow() {
        for (text, wanted) in [
            (r#"{"logtag":"P"}"#, true),
            ("{\"_p\" :\n\"P:x\"}", true),
            (r#"{"_partial":true}"#, true),
            (r#"{"a":1,"partial_message":"true"}"#, true),
            (r#"{"CONTAINER_PARTIAL_MESSAGE": "true"}"#, true),
            (r#"{"_LINE_BREAK": "line-max"}"#, true),
            (r#"{"line_break":"eof"}"#, false),
            (r#"{"log":"2026-11-23T17:21:01Z stdout P {"}"#, true),
            (r#"{"log":"2026-11-23T17:21:01Z stdout F {"}"#, false),
            (r#"{"log":"x 2026-11-23T17:21:01Z stdout P {"}"#, false),
            ("2026-11-23T17:21:01Z stdout P {", true),
            ("a\n2026-11-23T17:21:01Z stderr P {", true),
            ("2026-11-23T17:21:01Z stdout F {", false),
            ("x 2026-11-23T17:21:01Z stdout P {", false),
            (r#"{"logtag":"F"}"#, false),
            (r#"{"_partial":false,"_p":"F"}"#, false),
            (r#"{"logtag":"F"} {"logtag":"P"}"#, true),
            (r#"{"my_p":"P"}"#, false),
            (r#"{"log":"\"logtag\":\"P\""}"#, false),
            (r#"{"logtag"}"#, false),
            ("", false),
        ] {
            assert_eq!(holds_open(text.as_bytes()), wanted, "{text}");
        }
    }

    #[test]
    fn an_event_that_stands_alone_is_no_part() {
        assert!(!is_open(br#"{"kind":"Event","log":"","logtag":"P"}"#));
        assert!(is_open(br#"{"log":"{\"kind\":\"Event\"","logtag":"P"}"#));
    }

    #[test]
    fn docker_cuts_where_its_text_is_as_long_as_a_part_and_has_no_end() {
        let long = r#"\""#.repeat(DOCKER_PART_BYTES / 2);
        for (number, (text, wanted)) in [
            (long.clone(), true),
            (long.clone() + "n", true),
            (long.clone() + r"\\n", true),
            (long.clone() + r"\n", false),
            (long.clone() + r"\\\n", false),
            (long[2..].to_owned(), false),
            (String::new(), false),
        ]
        .into_iter()
        .enumerate()
        {
            for around in ["", r#"{"log":"a","stream":"stdout"},"#] {
                let record = format!(r#"{around}{{"log":"{text}","stream":"stdout"}}"#);
                assert_eq!(holds_open(record.as_bytes()), wanted, "{number}");
            }
        }
    }
}
