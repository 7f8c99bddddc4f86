//! The store of a pipeline with a `data_dir`: one SQLite database, written by one thread.
//!
//! `baitline.db` holds the state of the incidents, what waits for each sink, how far each
//! source has come, and the history of incidents. It is in WAL mode with
//! `synchronous = FULL`: a transaction that was reported done outlives the process and, as
//! far as the disk keeps its word, the machine. Others may read it at any time; `lock` keeps
//! a second baitline from writing it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::{Notify, Semaphore, oneshot};

use self::{
    lock::Lock,
    writer::{Command, Commands, Parts, Writer},
};
use super::{
    Commit, Keeper, Opened, SinkOutbox, Store,
    outbox::{Keeps, Lane, Outbox},
};
use crate::telemetry::Status;

mod lock;
mod replay;
mod retention;
mod rows;
mod schema;
mod transaction;
mod writer;

pub use replay::replay;
pub(super) use schema::{open_existing, open_immutable};
pub(super) use writer::decode;

/// Bytes that may wait for one sink, unless its `buffer.*` says otherwise.
const MAX_SIZE: u64 = 1 << 30;

/// Messages that may wait to be stored, in all commits together.
const QUEUE: u32 = 512;

/// What a database is opened with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Made if it is not there.
    pub data_dir: PathBuf,
    /// How long incidents that are over are kept.
    pub retention: Duration,
}

impl Options {
    fn database(&self) -> PathBuf {
        file(&self.data_dir)
    }
}

/// The database in `data_dir`.
pub(super) fn file(data_dir: &Path) -> PathBuf {
    data_dir.join("baitline.db")
}

/// Whether `data_dir` is one.
///
/// # Errors
/// If there is no database in it.
pub(super) fn expect(data_dir: &Path) -> Result<(), Error> {
    let path = file(data_dir);
    match path.exists() {
        true => Ok(()),
        false => Err(Error::Missing { path }),
    }
}

/// Why a database cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot use the data_dir {}: {source}", path.display())]
    Directory {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "{} is in use by {owner}: a data_dir belongs to one baitline; stop the other, or give this one its own",
        path.display()
    )]
    InUse { path: PathBuf, owner: String },
    #[error("{} was not made by baitline; give baitline a data_dir of its own", path.display())]
    Foreign { path: PathBuf },
    #[error(
        "{} was written by a newer baitline (schema {found}, this one knows {known}): run that one, or move the data_dir away to begin anew",
        path.display()
    )]
    Newer {
        path: PathBuf,
        found: i64,
        known: i64,
    },
    #[error(
        "{} is damaged ({source}): restore a copy, or move the data_dir away to begin anew; what waited in it is not delivered then",
        path.display()
    )]
    Damaged {
        path: PathBuf,
        source: rusqlite::Error,
    },
    #[error("there is no baitline database at {}: is this the data_dir?", path.display())]
    Missing { path: PathBuf },
    #[error(
        "{0} is there, but empty: what a baitline has stored since it began stands in {0}-wal while it runs; copy that with it, or let sqlite3 copy: sqlite3 baitline.db \".backup copy.db\"",
        path.display()
    )]
    Empty { path: PathBuf },
    #[error(
        "{} was not closed, and nothing can be written where it lies: look into a copy of the data_dir",
        path.display()
    )]
    NotClosed { path: PathBuf },
    #[error("no sink {sink:?} is known in {}: is it in the configuration that ran?", path.display())]
    NoSink { path: PathBuf, sink: String },
    #[error("{}: {source}", path.display())]
    Sqlite {
        path: PathBuf,
        source: rusqlite::Error,
    },
}

impl Error {
    /// What SQLite said of the database at `path`.
    pub(super) fn of(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
                Self::Damaged { path, source }
            }
            _ => Self::Sqlite { path, source },
        }
    }
}

