//! Any bytes as a line that another baitline may have written: nothing panics, and what is
//! read, whole or in part, is written so that it reads the same, times to the microsecond.
//!
//! `cargo +nightly fuzz run read_json`

#![no_main]

use baitline::format::json::{self, Line};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

/// Detections that are read in part of one line.
const MOST: usize = 4;

fuzz_target!(|line: &[u8]| {
    let in_part = json::read_in_part(line, Timestamp::UNIX_EPOCH, MOST);
    assert!(in_part.len() <= MOST);
    let in_part = in_part
        .into_iter()
        .map(|detection| Line::Detection(detection.into()));
    for read in in_part.chain(json::read(line)) {
        let line = written(&read);
        let again = json::read(&line).expect("what this format writes, it reads");
        assert_eq!(written(&again), line);
    }
});

fn written(line: &Line) -> Vec<u8> {
    let mut out = Vec::new();
    match line {
        Line::Detection(detection) => json::detection(detection, &mut out),
        Line::Alert(alert) => json::alert(alert, &mut out),
    }
    out
}
