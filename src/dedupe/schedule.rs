//! When an open incident has something to tell without being hit. Wall time only.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{AlertKind, Config};

/// `secs` seconds after `time`, or the end of time.
pub(super) fn after(time: Timestamp, secs: u64) -> Timestamp {
    let secs = i64::try_from(secs).unwrap_or(i64::MAX);
    time.checked_add(SignedDuration::from_secs(secs))
        .unwrap_or(Timestamp::MAX)
}

/// The plans of an open incident.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Schedule {
    /// Closed once this is reached: `idle_secs` after the last hit arrived.
    close_at: Timestamp,
    /// No digest before this.
    digest_at: Timestamp,
    /// Seconds between the previous digest, or the opening, and the next.
    digest_interval_secs: u64,
    /// Something is due, and there is no budget for it until then.
    wait_until: Option<Timestamp>,
}

impl Schedule {
    /// Opened, or revived, at `now`.
    pub(super) fn start(config: &Config, now: Timestamp) -> Self {
        Self {
            close_at: after(now, config.idle_secs),
            digest_at: after(now, config.digest_secs),
            digest_interval_secs: config.digest_secs,
            wait_until: None,
        }
    }

    /// A hit arrived.
    pub(super) fn hit(&mut self, config: &Config, now: Timestamp) {
        self.close_at = after(now, config.idle_secs);
    }

    /// It is `now`: what a clock that was ahead has planned for later than one interval from now is due one interval from
    /// now. True if there was such a plan.
    pub(super) fn set_back(&mut self, config: &Config, now: Timestamp) -> bool {
        let close_at = self.close_at.min(after(now, config.idle_secs));
        let digest_at = self.digest_at.min(after(now, self.digest_interval_secs));
        // No budget is waited for longer than a window.
        let wait_most = after(now, config.window_secs.max(1));
        let wait_until = self.wait_until.map(|until| until.min(wait_most));
        let before = (self.close_at, self.digest_at, self.wait_until);
        (self.close_at, self.digest_at, self.wait_until) = (close_at, digest_at, wait_until);
        before != (close_at, digest_at, wait_until)
    }

    /// Event time has shown that it is over.
    pub(super) fn over(&mut self, now: Timestamp) {
        self.close_at = self.close_at.min(now);
    }

    /// A digest was told.
    pub(super) fn digested(&mut self, config: &Config, now: Timestamp) {
        let doubled = self.digest_interval_secs.saturating_mul(2);
        // A maximum below the first interval shortens nothing.
        let longest = config.digest_max_secs.max(config.digest_secs);
        self.digest_interval_secs = doubled.min(longest);
        self.digest_at = after(now, self.digest_interval_secs);
        self.wait_until = None;
    }

    /// There is no budget for what is due.
    pub(super) fn wait(&mut self, now: Timestamp, wait: Duration) {
        let until = SignedDuration::try_from(wait)
            .ok()
            .and_then(|wait| now.checked_add(wait).ok());
        self.wait_until = Some(until.unwrap_or(Timestamp::MAX));
    }

    /// Nothing is waited for any more: all was told otherwise.
    pub(super) fn stop_waiting(&mut self) {
        self.wait_until = None;
    }

    /// When to look at it again. `untold`: there are hits that no alert has told of.
    pub(super) fn due(&self, untold: bool) -> Timestamp {
        let due = if untold {
            self.close_at.min(self.digest_at)
        } else {
            self.close_at
        };
        self.wait_until.map_or(due, |until| due.max(until))
    }

    /// What is to be told at `now`, if there is budget for it: the end rather than a digest.
    pub(super) fn action(&self, untold: bool, now: Timestamp) -> Option<AlertKind> {
        if self.due(untold) > now {
            None
        } else if self.close_at <= now {
            Some(AlertKind::Closed)
        } else {
            Some(AlertKind::Digest)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dedupe::tests::stream::at;

    fn config() -> Config {
        Config {
            idle_secs: 900,
            digest_secs: 60,
            digest_max_secs: 200,
            ..Config::default()
        }
    }

    #[test]
    fn digests_double_up_to_the_longest() {
        let mut schedule = Schedule::start(&config(), at(0));
        let mut now = 0;
        for interval in [60, 120, 200, 200] {
            schedule.hit(&config(), at(now));
            assert_eq!(schedule.due(true), at(now + interval));
            now += interval;
            assert_eq!(schedule.action(true, at(now - 1)), None);
            assert_eq!(schedule.action(true, at(now)), Some(AlertKind::Digest));
            schedule.digested(&config(), at(now));
        }
    }

    #[test]
    fn without_untold_hits_there_is_only_the_end() {
        let mut schedule = Schedule::start(&config(), at(0));
        assert_eq!(schedule.due(false), at(900));
        assert_eq!(schedule.action(false, at(899)), None);
        assert_eq!(schedule.action(true, at(900)), Some(AlertKind::Closed));
        schedule.hit(&config(), at(899));
        assert_eq!(schedule.due(false), at(1799));
        schedule.over(at(950));
        assert_eq!(schedule.action(false, at(950)), Some(AlertKind::Closed));
    }

    #[test]
    fn waits_for_budget() {
        let mut schedule = Schedule::start(&config(), at(0));
        schedule.wait(at(900), Duration::from_secs(3));
        assert_eq!(schedule.due(false), at(903));
        assert_eq!(schedule.action(false, at(902)), None);
        assert_eq!(schedule.action(false, at(903)), Some(AlertKind::Closed));
    }

    #[test]
    fn what_a_clock_that_was_ahead_has_planned_is_due_within_an_interval() {
        let day = 86_400;
        let mut schedule = Schedule::start(&config(), at(day));
        schedule.digested(&config(), at(day));
        schedule.wait(at(day), Duration::from_secs(3));
        assert!(!schedule.set_back(&config(), at(day)));
        assert!(schedule.set_back(&config(), at(0)));
        assert!(!schedule.set_back(&config(), at(0)));
        assert_eq!(schedule.due(true), at(120));
        assert_eq!(schedule.due(false), at(900));
    }

    #[test]
    fn the_end_of_time_is_no_overflow() {
        assert_eq!(after(Timestamp::MAX, 1), Timestamp::MAX);
        assert_eq!(after(at(0), u64::MAX), Timestamp::MAX);
        let mut schedule = Schedule::start(&config(), Timestamp::MAX);
        schedule.wait(Timestamp::MAX, Duration::MAX);
        assert_eq!(schedule.due(true), Timestamp::MAX);
    }
}
