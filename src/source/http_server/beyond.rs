//! What follows of a body behind the limit: it is not taken, but a decoy that it names is told of.
//!
//! Who sends too much hears 413, and most throw it away: whoever can make one event large could hide another behind it. So what
//! follows is searched as well, part by part, each with the end of the one before, and never held whole. An event in it is told as
//! what it is if it stands whole in a part, and otherwise as what cannot be decoded.

use std::io;

use crate::{
    record::decompress::{Decompressor, Format},
    source::OVERLAP,
};

/// Parts of `max_body_bytes` that are searched of a body as it was sent, at most, and of one that was packed: that costs who sends
/// it next to nothing, and everybody else the time.
pub(super) const SENT_PARTS: usize = 16;
const PACKED_PARTS: usize = 2;

/// What of a part is searched once more with the next: one of so many. So most events stand whole in one of the two.
const REPEATED: usize = 64;

/// Bytes that are unpacked at once.
const READ_BYTES: usize = 64 << 10;

/// How far a body was searched.
pub(super) struct Beyond {
    /// The outermost first. What cannot be unpacked is searched as it is.
    layers: Vec<Decompressor>,
    /// What is searched next, and at first what it shares with what was searched.
    part: Vec<u8>,
    part_bytes: usize,
    /// Bytes that were searched before.
    passed: usize,
    /// Bytes that may still come.
    left: usize,
    /// It is no text, though a part of it may begin as one.
    pub is_binary: bool,
}

impl Beyond {
    /// Of a body that is packed in `formats`, the outermost first, and of which `searched` bytes were searched, as many as may be.
    /// `None` if too much memory would be held while it comes.
    pub(super) fn new(formats: &[Format], searched: usize, is_whole: bool) -> Option<Self> {
        // A window of zstd may have 128 MiB.
        if !is_whole && formats.contains(&Format::Zstd) {
            return None;
        }
        let parts = match formats {
            [] => SENT_PARTS,
            _ => PACKED_PARTS,
        };
        Some(Self {
            layers: formats.iter().copied().map(Decompressor::of).collect(),
            part: Vec::new(),
            part_bytes: searched,
            passed: searched - repeated(searched),
            left: searched.saturating_mul(parts),
            is_binary: false,
        })
    }

    /// Gives `search` what comes out of the next `bytes` of the body, from its first on. False if that is all that may.
    pub(super) fn search(&mut self, bytes: &[u8], search: &mut dyn FnMut(&[u8])) -> bool {
        let mut rest = bytes;
        while self.left > 0 {
            let held = self.part.len();
            self.part.resize(held + READ_BYTES, 0);
            let made = read(&mut self.layers, &mut self.part[held..], &mut rest);
            let made = made.unwrap_or_else(|_| {
                self.layers.clear();
                0
            });
            self.part.truncate(held + made);
            if made == 0 && rest.is_empty() {
                break;
            }
            self.left = self.left.saturating_sub(made);
            let passed = self.passed.min(self.part.len());
            self.part.drain(..passed);
            self.passed -= passed;
            if self.part.len() >= self.part_bytes {
                self.hand_out(search);
            }
        }
        if self.part.len() > repeated(self.part_bytes) {
            self.hand_out(search);
        }
        self.left > 0
    }

    fn hand_out(&mut self, search: &mut dyn FnMut(&[u8])) {
        search(&self.part);
        let end = self.part.len();
        self.part
            .drain(..end.saturating_sub(repeated(self.part_bytes)));
    }
}

fn repeated(part_bytes: usize) -> usize {
    (part_bytes / REPEATED).max(OVERLAP).min(part_bytes)
}

/// Reads from the innermost of `layers`, where `rest` is what the outermost is packed in.
fn read(layers: &mut [Decompressor], into: &mut [u8], rest: &mut &[u8]) -> io::Result<usize> {
    match layers.split_last_mut() {
        None => io::Read::read(rest, into),
        Some((innermost, outer)) => innermost
            .read(into, &mut |packed| read(outer, packed, rest))
            .map_err(io::Error::other),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::{Compression, read::GzEncoder};
    use proptest::prelude::*;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packed = Vec::new();
        let mut encoder = GzEncoder::new(bytes, Compression::fast());
        encoder.read_to_end(&mut packed).unwrap();
        packed
    }

    fn text(length: usize) -> Vec<u8> {
        let numbers = (0..length as u32).flat_map(|number| format!("{number} ").into_bytes());
        numbers.take(length).collect()
    }

    /// The parts of a body that comes in pieces, and whether all of it was searched.
    fn parts(formats: &[Format], pieces: &[&[u8]], searched: usize) -> (Vec<Vec<u8>>, bool) {
        let mut beyond = Beyond::new(formats, searched, pieces.len() == 1).unwrap();
        let (mut parts, mut goes_on) = (Vec::new(), true);
        for piece in pieces {
            goes_on &= beyond.search(piece, &mut |part| parts.push(part.to_vec()));
        }
        (parts, goes_on)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        #[test]
        fn all_that_follows_is_searched_and_each_part_begins_with_the_end_of_the_one_before(
            length in 70_000..900_000_usize, pieces in 1..9_usize, layers in 0..3_usize,
        ) {
            let (searched, text) = (65_536 + 7, text(length));
            let body = (0..layers).fold(text.clone(), |body, _| gzip(&body));
            let pieces: Vec<&[u8]> = body.chunks(body.len().div_ceil(pieces)).collect();
            let formats = vec![Format::Gzip; layers];
            let (parts, goes_on) = parts(&formats, &pieces, searched);
            let mut all = text[..searched].to_vec();
            for part in &parts {
                prop_assert!(part.len() <= searched + READ_BYTES + OVERLAP);
                let shared = repeated(searched).min(part.len());
                prop_assert!(all.ends_with(&part[..shared]));
                all.extend_from_slice(&part[shared..]);
            }
            prop_assert!(text.starts_with(&all));
            prop_assert!(!goes_on || all.len() == text.len(), "{} of {}", all.len(), text.len());
            let most = if layers == 0 { SENT_PARTS } else { PACKED_PARTS };
            prop_assert!(goes_on || all.len() >= most * searched);
            prop_assert!(all.len() <= most * searched + READ_BYTES);
        }

        #[test]
        fn any_bytes_will_do(bytes in proptest::collection::vec(any::<u8>(), 0..5000)) {
            parts(&[Format::Zstd, Format::Gzip], &[&bytes], 1000);
        }
    }

    #[test]
    fn what_is_damaged_is_searched_as_it_is_from_there() {
        let body = [gzip(&text(90_000)), b"{\"kind\":\"Event\"}".repeat(9000)].concat();
        let (parts, _) = parts(&[Format::Gzip], &[&body], 120_000);
        assert!(parts.concat().ends_with(b"{\"kind\":\"Event\"}"));
    }
}
