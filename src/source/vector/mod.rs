//! Vector's own protocol, version 2: gRPC, as Vector's `vector` sink speaks it.
//!
//! A request is answered once all that came of it is safe, which is what Vector's end-to-end acknowledgements wait for. What
//! Vector hears UNAVAILABLE, RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED or INTERNAL of, it sends again, and keeps what follows in its
//! buffer; what it hears INVALID_ARGUMENT or UNIMPLEMENTED of, it throws away. So neither of these is ever said of sound data.
//!
//! Only logs are searched. Metrics and traces are counted as discarded, and taken.
//!
//! gRPC is written out here: of a call with one message each way it is a prefix of five bytes and two trailers, and what carries
//! it, hyper's HTTP/2, is there for `http_server` anyway.
//!
//! ```text
//!  request ─▶ service: method, encoding, body ─▶ inbox ─▶ search: unpack, events ─▶ Outlet
//!     ▲─────────────────── status ◀─────────────────────────── once it is safe
//! ```

use std::{net::SocketAddr, sync::Arc};

use self::{search::Searcher, service::Service};
use super::{
    Context, Decoding, Ended, Error, Outlet,
    server::{
        Address, Exposure, Server, Tls,
        http::{self, PATIENCE, Patience},
    },
};
use crate::audit::words;

mod beyond;
mod grpc;
mod search;
mod service;

/// What TLS agrees on.
const ALPN: &[&[u8]] = &[b"h2"];

/// Takes what other Vectors send. Options as in Vector.
#[derive(Clone, Debug)]
pub struct Config {
    pub address: SocketAddr,
    /// Default 2: Vector has no other.
    pub version: Version,
    pub tls: Tls,
    /// Of one request, before and after it is unpacked. Default 64 MiB.
    pub max_body_bytes: usize,
    /// How many bytes may come of one that was sent, if more than 48 MiB come. Default 1000.
    pub max_decompression_ratio: usize,
    /// Connections at a time. Default 1000.
    pub connection_limit: usize,
    /// Longer records are searched for decoys and reported, but not decoded. Default 16 MiB.
    pub max_line_bytes: usize,
    /// What the records are. Default audit.
    pub decoding: Decoding,
}

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Two,
}

words!(Version { Two = "2" });

impl Config {
    /// What it lets others do.
    pub(crate) fn exposure(&self) -> Exposure {
        Exposure {
            is_public: Address::Socket(self.address).is_public(),
            is_encrypted: self.tls.enabled,
            is_guarded: self.tls.verify_certificate,
            guard: "tls.verify_certificate with tls.ca_file",
        }
    }
}

/// Serves until stopped.
///
/// # Errors
/// If nobody can listen there, or a certificate cannot be used.
pub fn run(config: &Config, context: &Context, outlet: &mut dyn Outlet) -> Result<Ended, Error> {
    serve(bind(config, context)?, config, PATIENCE, context, outlet)
}

fn bind(config: &Config, context: &Context) -> Result<Server, Error> {
    let (limit, most) = (config.connection_limit, config.max_body_bytes);
    let listen = http::listen(config.address, &config.tls, ALPN, limit, most);
    Server::bind(&listen, context)
}

fn serve(
    server: Server,
    config: &Config,
    patience: Patience,
    context: &Context,
    outlet: &mut dyn Outlet,
) -> Result<Ended, Error> {
    let service = Arc::new(Service::new(config, patience, Arc::clone(&context.id)));
    let mut searcher = Searcher::new(config, context);
    server.run(
        context,
        outlet,
        move |connection, inbox| Arc::clone(&service).serve(connection, inbox),
        |delivery, outlet| searcher.search(&delivery, outlet),
    )
}

#[cfg(test)]
mod tests;
