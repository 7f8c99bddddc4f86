//! What the sinks hold in the end, and what must be true of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde_json::Value;

use super::stream::Request;

/// The alerts and detections that one sink was given, repetitions dropped by id.
#[derive(Clone, Default)]
pub struct Books {
    pub alerts: BTreeMap<String, Value>,
    pub detections: BTreeMap<String, Value>,
    /// Messages that came again under an id that was there.
    pub repeats: usize,
}

impl Books {
    pub fn of_file(path: &Path) -> Self {
        Self::of_lines(&fs::read(path).unwrap_or_default(), path)
    }

    /// Of a file that a sink is at work on. Its last line may be in writing, or be half a line that a crash left there: that is mended
    /// only when the next message comes.
    pub fn so_far(path: &Path) -> Self {
        let text = fs::read(path).unwrap_or_default();
        let end = memchr::memrchr(b'\n', &text).map_or(0, |newline| newline + 1);
        Self::of_lines(&text[..end], path)
    }

    fn of_lines(text: &[u8], path: &Path) -> Self {
        let mut books = Self::default();
        for line in text
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            books.enter(line, path.to_str().unwrap_or_default());
        }
        books
    }

    /// Enters one message. The same id must always stand for the same content.
    pub fn enter(&mut self, line: &[u8], whose: &str) {
        let message: Value = serde_json::from_slice(line)
            .unwrap_or_else(|error| panic!("{whose}: {error}: {}", String::from_utf8_lossy(line)));
        let (books, id) = match message["type"].as_str() {
            Some("alert") => (&mut self.alerts, &message["alert_id"]),
            Some("detection") => (&mut self.detections, &message["detection_id"]),
            other => panic!("{whose}: a message of type {other:?}"),
        };
        let id = id.as_str().expect("an id").to_owned();
        match books.insert(id, message.clone()) {
            None => {}
            Some(before) if same(&before, &message) => self.repeats += 1,
            Some(before) => panic!("{whose}: one id, two contents:\n{before}\n{message}"),
        }
    }

    /// Numbered without a gap, each number once, and the counts add up to the total.
    pub fn check_incidents(&self, whose: &str) {
        let mut incidents: BTreeMap<&str, BTreeMap<u64, &Value>> = BTreeMap::new();
        for alert in self.alerts.values() {
            let id = alert["incident_id"].as_str().expect("an id");
            let sequence = number(&alert["sequence"]);
            let twin = incidents.entry(id).or_default().insert(sequence, alert);
            assert!(
                twin.is_none(),
                "{whose}: one sequence, two contents:\n{alert}\n{twin:?}"
            );
        }
        for alerts in incidents.values() {
            let mut total = 0;
            for (place, (sequence, alert)) in alerts.iter().enumerate() {
                assert_eq!(*sequence, place as u64 + 1, "{whose}: a gap before {alert}");
                total += number(&alert["count"]);
                assert_eq!(number(&alert["total"]), total, "{whose}: {alert}");
            }
        }
        let opened = self
            .alerts
            .values()
            .filter(|alert| alert["kind"] == "opened");
        assert_eq!(
            opened.count(),
            incidents.len(),
            "{whose}: each is opened once"
        );
    }

    /// Hits that were told.
    pub fn count(&self) -> u64 {
        self.alerts
            .values()
            .map(|alert| number(&alert["count"]))
            .sum()
    }

    /// Hits that stand in the evidence.
    pub fn hits(&self) -> BTreeSet<Request> {
        let detections = self.detections.values();
        detections
            .filter(|detection| detection["class"] == "detect")
            .map(|detection| {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                (
                    text(&detection["request"]["audit_id"]),
                    text(&detection["time"]),
                    text(&detection["actor"]["username"]),
                    text(&detection["request"]["verb"]),
                )
            })
            .collect()
    }

    /// Whether everything that was opened is closed.
    pub fn all_closed(&self) -> bool {
        let last: BTreeMap<&str, (u64, &str)> =
            self.alerts
                .values()
                .fold(BTreeMap::new(), |mut last, alert| {
                    let id = alert["incident_id"].as_str().unwrap_or_default();
                    let this = (
                        number(&alert["sequence"]),
                        alert["kind"].as_str().unwrap_or_default(),
                    );
                    let known = last.entry(id).or_insert(this);
                    *known = (*known).max(this);
                    last
                });
        last.values().all(|(_, kind)| *kind == "closed")
    }
}

/// The same message: its evidence may have been read again at another place, by another instance.
fn same(one: &Value, other: &Value) -> bool {
    let without_origin = |message: &Value| {
        let mut message = message.clone();
        message["origin"] = Value::Null;
        message
    };
    without_origin(one) == without_origin(other)
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}