/// Opens the database in a `data_dir`, or makes one, and starts the thread that writes
/// it. That says in `status` when it cannot write. May block.
///
/// # Errors
/// If the directory is in use or cannot be used, or the database is damaged, not ours, or newer.
pub fn open(options: &Options, sinks: &[SinkOutbox], status: Status) -> Result<Opened, Error> {
    lock::make_directory(&options.data_dir)?;
    let lock = Lock::take(&options.data_dir)?;
    let path = options.database();
    let mut connection = schema::open(&path)?;
    let fail = |source| Error::of(&path, source);

    let room = Arc::new(Notify::new());
    let (commands, inbox) = std::sync::mpsc::channel();
    let commands = Arc::new(Commands(commands));
    let outboxes = outboxes(sinks, &room);
    let numbers = rows::number_sinks(&mut connection, sinks).map_err(fail)?;
    let saved = rows::saved(&connection).map_err(fail)?;
    let commit_seconds = commit_seconds();
    let alarm = status.alarm();
    let parts = Parts {
        connection,
        numbers,
        outboxes: Arc::clone(&outboxes),
        status,
        retention: options.retention,
        commit_seconds: commit_seconds.clone(),
        lock,
    };
    let writer = Writer::new(parts).map_err(fail)?;
    std::thread::Builder::new()
        .name("store".into())
        .spawn(move || {
            let _alarm = alarm;
            writer.run(&inbox);
        })
        .map_err(|source| Error::Directory {
            path: options.data_dir.clone(),
            source,
        })?;
    let handle = Handle {
        commands: Arc::clone(&commands),
        queue: Arc::new(Semaphore::new(QUEUE as usize)),
        commit_seconds,
    };
    Ok(Opened {
        readers: outboxes
            .iter()
            .map(|outbox| outbox.reader(commands.clone()))
            .collect(),
        store: Store {
            outboxes,
            room,
            keeper: Keeper::Database(handle),
        },
        saved,
    })
}

/// An outbox for each of `sinks`, with a limit.
fn outboxes(sinks: &[SinkOutbox], room: &Arc<Notify>) -> Arc<[Arc<Outbox>]> {
    let outbox = |(place, sink): (usize, &SinkOutbox)| {
        let mut limits = sink.buffer;
        if limits.max_events.is_none() {
            limits.max_size.get_or_insert(MAX_SIZE);
        }
        Outbox::new(place, limits, Arc::clone(room))
    };
    sinks.iter().enumerate().map(outbox).collect()
}

/// From half a millisecond to eight seconds: an SSD's sync lies at the lower end.
fn commit_seconds() -> Histogram {
    Histogram::new((0..15).map(|power| 0.0005 * f64::from(1_u32 << power)))
}

/// The way to the writing thread. When the last is dropped, and every reader, the thread ends.
#[derive(Clone)]
pub(super) struct Handle {
    commands: Arc<Commands>,
    queue: Arc<Semaphore>,
    commit_seconds: Histogram,
}

impl Handle {
    pub(super) async fn commit(&self, commit: Commit) {
        let weight = u32::try_from(commit.messages.len()).unwrap_or(QUEUE);
        let weight = weight.saturating_add(1).min(QUEUE);
        // The semaphore is never closed.
        let place = Arc::clone(&self.queue)
            .acquire_many_owned(weight)
            .await
            .ok();
        self.commands.send(Command::Commit { commit, place });
    }

    /// Waits until everything that was committed is stored.
    pub(super) async fn flush(&self) {
        let (stored, wait) = oneshot::channel();
        self.commands.send(Command::Flush(stored));
        let _ = wait.await;
    }

    /// Waits until the database is closed. What is committed after that is not stored.
    pub(super) async fn end(&self) {
        let (closed, wait) = oneshot::channel();
        self.commands.send(Command::Close(closed));
        let _ = wait.await;
    }

    pub(super) fn commit_seconds(&self) -> Histogram {
        self.commit_seconds.clone()
    }
}

impl Keeps for Commands {
    fn done(&self, _done: &[u64]) {
        self.send(Command::Done);
    }

    fn refill(&self, place: usize, lane: Lane) {
        self.send(Command::Page { place, lane });
    }

    fn gone(&self, _left: &[u64], is_wanted: bool) {
        // What is left stays in the database for the next start, if it is wanted.
        if !is_wanted {
            self.send(Command::Done);
        }
    }
}

#[cfg(test)]
mod tests;
