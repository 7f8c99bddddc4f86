//! Two threads for blocks in which much is found.
//!
//! What touches no decoy is searched as fast as it is read, and a thread more would gain nothing. A hit takes twenty times as
//! long as another line, and a flood of hits is what an intruder may cause to hide in.

use std::thread;

use jiff::Timestamp;
use memchr::memchr;

use crate::{
    detect::{Counts, Detection, Detector},
    source::{Block, Shape},
};

/// Hits in a block from which on the next one is shared: a thread takes as long to begin and end as about ten hits.
const MANY_HITS: usize = 64;

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
        let middle = middle(block).filter(|_| self.is_busy && !self.first.needs_order(block));
        match (middle, &mut self.second) {
            (Some(middle), Some(second)) => {
                scan_halves((&mut self.first, second), block, middle, arrival, out);
            }
            _ => self.first.scan(block, arrival, out),
        }
        self.is_busy = out.len() - before >= MANY_HITS;
    }
}

/// Where the first line in the second half of a block of lines begins.
fn middle(block: &Block<'_>) -> Option<usize> {
    let half = block.bytes.len() / 2;
    let newline = memchr(b'\n', &block.bytes[half..])?;
    (block.shape == Shape::Lines).then_some(half + newline + 1)
}

fn scan_halves(
    (first, second): (&mut Detector, &mut Detector),
    block: &Block<'_>,
    middle: usize,
    arrival: Timestamp,
    out: &mut Vec<Detection>,
) {
    let (head, tail) = block.bytes.split_at(middle);
    let head = Block {
        bytes: head,
        ..*block
    };
    let tail = Block {
        bytes: tail,
        shape: block.shape,
        provenance: &|at| (block.provenance)(middle + at),
    };
    let mut found = Vec::new();
    let mut scan_tail = || second.scan(&tail, arrival, &mut found);
    let is_helped = thread::scope(|scope| {
        let helper = thread::Builder::new().spawn_scoped(scope, &mut scan_tail);
        first.scan(&head, arrival, out);
        helper.is_ok_and(|helper| match helper.join() {
            Ok(()) => true,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    });
    if !is_helped {
        // The system gives no more threads.
        scan_tail();
    }
    out.append(&mut found);
}

#[cfg(test)]
mod tests {
    use std::iter;

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
        assert!(pair.second.is_some_and(|second| second.counts().events > 0));
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
    fn only_lines_are_shared() {
        for (shape, bytes, place) in [
            (Shape::Lines, "1\n2\n", Some(4)),
            (Shape::Lines, "1\n2\n3", Some(4)),
            (Shape::Lines, "12", None),
            (Shape::Lines, "", None),
            (Shape::Value, "1\n2\n", None),
            (
                Shape::Oversized {
                    first: true,
                    last: false,
                },
                "1\n2\n",
                None,
            ),
        ] {
            let block = Block {
                bytes: bytes.as_bytes(),
                shape,
                provenance: &|at| at.to_string().into(),
            };
            assert_eq!(middle(&block), place, "{bytes:?}");
        }
    }
}
