//! Any bytes as base64, plain or compressed, under a key that wrappers use: the needle scan finds what decoding finds, and
//! nothing panics.
//!
//! `cargo +nightly fuzz run wrapped`

#![no_main]

use std::sync::{Arc, LazyLock};

use baitline::{
    config::Decoy,
    detect::{Config, Detection, Detector, Severity},
    source::{Block, Provenance, Shape},
};
use base64::prelude::*;
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

static DECOYS: LazyLock<[Decoy; 1]> = LazyLock::new(|| {
    [Decoy {
        namespace: "honeypot".to_owned(),
        service_account: "backup-sa".to_owned(),
        secret: None,
        pod: None,
        whole_namespace: true,
        severity: Severity::Low,
        labels: Arc::default(),
        expected: Vec::new(),
    }]
});

fn run(bytes: &[u8], decode_all: bool) -> Vec<Detection> {
    let mut detector =
        Detector::new(&Config::default(), &*DECOYS, None, "fuzz".into()).expect("there is no glob");
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

fuzz_target!(|input: (bool, &[u8])| {
    let (is_url_safe, bytes) = input;
    let encoded = match is_url_safe {
        true => BASE64_URL_SAFE_NO_PAD.encode(bytes),
        false => BASE64_STANDARD.encode(bytes),
    };
    for record in [
        format!(r#"{{"message":{{"data":"{encoded}"}}}}"#),
        format!(r#"{{"data_base64" : "{encoded}","#),
        format!(r#"{{"m":"{{\"data\":\"{encoded}\"}}"}}"#),
        format!(r#"{{"MESSAGE":{bytes:?}}}"#),
    ] {
        assert_eq!(run(record.as_bytes(), false), run(record.as_bytes(), true));
    }
});
