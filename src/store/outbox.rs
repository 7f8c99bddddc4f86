//! The outbox of one sink, held in memory.
//!
//! Alerts and detections lie in two lanes, each in order, and the reader takes alerts
//! first: a backlog of evidence never holds up what people must be told.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::sync::Notify;

use super::{BufferConfig, Message, Tally, WhenFull};

/// An empty outbox: the end that is written, which may be cloned, and the one that is read.
pub fn outbox(config: BufferConfig) -> (Writer, Reader) {
    let shared = Arc::new(Shared {
        config,
        state: Mutex::new(State {
            writers: 1,
            ..State::default()
        }),
        arrived: Notify::new(),
        room: Notify::new(),
    });
    (
        Writer {
            shared: Arc::clone(&shared),
        },
        Reader { shared },
    )
}

/// The end of an outbox that takes messages. The outbox is closed by
/// [`close`](Self::close), or when its last writer is dropped.
pub struct Writer {
    shared: Arc<Shared>,
}

impl Writer {
    /// Adds `message`. When the outbox is full:
    ///
    /// - with `block` it waits: a detection until fewer than `max_events` messages are
    ///   held, an alert for other alerts only;
    /// - with `drop_newest` the newest waiting detection gives way to an alert. A detection,
    ///   and an alert that finds `max_events` alerts, is dropped and counted.
    ///
    /// So no detection ever stands in the way of an alert; while alerts pile up on a box
    /// full of detections, up to twice `max_events` messages are held.
    ///
    /// A message for an outbox that is closed, or whose reader is gone, is dropped and counted.
    pub async fn push(&self, message: Message) {
        loop {
            // Made before the state is looked at: it hears of room that is made meanwhile.
            let room = self.shared.room.notified();
            if self.shared.lock().admit(&message, self.shared.config) {
                self.shared.arrived.notify_one();
                return;
            }
            room.await;
        }
    }

    /// No more messages will come: the reader's `next` returns `None` once it has read what is there.
    pub fn close(&self) {
        self.shared.lock().closed = true;
        self.shared.arrived.notify_one();
        self.shared.room.notify_waiters();
    }

    /// What has been accepted and is not done, whether or not the reader has seen it.
    pub fn waiting(&self) -> Tally {
        self.shared.lock().waiting()
    }

    /// What was dropped because the outbox was full, closed or no longer read.
    pub fn dropped(&self) -> Tally {
        self.shared.lock().dropped
    }
}

impl Clone for Writer {
    fn clone(&self) -> Self {
        self.shared.lock().writers += 1;
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.writers -= 1;
        let last = state.writers == 0;
        drop(state);
        if last {
            self.close();
        }
    }
}

/// The end of an outbox that a sink delivers from.
pub struct Reader {
    shared: Arc<Shared>,
}

impl Reader {
    /// The next message, alerts before detections; waits for one. `None` once the outbox
    /// is closed and everything in it has been handed out. May be cancelled without loss.
    pub async fn next(&mut self) -> Option<Message> {
        loop {
            let arrived = self.shared.arrived.notified();
            {
                let mut state = self.shared.lock();
                if let Some(message) = state.take() {
                    return Some(message);
                }
                if state.closed {
                    return None;
                }
            }
            arrived.await;
        }
    }

    /// The next message if one is there already: what makes a batch after [`next`](Self::next).
    pub fn next_ready(&mut self) -> Option<Message> {
        self.shared.lock().take()
    }

    /// The sink is done with everything handed out so far: it was delivered, or refused for good.
    pub fn done(&mut self) {
        self.shared.lock().in_hand = Tally::default();
        self.shared.room.notify_waiters();
    }

    /// What has been accepted and is not done.
    pub fn waiting(&self) -> Tally {
        self.shared.lock().waiting()
    }
}

impl Drop for Reader {
    /// Nobody will read on: whoever waits for room must not wait for ever.
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.room.notify_waiters();
    }
}

struct Shared {
    config: BufferConfig,
    /// A std mutex: it is never held across an await.
    state: Mutex<State>,
    /// A message has come, or the outbox was closed. Only the one reader waits for it.
    arrived: Notify,
    /// There may be room again, or there never will be.
    room: Notify,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock, and what it guards is sound after each step.
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[derive(Default)]
struct State {
    alerts: VecDeque<Message>,
    detections: VecDeque<Message>,
    /// Handed out and not done.
    in_hand: Tally,
    dropped: Tally,
    closed: bool,
    writers: usize,
}

impl State {
    /// Takes `message` in or drops it; false if its writer has to wait for room.
    fn admit(&mut self, message: &Message, config: BufferConfig) -> bool {
        if self.closed {
            self.dropped.add(message);
            return true;
        }
        let waiting = self.waiting();
        let most = config.max_events as u64;
        let no_room = match message {
            // Detections, even those that a sink has in hand, never stand in an alert's way.
            Message::Alert(_) => waiting.alerts >= most,
            Message::Detection(_) => waiting.total() >= most,
        };
        if no_room {
            match config.when_full {
                WhenFull::Block => return false,
                WhenFull::DropNewest => self.dropped.add(message),
            }
            return true;
        }
        if config.when_full == WhenFull::DropNewest
            && waiting.total() >= most
            && let Some(newest) = self.detections.pop_back()
        {
            self.dropped.add(&newest);
        }
        match message {
            Message::Alert(_) => self.alerts.push_back(message.clone()),
            Message::Detection(_) => self.detections.push_back(message.clone()),
        }
        true
    }

