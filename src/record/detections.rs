//! Detections that another baitline found and wrote as JSON: agents run `detect` beside each
//! API server, and one aggregator runs `dedupe` over what they found.
//!
//! A shipper that reads what an agent wrote into a file, and does not decode it, puts each line into a record of its own, under
//! `message` or `log`: that is read too. OpenTelemetry has it, or the detection that it decoded, as the body of a record.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Deserializer, value::RawValue};

use crate::{
    dedupe::Alert,
    detect::Detection,
    format::json,
    record::{msgpack, protobuf},
    source::{Block, Shape},
};

/// Reads the records of a source whose `decoding.codec` is `detection`. One JSON object is one
/// detection; they may stand one a line, one a record, or many in an array.
#[derive(Debug, Default)]
pub struct Decoder {
    counts: Counts,
}

/// What a [`Decoder`] has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub bytes: u64,
    pub detections: u64,
    /// Alerts. Those of incidents are passed over: they tell of detections that have been read, or will be.
    pub alerts: u64,
    /// What is neither a detection nor an alert that can be read. Nothing came of it.
    pub faulty: u64,
    /// Records longer than `max_line_bytes`, which are faulty too.
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

    /// Appends what is in `block` to `out`, in order.
    pub fn read(&mut self, block: &Block<'_>, out: &mut Sent) {
        self.counts.bytes += block.bytes.len() as u64;
        match block.shape {
            Shape::Lines => self.lines(block.bytes, out),
            Shape::Value => self.values(block.bytes, out),
            Shape::MessagePack => {
                self.entries(msgpack::entries(block.bytes), msgpack::write_record, out);
            }
            Shape::PushEvents => {
                self.entries(protobuf::entries(block.bytes), protobuf::write_record, out);
            }
            Shape::Oversized { first, .. } => {
                self.counts.oversized += u64::from(first);
                self.counts.faulty += u64::from(first);
            }
        }
    }

    fn lines(&mut self, bytes: &[u8], out: &mut Sent) {
        for line in bytes.split(|&byte| byte == b'\n') {
            if !line.trim_ascii().is_empty() {
                self.value(line, out);
            }
        }
    }

    /// One JSON value after the other. From the first damaged one on it is read line by line,
    /// so that the sound ones behind it are found, in a time that grows with the bytes alone.
    fn values(&mut self, bytes: &[u8], out: &mut Sent) {
        let mut values = Deserializer::from_slice(bytes).into_iter::<&RawValue>();
        loop {
            match values.next() {
                Some(Ok(value)) => self.value(value.get().as_bytes(), out),
                Some(Err(_)) => break,
                None => return,
            }
        }
        self.lines(&bytes[values.byte_offset()..], out);
    }

    /// Each record is a detection as a map, or holds one as text.
    fn entries<'b, E>(
        &mut self,
        entries: impl Iterator<Item = Result<&'b [u8], E>>,
        write: fn(&[u8], &mut Vec<u8>),
        out: &mut Sent,
    ) {
        let mut json = Vec::new();
        for entry in entries {
            json.clear();
            write(entry.unwrap_or_default(), &mut json);
            self.object(&json, out);
        }
    }

    fn value(&mut self, value: &[u8], out: &mut Sent) {
        match value.trim_ascii_start() {
            [b'[', ..] => match serde_json::from_slice::<Vec<&RawValue>>(value) {
                Ok(items) => items
                    .iter()
                    .for_each(|item| self.object(item.get().as_bytes(), out)),
                Err(_) => self.counts.faulty += 1,
            },
            _ => self.object(value, out),
        }
    }

    fn object(&mut self, object: &[u8], out: &mut Sent) {
        let read = json::read_found(object).or_else(|error| match Shipped::text(object) {
            Some(text) => json::read_found(text.as_bytes()),
            None => Err(error),
        });
        match read {
            Ok(Some(json::Line::Detection(detection))) => {
                self.counts.detections += 1;
                out.detections.push(*detection);
            }
            Ok(Some(json::Line::Alert(alert))) => {
                self.counts.alerts += 1;
                out.notices.push(*alert);
            }
            Ok(None) => self.counts.alerts += 1,
            Err(_) => self.counts.faulty += 1,
        }
    }
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
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::format::{arbitrary, example};

    fn read(shape: Shape, bytes: &[u8]) -> (Vec<Detection>, Counts) {
        let (sent, counts) = read_all(shape, bytes);
        (sent.detections, counts)
    }

    fn read_all(shape: Shape, bytes: &[u8]) -> (Sent, Counts) {
        let mut decoder = Decoder::default();
        let mut out = Sent::default();
        let provenance = &|at: usize| at.to_string().into();
        decoder.read(
            &Block {
                bytes,
                shape,
                header: None,
                first_part: None,
                provenance,
            },
            &mut out,
        );
        let counts = decoder.counts();
        assert_eq!(counts.bytes, bytes.len() as u64);
        assert_eq!(counts.detections, out.detections.len() as u64);
        (out, counts)
    }

    fn line(detection: &Detection) -> String {
        let mut line = Vec::new();
        json::detection(detection, &mut line);
        String::from_utf8(line).unwrap()
    }

    fn alert(alert: &Alert) -> String {
        let mut line = Vec::new();
        json::alert(alert, &mut line);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn alerts_of_incidents_are_passed_and_garbage_is_counted() {
        let detection = example::detection();
        let good = line(&detection);
        let lines = format!(
            "{good}\r\n\n{}{}{}\ngarbage\n{{\"kind\":\"Event\"}}\n{}\n\u{0}\n{good}",
            alert(&example::opened()),
            alert(&example::silent()),
            &good[..40],
            good.trim_end().replace("token_use", "token_lose"),
        );
        let found = vec![detection.clone(), detection];
        let counts = Counts {
            bytes: lines.len() as u64,
            detections: 2,
            alerts: 2,
            faulty: 5,
            oversized: 0,
        };
        for shape in [Shape::Lines, Shape::Value] {
            let sent = Sent {
                detections: found.clone(),
                notices: vec![example::silent()],
            };
            assert_eq!(read_all(shape, lines.as_bytes()), (sent, counts));
        }
        let not_text = [b"\xff\xfe\n".as_slice(), good.as_bytes()].concat();
        for shape in [Shape::Lines, Shape::Value] {
            assert_eq!(read(shape, &not_text).0, found[..1]);
        }
    }

    #[test]
    fn a_value_may_be_spread_over_lines_or_be_an_array() {
        let detection = example::detection();
        let value: serde_json::Value = serde_json::from_str(&line(&detection)).unwrap();
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        for (text, count) in [
            (pretty.clone(), 1),
            (
                format!(" [{pretty},\n{}, {pretty}]\n", alert(&example::opened())),
                2,
            ),
            (format!("{pretty}\n{pretty}"), 2),
            (format!("{pretty}{pretty} []"), 2),
            (format!("{pretty}\n[{pretty},"), 1),
            (" ".to_owned(), 0),
        ] {
            let (out, counts) = read(Shape::Value, text.as_bytes());
            assert_eq!(out, vec![detection.clone(); count], "{text}");
            assert_eq!(counts.faulty > 0, text.ends_with(','), "{text}");
        }
    }

    #[test]
    fn a_line_that_a_shipper_read_is_what_stands_in_it() {
        let detection = example::detection();
        let good = line(&detection);
        let records = [
            serde_json::json!({"message": good, "file": "/var/log/baitline/detections.ndjson"}),
            serde_json::json!({"log": good.trim_end()}),
            serde_json::json!({"resource": {"attributes": []}, "timeUnixNano": "1", "body": good}),
            serde_json::json!({"body": serde_json::from_str::<serde_json::Value>(&good).unwrap(), "attributes": {"a": 1}}),
            serde_json::json!({"body": null}),
            serde_json::json!({"log": null, "message": alert(&example::opened())}),
            serde_json::json!({"text": good}),
            serde_json::json!({"message": {"message": good}}),
            serde_json::json!({"message": serde_json::json!({"message": good}).to_string()}),
        ];
        let lines: Vec<String> = records.iter().map(|record| format!("{record}\n")).collect();
        for shape in [Shape::Lines, Shape::Value] {
            let (out, counts) = read(shape, lines.concat().as_bytes());
            assert_eq!(out, vec![detection.clone(); 4]);
            assert_eq!((counts.alerts, counts.faulty), (1, 4));
        }
        // By Forward, as Fluent Bit and Fluentd send it: strings of up to 64 KiB.
        let text = |bytes: &str| {
            let length = (bytes.len() as u16).to_be_bytes();
            [b"\xda".as_slice(), &length, bytes.as_bytes()].concat()
        };
        let entry = |key: &str| [b"\x92\x07\x81".as_slice(), &text(key), &text(&good)].concat();
        let (out, counts) = read(
            Shape::MessagePack,
            &[entry("log"), entry("message"), entry("text")].concat(),
        );
        assert_eq!(out, vec![detection; 2]);
        assert_eq!(counts.faulty, 1);
    }

    #[test]
    fn an_oversized_record_is_one_fault_however_many_its_parts() {
        let mut decoder = Decoder::default();
        let mut out = Sent::default();
        for (first, last) in [(true, false), (false, false), (false, true)] {
            let good = line(&example::detection());
            let block = Block {
                bytes: good.as_bytes(),
                shape: Shape::Oversized { first, last },
                header: None,
                first_part: None,
                provenance: &|at| at.to_string().into(),
            };
            decoder.read(&block, &mut out);
        }
        assert_eq!(out, Sent::default());
        assert_eq!(
            (decoder.counts().oversized, decoder.counts().faulty),
            (1, 1)
        );
    }

    #[test]
    fn what_nobody_closes_costs_no_more_than_its_length() {
        for open in ["[\n", "{\"a\":\n", "\"\n", "[{\"a\":[\n"] {
            let (out, counts) = read(Shape::Value, open.repeat(1 << 18).as_bytes());
            assert_eq!(out, []);
            assert_eq!(counts.faulty, 1 << 18);
        }
    }

    proptest! {
        #[test]
        fn all_that_was_written_is_read(detections in vec(arbitrary::detection(), 0..4)) {
            let lines: String = detections.iter().map(line).collect();
            prop_assert_eq!(&read(Shape::Lines, lines.as_bytes()).0, &detections);
            prop_assert_eq!(&read(Shape::Value, lines.as_bytes()).0, &detections);
        }

        #[test]
        fn any_bytes_are_read(bytes in vec(any::<u8>(), 0..99), json in "[\\[\\]{}\",:\n0-9a]{0,40}") {
            for shape in [Shape::Lines, Shape::Value] {
                prop_assert_eq!(read(shape, &bytes).0, []);
                prop_assert_eq!(read(shape, json.as_bytes()).0, []);
            }
        }
    }
}
