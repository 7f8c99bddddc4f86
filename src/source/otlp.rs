//! The logs of OpenTelemetry, as the Collector and the SDKs send them in protobuf: written as JSON, a line for each log record.
//!
//! | message | fields |
//! | --- | --- |
//! | `ExportLogsServiceRequest` | `resource_logs = 1`, many |
//! | `ResourceLogs` | `resource = 1`; `scope_logs = 2`, many; `schema_url = 3` |
//! | `Resource` | `attributes = 1`, many; `dropped_attributes_count = 2`; `entity_refs = 3` |
//! | `ScopeLogs` | `scope = 1`; `log_records = 2`, many; `schema_url = 3` |
//! | `LogRecord` | `time_unix_nano = 1`; `body = 5`; `attributes = 6`, many; of the rest nothing tells of an event |
//!
//! A line is `{"resource":{"attributes":[…]},"timeUnixNano":"…","body":…,"attributes":{…}}`, with the names of OTLP's own JSON, but values
//! as plain JSON has them. The resource is the record's own and no other's. What cannot be read, or is not known, is `undecodable` if it
//! names a decoy.

use std::io::Write;

use super::{
    Shape,
    entries::{BLOCK_BYTES, swells},
};
use crate::record::{
    framing::parts,
    protobuf::{
        Fault, Field, Value, fields, key_and_value, whole_fields, write_any_value, write_attribute,
        write_broken, write_torn_texts,
    },
    rewrite::lossy_text,
};

/// A resource that is so many times longer than a record is not written beside it: an event is longer than most of them are.
const MAX_RESOURCE: usize = 4;

/// Bytes of the ids of a span and what it belongs to, at most.
const MAX_ID_BYTES: usize = 16;

/// Whether `bytes` begin as a request does: with what comes of one resource, of which the first attribute is a pair, and of a scope, or,
/// if there is no resource, with that of one scope. No text does, and no log of Vector's, which has pairs there, and nothing behind them.
pub(crate) fn begins_export(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    let logs = loop {
        match first(rest) {
            Some((1, [], behind)) => rest = behind,
            Some((1, logs, _)) => break logs,
            _ => return false,
        }
    };
    match first(logs) {
        Some((1, resource, behind)) => {
            begins_resource(resource) && matches!(first(behind), Some((2 | 3, _, _)))
        }
        Some((2, scope, _)) => scope.is_empty() || matches!(first(scope), Some((1 | 2, _, _))),
        _ => false,
    }
}

fn begins_resource(resource: &[u8]) -> bool {
    match first(resource) {
        Some((1, attribute, _)) => begins_pair(attribute),
        Some((3, _, _)) => true,
        _ => resource.is_empty(),
    }
}

/// The number of the field at the beginning of `bytes`, a message or text, what is there of it, and what follows.
fn first(bytes: &[u8]) -> Option<(u32, &[u8], &[u8])> {
    let read = Field::read(bytes).ok();
    let (field, length) = read.or_else(|| Some((Field::cut_off(bytes)?, bytes.len())))?;
    match field.value {
        Value::Bytes(held) => Some((field.number, held, &bytes[length..])),
        _ => None,
    }
}

/// Whether a key stands there, and nothing but a value behind it.
fn begins_pair(attribute: &[u8]) -> bool {
    match first(attribute) {
        Some((1, _, [])) => true,
        Some((1, _, behind)) => matches!(first(behind), Some((2, _, []))),
        _ => false,
    }
}

/// How a request is searched.
pub(crate) struct Export<'s> {
    /// Longer records are searched for decoys and reported, but not decoded.
    pub max_line_bytes: usize,
    /// Searches lines of JSON; true if anything was found.
    pub take: &'s mut dyn FnMut(&[u8], Shape) -> bool,
}

