//! Copies of texts of clients that shippers put beside the event in which they stand, wherever they put them.
//!
//! The one may stand before the other, so that this is known only once all of the record was searched. It is searched again
//! if that may change what was told: if something was found in a text, and something else beside it.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    hash::{BuildHasher, RandomState},
};

use simd_json::tape::Object;

use crate::{
    audit::{tells_time_finely, uri::percent_decoded},
    record::{rewrite, text::escape::unescaped},
};

/// Bytes that are decompressed from the texts of clients in a record. A client can have few stand for very many.
const MAX_DECOMPRESSED_BYTES: usize = 4 << 20;

/// How the keys end of times that only the server knows.
const TIMES: [&str; 2] = ["imestamp", "ReceivedTime"];

/// Bytes between a key and its time, in whatever way an event is written.
const MAX_BETWEEN: usize = 12;

/// Bytes of a time, in whatever way it is written.
const MAX_TIME_BYTES: usize = 64;

/// What would be told of the texts of clients in a record if they were no such texts: events as they are `written`, and what cannot
/// be decoded.
#[derive(Debug)]
pub struct Copies {
    /// By their hashes, which no client can foresee: whether it is certain that what says the same is a copy. A client does not know the
    /// time of another's request, but where a store keeps none, or none finer than a client can guess, it may know all that is left.
    texts: RefCell<HashMap<u64, bool>>,
    hasher: RandomState,
    room: Cell<usize>,
    /// They hold more than was looked at, so that anything may be a copy.
    is_beyond: Cell<bool>,
}

impl Default for Copies {
    fn default() -> Self {
        Self {
            texts: RefCell::default(),
            hasher: RandomState::new(),
            room: Cell::new(MAX_DECOMPRESSED_BYTES),
            is_beyond: Cell::new(false),
        }
    }
}

impl Copies {
    pub fn is_empty(&self) -> bool {
        self.texts.borrow().is_empty() && !self.is_beyond.get()
    }

    /// Bytes that may still be decompressed.
    pub(super) fn room(&self) -> &Cell<usize> {
        &self.room
    }

    /// Not all was looked at.
    pub(super) fn pass_over(&self) {
        self.is_beyond.set(true);
    }

    pub(super) fn add(&self, text: &[u8], is_certain: bool) {
        let mut texts = self.texts.borrow_mut();
        *texts.entry(self.hasher.hash_one(text)).or_default() |= is_certain;
    }

    /// Whether it is certain that `text` is a copy; `None` if it is none. What `is_packed` may stand in what was not looked at.
    pub(super) fn certainty(&self, text: &[u8], is_packed: bool) -> Option<bool> {
        let known = self.texts.borrow();
        let known = known.get(&self.hasher.hash_one(text)).copied();
        known.or((is_packed && self.is_beyond.get()).then_some(false))
    }

    /// Whether `text`, which cannot be decoded, is a copy for certain. A client can have another's event cut off before the times in it, and
    /// knows what stands before them.
    pub(super) fn is_copy_of_broken(&self, text: &[u8]) -> bool {
        self.certainty(text, false) == Some(true) && holds_time(text)
    }
}

/// What was found in a record.
#[derive(Default)]
pub struct Sightings {
    events: Cell<usize>,
    broken: Cell<usize>,
    is_in_text: Cell<bool>,
}

impl Sightings {
    pub fn add_event(&self, is_in_text: bool) {
        self.events.set(self.events.get() + 1);
        self.is_in_text.set(self.is_in_text.get() || is_in_text);
    }

    pub fn add_broken(&self) {
        self.broken.set(self.broken.get() + 1);
    }

    /// Whether something that was found may be a copy of what stands in an event.
    pub fn may_hold_copies(&self) -> bool {
        let (events, broken) = (self.events.get(), self.broken.get());
        events > 0 && events + broken > 1 && (self.is_in_text.get() || broken > 0)
    }
}

/// Whether a time stands in `text` that a client cannot know.
fn holds_time(text: &[u8]) -> bool {
    let text = unescaped(&String::from_utf8_lossy(text));
    let text = percent_decoded(&text);
    let begins_with_time = |rest: &str| {
        let mut between = rest.bytes().take(MAX_BETWEEN + 1);
        let Some(between) = between.position(|byte| byte.is_ascii_digit()) else {
            return false;
        };
        let time = &rest[between..];
        let is_of_time = |byte: &u8| byte.is_ascii_alphanumeric() || b"-:.+".contains(byte);
        let bytes = time.as_bytes().iter().take(MAX_TIME_BYTES);
        tells_time_finely(&time[..bytes.take_while(|byte| is_of_time(byte)).count()])
    };
    TIMES.iter().any(|key| {
        let mut places = text.match_indices(key);
        places.any(|(at, key)| begins_with_time(&text[at + key.len()..]))
    })
}

/// `object` in the one way in which it is compared.
pub fn written(object: &Object<'_, '_>) -> Vec<u8> {
    let mut out = Vec::new();
    rewrite::fields(object.iter(), &mut out, |(key, value), out| {
        rewrite::field(key, value, 0, out);
    });
    out
}
