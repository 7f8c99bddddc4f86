//! What Promtail, Alloy and Vector push to Loki, as protobuf: written as Loki's own JSON, a line for each log line.
//!
//! | message | fields |
//! | --- | --- |
//! | `PushRequest` | `streams = 1`, many |
//! | `Stream` | `labels = 1`, such as `{job="audit"}`; `entries = 2`, many; `hash = 3` |
//! | `Entry` | `timestamp = 1`; `line = 2`; `structuredMetadata = 3` and `parsed = 4`, many |
//! | a pair of these | `name = 1`, `value = 2` |
//!
//! A line is written with the labels of its stream, and no other: what one says is never taken for a copy of another.

use std::io::Write;

use crate::{
    record::{
        escape::first_quote,
        framing::parts,
        protobuf::{Fault, Field, Value, fields},
        rewrite::lossy_text,
    },
    source::{
        Shape,
        entries::{BLOCK_BYTES, swells},
    },
};

/// Labels that are so many times longer than a line are not written beside it: an event is longer than most labels are.
const MAX_LABELS: usize = 4;

/// Whether `bytes` begin as a push does: with a stream, and that with labels. No text does.
pub(super) fn begins_push(bytes: &[u8]) -> bool {
    let labels = bytes.strip_prefix(b"\x0a").and_then(|stream| {
        let length = stream.iter().take(10).position(|byte| *byte < 0x80)?;
        match Field::read(&stream[length + 1..]) {
            Ok((
                Field {
                    number: 1,
                    value: Value::Bytes(labels),
                },
                _,
            )) => Some(labels),
            _ => None,
        }
    });
    labels.is_some_and(|labels| labels.starts_with(b"{") && labels.ends_with(b"}"))
}

/// How a push is searched.
pub(super) struct Push<'s> {
    /// Longer lines are searched for decoys and reported, but not decoded.
    pub max_line_bytes: usize,
    /// Searches lines of JSON, and what is none as it is.
    pub take: &'s mut dyn FnMut(&[u8], Shape),
}

impl Push<'_> {
    /// Searches `bytes`, which [begin as a push](begins_push).
    ///
    /// # Errors
    /// If they are none to their end: what cannot be read was searched as it is.
    pub(super) fn search(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let mut lines = Lines {
            json: Vec::new(),
            push: self,
        };
        let searched = fields(bytes, &mut |number, value| {
            match (number, value) {
                (1, Value::Bytes(stream)) => lines.stream(stream),
                (_, Value::Bytes(other)) => lines.other(other),
                _ => {}
            };
        });
        lines.flush();
        let Err((fault, rest)) = searched else {
            return Ok(());
        };
        if !rest.is_empty() {
            (self.take)(rest, Shape::Lines);
        }
        Err(fault)
    }
}

/// Lines that are put together.
struct Lines<'p, 's> {
    json: Vec<u8>,
    push: &'p mut Push<'s>,
}

impl Lines<'_, '_> {
    fn stream(&mut self, stream: &[u8]) {
        let mut labels = Vec::new();
        // What is wrong is seen below.
        let _ = fields(stream, &mut |number, value| {
            if let (1, Value::Bytes(text)) = (number, value)
                && !swells(text)
            {
                labels = labels_as_json(text);
            }
        });
        let searched = fields(stream, &mut |number, value| match (number, value) {
            (1, Value::Bytes(_)) => {}
            (2, Value::Bytes(entry)) => self.entry(&labels, entry),
            (_, Value::Bytes(other)) => self.other(other),
            _ => {}
        });
        if let Err((_, rest)) = searched {
            self.other(rest);
        }
    }

    fn entry(&mut self, labels: &[u8], entry: &[u8]) {
        if swells(entry) {
            return self.oversized(entry);
        }
        let (mut time, mut line, mut metadata) = (0, &b""[..], Vec::new());
        let searched = fields(entry, &mut |number, value| match (number, value) {
            (1, Value::Bytes(timestamp)) => time = nanoseconds(timestamp),
            (2, Value::Bytes(text)) => line = text,
            (3 | 4, Value::Bytes(pair)) => add_pair(pair, &mut metadata),
            (_, Value::Bytes(other)) => self.other(other),
            _ => {}
        });
        if let Err((_, rest)) = searched {
            self.other(rest);
        }
        if line.len() > self.push.max_line_bytes {
            self.oversized(line);
        } else if !line.is_empty() {
            self.line(labels, time, line, &metadata);
        }
    }

