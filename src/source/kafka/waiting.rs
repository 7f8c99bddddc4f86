//! Partitions that were assigned and are not read yet, because nobody says where to begin in them.
//!
//! Each has a leader of its own to be asked, and one that has none at the moment must hold up neither the others nor the
//! polls that keep this member in its group. So a step asks for a while and goes on with what it was told; who did not
//! answer is asked again later, behind those who were not asked at all.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::Consumer,
    error::{KafkaError, KafkaResult},
};

use super::{
    AutoOffsetReset,
    client::Client,
    start::{Assigned, start},
};

/// How long the leaders may be asked in one step, and the group before that.
const STEP: Duration = Duration::from_secs(1);

/// How long one leader may take to answer, at first and at most.
const PATIENCE: Duration = Duration::from_millis(250);
const PATIENCE_MOST: Duration = Duration::from_secs(1);

/// Time between two tries when all have been asked, in units of the patience.
const PAUSE: u32 = 4;

/// Partitions that are named where a person is told which wait.
const NAMED: usize = 3;

pub(super) struct Waiting {
    /// Those that wait longest for a question first.
    partitions: VecDeque<(String, i32)>,
    /// How many of them were not asked since the last pause.
    unasked: usize,
    /// Why the last that was asked did not answer.
    error: Option<KafkaError>,
    patience: Duration,
    next_try: Instant,
}

impl Waiting {
    pub(super) fn new() -> Self {
        Self {
            partitions: VecDeque::new(),
            unasked: 0,
            error: None,
            patience: PATIENCE,
            next_try: Instant::now(),
        }
    }

    /// To be asked at once.
    pub(super) fn add(&mut self, partitions: &TopicPartitionList) {
        for partition in partitions.elements() {
            let key = (partition.topic().to_owned(), partition.partition());
            self.partitions.push_front(key);
            self.unasked += 1;
        }
        self.patience = PATIENCE;
        self.next_try = Instant::now();
    }

    /// What was found could not be made use of, and waits on.
    pub(super) fn put_back(&mut self, assigned: Vec<Assigned>) {
        let keys = assigned
            .into_iter()
            .map(|found| (found.topic, found.number));
        self.partitions.extend(keys);
        self.pause();
    }

    /// It was taken away. True if it waited.
    pub(super) fn remove(&mut self, topic: &str, number: i32) -> bool {
        let is_it = |key: &(String, i32)| key.1 == number && key.0 == topic;
        let Some(place) = self.partitions.iter().position(is_it) else {
            return false;
        };
        self.partitions.remove(place);
        self.unasked = self.unasked.min(self.partitions.len());
        true
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, i32)> {
        self.partitions
            .iter()
            .map(|(topic, number)| (topic.as_str(), *number))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// Asks, for about as long as a poll can wait, and gives those of which it is known now where to begin. `kept` says how
    /// far this process, or those before it, have come.
    pub(super) fn ask(
        &mut self,
        client: &Client,
        kept: &HashMap<(String, i32), i64>,
        reset: AutoOffsetReset,
    ) -> Vec<Assigned> {
        if self.is_empty() || Instant::now() < self.next_try {
            return Vec::new();
        }
        let committed = match self.committed(client) {
            Ok(committed) => committed,
            Err(error) => {
                self.error = Some(error);
                self.pause();
                return Vec::new();
            }
        };
        let deadline = Instant::now() + STEP;
        let mut found = Vec::new();
        for _ in 0..self.partitions.len() {
            let left = deadline.saturating_duration_since(Instant::now());
            let Some((topic, number)) = self.partitions.pop_front() else {
                break;
            };
            self.unasked = self.unasked.saturating_sub(1);
            let begin = committed_of(&committed, &topic, number).and_then(|committed| {
                let patience = self.patience.min(left);
                let (low, high) = client.fetch_watermarks(&topic, number, patience)?;
                let kept = kept.get(&(topic.clone(), number)).copied();
                Ok(start(kept, committed, low..=high, reset))
            });
            match begin {
                Ok(start) => found.push(Assigned {
                    topic,
                    number,
                    start,
                }),
                Err(error) => {
                    self.error = Some(error);
                    self.partitions.push_back((topic, number));
                }
            }
            if Instant::now() >= deadline {
                break;
            }
        }
        if self.is_empty() {
            self.error = None;
        } else if self.unasked == 0 {
            self.pause();
        }
        found
    }

    /// How far the group has come in them.
    fn committed(&self, client: &Client) -> KafkaResult<TopicPartitionList> {
        let mut list = TopicPartitionList::with_capacity(self.partitions.len());
        for (topic, number) in self.iter() {
            list.add_partition(topic, number);
        }
        client.committed_offsets(list, STEP)
    }

    /// All have been asked: again later, with more patience.
    fn pause(&mut self) {
        self.unasked = self.partitions.len();
        self.next_try = Instant::now() + PAUSE * self.patience;
        self.patience = PATIENCE_MOST.min(2 * self.patience);
    }

    /// Which partitions wait and why, in words; `None` if none does, or none has been asked in vain a few times: who has not
    /// been spoken to before often takes longer than the first patience.
    pub(super) fn in_words(&self) -> Option<String> {
        let is_trouble = !self.is_empty() && self.patience == PATIENCE_MOST;
        let error = self.error.as_ref().filter(|_| is_trouble)?;
        let mut keys: Vec<_> = self.iter().collect();
        keys.sort_unstable();
        let named = keys.iter().take(NAMED);
        let mut names = named
            .map(|(topic, number)| format!("{topic}/{number}"))
            .collect::<Vec<_>>()
            .join(", ");
        if keys.len() > NAMED {
            names += &format!(" and {} more", keys.len() - NAMED);
        }
        let why = error
            .rdkafka_error_code()
            .map_or_else(|| error.to_string(), |code| code.to_string());
        Some(format!(
            "not read, since nobody says where to begin: {names}: {why}"
        ))
    }
}

fn committed_of(list: &TopicPartitionList, topic: &str, number: i32) -> KafkaResult<Option<i64>> {
    let Some(partition) = list.find_partition(topic, number) else {
        return Ok(None);
    };
    partition.error()?;
    Ok(match partition.offset() {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use rdkafka::error::RDKafkaErrorCode;

    use super::*;

    #[test]
    fn who_waits_is_named_after_a_while_and_not_without_end() {
        let mut list = TopicPartitionList::new();
        for number in [3, 0, 2, 1] {
            list.add_partition("audit", number);
        }
        let mut waiting = Waiting::new();
        waiting.add(&list);
        waiting.error = Some(KafkaError::MetadataFetch(
            RDKafkaErrorCode::LeaderNotAvailable,
        ));
        waiting.pause();
        assert_eq!(waiting.in_words(), None);
        waiting.pause();
        insta::assert_snapshot!(waiting.in_words().unwrap(), @"not read, since nobody says where to begin: audit/0, audit/1, audit/2 and 1 more: LeaderNotAvailable (Broker: Leader not available)");
        assert!(waiting.remove("audit", 3));
        assert!(!waiting.remove("audit", 3));
        insta::assert_snapshot!(waiting.in_words().unwrap(), @"not read, since nobody says where to begin: audit/0, audit/1, audit/2: LeaderNotAvailable (Broker: Leader not available)");
        for number in 0..3 {
            waiting.remove("audit", number);
        }
        assert_eq!(waiting.in_words(), None);
    }
}
