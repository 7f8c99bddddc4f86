//! Any bytes as MessagePack: the needle scan finds what is found if every entry is written as JSON and decoded, a message of
//! Forward is read or refused, and nothing panics.
//!
//! `cargo +nightly fuzz run msgpack`

#![no_main]

mod differential;

use std::sync::LazyLock;

use baitline::{
    record::msgpack::{Walk, entries, write_entry},
    source::{Shape, fluent::Message},
};
use differential::{Detectors, compare, decoy, detectors};
use libfuzzer_sys::fuzz_target;

static DETECTORS: LazyLock<Detectors> =
    LazyLock::new(|| detectors(&[decoy("honeypot", "backup-sa"), decoy("ci", "x1")]));

fuzz_target!(|bytes: &[u8]| {
    let _ = Message::read(bytes);
    let _ = Walk::default().on(bytes);
    let (mut lines, mut rest) = (Vec::new(), bytes);
    for entry in entries(bytes) {
        let entry = entry.unwrap_or(rest);
        write_entry(entry, &mut lines);
        lines.push(b'\n');
        rest = &rest[entry.len()..];
    }
    compare(&DETECTORS, bytes, Shape::MessagePack, &lines);
});
