//! The time that drives incidents.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

/// Wall time that never goes backwards: what the wall clock said at the start, and what
/// a steady clock has counted since.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall: Timestamp,
    steady: Instant,
}

impl Clock {
    pub fn start() -> Self {
        Self {
            wall: Timestamp::now(),
            steady: Instant::now(),
        }
    }

    pub fn now(&self) -> Timestamp {
        let elapsed =
            SignedDuration::try_from(self.steady.elapsed()).unwrap_or(SignedDuration::MAX);
        self.wall.checked_add(elapsed).unwrap_or(Timestamp::MAX)
    }

    /// The moment of the steady clock at which it will be `time`; now, if that is past.
    pub fn instant(&self, time: Timestamp) -> Instant {
        let wait = time.duration_since(self.now());
        Instant::now() + Duration::try_from(wait).unwrap_or_default()
    }
}
