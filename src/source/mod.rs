//! Bytes in. A source hands on [`Block`]s of records and knows nothing of what becomes of them.
//!
//! A source runs on a thread of its own until its input ends or it is told to [`Stop`]. It gives its [`Outlet`] each
//! block and reads on when that returns, so that a block is searched while it is in the cache, and a slow pipeline
//! slows its source. What was found goes on together with the [`Progress`] of the source, so that both are
//! stored in one step; then the progress is acknowledged.

use std::sync::Arc;

use crate::{audit::words, kafka::UnreadableFile, record::decompress, telemetry::Status};

mod counters;
pub mod entries;
pub mod file;
pub mod fluent;
pub mod http_server;
pub mod kafka;
pub(crate) mod otlp;
mod outlet;
pub(crate) mod payload;
pub mod server;
pub mod stdin;
mod stop;
pub mod vector;

pub use counters::Counters;
pub use outlet::{Outlet, Position, Progress};
pub use stop::Stop;

pub use crate::record::{Block, OVERLAP, Provenance, Shape};

/// What every source is given to work with.
pub struct Context {
    /// The source's id in the configuration.
    pub id: Arc<str>,
    /// Thrown when the source is to stop.
    pub stop: Stop,
    /// What the source stored before, in no order; empty at the first start, and where nothing is stored.
    pub positions: Vec<Position>,
    pub counters: Arc<Counters>,
    /// What the source says of its peer.
    pub status: Status,
}

#[cfg(test)]
impl Context {
    /// A first start, until `stop`.
    pub(crate) fn new(stop: Stop) -> Self {
        Self {
            id: "under_test".into(),
            stop,
            positions: Vec::new(),
            counters: Arc::default(),
            status: Status::default(),
        }
    }
}

/// What the records of a source are (`decoding.codec`). It is never guessed from what they hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Decoding {
    /// Audit events, in whatever wraps them.
    #[default]
    Audit,
    /// Detections that another baitline found and wrote as JSON.
    Detection,
}

words!(Decoding { Audit = "audit", Detection = "detection" });

/// Why a source returned without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The input is at its end, and all of it was handed on.
    EndOfInput,
    /// It was told to.
    Stopped,
}

/// Why a source cannot go on. What it had read before was handed on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read standard input: {0}")]
    Stdin(#[source] decompress::Error),
    #[error("bad glob {glob:?}: {source}")]
    Glob {
        glob: String,
        source: glob::PatternError,
    },
    #[error("cannot listen at {address}: {source}; {advice}")]
    Listen {
        address: server::Address,
        source: std::io::Error,
        /// What to do about it.
        advice: &'static str,
    },
    #[error("TLS: {0}")]
    Tls(#[source] server::TlsError),
    #[error("cannot serve connections: {0}")]
    Serve(#[source] std::io::Error),
    #[error("Kafka: {0}")]
    Kafka(#[source] rdkafka::error::KafkaError),
    #[error("Kafka: {0}")]
    UnreadableFile(#[source] UnreadableFile),
    #[error(
        "a dedupe behind this source must see every partition of its topics, but other members of the group {group:?} hold \
         some ({held}); let the instances detect only and write what they find to a topic, with key_field \
         \"{{{{ cluster }}}}\", and put the dedupe behind a kafka source of that topic, with decoding.codec: detection"
    )]
    SharedPartitions {
        group: String,
        /// Which partitions this one holds, in words.
        held: String,
    },
}
