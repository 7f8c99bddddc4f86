//! Any stream in any reads and any compression: nothing panics, and memory stays bounded.
//! Lines that are not too long come out whole.
//!
//! `cargo +nightly fuzz run framing`

#![no_main]

use baitline::{
    record::{decompress::Decompressor, framing::Framer},
    source::Shape,
};
use libfuzzer_sys::fuzz_target;

const MAX_LINE_BYTES: usize = 8192;

fuzz_target!(|input: (u8, &[u8])| {
    let (step, mut bytes) = input;
    let mut framer = Framer::new(MAX_LINE_BYTES);
    let mut decompressor = Decompressor::new();
    let mut emit = |piece: baitline::record::framing::Piece<'_>| {
        let most = 2 * MAX_LINE_BYTES + (2 << 20);
        assert!(piece.bytes.len() <= most);
        assert!(piece.shape != Shape::Lines || !piece.bytes.is_empty());
    };
    loop {
        let mut fill = |into: &mut [u8]| {
            let count = bytes.len().min(into.len()).min(usize::from(step) + 1);
            into[..count].copy_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            Ok(count)
        };
        match decompressor.read(framer.space(4096), &mut fill) {
            Ok(0) | Err(_) => break,
            Ok(count) => framer.commit(count, &mut emit),
        }
    }
    framer.finish(&mut emit);
});
