//! Peers that are slow, on a clock that need not be waited for.

use std::sync::atomic::Ordering::Relaxed;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::{
    config::Secret,
    source::{
        self,
        fluent::{Security, tests::ping},
        server::{Activity, Counters, Refusal},
    },
};

struct Served {
    peer: DuplexStream,
    counters: Arc<Counters>,
    activity: Arc<Activity>,
    inbox: inbox::Inbox<Delivery, Reply>,
    /// What the connections and the test lend from.
    sender: inbox::Sender<Delivery, Reply>,
    task: tokio::task::JoinHandle<()>,
    errors: Arc<source::Counters>,
}

fn served(shared_key: Option<&str>, room: usize, pipe: usize) -> Served {
    let (peer, stream) = duplex(pipe);
    let connection = Connection::of(Box::new(stream));
    let counters = Arc::clone(&connection.counters);
    let activity = Arc::clone(&connection.activity);
    let errors = Arc::<source::Counters>::default();
    let shared = Arc::new(Shared {
        id: "audit".into(),
        security: Security {
            shared_key: shared_key.map(|key| Secret::new(key.to_owned())),
            self_hostname: "baitline".to_owned(),
            users: Default::default(),
        },
        max_message_bytes: 1 << 20,
        permit_origin: Vec::new(),
        warning: Default::default(),
        unsearched: Default::default(),
        counters: Arc::clone(&errors),
    });
    let (sender, inbox) = inbox::inbox(room);
    let task = tokio::spawn(serve(shared, connection, sender.clone()));
    Served {
        peer,
        counters,
        activity,
        inbox,
        sender,
        task,
        errors,
    }
}

impl Served {
    /// Waits until the connection is closed from the other side, and gives how long that took.
    async fn closed(mut self, why: Refusal) -> Duration {
        let began = Instant::now();
        let mut heard = Vec::new();
        self.peer.read_to_end(&mut heard).await.unwrap();
        self.task.await.unwrap();
        assert_eq!(self.counters.refused(why), 1);
        began.elapsed()
    }
}

/// A message with an entry of so many bytes, whose header tells of them.
fn message(bytes: usize) -> Vec<u8> {
    let head = [b"\x92\xa3tag\xc6".as_slice(), &(bytes as u32).to_be_bytes()].concat();
    [head, vec![0x80; bytes]].concat()
}

