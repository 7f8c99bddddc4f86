//! What the brokers tell of a group.

use std::time::{Duration, Instant};

use rdkafka::{consumer::Consumer, error::KafkaResult};

use super::{Config, client::Client};

/// How long the brokers may take to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// Whether the members of the group hold all partitions of its topics, or, where topics are given as a pattern, any: only
/// the group knows what matches. False if the brokers do not tell.
pub(super) fn holds_all(client: &Client, config: &Config) -> bool {
    let deadline = Instant::now() + PATIENCE;
    let Ok(assigned) = assigned_in_group(client, config) else {
        return false;
    };
    let (patterns, names): (Vec<&String>, Vec<&String>) = config
        .topics
        .iter()
        .partition(|topic| topic.starts_with('^'));
    let mut there = usize::from(!patterns.is_empty());
    for name in names {
        let left = deadline.saturating_duration_since(Instant::now());
        match partitions_of(client, name, left) {
            Ok(count) => there += count,
            Err(_) => return false,
        }
    }
    assigned > 0 && assigned >= there
}

/// How many partitions `topic` has.
pub(super) fn partitions_of(
    client: &Client,
    topic: &str,
    patience: Duration,
) -> KafkaResult<usize> {
    let metadata = client.fetch_metadata(Some(topic), patience)?;
    let topics = metadata.topics().iter();
    Ok(topics.map(|topic| topic.partitions().len()).sum())
}

/// How many partitions the members of the group hold, as the brokers know it.
pub(super) fn assigned_in_group(client: &Client, config: &Config) -> KafkaResult<usize> {
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
