//! What stands between the state machine and the sinks, and what outlives the process.
//!
//! Each step of the engine is one [`Commit`]: how the incidents changed, what is to be told and
//! to whom, and how far the sources have come. It is stored whole or not at all, and only then
//! do sinks see its messages and sources their acknowledgement. With a `data_dir` this is
//! one transaction of a SQLite database (`database`); without one it is held in memory
//! (`memory`), and a source is acknowledged when every sink is done with what came of it.
//! Either way each sink reads its own outbox (`outbox`) at its own pace.

use std::{collections::BTreeMap, fmt, sync::Arc};

use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::Notify;

use self::{memory::Memory, outbox::Outbox};
use crate::{
    audit::words,
    dedupe::{Alert, Change, Part},
    detect::Detection,
    format::json,
    source::{Position, Progress},
};

mod database;
mod dead_letters;
pub mod history;
mod last_line;
mod memory;
mod outbox;
mod still_open;
#[cfg(test)]
mod testing;

pub use database::{Error, Options, open, replay};
pub use dead_letters::{DeadLetters, Entry, Letter, ReplayError, Replayed};
pub(crate) use last_line::{read_between, start_of_last_line};
pub use memory::in_memory;
pub use outbox::Reader;
pub use still_open::{StillOpen, over, still_open};
#[cfg(test)]
pub(crate) use testing::{Writer, outbox};

/// What a sink is given to deliver.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Evidence: one audit event.
    Detection(Arc<Detection>),
    /// What people are told about an incident.
    Alert(Arc<Alert>),
}

impl Message {
    /// Appends the message as one line of JSON, the schema of `encoding.codec: json`.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Self::Alert(alert) => json::alert(alert, out),
            Self::Detection(detection) => json::detection(detection, out),
        }
    }

    /// Reads what [`write_json`](Self::write_json) wrote.
    pub(crate) fn read_json(line: &[u8]) -> Result<Self, json::ReadError> {
        Ok(match json::read(line)? {
            json::Line::Alert(alert) => Self::Alert(Arc::from(alert)),
            json::Line::Detection(detection) => Self::Detection(Arc::from(detection)),
        })
    }

    /// What a receiver knows it by: its `alert_id` or `detection_id`, 32 hexadecimal digits.
    pub fn id(&self) -> String {
        match self {
            Self::Alert(alert) => alert.alert_id.to_string(),
            Self::Detection(detection) => detection.detection_id.to_string(),
        }
    }
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

/// `buffer.*`: how much may wait for one sink. Either bound makes its outbox full.
#[derive(Clone, Copy, Debug)]
pub struct BufferConfig {
    /// Messages that may wait, at least 1. Default 10,000 in memory, no limit in a `data_dir`.
    pub max_events: Option<u64>,
    /// Bytes of messages that may wait, as JSON, at least 1. Default 1 GiB in a `data_dir`, no limit in memory.
    pub max_size: Option<u64>,
    /// Default block.
    pub when_full: WhenFull,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WhenFull {
    /// Wait, and with it the sources.
    Block,
    /// Drop detections, and alerts only where alerts alone fill the outbox. Both are counted.
    DropNewest,
}

words!(WhenFull { Block = "block", DropNewest = "drop_newest" });

/// Who reads an outbox.
#[derive(Clone, Debug)]
pub struct SinkOutbox {
    /// The sink's id in the configuration: what waits for it is kept under this name.
    pub id: Arc<str>,
    pub buffer: BufferConfig,
}

/// A store and what a start finds in it.
pub struct Opened {
    pub store: Store,
    /// In the order of the sinks.
    pub readers: Vec<Reader>,
    pub saved: Saved,
}

/// What was stored before. Each id's is to be taken out by whom it belongs to.
#[derive(Debug, Default)]
pub struct Saved {
    /// The state of each `dedupe` transform by its id, and the trouble of other components by theirs.
    pub state: BTreeMap<String, Vec<Change>>,
    /// How far each source had come, by its id.
    pub positions: BTreeMap<String, Vec<Position>>,
}

impl Saved {
    /// Takes out of the state under `id` what is of `part`. The rest is another's.
    pub fn take(&mut self, id: &str, part: Part) -> Vec<Change> {
        let Some(changes) = self.state.get_mut(id) else {
            return Vec::new();
        };
        let taken = changes.extract_if(.., |change| change.part == part);
        let taken = taken.collect();
        if changes.is_empty() {
            self.state.remove(id);
        }
        taken
    }
}

/// Everything that one step of the engine moved.
#[derive(Default)]
pub struct Commit {
    /// What changed of the `dedupe` transforms, and of the trouble of other components, by id.
    pub state: Vec<(Arc<str>, Vec<Change>)>,
    /// In the order in which they are to be told.
    pub messages: Vec<Outgoing>,
    /// How far the sources have come, by id, with all that came of what they read before.
    pub progress: Vec<(Arc<str>, Progress)>,
}

impl Commit {
    pub fn is_empty(&self) -> bool {
        self.state.is_empty() && self.messages.is_empty() && self.progress.is_empty()
    }
}

/// A message and the places of the sinks that take it. An alert is kept in the history of a
/// `data_dir` even if no sink does.
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub message: Message,
    pub sinks: Arc<[usize]>,
}

