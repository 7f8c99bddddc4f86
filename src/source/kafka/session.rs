//! The life of one member of the group: poll, search, hand on, and acknowledge what is safe.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use rdkafka::{
    Message, TopicPartitionList, consumer::Consumer, error::KafkaError, message::BorrowedMessage,
};
use tracing::{debug, warn};

mod rebalance;

use super::{
    Config,
    client::{Change, Client},
    idle::Idle,
    lone::Lone,
    partitions::Partitions,
    waiting::Waiting,
};
use crate::{
    source::{Context, Error, Outlet, payload::Payloads},
    telemetry::Seldom,
};

/// How long a poll waits for a message, and a source for being told to stop.
const POLL: Duration = Duration::from_millis(100);

/// Payload that is searched at once: what fits into a core's own cache.
const BURST_BYTES: usize = 256 << 10;

/// Messages that are searched at once.
pub(super) const BURST_MESSAGES: usize = 4096;

/// Time between two notes of how far the source has come, if nothing is found.
const TICK: Duration = Duration::from_secs(1);

/// Such notes that may be unacknowledged: more come when something is found, or when one is.
const UNACKNOWLEDGED: usize = 64;

/// How long a full pipeline is waited for before the partitions are paused, which makes librdkafka throw
/// away what it has fetched ahead. The time between two looks is short.
const FULL: Duration = Duration::from_secs(1);
const FULL_LOOK: Duration = Duration::from_millis(1);

/// How long partitions that are taken away, and those of a source that ends, may take to be finished.
const GIVE_UP: Duration = Duration::from_secs(5);

/// How long the brokers may take to say what became of a gap.
const GAP: Duration = Duration::from_secs(1);

