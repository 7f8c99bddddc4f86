//! Whether a source has fallen silent and whether a sink fails, from what is seen of them at each look.
//!
//! Pure: the time comes in as an argument. It is counted in [`Steps`] from look to look, so that neither a
//! clock that is set nor a machine that slept makes anybody silent.

use std::time::Duration;

use jiff::Timestamp;

use super::Trouble;

/// The most that counts between two looks, which are a second apart on a machine that is awake.
const LONGEST_STEP: Duration = Duration::from_secs(5);

/// How long a sink may be in lasting trouble before the others tell of it: one odd answer, put right by the next
/// try, is nobody's business, and while alerts do not arrive nobody should wait long to hear of that.
const LASTING: Duration = Duration::from_secs(10);

/// How long a sink may be unwell for what may pass by itself: most outages and restarts of a receiver are over by
/// then, and what waits is kept.
const UNWELL: Duration = Duration::from_secs(600);

/// The least time from one telling that a sink fails to the next, so that one that comes and goes does not
/// flood the others. (A source tells by itself at most once in its `silence_secs`.)
const AGAIN: Duration = Duration::from_secs(600);

/// The time that passes from look to look.
#[derive(Clone, Debug)]
pub struct Steps {
    last: Timestamp,
}

impl Steps {
    pub fn new(start: Timestamp) -> Self {
        Self { last: start }
    }

    /// The time since the look before: nothing if the clock was set back, and never more than a few seconds.
    pub fn next(&mut self, now: Timestamp) -> Duration {
        let step = now.duration_since(self.last);
        self.last = now;
        Duration::try_from(step)
            .unwrap_or_default()
            .min(LONGEST_STEP)
    }
}

/// What is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// A source has been silent, or a sink has failed, `since` then.
    Began { since: Timestamp },
    /// What began then is over.
    Ended { since: Timestamp },
}

/// One source: whether it is silent, and whether that was told.
#[derive(Clone, Debug)]
pub struct Silence {
    /// `None` if its silence is not to be told.
    limit: Option<Duration>,
    last_event: Option<Timestamp>,
    /// Its last event, or the start.
    since: Timestamp,
    quiet: Duration,
    told: Option<Timestamp>,
}

/// What is seen of a source.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    /// When the last event came from it; `None` before the first.
    pub last_event: Option<Timestamp>,
    /// It reads, and nothing holds it up: not at the end of its input, nor while the sinks are too slow for it.
    pub is_reading: bool,
}

impl Silence {
    /// `told`: since when it was silent before `start`, if that was told.
    pub fn new(limit: Option<Duration>, start: Timestamp, told: Option<Timestamp>) -> Self {
        Self {
            limit,
            last_event: None,
            since: start,
            quiet: Duration::ZERO,
            told,
        }
    }

    /// One look, `step` after the one before.
    pub fn look(&mut self, life: Life, step: Duration, now: Timestamp) -> Option<Turn> {
        if let Some(last_event) = life.last_event
            && life.last_event != self.last_event
        {
            self.last_event = life.last_event;
            self.since = last_event;
            let ago = Duration::try_from(now.duration_since(last_event));
            self.quiet = ago.unwrap_or_default().min(step);
            return self.told.take().map(|since| Turn::Ended { since });
        }
        if !life.is_reading {
            self.quiet = Duration::ZERO;
            return None;
        }
        self.quiet = self.quiet.saturating_add(step);
        if self.told.is_some() || self.limit.is_none_or(|limit| self.quiet < limit) {
            return None;
        }
        let since = self.since.min(now);
        self.told = Some(since);
        Some(Turn::Began { since })
    }
}

/// One sink: whether it fails, and whether that was told.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Since when it is in the trouble of the look before.
    trouble: Option<Timestamp>,
    lasting: Duration,
    unwell: Duration,
    /// Since it was last told that it fails.
    rest: Duration,
    /// It has failed, or delivered, since the start: so that no trouble means that it works.
    is_known: bool,
    told: Option<Timestamp>,
}

impl Failure {
    /// `told`: since when it failed before the start, if that was told.
    pub fn new(told: Option<Timestamp>) -> Self {
        Self {
            trouble: None,
            lasting: Duration::ZERO,
            unwell: Duration::ZERO,
            rest: AGAIN,
            is_known: false,
            told,
        }
    }

    /// One look, `step` after the one before. `has_delivered`: anything, since the start.
    pub fn look(
        &mut self,
        trouble: Option<&Trouble>,
        has_delivered: bool,
        step: Duration,
    ) -> Option<Turn> {
        self.rest = self.rest.saturating_add(step);
        self.is_known |= trouble.is_some() || has_delivered;
        let since = trouble.map(|trouble| trouble.since);
        if self.trouble != since {
            self.trouble = since;
            self.lasting = Duration::ZERO;
            self.unwell = Duration::ZERO;
        }
        let Some(trouble) = trouble else {
            let is_over = self.is_known;
            let told = self.told.take_if(|_| is_over);
            return told.map(|since| Turn::Ended { since });
        };
        self.unwell = self.unwell.saturating_add(step);
        self.lasting = if trouble.is_lasting {
            self.lasting.saturating_add(step)
        } else {
            Duration::ZERO
        };
        let is_worth_telling = self.lasting >= LASTING || self.unwell >= UNWELL;
        if self.told.is_some() || !is_worth_telling || self.rest < AGAIN {
            return None;
        }
        self.rest = Duration::ZERO;
        self.told = Some(trouble.since);
        Some(Turn::Began {
            since: trouble.since,
        })
    }
}

#[cfg(test)]
mod tests;
