//! From the payloads of messages to blocks.
//!
//! Most payloads are a record in one line, or one a line: they are put together in one buffer, so that the search runs over
//! many at once. What is large, packed, or spread over lines goes the way that a file's bytes go. A clean message
//! costs a look for newlines and one copy, and no allocation.
//!
//! Garbage is counted, and searched all the same, since an attacker may have made it of an event. It is not decoded
//! for that: garbage is what no record can be in, because it holds no JSON object, whatever might wrap that, or because
//! no text stands where its first object would begin. A tombstone and a payload of white space are only counted.

use std::{collections::BTreeMap, sync::atomic::Ordering::Relaxed};

use memchr::memchr;
use rdkafka::{Message, message::Headers};
use tracing::warn;

use crate::{
    record::{
        decompress::{self, Decompressor, Magic, recognise},
        framing::{Framer, READ_BYTES, is_spread_over_lines},
        partial::holds_parts,
    },
    source::{Block, Context, Outlet, Provenance, Shape},
    telemetry::Seldom,
};

/// Payloads above this are searched where they lie.
const COPIED_BYTES: usize = 64 << 10;

/// Bytes that tell whether a payload is text.
const TEXT_BYTES: usize = 64;

/// The most that is kept of a message's headers.
const MAX_HEADERS: usize = 16;

/// The most that is kept of a key, a header's name or its value.
const MAX_TEXT_BYTES: usize = 256;

/// Searches messages in bursts.
pub(super) struct Payloads {
    max_line_bytes: usize,
    lines: Vec<u8>,
    /// Where in `lines` the payload of which message begins.
    starts: Vec<(usize, usize)>,
    damaged: Seldom,
}

/// What a payload is.
enum Kind {
    /// No byte that is not white space.
    Nothing,
    /// One record a line.
    Lines,
    /// One JSON value or more, over several lines.
    Values,
    /// Lines of a container's log, of which some are to be joined.
    Parts,
    /// Longer than a record may be.
    Long,
    Packed,
}

impl Payloads {
    pub(super) fn new(max_line_bytes: usize) -> Self {
        Self {
            max_line_bytes,
            lines: Vec::new(),
            starts: Vec::new(),
            damaged: Seldom::default(),
        }
    }

    /// Searches `messages`, in order. True if anything was found.
    pub(super) fn search<M: Message>(
        &mut self,
        messages: &[M],
        context: &Context,
        outlet: &mut dyn Outlet,
    ) -> bool {
        let mut found = false;
        for (place, message) in messages.iter().enumerate() {
            let payload = message.payload().unwrap_or_default();
            let kind = self.kind(payload);
            if !matches!(kind, Kind::Nothing | Kind::Packed) && is_garbage(payload) {
                context.counters.discarded.fetch_add(1, Relaxed);
            }
            let framer = match kind {
                Kind::Nothing => {
                    context.counters.discarded.fetch_add(1, Relaxed);
                    continue;
                }
                Kind::Lines if payload.len() <= COPIED_BYTES => {
                    self.starts.push((self.lines.len(), place));
                    self.lines.extend_from_slice(payload);
                    if !payload.ends_with(b"\n") {
                        self.lines.push(b'\n');
                    }
                    continue;
                }
                Kind::Lines => {
                    found |= self.flush(messages, outlet);
                    found |= take(payload, Shape::Lines, message, outlet);
                    continue;
                }
                Kind::Values => Framer::of_values(self.max_line_bytes),
                Kind::Parts | Kind::Long | Kind::Packed => Framer::new(self.max_line_bytes),
            };
            found |= self.flush(messages, outlet);
            let (framed, outcome) = frame(framer, payload, message, outlet);
            found |= framed;
            if let Err(error) = outcome {
                // Packed or not, what can be read of it is.
                found |= take(payload, Shape::Lines, message, outlet);
                context.counters.errors.fetch_add(1, Relaxed);
                if self.damaged.is_due() {
                    let position = position(message);
                    warn!(source = &*context.id, position, %error, "a payload cannot be unpacked");
                }
            }
        }
        found | self.flush(messages, outlet)
    }

