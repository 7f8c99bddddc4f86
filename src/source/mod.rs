//! Bytes in. A source hands on [`Block`]s and knows nothing of what becomes of them.
//!
//! A source runs on a thread of its own until its input ends or it is told to [`Stop`]. It gives its [`Outlet`] each
//! block and reads on when that returns, so that a block is searched while it is in the cache, and a slow pipeline
//! slows its source. What was found goes on together with the [`Progress`] of the source, so that both are
//! stored in one step; then the progress is acknowledged.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use compact_str::CompactString;

use crate::{
    audit::words,
    kafka::UnreadableFile,
    record::{Header, decompress},
    telemetry::Status,
};

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

/// A run of whole records in one buffer, and where it was read.
pub struct Block<'a> {
    pub bytes: &'a [u8],
    pub shape: Shape,
    /// Of lines: the names of their columns, where the stream began with them.
    pub header: Option<&'a Header>,
    /// Of lines among which parts of longer ones may stand that a container runtime cut: whoever searches them stops before the first
    /// part, and says here where it begins. It comes again, joined.
    pub first_part: Option<&'a OnceLock<usize>>,
    /// Where the byte at an offset into the block came from. Called only for what becomes a detection, and by more than one thread.
    pub provenance: &'a (dyn Fn(usize) -> Provenance + Sync),
}

impl<'a> Block<'a> {
    /// The bytes before the first part, once it is known.
    pub fn before_parts(&self) -> &'a [u8] {
        let first = self.first_part.and_then(OnceLock::get);
        &self.bytes[..first.map_or(self.bytes.len(), |first| *first)]
    }
}

/// Where a record came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// In the source's own words: a path and a byte offset, as in `/var/log/audit.log:1048576`.
    pub position: CompactString,
    /// The key that a message bus had it under.
    pub key: Option<String>,
    /// What a message bus said beside it. Bounded by the source.
    pub headers: BTreeMap<String, String>,
}

impl From<CompactString> for Provenance {
    /// A position, and nothing else.
    fn from(position: CompactString) -> Self {
        Self {
            position,
            ..Self::default()
        }
    }
}

impl From<String> for Provenance {
    fn from(position: String) -> Self {
        CompactString::from(position).into()
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

/// How records lie in a [`Block`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One record a line. The last may lack its newline.
    Lines,
    /// One record; newlines in it are white space.
    Value,
    /// Entries of MessagePack, one after the other: see [`crate::record::msgpack`].
    MessagePack,
    /// Events in a `PushEventsRequest` of Vector, one after the other: see [`crate::record::protobuf`].
    PushEvents,
    /// A part of one record that is longer than `max_line_bytes`. Each part repeats the
    /// last [`OVERLAP`] bytes of the one before, so that no name is cut in two.
    Oversized { first: bool, last: bool },
}

/// Bytes that two neighbouring parts of an oversized record share.
pub const OVERLAP: usize = 4096;

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
