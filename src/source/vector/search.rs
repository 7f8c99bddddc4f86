//! From requests to blocks, on the source's thread.

use std::{
    fmt::Display,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use super::{Config, grpc::Message};
use crate::{
    record::{
        decompress::{self, Format},
        framing::parts,
        protobuf::{Fault, entries, is_log, write_texts, write_torn_texts},
    },
    source::{
        Context, Outlet, Provenance, Shape,
        entries::BLOCK_BYTES,
        payload::{Payload, Unreadable, take},
        server::http::Limits,
    },
};

/// The sender keeps such a request, and sends it again: but nobody sees its end until the limit is raised.
const UNSEARCHED: &str = "a request is so much longer than max_body_bytes, or packed so tightly, that its end was not searched";

/// A `PushEventsRequest`, and where it came from.
pub(super) struct Delivery {
    pub message: Message,
    pub extent: Extent,
    /// It begins within an event that is longer than a part.
    pub is_torn: bool,
    /// What the message is packed in.
    pub packing: Option<Format>,
    pub peer: Arc<str>,
    /// Of its request, counted from the start of the source.
    pub number: u64,
}

/// How much of a request is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of it.
    Whole,
    /// A part of one that is longer than may be, of which all is searched.
    Part,
    /// The last part that is searched, and there is more.
    Beginning,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All of it was searched.
    Taken,
    /// It is larger than may be, or what came of it is. What came before was searched.
    TooLarge,
    /// More came of it than `max_decompression_ratio` allows. What came before was searched.
    TooTight,
    /// It cannot be unpacked. What can be read of it was searched.
    Damaged,
    /// It is no protobuf. What can be read of it was searched.
    Malformed,
}

impl Payload for Delivery {
    fn bytes(&self) -> &[u8] {
        self.message.bytes()
    }

    fn provenance(&self) -> Provenance {
        format!("vector:{}#{}", self.peer, self.number).into()
    }
}

/// Searches what is delivered.
pub(super) struct Searcher<'a> {
    context: &'a Context,
    max_line_bytes: usize,
    limits: Limits,
    unreadable: Unreadable,
}

impl<'a> Searcher<'a> {
    pub(super) fn new(config: &Config, context: &'a Context) -> Self {
        Self {
            context,
            max_line_bytes: config.max_line_bytes,
            limits: Limits::new(config.max_body_bytes, config.max_decompression_ratio),
            unreadable: Unreadable::default(),
        }
    }

    /// What becomes of `delivery`, and whether anything was found in it.
    pub(super) fn search(
        &mut self,
        delivery: &Delivery,
        outlet: &mut dyn Outlet,
    ) -> (Outcome, bool) {
        let mut found = false;
        let mut search = |bytes: &[u8]| self.events(bytes, delivery, outlet, &mut found);
        let trouble = match delivery.packing {
            None => search(delivery.bytes()).err().map(Trouble::Fault),
            Some(format) => {
                let sent = delivery.bytes();
                let (limits, most) = (self.limits, self.limits.most(sent.len()));
                let unpacked = decompress::unpack(sent, format, most);
                let searched = search(&unpacked.bytes);
                match unpacked.error {
                    Some(error) => {
                        // Packed or not, what can be read of it is.
                        let _ = search(sent);
                        Some(Trouble::Packing(error))
                    }
                    None if unpacked.is_beyond => {
                        self.say(delivery, &UNSEARCHED);
                        let outcome = match most < limits.bytes {
                            true => Outcome::TooTight,
                            false => Outcome::TooLarge,
                        };
                        return (outcome, found);
                    }
                    None => searched.err().map(Trouble::Fault),
                }
            }
        };
        match delivery.extent {
            Extent::Whole => {}
            Extent::Part => return (Outcome::TooLarge, found),
            Extent::Beginning => {
                self.say(delivery, &UNSEARCHED);
                return (Outcome::TooLarge, found);
            }
        }
        let Some(trouble) = trouble else {
            return (Outcome::Taken, found);
        };
        self.say(delivery, &trouble);
        (trouble.outcome(), found)
    }

    /// Searches the logs of a request, and counts what else is in it.
    fn events(
        &self,
        request: &[u8],
        delivery: &Delivery,
        outlet: &mut dyn Outlet,
        found: &mut bool,
    ) -> Result<(), Fault> {
        let mut take = |bytes: &[u8], shape| {
            *found |= !bytes.is_empty() && take(bytes, shape, delivery, outlet);
        };
        if delivery.is_torn {
            let mut texts = Vec::new();
            write_torn_texts(request, &mut texts);
            parts(&texts).for_each(|(part, shape)| take(part, shape));
            return Ok(());
        }
        // The logs from `start` to `end` are to be searched.
        let (mut start, mut end) = (0, 0);
        for entry in entries(request) {
            let entry = match entry {
                Ok(entry) => entry,
                Err(fault) => {
                    take(&request[start..end], Shape::PushEvents);
                    self.entry(&request[end..], &mut take);
                    return Err(fault);
                }
            };
            let behind = end + entry.len();
            let is_log = is_log(entry);
            let is_long = entry.len() > self.max_line_bytes;
            if !is_log || is_long || behind - start > BLOCK_BYTES {
                take(&request[start..end], Shape::PushEvents);
                start = end;
            }
            if !is_log {
                self.context.counters.discarded.fetch_add(1, Relaxed);
                start = behind;
            } else if is_long {
                self.entry(entry, &mut take);
                start = behind;
            }
            end = behind;
        }
        take(&request[start..end], Shape::PushEvents);
        Ok(())
    }

    /// Searches one event, whole or not, however long it is.
    fn entry(&self, entry: &[u8], take: &mut dyn FnMut(&[u8], Shape)) {
        if entry.len() <= self.max_line_bytes {
            return take(entry, Shape::PushEvents);
        }
        let mut texts = Vec::new();
        write_texts(entry, &mut texts);
        for (part, shape) in parts(&texts) {
            take(part, shape);
        }
    }

    fn say(&self, delivery: &Delivery, what: &dyn Display) {
        self.unreadable.tell(delivery, what, None, self.context);
    }
}

/// Why a request cannot be read.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("a request cannot be read: {0}")]
    Packing(decompress::Error),
    #[error("a request cannot be read: {0}")]
    Fault(Fault),
}

impl Trouble {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Packing(_) => Outcome::Damaged,
            Self::Fault(_) => Outcome::Malformed,
        }
    }
}
