//! Two threads for blocks in which much is found.
//!
//! What touches no decoy is searched as fast as it is read, and a thread more would gain nothing. A hit takes twenty times as
//! long as another line, and a flood of hits is what an intruder may cause to hide in.

use std::{
    iter,
    ops::Range,
    sync::{Mutex, PoisonError},
    thread,
};

use jiff::Timestamp;
use memchr::memchr;
use rayon_core::{ThreadPool, ThreadPoolBuilder};

use crate::{
    detect::{Counts, Detection, Detector},
    record::document,
    source::{Block, Shape},
};

/// Hits in a block from which on the next one is shared: to wake a thread and to wait for it takes as long as a few hits.
const MANY_HITS: usize = 64;

/// What one of the two takes at a time. The shorter, the less one waits for the other at the end.
const PIECE_BYTES: usize = 16 << 10;

/// Room for the hits of a piece, so that they are not moved while they are found.
const PIECE_HITS: usize = 32;

/// A detector, and another that helps it.
pub(super) struct DetectorPair {
    first: Detector,
    /// Made when first much is found; `None` within where there is but one processor, or no thread to be had.
    helper: Option<Option<Helper>>,
    /// Whether much was found in the last block.
    is_busy: bool,
}

/// The other detector and its thread, which waits for more in between: to make one for each block took a sixth of the time of a flood.
struct Helper {
    detector: Detector,
    thread: ThreadPool,
}

impl DetectorPair {
    pub fn new(first: Detector) -> Self {
        Self {
            first,
            helper: None,
            is_busy: false,
        }
    }

    /// What both have seen.
    pub fn counts(&self) -> Counts {
        let helper = self.helper.as_ref().and_then(Option::as_ref);
        let of_helper = helper.map(|helper| helper.detector.counts());
        self.first.counts() + of_helper.unwrap_or_default()
    }

    /// As [`Detector::finish`].
    pub fn finish(&mut self, arrival: Timestamp, out: &mut Vec<Detection>) {
        self.first.finish(arrival, out);
    }

    /// As [`Detector::scan`], in the same order.
    pub fn scan(&mut self, block: &Block<'_>, arrival: Timestamp, out: &mut Vec<Detection>) {
        let before = out.len();
        let may_share =
            self.is_busy && block.shape == Shape::Lines && !self.first.needs_order(block.bytes);
        let helper = match may_share {
            true => self
                .helper
                .get_or_insert_with(|| Helper::new(&self.first))
                .as_mut(),
            false => None,
        };
        match helper {
            Some(helper) => share(&mut self.first, helper, block, arrival, out),
            None => self.first.scan(block, arrival, out),
        }
        self.is_busy = out.len() - before >= MANY_HITS;
    }
}

impl Helper {
    /// `None` where there is but one processor, or no thread to be had.
    fn new(first: &Detector) -> Option<Self> {
        let processors = thread::available_parallelism();
        match processors.is_ok_and(|count| count.get() > 1) {
            true => Self::made(first),
            false => None,
        }
    }

    /// `None` where there is no thread to be had.
    fn made(first: &Detector) -> Option<Self> {
        let source = thread::current().name().unwrap_or("detect").to_owned();
        let builder = ThreadPoolBuilder::new()
            .num_threads(1)
            .thread_name(move |_| source.clone());
        Some(Self {
            thread: builder.build().ok()?,
            detector: first.another_apart(),
        })
    }
}

