//! Detections that another baitline found and wrote as JSON: agents run `detect` beside each
//! API server, and one aggregator runs `dedupe` over what they found.
//!
//! A shipper that reads what an agent wrote into a file, and does not decode it, puts each line into a record of its own, under
//! `message` or `log`: that is read too. OpenTelemetry has it, or the detection that it decoded, as the body of a record.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Deserializer, value::RawValue};

use crate::{
    dedupe::Alert,
    detect::{Class, Detection},
    format::json,
    record::{msgpack, protobuf},
    source::{Block, Shape},
};

/// Bytes that a block must have for each detection that is read in part. A whole one has more; what is made up of next to
/// nothing is to cost no more than what it was sent as.
const LEAST_BYTES: usize = 256;

/// The decoy of a detection that does not say which: it is told all the same.
const UNKNOWN_DECOY: &str = "unknown";

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

    fn found(&mut self, mut detection: Detection) {
        if detection.class != Class::Record {
            detection.decoy.get_or_insert_with(|| UNKNOWN_DECOY.into());
        }
        self.decoder.counts.detections += 1;
        self.out.detections.push(detection);
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

    use std::{slice, sync::Arc};

    use super::*;
    use crate::{
        detect::{Severity, Technique, Tool},
        format::{arbitrary, example},
    };

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
            Timestamp::UNIX_EPOCH,
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
        let torn = read(Shape::Lines, &good.as_bytes()[..40]).0.remove(0);
        let new = good.replace("token_use", "token_lose");
        let new = read(Shape::Lines, new.as_bytes()).0.remove(0);
        let found = vec![detection.clone(), torn, new, detection];
        let counts = Counts {
            bytes: lines.len() as u64,
            detections: 4,
            in_part: 2,
            alerts: 2,
            faulty: 3,
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
            let (read, counts) = read(shape, &not_text);
            assert_eq!((&read[..], counts.faulty), (&found[..1], 1));
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
            (" ".to_owned(), 0),
        ] {
            let (out, counts) = read(Shape::Value, text.as_bytes());
            assert_eq!(out, vec![detection.clone(); count], "{text}");
            assert_eq!((counts.in_part, counts.faulty), (0, 0), "{text}");
        }
        // Of an array that is torn, what is whole is read, and of the last what there is.
        let line = line(&detection);
        let half = line.find(r#""actor""#).unwrap();
        for shape in [Shape::Lines, Shape::Value] {
            let text = format!("[{},{}", line.trim_end(), &line[..half]);
            let (out, counts) = read(shape, text.as_bytes());
            assert_eq!((out.len(), counts.in_part, counts.faulty), (2, 2, 0));
            assert_eq!(out[0], detection);
            assert_eq!(out[1].detection_id, detection.detection_id);
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
            // Elsewhere it is understood, too.
            serde_json::json!({"text": good}),
            serde_json::json!({"message": {"message": good}}),
            serde_json::json!({"message": serde_json::json!({"message": good}).to_string()}),
        ];
        let lines: Vec<String> = records.iter().map(|record| format!("{record}\n")).collect();
        for shape in [Shape::Lines, Shape::Value] {
            let (out, counts) = read(shape, lines.concat().as_bytes());
            assert_eq!(out, vec![detection.clone(); 7]);
            assert_eq!((counts.in_part, counts.alerts, counts.faulty), (3, 1, 1));
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
        assert_eq!(out, vec![detection; 3]);
        assert_eq!((counts.in_part, counts.faulty), (1, 0));
    }

    #[test]
    fn of_what_another_version_says_is_told_what_is_understood() {
        let detection = example::detection();
        let good = line(&detection);
        type Change = fn(&mut Detection);
        let changes: [(&str, &str, Change); 13] = [
            (r#""tool":"curl""#, r#""tool":"trufflehog""#, |read| {
                read.tool = Tool::Unknown;
            }),
            (r#""schema":1"#, r#""schema":2"#, |_| {}),
            (r#""schema":1,"#, "", |_| {}),
            (r#""granted":false"#, r#""granted":null"#, |_| {}),
            (r#""severity":"critical""#, r#""severity":"grave""#, |_| {}),
            (r#""class":"detect""#, r#""class":"seen""#, |_| {}),
            (
                r#""technique":"token_use""#,
                r#""technique":"escape""#,
                |read| {
                    read.technique = Technique::Undecodable;
                    read.excerpt = Some("technique 'escape'".into());
                },
            ),
            (
                r#""time":"2026-11-23T17:21:08.912184Z""#,
                r#""time":"9999-12-31T23:59:59Z""#,
                |read| read.time = Timestamp::UNIX_EPOCH,
            ),
            (r#""code":403"#, r#""code":70000"#, |read| {
                read.request.code = None;
            }),
            (
                r#""username":"system:serviceaccount:honeypot:backup-sa""#,
                r#""username":{}"#,
                |read| Arc::make_mut(&mut read.actor).username = None,
            ),
            (
                r#""decoy":"honeypot/backup-sa""#,
                r#""decoy":["honeypot/backup-sa"]"#,
                |read| read.decoy = Some(UNKNOWN_DECOY.into()),
            ),
            (
                r#""type":"detection""#,
                r#""type":"detection","type":"alert""#,
                |_| {},
            ),
            ("}\n", "} {}\n", |_| {}),
        ];
        for (from, to, change) in changes {
            assert!(good.contains(from), "{from}");
            let new = good.replacen(from, to, 1);
            let mut expected = detection.clone();
            change(&mut expected);
            for record in [new.clone(), serde_json::json!({ "log": new }).to_string()] {
                let (out, counts) = read(Shape::Lines, record.as_bytes());
                assert_eq!(out, slice::from_ref(&expected), "{record}");
                assert_eq!((counts.in_part, counts.faulty), (1, 0), "{record}");
            }
        }
        // How grave it is, nobody may make little of by a word that is not known.
        for (technique, severity) in [
            ("recon", Severity::High),
            ("impersonation", Severity::Critical),
        ] {
            let new = good
                .replace("token_use", technique)
                .replace(r#""critical""#, "5");
            assert_eq!(read(Shape::Lines, new.as_bytes()).0[0].severity, severity);
        }
    }

    #[test]
    fn what_says_no_decoy_is_told_of_one_that_is_not_known() {
        let mut detection = example::detection();
        detection.decoy = None;
        let (out, counts) = read(Shape::Lines, line(&detection).as_bytes());
        assert_eq!(out[0].decoy.as_deref(), Some(UNKNOWN_DECOY));
        assert_eq!(counts.in_part, 0);
        // What touched none stays what is kept and not told.
        detection.class = Class::Record;
        let (out, _) = read(Shape::Lines, line(&detection).as_bytes());
        assert_eq!(out, [detection]);
    }

    #[test]
    fn what_says_that_it_is_a_detection_and_nothing_else_is_told_with_what_it_is() {
        let tears = [
            r#"{"type":"detection""#,
            r#"<134>1 - aggregator {"schema": 7, "type" : "detection", garbage"#,
            r#"{"log":"{\"type\":\"detection\",\"schema\":1,\"dete"#,
            r#""type": "detection","#,
        ];
        for torn in tears {
            let (out, counts) = read(Shape::Lines, torn.as_bytes());
            assert_eq!(
                (out.len(), counts.in_part, counts.faulty),
                (1, 1, 0),
                "{torn}"
            );
            let [detection] = &out[..] else {
                unreachable!()
            };
            assert_eq!(detection.technique, Technique::Undecodable);
            assert_eq!(
                (detection.class, detection.severity),
                (Class::Detect, Severity::High)
            );
            let excerpt = detection.excerpt.as_deref().unwrap_or_default();
            assert!(excerpt.contains("detection'"), "{excerpt}");
        }
        // An alert is none, whatever a client had it say.
        let quoting = alert(&example::hostile(r#"{"type":"detection","decoy":"a/b"}"#));
        let (out, counts) = read(Shape::Lines, &quoting.as_bytes()[..quoting.len() - 9]);
        assert_eq!((out, counts.faulty), (vec![], 1));
    }

    #[test]
    fn what_is_made_up_of_next_to_nothing_is_bounded_by_what_it_took_to_send() {
        let bits = r#"{"type":"detection"}"#.repeat(10_000);
        for (shape, text) in [
            (Shape::Lines, bits.clone()),
            (Shape::Lines, bits.replace('}', "}\n")),
            (Shape::Value, bits.clone()),
            (
                Shape::Oversized {
                    first: true,
                    last: true,
                },
                bits.clone(),
            ),
        ] {
            let (out, counts) = read(shape, text.as_bytes());
            assert_eq!(out.len(), text.len() / LEAST_BYTES + 1);
            assert!(counts.faulty <= 10_000);
        }
    }

    #[test]
    fn an_oversized_record_is_one_fault_however_many_its_parts_unless_it_says_what_it_is() {
        let good = line(&example::detection());
        for (bytes, found) in [("garbage", 0), (&*good, 1), (&good[..600], 1)] {
            let mut decoder = Decoder::default();
            let mut out = Sent::default();
            for (first, last) in [(true, false), (false, false), (false, true)] {
                let block = Block {
                    bytes: if first { bytes.as_bytes() } else { b"x" },
                    shape: Shape::Oversized { first, last },
                    header: None,
                    first_part: None,
                    provenance: &|at| at.to_string().into(),
                };
                decoder.read(&block, Timestamp::UNIX_EPOCH, &mut out);
            }
            assert_eq!(out.detections.len() as u64, found);
            let counts = decoder.counts();
            assert_eq!((counts.oversized, counts.in_part), (1, found));
            assert_eq!(counts.faulty, 1 - found);
        }
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
        fn a_line_that_is_torn_anywhere_is_told(detection in arbitrary::detection(), at in any::<prop::sample::Index>()) {
            let line = line(&detection);
            let least = r#"{"type":"detection""#.len();
            let at = least + at.index(line.trim_end().len() - least);
            let text = String::from_utf8_lossy(&line.as_bytes()[..at]).into_owned();
            let (out, counts) = read(Shape::Lines, text.as_bytes());
            prop_assert_eq!((out.len(), counts.faulty), (1, 0));
            if at > line.find(r#""cluster""#).unwrap() && detection.decoy.is_some() {
                prop_assert_eq!(&out[0].decoy, &detection.decoy);
                prop_assert_eq!(out[0].detection_id, detection.detection_id);
                prop_assert_eq!(out[0].technique, detection.technique);
            }
        }

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
