//! No text, in any of the languages, makes the configuration panic.
//!
//! `cargo +nightly fuzz run configuration`

#![no_main]

use baitline::config::{Format, Text, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for format in [Format::Yaml, Format::Toml, Format::Json] {
        let text = Text {
            name: "fuzz".to_owned(),
            format,
            text: text.to_owned(),
        };
        if let Err(faults) = parse(&[text], &|_| None) {
            assert!(!faults.to_string().is_empty());
        }
    }
});
