//! The thread that writes the database.
//!
//! It takes everything that has gathered while it wrote and stores that in one transaction, so
//! that a lone commit waits for nothing and many commits share one sync. Then it gives the new
//! messages to the outboxes and acknowledges the sources. What cannot be stored stays in
//! its hands and is tried again.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender},
    },
    time::{Duration, Instant},
};

use prometheus_client::metrics::histogram::Histogram;
use rusqlite::{Connection, ErrorCode, TransactionBehavior, params};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tracing::{debug, error, info};

use super::{
    super::{
        Commit, Message,
        outbox::{Lane, Outbox, Slip, WINDOW},
    },
    lock::Lock,
    retention::Retention,
    rows,
    transaction::{Batch, Written},
};
use crate::telemetry::{Seldom, Status};

/// How often it looks around.
const LOOK: Duration = Duration::from_secs(1);

/// The waits between tries of what cannot be stored: doubled from the first up to the longest.
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LONGEST_RETRY: Duration = Duration::from_secs(5);

/// How long other processes may keep the log from being written back at the end.
const CHECKPOINT: Duration = Duration::from_secs(1);

/// The most bytes that are read into one page.
const PAGE_BYTES: u64 = 1 << 20;

pub(super) enum Command {
    Commit {
        commit: Commit,
        /// Its place in the queue, given back when it is stored.
        place: Option<OwnedSemaphorePermit>,
    },
    /// A sink is done with something.
    Done,
    /// An outbox wants its next page.
    Page { place: usize, lane: Lane },
    /// Somebody wants to know when all before it is stored.
    Flush(oneshot::Sender<()>),
    /// Nothing more will come: the database is to be closed, and whoever waits told.
    Close(oneshot::Sender<()>),
}

/// The way to the writer.
pub(super) struct Commands(pub Sender<Command>);

impl Commands {
    pub(super) fn send(&self, command: Command) {
        // The writer ends only when nobody can send any more, unless it panicked.
        let _ = self.0.send(command);
    }
}

/// What the writer works with.
pub(super) struct Parts {
    pub connection: Connection,
    /// The number of each sink in the database, in the order of the sinks.
    pub numbers: Vec<i64>,
    pub outboxes: Arc<[Arc<Outbox>]>,
    pub status: Status,
    pub retention: Duration,
    pub commit_seconds: Histogram,
    pub lock: Lock,
}

pub(super) struct Writer {
    connection: Connection,
    numbers: Vec<i64>,
    outboxes: Arc<[Arc<Outbox>]>,
    status: Status,
    retention: Retention,
    commit_seconds: Histogram,
    _lock: Lock,
    batch: Batch,
    /// The highest message that the outboxes know of.
    last_message: i64,
    next_look: Instant,
    retry: Option<Retry>,
    /// Who waits for its end, if it is to end.
    closed: Option<oneshot::Sender<()>>,
    warning: Seldom,
    #[cfg(test)]
    before_write: Option<BeforeWrite>,
}

#[cfg(test)]
type BeforeWrite = Box<dyn FnMut(&Connection) + Send>;

struct Retry {
    at: Instant,
    wait: Duration,
}

impl Writer {
    pub(super) fn new(parts: Parts) -> rusqlite::Result<Self> {
        let Parts {
            connection,
            numbers,
            outboxes,
            status,
            retention,
            commit_seconds,
            lock,
        } = parts;
        let mut writer = Self {
            batch: Batch::new(numbers.len()),
            retention: Retention::new(retention),
            last_message: 0,
            next_look: Instant::now() + LOOK,
            retry: None,
            closed: None,
            warning: Seldom::default(),
            #[cfg(test)]
            before_write: None,
            connection,
            numbers,
            outboxes,
            status,
            commit_seconds,
            _lock: lock,
        };
        writer.look_for_messages()?;
        Ok(writer)
    }

