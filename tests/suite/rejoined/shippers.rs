//! How shippers pass on lines that a container runtime cut, and how their records are sent.

use baitline::source::Shape;
use serde_json::{Value as Json, json};

use crate::{msgpack, protobuf};

/// A part of a line, or all of it.
pub struct Piece<'l> {
    text: &'l str,
    number: usize,
    is_last: bool,
    /// Which of the streams of its source wrote it.
    stream: usize,
    /// Which line of that.
    line: usize,
}

impl Piece<'_> {
    fn is_part(&self) -> bool {
        self.number > 0 || !self.is_last
    }

    fn time(&self) -> String {
        format!("2026-11-23T17:21:01.91221{:04}Z", self.number)
    }

    fn pod(&self) -> Json {
        let name = ["kube-apiserver-1", "shop-7"][self.stream / 2];
        json!({"pod_name": name, "container_name": "c", "labels": {"a": "b"}})
    }

    /// stdout or stderr.
    fn output(&self) -> &'static str {
        ["stdout", "stderr"][self.stream % 2]
    }
}

/// How shippers pass on a part.
pub type Shipper = fn(&Piece<'_>) -> Json;

pub const SHIPPERS: [Shipper; 9] = [
    fluentd,
    fluent_bit,
    docker,
    journald,
    journald_in_lower_case,
    vector,
    journald_unnumbered,
    docker_unnumbered,
    journald_of_service,
];

/// From there on they mark all parts but the last.
pub const UNMARKED_LAST: usize = 5;

pub fn fluentd(piece: &Piece<'_>) -> Json {
    let tag = if piece.is_last { "F" } else { "P" };
    json!({"time": piece.time(), "stream": piece.output(), "logtag": tag, "message": piece.text,
        "date": 1.5 + piece.number as f64, "kubernetes": piece.pod()})
}

fn fluent_bit(piece: &Piece<'_>) -> Json {
    let tag = if piece.is_last { "F" } else { "P" };
    json!({"time": piece.time(), "stream": piece.output(), "_p": tag, "log": piece.text, "kubernetes": piece.pod()})
}

/// By its log driver for Fluentd.
fn docker(piece: &Piece<'_>) -> Json {
    let mut record = json!({"container_id": format!("{:064}", piece.stream), "container_name": "/c", "log": piece.text,
        "source": piece.output(), "time": piece.time()});
    if piece.is_part() {
        record["partial_message"] = "true".into();
        record["partial_id"] = format!("{}-{}", piece.stream, piece.line).into();
        record["partial_ordinal"] = (piece.number + 1).to_string().into();
        record["partial_last"] = piece.is_last.to_string().into();
    }
    record
}

/// The last part bears no mark.
pub fn vector(piece: &Piece<'_>) -> Json {
    let mut record = json!({"message": piece.text, "file": format!("/var/log/pods/{}/0.log", piece.stream),
        "stream": piece.output(), "source_type": "kubernetes_logs", "timestamp": piece.time()});
    if !piece.is_last {
        record["_partial"] = true.into();
    }
    record
}

/// By Docker's log driver: <https://github.com/moby/moby/blob/v28.0.0/daemon/logger/journald/journald.go>. The last part bears no
/// `CONTAINER_PARTIAL_MESSAGE`.
fn journald(piece: &Piece<'_>) -> Json {
    let mut record = journald_unnumbered(piece);
    record["SYSLOG_TIMESTAMP"] = piece.time().into();
    if piece.is_part() {
        record["CONTAINER_PARTIAL_ID"] = format!("{}-{}", piece.stream, piece.line).into();
        record["CONTAINER_PARTIAL_ORDINAL"] = (piece.number + 1).to_string().into();
        record["CONTAINER_PARTIAL_LAST"] = piece.is_last.to_string().into();
    }
    record
}

/// As Fluentd has it with `fields_lowercase`.
fn journald_in_lower_case(piece: &Piece<'_>) -> Json {
    let Json::Object(fields) = journald(piece) else {
        unreachable!("a record is an object");
    };
    let fields = fields.into_iter();
    fields
        .map(|(key, value)| (key.to_lowercase(), value))
        .collect()
}

/// As Docker's did before <https://github.com/moby/moby/commit/322c9e6866>, and conmon's does ("set to true if it's partial, but otherwise not set"):
/// <https://github.com/containers/conmon/blob/v2.1.12/src/ctr_logging.c>. Both have stderr as `PRIORITY` 3.
fn journald_unnumbered(piece: &Piece<'_>) -> Json {
    let priority = ["6", "3"][piece.stream % 2];
    let mut record = json!({"MESSAGE": piece.text, "CONTAINER_ID": format!("c{:011}", piece.stream / 2), "PRIORITY": priority,
        "__CURSOR": format!("s={}", piece.number), "__REALTIME_TIMESTAMP": format!("179545446891{:04}", 0),
        "_SOURCE_REALTIME_TIMESTAMP": format!("179545446891{:04}", piece.number)});
    if !piece.is_last {
        record["CONTAINER_PARTIAL_MESSAGE"] = "true".into();
    }
    record
}

/// By journald itself, of what a service writes: systemd's `src/journald/journald-stream.c`.
pub fn journald_of_service(piece: &Piece<'_>) -> Json {
    let mut record = json!({"MESSAGE": piece.text, "_STREAM_ID": format!("c{:031x}", piece.stream), "PRIORITY": "6", "_TRANSPORT": "stdout",
        "_SYSTEMD_UNIT": "k3s.service", "__CURSOR": format!("s={}", piece.number)});
    if !piece.is_last {
        record["_LINE_BREAK"] = "line-max".into();
    }
    record
}

/// By Docker's driver for Fluentd before 18.06, which had but this mark: <https://github.com/moby/moby/commit/3ed3b33e55>.
fn docker_unnumbered(piece: &Piece<'_>) -> Json {
    let mut record = json!({"container_id": format!("c{:063}", piece.stream / 2), "container_name": "/c", "log": piece.text,
        "source": piece.output(), "time": piece.time()});
    if !piece.is_last {
        record["partial_message"] = "true".into();
    }
    record
}

/// A line of CRI as it is, by a shipper that was not told what it reads.
pub fn whole_lines(piece: &Piece<'_>) -> Json {
    let tag = if piece.is_last { "F" } else { "P" };
    let line = format!("{} {} {tag} {}", piece.time(), piece.output(), piece.text);
    json!({"log": line, "date": 1.5 + piece.number as f64, "kubernetes": piece.pod()})
}

/// Docker's file, read by a shipper: no more tells of a part than that it is long and has no newline at its end.
pub fn docker_file(piece: &Piece<'_>) -> Json {
    let end = if piece.is_last { "\n" } else { "" };
    json!({"log": format!("{}{end}", piece.text), "stream": piece.output(), "time": piece.time(),
        "kubernetes": piece.pod()})
}

/// How records are sent together.
pub type Form = fn(&[Json]) -> (Shape, Vec<u8>);

pub const FORMS: [Form; 9] = [
    lines,
    log_first,
    array,
    pretty,
    concatenated,
    forward,
    forward_at_length,
    push_events,
    push_events_at_length,
];

pub fn lines(records: &[Json]) -> (Shape, Vec<u8>) {
    let lines = records.iter().map(|record| format!("{record}\n"));
    (Shape::Lines, lines.collect::<String>().into_bytes())
}

/// In the order in which Docker, and others that come from there, have their fields.
pub fn log_first(records: &[Json]) -> (Shape, Vec<u8>) {
    let line = |record: &Json| {
        let mut fields = Vec::from_iter(record.as_object().expect("an object"));
        let rank = |key: &str| {
            ["log", "stream", "time"]
                .iter()
                .position(|first| *first == key)
        };
        fields.sort_by_key(|(key, _)| rank(key).unwrap_or(3));
        let fields = fields.into_iter();
        let fields: Vec<_> = fields
            .map(|(key, value)| format!("{}:{value}", json!(key)))
            .collect();
        format!("{{{}}}\n", fields.join(","))
    };
    (
        Shape::Lines,
        records.iter().map(line).collect::<String>().into_bytes(),
    )
}

fn array(records: &[Json]) -> (Shape, Vec<u8>) {
    (Shape::Lines, Json::from(records).to_string().into_bytes())
}

fn pretty(records: &[Json]) -> (Shape, Vec<u8>) {
    let text = serde_json::to_string_pretty(records).expect("it is JSON");
    (Shape::Value, text.into_bytes())
}

fn concatenated(records: &[Json]) -> (Shape, Vec<u8>) {
    let values = records.iter().map(Json::to_string);
    (Shape::Value, values.collect::<String>().into_bytes())
}

pub fn forward(records: &[Json]) -> (Shape, Vec<u8>) {
    entries(records, 0)
}

/// With lengths and numbers longer than need be.
fn forward_at_length(records: &[Json]) -> (Shape, Vec<u8>) {
    entries(records, 3)
}

fn entries(records: &[Json], longer: u8) -> (Shape, Vec<u8>) {
    let entry = |record| {
        let time = msgpack::Value::time(1_795_455_390, 0);
        let entry = msgpack::Value::Array(vec![time, msgpack::Value::from(record)]);
        entry.encoded(&mut std::iter::repeat(longer))
    };
    (Shape::MessagePack, records.iter().flat_map(entry).collect())
}

fn push_events(records: &[Json]) -> (Shape, Vec<u8>) {
    events(records, 0)
}

fn push_events_at_length(records: &[Json]) -> (Shape, Vec<u8>) {
    events(records, 2)
}

fn events(records: &[Json], longer: u8) -> (Shape, Vec<u8>) {
    let event = |record| {
        let value = protobuf::Value::from(&msgpack::Value::from(record));
        value.entry(&mut std::iter::repeat(longer))
    };
    (Shape::PushEvents, records.iter().flat_map(event).collect())
}

/// `text` as its shipper would pass it on, cut at `cuts`.
pub fn shipped(
    shipper: Shipper,
    text: &str,
    cuts: &[usize],
    (stream, line): (usize, usize),
) -> Vec<Json> {
    let mut bounds = [&[0, text.len()], cuts].concat();
    bounds.sort_unstable();
    bounds.dedup();
    let count = bounds.len() - 1;
    let pieces = bounds.windows(2).enumerate().map(|(number, bound)| Piece {
        text: &text[bound[0]..bound[1]],
        number,
        is_last: number + 1 == count,
        stream,
        line,
    });
    pieces.map(|piece| shipper(&piece)).collect()
}
