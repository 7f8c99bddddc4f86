//! The outbox of one sink, held in memory.
//!
//! Alerts and detections lie in two lanes, each in order, and the reader takes alerts
//! first: a backlog of evidence never holds up what people must be told. Writing never
//! waits, so that a sink that hangs keeps nothing from the others.

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
    /// Adds `message`; never waits. When the outbox is full:
    ///
    /// - with `block` it is taken all the same: whoever writes is to wait for
    ///   [`room`](Self::room) before it takes in more of what makes messages;
    /// - with `drop_newest` the newest waiting detection gives way to an alert. A detection,
    ///   and an alert that finds `max_events` alerts, is dropped and counted. So no detection
    ///   ever stands in the way of an alert; while alerts pile up on a box full of
    ///   detections, up to twice `max_events` messages are held.
    ///
    /// A message for an outbox that is closed, or whose reader is gone, is dropped and counted.
    pub fn push(&self, message: Message) {
        self.shared.lock().admit(message, self.shared.config);
        self.shared.arrived.notify_one();
    }

    /// Whether more should not come before the sink has delivered some: with `block`, while
    /// `max_events` messages or more are held.
    pub fn is_full(&self) -> bool {
        let BufferConfig {
            max_events,
            when_full,
        } = self.shared.config;
        let state = self.shared.lock();
        when_full == WhenFull::Block
            && !state.closed
            && state.waiting().total() >= max_events as u64
    }

    /// Waits while it [is full](Self::is_full). May be cancelled.
    pub async fn room(&self) {
        loop {
            // Made before the state is looked at: it hears of room that is made meanwhile.
            let room = self.shared.room.notified();
            if !self.is_full() {
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
    /// Takes `message` in, or drops it and counts that.
    fn admit(&mut self, message: Message, config: BufferConfig) {
        let waiting = self.waiting();
        let most = config.max_events as u64;
        if config.when_full == WhenFull::DropNewest && waiting.total() >= most {
            match message {
                // Detections, even those that a sink has in hand, never stand in an alert's way.
                Message::Alert(_) if waiting.alerts < most => {
                    let newest = self.detections.pop_back();
                    newest.iter().for_each(|newest| self.dropped.add(newest));
                }
                _ => return self.dropped.add(&message),
            }
        }
        match message {
            _ if self.closed => self.dropped.add(&message),
            Message::Alert(_) => self.alerts.push_back(message),
            Message::Detection(_) => self.detections.push_back(message),
        }
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
            writer.push(message);
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
        writer.push(alert(1));
        writer.push(detection(1));
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
    async fn a_full_box_takes_what_comes_and_says_when_there_is_room() {
        let (writer, mut reader) = with(2, WhenFull::Block);
        writer.push(detection(1));
        assert!(!waits(writer.room()).await);
        writer.push(alert(1));
        writer.push(alert(2));
        assert!(waits(writer.room()).await);

        let waiting = writer.clone();
        let room = tokio::spawn(async move { waiting.room().await });
        for expected in [alert(1), alert(2)] {
            assert_eq!(reader.next().await, Some(expected));
        }
        assert!(writer.is_full(), "in hand is not done");
        reader.done();
        room.await.unwrap();
        assert_eq!(reader.next().await, Some(detection(1)));
        assert_eq!(writer.dropped(), Tally::default());
    }

    #[tokio::test]
    async fn drop_newest_drops_detections_first_and_counts() {
        let (writer, mut reader) = with(2, WhenFull::DropNewest);
        for code in 1..=3 {
            writer.push(detection(code));
        }
        assert_eq!(
            writer.dropped(),
            Tally {
                alerts: 0,
                detections: 1
            }
        );
        for sequence in 1..=3 {
            writer.push(alert(sequence));
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
        writer.push(detection(1));
        reader.next().await;
        writer.push(alert(1));
        writer.push(alert(2));
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
        writer.push(detection(1));
        let waiting = writer.clone();
        let room = tokio::spawn(async move { waiting.room().await });
        tokio::task::yield_now().await;
        drop(reader);
        room.await.unwrap();
        writer.push(alert(1));
        let one = |alerts, detections| Tally { alerts, detections };
        assert_eq!(writer.dropped(), one(1, 0));
        assert_eq!(writer.waiting(), one(0, 1), "what is left is known");
    }

    #[tokio::test]
    async fn the_last_writer_closes_it() {
        let (writer, mut reader) = with(1, WhenFull::Block);
        let second = writer.clone();
        drop(writer);
        second.push(alert(1));
        let reading = tokio::spawn(async move { (reader.next().await, reader.next().await) });
        tokio::task::yield_now().await;
        drop(second);
        assert_eq!(reading.await.unwrap(), (Some(alert(1)), None));
    }
}
