//! The store of a pipeline without `data_dir`: outboxes in memory, and whom to acknowledge when they are empty.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::{
    Commit, Keeper, Message, Opened, Outgoing, Saved, SinkOutbox, Store,
    outbox::{Keeps, Lane, Outbox, Slip},
};
use crate::source::Progress;

/// Messages that may wait for one sink, unless its `buffer.max_events` says otherwise.
const MAX_EVENTS: u64 = 10_000;

/// Opens a store that ends with the process.
pub fn in_memory(sinks: &[SinkOutbox]) -> Opened {
    let memory = Arc::new(Memory::default());
    let room = Arc::new(Notify::new());
    let outboxes: Arc<[Arc<Outbox>]> = sinks
        .iter()
        .enumerate()
        .map(|(place, sink)| {
            let mut limits = sink.buffer;
            if limits.max_size.is_none() {
                limits.max_events.get_or_insert(MAX_EVENTS);
            }
            Outbox::new(place, limits, Arc::clone(&room))
        })
        .collect();
    Opened {
        readers: outboxes
            .iter()
            .map(|outbox| outbox.reader(memory.clone()))
            .collect(),
        store: Store {
            outboxes,
            room,
            keeper: Keeper::Memory(memory),
        },
        saved: Saved::default(),
    }
}

/// The commits of which something is still to be delivered.
#[derive(Default)]
pub(super) struct Memory(Mutex<Book>);

#[derive(Default)]
struct Book {
    /// In order; the first has the number `first`.
    open: VecDeque<Open>,
    first: u64,
    /// A sink ended and left something: what came of these commits and of all behind them
    /// is not safe, so nothing is acknowledged any more.
    is_broken: bool,
}

#[derive(Default)]
struct Open {
    /// Deliveries that are not done.
    left: u64,
    acknowledge: Vec<Acknowledge>,
}

type Acknowledge = Box<dyn FnOnce() + Send>;

impl Memory {
    pub(super) fn commit(&self, commit: Commit, outboxes: &[Arc<Outbox>]) {
        let number = self.begin(commit.progress.into_iter().map(|(_, progress)| progress));
        for Outgoing { message, sinks } in commit.messages {
            let lane = Lane::of(&message);
            for outbox in sinks.iter().map(|place| &outboxes[*place]) {
                let slip = Slip {
                    id: number,
                    size: size(&message, outbox),
                };
                if outbox.is_gone() {
                    outbox.refuse(lane);
                } else if outbox.admit(lane, slip.size) {
                    self.lock().expect_one_more(number);
                    outbox.give(slip, message.clone(), false);
                }
            }
        }
        self.done(&[number]);
    }

    /// The number of a new commit, which is open until the caller is done with it too.
    fn begin(&self, progress: impl Iterator<Item = Progress>) -> u64 {
        let acknowledge = progress.filter_map(|progress| progress.acknowledge);
        let mut book = self.lock();
        if !book.is_broken {
            let acknowledge = acknowledge.collect();
            book.open.push_back(Open {
                left: 1,
                acknowledge,
            });
        }
        book.first + (book.open.len() as u64).saturating_sub(1)
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        // What it guards is sound after each step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What `message` counts against the outbox's `max_size`: nothing where there is none.
fn size(message: &Message, outbox: &Outbox) -> u64 {
    if outbox.limits().max_size.is_none() {
        return 0;
    }
    let mut line = Vec::new();
    message.write_json(&mut line);
    line.len() as u64
}

impl Book {
    fn expect_one_more(&mut self, number: u64) {
        if let Some(open) = self.open_at(number) {
            open.left += 1;
        }
    }

    fn open_at(&mut self, number: u64) -> Option<&mut Open> {
        let place = number.checked_sub(self.first)?;
        self.open.get_mut(usize::try_from(place).ok()?)
    }

    /// Takes out what may now be acknowledged.
    fn settle(&mut self) -> Vec<Acknowledge> {
        let mut settled = Vec::new();
        while self.open.front().is_some_and(|open| open.left == 0) {
            settled.extend(
                self.open
                    .pop_front()
                    .into_iter()
                    .flat_map(|open| open.acknowledge),
            );
            self.first += 1;
        }
        settled
    }
}

impl Keeps for Memory {
    fn done(&self, done: &[u64]) {
        let mut book = self.lock();
        for number in done {
            if let Some(open) = book.open_at(*number) {
                open.left = open.left.saturating_sub(1);
            }
        }
        let settled = book.settle();
        drop(book);
        settled.into_iter().for_each(|acknowledge| acknowledge());
    }

    fn refill(&self, _place: usize, _lane: Lane) {
        // Nothing ever lies anywhere but in the window.
    }

    fn gone(&self, left: &[u64], is_wanted: bool) {
        if is_wanted {
            let mut book = self.lock();
            book.is_broken = true;
            book.open.clear();
        } else {
            self.done(left);
        }
    }
}
