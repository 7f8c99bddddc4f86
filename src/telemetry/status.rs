//! Whether a component is well, as it says itself.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use jiff::Timestamp;

/// What one component last said of itself. Clones are the same status.
#[derive(Clone, Debug, Default)]
pub struct Status(Arc<Mutex<Option<Trouble>>>);

/// What is wrong with a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// In words for a person; names no secret, and is neutralised.
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
        self.set(reason.into(), false);
    }

    /// The component cannot do its work until somebody mends something.
    pub fn broken(&self, reason: impl Into<String>) {
        self.set(reason.into(), true);
    }

    /// What is wrong; `None` if nothing is.
    pub fn trouble(&self) -> Option<Trouble> {
        self.lock().clone()
    }

    /// Whatever thread holds this says so if it panics.
    pub fn alarm(&self) -> Alarm {
        Alarm(self.clone())
    }

    fn set(&self, reason: String, is_lasting: bool) {
        let mut trouble = self.lock();
        let since = trouble.as_ref().map(|trouble| trouble.since);
        *trouble = Some(Trouble {
            reason,
            is_lasting,
            since: since.unwrap_or_else(Timestamp::now),
        });
    }

    fn lock(&self) -> MutexGuard<'_, Option<Trouble>> {
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