    /// So that a test can make room on a full disk.
    #[cfg(test)]
    pub(super) fn before_write(&mut self, step: impl FnMut(&Connection) + Send + 'static) {
        self.before_write = Some(Box::new(step));
    }

    /// Works until it is told to close, or nobody can send commands any more.
    pub(super) fn run(mut self, inbox: &Receiver<Command>) {
        while self.closed.is_none() {
            let wake = self.retry.as_ref().map_or(self.next_look, |retry| retry.at);
            match inbox.recv_timeout(wake.saturating_duration_since(Instant::now())) {
                Ok(command) => self.take(command),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            while let Ok(command) = inbox.try_recv() {
                self.take(command);
            }
            let is_due = |retry: &Retry| retry.at <= Instant::now();
            if self.retry.as_ref().is_none_or(is_due) {
                self.store();
            }
            if self.retry.is_none() && self.next_look <= Instant::now() {
                self.look_around();
                self.next_look = Instant::now() + LOOK;
            }
        }
        self.store();
        self.close();
    }

    /// Leaves all that is known in the one file, so that a copy of it is a copy of the whole. Where that fails, as while
    /// another process reads, the log beside it has the rest.
    fn close(self) {
        let checkpoint = self.connection.busy_timeout(CHECKPOINT).and_then(|()| {
            let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
            self.connection.query_row(checkpoint, [], |row| row.get(0))
        });
        match checkpoint {
            Ok(false) => {}
            Ok(true) => debug!("the log of the store stays: another process reads it"),
            Err(error) => debug!("the log of the store stays: {error}"),
        }
        let closed = self.closed;
        drop((self.connection, self._lock));
        if let Some(closed) = closed {
            let _ = closed.send(());
        }
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Commit { commit, place } => self.batch.add(commit, place, &self.outboxes),
            Command::Done => self.batch.mark_done(),
            Command::Page { place, lane } => self.turn_page(place, lane),
            Command::Flush(stored) => self.batch.add_flush(stored),
            Command::Close(closed) => self.closed = Some(closed),
        }
    }

    /// Stores what has gathered. If that fails it is kept, and tried again later.
    fn store(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let start = Instant::now();
        match self.write() {
            Ok(written) => {
                self.commit_seconds.observe(start.elapsed().as_secs_f64());
                if self.retry.take().is_some() {
                    self.status.well();
                    info!("the store can be written again");
                }
                self.batch.settle(&written, &self.outboxes);
            }
            Err(error) => self.put_off(&error),
        }
    }

    fn write(&mut self) -> rusqlite::Result<Written> {
        #[cfg(test)]
        if let Some(before_write) = &mut self.before_write {
            before_write(&self.connection);
        }
        let done = done_up_to(&self.outboxes);
        if !self.batch.is_to_be_written(&done) {
            return Ok(Written::nothing(done));
        }
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        // What others have put there has lower ids than ours: the outboxes hear of it first.
        let foreign = Foreign::behind(self.last_message, &transaction, &self.numbers)?;
        let written = self.batch.write(&transaction, &self.numbers, done)?;
        transaction.commit()?;
        foreign.tell(&self.outboxes);
        self.last_message = written.last_message().unwrap_or(foreign.last);
        Ok(written)
    }

