//! Why a connection ends.

use std::io;

use crate::{
    record::msgpack::Fault,
    source::{
        fluent::handshake,
        server::{Refusal, inbox},
    },
};

/// Why a connection is closed from this side.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("{0}")]
    Auth(#[from] handshake::Error),
    #[error("this system has no random numbers")]
    Random,
    #[error("no message begins so")]
    NoMessage,
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error("a message is longer than max_message_bytes ({0})")]
    TooLarge(usize),
    #[error("too slow")]
    Slow,
    #[error(transparent)]
    Overload(#[from] inbox::Overloaded),
    #[error("{reason}")]
    Refused { why: Refusal, reason: String },
    /// Its peer has gone, or the source ends.
    #[error("closed")]
    Closed,
}

impl Error {
    pub(super) fn refusal(&self) -> Option<Refusal> {
        Some(match self {
            Self::Io(_) | Self::Closed | Self::Random => return None,
            Self::Auth(_) => Refusal::Auth,
            Self::NoMessage | Self::Fault(_) => Refusal::Malformed,
            Self::TooLarge(_) => Refusal::TooLarge,
            Self::Slow => Refusal::Timeout,
            Self::Overload(_) => Refusal::Overload,
            Self::Refused { why, .. } => *why,
        })
    }
}