#[tokio::test(start_paused = true)]
async fn who_stops_within_a_message_is_cut_off() {
    let mut served = served(None, 1 << 20, 100);
    served.peer.write_all(&message(50)[..30]).await.unwrap();
    let took = served.closed(Refusal::Timeout).await;
    assert!(
        (STALL..STALL + Duration::from_secs(2)).contains(&took),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn who_sends_a_byte_now_and_then_is_cut_off() {
    let Served {
        peer,
        counters,
        task,
        ..
    } = served(None, 1 << 20, 100);
    let (mut hear, mut say) = tokio::io::split(peer);
    let trickle = tokio::spawn(async move {
        for byte in message(1000) {
            tokio::time::sleep(Duration::from_secs(10)).await;
            if say.write_all(&[byte]).await.is_err() {
                break;
            }
        }
    });
    let began = Instant::now();
    assert_eq!(hear.read(&mut [0]).await.unwrap(), 0);
    task.await.unwrap();
    trickle.await.unwrap();
    assert_eq!(counters.refused(Refusal::Timeout), 1);
    assert!(began.elapsed() < MESSAGE + STALL);
}

#[tokio::test(start_paused = true)]
async fn who_is_silent_between_messages_is_waited_for() {
    let mut served = served(None, 1 << 20, 100);
    tokio::time::sleep(Duration::from_secs(86_400)).await;
    served.peer.write_all(b"\xc1").await.unwrap();
    served.closed(Refusal::Malformed).await;
}

#[tokio::test(start_paused = true)]
async fn white_space_begins_no_message() {
    let mut served = served(None, 1 << 20, 100);
    for space in [b"\n".as_slice(), b"\r\n \t"] {
        served.peer.write_all(space).await.unwrap();
        tokio::time::sleep(Duration::from_secs(86_400)).await;
        assert!(served.activity.idle().is_some());
    }
    served.peer.write_all(b"\xc1").await.unwrap();
    served.closed(Refusal::Malformed).await;
}

#[tokio::test(start_paused = true)]
async fn who_does_not_say_the_key_is_cut_off() {
    let took = served(Some("key"), 1 << 20, 1000)
        .closed(Refusal::Timeout)
        .await;
    assert!((HANDSHAKE..2 * HANDSHAKE).contains(&took), "{took:?}");
    // Nor does he who takes no HELO keep the place.
    let took = served(Some("key"), 1 << 20, 10);
    let began = Instant::now();
    took.task.await.unwrap();
    assert!(began.elapsed() <= HANDSHAKE + WRITE);
}

#[tokio::test(start_paused = true)]
async fn a_long_message_waits_for_room_and_is_refused_if_there_is_none() {
    let mut served = served(None, 100_000, 200_000);
    let taken = served.sender.room(100_000).await;
    served.peer.write_all(&message(80_000)).await.unwrap();
    let took = served.closed(Refusal::Overload).await;
    assert!((ROOM..ROOM + STALL).contains(&took), "{took:?}");
    assert_eq!(taken.bytes(), 100_000);
}

#[tokio::test]
async fn a_small_message_does_not_wait_for_room() {
    let Served {
        mut peer,
        inbox,
        sender,
        ..
    } = served(None, 100_000, 200_000);
    let taken = sender.room(100_000).await;
    peer.write_all(&message(30_000)).await.unwrap();
    drop(sender);
    let mut outlet = |_: &crate::source::Block<'_>| false;
    let (seen, mut first) = tokio::sync::mpsc::unbounded_channel();
    let serving = tokio::task::spawn_blocking(move || {
        inbox.serve(&mut outlet, |delivery: Delivery, _| {
            seen.send(delivery.bytes.len()).unwrap();
            (Reply::default(), false)
        });
    });
    let first = timeout(ROOM / 2, first.recv()).await;
    assert_eq!(first, Ok(Some(message(30_000).len())));
    drop((peer, taken));
    serving.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_holds_room_and_sends_a_byte_now_and_then_is_cut_off() {
    let Served {
        mut peer,
        counters,
        task,
        inbox: _inbox,
        ..
    } = served(None, 1 << 20, 1000);
    let began = Instant::now();
    peer.write_all(&message(500_000)[..200_000]).await.unwrap();
    while peer.write_all(&[0]).await.is_ok() {
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    task.await.unwrap();
    assert_eq!(counters.refused(Refusal::Timeout), 1);
    assert!(began.elapsed() < 3 * PACE, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn who_holds_room_and_sends_in_bursts_is_not_cut_off() {
    let Served {
        mut peer,
        counters,
        inbox: _inbox,
        ..
    } = served(None, 1 << 20, 1000);
    for burst in message(500_000).chunks(100_000) {
        peer.write_all(burst).await.unwrap();
        tokio::time::sleep(PACE - Duration::from_millis(1)).await;
    }
    assert_eq!(counters.refused(Refusal::Timeout), 0);
}

#[tokio::test]
async fn what_is_handed_in_has_room_of_its_size() {
    let Served {
        mut peer,
        inbox,
        sender,
        ..
    } = served(None, 100_000, 200_000);
    let bytes = [message(10), message(20_000), message(5)].concat();
    let length = bytes.len();
    peer.write_all(&bytes).await.unwrap();
    peer.shutdown().await.unwrap();
    drop(sender);
    let mut outlet = |_: &crate::source::Block<'_>| false;
    let seen = tokio::task::spawn_blocking(move || {
        let mut seen = 0;
        inbox.serve(&mut outlet, |delivery: Delivery, _| {
            assert_eq!(delivery.ends.last(), Some(&delivery.bytes.len()));
            seen += delivery.bytes.len();
            (Reply::default(), false)
        });
        seen
    });
    assert_eq!(seen.await.unwrap(), length);
}

/// Waits until it holds.
async fn until(holds: impl Fn() -> bool) {
    let holds = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(ROOM, holds).await.unwrap();
}

#[tokio::test]
async fn half_a_message_does_not_get_on_and_a_whole_one_is_no_proof_before_its_answer() {
    let mut served = served(None, 1 << 20, 1000);
    let activity = Arc::clone(&served.activity);
    assert!(activity.idle().is_some() && activity.stuck().is_none());
    let message = message(50);
    let (half, rest) = message.split_at(30);
    served.peer.write_all(half).await.unwrap();
    until(|| activity.stuck().is_some()).await;
    assert_eq!(activity.idle(), None);
    served.peer.write_all(rest).await.unwrap();
    until(|| activity.stuck().is_none()).await;
    assert_eq!(activity.idle(), None, "it waits for its answer");
    let mut outlet = |_: &crate::source::Block<'_>| false;
    let (inbox, sender) = (served.inbox, served.sender);
    drop(sender);
    assert!(!activity.is_proven());
    let serving = tokio::task::spawn_blocking(move || {
        inbox.serve(&mut outlet, |_, _| (Reply::default(), false));
    });
    until(|| activity.is_proven() && activity.idle().is_some()).await;
    drop(served.peer);
    serving.await.unwrap();
}

#[tokio::test]
async fn what_is_no_message_is_no_proof() {
    let mut served = served(None, 1 << 20, 1000);
    let activity = Arc::clone(&served.activity);
    served.peer.write_all(b"\x92\xa3tag\xc1").await.unwrap();
    served.closed(Refusal::Malformed).await;
    assert!(!activity.is_proven());
}

#[tokio::test]
async fn who_shows_the_key_is_proven_and_nobody_else() {
    for (key, is_right) in [("key", true), ("other", false)] {
        let mut served = served(Some("key"), 1 << 20, 1000);
        let mut helo = [0; 100];
        let length = served.peer.read(&mut helo).await.unwrap();
        assert!(!served.activity.is_proven());
        let ping = ping(&helo[..length], key);
        served.peer.write_all(&ping).await.unwrap();
        let mut pong = [0; 1000];
        assert!(served.peer.read(&mut pong).await.unwrap() > 0);
        match is_right {
            true => until(|| served.activity.is_proven()).await,
            false => {
                let activity = Arc::clone(&served.activity);
                served.closed(Refusal::Auth).await;
                assert!(!activity.is_proven());
            }
        }
    }
}

/// The parts in which `message` is searched, and how often it is said that its end was not.
async fn searched(message: &[u8], hangs_up: bool) -> (Vec<Vec<u8>>, u64) {
    let Served {
        mut peer,
        counters,
        inbox,
        sender,
        task,
        errors,
        ..
    } = served(None, 2 << 20, 1 << 20);
    drop(sender);
    let serving = tokio::task::spawn_blocking(move || {
        let mut parts = Vec::new();
        inbox.serve(
            &mut |_: &source::Block<'_>| false,
            |delivery: Delivery, _| {
                parts.push(delivery.bytes);
                (Reply::default(), false)
            },
        );
        parts
    });
    // Who sends very much is not heard out.
    let _ = peer.write_all(message).await;
    if hangs_up {
        let _ = peer.shutdown().await;
    }
    assert_eq!(peer.read(&mut [0]).await.unwrap(), 0);
    task.await.unwrap();
    assert_eq!(counters.refused(Refusal::TooLarge), 1);
    let parts = serving.await.unwrap();
    assert!(parts.iter().all(|part| part.len() <= 2 << 20));
    (parts, errors.errors.load(Relaxed))
}

/// What parts hold of which each begins with the end of the one before.
fn joined(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut all = Vec::new();
    for part in parts {
        let shared = if all.is_empty() { 0 } else { (1 << 20) / 64 };
        assert!(all.ends_with(&part[..shared]));
        all.extend_from_slice(&part[shared..]);
    }
    all
}

#[tokio::test]
async fn a_message_that_is_too_long_is_searched_entry_by_entry() {
    let entry = [
        b"\x92\x07\x81\xa3log\xda\x40\x00",
        vec![b'x'; 0x4000].as_slice(),
    ]
    .concat();
    let entries = entry.repeat(200);
    let in_a_string = [
        b"\x92\xa3tag\xc6",
        &(entries.len() as u32).to_be_bytes()[..],
    ]
    .concat();
    let in_an_array = b"\x92\xa3tag\xdc\x00\xc8".to_vec();
    for head in [in_a_string, in_an_array] {
        for hangs_up in [true, false] {
            let message = [head.as_slice(), &entries].concat();
            let (parts, unsearched) = searched(&message, hangs_up).await;
            assert!(parts.len() > 2 && unsearched == 0);
            assert!(parts.iter().all(|part| part.len() % entry.len() == 0));
            assert!(parts.concat() == entries);
        }
    }
}

#[tokio::test]
async fn an_event_that_is_too_long_is_searched_to_its_end() {
    let text = vec![b'x'; 2 << 20];
    let event = [
        b"\x93\xa3tag\x07\x81\xa3log\xdb\x00\x20\x00\x00",
        text.as_slice(),
    ]
    .concat();
    // One of JSON says nowhere how long it is.
    let json = [b"[\"tag\",[[7,{\"log\":\"", text.as_slice()].concat();
    for message in [event, json] {
        let (parts, unsearched) = searched(&message, false).await;
        assert!(joined(&parts) == message && unsearched == 0);
    }
}

#[tokio::test]
async fn where_the_end_of_a_message_is_not_searched_it_is_said() {
    let endless = [
        b"\x93\xa3tag\x07\xdb\x02\x00\x00\x00",
        vec![b'x'; 20 << 20].as_slice(),
    ]
    .concat();
    let (parts, unsearched) = searched(&endless, true).await;
    let all = joined(&parts).len();
    assert!((15 << 20..17 << 20).contains(&all) && unsearched == 1);
    let mut packed = message(2 << 20);
    packed[10..14].copy_from_slice(b"\x1f\x8b\x08\x00");
    assert_eq!(searched(&packed, true).await.1, 1);
    // So much was announced, and never came.
    let (parts, unsearched) = searched(&message(2 << 20)[..1000], false).await;
    assert_eq!((parts.concat().len(), unsearched), (990, 1));
}
