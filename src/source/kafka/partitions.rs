//! The partitions that are assigned, and how far each has been read, told and made safe.

use std::{
    collections::HashMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rdkafka::{Offset, TopicPartitionList};

use super::start::Assigned;
use crate::source::{Position, Progress};

/// An offset that nothing has.
const NONE: i64 = -1;

/// The partitions of this member.
#[derive(Default)]
pub(super) struct Partitions {
    held: Vec<Partition>,
    /// The one that the message before was of: most often the next is as well.
    recent: usize,
    /// Assignments so far.
    assignments: u64,
    inbox: Arc<Inbox>,
    /// Offsets that were passed over, unlooked at, in the first such partition.
    gap: Option<Gap>,
}

/// All offsets are those of the next message.
struct Partition {
    topic: String,
    number: i32,
    /// Which assignment this is: what is acknowledged of another counts no more.
    assignment: u64,
    /// Where it began.
    start: i64,
    /// How far it was searched.
    next: i64,
    /// How far the pipeline has been told.
    told: i64,
    /// How far all is safe.
    safe: i64,
}

/// Messages between two that were polled one after the other, if there were any.
pub(super) struct Gap {
    pub topic: String,
    pub number: i32,
    /// The offset that was due.
    pub from: i64,
}

/// What was acknowledged, by the numbers of assignments. Filled by other threads.
#[derive(Default)]
struct Inbox {
    safe: Mutex<HashMap<u64, i64>>,
    arrived: Condvar,
}

impl Partitions {
    pub(super) fn add(&mut self, assigned: Assigned) {
        let Assigned {
            topic,
            number,
            start,
        } = assigned;
        self.assignments += 1;
        self.held.push(Partition {
            topic,
            number,
            assignment: self.assignments,
            start: start.offset,
            next: start.offset,
            told: NONE,
            safe: NONE,
        });
    }

    /// Takes a partition out; gives how far the pipeline has been told of it.
    pub(super) fn remove(&mut self, topic: &str, number: i32) -> Option<i64> {
        let place = self.place(topic, number)?;
        let told = self.held.swap_remove(place).told;
        (told != NONE).then_some(told)
    }

    /// How many are held.
    pub(super) fn count(&self) -> usize {
        self.held.len()
    }

    /// Which assignment came last, as a number that grows.
    pub(super) fn version(&self) -> (u64, usize) {
        (self.assignments, self.held.len())
    }

    /// All of them.
    pub(super) fn list(&self) -> TopicPartitionList {
        let mut list = TopicPartitionList::with_capacity(self.held.len());
        for held in &self.held {
            list.add_partition(&held.topic, held.number);
        }
        list
    }

    /// The message at `offset` was searched.
    pub(super) fn pass(&mut self, topic: &str, number: i32, offset: i64) {
        let Some(place) = self.place(topic, number) else {
            return;
        };
        let partition = &mut self.held[place];
        if offset < partition.next {
            // The topic was made anew: what was told and made safe is of another.
            self.assignments += 1;
            partition.assignment = self.assignments;
            partition.start = offset;
            (partition.told, partition.safe) = (NONE, NONE);
        } else if offset > partition.next && self.gap.is_none() {
            self.gap = Some(Gap {
                topic: topic.to_owned(),
                number,
                from: partition.next,
            });
        }
        partition.next = offset + 1;
    }

    /// A gap, once.
    pub(super) fn gap(&mut self) -> Option<Gap> {
        self.gap.take()
    }

    /// How far they were searched, as far as the pipeline has not been told; `None` if it has.
    pub(super) fn progress(&self) -> Option<Progress> {
        let news = || self.held.iter().filter(|held| held.next != held.told);
        news().next()?;
        let positions = news().map(|held| Position {
            key: format!("{}/{}", held.topic, held.number),
            value: Some(held.next.to_string()),
        });
        let safe: Vec<(u64, i64)> = news().map(|held| (held.assignment, held.next)).collect();
        let inbox = self.inbox.clone();
        Some(Progress {
            positions: positions.collect(),
            acknowledge: Some(Box::new(move || inbox.put(safe))),
        })
    }

    /// The pipeline has taken the progress.
    pub(super) fn told(&mut self) {
        for held in &mut self.held {
            held.told = held.next;
        }
    }

    /// How often the pipeline was told without an acknowledgement yet.
    pub(super) fn unacknowledged(&self) -> usize {
        Arc::strong_count(&self.inbox) - 1
    }

    /// Whether all that was searched of `list` is safe.
    pub(super) fn are_safe(&self, list: &TopicPartitionList) -> bool {
        let is_safe = |held: &Partition| {
            held.safe == held.next || list.find_partition(&held.topic, held.number).is_none()
        };
        self.held.iter().all(is_safe)
    }

    /// Waits up to `time` until something is acknowledged.
    pub(super) fn wait(&self, time: Duration) {
        let inbox = self.inbox.safe();
        let wait = self
            .inbox
            .arrived
            .wait_timeout_while(inbox, time, |safe| safe.is_empty());
        drop(wait);
    }

    /// What has become safe since the last call, to be stored.
    pub(super) fn newly_safe(&mut self) -> Option<TopicPartitionList> {
        let acknowledged = std::mem::take(&mut *self.inbox.safe());
        if acknowledged.is_empty() {
            return None;
        }
        let mut list = TopicPartitionList::new();
        for held in &mut self.held {
            let Some(safe) = acknowledged.get(&held.assignment) else {
                continue;
            };
            if *safe > held.safe {
                held.safe = *safe;
                // It fails for an offset that is out of range, which none of a message is.
                let _ = list.add_partition_offset(&held.topic, held.number, Offset::Offset(*safe));
            }
        }
        Some(list)
    }

    /// Messages that are not safe yet, if any partition is held and the end of each is known.
    pub(super) fn lag(&self, end: impl Fn(&str, i32) -> Option<i64>) -> Option<u64> {
        if self.held.is_empty() {
            return None;
        }
        let lag_of = |held: &Partition| {
            let safe = held.safe.max(held.start);
            Some(u64::try_from(end(&held.topic, held.number)? - safe).unwrap_or(0))
        };
        self.held.iter().map(lag_of).sum()
    }

    fn place(&mut self, topic: &str, number: i32) -> Option<usize> {
        let is_it = |held: &Partition| held.number == number && held.topic == topic;
        if !self.held.get(self.recent).is_some_and(is_it) {
            self.recent = self.held.iter().position(is_it)?;
        }
        Some(self.recent)
    }
}

impl Inbox {
    fn put(&self, safe: Vec<(u64, i64)>) {
        let mut inbox = self.safe();
        for (assignment, offset) in safe {
            let known = inbox.entry(assignment).or_insert(offset);
            *known = offset.max(*known);
        }
        self.arrived.notify_all();
    }

    fn safe(&self) -> MutexGuard<'_, HashMap<u64, i64>> {
        // What it guards is sound after each step.
        self.safe.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::kafka::start::Start;

    fn assigned(number: i32, offset: i64) -> Assigned {
        Assigned {
            topic: "audit".to_owned(),
            number,
            start: Start {
                offset,
                lost: 0,
                is_forgotten: false,
                is_new: false,
            },
        }
    }

    fn with(assignments: &[(i32, i64)]) -> Partitions {
        let mut partitions = Partitions::default();
        for (number, offset) in assignments {
            partitions.add(assigned(*number, *offset));
        }
        partitions
    }

    type Acknowledge = Box<dyn FnOnce() + Send>;

    /// Tells the pipeline, and gives the acknowledgement.
    fn tell(partitions: &mut Partitions) -> (Vec<(String, String)>, Acknowledge) {
        let progress = partitions.progress().expect("there is news");
        partitions.told();
        let positions = progress.positions.into_iter();
        let positions = positions.map(|position| (position.key, position.value.unwrap()));
        (positions.collect(), progress.acknowledge.unwrap())
    }

    fn newly_safe(partitions: &mut Partitions) -> Vec<(i32, Offset)> {
        let list = partitions.newly_safe().unwrap_or_default();
        let elements = list.elements();
        elements
            .iter()
            .map(|element| (element.partition(), element.offset()))
            .collect()
    }

    #[test]
    fn what_is_acknowledged_is_safe_and_only_that() {
        let mut partitions = with(&[(0, 5), (1, 7)]);
        let (positions, start) = tell(&mut partitions);
        assert_eq!(
            positions,
            [
                ("audit/0".into(), "5".into()),
                ("audit/1".into(), "7".into())
            ]
        );
        assert!(partitions.progress().is_none());
        partitions.pass("audit", 1, 7);
        let (positions, first) = tell(&mut partitions);
        assert_eq!(positions, [("audit/1".into(), "8".into())]);
        partitions.pass("audit", 1, 8);
        partitions.pass("audit", 9, 1);
        let (_, second) = tell(&mut partitions);
        assert_eq!(partitions.unacknowledged(), 3);
        assert_eq!(newly_safe(&mut partitions), []);
        // In whichever order they come, an offset never goes back.
        second();
        assert_eq!(newly_safe(&mut partitions), [(1, Offset::Offset(9))]);
        first();
        start();
        assert_eq!(newly_safe(&mut partitions), [(0, Offset::Offset(5))]);
        assert_eq!(partitions.unacknowledged(), 0);
        assert!(partitions.are_safe(&partitions.list()));
    }

    #[test]
    fn what_is_acknowledged_of_an_assignment_before_counts_no_more() {
        let mut partitions = with(&[(0, 5)]);
        for offset in 5..9 {
            partitions.pass("audit", 0, offset);
        }
        let (_, late) = tell(&mut partitions);
        assert!(!partitions.are_safe(&partitions.list()));
        assert_eq!(partitions.remove("audit", 0), Some(9));
        assert_eq!(partitions.remove("audit", 0), None);
        // Another member read on up to 7, and then it came back.
        partitions.add(assigned(0, 7));
        late();
        assert_eq!(newly_safe(&mut partitions), []);
        partitions.pass("audit", 0, 7);
        tell(&mut partitions).1();
        assert_eq!(newly_safe(&mut partitions), [(0, Offset::Offset(8))]);
    }

    #[test]
    fn a_topic_that_is_made_anew_begins_anew() {
        let mut partitions = with(&[(0, 50)]);
        partitions.pass("audit", 0, 50);
        let (_, late) = tell(&mut partitions);
        partitions.pass("audit", 0, 0);
        late();
        assert_eq!(newly_safe(&mut partitions), []);
        let (positions, acknowledge) = tell(&mut partitions);
        assert_eq!(positions, [("audit/0".into(), "1".into())]);
        acknowledge();
        assert_eq!(newly_safe(&mut partitions), [(0, Offset::Offset(1))]);
    }

    #[test]
    fn a_gap_is_told_once_and_lag_is_what_is_not_safe() {
        assert_eq!(with(&[]).lag(|_, _| Some(12)), None);
        let mut partitions = with(&[(0, 5), (1, 0)]);
        partitions.pass("audit", 0, 5);
        assert!(partitions.gap().is_none());
        partitions.pass("audit", 0, 9);
        let gap = partitions.gap().unwrap();
        assert_eq!((gap.topic.as_str(), gap.number, gap.from), ("audit", 0, 6));
        assert!(partitions.gap().is_none());
        assert_eq!(
            partitions.lag(|_, number| (number == 0).then_some(12)),
            None
        );
        assert_eq!(
            partitions.lag(|_, number| Some(12 - 12 * i64::from(number))),
            Some(7)
        );
        tell(&mut partitions).1();
        newly_safe(&mut partitions);
        assert_eq!(
            partitions.lag(|_, number| Some(12 - 12 * i64::from(number))),
            Some(2)
        );
    }
}
