//! HTTP: whoever posts audit events. The API server's webhook, Fluent Bit, Vector, Pub/Sub, Event Grid, Firehose.
//!
//! A request is answered 2xx once all that came of it is safe. Shippers send again what they hear 408, 429 or 5xx of, and what
//! they hear nothing of; Fluent Bit throws away what it hears any other 4xx of. So none is ever said of sound data: what
//! cannot be a record is counted, searched all the same, and taken.
//!
//! A body is read for what it is, whatever its headers say: JSON, one value a line, lists, values that follow each
//! other; plain or packed, more than once if need be. No body is kept longer or larger than `max_body_bytes` allows, before
//! and after it is unpacked.
//!
//! ```text
//!  request ─▶ service: route, auth ─▶ body: read within its bounds ─▶ inbox ─▶ search: unpack, records ─▶ Outlet
//!     ▲────────────────── answer: in the words of who asks ◀──────────────────────────── once it is safe
//! ```

use std::{net::SocketAddr, sync::Arc};

use self::{search::Searcher, service::Service};
use super::{
    Context, Decoding, Ended, Error, Outlet,
    server::{
        Address, Auth, Exposure, Server, Tls,
        http::{self, PATIENCE, Patience},
    },
};
use crate::audit::words;

mod answer;
mod beyond;
mod loki;
mod search;
mod service;
mod snappy;
mod unpack;
mod wide;

pub use search::search;

/// What TLS agrees on, the best first.
const ALPN: &[&[u8]] = &[b"h2", b"http/1.1"];

/// Takes what is posted. Options as in Vector.
#[derive(Clone, Debug)]
pub struct Config {
    pub address: SocketAddr,
    /// Where it is posted to. Default `/`.
    pub path: String,
    /// Whether paths below `path` are not served. Default true.
    pub strict_path: bool,
    /// Default POST.
    pub method: Method,
    pub auth: Auth,
    pub tls: Tls,
    /// For Vector's sake; a body is read for what it is.
    pub encoding: Encoding,
    /// What a request that is safe is answered. Default 200.
    pub response_code: u16,
    /// Of one body, before and after it is unpacked. Default 64 MiB.
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

/// A method that may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Delete,
    Get,
    Head,
    Options,
    Patch,
    Post,
    Put,
}

words!(Method {
    Delete = "DELETE",
    Get = "GET",
    Head = "HEAD",
    Options = "OPTIONS",
    Patch = "PATCH",
    Post = "POST",
    Put = "PUT",
});

/// What Vector's users say of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Text,
    Ndjson,
    Json,
    Binary,
}

words!(Encoding {
    Text = "text",
    Ndjson = "ndjson",
    Json = "json",
    Binary = "binary",
});

impl Config {
    /// What it lets others do.
    pub(crate) fn exposure(&self) -> Exposure {
        Exposure {
            is_public: Address::Socket(self.address).is_public(),
            is_encrypted: self.tls.enabled,
            is_guarded: self.auth.strategy.is_some() || self.tls.verify_certificate,
            guard: "auth",
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
        |delivery, outlet| searcher.search(delivery, outlet),
    )
}

#[cfg(test)]
mod tests;
