//! The needle scan finds what decoding every record finds, and nothing panics.
//!
//! `cargo +nightly fuzz run scan`

#![no_main]

mod differential;

use std::sync::LazyLock;

use baitline::{config::Decoy, source::Shape};
use differential::{Detectors, compare, decoy, detectors};
use libfuzzer_sys::fuzz_target;

static DETECTORS: LazyLock<Detectors> = LazyLock::new(|| {
    let decoys = [("honeypot", "backup-sa"), ("ci", "x1")];
    detectors(&decoys.map(|(namespace, service_account)| Decoy {
        secret: Some(format!("{service_account}-token")),
        pod: Some("file-*".to_owned()),
        ..decoy(namespace, service_account)
    }))
});

fuzz_target!(|bytes: &[u8]| compare(&DETECTORS, bytes, Shape::Lines, bytes));
