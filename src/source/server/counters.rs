//! What a source that listens counts of its connections.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::standing::Standing;
use crate::{audit::words, telemetry::Status};

/// Why a connection or a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// More connections than `connection_limit`, all of them at work.
    Connections,
    /// No TLS, or a certificate that nobody vouches for.
    Handshake,
    /// No credentials, or wrong ones.
    Auth,
    /// A path or a method that is not served.
    Route,
    /// More than `max_body_bytes`, or packed more tightly than data is.
    TooLarge,
    /// Packed in a way that nobody here undoes.
    Coding,
    /// Too much waits to be searched or stored. The peer is told to try again.
    Overload,
    /// The peer was too slow.
    Timeout,
    /// The peer went away in the middle of a request.
    BrokenOff,
    /// No message of the protocol.
    Malformed,
}

words!(Refusal {
    Connections = "connection_limit",
    Handshake = "handshake",
    Auth = "auth",
    Route = "route",
    TooLarge = "too_large",
    Coding = "encoding",
    Overload = "overload",
    Timeout = "timeout",
    BrokenOff = "broken_off",
    Malformed = "malformed",
});

/// What was done so far. Read it at any time.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections that were accepted.
    pub established: AtomicU64,
    /// Those of them that are open.
    pub open: AtomicU64,
    /// By the places in [`Refusal::ALL`].
    refused: [AtomicU64; Refusal::ALL.len()],
    standing: Standing,
}

impl Counters {
    /// Counts one that was refused.
    pub fn refuse(&self, why: Refusal) {
        self.refuse_probe(why);
        self.standing.refused(why);
    }

    /// Counts one that brought nothing, such as what looks whether anybody is there.
    pub(crate) fn refuse_probe(&self, why: Refusal) {
        self.refused[why as usize].fetch_add(1, Relaxed);
    }

    /// A request or a message was taken.
    pub(crate) fn took(&self) {
        self.standing.took();
    }

    /// Says by `status` from now on what is refused, if that is all that comes.
    pub(crate) fn report_to(&self, status: &Status) {
        self.standing.report_to(status);
    }

    /// How many were refused so far.
    pub fn refused(&self, why: Refusal) -> u64 {
        self.refused[why as usize].load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_own_place() {
        let counters = Counters::default();
        for (times, why) in Refusal::ALL.iter().enumerate() {
            assert_eq!(*why as usize, times, "{}", why.as_str());
            (0..=times).for_each(|_| counters.refuse(*why));
        }
        for (times, why) in Refusal::ALL.iter().enumerate() {
            assert_eq!(counters.refused(*why), times as u64 + 1);
        }
    }
}
