//! The outbox of one sink.
//!
//! Alerts and detections lie in two lanes, each in order, and the reader takes alerts first: a
//! backlog of evidence never holds up what people must be told. Of what lies in a database only
//! a window is held in memory; the rest comes by pages as the sink gets on.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::{BufferConfig, Message, Tally, WhenFull};

mod reader;

pub use reader::Reader;

/// Messages of one lane that are held in memory, where the rest lies in a database: a sink that
/// syncs what it writes does so once for as many.
pub(super) const WINDOW: usize = 1024;

/// Bytes of messages of one lane that are held in memory, where the rest lies in a database.
const WINDOW_BYTES: u64 = 1 << 20;

/// When so few are left in the window, the next page is asked for.
const LOW: usize = WINDOW / 4;

/// The lanes of an outbox. Their numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    Alerts = 0,
    Detections = 1,
}

impl Lane {
    pub(super) const ALL: [Self; 2] = [Self::Alerts, Self::Detections];

    pub(super) fn of(message: &Message) -> Self {
        match message {
            Message::Alert(_) => Self::Alerts,
            Message::Detection(_) => Self::Detections,
        }
    }
}

/// What an outbox knows of a message in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slip {
    /// Rises within a lane: the message's id in the database, or the number of its commit.
    pub id: u64,
    /// Bytes as JSON.
    pub size: u64,
}

/// Whoever keeps what an outbox holds learns from it how its reader gets on.
pub(super) trait Keeps: Send + Sync {
    /// The sink is done with `done`: ids, in the order handed out.
    fn done(&self, done: &[u64]);

    /// The window of `lane` of the outbox at `place` runs out, and more waits.
    fn refill(&self, place: usize, lane: Lane);

    /// The reader is gone and leaves `left` ids, and whatever comes. `is_wanted` is false where
    /// the program may go on without the sink.
    fn gone(&self, left: &[u64], is_wanted: bool);
}

/// One sink's outbox, as the store sees it.
pub(super) struct Outbox {
    place: usize,
    limits: BufferConfig,
    /// A std mutex: it is never held across an await.
    state: Mutex<State>,
    /// A message has come, or the outbox was closed. Only the one reader waits for it.
    arrived: Notify,
    /// Shared by all outboxes: there may be room, or there never will be.
    room: Arc<Notify>,
}

#[derive(Default)]
struct State {
    lanes: [Queue; 2],
    /// Handed out and not done.
    in_hand: VecDeque<(Lane, Slip)>,
    dropped: Tally,
    /// No more messages will come.
    is_closed: bool,
    /// Nobody reads.
    is_gone: bool,
    /// Nobody is wanted to read.
    is_released: bool,
}

#[derive(Default)]
struct Queue {
    /// Accepted and not done.
    count: u64,
    bytes: u64,
    window: VecDeque<(Slip, Message)>,
    window_bytes: u64,
    /// Behind the window, in the database.
    spilled: u64,
    /// The highest id that ever stood in the window.
    last: u64,
    /// The highest id that is done.
    done: u64,
    /// A page is on its way.
    is_asked: bool,
}

impl Outbox {
    pub(super) fn new(place: usize, limits: BufferConfig, room: Arc<Notify>) -> Arc<Self> {
        Arc::new(Self {
            place,
            limits,
            state: Mutex::default(),
            arrived: Notify::new(),
            room,
        })
    }

    /// Its one reader.
    pub(super) fn reader(self: &Arc<Self>, keeper: Arc<dyn Keeps>) -> Reader {
        Reader {
            outbox: Arc::clone(self),
            keeper,
        }
    }

    pub(super) fn limits(&self) -> BufferConfig {
        self.limits
    }

    /// Whether a message is accepted. If so it counts as waiting, and is to be
    /// [given](Self::give) once it is safe; if not, it counts as dropped. With `block`
    /// everything is accepted: whoever writes is to wait for room before it takes in more.
    pub(super) fn admit(&self, lane: Lane, size: u64) -> bool {
        let mut state = self.lock();
        let may_drop = self.limits.when_full == WhenFull::DropNewest || state.is_gone;
        let in_its_way = match lane {
            // Detections never stand in an alert's way.
            Lane::Alerts => &state.lanes[..1],
            Lane::Detections => &state.lanes[..],
        };
        if state.is_released || may_drop && self.is_filled_by(in_its_way) {
            state.count_dropped(lane);
            return false;
        }
        let queue = &mut state.lanes[lane as usize];
        queue.count += 1;
        queue.bytes += size;
        true
    }

    /// Drops a message of `lane` unseen, because nobody will read it.
    pub(super) fn refuse(&self, lane: Lane) {
        self.lock().count_dropped(lane);
    }

    /// Nobody reads any more.
    pub(super) fn is_gone(&self) -> bool {
        self.lock().is_gone
    }

    /// A message that was accepted and is now safe. `may_spill` says that it can be read again from a database.
    pub(super) fn give(&self, slip: Slip, message: Message, may_spill: bool) {
        let mut state = self.lock();
        let queue = &mut state.lanes[Lane::of(&message) as usize];
        if may_spill && (queue.spilled > 0 || !queue.has_window_for(slip.size)) {
            queue.spilled += 1;
        } else {
            queue.push(slip, message);
        }
        drop(state);
        self.arrived.notify_one();
    }