/// Where commits go. Clones are the same store.
#[derive(Clone)]
pub struct Store {
    outboxes: Arc<[Arc<Outbox>]>,
    /// There may be room in an outbox again.
    room: Arc<Notify>,
    keeper: Keeper,
}

#[derive(Clone)]
enum Keeper {
    Memory(Arc<Memory>),
    Database(database::Handle),
}

impl Store {
    /// Whether what is committed outlives the process.
    pub fn is_durable(&self) -> bool {
        matches!(self.keeper, Keeper::Database(_))
    }

    /// Hands `commit` over; waits only while too much waits to be stored. Commits are stored in
    /// the order in which they are handed over. Never fails: what cannot be stored now is tried
    /// again, and meanwhile nothing of it is told or acknowledged.
    pub async fn commit(&self, commit: Commit) {
        match &self.keeper {
            Keeper::Memory(memory) => memory.commit(commit, &self.outboxes),
            Keeper::Database(database) => database.commit(commit).await,
        }
    }

    /// Waits while an outbox with `when_full: block` is full. May be cancelled.
    pub async fn room(&self) {
        loop {
            // Made before the outboxes are looked at: it hears of room that is made meanwhile.
            let room = self.room.notified();
            if !self.outboxes.iter().any(|outbox| outbox.is_full()) {
                return;
            }
            room.await;
        }
    }

    /// Whether `sink` holds up the sources. One that has ended never does.
    pub fn is_full(&self, sink: usize) -> bool {
        self.outboxes[sink].is_full()
    }

    /// How much may wait for `sink`.
    pub fn buffer(&self, sink: usize) -> BufferConfig {
        self.outboxes[sink].limits()
    }

    /// What was accepted for `sink` and is not done, whether or not it has seen it.
    pub fn waiting(&self, sink: usize) -> Tally {
        self.outboxes[sink].waiting()
    }

    /// The bytes of what waits for `sink`, as JSON. In memory they are counted only
    /// where they are limited.
    pub fn waiting_bytes(&self, sink: usize) -> u64 {
        self.outboxes[sink].waiting_bytes()
    }

    /// What `sink` never gets, because its outbox was full or it had ended.
    pub fn dropped(&self, sink: usize) -> Tally {
        self.outboxes[sink].dropped()
    }

    /// No more commits will come. Waits until all are stored; each reader's `next` then gives
    /// `None` once it has handed out everything that waits.
    pub async fn close(&self) {
        if let Keeper::Database(database) = &self.keeper {
            database.flush().await;
        }
        for outbox in &*self.outboxes {
            outbox.close();
        }
    }

    /// Closes what [`close`](Self::close) has brought to rest, once nobody reads any more: nothing is stored after that.
    pub async fn end(&self) {
        if let Keeper::Database(database) = &self.keeper {
            database.end().await;
        }
    }

    /// How long transactions take, in seconds. Nothing is observed in memory.
    pub fn commit_seconds(&self) -> Histogram {
        match &self.keeper {
            Keeper::Memory(_) => Histogram::new([]),
            Keeper::Database(database) => database.commit_seconds(),
        }
    }
}
