//! Kafka, as an idempotent producer.
//!
//! Many messages are on their way at a time, and the outbox moves on as Kafka confirms them. A message waits until
//! Kafka has it: through outages, topics that nobody has made yet and passwords that somebody has to mend. Only what
//! Kafka refuses for its content is given up: it becomes a dead letter, or is counted and logged where there are none.
//!
//! The messages of one key stay in order. Within a producer, librdkafka sees to that; and whatever makes a message fail
//! ends the producer before it sends what stands behind. Then a new one sends everything that was not confirmed, from
//! the first on: some of it perhaps a second time, under the same id, but nothing before its turn.
//!
//! ```yaml
//! siem: { type: kafka, inputs: [detections, incidents], bootstrap_servers: "kafka:9092", topic: k8s-alerts }
//! ```

use std::time::Duration;

use rdkafka::ClientConfig;

use self::sender::Sender;
use super::{Codec, Delivery, Ending, Report, Template};
use crate::{audit::words, kafka::Connection, store::BufferConfig};

mod link;
mod record;
mod sender;
mod verdict;
mod window;

/// Writes to a Kafka topic.
#[derive(Clone, Debug)]
pub struct Config {
    pub connection: Connection,
    /// Has no fields but [`Field::Type`](super::Field::Type) and [`Field::Severity`](super::Field::Severity).
    pub topic: Template,
    /// What has the same key stays in order (`key_field`). Default [`Field::IncidentKey`](super::Field::IncidentKey).
    pub key: Template,
    /// Default none.
    pub compression: Compression,
    /// Default JSON.
    pub codec: Codec,
    /// How long nothing may be confirmed until all that is not is sent again by a new producer
    /// (`message_timeout_ms`). Default 5 minutes.
    pub message_timeout: Duration,
    pub buffer: BufferConfig,
}

/// How requests are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

words!(Compression {
    None = "none",
    Gzip = "gzip",
    Snappy = "snappy",
    Lz4 = "lz4",
    Zstd = "zstd",
});

/// Bytes of messages in one request. A request that a broker refuses fails as a whole, so that smaller ones than
/// librdkafka's of 1 MB cost less to sort out, and they are large enough for any rate.
const BATCH_BYTES: usize = 128 << 10;

/// What librdkafka is told at first.
pub(crate) fn settings(config: &Config) -> ClientConfig {
    link::settings(config, BATCH_BYTES)
}

/// Delivers to Kafka until the outbox is drained or the time is up.
pub async fn run(config: Config, mut delivery: Delivery) -> Report {
    let mut sender = Sender::new(config, &delivery);
    let give_up = delivery.give_up.clone();
    let ending = tokio::select! {
        biased;
        () = give_up.cancelled() => Ending::GaveUp,
        () = sender.drain(&mut delivery.outbox) => Ending::Drained,
    };
    sender.end_link().await;
    sender.settle(&mut delivery.outbox);
    delivery.end(ending)
}

#[cfg(test)]
mod tests;