    fn take(&mut self) -> Option<Message> {
        let message = self
            .alerts
            .pop_front()
            .or_else(|| self.detections.pop_front())?;
        self.in_hand.add(&message);
        Some(message)
    }

    fn waiting(&self) -> Tally {
        Tally {
            alerts: self.alerts.len() as u64 + self.in_hand.alerts,
            detections: self.detections.len() as u64 + self.in_hand.detections,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::pin, task::Poll};

    use super::*;
    use crate::format::example;

    fn with(max_events: usize, when_full: WhenFull) -> (Writer, Reader) {
        outbox(BufferConfig {
            max_events,
            when_full,
        })
    }

    fn alert(sequence: u32) -> Message {
        let mut alert = example::opened();
        alert.sequence = sequence;
        Message::Alert(Arc::new(alert))
    }

    fn detection(code: u16) -> Message {
        let mut detection = example::detection();
        detection.request.code = Some(code);
        Message::Detection(Arc::new(detection))
    }

    /// Polls once, to see whether it would wait.
    async fn waits(future: impl Future<Output = ()>) -> bool {
        let mut future = pin!(future);
        std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending()))
            .await
    }

    #[tokio::test]
    async fn alerts_overtake_detections_and_each_kind_stays_in_order() {
        let (writer, mut reader) = with(10, WhenFull::Block);
        for message in [detection(1), alert(1), detection(2), alert(2)] {
            writer.push(message).await;
        }
        writer.close();
        for expected in [alert(1), alert(2), detection(1), detection(2)] {
            assert_eq!(reader.next().await, Some(expected));
        }
        assert_eq!(reader.next().await, None);
    }

    #[tokio::test]
    async fn a_message_waits_until_the_sink_is_done_with_it() {
        let (writer, mut reader) = with(10, WhenFull::Block);
        writer.push(alert(1)).await;
        writer.push(detection(1)).await;
        reader.next().await;
        assert_eq!(
            reader.waiting(),
            Tally {
                alerts: 1,
                detections: 1
            }
        );
        reader.done();
        assert_eq!(
            writer.waiting(),
            Tally {
                alerts: 0,
                detections: 1
            }
        );
    }

    #[tokio::test]
    async fn a_full_box_makes_detections_wait_but_alerts_only_for_alerts() {
        let (writer, mut reader) = with(1, WhenFull::Block);
        writer.push(detection(1)).await;
        assert!(waits(writer.push(detection(2))).await);
        assert!(!waits(writer.push(alert(1))).await);
        assert!(waits(writer.push(alert(2))).await);

        let blocked = writer.clone();
        let pushing = tokio::spawn(async move { blocked.push(alert(2)).await });
        assert_eq!(reader.next().await, Some(alert(1)));
        assert_eq!(reader.waiting().alerts, 1, "in hand is not done");
        reader.done();
        pushing.await.unwrap();
        assert_eq!(reader.next().await, Some(alert(2)));
        assert_eq!(writer.dropped(), Tally::default());
    }

    #[tokio::test]
    async fn drop_newest_drops_detections_first_and_counts() {
        let (writer, mut reader) = with(2, WhenFull::DropNewest);
        for code in 1..=3 {
            writer.push(detection(code)).await;
        }
        assert_eq!(
            writer.dropped(),
            Tally {
                alerts: 0,
                detections: 1
            }
        );
        for sequence in 1..=3 {
            writer.push(alert(sequence)).await;
        }
        assert_eq!(
            writer.dropped(),
            Tally {
                alerts: 1,
                detections: 3
            }
        );
        writer.close();
        assert_eq!(reader.next().await, Some(alert(1)));
        assert_eq!(reader.next().await, Some(alert(2)));
        assert_eq!(reader.next().await, None);
    }

    #[tokio::test]
    async fn detections_in_hand_cost_no_alert() {
        let (writer, mut reader) = with(1, WhenFull::DropNewest);
        writer.push(detection(1)).await;
        reader.next().await;
        writer.push(alert(1)).await;
        writer.push(alert(2)).await;
        assert_eq!(reader.next().await, Some(alert(1)));
        assert_eq!(
            writer.dropped(),
            Tally {
                alerts: 1,
                detections: 0
            }
        );
    }

    #[tokio::test]
    async fn a_box_that_nobody_reads_holds_nobody_up() {
        let (writer, reader) = with(1, WhenFull::Block);
        writer.push(detection(1)).await;
        let blocked = writer.clone();
        let pushing = tokio::spawn(async move { blocked.push(detection(2)).await });
        tokio::task::yield_now().await;
        drop(reader);
        pushing.await.unwrap();
        writer.push(alert(1)).await;
        assert_eq!(
            writer.dropped(),
            Tally {
                alerts: 1,
                detections: 1
            }
        );
        assert_eq!(
            writer.waiting(),
            Tally {
                alerts: 0,
                detections: 1
            },
            "what is left is known"
        );
    }

    #[tokio::test]
    async fn the_last_writer_closes_it() {
        let (writer, mut reader) = with(1, WhenFull::Block);
        let second = writer.clone();
        drop(writer);
        second.push(alert(1)).await;
        let reading = tokio::spawn(async move { (reader.next().await, reader.next().await) });
        tokio::task::yield_now().await;
        drop(second);
        assert_eq!(reading.await.unwrap(), (Some(alert(1)), None));
    }
}
