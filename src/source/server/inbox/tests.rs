use std::{
    sync::{
        Arc,
        mpsc::{self, channel},
    },
    thread,
};

use tokio::sync::Mutex;

use super::*;
use crate::source::{Block, Shape};

/// Says of what holds an `x` that it holds something, and acknowledges when the test says so.
struct Slow {
    holds: bool,
    /// What each commit acknowledges.
    committed: mpsc::Sender<Box<dyn FnOnce() + Send>>,
}

impl Outlet for Slow {
    fn take(&mut self, block: &Block<'_>) -> bool {
        self.holds |= block.bytes.contains(&b'x');
        self.holds
    }

    fn commit(&mut self, progress: Progress) {
        self.holds = false;
        let _ = self.committed.send(progress.acknowledge.unwrap());
    }

    fn try_commit(&mut self, progress: Progress) -> Result<(), Progress> {
        self.commit(progress);
        Ok(())
    }
}

type Commits = mpsc::Receiver<Box<dyn FnOnce() + Send>>;

/// An inbox of `room` bytes whose deliveries are texts, each its own answer, and what it commits. Nothing is searched until
/// the gate, which is given back too, is opened.
fn served(room: usize) -> (Sender<&'static str, &'static str>, Commits, Arc<Mutex<()>>) {
    let (sender, inbox) = inbox(room);
    let (committed, commits) = channel();
    let gate = Arc::new(Mutex::new(()));
    let closed = Arc::clone(&gate);
    thread::spawn(move || {
        let mut outlet = Slow {
            holds: false,
            committed,
        };
        inbox.serve(&mut outlet, |text: &'static str, outlet| {
            let _open = closed.blocking_lock();
            let holds = outlet.take(&Block {
                bytes: text.as_bytes(),
                shape: Shape::Lines,
                header: None,
                first_part: None,
                provenance: &|_| String::new().into(),
            });
            (text, holds)
        });
    });
    (sender, commits, gate)
}

async fn send(
    sender: &Sender<&'static str, &'static str>,
    text: &'static str,
) -> Receipt<&'static str> {
    let room = sender.room(text.len()).await;
    sender.send(text, room).await
}

const MOMENT: Duration = Duration::from_millis(30);

#[tokio::test]
async fn what_holds_nothing_is_answered_at_once_and_what_holds_something_once_it_is_safe() {
    let (sender, commits, _) = served(1000);
    let clean = send(&sender, "clean").await;
    assert_eq!(clean.answer().await, Some("clean"));
    let found = send(&sender, "x").await;
    let acknowledge = tokio::task::spawn_blocking(move || (commits.recv().unwrap(), commits));
    let (acknowledge, commits) = acknowledge.await.unwrap();
    let mut answer = Box::pin(found.answer());
    assert!(timeout(MOMENT, &mut answer).await.is_err());
    acknowledge();
    assert_eq!(answer.await, Some("x"));
    assert!(commits.try_recv().is_err());
}

#[tokio::test]
async fn what_waits_together_is_committed_together_and_nothing_overtakes_what_was_found() {
    let (sender, commits, gate) = served(1000);
    let closed = gate.lock().await;
    let mut receipts = Vec::new();
    for text in ["clean", "x1", "behind", "x2"] {
        receipts.push(send(&sender, text).await);
    }
    drop(closed);
    let (acknowledge, commits) =
        tokio::task::spawn_blocking(move || (commits.recv().unwrap(), commits))
            .await
            .unwrap();
    let mut answers = receipts.into_iter().map(Receipt::answer);
    assert_eq!(answers.next().unwrap().await, Some("clean"));
    let mut rest: Vec<_> = answers.map(Box::pin).collect();
    for answer in &mut rest {
        assert!(timeout(MOMENT, answer).await.is_err());
    }
    acknowledge();
    for (answer, text) in rest.into_iter().zip(["x1", "behind", "x2"]) {
        assert_eq!(answer.await, Some(text));
    }
    assert!(commits.try_recv().is_err(), "one commit");
}

#[tokio::test]
async fn a_full_inbox_refuses_and_goes_on_when_there_is_room() {
    let (sender, _commits, gate) = served(10);
    let closed = gate.lock().await;
    let first = send(&sender, "0123456789").await;
    assert!(sender.room_within(MOMENT, 1).await.is_err());
    drop(closed);
    assert_eq!(first.answer().await, Some("0123456789"));
    assert!(sender.room_within(MOMENT, 10).await.is_ok());

    let closed = gate.lock().await;
    let mut receipts = Vec::new();
    // One may be in the thread's hands already.
    while let Ok(receipt) = sender.send_within(MOMENT, "clean", Room::default()).await {
        receipts.push(receipt);
    }
    assert!((DELIVERIES..=DELIVERIES + 1).contains(&receipts.len()));
    drop(closed);
    for receipt in receipts {
        assert_eq!(receipt.answer().await, Some("clean"));
    }
}

#[tokio::test]
async fn room_grows_and_comes_back_and_nobody_waits_for_more_than_there_is() {
    let (sender, inbox) = inbox::<(), ()>(10);
    let mut room = sender.room(4).await;
    room.add(sender.room(3).await);
    room.add(Room::default());
    assert_eq!(room.bytes(), 7);
    assert!(sender.room_within(MOMENT, 4).await.is_err());
    drop(room);
    assert_eq!(sender.room(1_000_000).await.bytes(), 10);
    drop(inbox);
    let receipt = sender.send((), Room::default()).await;
    assert_eq!(receipt.answer().await, None, "nobody is there any more");
}

#[tokio::test]
async fn no_address_holds_all_the_room() {
    let (sender, _inbox) = inbox::<(), ()>(100);
    let [one, same, other] = ["10.0.0.1:1", "10.0.0.1:2", "10.0.0.2:1"].map(|peer| sender.of(peer));
    let mut held = one.room(50).await;
    held.add(same.room(25).await);
    assert_eq!(held.bytes(), 75);
    let asked = tokio::join!(
        same.room_within(5 * ASK, 1),
        timeout(5 * ASK, one.wanted()),
        timeout(5 * ASK, other.wanted()),
    );
    assert!(matches!(asked, (Err(Overloaded), Ok(()), Err(_))));
    let rest = other.room_within(MOMENT, 25).await.unwrap();
    let asked = tokio::join!(
        other.room_within(5 * ASK, 1),
        timeout(5 * ASK, one.wanted())
    );
    assert!(
        matches!(asked, (Err(Overloaded), Ok(()))),
        "it holds the most"
    );
    drop(held);
    assert_eq!(same.room(1_000_000).await.bytes(), 75);
    drop(rest);
    // Who comes by a Unix socket may hold all.
    assert_eq!(sender.of("unix").room(1_000_000).await.bytes(), 100);
}

#[tokio::test]
async fn who_floods_the_inbox_keeps_nobody_else_out() {
    let (sender, _commits, gate) = served(1000);
    let [one, other] = ["10.0.0.1:1", "10.0.0.2:1"].map(|peer| sender.of(peer));
    let closed = gate.lock().await;
    let mut many = Vec::new();
    // One may be in the thread's hands already.
    while let Ok(receipt) = one.send_within(MOMENT, "many", Room::default()).await {
        many.push(receipt);
    }
    assert!((DELIVERIES..=DELIVERIES + 1).contains(&many.len()));
    let few = other.send_within(MOMENT, "few", Room::default()).await;
    drop(closed);
    assert_eq!(few.unwrap().answer().await, Some("few"));
    for receipt in many {
        assert_eq!(receipt.answer().await, Some("many"));
    }
}
