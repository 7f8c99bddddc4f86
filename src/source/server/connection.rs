//! One connection of a source that listens, as its protocol sees it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
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
}

impl Activity {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            busy: AtomicU64::new(0),
            last: AtomicU64::new(0),
        }
    }

    /// A request has begun; it lasts until this is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Relaxed);
        Busy(Arc::clone(self))
    }

    /// How long nothing has been in flight; `None` while something is.
    pub(crate) fn idle(&self) -> Option<Duration> {
        let last = Duration::from_millis(self.last.load(Relaxed));
        let idle = self.began.elapsed().saturating_sub(last);
        (self.busy.load(Relaxed) == 0).then_some(idle)
    }

    /// Whether no request has ended yet.
    pub(crate) fn is_new(&self) -> bool {
        self.last.load(Relaxed) == 0
    }
}

/// A request that is in flight.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        // Never 0, which says that there was none.
        let now = self.0.began.elapsed().as_millis().max(1);
        self.0
            .last
            .store(u64::try_from(now).unwrap_or(u64::MAX), Relaxed);
        self.0.busy.fetch_sub(1, Relaxed);
    }
}
