//! Two threads for blocks in which much is found.
//!
//! What touches no decoy is searched as fast as it is read, and a thread more would gain nothing. A hit takes twenty times as
//! long as another line, and a flood of hits is what an intruder may cause to hide in.

use std::{
    iter,
    ops::Range,
    panic,
    sync::{Mutex, PoisonError},
    thread,
};

use jiff::Timestamp;
use memchr::memchr;

use crate::{
    detect::{Counts, Detection, Detector},
    source::{Block, Shape},
};

/// Hits in a block from which on the next one is shared: a thread takes as long to begin and end as about ten hits.
const MANY_HITS: usize = 64;

/// What one of the two takes at a time. The shorter, the less one waits for the other at the end.
const PIECE_BYTES: usize = 16 << 10;

/// A detector, and another that helps it.
pub(super) struct DetectorPair {
    first: Detector,
    /// `None` where there is but one processor.
    second: Option<Detector>,
    /// Whether much was found in the last block.
    is_busy: bool,
}

impl DetectorPair {
    pub fn new(first: Detector) -> Self {
        let has_processors = thread::available_parallelism().is_ok_and(|count| count.get() > 1);
        Self {
            second: has_processors.then(|| first.another()),
            first,
            is_busy: false,
        }
    }

    /// What both have seen.
    pub fn counts(&self) -> Counts {
        let second = self.second.as_ref().map(Detector::counts);
        self.first.counts() + second.unwrap_or_default()
    }

    /// As [`Detector::finish`].
    pub fn finish(&mut self, arrival: Timestamp, out: &mut Vec<Detection>) {
        self.first.finish(arrival, out);
    }

    /// As [`Detector::scan`], in the same order.
    pub fn scan(&mut self, block: &Block<'_>, arrival: Timestamp, out: &mut Vec<Detection>) {
        let before = out.len();
        match &mut self.second {
            Some(second)
                if self.is_busy
                    && block.shape == Shape::Lines
                    && !self.first.needs_order(block.bytes) =>
            {
                share((&mut self.first, second), block, arrival, out);
            }
            _ => self.first.scan(block, arrival, out),
        }
        self.is_busy = out.len() - before >= MANY_HITS;
    }
}

