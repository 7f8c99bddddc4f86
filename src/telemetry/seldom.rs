//! Warnings that an attacker could otherwise make baitline repeat without end.

use std::time::{Duration, Instant};

/// The least time between two warnings of one kind.
const PAUSE: Duration = Duration::from_secs(10);

/// Lets one warning through in ten seconds.
#[derive(Debug, Default)]
pub struct Seldom {
    last: Option<Instant>,
}

impl Seldom {
    /// Whether it is time to warn; if so, the pause begins anew.
    pub fn is_due(&mut self) -> bool {
        let is_due = self.last.is_none_or(|last| last.elapsed() >= PAUSE);
        if is_due {
            self.last = Some(Instant::now());
        }
        is_due
    }
}
