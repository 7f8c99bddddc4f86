//! From messages to blocks, on the source's thread.

use std::{collections::BTreeMap, sync::atomic::Ordering::Relaxed};

use compact_str::format_compact;

use super::{
    Config, Delivery, Reply, json,
    message::{self, Events, Form, Message},
    reply,
};
use crate::{
    record::{framing::parts, packing},
    source::{
        Block, Context, Outlet, Provenance, Shape,
        entries::{self, Packed, Search},
        server::Refusal,
    },
};

/// How much longer a message may be when it is unpacked.
const MAX_RATIO: usize = 16;

/// The most that is kept of a tag.
const MAX_TAG_BYTES: usize = 256;

/// Bytes of messages with one event each that are searched together.
const HELD_BYTES: usize = 256 << 10;

/// Searches one delivery.
pub(super) struct Searcher<'d> {
    config: &'d Config,
    context: &'d Context,
    delivery: &'d Delivery,
    outlet: &'d mut dyn Outlet,
    /// Events of messages that brought one each, as entries, and the tag of them all.
    held: Vec<u8>,
    tag: &'d [u8],
    found: bool,
}

/// Why a message is not taken.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Message(#[from] message::Error),
    #[error(transparent)]
    Entries(#[from] entries::Error),
}

impl Error {
    fn refusal(&self) -> Refusal {
        match self {
            Self::Entries(entries::Error::TooLarge { .. }) => Refusal::TooLarge,
            Self::Message(_) | Self::Entries(_) => Refusal::Malformed,
        }
    }
}

impl<'d> Searcher<'d> {
    pub(super) fn new(
        config: &'d Config,
        context: &'d Context,
        delivery: &'d Delivery,
        outlet: &'d mut dyn Outlet,
    ) -> Self {
        Self {
            config,
            context,
            delivery,
            outlet,
            held: Vec::new(),
            tag: &[],
            found: false,
        }
    }

    /// What to reply once what was found is stored, and whether anything was.
    pub(super) fn search(mut self) -> (Reply, bool) {
        let (mut reply, mut start) = (Reply::default(), 0);
        for end in &self.delivery.ends {
            if let Err(error) = self.message(&self.delivery.bytes[start..*end], &mut reply.acks) {
                if matches!(error, Error::Entries(_)) {
                    self.context.counters.errors.fetch_add(1, Relaxed);
                    start = *end;
                }
                reply.refused = Some((error.refusal(), error.to_string()));
                break;
            }
            start = *end;
        }
        self.flush();
        self.rest(&self.delivery.bytes[start..]);
        (reply, self.found)
    }

    /// Adds to `acks` the acknowledgement that `message` wants, if it was taken.
    fn message(&mut self, message: &'d [u8], acks: &mut Vec<u8>) -> Result<(), Error> {
        if message.first().is_some_and(|first| json::may_begin(*first)) {
            let message = json::Message::read(message)?;
            self.lines(&message);
            if let Some(chunk) = message.chunk {
                json::ack(&chunk, acks);
            }
            return Ok(());
        }
        let Message::Events(events) = Message::read(message)? else {
            return Ok(());
        };
        if events.options.signal != 0 {
            // Metrics or traces, in a form of Fluent Bit's own; but so it is said.
            self.context.counters.discarded.fetch_add(1, Relaxed);
            let _ = self.events(message, &events);
        } else if let Form::Message(event) = events.form {
            self.hold(events.tag, event);
        } else {
            self.events(message, &events)?;
        }
        if let Some(chunk) = events.options.chunk {
            reply::ack(chunk, acks);
        }
        Ok(())
    }

    /// Searches the events of a message of JSON.
    fn lines(&mut self, message: &json::Message) {
        self.flush();
        let lines = message.lines.split_inclusive(|byte| *byte == b'\n');
        let are_long = lines
            .clone()
            .any(|line| line.len() > self.config.max_line_bytes);
        match are_long {
            false => self.take(&message.lines, Shape::Lines, &message.tag),
            true => {
                for (part, shape) in lines.flat_map(parts) {
                    self.take(part, shape, &message.tag);
                }
            }
        }
    }

    fn take(&mut self, bytes: &[u8], shape: Shape, tag: &str) {
        self.found |= self.outlet.take(&Block {
            bytes,
            shape,
            header: None,
            first_part: None,
            provenance: &|_| provenance(&self.delivery.peer, tag.as_bytes()),
        });
    }

    /// Searches what is refused, or came in part: it may name a decoy all the same.
    fn rest(&mut self, bytes: &[u8]) {
        // It says of itself why it cannot be read.
        let _ = self.entries(&[], |search| search.entries(bytes));
    }

    /// Has a time and a record searched together with others.
    fn hold(&mut self, tag: &'d [u8], event: &[u8]) {
        if tag != self.tag || self.held.len() > HELD_BYTES {
            self.flush();
        }
        self.tag = tag;
        // The header of an array of two, as entries have it.
        self.held.push(0x92);
        self.held.extend_from_slice(event);
    }

    fn flush(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let entries = std::mem::take(&mut self.held);
        let outcome = self.entries(self.tag, |search| search.entries(&entries));
        debug_assert!(outcome.is_ok(), "they were read before: {outcome:?}");
    }

    fn events(&mut self, message: &[u8], events: &Events<'_>) -> Result<(), entries::Error> {
        self.flush();
        let found = std::mem::take(&mut self.found);
        let outcome = self.many(events);
        if outcome.is_err() && !self.found {
            self.rest(message);
        }
        self.found |= found;
        outcome
    }

    fn many(&mut self, events: &Events<'_>) -> Result<(), entries::Error> {
        let (Form::Entries(entries) | Form::Message(entries)) = events.form;
        let Some(format) = packing::shown(entries) else {
            return self.entries(events.tag, |search| search.entries(entries));
        };
        let most = self.config.max_message_bytes;
        let packed = Packed {
            bytes: entries,
            format,
            max_entry_bytes: most,
            max_bytes: most.saturating_mul(MAX_RATIO),
        };
        self.entries(events.tag, |search| search.packed_entries(packed))
    }

    fn entries(
        &mut self,
        tag: &[u8],
        run: impl FnOnce(&mut Search<'_>) -> Result<(), entries::Error>,
    ) -> Result<(), entries::Error> {
        let mut search = Search {
            max_line_bytes: self.config.max_line_bytes,
            provenance: &|| provenance(&self.delivery.peer, tag),
            outlet: &mut *self.outlet,
            found: false,
        };
        let outcome = run(&mut search);
        self.found |= search.found;
        outcome
    }
}

fn provenance(peer: &str, tag: &[u8]) -> Provenance {
    let tag = &tag[..tag.len().min(MAX_TAG_BYTES)];
    let tag = String::from_utf8_lossy(tag).into_owned();
    Provenance {
        position: format_compact!("forward:{peer}"),
        key: None,
        headers: BTreeMap::from([("tag".to_owned(), tag)]),
    }
}
