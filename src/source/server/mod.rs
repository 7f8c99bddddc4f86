//! What all sources have in common that listen, and are fed by connections.
//!
//! The connections are tasks of a small runtime that belongs to the source, so that a flood of them takes no thread from the
//! incidents and the sinks. What a connection has read whole it hands in at the inbox; there the source's thread
//! searches it, as every source does, and has it stored. Only then does the connection answer its peer.
//!
//! Everything is bounded: connections (`connection_limit`), what is read and not searched yet, how long a handshake takes and how
//! long nothing may come. Whoever is idle, or does not get on, makes room for who comes, strangers first, so that they keep nobody out.
//!
//! ```text
//!  peers ──TCP, TLS──▶ listener ──Connection──▶ task of the protocol ──inbox::Sender──▶ Inbox ──▶ Outlet
//!                                                       ▲───────────── Receipt ◀──────── once it is safe
//! ```

use std::{
    fmt,
    future::Future,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use tokio::runtime::{self, Runtime};
use tracing::info;

use self::{
    listener::{Listener, Stopping},
    renewal::Acceptor,
};
use super::{Context, Ended, Error, Outlet};

mod auth;
mod connection;
mod counters;
mod hello;
pub(crate) mod http;
pub(crate) mod inbox;
mod listener;
mod places;
mod renewal;
mod socket;
mod standing;
mod tls;
pub(crate) mod visit;

pub use auth::{Auth, Credentials, Strategy};
pub(crate) use connection::{Activity, Connection, Stream};
pub use counters::{Counters, Refusal};
pub(crate) use tls::check;
pub use tls::{Error as TlsError, Tls};

/// Threads of a source's runtime, at most: they read, decrypt and write. The searching is the source's own thread's.
const MAX_THREADS: usize = 4;

/// How long what is in flight may take to be finished once the source is told to stop.
const GRACE: Duration = Duration::from_secs(5);

/// Where a source listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Port 0 takes any free one.
    Socket(SocketAddr),
    /// The path of a Unix socket. One that is left over from a process that is gone is taken away.
    Unix(PathBuf),
}

impl Address {
    /// Whether other machines may reach it.
    pub(crate) fn is_public(&self) -> bool {
        match self {
            Self::Socket(address) => !address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => false,
        }
    }

    /// Whether only one of the two can be listened at.
    pub(crate) fn excludes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Socket(one), Self::Socket(other)) => {
                let (port, ips) = (one.port(), [one.ip(), other.ip()]);
                // On Linux, what listens at all addresses of IPv6 listens at those of IPv4 too.
                let takes = |ip: IpAddr, other: IpAddr| {
                    ip.is_unspecified() && (ip.is_ipv6() || other.is_ipv4())
                };
                let [ip, other_ip] = ips.map(|ip| ip.to_canonical());
                let is_shared = ip == other_ip || takes(ip, other_ip) || takes(other_ip, ip);
                port != 0 && port == other.port() && is_shared
            }
            (Self::Unix(one), Self::Unix(other)) => one == other,
            (Self::Socket(_), Self::Unix(_)) | (Self::Unix(_), Self::Socket(_)) => false,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// How a source listens.
#[derive(Clone, Debug)]
pub(crate) struct Listen {
    pub address: Address,
    pub tls: Tls,
    /// The protocols that TLS may agree on, the best first. Empty where there is one only.
    pub alpn: &'static [&'static [u8]],
    /// Connections at a time. At least 1.
    pub connection_limit: usize,
    /// Bytes that all connections together may have read and not handed over. At least what one delivery may need.
    pub room: usize,
    /// How long a connection may be silent before it has sent anything, and later; `None` for ever, where clients do not learn
    /// that they are cut off. Who is silent makes room for who comes all the same.
    pub silence: Option<Silence>,
    /// After how long of silence TCP asks whether the peer is still there.
    pub keepalive: Option<Duration>,
    /// The size of the system's buffer for what a TCP connection has received.
    pub receive_buffer_bytes: Option<usize>,
}

/// How long a connection may be silent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Silence {
    pub first: Duration,
    pub later: Duration,
}

/// A source that listens, and is not fed yet.
pub(crate) struct Server {
    listener: Listener,
    room: usize,
    runtime: Runtime,
}

impl Server {
    /// Listens from now on.
    ///
    /// # Errors
    /// If nobody can listen there, or a certificate cannot be used.
    pub(crate) fn bind(listen: &Listen, context: &Context) -> Result<Self, Error> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(threads.min(MAX_THREADS))
            .thread_name(format!("{} io", context.id))
            .enable_all()
            .build()
            .map_err(Error::Serve)?;
        let tls = Acceptor::new(&listen.tls, listen.alpn, Arc::clone(&context.id));
        let tls = tls.map_err(Error::Tls)?.map(Arc::new);
        let _within = runtime.enter();
        let counters = context.counters.serve();
        let listener = Listener::bind(listen, tls, counters, context)?;
        let encrypted = listen.tls.enabled;
        info!(source = &*context.id, address = %listener.address(), tls = encrypted, "listening");
        Ok(Self {
            listener,
            room: listen.room,
            runtime,
        })
    }

    /// Where it listens: the port that was taken, if none was asked for.
    #[cfg(test)]
    pub(crate) fn address(&self) -> &Address {
        self.listener.address()
    }

    /// Serves until stopped: `connect` is what happens on each connection, `search` what becomes of each delivery, on this
    /// thread. `search` gives the answer for the connection, and whether `outlet` holds something that was found.
    pub(crate) fn run<D, A, C>(
        self,
        context: &Context,
        outlet: &mut dyn Outlet,
        connect: impl Fn(Connection, inbox::Sender<D, A>) -> C + Send + Sync + 'static,
        search: impl FnMut(D, &mut dyn Outlet) -> (A, bool),
    ) -> Result<Ended, Error>
    where
        D: Send + 'static,
        A: Send + 'static,
        C: Future<Output = ()> + Send + 'static,
    {
        let (sender, inbox) = inbox::inbox(self.room);
        let stopping = Stopping::new(context.stop.clone(), GRACE);
        let connect = Arc::new(connect);
        let connect = move |connection: Connection| {
            let sender = sender.of(&connection.peer);
            connect(connection, sender)
        };
        let accepting = self.runtime.spawn(self.listener.serve(stopping, connect));
        inbox.serve(outlet, search);
        let ended = self.runtime.block_on(accepting);
        self.runtime.shutdown_background();
        match ended {
            Ok(served) => served.map(|()| Ended::Stopped).map_err(Error::Serve),
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }
}

/// What a source that listens lets others do, for what is said about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exposure {
    /// Other machines may reach it.
    pub is_public: bool,
    pub is_encrypted: bool,
    /// Clients must show who they are.
    pub is_guarded: bool,
    /// The option that makes them.
    pub guard: &'static str,
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
