//! Files that grow and rotate.

use std::time::Duration;

use crate::audit::words;

/// Follows files through rotation.
#[derive(Clone, Debug)]
pub struct Config {
    /// Globs of paths to read. Required, at least one.
    pub include: Vec<String>,
    /// Globs of paths to leave out. Default none.
    pub exclude: Vec<String>,
    /// Where to begin in files that are there at the start. Files that appear later are read from their beginning. Default beginning.
    pub read_from: ReadFrom,
    /// Longer records are searched for decoys and reported, but not decoded. Default 16 MiB.
    pub max_line_bytes: usize,
    /// Time between two looks for new files (`glob_minimum_cooldown_ms`). Default 1 s.
    pub glob_minimum_cooldown: Duration,
    /// How long a file that was renamed or deleted is read on after its end was reached (`rotate_wait_secs`). Default 5 s.
    pub rotate_wait: Duration,
}

/// Where to begin in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReadFrom {
    Beginning,
    End,
}

words!(ReadFrom { Beginning = "beginning", End = "end" });
