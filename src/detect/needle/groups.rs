//! The search where there are no vector instructions that ours could use, and for very many needles: with `aho_corasick::packed`, which has searches of its own
//! for SSSE3 and NEON.

use aho_corasick::packed::{Config, MatchKind, Searcher};
use aho_corasick::{AhoCorasick, Span};

/// Most needles that one packed searcher is given: Teddy takes no more.
const MAX_PACKED: usize = 64;

/// Most groups of needles, each of which is a pass over the bytes. What is beyond the
/// packed ones, with hundreds of decoys, goes into one automaton, whatever its pace.
const MAX_GROUPS: usize = 16;

/// Needles, in groups that are searched for in one pass each.
#[derive(Debug)]
pub struct Groups(Vec<Group>);

#[derive(Debug)]
struct Group {
    /// The number of its first needle.
    first: usize,
    engine: Engine,
}

#[derive(Debug)]
enum Engine {
    Packed(Searcher),
    /// Where this processor has no vector instructions that Teddy could use, or the needles are too many.
    Automaton(AhoCorasick),
}

impl Groups {
    /// `needles` are best sorted by their second byte: Teddy deals them to its eight buckets in order, and a bucket stops at
    /// all mixtures of its beginnings. Dealt so, 28 needles read 4.7 GB/s of recorded lines; by their first bytes, 2.1.
    pub fn new(needles: &[&[u8]]) -> Self {
        let packed = needles.len().min(MAX_PACKED * (MAX_GROUPS - 1));
        let (packed, rest) = needles.split_at(packed);
        let rest = (!rest.is_empty()).then_some(rest);
        let mut first = 0;
        let groups = packed.chunks(MAX_PACKED).chain(rest).map(|chunk| {
            first += chunk.len();
            Group {
                first: first - chunk.len(),
                engine: Engine::new(chunk),
            }
        });
        Self(groups.collect())
    }

    /// As the search with vector registers.
    pub fn scan(
        &self,
        bytes: &[u8],
        is_needle: &dyn Fn(usize, usize) -> bool,
        found: &mut dyn FnMut(usize) -> usize,
    ) {
        // On the stack: a block without a needle costs no allocation.
        let mut next = [None; MAX_GROUPS];
        for (group, next) in self.0.iter().zip(&mut next) {
            *next = group.find(bytes, 0, is_needle);
        }
        while let Some(position) = next.iter().flatten().min().copied() {
            let at = found(position);
            for (group, next) in self.0.iter().zip(&mut next) {
                if next.is_some_and(|position| position < at) {
                    *next = group.find(bytes, at, is_needle);
                }
            }
        }
    }
}

impl Group {
    fn find(
        &self,
        bytes: &[u8],
        mut from: usize,
        is_needle: &dyn Fn(usize, usize) -> bool,
    ) -> Option<usize> {
        while let Some((needle, start)) = self.engine.find(bytes, from) {
            if is_needle(self.first + needle, start) {
                return Some(start);
            }
            from = start + 1;
        }
        None
    }
}

impl Engine {
    fn new(needles: &[&[u8]]) -> Self {
        let packed = Config::new()
            .match_kind(MatchKind::LeftmostFirst)
            .builder()
            .extend(needles)
            .build();
        packed.map_or_else(
            || {
                // A needle that is refused must not hide one that began before it.
                let automaton = AhoCorasick::builder()
                    .match_kind(aho_corasick::MatchKind::LeftmostFirst)
                    .build(needles);
                Self::Automaton(automaton.expect("needles are short, and fewer than 2^31"))
            },
            Self::Packed,
        )
    }

    /// Number and start of the first needle at or behind `from`.
    fn find(&self, bytes: &[u8], from: usize) -> Option<(usize, usize)> {
        let span = Span {
            start: from.min(bytes.len()),
            end: bytes.len(),
        };
        let found = match self {
            Self::Packed(searcher) => searcher.find_in(bytes, span)?,
            Self::Automaton(automaton) => {
                let input = aho_corasick::Input::new(bytes).span(span);
                automaton.find(input)?
            }
        };
        Some((found.pattern().as_usize(), found.start()))
    }
}