/// Whole lines, about [`PIECE_BYTES`] of them each time, and whole documents that are spread over lines.
fn pieces(lines: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    iter::from_fn(move || {
        let rest = &lines[start..];
        let newline = memchr(b'\n', rest.get(PIECE_BYTES..).unwrap_or_default());
        let end = newline.map_or(lines.len(), |at| start + PIECE_BYTES + at + 1);
        let end = document::end_from(lines, end);
        let piece = start..end;
        start = end;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Each takes the next piece as soon as it has done with one, since the processors may have other work as well.
fn share(
    first: &mut Detector,
    helper: &mut Helper,
    block: &Block<'_>,
    arrival: Timestamp,
    out: &mut Vec<Detection>,
) {
    let pieces = Mutex::new(pieces(block.bytes).enumerate());
    let next = || pieces.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = |detector: &mut Detector| {
        let found = iter::from_fn(next).map(|(number, piece)| {
            let mut found = Vec::with_capacity(PIECE_HITS);
            let piece = Block {
                bytes: &block.bytes[piece.clone()],
                shape: block.shape,
                header: block.header,
                first_part: None,
                provenance: &|at| (block.provenance)(piece.start + at),
            };
            detector.scan(&piece, arrival, &mut found);
            (number, found)
        });
        found.collect::<Vec<_>>()
    };
    let Helper { detector, thread } = helper;
    let mut of_helper = Vec::new();
    let mut found = thread.in_place_scope(|scope| {
        scope.spawn(|_| of_helper = work(detector));
        work(first)
    });
    found.append(&mut of_helper);
    found.sort_unstable_by_key(|(number, _)| *number);
    out.reserve(found.iter().map(|(_, found)| found.len()).sum());
    for (_, mut found) in found {
        out.append(&mut found);
    }
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
    use crate::{config, detect, detect::Technique, record::Header};

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

    fn lines(text: &str) -> Block<'_> {
        Block {
            bytes: text.as_bytes(),
            shape: Shape::Lines,
            header: None,
            first_part: None,
            provenance: &|at| at.to_string().into(),
        }
    }

    fn hit(number: usize) -> String {
        format!(
            r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"{number}","verb":"get","user":{{"username":"system:serviceaccount:honeypot:backup-sa"}}}}"#
        )
    }

    #[test]
    fn two_find_what_one_finds_in_the_same_order() {
        let mut one = detector();
        let mut pair = DetectorPair::new(one.another());
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
                    header: None,
                    first_part: None,
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
            is_busy: true,
            ..DetectorPair::new(one.another())
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
            let block = lines(&text);
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
            header: None,
            first_part: None,
            provenance: &|at| {
                if waits.load(Relaxed) && known.lock().unwrap().insert(thread::current().id()) {
                    both.wait();
                }
                at.to_string().into()
            },
        };
        let (mut one, mut first) = (detector(), detector());
        let mut helper = Helper::made(&first).expect("a thread");
        let (mut of_one, mut of_both) = (Vec::new(), Vec::new());
        one.scan(&block, Timestamp::UNIX_EPOCH, &mut of_one);
        waits.store(true, Relaxed);
        share(
            &mut first,
            &mut helper,
            &block,
            Timestamp::UNIX_EPOCH,
            &mut of_both,
        );
        assert_eq!(of_both, of_one);
        assert_eq!(first.counts() + helper.detector.counts(), one.counts());
    }

    #[test]
    fn a_document_that_is_spread_over_lines_is_looked_at_by_one() {
        let pretty = |number| {
            let event: serde_json::Value = serde_json::from_str(&hit(number)).unwrap();
            serde_json::to_string_pretty(&event).unwrap()
        };
        let text: String = (0..1000)
            .map(|number| match number % 3 {
                0 => hit(number) + "\n",
                _ => pretty(number) + "\n",
            })
            .collect();
        let block = lines(&text);
        let (mut one, mut first) = (detector(), detector());
        let mut helper = Helper::made(&first).expect("a thread");
        let (mut of_one, mut of_both) = (Vec::new(), Vec::new());
        let arrival = Timestamp::UNIX_EPOCH;
        one.scan(&block, arrival, &mut of_one);
        share(&mut first, &mut helper, &block, arrival, &mut of_both);
        assert_eq!(of_one.len(), 1000);
        assert_eq!(of_both, of_one);
    }

    #[test]
    fn both_know_the_names_of_columns() {
        let user = r#"{""username"":""system:serviceaccount:honeypot:backup-sa""}"#;
        let row = |number: usize| format!("{number},list,\"{user}\",ResponseComplete,/api\n");
        let text: String = (0..1000).map(row).collect();
        let header = Header::at_start(b"AuditId,Verb,User,Stage,RequestUri\n", usize::MAX);
        let block = Block {
            bytes: text.as_bytes(),
            shape: Shape::Lines,
            header: header.as_ref(),
            first_part: None,
            provenance: &|at| at.to_string().into(),
        };
        let (mut first, mut found) = (detector(), Vec::new());
        let mut helper = Helper::made(&first).expect("a thread");
        let arrival = Timestamp::UNIX_EPOCH;
        share(&mut first, &mut helper, &block, arrival, &mut found);
        let uses = found
            .iter()
            .filter(|one| one.technique == Technique::TokenUse);
        assert_eq!(uses.count(), 1000);
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
