//! Whether this member holds every partition of its topics.
//!
//! A `dedupe` behind the source must see all that happens in a cluster. Who else holds partitions is asked of the brokers, now
//! and then; what is found to lack must lack for a while, since a partition that was added, and one that changes
//! hands, is nobody's for some seconds.

use std::time::{Duration, Instant};

use rdkafka::{TopicPartitionList, error::KafkaResult};

use super::{
    Config,
    client::Client,
    group::{PATIENCE, assigned_in_group, partitions_of},
};

/// The time in which a new partition is found and assigned.
const FOUND: Duration = Duration::from_secs(20);

/// How long partitions must have been held by others: one that died holds them until its session ends.
pub(super) fn settled(config: &Config) -> Duration {
    FOUND + config.session_timeout
}

/// Looks for other members that hold partitions.
pub(super) struct Lone<'a> {
    config: &'a Config,
    settled: Duration,
    next_look: Instant,
    /// Since when partitions lack, and what was assigned then.
    lacking: Option<(Instant, (u64, usize))>,
}

impl<'a> Lone<'a> {
    /// `settled` is how long partitions must lack.
    pub(super) fn new(config: &'a Config, settled: Duration) -> Self {
        Self {
            config,
            settled,
            next_look: Instant::now() + settled / 4,
            lacking: None,
        }
    }

    /// Whether it is time to look.
    pub(super) fn is_due(&self) -> bool {
        Instant::now() >= self.next_look
    }

    /// What is held, in words, if others have held partitions for long enough. `ours` are the partitions of this member, and
    /// `version` says which of its assignments that is.
    pub(super) fn look(
        &mut self,
        client: &Client,
        ours: &TopicPartitionList,
        version: (u64, usize),
    ) -> Option<String> {
        let now = Instant::now();
        self.next_look = now + self.settled / 4;
        // What cannot be asked is asked again.
        let held = held_by_others(client, self.config, ours, version.0 > 0).ok()?;
        let Some(held) = held else {
            self.lacking = None;
            return None;
        };
        let lacking = self.lacking.filter(|(_, then)| *then == version);
        let (since, _) = *self.lacking.insert(lacking.unwrap_or((now, version)));
        (now - since >= self.settled).then_some(held)
    }
}

/// What this member holds, in words, if others hold the rest. What nobody holds is on its way: a new partition, or all of
/// them while the group comes together.
fn held_by_others(
    client: &Client,
    config: &Config,
    ours: &TopicPartitionList,
    was_assigned: bool,
) -> KafkaResult<Option<String>> {
    let held = ours.count();
    let assigned = assigned_in_group(client, config);
    let is_alone = match assigned {
        Ok(assigned) => assigned <= held,
        // Brokers that do not tell: others are suspected once the group has come together.
        Err(_) => !was_assigned,
    };
    if is_alone {
        return Ok(None);
    }
    for topic in config.topics.iter().filter(|topic| !topic.starts_with('^')) {
        let there = partitions_of(client, topic, PATIENCE)?;
        let held = ours.elements_for_topic(topic).len();
        if held < there {
            let words = format!("this one has {held} of the {there} partitions of {topic}");
            return Ok(Some(words));
        }
    }
    // Which topics match a pattern only the group knows.
    if !config.topics.iter().any(|topic| topic.starts_with('^')) {
        return Ok(None);
    }
    let assigned = assigned?;
    let words = format!("this one has {held} of the {assigned} partitions that the group has");
    Ok(Some(words))
}
