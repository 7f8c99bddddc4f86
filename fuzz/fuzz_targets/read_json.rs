//! Any bytes as a line that another baitline may have written: nothing panics, and what is
//! read is written so that it reads the same, times to the microsecond.
//!
//! `cargo +nightly fuzz run read_json`

#![no_main]

use baitline::format::json::{self, Line};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &[u8]| {
    let Ok(read) = json::read(line) else { return };
    let line = written(&read);
    let again = json::read(&line).expect("what this format writes, it reads");
    assert_eq!(written(&again), line);
});

fn written(line: &Line) -> Vec<u8> {
    let mut out = Vec::new();
    match line {
        Line::Detection(detection) => json::detection(detection, &mut out),
        Line::Alert(alert) => json::alert(alert, &mut out),
    }
    out
}
