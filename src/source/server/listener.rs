//! Accepts connections, as many as may be, and asks those to leave that do not use their place.

use std::{
    cmp::Reverse,
    collections::HashMap,
    fs, io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::{sleep, timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, warn};

use super::{
    Address, Connection, Counters, Listen, Refusal, Silence, Stream,
    connection::Activity,
    hello::Listening,
    places::{Place, Places},
    renewal::Acceptor,
    socket::{Socket, advice},
    tls,
};
use crate::{
    source::{self, Context, Error, Stop},
    telemetry::{Seldom, Status},
};

mod guest;

use guest::{Guest, SILENT, stuck};

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How often it is looked whether one may be asked to leave.
const LOOK_AGAIN: Duration = Duration::from_millis(25);

/// How long a connection waits for a place that another gives up.
const PLACE: Duration = Duration::from_secs(1);

/// The waits between tries while no connection can be accepted: doubled from the first up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A socket that listens, and what is to be known of it.
pub(super) struct Listener {
    socket: Socket,
    address: Address,
    tls: Option<Arc<Acceptor>>,
    limit: usize,
    silence: Option<Silence>,
    keepalive: Option<Duration>,
    counters: Arc<Counters>,
    source: Arc<source::Counters>,
    id: Arc<str>,
    status: Status,
}

/// How a listener is told to end.
pub(super) struct Stopping {
    stop: Stop,
    /// How long connections may then go on with what is in flight.
    grace: Duration,
}

impl Stopping {
    pub(super) fn new(stop: Stop, grace: Duration) -> Self {
        Self { stop, grace }
    }
}

/// What a running listener and its connections share.
struct Shared {
    id: Arc<str>,
    tls: Option<Arc<Acceptor>>,
    silence: Option<Silence>,
    counters: Arc<Counters>,
    warning: Seldom,
    /// Those that are open, by their number.
    open: Mutex<HashMap<u64, Seen>>,
    numbers: AtomicU64,
}

/// Of a connection that is open: what it does, and how it is asked to end.
type Seen = (Arc<Activity>, CancellationToken);

impl Listener {
    /// Must be called within a runtime.
    pub(super) fn bind(
        listen: &Listen,
        tls: Option<Arc<Acceptor>>,
        counters: Arc<Counters>,
        context: &Context,
    ) -> Result<Self, Error> {
        let (socket, address) = Socket::bind(listen).map_err(|source| Error::Listen {
            address: listen.address.clone(),
            advice: advice(&source),
            source,
        })?;
        counters.report_to(&context.status);
        Ok(Self {
            socket,
            address,
            tls,
            limit: listen.connection_limit,
            silence: listen.silence,
            keepalive: listen.keepalive,
            counters,
            source: Arc::clone(&context.counters),
            id: Arc::clone(&context.id),
            status: context.status.clone(),
        })
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// Gives each connection to `connect` until it is told to stop, and then waits for them a while.
    ///
    /// # Errors
    /// If it cannot be told to stop.
    pub(super) async fn serve<C>(
        self,
        stopping: Stopping,
        connect: impl Fn(Connection) -> C + Clone + Send + Sync + 'static,
    ) -> io::Result<()>
    where
        C: Future<Output = ()> + Send + 'static,
    {
        let shared = Arc::new(Shared {
            id: Arc::clone(&self.id),
            tls: self.tls.clone(),
            silence: self.silence,
            counters: Arc::clone(&self.counters),
            warning: Seldom::default(),
            open: Mutex::default(),
            numbers: AtomicU64::new(0),
        });
        let (closing, cut_off) = (CancellationToken::new(), CancellationToken::new());
        let tasks = TaskTracker::new();
        let stopped = tokio::select! {
            stopped = stopping.stop.stopped() => stopped,
            () = self.accept(&shared, &tasks, &closing, &cut_off, &connect) => Ok(()),
        };
        drop((self.socket, connect));
        if let Address::Unix(path) = &self.address {
            // Whoever starts next takes it away otherwise.
            let _ = fs::remove_file(path);
        }
        closing.cancel();
        tasks.close();
        if timeout(stopping.grace, tasks.wait()).await.is_err() {
            cut_off.cancel();
            tasks.wait().await;
        }
        stopped
    }

    /// Gives each connection to `connect`. It is asked to end when `closing` is cancelled, and dropped when `cut_off` is.
    async fn accept<C>(
        &self,
        shared: &Arc<Shared>,
        tasks: &TaskTracker,
        closing: &CancellationToken,
        cut_off: &CancellationToken,
        connect: &(impl Fn(Connection) -> C + Clone + Send + Sync + 'static),
    ) where
        C: Future<Output = ()> + Send + 'static,
    {
        let places = Places::new(self.limit);
        let mut pause = FIRST_PAUSE;
        loop {
            let (stream, peer) = match self.socket.accept(self.keepalive).await {
                Ok(accepted) => accepted,
                Err(error) => {
                    self.cannot_accept(&error, shared);
                    sleep(pause).await;
                    pause = LONGEST_PAUSE.min(2 * pause);
                    continue;
                }
            };
            if pause > FIRST_PAUSE {
                pause = FIRST_PAUSE;
                self.status.well();
            }
            let Some(place) = shared.place(&places).await else {
                self.counters.refuse(Refusal::Connections);
                continue;
            };
            let guest = shared.enter(closing.child_token(), place);
            let task = guest.stay(stream, peer, connect.clone());
            tasks.spawn(within(cut_off.clone(), task));
        }
    }

    /// Most often the process has no file descriptors left: that passes, the sooner as somebody leaves.
    fn cannot_accept(&self, error: &io::Error, shared: &Shared) {
        self.source.errors.fetch_add(1, Relaxed);
        shared.ask_one_to_leave();
        self.status
            .unwell(format!("cannot accept connections: {error}"));
        if shared.warning.is_due() {
            warn!(source = &*self.id, "cannot accept connections: {error}");
        }
    }
}

impl Shared {
    /// Asks one that was not asked yet to leave: whoever has been idle, or has not got on, the longest; those of whom no request
    /// has come to a good end before all others. False if all are at work.
    fn ask_one_to_leave(&self) -> bool {
        let open = self.open();
        let stay = open.values().filter(|(_, closing)| !closing.is_cancelled());
        let useless = stay.filter_map(|(activity, closing)| {
            let time = activity.idle().or_else(|| stuck(activity))?;
            Some(((activity.is_proven(), Reverse(time)), closing))
        });
        let first = useless.min_by_key(|(standing, _)| *standing);
        first.inspect(|(_, closing)| closing.cancel()).is_some()
    }

    /// A place for one more connection; if need be, somebody who does not use theirs gives it up. `None` if all do.
    async fn place(&self, places: &Places) -> Option<Place> {
        if let Some(place) = places.take_one() {
            return Some(place);
        }
        let asked = async {
            while !self.ask_one_to_leave() {
                sleep(LOOK_AGAIN).await;
            }
        };
        // Of a burst nobody has held a place for long at first.
        tokio::select! {
            place = places.one() => place,
            asked = timeout(2 * SILENT, asked) => {
                asked.ok()?;
                timeout(PLACE, places.one()).await.ok()?
            }
        }
    }

    async fn shake_hands(self: &Arc<Self>, stream: Stream, peer: &Arc<str>) -> Option<Stream> {
        let Some(tls) = &self.tls else {
            let (shared, peer) = (Arc::clone(self), Arc::clone(peer));
            let say = move || {
                shared.say_in_vain(
                    &peer,
                    "it speaks TLS, and this port has none: see tls.enabled",
                )
            };
            return Some(Box::new(Listening::new(stream, say)));
        };
        let error = match timeout(HANDSHAKE, tls.present().accept(stream)).await {
            Ok(Ok(stream)) => return Some(Box::new(stream)),
            Ok(Err(error)) => error,
            Err(_) => io::ErrorKind::TimedOut.into(),
        };
        match error.kind() {
            // It has said nothing: a load balancer looks so whether the port is open.
            io::ErrorKind::UnexpectedEof => self.counters.refuse_probe(Refusal::Handshake),
            _ => self.counters.refuse(Refusal::Handshake),
        }
        self.say_in_vain(peer, &format!("no TLS handshake: {}", tls::fault(&error)));
        None
    }

    /// Why nothing comes of a connection of `peer`.
    fn say_in_vain(&self, peer: &str, why: &str) {
        if self.warning.is_due() {
            warn!(source = &*self.id, peer, "{why}");
        } else {
            debug!(source = &*self.id, peer, "{why}");
        }
    }

    /// One more connection, which is open until the guest is dropped.
    fn enter(self: &Arc<Self>, closing: CancellationToken, place: Place) -> Guest {
        let number = self.numbers.fetch_add(1, Relaxed);
        let activity = Arc::new(Activity::new());
        let seen = (Arc::clone(&activity), closing.clone());
        self.open().insert(number, seen);
        self.counters.established.fetch_add(1, Relaxed);
        self.counters.open.fetch_add(1, Relaxed);
        Guest {
            number,
            shared: Arc::clone(self),
            activity,
            closing,
            _place: place,
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, Seen>> {
        // What it guards is sound after each step.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn within(end: CancellationToken, task: impl Future<Output = ()>) {
    tokio::select! {
        () = task => {}
        () = end.cancelled() => {}
    }
}
