//! What is fed: the recorded attack, and hits without end that look like it.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use flate2::read::MultiGzDecoder;
use serde_json::{Value, json};

/// Lines to feed, and which of them must be counted.
pub struct Stream {
    recorded: Vec<String>,
    template: Value,
    next: u64,
}

/// What tells one request from another.
pub type Request = (String, String, String, String);

/// What the auditIDs of the hits begin with that were never there before.
pub const HIT: &str = "00000000-0000-4000-8000-";

impl Stream {
    pub fn new() -> Self {
        let recorded = lines("tests/data/metadata/audit.ndjson.gz");
        let is_token_use = |line: &&String| {
            line.contains("\"stage\":\"ResponseComplete\"")
                && line.contains("\"username\":\"system:serviceaccount:honeypot:backup-sa\"")
                && line.contains("credential-id")
        };
        let template = recorded.iter().find(is_token_use).expect("a token is used");
        Self {
            template: serde_json::from_str(template).expect("a line is JSON"),
            recorded,
            next: 0,
        }
    }

    pub fn recorded(&self) -> &[String] {
        &self.recorded
    }

    /// A hit that was never there before, of one of a few dozen tokens and addresses.
    pub fn hit(&mut self) -> String {
        self.next += 1;
        let number = self.next;
        let mut event = self.template.clone();
        event["auditID"] = format!("{HIT}{number:012x}").into();
        event["sourceIPs"] = json!([format!("198.51.100.{}", number % 7)]);
        event["user"]["extra"]["authentication.kubernetes.io/credential-id"] =
            json!([format!("JTI=00000000-0000-4000-9000-{:012x}", number % 5)]);
        event.to_string()
    }

    /// A line that touches no decoy and was never there before, as no two events of an API server are the same: a file
    /// is known by how it begins.
    pub fn clean(&mut self) -> String {
        self.next += 1;
        let mut clean = self
            .recorded
            .iter()
            .filter(|line| !line.contains("honeypot"));
        let line = clean.nth(self.next as usize % 100).expect("there are some");
        let mut event: Value = serde_json::from_str(line).expect("a line is JSON");
        event["auditID"] = format!("00000000-0000-4000-a000-{:012x}", self.next).into();
        event.to_string()
    }
}

/// The recorded requests that are hits.
pub fn labelled_hits() -> BTreeSet<Request> {
    let labels = std::fs::read_to_string(path("tests/data/metadata/labels.ndjson"));
    let labels = labels.expect("the labels are there");
    let labels = labels.lines().map(serde_json::from_str);
    labels
        .map(|label| label.expect("a label is JSON"))
        .filter(|label: &Value| label["class"] == "detect")
        .map(|label| {
            let text = |key: &str| label[key].as_str().unwrap_or_default().to_owned();
            let received = text("requestReceivedTimestamp");
            (text("auditID"), received, text("user"), text("verb"))
        })
        .collect()
}

fn lines(name: &str) -> Vec<String> {
    let file = File::open(path(name)).expect("the recording is there");
    let lines = BufReader::new(MultiGzDecoder::new(file)).lines();
    lines.map(|line| line.expect("it is text")).collect()
}

fn path(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}
