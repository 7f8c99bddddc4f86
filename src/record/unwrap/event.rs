//! An event, and what stands in it and beside it.

use simd_json::{prelude::*, tape::Object};

use super::{
    Aim, Finding, Layer, MAX_DEPTH, MAX_LAYERS, Part, Search, Unwrapper, Wrapper,
    copies::{Copies, written},
    envelope::Envelope,
    lifted::{self, Beside, Place},
    watched,
};
use crate::{
    audit::{Event, Json, gke, parse_time, repeated},
    record::{
        doubt::torn::{self, is_torn},
        rewrite,
    },
};

/// Parts of an event in which it may stand who did what, where it does not stand in its place.
const TELLING: [&str; 4] = ["user", "User", "annotations", "Annotations"];

/// The fields of `object`, an event of nobody, and the names around it, that may still say who did it, as JSON that is marked as an audit
/// event; `None` if there are none.
fn unread(object: &Object<'_, '_>, wrapper: &dyn Wrapper) -> Option<Vec<u8>> {
    let is_unread = |(key, value): &(&str, Json<'_>)| {
        (TELLING.contains(key) || Place::of(key) == Place::Other)
            && !lifted::is_of_client(key)
            && may_name(*value)
    };
    let fields = object.iter().filter(is_unread).map(Rest::Field);
    let mut names = Vec::new();
    wrapper.add_actors(&mut names);
    marked(fields.chain(names.into_iter().map(Rest::Name)))
}

/// Whether `value` may tell who somebody is: no number does, and no time, as shippers have beside each event.
fn may_name(value: Json<'_>) -> bool {
    let is_object = value.as_object().is_some_and(|object| !object.is_empty());
    let is_word = |text: &str| !text.is_empty() && parse_time(text).is_none();
    is_object || value.is_array() || value.into_string().is_some_and(is_word)
}

/// Whether `object`, which is no event and no entry of Google's, may be fields that a query picked out of one.
pub(super) fn may_be_picked(object: &Object<'_, '_>) -> bool {
    let version = object
        .get("apiVersion")
        .and_then(|version| version.into_string());
    let is_of_event = version.is_none_or(|version| version.starts_with("audit.k8s.io/"))
        && Event::may_be_picked(object.iter().map(|(key, _)| key));
    is_of_event || gke::Entry::without_actor(object).is_some()
}

/// The names around an entry of nobody, as [`unread`].
pub(super) fn names_around(wrapper: &dyn Wrapper) -> Option<Vec<u8>> {
    let mut names = Vec::new();
    wrapper.add_actors(&mut names);
    marked(names.into_iter().map(Rest::Name))
}

fn marked<'v>(rest: impl Iterator<Item = Rest<'v>>) -> Option<Vec<u8>> {
    let mut rest = rest.peekable();
    rest.peek()?;
    let mut out = Vec::new();
    // Without its id, which may be a client's text.
    let mark = Rest::Name(("auditID", ""));
    rewrite::fields(
        [mark].into_iter().chain(rest),
        &mut out,
        |rest, out| match rest {
            Rest::Field((key, value)) => rewrite::field(key, value, 0, out),
            Rest::Name((key, name)) => {
                rewrite::name(key, out);
                rewrite::text(name, out);
            }
        },
    );
    Some(out)
}

/// What may say who did something.
enum Rest<'v> {
    Field((&'v str, Json<'v>)),
    Name((&'v str, &'v str)),
}

