//! The places of connections: those of a source, and those that the process has files for.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::socket::files;

/// How many connections there may be.
pub(super) struct Places {
    /// `connection_limit`.
    own: Arc<Semaphore>,
    files: Arc<Semaphore>,
}

/// One of each.
pub(super) type Place = [OwnedSemaphorePermit; 2];

impl Places {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            own: Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS))),
            files: files(),
        }
    }

    /// One that is free.
    pub(super) fn take_one(&self) -> Option<Place> {
        let take = |of: &Arc<Semaphore>| Arc::clone(of).try_acquire_owned().ok();
        Some([take(&self.own)?, take(&self.files)?])
    }

    /// One, once it is free.
    pub(super) async fn one(&self) -> Option<Place> {
        let take = |of: &Arc<Semaphore>| Arc::clone(of).acquire_owned();
        Some([take(&self.own).await.ok()?, take(&self.files).await.ok()?])
    }
}
