//! The recordings again, but for other names, with stages missing, in other orders and other wrappings.

use std::collections::BTreeSet;

use baitline::{
    detect::{Class, Config, Detector},
    source::{Block, Provenance, Shape},
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    harness::{decoy, watch, with_expected},
    inputs::{METADATA, joined, lines, log},
    told::Told,
};
use crate::{
    recall::{compare, expected},
    recordings,
};

const FOLDERS: [&str; 2] = ["metadata", "request-response"];

fn told(input: &[u8]) -> Told {
    let told = watch(&with_expected(decoy(true)), input).told();
    told.check_alerts();
    told
}

/// A decoy by other names than the recordings'.
struct Names {
    namespace: &'static str,
    service_account: &'static str,
    pod: &'static str,
}

impl Names {
    /// `text` in which these names stand for the recordings'; those that are nearly theirs change with them.
    fn put_into(&self, text: &str) -> String {
        text.replace("%68oneypot", &percent(self.namespace))
            .replace("%66ile-backup", &percent(self.pod))
            .replace("honeypot", self.namespace)
            .replace("backup-sa", self.service_account)
            .replace("file-backup", self.pod)
    }

    fn decoy(&self, whole_namespace: bool) -> Value {
        json!({
            "service_account": format!("{}/{}", self.namespace, self.service_account),
            "secret": format!("{}-token", self.service_account), "pod": self.pod,
            "whole_namespace": whole_namespace,
        })
    }
}

/// `name` with its first letter percent-encoded.
fn percent(name: &str) -> String {
    format!("%{:02x}{}", name.as_bytes()[0], &name[1..])
}

/// Everything that is labelled is found by `names` too.
fn check(names: &Names) {
    for (folder, file, whole_namespace) in [
        ("metadata", "labels.ndjson", true),
        ("request-response", "labels-narrow.ndjson", false),
    ] {
        let text = String::from_utf8_lossy(log(folder));
        let mut labels = recordings::labels(folder, file);
        for label in &mut labels {
            label.key.user = names.put_into(&label.key.user);
        }
        let configuration = with_expected(names.decoy(whole_namespace));
        let told = watch(&configuration, names.put_into(&text).as_bytes()).told();
        let wanted = expected(&labels, |_| true);
        compare(&told.requests(), &wanted);
        told.check_alerts();
        let hits = wanted.values().filter(|(_, class)| *class == Class::Detect);
        assert_eq!(told.count(), hits.count() as u64);
    }
}

#[test]
fn a_short_name() {
    check(&Names {
        namespace: "ci",
        service_account: "deployer",
        pod: "file-backup",
    });
}

#[test]
fn names_of_one_letter() {
    check(&Names {
        namespace: "a",
        service_account: "b",
        pod: "c",
    });
}

/// Each of them is a part of many words in every event.
#[test]
fn names_that_are_parts_of_other_words() {
    check(&Names {
        namespace: "kube",
        service_account: "system",
        pod: "api",
    });
}

#[test]
fn names_as_long_as_they_may_be_and_with_dots() {
    check(&Names {
        namespace: "a-namespace-with-as-many-characters-as-a-dns-label-may-have-63x",
        service_account: "backup.sa.v2",
        pod: "file-backup-6d4cf56db6-x2b9q.node-1.example",
    });
}

/// What the library finds if it decodes every record.
pub fn found_by_decoding(input: &[u8]) -> BTreeSet<(String, String, String)> {
    let decoys = [recordings::decoy("honeypot", "backup-sa", true)];
    let mut detector = Detector::new(&Config::default(), &decoys, None, "audit".into())
        .expect("the globs are globs");
    let mut detections = Vec::new();
    let block = Block {
        bytes: input,
        shape: Shape::Lines,
        header: None,
        first_part: None,
        provenance: &|_| Provenance::default(),
    };
    detector.decode_all(&block, Timestamp::UNIX_EPOCH, &mut detections);
    detections
        .iter()
        .map(|detection| {
            (
                detection.detection_id.to_string(),
                detection.technique.to_string(),
                detection.class.to_string(),
            )
        })
        .collect()
}

#[test]
fn any_one_stage_may_be_missing() {
    for folder in FOLDERS {
        for stage in ["RequestReceived", "ResponseStarted", "ResponseComplete"] {
            let mark = format!("\"stage\":\"{stage}\"");
            let has_stage = |line: &&[u8]| memchr::memmem::find(line, mark.as_bytes()).is_some();
            let (gone, left): (Vec<&[u8]>, Vec<&[u8]>) =
                lines(log(folder)).into_iter().partition(has_stage);
            assert!(!gone.is_empty() && !left.is_empty());
            let left = joined(left);
            assert_eq!(told(&left).found(), found_by_decoding(&left));
        }
    }
}

#[test]
fn order_and_repetition_change_no_count() {
    for folder in FOLDERS {
        let lines = lines(log(folder));
        let straight = told(&joined(&lines));
        let reversed = told(&joined(lines.iter().rev()));
        let twice = told(&joined(lines.iter().flat_map(|line| [line, line])));
        let mut shuffled: Vec<&&[u8]> = lines.iter().chain(&lines[..lines.len() / 3]).collect();
        fastrand::Rng::with_seed(7).shuffle(&mut shuffled);
        let shuffled = told(&joined(shuffled));
        for other in [reversed, twice, shuffled] {
            assert_eq!(other.found(), straight.found());
            assert_eq!(other.counts_by_key(), straight.counts_by_key());
        }
    }
}

#[test]
fn what_shippers_print_is_what_went_into_them() {
    let read = |folder, file| {
        std::fs::read(recordings::path(folder, file)).expect("the recording is there")
    };
    let plain = told(&read("fluent-bit", "input.ndjson"));
    assert!(plain.hits() >= 4);
    for (folder, file) in [
        ("fluent-bit", "stdout-json-lines-parsed.ndjson"),
        ("fluent-bit", "stdout-json-lines-raw-log.ndjson"),
        ("vector", "console-parsed.ndjson"),
        ("vector", "console-raw-message.ndjson"),
    ] {
        let shipped = told(&read(folder, file));
        assert_eq!(shipped.found(), plain.found(), "{folder}/{file}");
        assert_eq!(shipped.counts_by_key(), plain.counts_by_key());
    }
}

#[test]
fn json_over_many_lines() {
    let straight = told(&METADATA);
    let mut items: Vec<Value> = lines(&METADATA)
        .into_iter()
        .map(|line| serde_json::from_slice(line).expect("an event is JSON"))
        .collect();
    let array = serde_json::to_vec_pretty(&items).expect("it is JSON");
    for item in &mut items {
        let fields = item.as_object_mut().expect("an event is an object");
        fields.remove("kind");
        fields.remove("apiVersion");
    }
    let list = json!({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": items});
    let list = serde_json::to_vec_pretty(&list).expect("it is JSON");
    for text in [array, list] {
        let told = told(&text);
        assert_eq!(told.found(), straight.found());
        assert_eq!(told.counts_by_key(), straight.counts_by_key());
    }
}
