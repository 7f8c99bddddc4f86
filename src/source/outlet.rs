//! What a source hands its blocks to, and how it learns that they are safe.

use super::Block;

/// Takes what a source reads. For tests and fuzz targets any closure over blocks is one.
///
/// A source calls [`take`](Self::take) with each block. When that says that something was found, or when it is
/// time to keep a position (about once a second, or at once where a peer waits for its answer), the source calls
/// [`commit`](Self::commit). What was taken and not committed is not safe: it is given up if the process ends.
pub trait Outlet {
    /// Searches `block`; what is found is held until the next commit. True if anything was found in this block, whatever is held
    /// already.
    fn take(&mut self, block: &Block<'_>) -> bool;

    /// Sends on what was found since the last commit, together with how far the source has come. Waits while
    /// the pipeline is full.
    fn commit(&mut self, progress: Progress);

    /// As [`commit`](Self::commit), but never waits.
    ///
    /// # Errors
    /// If the pipeline is full: gives `progress` back; what was found is still held.
    fn try_commit(&mut self, progress: Progress) -> Result<(), Progress>;
}

impl<F: FnMut(&Block<'_>) -> bool> Outlet for F {
    fn take(&mut self, block: &Block<'_>) -> bool {
        self(block)
    }

    fn commit(&mut self, progress: Progress) {
        if let Some(acknowledge) = progress.acknowledge {
            acknowledge();
        }
    }

    fn try_commit(&mut self, progress: Progress) -> Result<(), Progress> {
        self.commit(progress);
        Ok(())
    }
}

/// How far a source has come.
#[derive(Default)]
pub struct Progress {
    /// What the next start of the source goes on from, as far as it changed. Stored in one transaction with
    /// all that came of the bytes before it.
    pub positions: Vec<Position>,
    /// Called once all that came of the bytes before is safe: stored, or, where nothing is stored, delivered.
    /// Never called if the process ends first. It is called on another thread, and must not wait.
    pub acknowledge: Option<Box<dyn FnOnce() + Send>>,
}

/// One thing that a source remembers, in words of its own: a file and how far it was read, a partition and an offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Unique within the source.
    pub key: String,
    /// Replaces what was stored under `key`; `None` forgets it.
    pub value: Option<String>,
}
