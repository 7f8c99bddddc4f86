//! The recordings through the program: every labelled request is found, with its technique and class, nothing else
//! is, and each hit is counted once.

use std::{collections::BTreeMap, io::Write};

use baitline::detect::{Class, Technique};
use flate2::{Compression, write::GzEncoder};
use serde_json::Value;

use super::harness::{Ran, configuration, decoy, watch, with_expected};
use crate::{
    recall::{compare, expected, keys_of_lists},
    recordings::{Key, labels, recording},
};

/// How a recording is packed on its way.
#[derive(Clone, Copy)]
enum Packing {
    Plain,
    Gzip,
    /// Several members in one stream, as appending to an archive makes.
    GzipMembers,
    Zstd,
}

fn packed(bytes: &[u8], packing: Packing) -> Vec<u8> {
    let gzip = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("memory takes all");
        encoder.finish().expect("memory takes all")
    };
    match packing {
        Packing::Plain => bytes.to_vec(),
        Packing::Gzip => gzip(bytes),
        Packing::GzipMembers => bytes.chunks(1 << 20).flat_map(gzip).collect(),
        Packing::Zstd => zstd::encode_all(bytes, 1).expect("memory takes all"),
    }
}

/// The labelled requests, of an EventList recording those that it holds.
fn wanted(
    folder: &str,
    file: &str,
    bytes: &[u8],
    is_narrow: bool,
) -> BTreeMap<Key, (Technique, Class)> {
    let name = if is_narrow {
        "labels-narrow.ndjson"
    } else {
        "labels.ndjson"
    };
    let labels = labels(folder, name);
    if file.starts_with("audit") {
        return expected(&labels, |_| true);
    }
    let recorded = keys_of_lists(bytes);
    expected(&labels, |key| recorded.contains(key))
}

fn check(folder: &str, file: &str, packing: Packing, is_narrow: bool) -> Ran {
    let bytes = recording(folder, file);
    let configuration = with_expected(decoy(!is_narrow));
    let ran = watch(&configuration, &packed(&bytes, packing));
    let wanted = wanted(folder, file, &bytes, is_narrow);
    assert!(wanted.len() > 100);
    let told = ran.told();
    compare(&told.requests(), &wanted);
    told.check_alerts();
    let hits = wanted.values().filter(|(_, class)| *class == Class::Detect);
    assert_eq!(told.count(), hits.count() as u64);
    ran
}

#[test]
fn the_log_backends_at_level_metadata() {
    check("metadata", "audit.ndjson.gz", Packing::Plain, false);
    check("metadata", "audit.ndjson.gz", Packing::Gzip, true);
}

#[test]
fn the_webhook_backends_at_level_metadata() {
    check("metadata", "eventlist.ndjson.gz", Packing::Zstd, false);
    check("metadata", "eventlist.ndjson.gz", Packing::Plain, true);
}

#[test]
fn the_log_backends_at_level_request_response() {
    check(
        "request-response",
        "audit.ndjson.gz",
        Packing::GzipMembers,
        false,
    );
    check("request-response", "audit.ndjson.gz", Packing::Zstd, true);
}

#[test]
fn the_webhook_backends_at_level_request_response() {
    check(
        "request-response",
        "eventlist.ndjson.gz",
        Packing::Plain,
        false,
    );
    check(
        "request-response",
        "eventlist.ndjson.gz",
        Packing::Gzip,
        true,
    );
}

#[test]
fn what_is_expected_is_counted_and_shown_only_if_asked_for() {
    let bytes = recording("metadata", "audit.ndjson.gz");
    let ran = watch(&configuration(decoy(true)), &bytes);
    let told = ran.told();
    let mut wanted = wanted("metadata", "audit", &bytes, false);
    wanted.retain(|_, (_, class)| *class != Class::Expected);
    compare(&told.requests(), &wanted);
    told.check_alerts();
    assert!(ran.stderr.contains("expected=162"), "{}", ran.stderr);
    // The file and the terminal are told the same.
    assert_eq!(ran.stdout, ran.file("alert.txt"));
}

/// The attack of the README: the token of a pod, minted by its node, is used from elsewhere.
#[test]
fn the_first_alert_of_a_stolen_token_says_how_it_was_stolen() {
    let told = watch(
        &configuration(decoy(true)),
        &recording("metadata", "audit.ndjson.gz"),
    )
    .told();
    let opened = |alert: &&Value| {
        alert["kind"] == "opened"
            && alert["pod"] == "file-backup"
            && alert["token"]["kind"] == "bound"
    };
    let stolen: Vec<&Value> = told.alerts.iter().filter(opened).collect();
    assert!(!stolen.is_empty());
    for alert in stolen {
        let trail = alert["trail"].as_array().expect("a trail");
        let minted =
            |touch: &&Value| touch["technique"] == "token_request" && touch["class"] == "expected";
        let minted = trail.iter().find(minted).expect("who minted the token");
        assert_eq!(minted["actor"], "system:node:node-1");
        assert_eq!(alert["node"], "node-1");
    }
}