    fn kind(&self, payload: &[u8]) -> Kind {
        match payload.first() {
            Some(0x1f | 0x28 | 0x50..=0x5f)
                if matches!(recognise(payload), Magic::Compressed(_)) =>
            {
                return Kind::Packed;
            }
            None => return Kind::Nothing,
            Some(byte) if byte.is_ascii_whitespace() && payload.trim_ascii().is_empty() => {
                return Kind::Nothing;
            }
            Some(_) => {}
        }
        let newline = memchr(b'\n', payload);
        let has_lines = newline.is_some_and(|at| at + 1 < payload.len());
        if has_lines && is_spread_over_lines(payload) {
            Kind::Values
        } else if has_lines && holds_parts(payload) {
            Kind::Parts
        } else if payload.len() > self.max_line_bytes {
            Kind::Long
        } else {
            Kind::Lines
        }
    }

    /// Searches what was put together.
    fn flush<M: Message>(&mut self, messages: &[M], outlet: &mut dyn Outlet) -> bool {
        if self.lines.is_empty() {
            return false;
        }
        let starts = &self.starts;
        let found = outlet.take(&Block {
            bytes: &self.lines,
            shape: Shape::Lines,
            provenance: &|at| {
                let behind = starts.partition_point(|(start, _)| *start <= at);
                let place = behind.checked_sub(1).map_or(0, |before| starts[before].1);
                provenance(&messages[place])
            },
        });
        self.lines.clear();
        self.starts.clear();
        found
    }
}

/// Whether no record can be in `payload`. Of most records it looks at two bytes.
pub(super) fn is_garbage(payload: &[u8]) -> bool {
    let Some(start) = memchr(b'{', payload) else {
        return true;
    };
    let object = &payload[start..];
    !object.starts_with(b"{\"") && !is_text(&object[..object.len().min(TEXT_BYTES)])
}

/// Whether `bytes`, which may be cut off, are UTF-8 without control characters. Loggers colour their lines.
fn is_text(bytes: &[u8]) -> bool {
    let is_cut = |error: std::str::Utf8Error| error.error_len().is_none();
    let is_control =
        |byte: &u8| byte.is_ascii_control() && !byte.is_ascii_whitespace() && *byte != b'\x1b';
    std::str::from_utf8(bytes).map_or_else(is_cut, |_| true) && !bytes.iter().any(is_control)
}

fn take<M: Message>(bytes: &[u8], shape: Shape, message: &M, outlet: &mut dyn Outlet) -> bool {
    outlet.take(&Block {
        bytes,
        shape,
        provenance: &|_| provenance(message),
    })
}

/// Unpacks a payload, if it is packed, and cuts it into records.
fn frame<M: Message>(
    mut framer: Framer,
    payload: &[u8],
    message: &M,
    outlet: &mut dyn Outlet,
) -> (bool, Result<(), decompress::Error>) {
    let mut found = false;
    let mut emit = |piece: crate::record::framing::Piece<'_>| {
        found |= take(piece.bytes, piece.shape, message, outlet);
    };
    let mut rest = payload;
    let mut fill = |into: &mut [u8]| {
        let (now, later) = rest.split_at(rest.len().min(into.len()));
        into[..now.len()].copy_from_slice(now);
        rest = later;
        Ok(now.len())
    };
    let mut decompressor = Decompressor::of_record();
    let outcome = loop {
        match decompressor.read(framer.space(READ_BYTES), &mut fill) {
            Ok(0) => {
                break decompressor.end().map(|held| {
                    framer.space(held.len())[..held.len()].copy_from_slice(&held);
                    framer.commit(held.len(), &mut emit);
                });
            }
            Ok(count) => framer.commit(count, &mut emit),
            Err(error) => break Err(error),
        }
    };
    framer.finish(&mut emit);
    (found, outcome)
}

fn position(message: &impl Message) -> String {
    let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
    format!("{topic}/{partition}@{offset}")
}

fn provenance(message: &impl Message) -> Provenance {
    let headers = message
        .headers()
        .map(|headers| headers.iter().take(MAX_HEADERS));
    let headers = headers.into_iter().flatten().map(|header| {
        let value = header.value.map(text).unwrap_or_default();
        (text(header.key.as_bytes()), value)
    });
    Provenance {
        position: position(message),
        key: message.key().map(text),
        headers: headers.collect::<BTreeMap<_, _>>(),
    }
}

/// The beginning of `bytes`.
fn text(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(MAX_TEXT_BYTES)];
    String::from_utf8_lossy(cut).into_owned()
}
