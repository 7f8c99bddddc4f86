//! Any bytes as a request of Vector: the needle scan finds what is found if every event is written as JSON and decoded, and nothing
//! panics.
//!
//! `cargo +nightly fuzz run protobuf`

#![no_main]

mod differential;

use std::{cell::RefCell, sync::LazyLock};

use baitline::{
    config::Decoy,
    detect::{Config, Detection, Detector},
    record::protobuf::{entries, is_log, write_entry, write_texts},
    source::{Block, Provenance, Shape},
};
use differential::decoy;
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

static DECOYS: LazyLock<[Decoy; 2]> =
    LazyLock::new(|| [decoy("honeypot", "backup-sa"), decoy("ci", "x1")]);

type Scan = fn(&mut Detector, &Block<'_>, Timestamp, &mut Vec<Detection>);

fn found(scan: Scan, bytes: &[u8], shape: Shape) -> Vec<Detection> {
    thread_local! {
        static DETECTOR: RefCell<Detector> = RefCell::new(
            Detector::new(&Config::default(), &*DECOYS, None, "fuzz".into()).expect("no glob"),
        );
    }
    let mut found = Vec::new();
    DETECTOR.with_borrow_mut(|detector| {
        let block = Block {
            bytes,
            shape,
            provenance: &|_| Provenance::default(),
        };
        scan(detector, &block, Timestamp::UNIX_EPOCH, &mut found);
    });
    found
}

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
    assert_eq!(
        found(Detector::scan, bytes, Shape::PushEvents),
        found(Detector::decode_all, &lines, Shape::Lines)
    );
});
