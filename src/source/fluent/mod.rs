//! Forward, the protocol of Fluentd and Fluent Bit, version 1.
//!
//! Events come one or many in a message: in an array, in a string, compressed or not. They are searched as they lie there
//! ([`crate::record::msgpack`]). A message with a `chunk` is acknowledged when all that came of it is safe, and never before; one
//! that cannot be read is not, and ends its connection. Messages of JSON are taken as well, as Fluentd takes them.
//!
//! Clients may be silent for as long as they like: one that asks for no acknowledgement does not learn that it was cut off, and
//! loses what it sends next. Only if there are too many connections, the one goes that has been silent, or has not got on with a
//! message, the longest: first those that have neither shown the key nor sent a message.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use ipnet::IpNet;
use tracing::warn;

use self::search::Searcher;
use super::{
    Context, Counters, Decoding, Ended, Error, Outlet,
    server::{Address, Connection, Exposure, Listen, Refusal, Server, Tls, inbox},
};
use crate::{audit::words, telemetry::Seldom};

mod connection;
mod handshake;
mod json;
mod message;
mod reply;
mod search;
#[cfg(test)]
mod tests;

pub use handshake::Security;
pub use message::Message;

/// Listens for Fluentd, Fluent Bit and others that speak Forward. Options as in Vector; those of [`Security`] as in Fluentd.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it listens.
    pub address: Address,
    /// Connections at a time (`connection_limit`). Default 1,024.
    pub connection_limit: usize,
    /// After how long of silence TCP asks whether the peer is still there (`keepalive.time_secs`). Default 60 s.
    pub keepalive: Duration,
    /// The size of the buffer of the system for each connection. Default what the system has.
    pub receive_buffer_bytes: Option<usize>,
    /// Networks from which connections are taken; empty for all. Default all.
    pub permit_origin: Vec<IpNet>,
    pub tls: Tls,
    pub security: Security,
    /// A longer message ends its connection. Default 64 MiB.
    pub max_message_bytes: usize,
    /// Longer records are searched for decoys and reported, but not decoded. Default 16 MiB.
    pub max_line_bytes: usize,
    /// What the records are. Default audit.
    pub decoding: Decoding,
}

impl Config {
    /// What it lets others do.
    pub(crate) fn exposure(&self) -> Exposure {
        Exposure {
            is_public: self.address.is_public(),
            is_encrypted: self.tls.enabled,
            is_guarded: self.security.shared_key.is_some() || self.tls.verify_certificate,
            guard: "shared_key",
        }
    }
}

/// What carries the connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Tcp,
    Unix,
}

words!(Mode { Tcp = "tcp", Unix = "unix" });

/// Messages that are whole.
struct Delivery {
    bytes: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
    peer: Arc<str>,
}

/// What its connection does once they are safe.
#[derive(Default)]
struct Reply {
    /// The acknowledgements that were asked for.
    acks: Vec<u8>,
    /// Why a message was not taken, nor any behind it.
    refused: Option<(Refusal, String)>,
}

/// What the connections have in common.
struct Shared {
    id: Arc<str>,
    security: Security,
    max_message_bytes: usize,
    permit_origin: Vec<IpNet>,
    warning: Seldom,
    unsearched: Seldom,
    counters: Arc<Counters>,
}

impl Shared {
    fn permits(&self, peer: &str) -> bool {
        let address = peer
            .parse()
            .map(|peer: std::net::SocketAddr| peer.ip().to_canonical());
        let is_in = |address| {
            self.permit_origin
                .iter()
                .any(|network| network.contains(&address))
        };
        self.permit_origin.is_empty() || address.is_ok_and(is_in)
    }

    /// Counts and says that a message of `peer` was not searched to its end.
    fn say_unsearched(&self, peer: &str) {
        self.counters.errors.fetch_add(1, Relaxed);
        if self.unsearched.is_due() {
            warn!(
                source = &*self.id,
                peer, "a message is so long that its end was not searched"
            );
        }
    }
}

/// Serves until stopped.
///
/// # Errors
/// If nobody can listen there, or a certificate cannot be used.
pub fn run(config: &Config, context: &Context, outlet: &mut dyn Outlet) -> Result<Ended, Error> {
    let listen = Listen {
        address: config.address.clone(),
        tls: config.tls.clone(),
        alpn: &[],
        connection_limit: config.connection_limit,
        room: 2 * config.max_message_bytes,
        silence: None,
        keepalive: Some(config.keepalive),
        receive_buffer_bytes: config.receive_buffer_bytes,
    };
    let server = Server::bind(&listen, context)?;
    let shared = Arc::new(Shared {
        id: Arc::clone(&context.id),
        security: config.security.clone(),
        max_message_bytes: config.max_message_bytes,
        permit_origin: config.permit_origin.clone(),
        warning: Seldom::default(),
        unsearched: Seldom::default(),
        counters: Arc::clone(&context.counters),
    });
    let connect = move |connection: Connection, inbox: inbox::Sender<Delivery, Reply>| {
        let shared = Arc::clone(&shared);
        async move {
            if shared.permits(&connection.peer) {
                connection::serve(shared, connection, inbox).await;
            } else {
                connection.counters.refuse(Refusal::Auth);
            }
        }
    };
    let search = |delivery: Delivery, outlet: &mut dyn Outlet| {
        Searcher::new(config, context, &delivery, outlet).search()
    };
    server.run(context, outlet, connect, search)
}