impl Export<'_> {
    /// Searches `bytes`, which [begin as a request](begins_export).
    ///
    /// # Errors
    /// If not all of them can be read: what cannot be was searched as it is, and if nothing was found, all of them once more, since
    /// what belongs together may have come apart.
    pub(crate) fn search(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let mut lines = Lines {
            json: Vec::new(),
            fault: None,
            found: false,
            export: self,
        };
        lines.each(bytes, &mut |lines, number, value| match (number, value) {
            (1, Value::Bytes(logs)) => lines.resource_logs(logs),
            (_, value) => lines.misplaced(value),
        });
        lines.flush();
        let Some(fault) = lines.fault else {
            return Ok(());
        };
        if !lines.found {
            lines.broken(bytes);
            lines.flush();
        }
        Err(fault)
    }
}

/// Lines that are put together.
struct Lines<'e, 's> {
    json: Vec<u8>,
    /// The first.
    fault: Option<Fault>,
    found: bool,
    export: &'e mut Export<'s>,
}

impl Lines<'_, '_> {
    /// Tells `say` the fields of `message`, and searches what is none.
    fn each<'b>(&mut self, message: &'b [u8], say: &mut dyn FnMut(&mut Self, u32, Value<'b>)) {
        let read = fields(message, &mut |number, value| say(self, number, value));
        if let Err((fault, rest)) = read {
            self.fault.get_or_insert(fault);
            self.broken(rest);
        }
    }

    fn resource_logs(&mut self, logs: &[u8]) {
        let (mut resources, mut has_scopes, mut resource) = (0, false, Vec::new());
        // What is wrong is seen below.
        let _ = fields(logs, &mut |number, value| match (number, value) {
            (1, Value::Bytes(told)) => {
                resources += 1;
                resource = resource_as_json(told);
            }
            (2, _) => has_scopes = true,
            _ => {}
        });
        // What would be written beside no record is none, and nobody can say which of two is.
        if resources > 1 || !has_scopes {
            resource.clear();
        }
        self.each(logs, &mut |lines, number, value| match (number, value) {
            (1, Value::Bytes(_)) if !resource.is_empty() => {}
            (2, Value::Bytes(logs)) => lines.scope_logs(&resource, logs),
            (3, Value::Bytes(url)) if is_text(url) => {}
            (_, value) => lines.misplaced(value),
        });
    }

    fn scope_logs(&mut self, resource: &[u8], logs: &[u8]) {
        self.each(logs, &mut |lines, number, value| match (number, value) {
            (1, Value::Bytes(scope)) => lines.scope(scope),
            (2, Value::Bytes(record)) => lines.record(resource, record),
            (3, Value::Bytes(url)) if is_text(url) => {}
            (_, value) => lines.misplaced(value),
        });
    }

    /// Its name and its version are those of a program; who gives it attributes may give it an event.
    fn scope(&mut self, scope: &[u8]) {
        self.each(scope, &mut |lines, number, value| match (number, value) {
            (1 | 2, Value::Bytes(text)) if is_text(text) => {}
            (_, Value::Bytes(bytes)) => lines.broken(bytes),
            _ => {}
        });
    }

    fn record(&mut self, resource: &[u8], record: &[u8]) {
        if record.len() > self.export.max_line_bytes || swells(record) {
            return self.oversized(record);
        }
        let start = self.json.len();
        let resource = match resource.len() <= MAX_RESOURCE * record.len() {
            true => resource,
            false => b"",
        };
        match write_record(resource, record, &mut self.json) {
            Ok(is_known) => {
                self.json.push(b'\n');
                if !is_known {
                    self.odd(start, record);
                } else if self.json.len() >= BLOCK_BYTES {
                    self.flush();
                }
            }
            Err(fault) => {
                self.fault.get_or_insert(fault);
                self.json.truncate(start);
                self.broken(record);
            }
        }
    }

    /// Searches `record`, of which not all is known and the line begins at `start`: if there is nothing in that, it may have been
    /// damaged.
    fn odd(&mut self, start: usize, record: &[u8]) {
        let line = self.json.split_off(start);
        self.flush();
        match (self.export.take)(&line, Shape::Lines) {
            true => self.found = true,
            false => self.broken(record),
        }
    }

    fn oversized(&mut self, record: &[u8]) {
        self.flush();
        let mut texts = Vec::new();
        write_torn_texts(record, &mut texts);
        for (part, shape) in parts(&texts) {
            self.found |= (self.export.take)(part, shape);
        }
    }

