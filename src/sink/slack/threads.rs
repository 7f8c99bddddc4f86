//! Which message of Slack's is the first of which incident.
//!
//! With a `data_dir` it is kept in `slack/<sink>.json`, so that a thread goes on after a restart. Without the file nothing is
//! lost: the next alert of an incident then begins a thread of its own.

use std::{
    collections::VecDeque,
    fs::{self, DirBuilder, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use tracing::warn;

use crate::{audit::IncidentId, sink::Delivery, telemetry::Seldom};

/// Incidents that are remembered. The eldest is forgotten first.
const MOST: usize = 1_000;

/// The first message of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Thread {
    /// As Slack calls it, whatever the configuration calls it.
    pub channel: String,
    /// When it was posted, which is its name.
    pub ts: String,
    /// As the configuration called the channel when it was posted.
    #[serde(default)]
    pub configured: String,
}

pub(super) struct Threads {
    id: Arc<str>,
    /// In the order in which they began.
    known: VecDeque<(IncidentId, Thread)>,
    file: Option<PathBuf>,
    warning: Seldom,
}

impl Threads {
    /// Those that are kept for the sink of `delivery`, and began in the channel that it is configured for.
    pub async fn open(delivery: &Delivery, channel: &str) -> Self {
        let file = delivery.data_dir.as_ref();
        let file = file.map(|folder| folder.join("slack").join(format!("{}.json", delivery.id)));
        let mut threads = Self {
            id: Arc::clone(&delivery.id),
            known: VecDeque::new(),
            file: file.clone(),
            warning: Seldom::default(),
        };
        if let Some(file) = file {
            let read = spawn_blocking(move || read(&file)).await;
            match read.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
                Ok(mut known) => {
                    known.retain(|(_, thread)| thread.configured == channel);
                    threads.known = known;
                }
                Err(error) => threads.warn(&error),
            }
        }
        threads
    }

    pub fn get(&self, incident: IncidentId) -> Option<&Thread> {
        let mut known = self.known.iter();
        known
            .find(|(id, _)| *id == incident)
            .map(|(_, thread)| thread)
    }

    pub async fn remember(&mut self, incident: IncidentId, thread: Thread) {
        self.known.retain(|(id, _)| *id != incident);
        self.known.push_back((incident, thread));
        if self.known.len() > MOST {
            self.known.pop_front();
        }
        self.keep().await;
    }

    pub async fn forget(&mut self, incident: IncidentId) {
        self.known.retain(|(id, _)| *id != incident);
        self.keep().await;
    }

    async fn keep(&mut self) {
        let Some(file) = self.file.clone() else {
            return;
        };
        let known = self.known.clone();
        let written = spawn_blocking(move || write(&file, &known)).await;
        if let Err(error) = written.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
            self.warn(&error);
        }
    }

    fn warn(&mut self, error: &io::Error) {
        if self.warning.is_due() {
            warn!(sink = %self.id, "threads begin anew after a restart: {error}");
        }
    }
}

fn read(file: &Path) -> io::Result<VecDeque<(IncidentId, Thread)>> {
    match fs::read(file) {
        Ok(text) => Ok(serde_json::from_slice(&text)?),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(VecDeque::new()),
        Err(error) => Err(error),
    }
}

/// Writes a new file and puts it in the place of the old one: it is whole or not there.
fn write(file: &Path, known: &VecDeque<(IncidentId, Thread)>) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let new = file.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut opened = options.open(&new)?;
    opened.write_all(&serde_json::to_vec(known)?)?;
    opened.sync_all()?;
    fs::rename(new, file)
}
