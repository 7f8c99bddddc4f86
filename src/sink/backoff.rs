//! How long to wait before the next try.

use std::time::Duration;

/// Exponential backoff with full jitter: each wait is chosen at random from zero up to a
/// ceiling, which doubles with every try. Many clients that failed together do not come
/// back together.
pub(super) struct Backoff {
    most: Duration,
    ceiling: Duration,
}

impl Backoff {
    /// The first wait is at most `initial`, and none is longer than `most`.
    pub fn new(initial: Duration, most: Duration) -> Self {
        Self {
            most,
            ceiling: initial.min(most),
        }
    }

    /// The wait before the next try.
    pub fn next_wait(&mut self) -> Duration {
        let wait = self.ceiling.mul_f64(fastrand::f64());
        self.ceiling = self.ceiling.saturating_mul(2).min(self.most);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_doubles_up_to_the_most() {
        let secs = Duration::from_secs;
        let mut backoff = Backoff::new(secs(1), secs(30));
        for ceiling in [1, 2, 4, 8, 16, 30, 30, 30] {
            assert!(backoff.next_wait() <= secs(ceiling));
        }
        let waits: Vec<_> = (0..1_000).map(|_| backoff.next_wait()).collect();
        assert!(waits.iter().all(|wait| *wait <= secs(30)));
        assert!(waits.iter().any(|wait| *wait > secs(20)), "it reaches up");
        assert!(waits.iter().any(|wait| *wait < secs(10)), "it is jittered");
    }

    #[test]
    fn absurd_settings_do_no_harm() {
        let mut backoff = Backoff::new(Duration::MAX, Duration::from_secs(1));
        assert!(backoff.next_wait() <= Duration::from_secs(1));
        let mut endless = Backoff::new(Duration::from_secs(u64::MAX / 4), Duration::MAX);
        for _ in 0..10 {
            endless.next_wait();
        }
    }
}
