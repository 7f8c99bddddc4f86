//! Deliver what the outbox holds, each sink at its own pace.

use crate::audit::words;

pub mod console;
pub mod file;
pub mod slack;

/// How a message is written (`encoding.codec`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// What a person reads.
    Text,
    /// One object a line: the schema that the README gives.
    Json,
}

words!(Codec { Text = "text", Json = "json" });