    /// Messages of `lane` that lie in the database and that this outbox did not know of.
    pub(super) fn found(&self, lane: Lane, count: u64, bytes: u64) {
        let mut state = self.lock();
        let queue = &mut state.lanes[lane as usize];
        queue.count += count;
        queue.spilled += count;
        queue.bytes += bytes;
        drop(state);
        self.arrived.notify_one();
    }

    /// Where the next page of `lane` begins: behind this id.
    pub(super) fn page_start(&self, lane: Lane) -> u64 {
        self.lock().lanes[lane as usize].last
    }

    /// The page that was asked for. What has no message cannot be read, and is dropped.
    pub(super) fn turn_page(&self, lane: Lane, page: Vec<(Slip, Option<Message>)>) {
        let mut state = self.lock();
        let queue = &mut state.lanes[lane as usize];
        queue.is_asked = false;
        // An empty page says that nothing more is there, whatever was counted.
        let read = if page.is_empty() {
            queue.spilled
        } else {
            page.len() as u64
        };
        queue.spilled = queue.spilled.saturating_sub(read);
        for (slip, message) in page {
            match message {
                Some(message) => state.lanes[lane as usize].push(slip, message),
                None => state.lose(lane, slip),
            }
        }
        drop(state);
        self.arrived.notify_one();
    }

    /// The page cannot be read now: it is to be asked for again.
    pub(super) fn page_failed(&self, lane: Lane) {
        self.lock().lanes[lane as usize].is_asked = false;
        self.arrived.notify_one();
    }

    /// The highest id of `lane` that is done; everything below it is.
    pub(super) fn done_up_to(&self, lane: Lane) -> u64 {
        self.lock().lanes[lane as usize].done
    }

    pub(super) fn is_full(&self) -> bool {
        let state = self.lock();
        self.limits.when_full == WhenFull::Block
            && !state.is_gone
            && self.is_filled_by(&state.lanes)
    }

    /// No more messages will come.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.arrived.notify_one();
    }

    pub(super) fn waiting(&self) -> Tally {
        self.lock().waiting()
    }

    pub(super) fn waiting_bytes(&self) -> u64 {
        self.lock().lanes.iter().map(|queue| queue.bytes).sum()
    }

    pub(super) fn dropped(&self) -> Tally {
        self.lock().dropped
    }

    fn is_filled_by(&self, lanes: &[Queue]) -> bool {
        let count: u64 = lanes.iter().map(|queue| queue.count).sum();
        let bytes: u64 = lanes.iter().map(|queue| queue.bytes).sum();
        let most = self.limits.max_events;
        most.is_some_and(|most| count >= most)
            || self.limits.max_size.is_some_and(|most| bytes >= most)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock, and what it guards is sound after each step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn waiting(&self) -> Tally {
        Tally {
            alerts: self.lanes[Lane::Alerts as usize].count,
            detections: self.lanes[Lane::Detections as usize].count,
        }
    }

    fn count_dropped(&mut self, lane: Lane) {
        match lane {
            Lane::Alerts => self.dropped.alerts += 1,
            Lane::Detections => self.dropped.detections += 1,
        }
    }

    /// A message that waits in the database cannot be read.
    fn lose(&mut self, lane: Lane, slip: Slip) {
        self.count_dropped(lane);
        let queue = &mut self.lanes[lane as usize];
        queue.last = slip.id;
        queue.leave(slip);
    }

    /// The next message that is in memory; nothing while alerts are on their way.
    fn take(&mut self) -> Option<Message> {
        for lane in Lane::ALL {
            let queue = &mut self.lanes[lane as usize];
            if let Some((slip, message)) = queue.window.pop_front() {
                queue.window_bytes -= slip.size;
                self.in_hand.push_back((lane, slip));
                return Some(message);
            }
            if queue.spilled > 0 {
                return None;
            }
        }
        None
    }

    /// The lane whose window runs out, if its next page has not been asked for: it now is.
    fn ask(&mut self) -> Option<Lane> {
        let low = |lane: &Lane| {
            let queue = &self.lanes[*lane as usize];
            queue.spilled > 0 && queue.window.len() <= LOW && !queue.is_asked
        };
        let lane = Lane::ALL.into_iter().find(low)?;
        self.lanes[lane as usize].is_asked = true;
        Some(lane)
    }

    /// The first `count` in hand are done: their ids.
    fn finish(&mut self, count: usize) -> Vec<u64> {
        let count = count.min(self.in_hand.len());
        let mut done = Vec::with_capacity(count);
        for (lane, slip) in self.in_hand.drain(..count) {
            let queue = &mut self.lanes[lane as usize];
            queue.leave(slip);
            queue.done = slip.id;
            done.push(slip.id);
        }
        done
    }

    fn is_handed_out(&self) -> bool {
        let is_empty = |queue: &Queue| queue.window.is_empty() && queue.spilled == 0;
        self.lanes.iter().all(is_empty)
    }
}

impl Queue {
    fn has_window_for(&self, size: u64) -> bool {
        self.window.len() < WINDOW && self.window_bytes + size <= WINDOW_BYTES
    }

    fn push(&mut self, slip: Slip, message: Message) {
        self.last = slip.id;
        self.window_bytes += slip.size;
        self.window.push_back((slip, message));
    }

    /// Nobody wants any of it: a database takes all that it holds as done.
    fn forget(&mut self) {
        *self = Self {
            done: i64::MAX as u64,
            ..Self::default()
        };
    }

    /// It waits no longer.
    fn leave(&mut self, slip: Slip) {
        self.count = self.count.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(slip.size);
    }
}

#[cfg(test)]
mod tests;
