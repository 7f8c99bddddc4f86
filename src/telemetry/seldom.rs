//! Warnings that an attacker could otherwise make baitline repeat without end.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The least time between two warnings of one kind.
const PAUSE: Duration = Duration::from_secs(10);

/// Lets one warning through in ten seconds, whichever thread asks.
#[derive(Debug, Default)]
pub struct Seldom {
    last: Mutex<Option<Instant>>,
}

impl Seldom {
    /// Whether it is time to warn; if so, the pause begins anew.
    pub fn is_due(&self) -> bool {
        // What it guards is sound after each step.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| last.elapsed() >= PAUSE);
        if is_due {
            *last = Some(Instant::now());
        }
        is_due
    }
}
