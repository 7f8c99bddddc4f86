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

/// What a status tells where nothing is found.
const NOTHING: &str = "there is no file that include names";

/// The paths that cannot be read, and why.
#[derive(Default)]
pub(super) struct Faults {
    /// Of this round.
    now: BTreeMap<PathBuf, String>,
    /// Of the round before.
    before: BTreeMap<PathBuf, String>,
    /// A file was found since the start.
    has_found: bool,
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
        if self.now.is_empty() && self.before.is_empty() {
            return;
        }
        self.before = std::mem::take(&mut self.now);
        self.show();
    }

    /// Whether any files are there. That there are none is trouble until there are some: later they may have been rotated away.
    pub(super) fn found(&mut self, any: bool) {
        if !self.has_found {
            self.has_found = any;
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
            return match self.has_found {
                true => self.status.well(),
                false => self.status.unwell(NOTHING),
            };
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
