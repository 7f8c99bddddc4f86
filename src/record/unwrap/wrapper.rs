//! What lies around the place that is searched, read only where something is found.
//!
//! Most events touch no decoy, and most objects lead to no event. So on the way down each object, array and line is merely
//! remembered, and what they tell is read when it is asked for, once for all that lies inside.

use std::cell::{Cell, OnceCell};

use simd_json::tape::{Array, Object};

use super::envelope::{Envelope, is_line_of_loki};
use crate::record::doubt::{
    actors::{self, MAX_NAMES},
    keys::Entry,
    standing::Standing,
};

/// What may tell where an event comes from.
pub trait Wrapper {
    /// What this tells, with all that lies around it.
    fn envelope(&self) -> &Envelope<'_>;

    /// Whether an event that stands in it may be a text of a client that another program logged. `in_text` tells whether
    /// the event lies in a text in this.
    fn is_of_client(&self, in_text: bool) -> bool;

    /// Whether an event in a text in this may be a client's, whatever the text is: what this is a part of was cut off.
    fn doubts_texts(&self) -> bool {
        false
    }

    /// Adds the names that stand around an event under keys that say who did something, and the keys right before them, from the inside
    /// out. Those beyond `MAX_NAMES` are given once, and not for each event that they stand around. Around the outermost stands
    /// nothing.
    fn add_actors<'w>(&'w self, _names: &mut Vec<(&'w str, &'w str)>) {}
}

/// The outermost, of which all is known.
impl Wrapper for Envelope<'_> {
    fn envelope(&self) -> &Envelope<'_> {
        self
    }

    fn is_of_client(&self, _: bool) -> bool {
        false
    }
}

/// One wrapper inside of another.
pub struct Nested<'v> {
    outer: &'v dyn Wrapper,
    inner: Inner<'v>,
    envelope: OnceCell<Envelope<'v>>,
    /// What [`Wrapper::is_of_client`] says, outside of a text and in one.
    doubts: [OnceCell<bool>; 2],
    /// The names in it that [`Wrapper::add_actors`] gives.
    actors: OnceCell<Vec<(&'v str, &'v str)>>,
    /// They were given beyond others, with all around it.
    is_told: Cell<bool>,
}

/// What wraps.
pub enum Inner<'v> {
    Object(&'v Object<'v, 'v>),
    Array(&'v Array<'v, 'v>),
    /// What lies behind a key of an object.
    Entry(Entry<'v>),
    /// A log line, with what stands in it.
    Line(&'v [u8]),
    /// What stands at one place in a text.
    Piece(Standing<'v>),
}

impl<'v> Nested<'v> {
    /// Reads nothing yet.
    pub fn new(outer: &'v dyn Wrapper, inner: Inner<'v>) -> Self {
        Self {
            outer,
            inner,
            envelope: OnceCell::new(),
            doubts: Default::default(),
            actors: OnceCell::new(),
            is_told: Cell::new(false),
        }
    }
}

impl<'v> Wrapper for Nested<'v> {
    fn envelope(&self) -> &Envelope<'_> {
        let tells = |tell: &dyn Fn(&'v Envelope<'v>) -> Envelope<'v>| {
            self.envelope.get_or_init(|| tell(self.outer.envelope()))
        };
        match self.inner {
            Inner::Object(object) => tells(&|outer| outer.around(object)),
            Inner::Array(array) => tells(&|outer| outer.among(array)),
            Inner::Line(line) => tells(&|outer| outer.behind(line)),
            Inner::Entry(_) | Inner::Piece(_) => self.outer.envelope(),
        }
    }

    fn is_of_client(&self, in_text: bool) -> bool {
        *self.doubts[usize::from(in_text)].get_or_init(|| match &self.inner {
            Inner::Entry(entry) => {
                entry.is_of_client(in_text) || self.outer.is_of_client(entry.is_in_text(in_text))
            }
            Inner::Piece(standing) => standing.is_of_client() || self.outer.is_of_client(in_text),
            Inner::Object(_) | Inner::Array(_) | Inner::Line(_) => self.outer.is_of_client(in_text),
        })
    }

    fn doubts_texts(&self) -> bool {
        match &self.inner {
            Inner::Entry(entry) if entry.is_of_record() => false,
            Inner::Array(array) if is_line_of_loki(array) => false,
            Inner::Piece(standing) if standing.doubts_texts() => true,
            _ => self.outer.doubts_texts(),
        }
    }

    fn add_actors<'w>(&'w self, names: &mut Vec<(&'w str, &'w str)>) {
        if names.len() > MAX_NAMES && self.is_told.replace(true) {
            return;
        }
        if let Inner::Object(object) = self.inner {
            names.extend(self.actors.get_or_init(|| actors::names(object)));
        }
        self.outer.add_actors(names);
    }
}
