//! Any bytes as a request of Vector: the needle scan finds what is found if every event is written as JSON and decoded, and nothing
//! panics.
//!
//! `cargo +nightly fuzz run protobuf`

#![no_main]

mod differential;

use std::sync::LazyLock;

use baitline::{
    record::protobuf::{entries, is_log, write_entry, write_texts},
    source::Shape,
};
use differential::{Detectors, compare, decoy, detectors};
use libfuzzer_sys::fuzz_target;

static DETECTORS: LazyLock<Detectors> =
    LazyLock::new(|| detectors(&[decoy("honeypot", "backup-sa"), decoy("ci", "x1")]));

fuzz_target!(|bytes: &[u8]| {
    let (mut lines, mut rest) = (Vec::new(), bytes);
    for entry in entries(bytes) {
        let entry = entry.unwrap_or(rest);
        is_log(entry);
        write_texts(entry, &mut Vec::new());
        write_entry(entry, &mut lines);
        lines.push(b'\n');
        rest = &rest[entry.len()..];
    }
    compare(&DETECTORS, bytes, Shape::PushEvents, &lines);
});
