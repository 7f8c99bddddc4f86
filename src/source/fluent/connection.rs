//! One connection: who is there, and then message after message.
//!
//! What is read is kept in one buffer until messages in it are whole; these go to the source's thread together, and are
//! acknowledged together once they are safe. While one is being read that is long, room for it is lent by the inbox.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout, timeout_at},
};
use tracing::{debug, warn};

use super::{
    Delivery, Reply, Shared,
    handshake::{self, Challenge, MAX_PING_BYTES},
    json,
    message::may_begin,
};
use crate::{
    format::visible,
    record::msgpack::{Step, Walk},
    source::server::{Connection, inbox},
};

mod beyond;
mod error;

use error::Error;

/// Bytes that a connection may have read before it asks for room: whoever sends small messages does not wait for those who
/// hold the room.
const FREE_BYTES: usize = 64 << 10;

/// Bytes that are read at once, at first.
const READ_BYTES: usize = 4 << 10;

/// Bytes of short messages that are read before they are handed in, while more is there.
const BURST_BYTES: usize = 256 << 10;

/// How long the handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a message may take from its first byte to its last, and how long nothing of it may come.
const MESSAGE: Duration = Duration::from_secs(300);
const STALL: Duration = Duration::from_secs(30);

/// Whoever holds room must send so much in each such time.
const PACE_BYTES: usize = 40 << 10;
const PACE: Duration = Duration::from_secs(10);

/// How long a peer may take to read a reply.
const WRITE: Duration = Duration::from_secs(10);

/// How long a message may wait for room.
const ROOM: Duration = Duration::from_secs(30);

/// Characters of an error that are shown.
const SHOWN: usize = 200;

/// Serves `connection` until it ends.
pub(super) async fn serve(
    shared: Arc<Shared>,
    connection: Connection,
    inbox: inbox::Sender<Delivery, Reply>,
) {
    let (peer, counters) = (
        Arc::clone(&connection.peer),
        Arc::clone(&connection.counters),
    );
    let mut session = Session {
        connection,
        inbox,
        shared,
        buffer: Vec::new(),
        room: inbox::Room::default(),
        ends: Vec::new(),
        walk: Walk::default(),
        json: json::Walk::default(),
        expected: 0,
    };
    let Err(error) = session.run().await else {
        return;
    };
    let Some(refusal) = error.refusal() else {
        debug!(source = &*session.shared.id, peer = &*peer, "{error}");
        return;
    };
    counters.refuse(refusal);
    if session.shared.warning.is_due() {
        let error = error.to_string();
        let error = visible(&error, SHOWN);
        warn!(
            source = &*session.shared.id,
            peer = &*peer,
            "connection closed: {error}"
        );
    }
    if matches!(error, Error::TooLarge(_)) && !session.search_on().await {
        session.shared.say_unsearched(&peer);
    }
}

struct Session {
    connection: Connection,
    inbox: inbox::Sender<Delivery, Reply>,
    shared: Arc<Shared>,
    /// What was read: whole messages, and the beginning of one.
    buffer: Vec<u8>,
    /// What was lent for it.
    room: inbox::Room,
    /// Where messages end in it.
    ends: Vec<usize>,
    /// Over the message behind the last of these.
    walk: Walk,
    /// The same, if it is of JSON.
    json: json::Walk,
    /// How long that message is at least.
    expected: u64,
}

impl Session {
    async fn run(&mut self) -> Result<(), Error> {
        self.shake_hands().await?;
        let ended = self.live().await;
        if ended
            .as_ref()
            .is_err_and(|error| !matches!(error, Error::TooLarge(_)))
        {
            self.hand_in_rest().await;
        }
        ended
    }

    /// Until the peer closes it between two messages.
    async fn live(&mut self) -> Result<(), Error> {
        let activity = Arc::clone(&self.connection.activity);
        while self.first().await? {
            let mut busy = activity.begin();
            // Until it is known.
            busy.ends_well(false);
            self.read_messages().await?;
            self.hand_in().await?;
            self.connection.counters.took();
            busy.ends_well(true);
        }
        Ok(())
    }

