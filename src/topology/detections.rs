//! Detections that another baitline found and wrote as JSON: agents run `detect` beside each
//! API server, and one aggregator runs `dedupe` over what they found.
//!
//! A shipper that reads what an agent wrote into a file, and does not decode it, puts each line into a record of its own, under
//! `message` or `log`: that is read too. OpenTelemetry has it, or the detection that it decoded, as the body of a record.

use std::{borrow::Cow, sync::Arc};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Deserializer, value::RawValue};

use crate::{
    dedupe::{Alert, cut},
    detect::{Class, Detection},
    format::json,
    record::{Block, Shape, msgpack, protobuf},
};

/// Bytes that a block must have for each detection that is read in part. A whole one has more; what is made up of next to
/// nothing is to cost no more than what it was sent as.
const LEAST_BYTES: usize = 256;

/// The decoy of a detection that does not say which: it is told all the same.
const UNKNOWN_DECOY: &str = "unknown";

/// The longest name of a decoy or a cluster that is taken, and the longest key of a label, in characters. Kubernetes' are shorter.
const NAME_CHARS: usize = 512;

/// Labels of a decoy that are taken, and the longest value of one, in characters.
const LABELS: usize = 64;
const LABEL_CHARS: usize = 1024;

/// Reads the records of a source whose `decoding.codec` is `detection`. One JSON object is one
/// detection; they may stand one a line, one a record, or many in an array. Agents may be of another version: what says that
/// it is a detection is one, as far as it is understood.
#[derive(Debug, Default)]
pub struct Decoder {
    counts: Counts,
    /// How many more may be read in part of the block at hand.
    room: usize,
}

/// What a [`Decoder`] has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub bytes: u64,
    pub detections: u64,
    /// Detections of which something was not understood, among those.
    pub in_part: u64,
    /// Alerts. Those of incidents are passed over: they tell of detections that have been read, or will be.
    pub alerts: u64,
    /// What is neither a detection nor an alert that can be read. Nothing came of it.
    pub faulty: u64,
    /// Records longer than `max_line_bytes`, of which is told what they begin with.
    pub oversized: u64,
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sent {
    pub detections: Vec<Detection>,
    /// What the other baitline tells of its own sources and sinks, in its own words.
    pub notices: Vec<Alert>,
}

impl Decoder {
    /// What was seen since the start.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Appends what is in `block`, which came at `arrival`, to `out`, in order.
    pub fn read(&mut self, block: &Block<'_>, arrival: Timestamp, out: &mut Sent) {
        self.counts.bytes += block.bytes.len() as u64;
        self.room = block.bytes.len() / LEAST_BYTES + 1;
        let mut reading = Reading {
            decoder: self,
            arrival,
            out,
        };
        match block.shape {
            Shape::Lines => reading.lines(block.bytes),
            Shape::Value => reading.values(block.bytes),
            Shape::MessagePack => {
                reading.entries(msgpack::entries(block.bytes), msgpack::write_record);
            }
            Shape::PushEvents => {
                reading.entries(protobuf::entries(block.bytes), protobuf::write_record);
            }
            Shape::Oversized { first, .. } => {
                reading.decoder.counts.oversized += u64::from(first);
                if reading.in_part(block.bytes) == 0 && first {
                    reading.decoder.counts.faulty += 1;
                }
            }
        }
    }
}

/// A block on its way through a [`Decoder`].
struct Reading<'d> {
    decoder: &'d mut Decoder,
    arrival: Timestamp,
    out: &'d mut Sent,
}

