//! How many alerts may be told: budgets per decoy and severity.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, Reference},
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed},
};
use jiff::{SignedDuration, Timestamp};

use super::scope::Scope;
use crate::detect::Severity;

/// Longest window, 136 years, and where the clock stops: sums of them stay within 64 bits of nanoseconds.
const FOREVER_SECS: u64 = u32::MAX as u64;

/// Budgets of `threshold` alerts, refilled evenly in `window_secs`. Each severity of each
/// decoy has two, one of them for what strangers can make, so that noise cannot use up what a theft needs. In any time of `t`
/// seconds one gives at most `threshold * (1 + t / window_secs)`.
pub(super) struct Budgets {
    quota: Quota,
    clock: ToldClock,
    window: SignedDuration,
    /// What it was when the clock was set last.
    latest: Option<Timestamp>,
    /// The earliest that it was since then, if that is before.
    back: Option<Timestamp>,
    limiters: HashMap<Account, Limiter>,
}

/// What has a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Account {
    pub(super) scope: Scope,
    pub(super) severity: Severity,
    /// All of it may have been made by somebody who has nothing, and was let in nowhere.
    pub(super) is_noise: bool,
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, ToldClock, NoOpMiddleware<Nanos>>;

/// The time as the caller told it, in nanoseconds since the first it told. It never goes back: a
/// `now` that did, and came again, would otherwise refill the budgets each time. One that went back, and has gone on for a window
/// without coming again, was ahead before: the time has stood still for that window, and goes on.
#[derive(Clone, Debug, Default)]
struct ToldClock(Arc<AtomicU64>);

impl Clock for ToldClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.0.load(Ordering::Relaxed))
    }
}

impl Budgets {
    pub(super) fn new(threshold: u32, window_secs: u64) -> Self {
        let threshold = NonZeroU32::new(threshold).unwrap_or(NonZeroU32::MIN);
        let window = Duration::from_secs(window_secs.clamp(1, FOREVER_SECS));
        let refill = (window / threshold.get()).max(Duration::from_nanos(1));
        let quota = Quota::with_period(refill)
            .unwrap_or(Quota::per_second(NonZeroU32::MIN)) // a period is never zero here
            .allow_burst(threshold);
        Self {
            quota,
            clock: ToldClock::default(),
            window: SignedDuration::try_from(window).unwrap_or(SignedDuration::MAX),
            latest: None,
            back: None,
            limiters: HashMap::new(),
        }
    }

    /// It is `now`.
    pub(super) fn advance(&mut self, now: Timestamp) {
        let passed = now.duration_since(*self.latest.get_or_insert(now));
        if passed.is_negative() {
            let back = self.back.map_or(now, |back| back.min(now));
            let is_right = now.duration_since(back) >= self.window;
            self.back = (!is_right).then_some(back);
            if is_right {
                self.latest = Some(now);
            }
            return;
        }
        let time = i128::from(self.clock.0.load(Ordering::Relaxed)) + passed.as_nanos();
        let end = i128::from(FOREVER_SECS) * 1_000_000_000;
        // Only here is the clock set.
        self.clock
            .0
            .store(time.clamp(0, end) as u64, Ordering::Relaxed);
        (self.latest, self.back) = (Some(now), None);
    }

    /// Spends one alert, or says how long it is until there is one to spend.
    pub(super) fn spend(&mut self, account: Account) -> Result<(), Duration> {
        let limiter = self
            .limiters
            .entry(account)
            .or_insert_with(|| RateLimiter::direct_with_clock(self.quota, self.clock.clone()));
        let now = self.clock.now();
        limiter
            .check()
            .map_err(|until| until.earliest_possible().duration_since(now).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dedupe::{scope::Scopes, tests::stream::at};

    fn account(severity: Severity) -> Account {
        Account {
            scope: Scopes::default().of(None, &"ns/a".into()),
            severity,
            is_noise: false,
        }
    }

    #[test]
    fn gives_a_burst_and_then_an_even_trickle() {
        let mut budgets = Budgets::new(3, 60);
        let mut spend = |second: i64| {
            budgets.advance(at(second));
            budgets.spend(account(Severity::Low))
        };
        assert_eq!([spend(0), spend(0), spend(0)], [Ok(()); 3]);
        assert_eq!(spend(0), Err(Duration::from_secs(20)));
        assert_eq!(spend(19), Err(Duration::from_secs(1)));
        assert_eq!([spend(20), spend(20).map_err(drop).or(Ok(()))], [Ok(()); 2]);
        assert_eq!(spend(20), Err(Duration::from_secs(20)));
        assert_eq!([spend(1000), spend(1000), spend(1000)], [Ok(()); 3]);
        assert!(spend(1000).is_err());
    }

    #[test]
    fn severities_do_not_share_nor_does_noise() {
        let mut budgets = Budgets::new(1, 60);
        budgets.advance(at(0));
        assert!(budgets.spend(account(Severity::Low)).is_ok());
        assert!(budgets.spend(account(Severity::Low)).is_err());
        assert!(budgets.spend(account(Severity::Critical)).is_ok());
        let noise = Account {
            is_noise: true,
            ..account(Severity::Low)
        };
        assert!(budgets.spend(noise).is_ok());
        assert!(budgets.spend(noise).is_err());
    }

    #[test]
    fn a_clock_that_goes_back_and_forth_gives_nothing() {
        let mut budgets = Budgets::new(1, 60);
        let mut spend = |second: i64| {
            budgets.advance(at(second));
            budgets.spend(account(Severity::Low)).is_ok()
        };
        assert!(spend(100));
        for _ in 0..10 {
            assert!(!spend(0));
            assert!(!spend(159));
        }
        assert!(spend(160));
    }

    #[test]
    fn a_clock_that_was_ahead_stops_for_a_window() {
        let mut budgets = Budgets::new(1, 60);
        let mut spend = |second: i64| {
            budgets.advance(at(second));
            budgets.spend(account(Severity::Low)).is_ok()
        };
        assert!(spend(86_400));
        assert!(!spend(0));
        assert!(!spend(60));
        assert!(!spend(119));
        assert!(spend(120));
        assert!(!spend(179));
        assert!(spend(180));
    }

    #[test]
    fn no_configuration_and_no_time_overflows() {
        for (threshold, window_secs) in [(0, 0), (u32::MAX, 1), (u32::MAX, u64::MAX), (1, u64::MAX)]
        {
            let mut budgets = Budgets::new(threshold, window_secs);
            for now in [
                Timestamp::MIN,
                Timestamp::MAX,
                Timestamp::MIN,
                Timestamp::MAX,
            ] {
                budgets.advance(now);
                for _ in 0..3 {
                    let _ = budgets.spend(account(Severity::Low));
                }
            }
        }
    }
}