    fn put_off(&mut self, error: &rusqlite::Error) {
        let reason = match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => "the disk is full".to_owned(),
            _ => error.to_string(),
        };
        if self.warning.is_due() {
            error!("cannot write to the store, the sources wait: {reason}");
        }
        self.status.unwell(reason);
        let wait = self
            .retry
            .as_ref()
            .map_or(FIRST_RETRY, |retry| retry.wait * 2);
        let wait = wait.min(LONGEST_RETRY);
        self.retry = Some(Retry {
            at: Instant::now() + wait,
            wait,
        });
    }

    /// What is done when there is time.
    fn look_around(&mut self) {
        let looked = self
            .look_for_messages()
            .and_then(|()| self.retention.step(&self.connection));
        if let Err(error) = looked
            && self.warning.is_due()
        {
            error!("cannot tidy the store: {error}");
        }
    }

    /// Tells the outboxes of messages that another process has put there.
    fn look_for_messages(&mut self) -> rusqlite::Result<()> {
        // What comes while it counts is for the next look.
        let snapshot = self.connection.unchecked_transaction()?;
        let foreign = Foreign::behind(self.last_message, &snapshot, &self.numbers)?;
        snapshot.commit()?;
        foreign.tell(&self.outboxes);
        self.last_message = foreign.last;
        Ok(())
    }

    fn turn_page(&mut self, place: usize, lane: Lane) {
        let outbox = &self.outboxes[place];
        match read_page(
            &self.connection,
            self.numbers[place],
            lane,
            outbox.page_start(lane),
        ) {
            Ok(page) => outbox.turn_page(lane, page),
            Err(error) => {
                if self.warning.is_due() {
                    error!("cannot read from the store: {error}");
                }
                // The reader asks again at once.
                std::thread::sleep(FIRST_RETRY);
                outbox.page_failed(lane);
            }
        }
    }
}

/// By sink and lane, up to which message the sink is done.
fn done_up_to(outboxes: &[Arc<Outbox>]) -> Vec<[u64; 2]> {
    let done = |outbox: &Arc<Outbox>| Lane::ALL.map(|lane| outbox.done_up_to(lane));
    outboxes.iter().map(done).collect()
}

/// Messages that the outboxes do not know of.
struct Foreign {
    /// By sink and lane, messages and bytes; empty if there are none.
    counts: Vec<[(u64, u64); 2]>,
    /// The highest message that was ever stored.
    last: i64,
}

impl Foreign {
    fn behind(known: i64, connection: &Connection, numbers: &[i64]) -> rusqlite::Result<Self> {
        let last = connection
            .prepare_cached(
                "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'message'",
            )?
            .query_row([], |row| row.get(0))?;
        let count = |number: &i64| rows::count(connection, *number, known);
        let counts = match last > known {
            true => numbers.iter().map(count).collect::<rusqlite::Result<_>>()?,
            false => Vec::new(),
        };
        Ok(Self { counts, last })
    }

    fn tell(&self, outboxes: &[Arc<Outbox>]) {
        for (outbox, counts) in outboxes.iter().zip(&self.counts) {
            for (lane, (count, bytes)) in Lane::ALL.into_iter().zip(*counts) {
                if count > 0 {
                    outbox.found(lane, count, bytes);
                }
            }
        }
    }
}

fn read_page(
    connection: &Connection,
    number: i64,
    lane: Lane,
    last: u64,
) -> rusqlite::Result<Vec<(Slip, Option<Message>)>> {
    let mut select = connection.prepare_cached(
        "SELECT delivery.message, delivery.size, message.body
            FROM delivery LEFT JOIN message ON message.id = delivery.message
            WHERE delivery.sink = ?1 AND delivery.lane = ?2 AND delivery.message > ?3
            ORDER BY delivery.message LIMIT ?4",
    )?;
    let mut rows = select.query(params![number, lane as i64, last as i64, WINDOW as i64])?;
    let (mut page, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let slip = Slip {
            id: row.get(0)?,
            size: row.get(1)?,
        };
        let body: Option<String> = row.get(2)?;
        page.push((slip, body.and_then(|body| decode(slip.id, &body))));
        bytes += slip.size;
        if bytes >= PAGE_BYTES {
            break;
        }
    }
    Ok(page)
}

/// A stored message. One that cannot be read is said and passed, so that those behind it are told.
pub(in super::super) fn decode(id: u64, body: &str) -> Option<Message> {
    match Message::read_json(body.as_bytes()) {
        Ok(message) => Some(message),
        Err(error) => {
            error!("message {id} in the store cannot be read and is passed: {error}");
            None
        }
    }
}
