//! Audit events to feed the program with.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::recordings::recording;

/// The log backend's recording at level Metadata.
pub static METADATA: LazyLock<Vec<u8>> = LazyLock::new(|| recording("metadata", "audit.ndjson.gz"));

/// The log backend's recording at level RequestResponse, with its tokens and Secrets.
pub static BODIES: LazyLock<Vec<u8>> =
    LazyLock::new(|| recording("request-response", "audit.ndjson.gz"));

/// The log backend's recording in `folder`.
pub fn log(folder: &str) -> &'static [u8] {
    match folder {
        "metadata" => &METADATA,
        _ => &BODIES,
    }
}

/// The lines of `log` without their newlines.
pub fn lines(log: &[u8]) -> Vec<&[u8]> {
    log.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .collect()
}

/// `lines` with a newline behind each.
pub fn joined<L: AsRef<[u8]>>(lines: impl IntoIterator<Item = L>) -> Vec<u8> {
    let mut log = Vec::new();
    for line in lines {
        log.extend_from_slice(line.as_ref());
        log.push(b'\n');
    }
    log
}

/// A recorded line that holds all of `texts`.
pub fn line_with(log: &'static [u8], texts: &[&str]) -> &'static [u8] {
    let holds = |line: &[u8]| {
        texts
            .iter()
            .all(|text| memchr::memmem::find(line, text.as_bytes()).is_some())
    };
    lines(log)
        .into_iter()
        .find(|line| holds(line))
        .expect("there is such a line")
}

/// The use of the decoy's token, by request number and address, with the fields of `changes` in place of its own.
pub fn token_use(number: u32, source_ip: &str, changes: Value) -> Value {
    let mut event = json!({
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata",
        "auditID": format!("request-{number}"), "stage": "ResponseComplete",
        "requestURI": "/api/v1/namespaces", "verb": "list",
        "user": {"username": "system:serviceaccount:honeypot:backup-sa"}, "sourceIPs": [source_ip],
        "userAgent": "curl/8.5.0", "objectRef": {"resource": "namespaces"},
        "responseStatus": {"code": 403}, "requestReceivedTimestamp": "2026-11-23T17:21:08.912184Z",
        "stageTimestamp": "2026-11-23T17:21:08.914002Z",
    });
    let fields = event.as_object_mut().expect("an object");
    fields.extend(changes.as_object().expect("an object").clone());
    event
}

/// Bytes that look like nothing, the same in every run.
pub fn noise(length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(20_261_123);
    (0..length).map(|_| random.u8(..)).collect()
}