/// Whole lines, about [`PIECE_BYTES`] of them each time.
fn pieces(lines: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    iter::from_fn(move || {
        let rest = &lines[start..];
        let newline = memchr(b'\n', rest.get(PIECE_BYTES..).unwrap_or_default());
        let end = newline.map_or(lines.len(), |at| start + PIECE_BYTES + at + 1);
        let piece = start..end;
        start = end;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Each takes the next piece as soon as it has done with one, since the processors may have other work as well.
fn share(
    (first, second): (&mut Detector, &mut Detector),
    block: &Block<'_>,
    arrival: Timestamp,
    out: &mut Vec<Detection>,
) {
    let pieces = Mutex::new(pieces(block.bytes).enumerate());
    let next = || pieces.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = |detector: &mut Detector| {
        let found = iter::from_fn(next).map(|(number, piece)| {
            let mut found = Vec::new();
            let piece = Block {
                bytes: &block.bytes[piece.clone()],
                shape: block.shape,
                provenance: &|at| (block.provenance)(piece.start + at),
            };
            detector.scan(&piece, arrival, &mut found);
            (number, found)
        });
        found.collect::<Vec<_>>()
    };
    let mut found = thread::scope(|scope| {
        let helper = thread::Builder::new().spawn_scoped(scope, || work(second));
        let mut found = work(first);
        // Where the system gives no more threads, the first has done all.
        if let Ok(helper) = helper {
            found.extend(
                helper
                    .join()
                    .unwrap_or_else(|cause| panic::resume_unwind(cause)),
            );
        }
        found
    });
    found.sort_unstable_by_key(|(number, _)| *number);
    out.extend(found.into_iter().flat_map(|(_, found)| found));
}

#[cfg(test)]
mod tests {
    use std::{
        collections::HashSet,
        sync::{
            Barrier,
            atomic::{AtomicBool, Ordering::Relaxed},
        },
    };

    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::{config, detect};

    fn detector() -> Detector {
        let text = config::Text {
            name: "x.yaml".into(),
            format: config::Format::Yaml,
            text: "decoys: [{ service_account: honeypot/backup-sa }]\n\
                   sources: { audit: { type: stdin } }\n\
                   transforms: { found: { type: detect, inputs: [audit] } }\n\
                   sinks: { terminal: { type: console, inputs: [found] } }\n"
                .into(),
        };
        let loaded = config::parse(&[text], &|_| None).unwrap();
        let decoys = &loaded.pipeline.decoys;
        Detector::new(&detect::Config::default(), decoys, None, "audit".into()).unwrap()
    }

    fn hit(number: usize) -> String {
        format!(
            r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"{number}","verb":"get","user":{{"username":"system:serviceaccount:honeypot:backup-sa"}}}}"#
        )
    }

    #[test]
    fn two_find_what_one_finds_in_the_same_order() {
        let mut one = detector();
        let mut pair = DetectorPair {
            second: Some(one.another()),
            first: one.another(),
            is_busy: false,
        };
        let (mut of_one, mut of_pair) = (Vec::new(), Vec::new());
        for count in [
            0, 1, MANY_HITS, MANY_HITS, 3, 2, 1, MANY_HITS, 1, 0, MANY_HITS, 0, 7,
        ] {
            let mut text: String = (0..count).map(|number| hit(number) + "\n").collect();
            text.extend(iter::repeat_n("{}\n", count / 3));
            for end in [text.len(), text.len().saturating_sub(1)] {
                let block = Block {
                    bytes: &text.as_bytes()[..end],
                    shape: Shape::Lines,
                    provenance: &|at| at.to_string().into(),
                };
                one.scan(&block, Timestamp::UNIX_EPOCH, &mut of_one);
                pair.scan(&block, Timestamp::UNIX_EPOCH, &mut of_pair);
                assert_eq!(pair.is_busy, count >= MANY_HITS);
            }
        }
        assert_eq!(of_pair, of_one);
        assert_eq!(pair.counts(), one.counts());
    }

    #[test]
    fn what_was_cut_is_joined_however_much_is_found_between() {
        let mut one = detector();
        let mut pair = DetectorPair {
            second: Some(one.another()),
            first: one.another(),
            is_busy: true,
        };
        let text = hit(1);
        let (first, last) = text.split_at(text.find("ypot").unwrap());
        let part = |tag, text| serde_json::json!({"logtag": tag, "log": text}).to_string() + "\n";
        let hits: String = (2..2 + 2 * MANY_HITS)
            .map(|number| hit(number) + "\n")
            .collect();
        let both = [part("P", first), hits.clone(), part("F", last)].concat();
        let open = [part("P", first), hits.clone()].concat();
        let (mut of_one, mut of_pair) = (Vec::new(), Vec::new());
        for text in [both, open, hits.clone() + &part("F", last), hits] {
            let block = Block {
                bytes: text.as_bytes(),
                shape: Shape::Lines,
                provenance: &|at| at.to_string().into(),
            };
            one.scan(&block, Timestamp::UNIX_EPOCH, &mut of_one);
            pair.scan(&block, Timestamp::UNIX_EPOCH, &mut of_pair);
        }
        assert_eq!(of_pair.len(), 4 * 2 * MANY_HITS + 2);
        assert_eq!(of_pair, of_one);
    }

    #[test]
    fn what_both_find_is_in_order() {
        let text: String = (0..2000).map(|number| hit(number) + "\n").collect();
        // Whoever finds its first hit waits until the other has found one.
        let (known, both) = (Mutex::new(HashSet::new()), Barrier::new(2));
        let waits = AtomicBool::new(false);
        let block = Block {
            bytes: text.as_bytes(),
            shape: Shape::Lines,
            provenance: &|at| {
                if waits.load(Relaxed) && known.lock().unwrap().insert(thread::current().id()) {
                    both.wait();
                }
                at.to_string().into()
            },
        };
        let (mut one, mut first) = (detector(), detector());
        let (mut second, mut of_one, mut of_both) = (first.another(), Vec::new(), Vec::new());
        one.scan(&block, Timestamp::UNIX_EPOCH, &mut of_one);
        waits.store(true, Relaxed);
        share(
            (&mut first, &mut second),
            &block,
            Timestamp::UNIX_EPOCH,
            &mut of_both,
        );
        assert_eq!(of_both, of_one);
        assert_eq!(first.counts() + second.counts(), one.counts());
    }

    proptest! {
        #[test]
        fn pieces_are_whole_lines_and_all_of_them(lengths in vec(0..3 * PIECE_BYTES, 0..9), has_end in any::<bool>()) {
            let lines: Vec<String> = lengths.iter().map(|length| "x".repeat(*length) + "\n").collect();
            let all = lines.concat();
            let all = &all[..all.len() - usize::from(!has_end && !all.is_empty())];
            let mut at = 0;
            for piece in pieces(all.as_bytes()) {
                prop_assert_eq!(piece.start, at);
                prop_assert!(piece.len() > PIECE_BYTES || piece.end == all.len());
                prop_assert!(piece.end == all.len() || all[..piece.end].ends_with('\n'));
                at = piece.end;
            }
            prop_assert_eq!(at, all.len());
        }
    }
}
