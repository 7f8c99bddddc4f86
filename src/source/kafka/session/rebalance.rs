//! What the group gives to a member, and takes away from it.

use std::time::Instant;

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer},
};
use tracing::{debug, info, warn};

use super::{FULL_LOOK, GIVE_UP, Session};
use crate::source::{
    Outlet,
    kafka::{client::Change, start::Assigned},
};

impl Session<'_> {
    /// Answers each step of a rebalance, in order, and takes on what has waited.
    pub(super) fn rebalance(&mut self, outlet: &mut dyn Outlet) {
        while let Some(change) = self.client.context().next_change() {
            match change {
                Change::Assigned(partitions) => {
                    self.waiting.add(&partitions);
                    let known = self.ask();
                    // The group waits for an answer, even if it is none yet.
                    self.assign(known);
                }
                Change::Revoked(partitions) => self.give_up(&partitions, outlet),
            }
        }
        let known = self.ask();
        if !known.is_empty() {
            self.assign(known);
        }
    }

    fn ask(&mut self) -> Vec<Assigned> {
        let reset = self.config.auto_offset_reset;
        self.waiting.ask(self.client, &self.kept, reset)
    }

    fn assign(&mut self, known: Vec<Assigned>) {
        let mut list = TopicPartitionList::with_capacity(known.len());
        for Assigned {
            topic,
            number,
            start,
        } in &known
        {
            // It fails for an offset that is out of range, which none of a partition is.
            let _ = list.add_partition_offset(topic, *number, Offset::Offset(start.offset));
        }
        if let Err(error) = self.client.incremental_assign(&list) {
            self.client.context().fails(&error, "taking partitions");
            self.waiting.put_back(known);
            return;
        }
        self.commit_beginnings(&known);
        for partition in known {
            let (topic, number, start) = (&partition.topic, partition.number, partition.start);
            let offset = start.offset;
            debug!(
                source = &*self.context.id,
                topic, number, offset, "assigned"
            );
            if start.lost > 0 {
                self.lost(topic, number, start.lost);
            }
            if start.is_forgotten {
                warn!(
                    source = &*self.context.id,
                    topic,
                    number,
                    offset,
                    "the group has committed nothing there, though it was read before: the topic may be a new one, and is read from \
                     its first message; what is read twice counts once"
                );
            }
            self.partitions.add(partition);
        }
        if list.count() == 0 {
            return;
        }
        if self.paused {
            self.pause(&list);
        }
        let (new, held) = (list.count(), self.partitions.count());
        info!(source = &*self.context.id, new, held, "partitions assigned");
        self.idle.reset();
        self.lacking = self.waiting.in_words();
        self.client.context().fed();
        self.client.context().connected(self.lacking.as_deref());
    }

    /// Has the group remember where it begins to read what is new, so that what is kept counts however soon this process dies. Of
    /// a topic that was made anew what is kept is still of the one before.
    fn commit_beginnings(&self, known: &[Assigned]) {
        let mut list = TopicPartitionList::new();
        for new in known.iter().filter(|known| known.start.is_new) {
            let offset = Offset::Offset(new.start.offset);
            let _ = list.add_partition_offset(&new.topic, new.number, offset);
        }
        if list.count() > 0
            && let Err(error) = self.client.commit(&list, CommitMode::Async)
        {
            debug!(source = &*self.context.id, "not committed: {error}");
        }
    }

    /// Finishes what was read of `partitions`, as far as that can be done at once, and lets go of them. What is not finished is
    /// not acknowledged: whoever has them next reads it again.
    fn give_up(&mut self, partitions: &TopicPartitionList, outlet: &mut dyn Outlet) {
        if !self.client.assignment_lost() {
            let deadline = Instant::now() + GIVE_UP;
            while !self.hand_on(outlet) && Instant::now() < deadline {
                if self.context.stop.sleep(FULL_LOOK) {
                    break;
                }
            }
            self.wait_until_safe(partitions, deadline);
        }
        let mut assigned = TopicPartitionList::with_capacity(partitions.count());
        for partition in partitions.elements() {
            let (topic, number) = (partition.topic(), partition.partition());
            if self.waiting.remove(topic, number) {
                continue;
            }
            assigned.add_partition(topic, number);
            if let Some(told) = self.partitions.remove(topic, number) {
                self.kept.insert((topic.to_owned(), number), told);
            }
        }
        if let Err(error) = self.client.incremental_unassign(&assigned) {
            self.client.context().fails(&error, "giving up partitions");
        }
        let (gone, held) = (partitions.count(), self.partitions.count());
        info!(source = &*self.context.id, gone, held, "partitions revoked");
    }
}
