//! Whether a component is well, as it says itself.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;

/// What one component last said of itself. Clones are the same status.
#[derive(Clone, Debug, Default)]
pub struct Status(Arc<Mutex<Option<Said>>>);

#[derive(Clone, Debug)]
struct Said {
    trouble: Trouble,
    /// Until when it is believed; `None` until something else is said.
    until: Option<Instant>,
}

impl Said {
    fn is_believed(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() < until)
    }
}

/// What is wrong with a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// In words for a person; names no secret.
    pub reason: String,
    /// Nothing will pass until somebody mends it, such as a webhook that was withdrawn: the other sinks tell
    /// of it. What may pass by itself, such as a receiver that is down, is not lasting.
    pub is_lasting: bool,
    /// Since when the component has been in trouble, for whatever reason.
    pub since: Timestamp,
}

impl Status {
    /// The component works.
    pub fn well(&self) {
        *self.lock() = None;
    }

    /// The component cannot do its work at the moment.
    pub fn unwell(&self, reason: impl Into<String>) {
        self.set(reason.into(), false, None);
    }

    /// As [`unwell`](Self::unwell), and well again when nothing of the kind was said for `time`.
    pub fn unwell_for(&self, time: Duration, reason: impl Into<String>) {
        self.set(reason.into(), false, Some(Instant::now() + time));
    }

    /// The component cannot do its work until somebody mends something.
    pub fn broken(&self, reason: impl Into<String>) {
        self.set(reason.into(), true, None);
    }

    /// What is wrong; `None` if nothing is.
    pub fn trouble(&self) -> Option<Trouble> {
        let said = self.lock();
        let said = said.as_ref().filter(|said| said.is_believed());
        said.map(|said| said.trouble.clone())
    }

    /// Whatever thread holds this says so if it panics.
    pub fn alarm(&self) -> Alarm {
        Alarm(self.clone())
    }

    fn set(&self, reason: String, is_lasting: bool, until: Option<Instant>) {
        let mut said = self.lock();
        let before = said.as_ref().filter(|said| said.is_believed());
        let since = before.map(|said| said.trouble.since);
        *said = Some(Said {
            trouble: Trouble {
                reason,
                is_lasting,
                since: since.unwrap_or_else(Timestamp::now),
            },
            until,
        });
    }

    fn lock(&self) -> MutexGuard<'_, Option<Said>> {
        // What it guards is sound after each step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says of a component whose thread panics that it does not work any more.
pub struct Alarm(Status);

impl Drop for Alarm {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.broken("it panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_lasts_from_its_beginning_whatever_its_reason() {
        let status = Status::default();
        assert_eq!(status.trouble(), None);
        status.unwell("refused");
        let first = status.trouble().unwrap();
        status.clone().broken("404");
        let second = status.trouble().unwrap();
        assert_eq!((second.since, second.is_lasting), (first.since, true));
        assert_eq!(second.reason, "404");
        status.well();
        assert_eq!(status.trouble(), None);
    }

    #[test]
    fn what_is_said_for_a_time_is_over_by_itself() {
        let status = Status::default();
        status.unwell_for(Duration::from_secs(60), "refused");
        assert!(status.trouble().is_some());
        status.unwell_for(Duration::ZERO, "refused");
        assert_eq!(status.trouble(), None);
        status.unwell("down");
        assert!(status.trouble().is_some());
    }

    #[test]
    fn who_panics_is_broken_and_who_ends_is_not() {
        let status = Status::default();
        let ends = |panics: bool| {
            let alarm = status.alarm();
            let thread = thread::spawn(move || {
                let _alarm = alarm;
                assert!(!panics, "on purpose");
            });
            let _ = thread.join();
        };
        ends(false);
        assert_eq!(status.trouble(), None);
        ends(true);
        assert!(status.trouble().is_some_and(|trouble| trouble.is_lasting));
    }
}
