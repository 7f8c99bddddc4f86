//! What transforms count of themselves.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::{dedupe, telemetry::snapshot::Figures};

/// What a transform has done so far. Read it at any time.
#[derive(Debug, Default)]
pub struct Counters {
    /// Records or detections that it took in.
    pub received: AtomicU64,
    /// Detections or alerts that it gave.
    pub sent: AtomicU64,
    open_incidents: AtomicU64,
    /// Hits that were folded into a flood.
    folded: AtomicU64,
    evicted: AtomicU64,
}

impl Counters {
    /// What a `dedupe` says of itself after a step.
    pub fn note(&self, counts: &dedupe::Counts) {
        self.open_incidents
            .store(counts.open_incidents as u64, Relaxed);
        self.folded.store(counts.folded_hits, Relaxed);
        self.evicted.store(counts.evicted_incidents, Relaxed);
    }

    /// As they are told; `holds_incidents` in a `dedupe`.
    pub fn figures(&self, holds_incidents: bool) -> Figures {
        let of_incidents = |counter: &AtomicU64| holds_incidents.then(|| counter.load(Relaxed));
        Figures {
            received_events: Some(self.received.load(Relaxed)),
            sent_events: Some(self.sent.load(Relaxed)),
            open_incidents: of_incidents(&self.open_incidents),
            suppressed: of_incidents(&self.folded),
            evicted: of_incidents(&self.evicted),
            ..Figures::default()
        }
    }
}
