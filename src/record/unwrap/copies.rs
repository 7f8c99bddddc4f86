//! Copies of texts of clients that shippers put beside the event in which they stand, wherever they put them.
//!
//! The one may stand before the other, so that this is known only once all of the record was searched. It is searched again
//! if that may change what was told: if something was found in a text, and something else beside it.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
};

use simd_json::tape::Object;

use crate::record::rewrite;

/// What would be told of the texts of clients in a record if they were no such texts: events as they are `written`, and what cannot
/// be decoded.
#[derive(Debug, Default)]
pub struct Copies {
    /// Whether it is certain that what says the same is a copy. A client does not know the time of another's request, but where
    /// a store keeps no times it may know all that is left.
    texts: RefCell<HashMap<Vec<u8>, bool>>,
}

impl Copies {
    pub fn is_empty(&self) -> bool {
        self.texts.borrow().is_empty()
    }

    pub(super) fn add(&self, text: &[u8], is_certain: bool) {
        let mut texts = self.texts.borrow_mut();
        match texts.get_mut(text) {
            Some(known) => *known |= is_certain,
            None => {
                texts.insert(text.to_vec(), is_certain);
            }
        }
    }

    /// Whether it is certain that `text` is a copy; `None` if it is none.
    pub(super) fn certainty(&self, text: &[u8]) -> Option<bool> {
        self.texts.borrow().get(text).copied()
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

/// `object` in the one way in which it is compared.
pub fn written(object: &Object<'_, '_>) -> Vec<u8> {
    let mut out = Vec::new();
    rewrite::fields(object.iter(), &mut out, |(key, value), out| {
        rewrite::field(key, value, 0, out);
    });
    out
}
