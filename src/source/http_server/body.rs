//! A body, read whole within its bounds.

use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::{Instant, timeout};

use super::{
    Patience,
    service::{Inbox, Refused},
};
use crate::source::server::inbox::Room;

/// Room that is made at once, whatever length is announced.
const FIRST_BYTES: u64 = 1 << 20;

/// A client that sends fewer bytes a second than this, beyond the time that it has anyway, is too slow.
const LEAST_PER_SECOND: u64 = 4 << 10;

/// Reads `body`; the room that it takes is lent by `inbox`.
pub(super) async fn read(
    mut body: Incoming,
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
