//! Which pieces of a collection have changed.

use std::collections::BTreeSet;

/// Keys of what changed since they were last taken. Notes nothing until it is told to.
#[derive(Debug)]
pub(super) struct Noted<K>(Option<BTreeSet<K>>);

impl<K> Default for Noted<K> {
    fn default() -> Self {
        Self(None)
    }
}

impl<K: Ord> Noted<K> {
    /// Notes from now on.
    pub(super) fn start(&mut self) {
        self.0.get_or_insert_default();
    }

    /// What has this key changed, appeared or was forgotten. The key is made only if it is noted.
    pub(super) fn note(&mut self, key: impl FnOnce() -> K) {
        if let Some(keys) = &mut self.0 {
            keys.insert(key());
        }
    }

    /// The keys, in order; from now on they count as unchanged.
    pub(super) fn take(&mut self) -> BTreeSet<K> {
        self.0.as_mut().map(std::mem::take).unwrap_or_default()
    }
}
