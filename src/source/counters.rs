//! What a source counts of itself.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
};

use jiff::Timestamp;

use super::{Block, OVERLAP, Shape, server};
use crate::record::{msgpack, protobuf};

/// Stands for a time that never was.
const NEVER: i64 = i64::MIN;

/// What a source has done so far. Read it at any time.
#[derive(Debug)]
pub struct Counters {
    /// Faults on the way in: connections lost, files that cannot be read.
    pub errors: AtomicU64,
    /// What was passed because it cannot be a record, such as a tombstone. Bytes that are no record are searched all the same,
    /// and count as received too.
    pub discarded: AtomicU64,
    /// What might concern a decoy and could not be decoded, or is no detection, or not understood in full, where one is expected.
    pub undecodable: AtomicU64,
    /// It waits for the pipeline to take what was found, and cannot read meanwhile.
    pub is_held_up: AtomicBool,
    /// Records that wait upstream, plus one; 0 while that is not known.
    lag: AtomicU64,
    /// Whether records are counted. Where nobody can see them they are not: of what a clean log costs, to count
    /// its newlines is 7 %.
    counts_records: bool,
    /// Records that were handed on.
    records: AtomicU64,
    /// Their bytes, delimiters included.
    bytes: AtomicU64,
    /// When the last of them came, in milliseconds of Unix time.
    last_event: AtomicI64,
    /// Of a source that listens.
    server: OnceLock<Arc<server::Counters>>,
}

impl Default for Counters {
    fn default() -> Self {
        Self::new(true)
    }
}

impl Counters {
    /// Counters that count records only if somebody may see that.
    pub fn new(counts_records: bool) -> Self {
        Self {
            counts_records,
            errors: AtomicU64::new(0),
            discarded: AtomicU64::new(0),
            undecodable: AtomicU64::new(0),
            is_held_up: AtomicBool::new(false),
            lag: AtomicU64::new(0),
            records: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            last_event: AtomicI64::new(NEVER),
            server: OnceLock::new(),
        }
    }

    /// The source listens: what it counts of its connections.
    pub(crate) fn serve(&self) -> Arc<server::Counters> {
        Arc::clone(self.server.get_or_init(Arc::default))
    }

    /// What a source that listens counts of its connections; `None` for any other.
    pub fn server(&self) -> Option<&server::Counters> {
        self.server.get().map(Arc::as_ref)
    }

    /// So many `records` wait upstream; `None` if that is not known, or not any more.
    pub fn set_lag(&self, records: Option<u64>) {
        let kept = records.map_or(0, |records| records.saturating_add(1));
        self.lag.store(kept, Relaxed);
    }

    /// Records that wait upstream, if the source can tell.
    pub fn lag(&self) -> Option<u64> {
        self.lag.load(Relaxed).checked_sub(1)
    }

    /// A block was handed on at `now`. Gives the number of its records, 0 where they are not counted.
    pub fn received(&self, block: &Block<'_>, now: Timestamp) -> u64 {
        let records = if self.counts_records {
            records(block)
        } else {
            0
        };
        self.records.fetch_add(records, Relaxed);
        self.bytes.fetch_add(own_bytes(block), Relaxed);
        self.last_event.store(now.as_millisecond(), Relaxed);
        records
    }

    /// Records that were handed on.
    pub fn records(&self) -> u64 {
        self.records.load(Relaxed)
    }

    /// The bytes of these, delimiters included.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// When the last record came, to the millisecond; `None` before the first.
    pub fn last_event(&self) -> Option<Timestamp> {
        match self.last_event.load(Relaxed) {
            NEVER => None,
            milliseconds => Timestamp::from_millisecond(milliseconds).ok(),
        }
    }
}

/// The records of a block. An oversized one counts with its last part.
fn records(block: &Block<'_>) -> u64 {
    match block.shape {
        Shape::Lines => {
            let delimiters = memchr::memchr_iter(b'\n', block.bytes).count();
            let lacks_its_own = block.bytes.last().is_some_and(|last| *last != b'\n');
            (delimiters + usize::from(lacks_its_own)) as u64
        }
        Shape::Value => 1,
        Shape::MessagePack => msgpack::entries(block.bytes).count() as u64,
        Shape::PushEvents => protobuf::entries(block.bytes).count() as u64,
        Shape::Oversized { last, .. } => u64::from(last),
    }
}

/// The bytes of a block; what an oversized record's parts repeat counts once.
fn own_bytes(block: &Block<'_>) -> u64 {
    let repeated = match block.shape {
        Shape::Oversized { first: false, .. } => OVERLAP,
        _ => 0,
    };
    block.bytes.len().saturating_sub(repeated) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(bytes: &[u8], shape: Shape) -> (u64, u64) {
        let counters = Counters::new(true);
        let block = Block {
            bytes,
            shape,
            header: None,
            first_part: None,
            provenance: &|_| String::new().into(),
        };
        counters.received(&block, Timestamp::UNIX_EPOCH);
        assert_eq!(counters.last_event(), Some(Timestamp::UNIX_EPOCH));
        (counters.records(), counters.bytes())
    }

    #[test]
    fn a_line_is_a_record_with_or_without_its_newline() {
        assert_eq!(received(b"a\nbc\n", Shape::Lines), (2, 5));
        assert_eq!(received(b"a\nbc", Shape::Lines), (2, 4));
        assert_eq!(received(b"", Shape::Lines), (0, 0));
        assert_eq!(received(b"{\n\n}", Shape::Value), (1, 4));
    }

    #[test]
    fn an_oversized_record_counts_once_whatever_its_parts() {
        let part = vec![b'x'; 3 * OVERLAP];
        let counters = Counters::new(true);
        for (first, last) in [(true, false), (false, false), (false, true)] {
            let block = Block {
                bytes: &part,
                shape: Shape::Oversized { first, last },
                header: None,
                first_part: None,
                provenance: &|_| String::new().into(),
            };
            counters.received(&block, Timestamp::now());
        }
        assert_eq!(counters.records(), 1);
        assert_eq!(counters.bytes(), 7 * OVERLAP as u64);
    }

    #[test]
    fn records_that_nobody_sees_are_not_counted() {
        let counters = Counters::new(false);
        let block = Block {
            bytes: b"a\n",
            shape: Shape::Lines,
            header: None,
            first_part: None,
            provenance: &|_| String::new().into(),
        };
        assert_eq!(counters.received(&block, Timestamp::UNIX_EPOCH), 0);
        assert_eq!((counters.records(), counters.bytes()), (0, 2));
        assert!(counters.last_event().is_some());
    }

    #[test]
    fn what_is_not_known_is_not_told() {
        let counters = Counters::new(true);
        assert_eq!((counters.lag(), counters.last_event()), (None, None));
        counters.set_lag(Some(0));
        assert_eq!(counters.lag(), Some(0));
        counters.set_lag(None);
        assert_eq!(counters.lag(), None);
    }
}
