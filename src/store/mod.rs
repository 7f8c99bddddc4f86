//! What stands between the state machine and the sinks: each sink's outbox.

use crate::audit::words;

/// `buffer.*`: how much may wait for one sink.
#[derive(Clone, Copy, Debug)]
pub struct BufferConfig {
    /// Messages that may wait. Default 10,000, at least 1.
    pub max_events: usize,
    /// Default block.
    pub when_full: WhenFull,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WhenFull {
    /// Wait, and with it the sources.
    Block,
    /// Drop detections first, then alerts; both are counted.
    DropNewest,
}

words!(WhenFull { Block = "block", DropNewest = "drop_newest" });
