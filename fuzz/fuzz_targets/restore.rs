//! Any rows as the stored state: they are refused, or the machine that they give works on.
//!
//! `cargo +nightly fuzz run restore`

#![no_main]

use baitline::dedupe::{Change, Config, Dedupe, Part};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|rows: Vec<(u8, String, String)>| {
    let change = |(part, key, value): (u8, String, String)| Change {
        part: Part::ALL[usize::from(part) % Part::ALL.len()],
        key,
        value: Some(value),
    };
    let rows = rows.into_iter().map(change);
    let Ok(mut machine) = Dedupe::restore(Config::default(), rows) else {
        return;
    };
    assert!(machine.changes().is_empty());
    let mut alerts = Vec::new();
    machine.tick(Timestamp::UNIX_EPOCH, &mut alerts);
    machine.drain(Timestamp::UNIX_EPOCH, &mut alerts);
    assert_eq!(machine.next_tick(), None);
});
