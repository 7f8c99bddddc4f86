//! Any bytes as base64, plain or compressed, under a key that wrappers use: the needle scan finds what decoding finds, and
//! nothing panics.
//!
//! `cargo +nightly fuzz run wrapped`

#![no_main]

mod differential;

use std::sync::LazyLock;

use baitline::source::Shape;
use base64::prelude::*;
use differential::{Detectors, compare, decoy, detectors};
use libfuzzer_sys::fuzz_target;

static DETECTORS: LazyLock<Detectors> =
    LazyLock::new(|| detectors(&[decoy("honeypot", "backup-sa")]));

fuzz_target!(|input: (bool, &[u8])| {
    let (is_url_safe, bytes) = input;
    let encoded = match is_url_safe {
        true => BASE64_URL_SAFE_NO_PAD.encode(bytes),
        false => BASE64_STANDARD.encode(bytes),
    };
    for record in [
        format!(r#"{{"message":{{"data":"{encoded}"}}}}"#),
        format!(r#"{{"data_base64" : "{encoded}","#),
        format!(r#"{{"Records":[{{"Data":"{encoded}"}}]}}"#),
        format!(r#"{{"rawData":"{encoded}"#),
        format!(r#"{{"m":"{{\"data\":\"{encoded}\"}}"}}"#),
        format!(r#"{{"MESSAGE":{bytes:?}}}"#),
    ] {
        compare(
            &DETECTORS,
            record.as_bytes(),
            Shape::Lines,
            record.as_bytes(),
        );
    }
});
