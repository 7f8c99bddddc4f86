//! The end of an outbox that its sink delivers from.

use std::sync::Arc;

use super::{Keeps, Outbox};
use crate::store::{Message, Tally};

/// The one reader of an outbox.
pub struct Reader {
    pub(super) outbox: Arc<Outbox>,
    pub(super) keeper: Arc<dyn Keeps>,
}

impl Reader {
    /// The next message, alerts before detections; waits for one. `None` once the store
    /// is closed and everything that waits has been handed out. May be cancelled without loss.
    pub async fn next(&mut self) -> Option<Message> {
        loop {
            let outbox = Arc::clone(&self.outbox);
            let arrived = outbox.arrived.notified();
            if let Some(message) = self.next_ready() {
                return Some(message);
            }
            {
                let state = outbox.lock();
                if state.is_closed && state.is_handed_out() {
                    return None;
                }
            }
            arrived.await;
        }
    }

    /// The next message if one is there already: what makes a batch after [`next`](Self::next).
    pub fn next_ready(&mut self) -> Option<Message> {
        let mut state = self.outbox.lock();
        let message = state.take();
        let asked = state.ask();
        drop(state);
        if let Some(lane) = asked {
            self.keeper.refill(self.outbox.place, lane);
        }
        message
    }

    /// The sink is done with everything handed out so far: it was delivered, or refused for good.
    pub fn done(&mut self) {
        self.done_first(usize::MAX);
    }

    /// The sink is done with the first `count` of those handed out and not done. For sinks
    /// that have several messages on their way.
    pub fn done_first(&mut self, count: usize) {
        let done = self.outbox.lock().finish(count);
        if !done.is_empty() {
            self.keeper.done(&done);
            self.outbox.room.notify_waiters();
        }
    }

    /// What has been accepted and is not done.
    pub fn waiting(&self) -> Tally {
        self.outbox.waiting()
    }

    /// The program goes on without this sink: nothing waits for it any more.
    pub fn release(self) {
        self.leave(false);
    }

    fn leave(&self, is_wanted: bool) {
        let mut state = self.outbox.lock();
        if std::mem::replace(&mut state.is_gone, true) {
            return;
        }
        let in_hand = state.in_hand.iter().map(|(_, slip)| slip.id);
        let windows = state.lanes.iter().flat_map(|queue| &queue.window);
        let left: Vec<u64> = in_hand.chain(windows.map(|(slip, _)| slip.id)).collect();
        let is_over = state.is_closed && left.is_empty();
        state.is_released = !is_wanted;
        for queue in &mut state.lanes {
            queue.window.clear();
            if !is_wanted {
                queue.forget();
            }
        }
        drop(state);
        if !is_over {
            self.keeper.gone(&left, is_wanted);
        }
        self.outbox.room.notify_waiters();
    }
}

impl Drop for Reader {
    /// Nobody will read on: whoever waits for room must not wait for ever.
    fn drop(&mut self) {
        self.leave(true);
    }
}
