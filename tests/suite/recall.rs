//! Every labelled request of the recordings is found, with its technique and class, and
//! nothing else is.

use std::collections::{BTreeMap, BTreeSet};

use crate::recordings::{Key, Label, decoy, labels, recording};
use baitline::{
    detect::{Class, Config, Detection, Detector, Technique},
    source::{Block, Shape},
};
use jiff::Timestamp;
use serde_json::{Map, Value};

fn detect(bytes: &[u8], whole_namespace: bool) -> Vec<Detection> {
    let decoys = [decoy("honeypot", "backup-sa", whole_namespace)];
    let mut detector = Detector::new(&Config::default(), &decoys, None, "test".into())
        .expect("the globs are globs");
    let mut detections = Vec::new();
    let block = Block {
        bytes,
        shape: Shape::Lines,
        header: None,
        first_part: None,
        provenance: &|_| "0".to_owned().into(),
    };
    detector.scan(&block, Timestamp::UNIX_EPOCH, &mut detections);
    detections
}

/// What each request is: of its events the first technique and the strongest class.
fn requests(detections: &[Detection]) -> BTreeMap<Key, (Technique, Class)> {
    let mut requests = BTreeMap::new();
    for detection in detections {
        let found = (detection.technique, detection.class);
        requests
            .entry(Key::of(detection))
            .and_modify(|(technique, class): &mut (Technique, Class)| {
                *technique = found.0.min(*technique);
                *class = found.1.max(*class);
            })
            .or_insert(found);
    }
    requests
}

pub fn expected(
    labels: &[Label],
    is_listed: impl Fn(&Key) -> bool,
) -> BTreeMap<Key, (Technique, Class)> {
    labels
        .iter()
        .filter(|label| is_listed(&label.key))
        .filter_map(|label| Some((label.key.clone(), (label.technique?, label.class?))))
        .collect()
}

pub fn compare(
    found: &BTreeMap<Key, (Technique, Class)>,
    wanted: &BTreeMap<Key, (Technique, Class)>,
) {
    for (key, what) in wanted {
        assert_eq!(found.get(key), Some(what), "{key:?}");
    }
    for (key, what) in found {
        assert!(wanted.contains_key(key), "{key:?} is no hit: {what:?}");
    }
}

#[test]
fn the_log_backends_recordings() {
    for folder in ["metadata", "request-response"] {
        for (file, whole_namespace) in [("labels.ndjson", true), ("labels-narrow.ndjson", false)] {
            let found = detect(&recording(folder, "audit.ndjson.gz"), whole_namespace);
            let labels = labels(folder, file);
            assert!(labels.len() > 150);
            compare(&requests(&found), &expected(&labels, |_| true));
        }
    }
}

/// The requests in a recording of EventLists, whose last batch may be missing.
pub fn keys_of_lists(bytes: &[u8]) -> BTreeSet<Key> {
    let lines = bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    let lists = lines.map(|line| serde_json::from_slice::<Value>(line).expect("a list is JSON"));
    lists
        .flat_map(|list| list["items"].as_array().cloned().unwrap_or_default())
        .map(|event| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            Key {
                audit_id: text(&event["auditID"]),
                received: text(&event["requestReceivedTimestamp"]),
                user: text(&event["user"]["username"]),
                verb: text(&event["verb"]),
            }
        })
        .collect()
}

#[test]
fn the_webhook_backends_recordings() {
    for folder in ["metadata", "request-response"] {
        let bytes = recording(folder, "eventlist.ndjson.gz");
        let recorded = keys_of_lists(&bytes);
        let found = detect(&bytes, true);
        let wanted = expected(&labels(folder, "labels.ndjson"), |key| {
            recorded.contains(key)
        });
        assert!(wanted.len() > 150);
        compare(&requests(&found), &wanted);
    }
}

/// As Fluentd's plugins flatten hashes: arrays stay as they are, and an empty hash vanishes.
fn flatten(path: &str, joint: &str, value: Value, out: &mut Map<String, Value>) {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .for_each(|(key, inner)| flatten(&format!("{path}{joint}{key}"), joint, inner, out)),
        value => {
            out.insert(path.to_owned(), value);
        }
    }
}

#[test]
fn the_log_backends_recordings_with_their_keys_joined() {
    for folder in ["metadata", "request-response"] {
        let recording = recording(folder, "audit.ndjson.gz");
        let bare = detect(&recording, true);
        for (joint, prefix) in [("_", ""), ("_", "kube_"), ("__", "audit.")] {
            let mut lines = Vec::new();
            for line in recording
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty())
            {
                let event: Map<_, _> = serde_json::from_slice(line).expect("an event is JSON");
                let mut fields = Map::new();
                for (key, value) in event {
                    flatten(&format!("{prefix}{key}"), joint, value, &mut fields);
                }
                serde_json::to_writer(&mut lines, &fields).expect("memory takes all");
                lines.push(b'\n');
            }
            let found = detect(&lines, true);
            compare(&requests(&found), &requests(&bare));
        }
    }
}