pub(super) struct Session<'a> {
    config: &'a Config,
    context: &'a Context,
    client: &'a Client,
    partitions: Partitions,
    /// How far partitions were read that are not held now: as stored before, or by this process.
    kept: HashMap<(String, i32), i64>,
    /// Those that are held and not read yet.
    waiting: Waiting,
    idle: Idle,
    /// What the source has to do without though brokers can be reached, in words.
    lacking: Option<String>,
    payloads: Payloads,
    /// What the last polls brought; empty between two steps.
    burst: Vec<BorrowedMessage<'a>>,
    /// Something was found that the pipeline has not taken yet.
    found: bool,
    /// Since when the pipeline has been full.
    full: Option<Instant>,
    paused: bool,
    next_tick: Instant,
    lone: Option<Lone<'a>>,
    gap_look: Seldom,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        config: &'a Config,
        context: &'a Context,
        client: &'a Client,
        lone: Option<Lone<'a>>,
    ) -> Self {
        let now = Instant::now();
        let kept = context.positions.iter().filter_map(|position| {
            let (topic, number) = position.key.rsplit_once('/')?;
            let offset = position.value.as_ref()?.parse().ok()?;
            Some(((topic.to_owned(), number.parse().ok()?), offset))
        });
        Self {
            config,
            context,
            client,
            partitions: Partitions::default(),
            kept: kept.collect(),
            waiting: Waiting::new(),
            idle: Idle::default(),
            lacking: None,
            payloads: Payloads::new(config.max_line_bytes),
            burst: Vec::new(),
            found: false,
            full: None,
            paused: false,
            next_tick: now + TICK,
            lone,
            gap_look: Seldom::default(),
        }
    }

    /// Reads a burst of messages, if there is room for what may be found, and does whatever else is due.
    ///
    /// # Errors
    /// If librdkafka gives up, or this member must be the only one and is not.
    pub(super) fn step(&mut self, outlet: &mut dyn Outlet) -> Result<(), Error> {
        if self.full.is_some() && !self.paused {
            self.context.stop.sleep(FULL_LOOK);
        } else {
            self.poll()?;
            self.search(outlet);
            self.look_into_gap();
        }
        self.rebalance(outlet);
        self.store_what_is_safe();
        self.hand_on_if_due(outlet);
        self.read_statistics();
        self.must_be_alone()
    }

    /// Ends as well as it can be done: what was found is handed on, and what becomes safe in a few seconds is
    /// committed when the client is dropped.
    pub(super) fn end(&mut self, outlet: &mut dyn Outlet) {
        let progress = self.partitions.progress();
        if self.found || progress.is_some() {
            outlet.commit(progress.unwrap_or_default());
            self.partitions.told();
        }
        let all = self.partitions.list();
        self.wait_until_safe(&all, Instant::now() + GIVE_UP);
        self.client.context().close();
        // What librdkafka waits to be answered.
        while let Some(change) = self.client.context().next_change() {
            let _ = match change {
                Change::Assigned(partitions) => self.client.incremental_assign(&partitions),
                Change::Revoked(partitions) => self.client.incremental_unassign(&partitions),
            };
        }
    }

    /// Waits for a message, and takes those that have come with it.
    fn poll(&mut self) -> Result<(), Error> {
        let (mut wait, mut bytes) = (POLL, 0);
        while bytes < BURST_BYTES && self.burst.len() < BURST_MESSAGES {
            match self.client.poll(wait) {
                Some(Ok(message)) => {
                    bytes += message.payload_len();
                    self.burst.push(message);
                }
                Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => {
                    return Err(Error::Kafka(error));
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {}
                // The listener has told and counted it.
                Some(Err(_)) => {}
                None => break,
            }
            wait = Duration::ZERO;
        }
        Ok(())
    }

    fn search(&mut self, outlet: &mut dyn Outlet) {
        if self.burst.is_empty() {
            return;
        }
        if self.client.context().fed() {
            self.client.context().connected(self.lacking.as_deref());
        }
        self.found |= self.payloads.search(&self.burst, self.context, outlet);
        for message in self.burst.drain(..) {
            let (topic, number) = (message.topic(), message.partition());
            self.partitions.pass(topic, number, message.offset());
        }
    }

    /// Offsets that are missing were never messages, or were deleted before they were read.
    fn look_into_gap(&mut self) {
        let Some(gap) = self.partitions.gap() else {
            return;
        };
        if !self.gap_look.is_due() {
            return;
        }
        let watermarks = self.client.fetch_watermarks(&gap.topic, gap.number, GAP);
        if let Ok((low, _)) = watermarks
            && low > gap.from
        {
            self.lost(&gap.topic, gap.number, (low - gap.from).unsigned_abs());
        }
    }

    fn lost(&self, topic: &str, partition: i32, lost: u64) {
        let errors = &self.context.counters.errors;
        errors.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        warn!(
            source = &*self.context.id,
            topic, partition, lost, "messages were deleted from Kafka before they were read"
        );
    }

    fn wait_until_safe(&mut self, partitions: &TopicPartitionList, deadline: Instant) {
        loop {
            self.store_what_is_safe();
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.partitions.are_safe(partitions) {
                return;
            }
            self.partitions.wait(left);
        }
    }

    fn store_what_is_safe(&mut self) {
        let Some(safe) = self.partitions.newly_safe() else {
            return;
        };
        if safe.count() > 0
            && let Err(error) = self.client.store_offsets(&safe)
        {
            debug!(source = &*self.context.id, "offsets not stored: {error}");
        }
    }

    fn hand_on_if_due(&mut self, outlet: &mut dyn Outlet) {
        let is_due =
            Instant::now() >= self.next_tick && self.partitions.unacknowledged() < UNACKNOWLEDGED;
        if self.found || is_due {
            self.hand_on(outlet);
        }
    }

    /// Hands on what was found, and how far the source has come. False if the pipeline is full.
    fn hand_on(&mut self, outlet: &mut dyn Outlet) -> bool {
        let now = Instant::now();
        self.next_tick = now + TICK;
        let progress = self.partitions.progress();
        if progress.is_none() && !self.found {
            return true;
        }
        if outlet.try_commit(progress.unwrap_or_default()).is_err() {
            // What holds nothing holds nobody up.
            if self.found {
                let since = *self.full.get_or_insert(now);
                if !self.paused && now - since >= FULL {
                    debug!(source = &*self.context.id, "the pipeline is full: paused");
                    self.paused = true;
                    self.pause(&self.partitions.list());
                }
            }
            return false;
        }
        self.partitions.told();
        self.found = false;
        self.full = None;
        if self.paused {
            debug!(source = &*self.context.id, "resumed");
            self.paused = false;
            if let Err(error) = self.client.resume(&self.partitions.list()) {
                self.client.context().fails(&error, "resuming");
            }
        }
        true
    }

    fn pause(&self, partitions: &TopicPartitionList) {
        if let Err(error) = self.client.pause(partitions) {
            self.client.context().fails(&error, "pausing");
        }
    }

    fn read_statistics(&mut self) {
        let Some(statistics) = self.client.context().statistics() else {
            return;
        };
        if statistics.is_connected() {
            self.lacking = self.look_for_what_lacks();
            self.client.context().connected(self.lacking.as_deref());
        } else {
            self.idle.reset();
        }
        let end = |topic: &str, number| statistics.end(topic, number);
        let lag = self.partitions.lag(end);
        // Of what is not read yet nobody knows it.
        let lag = lag.filter(|_| self.waiting.is_empty());
        self.context.counters.set_lag(lag);
    }

    fn look_for_what_lacks(&mut self) -> Option<String> {
        if self.partitions.count() == 0 && self.waiting.is_empty() {
            return self.idle.look(&self.context.id, self.client, self.config);
        }
        self.idle.reset();
        self.waiting.in_words()
    }

    fn must_be_alone(&mut self) -> Result<(), Error> {
        let Some(lone) = self.lone.as_mut().filter(|lone| lone.is_due()) else {
            return Ok(());
        };
        let mut ours = self.partitions.list();
        for (topic, number) in self.waiting.iter() {
            ours.add_partition(topic, number);
        }
        match lone.look(self.client, &ours, self.partitions.version()) {
            None => Ok(()),
            Some(held) => Err(Error::SharedPartitions {
                group: self.config.group_id.clone(),
                held,
            }),
        }
    }
}
