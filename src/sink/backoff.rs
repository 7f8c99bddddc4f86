//! How long to wait before the next try.

use std::time::Duration;

use crate::audit::words;

/// How much of a wait is left to chance (`request.retry_jitter_mode`), in Vector's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Jitter {
    /// All of it: many clients that failed together do not come back together.
    Full,
    None,
}

words!(Jitter { Full = "Full", None = "None" });

/// Exponential backoff: each wait is chosen at random from zero up to a ceiling, or is the
/// ceiling, which doubles with every try.
pub(super) struct Backoff {
    most: Duration,
    ceiling: Duration,
    jitter: Jitter,
}

impl Backoff {
    /// With full jitter. The first wait is at most `initial`, and none is longer than `most`.
    pub fn new(initial: Duration, most: Duration) -> Self {
        Self::with(initial, most, Jitter::Full)
    }

    pub fn with(initial: Duration, most: Duration, jitter: Jitter) -> Self {
        Self {
            most,
            ceiling: initial.min(most),
            jitter,
        }
    }

    /// The wait before the next try.
    pub fn next_wait(&mut self) -> Duration {
        let wait = match self.jitter {
            Jitter::Full => self.ceiling.mul_f64(fastrand::f64()),
            Jitter::None => self.ceiling,
        };
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
    fn without_jitter_it_is_the_ceiling() {
        let secs = Duration::from_secs;
        let mut backoff = Backoff::with(secs(1), secs(5), Jitter::None);
        for wait in [1, 2, 4, 5, 5] {
            assert_eq!(backoff.next_wait(), secs(wait));
        }
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
