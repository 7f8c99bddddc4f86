//! What lies around the place that is searched, read only where something is found.
//!
//! Most events touch no decoy, and most objects lead to no event. So on the way down each object, array and line is merely
//! remembered, and what they tell is read when it is asked for, once for all that lies inside.

use std::cell::OnceCell;

use simd_json::{
    prelude::*,
    tape::{Array, Object},
};

use super::{
    doubt::Entry, envelope::Envelope, key::is, lifted, restored::is_of_pod, standing::Standing,
};
use crate::audit::Json;

/// What may tell where an event comes from.
pub trait Wrapper {
    /// What this tells, with all that lies around it.
    fn envelope(&self) -> &Envelope<'_>;

    /// Whether an event that stands in it may be a text of a client that another program logged. `in_text` tells whether
    /// the event lies in a text in this.
    fn is_of_client(&self, in_text: bool) -> bool;

    /// Names that stand around an event under keys that say who did something, and the keys right before them. Around the outermost
    /// stands nothing.
    fn actors(&self) -> Vec<(&str, &str)> {
        Vec::new()
    }
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

/// How words begin, in small letters, that in a key tell who did something.
const ACTORS: [&str; 6] = ["user", "usr", "actor", "principal", "identity", "subject"];

/// Keys of an object that are looked at for them, names in what stands under them, levels of that, and bytes of a name: none of a
/// ServiceAccount is longer. All is looked at again for each event of nobody.
const MAX_KEYS: usize = 64;
const MAX_NAMES: usize = 64;
const MAX_ACTOR_DEPTH: usize = 2;
const MAX_NAME_BYTES: usize = 512;

/// Whether one of the words in `key` is such a word. Whoever makes a pod chooses its labels.
fn says_who(key: &str) -> bool {
    let begins = |word: &str, actor: &&str| {
        let head = word.get(..actor.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(actor))
    };
    let mut words = key.split(['.', '_', '-', '/']);
    !is_of_pod(key) && words.any(|word| ACTORS.iter().any(|actor| begins(word, actor)))
}

/// Adds the names in `value`, which stands under `key`, without texts of clients.
fn add_names<'v>(key: &'v str, value: Json<'v>, depth: usize, names: &mut Vec<(&'v str, &'v str)>) {
    // `user` may hold an `agent`, too.
    let is_of_client = lifted::is_of_client(key) || key.split('.').any(|key| is(key, "agent"));
    if is_of_client || names.len() == MAX_NAMES {
        return;
    }
    if let Some(name) = value.into_string() {
        names.extend(Some((key, name)).filter(|_| name.len() <= MAX_NAME_BYTES));
    } else if let Some(object) = value.as_object().filter(|_| depth < MAX_ACTOR_DEPTH) {
        let inner = object.iter().take(MAX_KEYS);
        inner.for_each(|(key, value)| add_names(key, value, depth + 1, names));
    } else if let Some(array) = value.as_array().filter(|_| depth < MAX_ACTOR_DEPTH) {
        let items = array.iter().take(MAX_KEYS);
        items.for_each(|item| add_names(key, item, depth + 1, names));
    }
}

/// One wrapper inside of another.
pub struct Nested<'v> {
    outer: &'v dyn Wrapper,
    inner: Inner<'v>,
    envelope: OnceCell<Envelope<'v>>,
    /// What [`Wrapper::is_of_client`] says, outside of a text and in one.
    doubts: [OnceCell<bool>; 2],
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
                let in_text = entry.is_in_text(in_text);
                entry.is_of_client(in_text) || self.outer.is_of_client(in_text)
            }
            Inner::Piece(standing) => standing.is_of_client() || self.outer.is_of_client(in_text),
            Inner::Object(_) | Inner::Array(_) | Inner::Line(_) => self.outer.is_of_client(in_text),
        })
    }

    fn actors(&self) -> Vec<(&str, &str)> {
        let mut names = Vec::new();
        if let Inner::Object(object) = self.inner {
            let keys = object.iter().take(MAX_KEYS);
            for (key, value) in keys.filter(|(key, _)| says_who(key)) {
                add_names(key, value, 0, &mut names);
            }
        }
        names.extend(self.outer.actors());
        names
    }
}
