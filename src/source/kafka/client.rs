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

/// What librdkafka is told.
pub(crate) fn settings(config: &Config) -> ClientConfig {
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
    counters: Arc<Counters>,
    told: Mutex<Told>,
    /// Why a topic or the group cannot be read at present, though brokers can be reached.
    complaint: Mutex<Option<(KafkaError, String)>>,
    /// The commit before this one failed.
    commits_fail: AtomicBool,
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
            events: Events::new(context.id.clone(), context.status.clone()),
            counters: context.counters.clone(),
            told: Mutex::default(),
            complaint: Mutex::default(),
            commits_fail: AtomicBool::new(false),
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

    /// Partitions were assigned, or messages came: what librdkafka complained of is over. True if that is news.
    pub(super) fn fed(&self) -> bool {
        self.complaint().take().is_some()
    }

    /// A broker can be reached; `lacking` is what the source has to do without all the same: its kind, and behind a colon
    /// which and why.
    pub(super) fn connected(&self, lacking: Option<&str>) {
        match (&*self.complaint(), lacking) {
            (Some((error, reason)), _) => self.fails(error, reason),
            (None, Some(lacking)) => {
                let kind = lacking.split(':').next().unwrap_or_default();
                self.count(self.events.trouble(kind, lacking, false));
            }
            (None, None) if self.events.well() => {
                info!(component = &*self.events.id, "Kafka: works again");
            }
            (None, None) => {}
        }
    }

    /// Something went wrong on the way in that librdkafka has not told by itself.
    pub(super) fn fails(&self, error: &KafkaError, doing: &str) {
        self.count(self.events.failed(error, doing));
    }

    /// An error is counted when it begins, however often it is found again.
    fn count(&self, is_new: bool) {
        self.counters.errors.fetch_add(is_new.into(), Relaxed);
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
            // If it is the last of the brokers, `AllBrokersDown` follows.
            Some(
                RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::OperationTimedOut,
            ) => {
                debug!(component = &*self.events.id, "Kafka: {error}");
                self.events.note(reason);
                return;
            }
            // Why they are down is known.
            Some(RDKafkaErrorCode::AllBrokersDown)
                if self
                    .events
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
        self.fails(&error, reason);
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
        let is_failure = match result {
            Ok(()) => false,
            Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => return,
            Err(error) => {
                debug!(
                    component = &*self.events.id,
                    "offsets not committed, tried again: {error}"
                );
                true
            }
        };
        let failed_before = self.commits_fail.swap(is_failure, Relaxed);
        // In an outage it is not another error.
        let is_well = self.events.status.trouble().is_none();
        self.count(is_failure && !failed_before && is_well);
    }
}
