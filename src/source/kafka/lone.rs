//! Whether this member holds every partition of its topics.
//!
//! A `dedupe` behind the source must see all that happens in a cluster. Who else holds partitions is asked of the brokers, now
//! and then; what is found to lack must lack for a while, since a partition that was added, and one that changes
//! hands, is nobody's for some seconds.

use std::time::{Duration, Instant};

use rdkafka::{consumer::Consumer, error::KafkaResult};

use super::{Config, client::Client, partitions::Partitions};

/// The time in which a new partition is found and assigned.
const FOUND: Duration = Duration::from_secs(20);

/// How long one question to the brokers may take.
const PATIENCE: Duration = Duration::from_secs(2);

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

    /// What is held, in words, if others have held partitions for long enough.
    pub(super) fn look(&mut self, client: &Client, partitions: &Partitions) -> Option<String> {
        let now = Instant::now();
        if now < self.next_look {
            return None;
        }
        self.next_look = now + self.settled / 4;
        // What cannot be asked is asked again.
        let held = held_by_others(client, self.config, partitions).ok()?;
        let Some(held) = held else {
            self.lacking = None;
            return None;
        };
        let version = partitions.version();
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
    partitions: &Partitions,
) -> KafkaResult<Option<String>> {
    let held = partitions.count();
    let assigned = assigned_in_group(client, config);
    let is_alone = match assigned {
        Ok(assigned) => assigned <= held,
        // Brokers that do not tell: others are suspected once the group has come together.
        Err(_) => partitions.version().0 == 0,
    };
    if is_alone {
        return Ok(None);
    }
    for topic in config.topics.iter().filter(|topic| !topic.starts_with('^')) {
        let metadata = client.fetch_metadata(Some(topic), PATIENCE)?;
        let topics = metadata.topics().iter();
        let there: usize = topics.map(|topic| topic.partitions().len()).sum();
        let held = partitions.count_of(topic);
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

/// How many partitions the members of the group hold, as the brokers know it.
fn assigned_in_group(client: &Client, config: &Config) -> KafkaResult<usize> {
    let groups = client.fetch_group_list(Some(&config.group_id), PATIENCE)?;
    let members = groups.groups().iter().flat_map(|group| group.members());
    let assigned = members.filter_map(|member| assigned_partitions(member.assignment()?));
    Ok(assigned.sum())
}

/// How many partitions stand in a member's assignment, as the consumer protocol writes it: a version, and topics, each
/// with the numbers of its partitions.
fn assigned_partitions(assignment: &[u8]) -> Option<usize> {
    let mut rest = assignment.get(2..)?;
    let mut total = 0;
    for _ in 0..number(&mut rest)? {
        let (length, name) = rest.split_first_chunk::<2>()?;
        rest = name.get(usize::from(u16::from_be_bytes(*length))..)?;
        let count = usize::try_from(number(&mut rest)?).ok()?;
        rest = rest.get(count.checked_mul(4)?..)?;
        total += count;
    }
    Some(total)
}

fn number(rest: &mut &[u8]) -> Option<u32> {
    let (number, behind) = rest.split_first_chunk::<4>()?;
    *rest = behind;
    Some(u32::from_be_bytes(*number))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[test]
    fn an_assignment_is_counted() {
        let one = b"\0\x01\0\0\0\x01\0\x05audit\0\0\0\x02\0\0\0\0\0\0\0\x07\0\0\0\0";
        assert_eq!(assigned_partitions(one), Some(2));
        let two = b"\0\0\0\0\0\x02\0\x01a\0\0\0\x01\0\0\0\0\0\x01b\0\0\0\x01\0\0\0\x09";
        assert_eq!(assigned_partitions(two), Some(2));
        assert_eq!(assigned_partitions(b"\0\x01\0\0\0\0"), Some(0));
        assert_eq!(assigned_partitions(&one[..20]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in vec(any::<u8>(), 0..40)) {
            assigned_partitions(&bytes);
        }
    }
}
