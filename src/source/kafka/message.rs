//! What of a message is searched, and what is said of where it was.

use std::collections::BTreeMap;

use compact_str::format_compact;
use rdkafka::{Message, message::Headers};

use crate::source::{Provenance, payload::Payload};

/// The most that is kept of a message's headers.
const MAX_HEADERS: usize = 16;

/// The most that is kept of a key, a header's name or its value.
const MAX_TEXT_BYTES: usize = 256;

impl<M: Message + Sync> Payload for M {
    fn bytes(&self) -> &[u8] {
        self.payload().unwrap_or_default()
    }

    fn provenance(&self) -> Provenance {
        let headers = self
            .headers()
            .map(|headers| headers.iter().take(MAX_HEADERS));
        let headers = headers.into_iter().flatten().map(|header| {
            let value = header.value.map(text).unwrap_or_default();
            (text(header.key.as_bytes()), value)
        });
        let (topic, partition, offset) = (self.topic(), self.partition(), self.offset());
        Provenance {
            position: format_compact!("{topic}/{partition}@{offset}"),
            key: self.key().map(text),
            headers: headers.collect::<BTreeMap<_, _>>(),
        }
    }
}

/// The beginning of `bytes`.
fn text(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(MAX_TEXT_BYTES)];
    String::from_utf8_lossy(cut).into_owned()
}
