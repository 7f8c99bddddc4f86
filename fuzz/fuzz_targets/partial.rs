//! Records that a container runtime cut anywhere, of two streams in any order, in any reads, come out as those that it did not
//! cut.
//!
//! `cargo +nightly fuzz run partial`

#![no_main]

use baitline::record::framing::{Framer, Piece};
use libfuzzer_sys::fuzz_target;

/// Far above what the fuzzer writes.
const MAX_LINE_BYTES: usize = 1 << 20;

/// A part as containerd writes it.
fn line(stream: &str, is_partial: bool, text: &[u8]) -> Vec<u8> {
    let tag = if is_partial { "P" } else { "F" };
    let head = format!("2026-11-23T17:21:01.912216789Z {stream} {tag} ");
    [head.as_bytes(), text, b"\n"].concat()
}

fn joined(log: &[u8], step: usize) -> Vec<u8> {
    let mut lines = Vec::new();
    let mut emit = |piece: Piece<'_>| lines.extend_from_slice(piece.bytes);
    let mut framer = Framer::new(MAX_LINE_BYTES);
    for read in log.chunks(step) {
        let mut rest = read;
        while !rest.is_empty() {
            let space = framer.space(rest.len());
            let count = space.len().min(rest.len());
            space[..count].copy_from_slice(&rest[..count]);
            rest = &rest[count..];
            framer.commit(count, &mut emit);
        }
    }
    framer.finish(&mut emit);
    assert_eq!(framer.resumable_at(), log.len() as u64);
    lines
}

fn of_stream<'a>(lines: &'a [u8], stream: &str) -> Vec<&'a [u8]> {
    let lines = lines.split_inclusive(|byte| *byte == b'\n');
    let is_own = |line: &&[u8]| line[31..].starts_with(stream.as_bytes());
    lines.filter(is_own).collect()
}

// Parts: whether they are of stderr, whether they are the last of their record, and their text.
fuzz_target!(|input: (u8, Vec<(bool, bool, &[u8])>)| {
    let (step, parts) = input;
    let mut cut = Vec::new();
    let mut records = [Vec::new(), Vec::new()];
    let mut open: [Option<Vec<u8>>; 2] = [None, None];
    for (is_stderr, is_last, text) in parts {
        let mut text: Vec<u8> = text.iter().copied().filter(|byte| *byte != b'\n').collect();
        // One before a newline is taken for a part of that.
        while text.pop_if(|byte| *byte == b'\r').is_some() {}
        let stream = usize::from(is_stderr);
        cut.extend(line(["stdout", "stderr"][stream], !is_last, &text));
        open[stream].get_or_insert_default().extend(text);
        if is_last {
            records[stream].extend(open[stream].take());
        }
    }
    let joined = joined(&cut, usize::from(step) + 1);
    for (place, stream) in ["stdout", "stderr"].into_iter().enumerate() {
        let whole = records[place].iter().map(|text| line(stream, false, text));
        let rest = open[place].iter().map(|text| line(stream, true, text));
        let wanted: Vec<Vec<u8>> = whole.chain(rest).collect();
        assert_eq!(of_stream(&joined, stream), wanted);
    }
});