impl Reading<'_> {
    fn lines(&mut self, bytes: &[u8]) {
        for line in bytes.split(|&byte| byte == b'\n') {
            if !line.trim_ascii().is_empty() {
                self.value(line);
            }
        }
    }

    /// One JSON value after the other. From the first damaged one on it is read line by line,
    /// so that the sound ones behind it are found, in a time that grows with the bytes alone.
    fn values(&mut self, bytes: &[u8]) {
        let mut values = Deserializer::from_slice(bytes).into_iter::<&RawValue>();
        loop {
            match values.next() {
                Some(Ok(value)) => self.value(value.get().as_bytes()),
                Some(Err(_)) => break,
                None => return,
            }
        }
        self.lines(&bytes[values.byte_offset()..]);
    }

    /// Each record is a detection as a map, or holds one as text.
    fn entries<'b, E>(
        &mut self,
        entries: impl Iterator<Item = Result<&'b [u8], E>>,
        write: fn(&[u8], &mut Vec<u8>),
    ) {
        let mut json = Vec::new();
        for entry in entries {
            json.clear();
            write(entry.unwrap_or_default(), &mut json);
            self.object(&json);
        }
    }

    fn value(&mut self, value: &[u8]) {
        match value.trim_ascii_start() {
            [b'[', ..] => match serde_json::from_slice::<Vec<&RawValue>>(value) {
                Ok(items) => items
                    .iter()
                    .for_each(|item| self.object(item.get().as_bytes())),
                Err(_) => self.damaged(value),
            },
            _ => self.object(value),
        }
    }

    fn object(&mut self, object: &[u8]) {
        let read = json::read_found(object).or_else(|error| match Shipped::text(object) {
            Some(text) => json::read_found(text.as_bytes()),
            None => Err(error),
        });
        match read {
            Ok(Some(json::Line::Detection(detection))) => self.found(*detection),
            Ok(Some(json::Line::Alert(alert))) => {
                self.decoder.counts.alerts += 1;
                self.out.notices.push(*alert);
            }
            Ok(None) => self.decoder.counts.alerts += 1,
            Err(_) => self.damaged(object),
        }
    }

    fn damaged(&mut self, bytes: &[u8]) {
        if self.in_part(bytes) == 0 {
            self.decoder.counts.faulty += 1;
        }
    }

    /// Takes what of `bytes` can be understood: so many detections.
    fn in_part(&mut self, bytes: &[u8]) -> usize {
        if self.decoder.room == 0 {
            return 0;
        }
        let read = json::read_in_part(bytes, self.arrival, self.decoder.room);
        let count = read.len();
        self.decoder.room -= count;
        self.decoder.counts.in_part += count as u64;
        read.into_iter().for_each(|detection| self.found(detection));
        count
    }

    fn found(&mut self, detection: Detection) {
        let mut detection = detection.without_empty();
        if detection.class != Class::Record {
            detection.decoy.get_or_insert_with(|| UNKNOWN_DECOY.into());
        }
        bound(&mut detection);
        self.decoder.counts.detections += 1;
        self.out.detections.push(detection);
    }
}

/// Cuts what incidents keep as long as they are remembered. Whoever may send can make it as long as a record may be.
fn bound(detection: &mut Detection) {
    for name in [&mut detection.decoy, &mut detection.cluster] {
        if let Some(long) = name.as_deref().filter(|name| is_longer(name, NAME_CHARS)) {
            *name = Some(cut(long, NAME_CHARS).into());
        }
    }
    let is_long = |(key, value): (&String, &String)| {
        is_longer(key, NAME_CHARS) || is_longer(value, LABEL_CHARS)
    };
    let labels = &detection.labels;
    if labels.len() > LABELS || labels.iter().any(is_long) {
        let labels = labels.iter().take(LABELS).map(|(key, value)| {
            let [key, value] = [cut(key, NAME_CHARS), cut(value, LABEL_CHARS)];
            (key.to_owned(), value.to_owned())
        });
        detection.labels = Arc::new(labels.collect());
    }
}

fn is_longer(text: &str, chars: usize) -> bool {
    cut(text, chars).len() < text.len()
}

/// A line that a shipper read: Vector's key for its text, and Fluentd's, and Fluent Bit's. And OpenTelemetry's, decoded or not.
#[derive(Deserialize)]
struct Shipped<'l> {
    #[serde(borrow)]
    message: Option<Cow<'l, str>>,
    #[serde(borrow)]
    log: Option<Cow<'l, str>>,
    #[serde(borrow)]
    body: Option<&'l RawValue>,
}

impl<'l> Shipped<'l> {
    /// The line, if `object` is one.
    fn text(object: &'l [u8]) -> Option<Cow<'l, str>> {
        let shipped: Self = serde_json::from_slice(object).ok()?;
        let body = || {
            let body = shipped.body?.get();
            let text = serde_json::from_str::<String>(body);
            Some(text.map_or(Cow::Borrowed(body), Cow::Owned))
        };
        shipped.message.or(shipped.log).or_else(body)
    }
}

#[cfg(test)]
mod tests;
