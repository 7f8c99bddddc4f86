//! What lies around the place that is searched, read only where something is found.
//!
//! Most events touch no decoy, and most objects lead to no event. So on the way down each object, array and line is merely
//! remembered, and what they tell is read when it is asked for, once for all that lies inside.

use std::cell::OnceCell;

use simd_json::tape::{Array, Object};

use super::envelope::Envelope;

/// What may tell where an event comes from.
pub trait Wrapper {
    /// What this tells, with all that lies around it.
    fn envelope(&self) -> &Envelope<'_>;
}

/// The outermost, of which all is known.
impl Wrapper for Envelope<'_> {
    fn envelope(&self) -> &Envelope<'_> {
        self
    }
}

/// One wrapper inside of another.
pub struct Nested<'v> {
    outer: &'v dyn Wrapper,
    inner: Inner<'v>,
    envelope: OnceCell<Envelope<'v>>,
}

/// What wraps.
pub enum Inner<'v> {
    Object(&'v Object<'v, 'v>),
    Array(&'v Array<'v, 'v>),
    /// A log line, with what stands in it.
    Line(&'v [u8]),
}

impl<'v> Nested<'v> {
    /// Reads nothing yet.
    pub fn new(outer: &'v dyn Wrapper, inner: Inner<'v>) -> Self {
        Self {
            outer,
            inner,
            envelope: OnceCell::new(),
        }
    }
}

impl Wrapper for Nested<'_> {
    fn envelope(&self) -> &Envelope<'_> {
        self.envelope.get_or_init(|| {
            let outer = self.outer.envelope();
            match self.inner {
                Inner::Object(object) => outer.around(object),
                Inner::Array(array) => outer.among(array),
                Inner::Line(line) => outer.behind(line),
            }
        })
    }
}
