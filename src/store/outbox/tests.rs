use std::{
    future::Future,
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    task::Poll,
};

use super::{
    super::{Commit, Outgoing, SinkOutbox, Writer, in_memory, outbox},
    *,
};
use crate::{format::example, source::Progress};

fn with(max_events: u64, when_full: WhenFull) -> (Writer, Reader) {
    outbox(BufferConfig {
        max_events: Some(max_events),
        max_size: None,
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

fn tally(alerts: u64, detections: u64) -> Tally {
    Tally { alerts, detections }
}

/// Polls once, to see whether it would wait.
async fn waits(future: impl Future<Output = ()>) -> bool {
    let mut future = pin!(future);
    std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
}

#[tokio::test]
async fn alerts_overtake_detections_and_each_kind_stays_in_order() {
    let (writer, mut reader) = with(10, WhenFull::Block);
    for message in [detection(1), alert(1), detection(2), alert(2)] {
        writer.push(message);
    }
    drop(writer);
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
    assert_eq!(reader.waiting(), tally(1, 1));
    reader.done();
    assert_eq!(writer.waiting(), tally(0, 1));
}

#[tokio::test]
async fn the_first_of_what_is_in_hand_are_done_first() {
    let (writer, mut reader) = with(10, WhenFull::Block);
    for message in [detection(1), detection(2), alert(1)] {
        writer.push(message);
    }
    for expected in [alert(1), detection(1), detection(2)] {
        assert_eq!(reader.next().await, Some(expected));
    }
    reader.done_first(2);
    assert_eq!(writer.waiting(), tally(0, 1));
    reader.done_first(7);
    assert_eq!(writer.waiting(), tally(0, 0));
}

#[tokio::test]
async fn a_full_box_takes_what_comes_and_says_when_there_is_room() {
    let (writer, mut reader) = with(2, WhenFull::Block);
    writer.push(detection(1));
    assert!(!waits(writer.room()).await);
    writer.push(alert(1));
    writer.push(alert(2));
    let mut room = pin!(writer.room());
    assert!(waits(room.as_mut()).await);
    for expected in [alert(1), alert(2)] {
        assert_eq!(reader.next().await, Some(expected));
    }
    assert!(writer.is_full(), "in hand is not done");
    reader.done();
    room.await;
    assert_eq!(reader.next().await, Some(detection(1)));
    assert_eq!(writer.dropped(), tally(0, 0));
}

#[tokio::test]
async fn bytes_fill_a_box_too() {
    let (writer, mut reader) = outbox(BufferConfig {
        max_events: None,
        max_size: Some(1),
        when_full: WhenFull::Block,
    });
    assert!(!writer.is_full());
    writer.push(alert(1));
    assert!(writer.is_full());
    reader.next().await;
    reader.done();
    assert!(!writer.is_full());
}

#[tokio::test]
async fn drop_newest_drops_detections_first_and_counts() {
    let (writer, mut reader) = with(2, WhenFull::DropNewest);
    for code in 1..=3 {
        writer.push(detection(code));
    }
    assert_eq!(writer.dropped(), tally(0, 1));
    for sequence in 1..=3 {
        writer.push(alert(sequence));
    }
    assert_eq!(writer.dropped(), tally(1, 1), "detections cost no alert");
    drop(writer);
    for expected in [alert(1), alert(2), detection(1), detection(2)] {
        assert_eq!(reader.next().await, Some(expected));
    }
    assert_eq!(reader.next().await, None);
}

#[tokio::test]
async fn a_box_that_nobody_reads_holds_nobody_up() {
    let (writer, reader) = with(1, WhenFull::Block);
    writer.push(detection(1));
    let mut room = pin!(writer.room());
    assert!(waits(room.as_mut()).await);
    drop(reader);
    room.await;
    writer.push(alert(1));
    assert_eq!(writer.dropped(), tally(1, 0));
    assert_eq!(writer.waiting(), tally(0, 1), "what is left is known");
}

#[tokio::test]
async fn a_reader_that_waits_is_woken_by_the_end() {
    let (writer, mut reader) = with(1, WhenFull::Block);
    let reading = tokio::spawn(async move { (reader.next().await, reader.next().await) });
    tokio::task::yield_now().await;
    writer.push(alert(1));
    tokio::task::yield_now().await;
    drop(writer);
    assert_eq!(reading.await.unwrap(), (Some(alert(1)), None));
}

/// Acknowledgements in memory.
struct Acknowledged(Arc<AtomicUsize>);

impl Acknowledged {
    fn count(&self) -> usize {
        self.0.load(Relaxed)
    }

    /// A commit of `messages` for all of two sinks that asks to be acknowledged.
    fn commit(&self, messages: Vec<Message>) -> Commit {
        let count = Arc::clone(&self.0);
        let progress = Progress {
            acknowledge: Some(Box::new(move || {
                count.fetch_add(1, Relaxed);
            })),
            ..Progress::default()
        };
        let outgoing = messages.into_iter().map(|message| Outgoing {
            message,
            sinks: Arc::new([0, 1]),
        });
        Commit {
            messages: outgoing.collect(),
            progress: vec![("source".into(), progress)],
            ..Commit::default()
        }
    }
}

fn two_sinks() -> (super::super::Store, Reader, Reader, Acknowledged) {
    let sink = |id: &str| SinkOutbox {
        id: id.into(),
        buffer: BufferConfig {
            max_events: None,
            max_size: None,
            when_full: WhenFull::Block,
        },
    };
    let mut opened = in_memory(&[sink("a"), sink("b")]);
    let (b, a) = (opened.readers.pop().unwrap(), opened.readers.pop().unwrap());
    (opened.store, a, b, Acknowledged(Arc::default()))
}

#[tokio::test]
async fn a_source_is_acknowledged_when_every_sink_is_done_and_in_order() {
    let (store, mut a, mut b, acknowledged) = two_sinks();
    store.commit(acknowledged.commit(vec![])).await;
    assert_eq!(acknowledged.count(), 1, "nothing waits");
    store.commit(acknowledged.commit(vec![detection(1)])).await;
    store.commit(acknowledged.commit(vec![alert(1)])).await;
    a.next().await;
    a.next().await;
    a.done();
    b.next().await;
    b.done();
    assert_eq!(
        acknowledged.count(),
        1,
        "b has the alert, not the detection before it"
    );
    b.next().await;
    b.done();
    assert_eq!(acknowledged.count(), 3);
}

#[tokio::test]
async fn what_a_sink_left_behind_is_never_acknowledged() {
    let (store, mut a, b, acknowledged) = two_sinks();
    store.commit(acknowledged.commit(vec![alert(1)])).await;
    drop(b);
    a.next().await;
    a.done();
    store.commit(acknowledged.commit(vec![])).await;
    assert_eq!(acknowledged.count(), 0);
}

#[tokio::test]
async fn a_sink_that_is_released_holds_up_no_acknowledgement() {
    let (store, mut a, mut b, acknowledged) = two_sinks();
    store
        .commit(acknowledged.commit(vec![alert(1), alert(2)]))
        .await;
    b.next().await;
    b.release();
    store.commit(acknowledged.commit(vec![alert(3)])).await;
    for _ in 0..3 {
        a.next().await;
    }
    a.done();
    assert_eq!(acknowledged.count(), 2);
}