impl Search<'_> {
    /// Searches what stands beside the fields in `object` that a query may have picked out of an event. If that tells nothing, they are
    /// told for what they may be.
    pub(super) fn picked<'v>(
        &mut self,
        deeper: &mut [Layer],
        object: &Object<'v, 'v>,
        depth: usize,
        wrapper: &'v dyn Wrapper,
    ) -> bool {
        let any = |_: &Finding<'_>| true;
        let (is_searched, is_told) =
            self.counting(any, |search| search.entries(deeper, object, depth, wrapper));
        if !is_told {
            self.tell_picked(object, wrapper);
        }
        is_searched
    }

    /// No part of the way down, on which each event that is held takes room.
    fn tell_picked<'v>(&mut self, object: &Object<'v, 'v>, wrapper: &'v dyn Wrapper) {
        let entry = gke::Entry::without_actor(object);
        let event = entry.map_or_else(|| Event::from_object(object), |entry| entry.event());
        (self.found)(Finding::Doubtful(&event, &written(object), wrapper));
    }

    /// Whether `event`, which `object` is, is no copy of a text of a client. What there is to learn of it is noted.
    fn is_event<'v>(
        &mut self,
        deeper: &[Layer],
        object: &Object<'v, 'v>,
        event: &Event<'v>,
        wrapper: &dyn Wrapper,
    ) -> bool {
        // In another layer than that of the record.
        let is_in_text = deeper.len() < MAX_LAYERS;
        // Most events are but told, and need no time for that.
        let is_timed = || event.is_finely_timed();
        match self.aim {
            Aim::Tell(sightings) => sightings.add_event(is_in_text),
            Aim::Collect(copies, inside) => {
                self.collect(copies, &mut inside.borrow_mut(), object, is_timed());
            }
            Aim::Inside(copies, is_carrier_timed) => {
                copies.add(&written(object), is_carrier_timed || is_timed());
            }
            Aim::TellWithout(copies, is_packed) if is_in_text => {
                let bytes = written(object);
                let certainty = copies.certainty(&bytes, is_packed);
                if certainty == Some(false) {
                    (self.found)(Finding::Broken(&bytes, wrapper));
                }
                return certainty.is_none();
            }
            Aim::TellWithout(..) => {}
        }
        true
    }

    /// Searches all that the API server wrote into `object`.
    fn collect<'v>(
        &mut self,
        copies: &Copies,
        inside: &mut Unwrapper,
        object: &Object<'v, 'v>,
        is_timed: bool,
    ) {
        let mut broken = |finding: Finding<'_>| {
            if let Finding::Broken(bytes, _) = finding {
                copies.add(bytes, is_timed);
            }
        };
        let aim = Aim::Inside(copies, is_timed);
        let is_entry = !Event::is_one(object);
        let is_picked = is_entry && gke::Entry::new(object).is_some_and(|entry| entry.is_picked());
        let nowhere = Envelope::default();
        let mut room = copies.room().get();
        watched(&mut broken, &mut room, aim, |search| {
            for (key, value) in object.iter() {
                match value.as_object() {
                    // Alone it would be an entry of its own, in which nothing is looked for.
                    Some(payload) if is_entry && gke::PAYLOADS.contains(&key) => {
                        for (_, value) in payload.iter() {
                            search.value(inside.layers(), value, 0, &nowhere);
                        }
                    }
                    // A shipper wrote it.
                    _ if is_picked && Place::of(key) == Place::Record => {}
                    _ if is_entry || Place::of(key) == Place::Event => {
                        search.value(inside.layers(), value, 0, &nowhere);
                    }
                    _ => {}
                }
            }
        });
        copies.room().set(room);
    }

    /// Tells `event`, which `object` is, unless it is a copy of a text of a client.
    pub(super) fn tell<'v>(
        &mut self,
        deeper: &[Layer],
        object: &Object<'v, 'v>,
        event: &Event<'v>,
        wrapper: &dyn Wrapper,
    ) {
        if self.is_event(deeper, object, event, wrapper) {
            self.believe(object, event, wrapper);
        }
    }

    /// Tells `event`, which `object` is, as one only if no client can have sent it as text.
    fn believe<'v>(&mut self, object: &Object<'v, 'v>, event: &Event<'v>, wrapper: &dyn Wrapper) {
        match wrapper.is_of_client(false) {
            true => (self.found)(Finding::Doubtful(event, &written(object), wrapper)),
            false => (self.found)(Finding::Event(event, wrapper)),
        }
    }

    /// Tells the event that `object` is, or that it has the fields of.
    pub(super) fn event<'v>(
        &mut self,
        deeper: &mut [Layer],
        object: &Object<'v, 'v>,
        depth: usize,
        wrapper: &'v dyn Wrapper,
    ) -> bool {
        let event = Event::from_object(object);
        if !self.is_event(deeper, object, &event, wrapper) {
            return true;
        }
        let is_readable = Event::is_readable(object);
        let part = Part::of(object);
        let (mut is_told, mut is_searched) = (false, true);
        for (key, value) in object.iter() {
            let place = Place::of(key);
            if place == Place::Event {
                continue;
            }
            // Where a time tells events from text of clients, what cannot be decoded is such text.
            let is_text = place == Place::Other && event.time().is_some();
            let text = value.into_string();
            let is_alone = text.is_none_or(|text| text.trim_start().starts_with(['{', '[']));
            let mut is_clear = true;
            let found = &mut *self.found;
            let mut judge = |finding: Finding<'_>| match finding {
                Finding::Event(inner, wrapper) => {
                    let beside = Beside::of(&event, inner, place, is_alone);
                    is_clear &= beside != Beside::Doubtful;
                    is_told |= beside.replaces_fields(is_readable);
                    if beside.is_event() {
                        found(Finding::Event(inner, wrapper));
                    }
                }
                Finding::Broken(..) | Finding::Doubtful(..) if is_text => {}
                other => found(other),
            };
            let is_all = watched(&mut judge, &mut self.room, self.aim, |search| {
                search.beside(deeper, part, object, (key, value), depth, wrapper)
            });
            is_searched &= (is_all || is_text) && is_clear;
        }
        if is_readable && !is_told {
            self.believe(object, &event, wrapper);
        }
        let is_certain = || is_readable && !is_torn(object) && !repeated::is_ambiguous(object);
        if !((is_told || is_certain()) && is_searched) {
            return false;
        }
        if event.user.username.is_none()
            && !is_told
            && let Some(rest) = unread(object, wrapper)
        {
            (self.found)(Finding::Broken(&rest, wrapper));
        }
        true
    }

    /// Searches what stands beside fields of an event that cannot be read: whether that tells the event.
    pub(super) fn torn<'v>(
        &mut self,
        deeper: &mut [Layer],
        object: &Object<'v, 'v>,
        depth: usize,
        wrapper: &'v dyn Wrapper,
    ) -> bool {
        let is_event = |finding: &Finding<'_>| matches!(finding, Finding::Event(..));
        let (is_searched, is_told) = self.counting(is_event, |search| {
            search.carriers(deeper, object, depth, wrapper, torn::is_of_client)
        });
        is_told && is_searched
    }

    /// Searches what a shipper may have kept whole beside fields that it took out of it.
    pub(super) fn records<'v>(
        &mut self,
        deeper: &mut [Layer],
        object: &Object<'v, 'v>,
        depth: usize,
        wrapper: &'v dyn Wrapper,
    ) -> bool {
        let records = object.iter();
        let records = records.filter(|(key, _)| Place::of(key) == Place::Record);
        records.fold(true, |is_searched, record| {
            is_searched & self.beside(deeper, None, object, record, depth, wrapper)
        })
    }

    /// Searches what stands beside fields of an event.
    fn beside<'v>(
        &mut self,
        deeper: &mut [Layer],
        part: Option<Part>,
        object: &Object<'v, 'v>,
        (key, value): (&str, Json<'v>),
        depth: usize,
        wrapper: &'v dyn Wrapper,
    ) -> bool {
        match lifted::carried(key, value) {
            Some(value) => {
                let entry = (key, value);
                depth < MAX_DEPTH && self.entry(deeper, part, object, entry, depth + 1, wrapper)
            }
            None => true,
        }
    }
}