    /// What has no place where it stands.
    fn misplaced(&mut self, value: Value<'_>) {
        self.fault.get_or_insert(Fault::Malformed);
        if let Value::Bytes(bytes) = value {
            self.broken(bytes);
        }
    }

    /// What cannot be read: as JSON that cannot be, either.
    fn broken(&mut self, bytes: &[u8]) {
        if bytes.len() > self.export.max_line_bytes {
            return self.oversized(bytes);
        }
        if !bytes.is_empty() {
            write_broken(bytes, &mut self.json);
        }
    }

    fn flush(&mut self) {
        if !self.json.is_empty() {
            self.found |= (self.export.take)(&self.json, Shape::Lines);
            self.json.clear();
        }
    }
}

/// Whether `bytes` are a name or the like, and nothing else lies in them.
fn is_text(bytes: &[u8]) -> bool {
    !bytes.iter().any(u8::is_ascii_control)
}

/// The value of `resource` in a line; nothing if it cannot be read, or would take much more memory than it does.
fn resource_as_json(resource: &[u8]) -> Vec<u8> {
    let mut json = b"{\"attributes\":[".to_vec();
    let outcome = match swells(resource) {
        true => Err(Fault::Malformed),
        false => whole_fields(resource).try_for_each(|field| match field? {
            Field {
                number: 1,
                value: Value::Bytes(attribute),
            } => write_told(attribute, &mut json),
            Field { number: 2 | 3, .. } => Ok(()),
            _ => Err(Fault::Malformed),
        }),
    };
    if outcome.is_err() {
        return Vec::new();
    }
    json.extend_from_slice(b"]}");
    json
}

/// Appends an attribute of a resource, in the form of OTLP's own JSON: what is no text tells nothing of an origin.
fn write_told(attribute: &[u8], into: &mut Vec<u8>) -> Result<(), Fault> {
    let (key, value) = key_and_value(attribute)?;
    if !into.ends_with(b"[") {
        into.push(b',');
    }
    into.extend_from_slice(b"{\"key\":");
    lossy_text(key, into);
    into.extend_from_slice(b",\"value\":{\"stringValue\":");
    write_any_value(value, into)?;
    into.extend_from_slice(b"}}");
    Ok(())
}

/// Appends the line of `record`, without its end, and tells whether all its fields are known.
fn write_record(resource: &[u8], record: &[u8], into: &mut Vec<u8>) -> Result<bool, Fault> {
    let (mut body, mut attributes, mut is_known) = (None, b"{".to_vec(), true);
    into.push(b'{');
    if !resource.is_empty() {
        into.extend_from_slice(b"\"resource\":");
        into.extend_from_slice(resource);
        into.push(b',');
    }
    for field in whole_fields(record) {
        let Field { number, value } = field?;
        match (number, value) {
            (1, Value::Fixed64(0)) => {}
            (1, Value::Fixed64(nanoseconds)) => {
                // Memory takes all.
                let _ = write!(into, "\"timeUnixNano\":\"{nanoseconds}\",");
            }
            (5, Value::Bytes(value)) if body.is_none() => body = Some(value),
            (6, Value::Bytes(pair)) => write_attribute(pair, &mut attributes)?,
            // How grave it is, and what kind of event it is to programs that write events of their own.
            (2, Value::Varint(_)) => {}
            (3 | 12, Value::Bytes(bytes)) if is_text(bytes) => {}
            // Attributes that were dropped, flags, the span to which it belongs, and when it was observed.
            (7, Value::Varint(_)) | (8, Value::Fixed32(_)) | (11, Value::Fixed64(_)) => {}
            (9 | 10, Value::Bytes(bytes)) if bytes.len() <= MAX_ID_BYTES => {}
            _ => is_known = false,
        }
    }
    into.extend_from_slice(b"\"body\":");
    write_any_value(body.unwrap_or_default(), into)?;
    if attributes.len() > 1 {
        into.extend_from_slice(b",\"attributes\":");
        into.extend_from_slice(&attributes);
        into.push(b'}');
    }
    into.push(b'}');
    Ok(is_known)
}

#[cfg(test)]
mod tests;
