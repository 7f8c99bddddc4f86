//! The needle scan finds what decoding every record finds, and nothing panics.
//!
//! `cargo +nightly fuzz run scan`

#![no_main]

use std::sync::{Arc, LazyLock};

use baitline::{
    config::Decoy,
    detect::{Config, Detection, Detector, Severity},
    source::{Block, Provenance, Shape},
};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

static DECOYS: LazyLock<[Decoy; 2]> = LazyLock::new(|| [decoy("honeypot", "backup-sa"), decoy("ci", "x1")]);

fn decoy(namespace: &str, service_account: &str) -> Decoy {
    Decoy {
        namespace: namespace.to_owned(),
        service_account: service_account.to_owned(),
        secret: Some(format!("{service_account}-token")),
        pod: Some("file-*".to_owned()),
        whole_namespace: true,
        severity: Severity::Low,
        labels: Arc::default(),
        expected: Vec::new(),
    }
}

fn run(bytes: &[u8], decode_all: bool) -> Vec<Detection> {
    let mut detector =
        Detector::new(&Config::default(), &*DECOYS, None, "fuzz".into()).expect("the globs are globs");
    let block = Block {
        bytes,
        shape: Shape::Lines,
        provenance: &|_| Provenance::default(),
    };
    let mut found = Vec::new();
    if decode_all {
        detector.decode_all(&block, Timestamp::UNIX_EPOCH, &mut found);
    } else {
        detector.scan(&block, Timestamp::UNIX_EPOCH, &mut found);
    }
    found
}

fuzz_target!(|bytes: &[u8]| {
    assert_eq!(run(bytes, false), run(bytes, true));
});
