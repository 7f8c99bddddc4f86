//! What came out as JSON lines, and what must hold of it.

use std::collections::{BTreeMap, BTreeSet};

use baitline::detect::{Class, Technique};
use serde_json::Value;

use crate::recordings::Key;

/// The messages of one run, each kind in its order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    pub detections: Vec<Value>,
    pub alerts: Vec<Value>,
}

impl Told {
    pub fn read(lines: &str) -> Self {
        let mut told = Self::default();
        for line in lines.lines() {
            let message: Value = serde_json::from_str(line).expect("a line is JSON");
            match text(&message["type"]).as_str() {
                "detection" => told.detections.push(message),
                "alert" => told.alerts.push(message),
                other => panic!("a line of type {other:?}"),
            }
        }
        told
    }

    /// What each request is: of its events the first technique and the strongest class.
    pub fn requests(&self) -> BTreeMap<Key, (Technique, Class)> {
        let mut requests = BTreeMap::new();
        for detection in &self.detections {
            let found = (technique(detection), class(detection));
            requests
                .entry(key(detection))
                .and_modify(|(technique, class): &mut (Technique, Class)| {
                    *technique = found.0.min(*technique);
                    *class = found.1.max(*class);
                })
                .or_insert(found);
        }
        requests
    }

    /// How many requests were hits: each counts once for each decoy.
    pub fn hits(&self) -> u64 {
        let hits: BTreeSet<_> = self
            .detections
            .iter()
            .filter(|detection| class(detection) == Class::Detect)
            .map(|detection| (text(&detection["request_id"]), text(&detection["decoy"])))
            .collect();
        hits.len() as u64
    }

    /// What the alerts count in all.
    pub fn count(&self) -> u64 {
        self.alerts
            .iter()
            .map(|alert| number(&alert["count"]))
            .sum()
    }

    /// What the alerts count of each incident key.
    pub fn counts_by_key(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for alert in &self.alerts {
            *counts.entry(text(&alert["incident_key"])).or_default() += number(&alert["count"]);
        }
        counts
    }

    /// The ids of detections with what they say: the same whoever looked and in what order.
    pub fn found(&self) -> BTreeSet<(String, String, String)> {
        let word = |detection: &Value, key: &str| text(&detection[key]);
        self.detections
            .iter()
            .map(|detection| {
                (
                    word(detection, "detection_id"),
                    word(detection, "technique"),
                    word(detection, "class"),
                )
            })
            .collect()
    }

    pub fn of_technique(&self, technique: &str) -> Vec<&Value> {
        self.detections
            .iter()
            .filter(|detection| detection["technique"] == technique)
            .collect()
    }

    /// Alerts conserve hits, and each incident's are numbered without a gap.
    pub fn check_alerts(&self) {
        let mut incidents: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        let mut ids = BTreeSet::new();
        for alert in &self.alerts {
            let (sequence, total) = incidents.entry(text(&alert["incident_id"])).or_default();
            *sequence += 1;
            *total += number(&alert["count"]);
            assert_eq!(number(&alert["sequence"]), *sequence, "{alert}");
            assert_eq!(number(&alert["total"]), *total, "{alert}");
            assert!(ids.insert(text(&alert["alert_id"])), "told twice: {alert}");
        }
        assert_eq!(self.count(), self.hits());
    }
}

fn key(detection: &Value) -> Key {
    Key {
        audit_id: text(&detection["request"]["audit_id"]),
        received: text(&detection["time"]),
        user: text(&detection["actor"]["username"]),
        verb: text(&detection["request"]["verb"]),
    }
}

fn technique(detection: &Value) -> Technique {
    Technique::from_name(&text(&detection["technique"])).expect("a technique")
}

fn class(detection: &Value) -> Class {
    Class::from_name(&text(&detection["class"])).expect("a class")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}