    /// Reads on until a message is whole, and whatever is there behind it.
    async fn read_messages(&mut self) -> Result<(), Error> {
        let activity = Arc::clone(&self.connection.activity);
        let _reading = activity.read();
        let deadline = Instant::now() + MESSAGE;
        let mut pace = Pace::new();
        loop {
            self.step_over()?;
            if !self.ends.is_empty() {
                if self.read_on().await {
                    continue;
                }
                return Ok(());
            }
            if self.make_room(ROOM).await? {
                // It may have been waited for.
                pace = Pace::new();
            }
            let holds_room = self.room.bytes() > 0;
            let latest = deadline.min(match holds_room {
                true => pace.due()?,
                false => Instant::now() + STALL,
            });
            match self.read_until(latest).await {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(count) => pace.bytes += count,
                // Whether it was too slow is for the pace to say.
                Err(Error::Slow) if holds_room && Instant::now() < deadline => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads what else is there already, behind messages that are whole. Whether anything was.
    async fn read_on(&mut self) -> bool {
        let length = self.buffer.len();
        let is_full = length == self.buffer.capacity() && length < BURST_BYTES;
        if !is_full || self.make_room(Duration::ZERO).await.is_err() {
            return false;
        }
        // An end or an error comes again with the next read.
        let read = timeout(Duration::ZERO, self.read()).await;
        matches!(read, Ok(Ok(1..)))
    }

    /// Waits until a message begins. False if the connection has ended, or is to end.
    async fn first(&mut self) -> Result<bool, Error> {
        let closing = self.connection.closing.clone();
        while self.is_between_messages() {
            // What has come is read before anything else: clients that ask for no acknowledgement believe that it is safe.
            let read = tokio::select! {
                biased;
                read = self.read() => read,
                () = closing.cancelled() => return Ok(false),
            };
            match read {
                Ok(0) => return Ok(false),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    /// White space, with which clients may end a message of JSON, begins none.
    fn is_between_messages(&mut self) -> bool {
        let is_between = self.buffer.iter().all(u8::is_ascii_whitespace);
        if is_between {
            self.buffer.clear();
            self.json = json::Walk::default();
        }
        is_between
    }

    /// Reads what there is, as far as the buffer can take it.
    async fn read(&mut self) -> io::Result<usize> {
        if self.buffer.is_empty() {
            self.buffer.reserve_exact(READ_BYTES);
        }
        self.connection.stream.read_buf(&mut self.buffer).await
    }

    async fn read_until(&mut self, deadline: Instant) -> Result<usize, Error> {
        let read = timeout_at(deadline, self.read()).await;
        Ok(read.map_err(|_| Error::Slow)??)
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let stream = &mut self.connection.stream;
        let write = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        Ok(timeout(WRITE, write).await.map_err(|_| Error::Slow)??)
    }

    /// Walks over what was read, and notes where messages end.
    fn step_over(&mut self) -> Result<(), Error> {
        loop {
            let start = self.ends.last().copied().unwrap_or(0);
            let message = &self.buffer[start..];
            match message.first() {
                None => return Ok(()),
                Some(first) if json::may_begin(*first) => {
                    let Some(end) = self.json.on(message) else {
                        let is_too_long = message.len() > self.shared.max_message_bytes;
                        // How long it will be, nothing says.
                        self.expected = 0;
                        return match is_too_long {
                            true => {
                                self.unless_some(Error::TooLarge(self.shared.max_message_bytes))
                            }
                            false => Ok(()),
                        };
                    };
                    self.json = json::Walk::default();
                    self.ends.push(start + end);
                    continue;
                }
                Some(first) if !may_begin(*first) => return self.unless_some(Error::NoMessage),
                Some(_) => {}
            }
            match self.walk.on(message) {
                Ok(Step::End(end)) => {
                    self.walk = Walk::default();
                    self.ends.push(start + end);
                }
                Ok(Step::AtLeast(bytes)) if bytes > self.shared.max_message_bytes as u64 => {
                    self.expected = bytes;
                    return self.unless_some(Error::TooLarge(self.shared.max_message_bytes));
                }
                Ok(Step::AtLeast(bytes)) => {
                    self.expected = bytes;
                    return Ok(());
                }
                Err(fault) => return self.unless_some(fault.into()),
            }
        }
    }

    /// What is behind whole messages is refused when it is its turn.
    fn unless_some(&self, error: Error) -> Result<(), Error> {
        match self.ends.is_empty() {
            true => Err(error),
            false => Ok(()),
        }
    }

    /// Sees that the buffer can take more. It is never made longer because a length says so, only because it is full; nor
    /// longer than the message is known to be. True if room was lent for that.
    async fn make_room(&mut self, patience: Duration) -> Result<bool, Error> {
        let (held, capacity) = (self.buffer.len(), self.buffer.capacity());
        if capacity > held {
            return Ok(false);
        }
        let most = match usize::try_from(self.expected) {
            Ok(expected) if expected > held => expected,
            _ => usize::MAX,
        };
        let wanted = (2 * capacity).min(most).max(held + READ_BYTES);
        let more = wanted.saturating_sub(FREE_BYTES + self.room.bytes());
        if more > 0 {
            self.room.add(self.inbox.room_within(patience, more).await?);
        }
        self.buffer.reserve_exact(wanted - held);
        Ok(more > 0)
    }

    /// Hands in the messages that are whole, and acknowledges them when they are safe.
    async fn hand_in(&mut self) -> Result<(), Error> {
        let ends = std::mem::take(&mut self.ends);
        let end = ends.last().copied().unwrap_or(0);
        let rest = self.buffer.split_off(end);
        let delivery = Delivery {
            bytes: std::mem::replace(&mut self.buffer, rest),
            ends,
            peer: Arc::clone(&self.connection.peer),
        };
        let room = std::mem::take(&mut self.room);
        let receipt = self.inbox.send(delivery, room).await;
        let reply = receipt.answer().await.ok_or(Error::Closed)?;
        if !reply.acks.is_empty() {
            self.write(&reply.acks).await?;
        }
        match reply.refused {
            Some((why, reason)) => Err(Error::Refused { why, reason }),
            None => Ok(()),
        }
    }

    /// Hands in what is left when the connection ends early: it is not acknowledged, but may name a decoy. Whether it is searched.
    async fn hand_in_rest(&mut self) -> bool {
        if self.buffer.is_empty() {
            return true;
        }
        let delivery = Delivery {
            bytes: std::mem::take(&mut self.buffer),
            ends: Vec::new(),
            peer: Arc::clone(&self.connection.peer),
        };
        let room = std::mem::take(&mut self.room);
        // Nobody waits for what becomes of it.
        self.inbox.send_within(ROOM, delivery, room).await.is_ok()
    }

    /// Lets in who knows the key.
    async fn shake_hands(&mut self) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        let Some(key) = &shared.security.shared_key else {
            return Ok(());
        };
        let challenge = Challenge::new().ok_or(Error::Random)?;
        self.write(&challenge.helo(&shared.security)).await?;
        let deadline = Instant::now() + HANDSHAKE;
        let end = loop {
            match Walk::default().on(&self.buffer)? {
                Step::End(end) => break end,
                Step::AtLeast(bytes) if bytes > MAX_PING_BYTES as u64 => {
                    return Err(handshake::Error::NoPing.into());
                }
                Step::AtLeast(_) => {}
            }
            if self.read_until(deadline).await? == 0 {
                return Err(Error::Closed);
            }
        };
        let (pong, outcome) = challenge.pong(&shared.security, key, &self.buffer[..end]);
        self.buffer.drain(..end);
        self.write(&pong).await?;
        outcome?;
        self.connection.activity.prove();
        Ok(())
    }
}

/// How fast a peer sends of late.
struct Pace {
    since: Instant,
    bytes: usize,
}

impl Pace {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            bytes: 0,
        }
    }

    /// Until when something must come.
    fn due(&mut self) -> Result<Instant, Error> {
        if self.since.elapsed() >= PACE {
            if self.bytes < PACE_BYTES {
                return Err(Error::Slow);
            }
            *self = Self::new();
        }
        Ok(self.since + PACE)
    }
}

#[cfg(test)]
mod tests;
