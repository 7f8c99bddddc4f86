//! What cannot be read at the moment: said once, counted once, and shown for as long as it lasts.

use std::{
    collections::BTreeMap,
    fmt::Display,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering::Relaxed},
};

use super::shown;
use crate::{
    format::visible,
    source::{Context, Counters},
    telemetry::Status,
};

/// Characters that a status tells of a fault.
const SHOWN: usize = 300;

/// The paths that cannot be read, and why.
#[derive(Default)]
pub(super) struct Faults {
    /// Of this round.
    now: BTreeMap<PathBuf, String>,
    /// Of the round before.
    before: BTreeMap<PathBuf, String>,
    counters: Arc<Counters>,
    status: Status,
}

impl Faults {
    pub(super) fn new(context: &Context) -> Self {
        Self {
            counters: Arc::clone(&context.counters),
            status: context.status.clone(),
            ..Self::default()
        }
    }

    /// Everything is looked at anew: what did not fail since the last round began is over.
    pub(super) fn next_round(&mut self) {
        if self.now.is_empty() && !self.before.is_empty() {
            self.status.well();
        }
        self.before = std::mem::take(&mut self.now);
        if !self.before.is_empty() {
            self.show();
        }
    }

    /// `path` cannot be read, and will be tried again.
    pub(super) fn cannot_read(&mut self, path: &Path, error: &dyn Display) {
        if self.now.contains_key(path) {
            return;
        }
        self.now.insert(path.to_owned(), error.to_string());
        if !self.before.contains_key(path) {
            tracing::warn!(path = %shown(path), %error, "cannot read; will try again");
            self.counters.errors.fetch_add(1, Relaxed);
            self.show();
        }
    }

    fn show(&self) {
        let all = || self.now.iter().chain(&self.before);
        let Some((path, error)) = all().next() else {
            return;
        };
        let others = all().filter(|(other, _)| *other != path).count();
        let mut reason = format!("cannot read {}: {error}", path.display());
        if others > 0 {
            reason += &format!(" (and {others} more)");
        }
        self.status.unwell(visible(&reason, SHOWN));
    }

    #[cfg(test)]
    pub(super) fn paths(&self) -> Vec<&Path> {
        self.now.keys().map(PathBuf::as_path).collect()
    }
}
