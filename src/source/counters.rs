//! What a source counts of itself.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use jiff::Timestamp;

/// What a source has done so far, beyond what is counted where its blocks are searched. Read it at any time.
#[derive(Debug, Default)]
pub struct Counters {
    /// Faults on the way in: connections lost, files that cannot be read.
    pub errors: AtomicU64,
    /// Records that were passed because nothing can be in them, such as a tombstone.
    pub discarded: AtomicU64,
    /// Records that wait upstream, plus one; 0 while that is not known.
    lag: AtomicU64,
    /// Milliseconds since 1970; 0 before the first record.
    last_event: AtomicU64,
}

impl Counters {
    /// `records` wait upstream.
    pub fn set_lag(&self, records: u64) {
        self.lag.store(records.saturating_add(1), Relaxed);
    }

    /// Records that wait upstream, if the source can tell.
    pub fn lag(&self) -> Option<u64> {
        self.lag.load(Relaxed).checked_sub(1)
    }

    /// Records came in at `now`.
    pub fn saw_event(&self, now: Timestamp) {
        let millis = u64::try_from(now.as_millisecond()).unwrap_or_default();
        self.last_event.store(millis, Relaxed);
    }

    /// When the last records came in, to the millisecond; `None` before the first.
    pub fn last_event(&self) -> Option<Timestamp> {
        let millis = i64::try_from(self.last_event.load(Relaxed)).ok()?;
        (millis > 0)
            .then(|| Timestamp::from_millisecond(millis).ok())
            .flatten()
    }
}
