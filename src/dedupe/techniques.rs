//! How many hits of an incident were of which technique.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::detect::Technique;

/// Hits per technique.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Techniques {
    counts: BTreeMap<Technique, u64>,
    /// Techniques of requests that were counted elsewhere (see [`Techniques::mark`]).
    marked: BTreeSet<Technique>,
    /// Those of which a request was more than noise.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    done: BTreeSet<Technique>,
}

impl Techniques {
    /// One more hit.
    pub(super) fn add(&mut self, technique: Technique) {
        *self.counts.entry(technique).or_default() += 1;
    }

    /// A hit that was counted under `from` turned out to be a `to`.
    pub(super) fn shift(&mut self, from: Technique, to: Technique) {
        if from != to && self.take_out(from).is_some() {
            self.add(to);
        }
    }

    /// Undoes an [`add`](Self::add); `None` if there was none.
    pub(super) fn take_out(&mut self, technique: Technique) -> Option<()> {
        let count = self.counts.get_mut(&technique)?;
        *count = count.checked_sub(1)?;
        if *count == 0 {
            self.counts.remove(&technique);
        }
        Some(())
    }

    /// Names a technique without counting: its request was counted in an incident that is forgotten.
    pub(super) fn mark(&mut self, technique: Technique) {
        self.marked.insert(technique);
    }

    /// A request of `technique` was more than noise.
    pub(super) fn done(&mut self, technique: Technique) {
        self.done.insert(technique);
    }

    pub(super) fn was_done(&self, technique: Technique) -> bool {
        self.done.contains(&technique)
    }

    /// Whether none of it was more than noise.
    pub(super) fn are_noise(&self) -> bool {
        self.done.is_empty()
    }

    /// Hits of all techniques.
    pub(super) fn total(&self) -> u64 {
        self.counts.values().copied().fold(0, u64::saturating_add)
    }

    /// Those that occurred, in order of precedence.
    pub(super) fn list(&self) -> Vec<Technique> {
        let occurred = |technique: &Technique| {
            self.counts.contains_key(technique) || self.marked.contains(technique)
        };
        Technique::ALL.iter().copied().filter(occurred).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shift_leaves_no_trace_of_the_weaker_technique() {
        let mut techniques = Techniques::default();
        techniques.add(Technique::Recon);
        techniques.shift(Technique::Recon, Technique::Impersonation);
        assert_eq!(techniques.list(), [Technique::Impersonation]);
        techniques.add(Technique::Recon);
        techniques.mark(Technique::TokenUse);
        assert_eq!(
            techniques.list(),
            [
                Technique::TokenUse,
                Technique::Impersonation,
                Technique::Recon
            ]
        );
    }
}
