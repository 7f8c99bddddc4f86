//! A message that is too long: it is refused, but a decoy that it names is told of.
//!
//! Fluentd keeps chunks of up to 256 MB in files. What is refused of them it sends again until it gives up, or believes it delivered, and
//! whoever can make one event long could hide another behind it. So a message is searched beyond the limit as well, part by part, and
//! never held whole: as entries, as far as they are some, and otherwise as what cannot be decoded, each part with the end of the one
//! before.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Error, Pace, ROOM, Session};
use crate::{
    record::{msgpack, packing},
    source::OVERLAP,
};

/// Parts of `max_message_bytes` that are searched, at most.
const PARTS: usize = 16;

/// What of a part is searched once more with the next: one of so many. So most events stand whole in one of the two.
const REPEATED: usize = 64;

/// How long nothing may come within it; and behind its end, where its sender waits for an acknowledgement.
const WITHIN: Duration = Duration::from_secs(5);
const BEHIND: Duration = Duration::from_secs(1);

/// How long it may take.
const WHOLE: Duration = Duration::from_secs(120);

/// How far it was read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    /// There is more, and a part is full.
    On,
    /// To its end, or that of the connection.
    All,
    /// There is more, but no room for it, or it comes too slowly.
    Part,
}

impl Session {
    /// Searches what came of a message that is too long, and what follows of it. False if there was more than is searched, or it is
    /// packed.
    pub(super) async fn search_on(&mut self) -> bool {
        let activity = Arc::clone(&self.connection.activity);
        let mut busy = activity.begin();
        busy.ends_well(false);
        let _reading = activity.read();
        // It says at its beginning how long it is, if it is a string.
        let mut missing = usize::try_from(self.expected).unwrap_or(usize::MAX);
        missing = missing.saturating_sub(self.buffer.len());
        let start = start_of_entries(&self.buffer);
        if let Some(start) = start {
            if packing::shown(&self.buffer[start..]).is_some() {
                self.hand_in_rest().await;
                return false;
            }
            self.buffer.drain(..start);
        }
        let mut are_entries = start.is_some();
        let latest = Instant::now() + WHOLE;
        let most = self.shared.max_message_bytes;
        // A part takes no more room than this.
        self.expected = most as u64;
        for _ in 0..PARTS {
            let read = self.fill(most, latest, &mut missing).await;
            let end = match are_entries {
                true => end_of_entries(&self.buffer),
                false => 0,
            };
            are_entries = end > 0;
            let kept = match (read, end) {
                (Read::On, 1..) => self.buffer.split_off(end),
                _ => {
                    let repeated = (most / REPEATED).max(OVERLAP);
                    let end = self.buffer.len();
                    self.buffer[end.saturating_sub(repeated)..].to_vec()
                }
            };
            let is_taken = self.hand_in_rest().await;
            if read != Read::On || !is_taken {
                return read == Read::All && is_taken;
            }
            self.buffer = kept;
        }
        false
    }

    /// Reads until the buffer holds `most`. So many bytes of the message are known to be `missing` yet.
    async fn fill(&mut self, most: usize, latest: Instant, missing: &mut usize) -> Read {
        let mut pace = Pace::new();
        while self.buffer.len() < most {
            let is_slow = pace.due().is_err() || Instant::now() >= latest;
            if is_slow || self.make_room(ROOM).await.is_err() {
                return Read::Part;
            }
            let wait = if *missing > 0 { WITHIN } else { BEHIND };
            match self.read_until(Instant::now() + wait).await {
                Ok(count @ 1..) => {
                    pace.bytes += count;
                    *missing = missing.saturating_sub(count);
                }
                Err(Error::Slow) if *missing > 0 => return Read::Part,
                Ok(0) | Err(_) => return Read::All,
            }
        }
        Read::On
    }
}

/// Where the entries begin in the beginning of a message of many, be they in a string or in an array.
fn start_of_entries(message: &[u8]) -> Option<usize> {
    let tag = match message.first()? {
        0xdc => 3,
        0xdd => 5,
        _ => 1,
    };
    let events = tag + msgpack::length(message.get(tag..)?).ok()?;
    let head = match message.get(events)? {
        0x90..=0xbf => 1,
        0xc4 | 0xd9 => 2,
        0xc5 | 0xda | 0xdc => 3,
        0xc6 | 0xdb | 0xdd => 5,
        _ => return None,
    };
    (events + head <= message.len()).then_some(events + head)
}

/// Where the last of `entries` ends that is whole.
fn end_of_entries(entries: &[u8]) -> usize {
    let whole = msgpack::entries(entries).map_while(Result::ok);
    whole.map(<[u8]>::len).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_will_do(head in 0x92..0x94_u8, bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for bytes in [&bytes, &[&[head, 0xa1, b't'], bytes.as_slice()].concat()] {
                prop_assert!(start_of_entries(bytes).is_none_or(|start| start <= bytes.len()));
                prop_assert!(end_of_entries(bytes) <= bytes.len());
            }
        }
    }

    #[test]
    fn entries_begin_behind_the_tag_and_a_head_in_all_its_forms() {
        for events in [
            &b"\x92"[..],
            b"\xdc\x00\x02",
            b"\xdd\x00\x00\x00\x02",
            b"\xc4\x09",
            b"\xc5\x00\x09",
            b"\xc6\x00\x00\x00\x09",
            b"\xb2",
            b"\xd9\x09",
            b"\xda\x00\x09",
            b"\xdb\x00\x00\x00\x09",
        ] {
            for head in [&b"\x93\xa1t"[..], b"\xdc\x00\x03\xd9\x01t"] {
                let message = [head, events, b"\x92\x07"].concat();
                assert_eq!(
                    start_of_entries(&message),
                    Some(message.len() - 2),
                    "{message:x?}"
                );
            }
        }
        // A time: one event.
        assert_eq!(start_of_entries(b"\x93\xa1t\x07\x81"), None);
    }
}
