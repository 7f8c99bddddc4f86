//! What stands between the state machine and the sinks: each sink's outbox.
//!
//! [`Message`]s go in at a [`Writer`] and come out at a [`Reader`]. A message waits
//! until the sink says that it is done with it, so that what could not be delivered
//! can be counted at any time. Nothing in the interface says where messages are kept.

use std::{fmt, sync::Arc};

use crate::{audit::words, dedupe::Alert, detect::Detection};

mod outbox;

pub use outbox::{Reader, Writer, outbox};

/// What a sink is given to deliver.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Evidence: one audit event.
    Detection(Arc<Detection>),
    /// What people are told about an incident.
    Alert(Arc<Alert>),
}

/// How many messages, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub alerts: u64,
    pub detections: u64,
}

impl Tally {
    /// Alerts and detections together.
    pub fn total(self) -> u64 {
        self.alerts + self.detections
    }

    fn add(&mut self, message: &Message) {
        match message {
            Message::Alert(_) => self.alerts += 1,
            Message::Detection(_) => self.detections += 1,
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = |count| if count == 1 { "" } else { "s" };
        let Self { alerts, detections } = *self;
        write!(
            f,
            "{alerts} alert{} and {detections} detection{}",
            s(alerts),
            s(detections)
        )
    }
}

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
