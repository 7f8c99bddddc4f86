//! What changes is noted, and a machine goes on from what was stored.
//!
//! Each part of the machine notes what of it changed, and knows how it is stored. What is read
//! is believed only if it agrees with the rest, so that nothing which is counted on from it goes
//! wrong. Fields that are unknown are passed over: they are a newer version's, and the version
//! of the database says whether an older one may read it. Budgets are not stored.

use std::collections::{HashMap, hash_map::Entry};

use super::{
    Config, Dedupe,
    ledger::Ledger,
    requests::Counted,
    rows::Rows,
    saved::{Change, Part, RestoreError, Stored},
    scope::Scopes,
    techniques::Techniques,
    trail::Trails,
};
use crate::detect::Technique;

impl Dedupe {
    /// From now on notes what changes; what is held already is not noted. Without this call
    /// nothing is noted and nothing costs.
    pub fn note_changes(&mut self) {
        self.scopes.note_changes();
        self.ledger.note_changes();
        self.requests.note_changes();
        self.trails.note_changes();
    }

    /// What changed since the last call. Each part and key at most once.
    pub fn changes(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        self.scopes.changes(&mut changes);
        self.ledger.changes(&mut changes);
        self.requests.changes(&mut changes);
        self.trails.changes(&mut changes);
        changes
    }

    /// The machine that wrote `rows`, going on; it notes what changes from the start. Of rows
    /// with the same part and key the last counts, otherwise their order does not matter.
    /// `config` may differ from that of the machine that wrote: it applies from now on, and what
    /// there is no more room for is closed early or forgotten in the next step.
    ///
    /// # Errors
    ///
    /// If a row is none that a machine wrote, or if it contradicts another.
    pub fn restore(
        config: Config,
        rows: impl IntoIterator<Item = Change>,
    ) -> Result<Self, RestoreError> {
        let mut stored = Stored::new(rows);
        let mut restored = Self::new(config);
        restored.scopes = Scopes::restore(&mut stored)?;
        restored.ledger = Ledger::restore(&mut stored, &restored.scopes)?;
        restored.requests.restore(&mut stored, &restored.scopes)?;
        restored.trails = Trails::restore(&mut stored, &restored.scopes)?;
        restored.check_counts()?;
        restored.note_changes();
        Ok(restored)
    }

    /// Each request was counted where it says so. A late stage moves it from there.
    fn check_counts(&self) -> Result<(), RestoreError> {
        let mut uncounted = Uncounted::default();
        for (number, scope, known) in self.requests.iter() {
            let Some(counted) = known.counted else {
                continue;
            };
            let wrong = |reason| Err(RestoreError::new(Part::Request, number, reason));
            if !(1..=self.ledger.last_serial()).contains(&counted.incident) {
                return wrong("its incident never was");
            }
            let place = self.ledger.place(counted.incident, scope);
            let Some(incident) = place.and_then(|place| self.ledger.get(place)) else {
                continue;
            };
            if incident.scope != scope {
                return wrong("its incident is of another scope");
            }
            let known = uncounted.take_out(counted, known.technique, || {
                (incident.rows.clone(), incident.techniques.clone())
            });
            if known.is_none() {
                return wrong("its incident has not counted it");
            }
        }
        Ok(())
    }

    /// All that is held, as it would be stored.
    #[cfg(test)]
    pub(super) fn dump(&mut self) -> Vec<Change> {
        self.scopes.note_all();
        self.ledger.note_all();
        self.requests.note_all();
        self.trails.note_all();
        let mut all = self.changes();
        all.retain(|change| change.value.is_some());
        all
    }
}

/// What incidents have counted, by serial number, less the requests that are known.
#[derive(Default)]
struct Uncounted(HashMap<u64, (Rows, Techniques)>);

impl Uncounted {
    /// Takes out one request; `None` if there is none such left. `all`: what its incident has counted.
    fn take_out(
        &mut self,
        counted: Counted,
        technique: Technique,
        all: impl FnOnce() -> (Rows, Techniques),
    ) -> Option<()> {
        let (rows, techniques) = match self.0.entry(counted.incident) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(all()),
        };
        rows.take_out(counted.row)?;
        techniques.take_out(technique)
    }
}