    fn line(&mut self, labels: &[u8], time: i128, line: &[u8], metadata: &[u8]) {
        let labels = match labels.len() <= MAX_LABELS * line.len() {
            true => labels,
            false => b"",
        };
        let time = match time {
            0 => String::new(),
            time => time.to_string(),
        };
        let json = &mut self.json;
        json.extend_from_slice(b"{\"stream\":{");
        json.extend_from_slice(labels);
        // Memory takes all.
        let _ = write!(json, "}},\"values\":[[\"{time}\",");
        lossy_text(line, json);
        if !metadata.is_empty() {
            json.extend_from_slice(b",{");
            json.extend_from_slice(metadata);
            json.push(b'}');
        }
        json.extend_from_slice(b"]]}\n");
        if json.len() >= BLOCK_BYTES {
            self.flush();
        }
    }

    fn oversized(&mut self, bytes: &[u8]) {
        self.flush();
        for (part, shape) in parts(bytes) {
            (self.push.take)(part, shape);
        }
    }

    /// What has no place in a push, or cannot be read.
    fn other(&mut self, bytes: &[u8]) {
        self.flush();
        if !bytes.is_empty() {
            (self.push.take)(bytes, Shape::Lines);
        }
    }

    fn flush(&mut self) {
        if !self.json.is_empty() {
            (self.push.take)(&self.json, Shape::Lines);
            self.json.clear();
        }
    }
}

/// What lies in a `google.protobuf.Timestamp`.
fn nanoseconds(timestamp: &[u8]) -> i128 {
    let (mut seconds, mut rest) = (0, 0);
    let _ = fields(timestamp, &mut |number, value| match (number, value) {
        (1, Value::Varint(number)) => seconds = number.cast_signed(),
        (2, Value::Varint(number)) => rest = number.cast_signed(),
        _ => {}
    });
    i128::from(seconds) * 1_000_000_000 + i128::from(rest)
}

/// Appends a pair to those of an object.
fn add_pair(pair: &[u8], into: &mut Vec<u8>) {
    let (mut name, mut value) = (&b""[..], &b""[..]);
    let _ = fields(pair, &mut |number, held| match (number, held) {
        (1, Value::Bytes(bytes)) => name = bytes,
        (2, Value::Bytes(bytes)) => value = bytes,
        _ => {}
    });
    add(name, value, into);
}

fn add(name: &[u8], value: &[u8], into: &mut Vec<u8>) {
    if !into.is_empty() {
        into.push(b',');
    }
    lossy_text(name, into);
    into.push(b':');
    lossy_text(value, into);
}

/// The pairs of an object, of labels as Prometheus writes them: `{job="audit", pod="kube-apiserver-cp-1"}`. What follows where they
/// are no labels is left out.
fn labels_as_json(labels: &[u8]) -> Vec<u8> {
    let mut json = Vec::new();
    let mut rest = labels.strip_prefix(b"{").unwrap_or(labels);
    while let Some((name, value, behind)) = label(rest) {
        add(name, &value, &mut json);
        rest = behind;
    }
    json
}

/// The first label, and what follows.
fn label(labels: &[u8]) -> Option<(&[u8], Vec<u8>, &[u8])> {
    let equals = labels.iter().position(|byte| *byte == b'=')?;
    let is_around = |byte: &u8| matches!(byte, b',' | b' ' | b'"');
    let start = labels[..equals].iter().position(|byte| !is_around(byte))?;
    let name = labels[start..equals].trim_ascii_end();
    let name = name.strip_suffix(b"\"").unwrap_or(name);
    let value = labels[equals + 1..].strip_prefix(b"\"")?;
    let end = first_quote(value, b'"')?;
    Some((name, unquoted(&value[..end]), &value[end + 1..]))
}

/// A value as Go quotes it, without what stands for another character, as far as JSON has the same.
fn unquoted(value: &[u8]) -> Vec<u8> {
    if !value.contains(&b'\\') {
        return value.to_vec();
    }
    let quoted = [b"\"", value, b"\""].concat();
    let text = serde_json::from_slice::<String>(&quoted);
    text.map_or_else(|_| value.to_vec(), String::into_bytes)
}

#[cfg(test)]
mod tests;
