//! Topics of Kafka, read as a member of a consumer group.
//!
//! A payload is what a file would be: one record, or one a line, or a list that is spread over lines; packed or not.
//! What a burst of polls brings is put together line by line and searched as one block.
//!
//! An offset is stored with librdkafka only when all that came of the messages before it is safe; librdkafka
//! commits what is stored, now and then, and when a partition is taken away. While the pipeline is full the partitions
//! are paused and polled on, so that the group does not take a full pipeline for a dead instance. Each assignment of a
//! partition has a number, by which a late acknowledgement is told from one that still counts.
//!
//! All of this happens on the source's thread. librdkafka's own threads fetch ahead, within bounds.

use std::time::Duration;

use rdkafka::consumer::Consumer;

use self::{
    client::{Client, Listener},
    lone::Lone,
    session::Session,
};
use super::{Context, Decoding, Ended, Error, Outlet};
use crate::{
    audit::words,
    kafka::{self, Connection},
};

mod client;
mod group;
mod idle;
mod lone;
mod message;
mod partitions;
mod session;
mod start;
mod statistics;
mod waiting;

pub(crate) use client::settings;

/// Reads topics as a member of a consumer group. Options as in Vector.
#[derive(Clone, Debug)]
pub struct Config {
    pub connection: Connection,
    /// The consumer group.
    pub group_id: String,
    /// Names of topics, and regular expressions that begin with `^`. At least one.
    pub topics: Vec<String>,
    /// Where to begin in a partition of which the group has read nothing. Default earliest.
    pub auto_offset_reset: AutoOffsetReset,
    /// After this long without a sign of life the group gives the partitions to others
    /// (`session_timeout_ms`). Default 10 s.
    pub session_timeout: Duration,
    /// How long a broker may wait for more before it answers (`fetch_wait_max_ms`). Default 100 ms.
    pub fetch_wait_max: Duration,
    /// Time between two commits to Kafka (`commit_interval_ms`). Default 5 s.
    pub commit_interval: Duration,
    /// Longer records are searched for decoys and reported, but not decoded. Default 16 MiB.
    pub max_line_bytes: usize,
    /// What the records are. Default audit.
    pub decoding: Decoding,
}

/// Where to begin in a partition of which nothing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoOffsetReset {
    /// At what waits in it.
    Earliest,
    /// At what comes.
    Latest,
}

words!(AutoOffsetReset { Earliest = "earliest", Latest = "latest" });

/// Reads until stopped. Brokers and topics that are not there are waited for.
///
/// # Errors
/// If a certificate cannot be read, librdkafka refuses the configuration or gives up, or if other members of the group hold partitions and
/// `shares_partitions` is false.
pub fn run(
    config: &Config,
    shares_partitions: bool,
    context: &Context,
    outlet: &mut dyn Outlet,
) -> Result<Ended, Error> {
    let lone = (!shares_partitions).then(|| Lone::new(config, lone::settled(config)));
    read(config, lone, context, outlet)
}

/// As [`run`]; with `lone`, if this member must hold every partition.
fn read(
    config: &Config,
    lone: Option<Lone<'_>>,
    context: &Context,
    outlet: &mut dyn Outlet,
) -> Result<Ended, Error> {
    let listener = Listener::new(context);
    let settings = settings(config);
    kafka::check_files(&settings).map_err(Error::UnreadableFile)?;
    let client: Client = settings
        .create_with_context(listener)
        .map_err(Error::Kafka)?;
    let topics: Vec<&str> = config.topics.iter().map(String::as_str).collect();
    client.subscribe(&topics).map_err(Error::Kafka)?;
    tracing::info!(
        source = &*context.id,
        group = config.group_id,
        ?topics,
        "subscribed"
    );
    let mut session = Session::new(config, context, &client, lone);
    let outcome = loop {
        if context.stop.is_triggered() {
            break Ok(Ended::Stopped);
        }
        if let Err(error) = session.step(outlet) {
            break Err(error);
        }
    };
    session.end(outlet);
    outcome
}

#[cfg(test)]
mod tests;
