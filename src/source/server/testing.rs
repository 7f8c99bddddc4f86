//! What stands behind a source in the tests of those that listen.

use std::sync::{Arc, Mutex, MutexGuard};

use crate::source::{Block, Outlet, Progress, Shape};

/// Finds something where `decoy` stands, and acknowledges at once or when the test says so.
#[derive(Clone, Default)]
pub(crate) struct Pipeline(Arc<Mutex<State>>);

#[derive(Default)]
pub(crate) struct State {
    /// What was searched: text, shape, position.
    pub blocks: Vec<(String, Shape, String)>,
    /// Commits are not acknowledged but kept.
    pub is_slow: bool,
    pub kept: Vec<Box<dyn FnOnce() + Send>>,
    holds: bool,
    /// The thread waits in a commit for as long as somebody holds this.
    pub full: Arc<Mutex<()>>,
}

impl Pipeline {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// All text that was searched so far.
    pub fn text(&self) -> String {
        let blocks = &self.state().blocks;
        blocks.iter().map(|(text, ..)| text.as_str()).collect()
    }

    pub fn slow(&self) {
        self.state().is_slow = true;
    }

    pub fn acknowledge(&self) {
        let kept = std::mem::take(&mut self.state().kept);
        kept.into_iter().for_each(|acknowledge| acknowledge());
    }
}

impl Outlet for Pipeline {
    fn take(&mut self, block: &Block<'_>) -> bool {
        let text = String::from_utf8_lossy(block.bytes).into_owned();
        let mut state = self.state();
        state.holds |= text.contains("decoy");
        let position = (block.provenance)(0).position.into();
        state.blocks.push((text, block.shape, position));
        state.holds
    }

    fn commit(&mut self, progress: Progress) {
        let full = Arc::clone(&self.state().full);
        drop(full.lock());
        let mut state = self.state();
        state.holds = false;
        let acknowledge = progress.acknowledge.unwrap();
        if state.is_slow {
            state.kept.push(acknowledge);
        } else {
            acknowledge();
        }
    }

    fn try_commit(&mut self, progress: Progress) -> Result<(), Progress> {
        self.commit(progress);
        Ok(())
    }
}
