//! One connection of a source that listens, as its protocol sees it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::Counters;

/// Bytes in both directions, decrypted.
pub(crate) type Stream = Box<dyn Duplex>;

pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection that was accepted and, where TLS is on, has shaken hands.
pub(crate) struct Connection {
    pub stream: Stream,
    /// `10.0.0.1:51234`, or `unix`.
    pub peer: Arc<str>,
    /// Cancelled when the connection is to end as soon as nothing is in flight: the source stops, or somebody else needs the
    /// place. A protocol that does not heed it is cut off a little later.
    pub closing: CancellationToken,
    pub activity: Arc<Activity>,
    pub counters: Arc<Counters>,
}

#[cfg(test)]
impl Connection {
    /// One that was just accepted.
    pub(crate) fn of(stream: Stream) -> Self {
        Self {
            stream,
            peer: "10.0.0.1:51234".into(),
            closing: CancellationToken::new(),
            activity: Arc::new(Activity::new()),
            counters: Arc::default(),
        }
    }
}

/// Whether a connection is at work, by which it is decided who goes when there are too many.
#[derive(Debug)]
pub(crate) struct Activity {
    began: Instant,
    /// Requests that are read or not answered yet.
    busy: AtomicU64,
    /// When the last of them ended, in milliseconds after `began`; 0 before the first.
    last: AtomicU64,
    /// Requests that are read.
    reading: AtomicU64,
    /// Since when some are, in milliseconds after `began`.
    since: AtomicU64,
    /// A request came to a good end, or who sends them has shown a secret.
    is_proven: AtomicBool,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            busy: AtomicU64::new(0),
            last: AtomicU64::new(0),
            reading: AtomicU64::new(0),
            since: AtomicU64::new(0),
            is_proven: AtomicBool::new(false),
        }
    }

    /// Milliseconds so far, never 0, which says that there was nothing yet.
    fn now(&self) -> u64 {
        let now = self.began.elapsed().as_millis().max(1);
        u64::try_from(now).unwrap_or(u64::MAX)
    }

    /// A request has begun; it lasts until this is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Relaxed);
        Busy {
            activity: Arc::clone(self),
            is_in_vain: false,
        }
    }

    /// A request that has begun is read from now on until this is dropped.
    pub(crate) fn read(self: &Arc<Self>) -> Reading {
        if self.reading.fetch_add(1, Relaxed) == 0 {
            self.since.store(self.now(), Relaxed);
        }
        Reading(Arc::clone(self))
    }

    /// Who sends requests has shown that they know a secret.
    pub(crate) fn prove(&self) {
        self.is_proven.store(true, Relaxed);
    }

    /// How long nothing has been in flight; `None` while something is.
    pub(crate) fn idle(&self) -> Option<Duration> {
        let idle = self.now().saturating_sub(self.last.load(Relaxed));
        (self.busy.load(Relaxed) == 0).then_some(Duration::from_millis(idle))
    }

    /// How long requests have been read and none of them has ended; `None` if none is read, or if one waits for its answer.
    pub(crate) fn stuck(&self) -> Option<Duration> {
        let reading = self.reading.load(Relaxed);
        let progress = self.since.load(Relaxed).max(self.last.load(Relaxed));
        let stuck = self.now().saturating_sub(progress);
        let is_stuck = reading > 0 && reading >= self.busy.load(Relaxed);
        is_stuck.then_some(Duration::from_millis(stuck))
    }

    /// Whether a request came to a good end, or a secret was shown: it is no stranger who only holds a place.
    pub(crate) fn is_proven(&self) -> bool {
        self.is_proven.load(Relaxed)
    }

    /// Whether no request has ended yet.
    pub(crate) fn is_new(&self) -> bool {
        self.last.load(Relaxed) == 0
    }
}

/// A request that is in flight.
#[derive(Debug)]
pub(crate) struct Busy {
    activity: Arc<Activity>,
    is_in_vain: bool,
}

impl Busy {
    /// Whether it comes to a good end. If not, it shows nothing of who sent it.
    pub(crate) fn ends_well(&mut self, well: bool) {
        self.is_in_vain = !well;
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let activity = &*self.activity;
        activity.is_proven.fetch_or(!self.is_in_vain, Relaxed);
        activity.last.store(activity.now(), Relaxed);
        activity.busy.fetch_sub(1, Relaxed);
    }
}

/// A request that is read.
#[derive(Debug)]
pub(crate) struct Reading(Arc<Activity>);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.reading.fetch_sub(1, Relaxed);
    }
}
