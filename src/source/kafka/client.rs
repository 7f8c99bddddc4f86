//! librdkafka's consumer: how it is set up, and what it tells.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use rdkafka::{
    ClientConfig, ClientContext, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    types::RDKafkaRespErr,
};
use tracing::{debug, info};

use super::{Config, statistics::Statistics};
use crate::{
    kafka::Events,
    source::{Context, Counters},
    telemetry::Status,
};

pub(super) type Client = BaseConsumer<Listener>;

/// What baitline sets unless the user does, by each name that librdkafka has for it. By itself librdkafka fetches 50 MiB
/// at a time and queues 64 MiB, and what it fetches is often packed ten times smaller.
const DEFAULTS: [(&[&str], &str); 6] = [
    (&["queued.max.messages.kbytes"], "16384"),
    (&["fetch.max.bytes"], "1048576"),
    (
        &["fetch.message.max.bytes", "max.partition.fetch.bytes"],
        "1048576",
    ),
    // With a queue as short as this one a second, which is the default, is long after it is empty.
    (&["fetch.queue.backoff.ms"], "5"),
    // A topic that is made later, and a partition that is added, are found within this time.
    (&["topic.metadata.refresh.interval.ms"], "10000"),
    (&["reconnect.backoff.max.ms"], "5000"),
];

/// Time between two reports of librdkafka about itself.
const STATISTICS_INTERVAL_MS: &str = "2000";

/// Most time between two signs of life.
const HEARTBEAT_MS: u128 = 3000;

pub(super) fn settings(config: &Config) -> ClientConfig {
    let mut client = config.connection.client();
    for (names, value) in DEFAULTS {
        if names.iter().all(|name| client.get(name).is_none()) {
            client.set(names[0], value);
        }
    }
    let session_timeout = config.session_timeout.as_millis();
    if client.get("heartbeat.interval.ms").is_none() {
        let heartbeat = HEARTBEAT_MS.min(session_timeout / 3).max(1);
        client.set("heartbeat.interval.ms", heartbeat.to_string());
    }
    client
        .set("group.id", &config.group_id)
        .set("session.timeout.ms", session_timeout.to_string())
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("enable.auto.commit", "true")
        .set("enable.auto.offset.store", "false")
        .set(
            "auto.commit.interval.ms",
            config.commit_interval.as_millis().to_string(),
        )
        .set(
            "fetch.wait.max.ms",
            config.fetch_wait_max.as_millis().to_string(),
        )
        // Where to begin is decided at the assignment. What falls out of a partition later was deleted, or the topic was
        // made anew: what is there now is read from its beginning.
        .set("auto.offset.reset", "earliest")
        .set("statistics.interval.ms", STATISTICS_INTERVAL_MS);
    client
}

/// A step of a rebalance, to be answered by an incremental (un)assign.
pub(super) enum Change {
    Assigned(TopicPartitionList),
    Revoked(TopicPartitionList),
}

/// Notes what librdkafka tells while it is polled.
pub(super) struct Listener {
    events: Events,
    status: Status,
    counters: Arc<Counters>,
    told: Mutex<Told>,
    /// Why a topic or the group cannot be read at present, though brokers can be reached.
    complaint: Mutex<Option<(KafkaError, String)>>,
    /// The source has ended: partitions go at once.
    closing: AtomicBool,
}

#[derive(Default)]
struct Told {
    changes: VecDeque<Change>,
    statistics: Option<Statistics>,
}

impl Listener {
    pub(super) fn new(context: &Context) -> Self {
        Self {
            events: Events {
                id: context.id.clone(),
                status: context.status.clone(),
            },
            status: context.status.clone(),
            counters: context.counters.clone(),
            told: Mutex::default(),
            complaint: Mutex::default(),
            closing: AtomicBool::new(false),
        }
    }

    /// The next step of a rebalance.
    pub(super) fn next_change(&self) -> Option<Change> {
        self.told().changes.pop_front()
    }

    /// The latest statistics, once.
    pub(super) fn statistics(&self) -> Option<Statistics> {
        self.told().statistics.take()
    }

    /// From now on nobody looks at changes.
    pub(super) fn close(&self) {
        self.closing.store(true, Relaxed);
    }

    /// Partitions were assigned, or messages came.
    pub(super) fn is_fed(&self) {
        if self.complaint().take().is_some() {
            self.is_well();
        }
    }

    /// A broker can be reached.
    pub(super) fn is_connected(&self) {
        match &*self.complaint() {
            Some((error, reason)) => self.events.error(error.clone(), reason),
            None => self.is_well(),
        }
    }

    fn is_well(&self) {
        if self.status.trouble().is_some() {
            info!(component = &*self.events.id, "Kafka: works again");
            self.status.well();
        }
    }

    /// Something went wrong on the way in that librdkafka has not told by itself.
    pub(super) fn failed(&self, error: KafkaError, doing: &str) {
        self.counters.errors.fetch_add(1, Relaxed);
        self.events.error(error, doing);
    }

    fn complaint(&self) -> MutexGuard<'_, Option<(KafkaError, String)>> {
        // As `told`.
        self.complaint
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        // What it guards is sound after each step.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Listener {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.events.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::PartitionEOF) => return,
            // One broker of several: if it is the last, `AllBrokersDown` follows.
            Some(
                RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::OperationTimedOut,
            ) => {
                debug!(component = &*self.events.id, "Kafka: {error}");
                return;
            }
            // Why they are down is known.
            Some(RDKafkaErrorCode::AllBrokersDown)
                if self
                    .status
                    .trouble()
                    .is_some_and(|trouble| trouble.is_lasting) =>
            {
                return;
            }
            Some(
                RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition
                | RDKafkaErrorCode::InvalidTopic
                | RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::GroupAuthorizationFailed,
            ) => *self.complaint() = Some((error.clone(), reason.to_owned())),
            _ => {}
        }
        self.events.error(error, reason);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        // Only what is needed is decoded; what cannot be is of a kind that librdkafka does not write.
        if let Ok(statistics) = serde_json::from_slice(statistics) {
            self.told().statistics = Some(statistics);
        }
    }
}

impl ConsumerContext for Listener {
    /// Called by a poll, on the source's thread, which answers after the poll: a step of a rebalance ends with the
    /// incremental (un)assign, whenever that comes.
    fn rebalance(
        &self,
        client: &BaseConsumer<Self>,
        step: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let is_assigned = step == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.closing.load(Relaxed) {
            // Nothing is left to be told but to let go.
            let _ = match is_assigned {
                true => client.incremental_assign(partitions),
                false => client.incremental_unassign(partitions),
            };
            return;
        }
        let partitions = partitions.clone();
        self.told().changes.push_back(match is_assigned {
            true => Change::Assigned(partitions),
            false => Change::Revoked(partitions),
        });
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        match result {
            Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
            Err(error) => {
                self.counters.errors.fetch_add(1, Relaxed);
                debug!(
                    component = &*self.events.id,
                    "offsets not committed, tried again: {error}"
                );
            }
        }
    }
}
