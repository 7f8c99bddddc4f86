//! One object a line, for machines: the public schema, version 1.
//!
//! [`alert`] and [`detection`] write a line, and [`read()`] is their inverse.
//!
//! Names and order are an interface: adding at the end is free, changing is a new version.
//! What is unknown is null. Characters that could act on a terminal are written as
//! `\uXXXX`, which means the same value and makes a line safe to look at.

use std::{collections::BTreeMap, io, sync::Arc};

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::ser::Formatter;

mod read;
mod read_in_part;
#[cfg(test)]
mod tests;

pub use read::{Line, ReadError, read, read_found};
pub use read_in_part::read_in_part;

pub(crate) use self::read::SCHEMA;
use self::read::Type;
use super::neutralise::is_hidden;
use crate::{
    audit::{AlertId, DetectionId, IncidentId, IncidentKey, RequestId, wire_time},
    dedupe::{Alert, AlertKind, Component, Flood, RequestCount, TrailEntry},
    detect::{Actor, Class, Detection, Origin, Request, Severity, Technique, Token, Tool},
};

/// How each line begins.
pub(crate) const BEGINNINGS: [&[u8]; 2] = [
    br#"{"type":"alert","schema":"#,
    br#"{"type":"detection","schema":"#,
];

/// Appends `alert` and a newline to `out`.
pub fn alert(alert: &Alert, out: &mut Vec<u8>) {
    line(&AlertLine::from(alert), out);
}

/// Appends `detection` and a newline to `out`.
pub fn detection(detection: &Detection, out: &mut Vec<u8>) {
    line(&DetectionLine::from(detection), out);
}

/// Appends `value` and a newline to `out`: plain data, in which all keys are strings.
pub(crate) fn line(value: &impl Serialize, out: &mut Vec<u8>) {
    let mut serializer = serde_json::Serializer::with_formatter(&mut *out, Shown);
    // A Vec takes every write, and no map here has a key that is not a string.
    value
        .serialize(&mut serializer)
        .expect("plain data is written to memory");
    out.push(b'\n');
}

#[derive(Serialize)]
struct DetectionLine<'a> {
    r#type: Type,
    schema: u32,
    detection_id: DetectionId,
    request_id: RequestId,
    incident_key: IncidentKey,
    class: Class,
    technique: Technique,
    attack: &'static [&'static str],
    severity: Severity,
    decoy: &'a Option<Arc<str>>,
    cluster: &'a Option<Arc<str>>,
    time: Time,
    stage_time: Option<Time>,
    actor: &'a Actor,
    token: &'a Token,
    source_ip: Option<&'a str>,
    claimed_ips: &'a [String],
    user_agent: &'a Option<Arc<str>>,
    tool: Tool,
    issued_credential_id: &'a Option<String>,
    request: &'a Request,
    origin: &'a Origin,
    labels: &'a BTreeMap<String, String>,
    granted: bool,
    excerpt: &'a Option<String>,
}

impl<'a> From<&'a Detection> for DetectionLine<'a> {
    fn from(detection: &'a Detection) -> Self {
        Self {
            r#type: Type::Detection,
            schema: SCHEMA,
            detection_id: detection.detection_id,
            request_id: detection.request_id,
            incident_key: detection.incident_key,
            class: detection.class,
            technique: detection.technique,
            attack: detection.technique.attack(),
            severity: detection.severity,
            decoy: &detection.decoy,
            cluster: &detection.cluster,
            time: Time(detection.time),
            stage_time: detection.stage_time.map(Time),
            actor: &detection.actor,
            token: &detection.token,
            source_ip: detection.source_ip.as_deref(),
            claimed_ips: &detection.claimed_ips,
            user_agent: &detection.user_agent,
            tool: detection.tool,
            issued_credential_id: &detection.issued_credential_id,
            request: &detection.request,
            origin: &detection.origin,
            labels: &detection.labels,
            granted: detection.granted,
            excerpt: &detection.excerpt,
        }
    }
}

#[derive(Serialize)]
struct AlertLine<'a> {
    r#type: Type,
    schema: u32,
    alert_id: AlertId,
    incident_id: IncidentId,
    incident_key: IncidentKey,
    sequence: u32,
    kind: AlertKind,
    severity: Severity,
    title: &'a str,
    decoy: &'a Option<Arc<str>>,
    cluster: &'a Option<Arc<str>>,
    token: &'a Option<Token>,
    source_ip: &'a Option<String>,
    claimed_ips: &'a [String],
    techniques: &'a [Technique],
    count: u64,
    total: u64,
    granted: bool,
    first_seen: Time,
    last_seen: Time,
    actors: &'a [String],
    user_agents: &'a [String],
    requests: &'a [RequestCount],
    trail: Vec<TrailLine<'a>>,
    flood: &'a Option<Flood>,
    labels: &'a BTreeMap<String, String>,
    impersonated: &'a [String],
    pod: &'a Option<String>,
    node: &'a Option<String>,
    tools: &'a [Tool],
    late_secs: Option<u64>,
    excerpt: &'a Option<String>,
    component: &'a Option<Component>,
}

impl<'a> From<&'a Alert> for AlertLine<'a> {
    fn from(alert: &'a Alert) -> Self {
        Self {
            r#type: Type::Alert,
            schema: SCHEMA,
            alert_id: alert.alert_id,
            incident_id: alert.incident_id,
            incident_key: alert.incident_key,
            sequence: alert.sequence,
            kind: alert.kind,
            severity: alert.severity,
            title: &alert.title,
            decoy: &alert.decoy,
            cluster: &alert.cluster,
            token: &alert.token,
            source_ip: &alert.source_ip,
            claimed_ips: &alert.claimed_ips,
            techniques: &alert.techniques,
            count: alert.count,
            total: alert.total,
            granted: alert.granted,
            first_seen: Time(alert.first_seen),
            last_seen: Time(alert.last_seen),
            actors: &alert.actors,
            user_agents: &alert.user_agents,
            requests: &alert.requests,
            trail: alert.trail.iter().map(TrailLine::from).collect(),
            flood: &alert.flood,
            labels: &alert.labels,
            impersonated: &alert.impersonated,
            pod: &alert.pod,
            node: &alert.node,
            tools: &alert.tools,
            late_secs: alert.late_secs,
            excerpt: &alert.excerpt,
            component: &alert.component,
        }
    }
}

#[derive(Serialize)]
struct TrailLine<'a> {
    time: Time,
    technique: Technique,
    class: Class,
    actor: &'a Option<String>,
    source_ip: &'a Option<String>,
    summary: &'a str,
}

impl<'a> From<&'a TrailEntry> for TrailLine<'a> {
    fn from(entry: &'a TrailEntry) -> Self {
        Self {
            time: Time(entry.time),
            technique: entry.technique,
            class: entry.class,
            actor: &entry.actor,
            source_ip: &entry.source_ip,
            summary: &entry.summary,
        }
    }
}

/// A time as [`wire_time`] writes it.
struct Time(Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&wire_time(self.0))
    }
}

/// Writes JSON without white space, and hidden characters as `\uXXXX`. (serde_json
/// itself escapes C0 alone.)
struct Shown;

impl Formatter for Shown {
    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        if fragment.bytes().all(|byte| byte < 0x7f) {
            return writer.write_all(fragment.as_bytes());
        }
        let mut plain = 0;
        for (index, char) in fragment.char_indices().filter(|&(_, char)| is_hidden(char)) {
            writer.write_all(&fragment.as_bytes()[plain..index])?;
            for unit in char.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            plain = index + char.len_utf8();
        }
        writer.write_all(&fragment.as_bytes()[plain..])
    }
}
