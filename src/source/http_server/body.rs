//! A body, read whole within its bounds.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::{Instant, timeout};

use super::{
    Patience,
    service::{Inbox, Refused},
};
use crate::source::server::inbox::Room;

/// Room that is made at once, whatever length is announced.
const FIRST_BYTES: u64 = 4 << 20;

/// A client that sends fewer bytes a second than this, beyond the time that it has anyway, is too slow.
const LEAST_PER_SECOND: u64 = 4 << 10;

/// What is read of a body that is not taken, so that its sender hears why: most read no answer before they have written all.
const UNWANTED_BYTES: usize = 1 << 20;
const UNWANTED_TIME: Duration = Duration::from_secs(1);

/// Reads the rest of a body that is not taken, if it is short, and forgets it.
pub(super) async fn forget(body: &mut Incoming) {
    let read = async {
        let mut length = 0;
        while length < UNWANTED_BYTES
            && let Some(Ok(frame)) = body.frame().await
        {
            length += frame.data_ref().map_or(0, Bytes::len);
        }
    };
    // What is longer, or comes more slowly, is broken off.
    let _ = timeout(UNWANTED_TIME, read).await;
}

/// Reads `body`; the room that it takes is lent by `inbox`.
pub(super) async fn read(
    body: &mut Incoming,
    most: usize,
    patience: Patience,
    inbox: &Inbox,
) -> Result<(Vec<u8>, Room), Refused> {
    let announced = body.size_hint().lower();
    if announced > most as u64 {
        return Err(Refused::TooLarge);
    }
    // What fits into the constant fits into a usize.
    let mut bytes = Vec::with_capacity(announced.min(FIRST_BYTES) as usize);
    let mut room = Room::default();
    let began = Instant::now();
    loop {
        let frame = timeout(patience.body, body.frame()).await;
        let frame = match frame.map_err(|_| Refused::Slow)? {
            None => return Ok((bytes, room)),
            Some(frame) => frame.map_err(|_| Refused::Broken)?,
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > most {
            return Err(Refused::TooLarge);
        }
        let more = inbox.room_within(patience.room, data.len()).await;
        room.add(more.map_err(|_| Refused::Overloaded)?);
        bytes.extend_from_slice(&data);
        let earned = bytes.len() as u64 / LEAST_PER_SECOND;
        let late = began.elapsed().saturating_sub(patience.body);
        if late.as_secs() > earned {
            return Err(Refused::Slow);
        }
    }
}
