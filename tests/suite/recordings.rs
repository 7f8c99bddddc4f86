//! The recordings under `tests/data/` and their labels.

use std::{fs, io::Read, path::PathBuf, sync::Arc};

use baitline::{
    config::Decoy,
    detect::{Class, Detection, Severity, Technique},
};
use serde_json::Value;

/// What tells one recorded request from another: an auditID alone does not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub audit_id: String,
    pub received: String,
    pub user: String,
    pub verb: String,
}

impl Key {
    pub fn of(detection: &Detection) -> Self {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        Self {
            audit_id: text(detection.request.audit_id.as_deref()),
            received: baitline::audit::wire_time(detection.time),
            user: text(detection.actor.username.as_deref()),
            verb: text(detection.request.verb.as_deref()),
        }
    }
}

pub struct Label {
    pub key: Key,
    pub technique: Option<Technique>,
    /// `None` for requests that are no hits.
    pub class: Option<Class>,
}

pub fn path(folder: &str, file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(folder)
        .join(file)
}

/// A recording, decompressed.
pub fn recording(folder: &str, file: &str) -> Vec<u8> {
    let bytes = fs::read(path(folder, file)).expect("the recording is there");
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes.as_slice())
        .read_to_end(&mut plain)
        .expect("the recording is gzip");
    plain
}

pub fn labels(folder: &str, file: &str) -> Vec<Label> {
    let text = fs::read_to_string(path(folder, file)).expect("the labels are there");
    text.lines()
        .map(|line| {
            let label: Value = serde_json::from_str(line).expect("a label is JSON");
            let text = |key: &str| label[key].as_str().unwrap_or_default().to_owned();
            Label {
                key: Key {
                    audit_id: text("auditID"),
                    received: text("requestReceivedTimestamp"),
                    user: text("user"),
                    verb: text("verb"),
                },
                technique: Technique::from_name(&text("technique")),
                class: Class::from_name(&text("class")),
            }
        })
        .collect()
}

/// A decoy as the recordings have it, by another name if need be.
pub fn decoy(namespace: &str, service_account: &str, whole_namespace: bool) -> Decoy {
    Decoy {
        namespace: namespace.to_owned(),
        service_account: service_account.to_owned(),
        secret: Some(format!("{service_account}-token")),
        pod: Some("file-backup".to_owned()),
        whole_namespace,
        severity: Severity::Low,
        labels: Arc::default(),
        expected: Vec::new(),
    }
}
