//! Standard output or standard error.

use super::Codec;
use crate::{audit::words, store::BufferConfig};

/// Writes to standard output or standard error.
#[derive(Clone, Debug)]
pub struct Config {
    /// `encoding.codec`. Default text.
    pub codec: Codec,
    /// Default stdout.
    pub target: Target,
    pub buffer: BufferConfig,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    Stdout,
    Stderr,
}

words!(Target { Stdout = "stdout", Stderr = "stderr" });
