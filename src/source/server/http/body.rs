//! Bodies, read within their bounds, whole or part by part.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming};
use tokio::time::{Instant, timeout_at};

use super::Patience;
use crate::source::server::{
    Activity,
    inbox::{Room, Sender},
};

/// A client that sends fewer bytes a second than this, on an average over the time that it may be silent, is too slow.
const LEAST_PER_SECOND: f64 = 4096.0;

/// Why a body was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    Slow,
    /// It broke off.
    Broken,
    Overloaded,
}

/// A body, as far as it may be read.
pub(crate) struct Text {
    pub bytes: Vec<u8>,
    /// What `bytes` take of it.
    pub room: Room,
    /// There was more than may be.
    pub is_cut: bool,
}

/// A body that is read part by part.
pub(crate) struct Reader<'b> {
    body: &'b mut Incoming,
    pace: Pace,
    /// What has come, and did not fit into the part before.
    rest: Bytes,
}

impl<'b> Reader<'b> {
    pub(crate) fn new(body: &'b mut Incoming, patience: Patience) -> Self {
        Self {
            body,
            pace: Pace::new(patience),
            rest: Bytes::new(),
        }
    }

    /// The next part, of `most` bytes at most; the room that it takes is lent by `inbox`.
    pub(crate) async fn read<D, A>(
        &mut self,
        most: usize,
        activity: &Arc<Activity>,
        inbox: &Sender<D, A>,
    ) -> Result<Text, Unread> {
        let _reading = activity.read();
        // It grows as bytes come, not because a length is announced.
        let (mut bytes, mut room) = (Vec::new(), Room::default());
        let pace = &mut self.pace;
        pace.goes_on();
        loop {
            let mut data = std::mem::take(&mut self.rest);
            if data.is_empty() {
                let Some(frame) = next(self.body, pace, inbox).await? else {
                    return Ok(Text {
                        bytes,
                        room,
                        is_cut: false,
                    });
                };
                let Ok(came) = frame.into_data() else {
                    continue;
                };
                data = came;
            }
            self.rest = data.split_off(data.len().min(most - bytes.len()));
            let more = tokio::select! {
                more = inbox.room_within(pace.patience.room, data.len()) => more,
                () = gives_way(pace, inbox) => return Err(Unread::Slow),
            };
            room.add(more.map_err(|_| Unread::Overloaded)?);
            bytes.extend_from_slice(&data);
            if !self.rest.is_empty() {
                return Ok(Text {
                    bytes,
                    room,
                    is_cut: true,
                });
            }
            pace.came(data.len())?;
        }
    }
}

/// What comes next of `body`, if it comes in time.
async fn next<D, A>(
    body: &mut Incoming,
    pace: &Pace,
    inbox: &Sender<D, A>,
) -> Result<Option<Frame<Bytes>>, Unread> {
    let frame = tokio::select! {
        frame = timeout_at(pace.latest(), body.frame()) => frame.map_err(|_| Unread::Slow)?,
        () = gives_way(pace, inbox) => return Err(Unread::Slow),
    };
    frame.transpose().map_err(|_| Unread::Broken)
}

/// Returns when a body takes so long that others who wait for room go before it.
async fn gives_way<D, A>(pace: &Pace, inbox: &Sender<D, A>) {
    loop {
        inbox.wanted().await;
        if pace.is_long() {
            return;
        }
    }
}

/// How fast a body comes. What came fast at first earns nothing: it is the last bytes that count.
struct Pace {
    patience: Patience,
    began: Instant,
    last: Instant,
    /// Since when `bytes` came.
    since: Instant,
    bytes: usize,
}

impl Pace {
    fn new(patience: Patience) -> Self {
        let now = Instant::now();
        Self {
            patience,
            began: now,
            last: now,
            since: now,
            bytes: 0,
        }
    }

    /// When the next bytes must have come.
    fn latest(&self) -> Instant {
        let whole = self.began + self.patience.whole;
        whole.min(self.last + self.patience.body)
    }

    /// It is read again: nobody was waited for meanwhile.
    fn goes_on(&mut self) {
        self.last = Instant::now();
        (self.since, self.bytes) = (self.last, 0);
    }

    /// Whether it takes longer than may be while others wait.
    fn is_long(&self) -> bool {
        self.began.elapsed() > self.patience.crowded
    }

    fn came(&mut self, bytes: usize) -> Result<(), Unread> {
        self.last = Instant::now();
        self.bytes += bytes;
        let time = self.last - self.since;
        if time < self.patience.body {
            return Ok(());
        }
        let least = time.as_secs_f64() * LEAST_PER_SECOND;
        if (self.bytes as f64) < least {
            return Err(Unread::Slow);
        }
        (self.since, self.bytes) = (self.last, 0);
        Ok(())
    }
}
