//! Whatever a cloud or a log shipper wrapped around audit events is taken off.
//!
//! An audit event is looked for inside objects and arrays ([`MAX_DEPTH`] levels) and
//! inside strings that hold JSON, or base64 of it ([`MAX_LAYERS`] layers); one whose shape a store
//! has changed is written anew, in a layer of its own. It is never
//! looked for inside another audit event: what a client writes into a body, a URI or a
//! user agent must not be taken for an event of its own.

use std::cell::RefCell;

use memchr::memmem;
use simd_json::{prelude::*, tape::Object};

mod copies;
pub(crate) mod encoded;
pub(super) mod envelope;
mod event;
mod labels;
mod layer;
pub(super) mod lifted;
mod printed_lines;
mod rows;
mod text;
mod wrapper;

use copies::{Sightings, written};
use layer::Layer;
use wrapper::{Inner, Nested};

pub use copies::Copies;
pub use envelope::Envelope;
pub use wrapper::Wrapper;

use super::{
    doubt::{admission, keys::Entry, other_log::is_other_log, printed, torn},
    parts::part_mark::Part,
    restored::{
        Unclear, any_value, is_of_pod, restored,
        table::{self, Table},
    },
    stream::csv_row,
    text::{legacy, pieces::bears_mark},
};
use crate::audit::{AlertId, Event, Json, gke, repeated};

/// Levels of objects and arrays that are searched.
pub const MAX_DEPTH: usize = 64;

/// Layers of JSON in a string that are searched, beside the record itself.
pub const MAX_LAYERS: usize = 4;

/// Bytes that are decompressed from one value in a record, since all of them are held.
const MAX_DECOMPRESSED_BYTES: usize = 32 << 20;

/// Bytes that are decompressed from a value, for each byte of it: no gzip unpacks to more. What packs better, such as gzip of gzip,
/// takes nothing from what stands beside it.
const MAX_RATIO: usize = 1032;

/// What a record turned out to hold.
pub enum Finding<'v> {
    /// With what its wrappers tell.
    Event(&'v Event<'v>, &'v dyn Wrapper),
    /// Bytes that look like JSON and cannot be decoded: cut off, malformed, nested beyond
    /// the limits, or an event with something else where its user or object belongs.
    Broken(&'v [u8], &'v dyn Wrapper),
    /// What looks like an event, as it is written, where it may be a text of a client that another program logged.
    Doubtful(&'v Event<'v>, &'v [u8], &'v dyn Wrapper),
}

/// Finds the audit events of records. Holds working memory from one record to the next.
#[derive(Default)]
pub struct Unwrapper {
    /// None until a record is searched, then all.
    layers: Vec<Layer>,
}

impl Unwrapper {
    /// Calls `found` with each audit event in `record` and with each part of it that
    /// cannot be decoded. Whether one of them may be a copy of what a client wrote into another: see [`Unwrapper::copies`].
    pub fn unwrap(&mut self, record: &[u8], found: &mut dyn FnMut(Finding<'_>)) -> bool {
        let sightings = Sightings::default();
        let mut counted = |finding: Finding<'_>| {
            if !matches!(finding, Finding::Event(..)) {
                sightings.add_broken();
            }
            found(finding);
        };
        self.search(record, Aim::Tell(&sightings), &mut counted);
        sightings.may_hold_copies()
    }

    /// What of the texts of clients in the events of `record` would be told if it stood beside them.
    pub fn copies(&mut self, record: &[u8]) -> Copies {
        let (copies, inside) = (Copies::default(), RefCell::default());
        self.search(record, Aim::Collect(&copies, &inside), &mut |_| {});
        copies
    }

    /// As [`Unwrapper::unwrap`], without what is one of `copies`.
    pub fn unwrap_without(
        &mut self,
        copies: &Copies,
        record: &[u8],
        found: &mut dyn FnMut(Finding<'_>),
    ) {
        let mut others = |finding: Finding<'_>| match finding {
            Finding::Broken(bytes, _) | Finding::Doubtful(_, bytes, _)
                if copies.is_copy_of_broken(bytes) => {}
            other => found(other),
        };
        self.search(record, Aim::TellWithout(copies, false), &mut others);
    }

    fn layers(&mut self) -> &mut [Layer] {
        self.layers.resize_with(MAX_LAYERS + 1, Layer::default);
        &mut self.layers
    }

    fn search(&mut self, record: &[u8], aim: Aim<'_>, found: &mut dyn FnMut(Finding<'_>)) {
        let mut search = Search {
            found,
            room: MAX_RATIO * record.len(),
            aim,
        };
        search.text(self.layers(), record, &Envelope::default());
        for layer in &mut self.layers {
            layer.give_back();
        }
    }
}

/// What a search is for.
#[derive(Clone, Copy)]
enum Aim<'s> {
    /// To tell what is found.
    Tell(&'s Sightings),
    /// To learn what the texts of clients hold, in working memory of its own.
    Collect(&'s Copies, &'s RefCell<Unwrapper>),
    /// The same, inside of such a text, and whether the event tells a time to which it belongs.
    Inside(&'s Copies, bool),
    /// To tell what is found but for these, and whether it stands in what was packed.
    TellWithout(&'s Copies, bool),
}

impl Aim<'_> {
    /// The same, in what was packed.
    fn in_packed(self) -> Self {
        match self {
            Self::TellWithout(copies, _) => Self::TellWithout(copies, true),
            aim => aim,
        }
    }
}

/// One record's way down. What is found goes out by `found`.
struct Search<'s> {
    found: &'s mut dyn FnMut(Finding<'_>),
    /// Bytes that may still be decompressed of what is in this layer.
    room: usize,
    aim: Aim<'s>,
}

/// What `go` gives of a search with what is left of `room`, of which `found` is told.
fn watched<T>(
    found: &mut dyn FnMut(Finding<'_>),
    room: &mut usize,
    aim: Aim<'_>,
    go: impl FnOnce(&mut Search<'_>) -> T,
) -> T {
    let mut search = Search {
        found,
        room: *room,
        aim,
    };
    let result = go(&mut search);
    *room = search.room;
    result
}

impl Search<'_> {
    /// Searches a decoded value; `text` is what it was decoded from, and is broken if something
    /// in it cannot be searched: once, however much that is.
    fn decoded(
        &mut self,
        deeper: &mut [Layer],
        value: Json<'_>,
        text: &[u8],
        wrapper: &dyn Wrapper,
    ) {
        if !self.value(deeper, value, 0, wrapper) {
            (self.found)(Finding::Broken(text, wrapper));
        }
    }

    /// Whether all of `value` could be searched.
    fn value<'v>(
        &mut self,
        deeper: &mut [Layer],
        value: Json<'v>,
        depth: usize,
        wrapper: &'v dyn Wrapper,
    ) -> bool {
        if let Some(object) = value.as_object() {
            return self.object(deeper, &object, depth, wrapper);
        }
        let mut is_searched = true;
        if let Some(array) = value.as_array() {
            if depth == MAX_DEPTH {
                return false;
            }
            if let Some(row) = any_value::attributes(&array).or_else(|| table::named_values(&array))
            {
                return self.reshaped(deeper, &row, depth, wrapper);
            }
            if let Some(table) = Table::of_rows(&array) {
                return self.rows(deeper, &table, depth + 1, wrapper);
            }
            if csv_row::are_of_event(|| array.iter().filter_map(|item| item.into_string())) {
                return false;
            }
            let wrapper = &Nested::new(wrapper, Inner::Array(&array));
            if envelope::is_line_of_loki(&array) {
                return self.line_of_loki(deeper, &array, depth + 1, wrapper);
            }
            for inner in array.iter() {
                is_searched &= self.value(deeper, inner, depth + 1, wrapper);
            }
        } else if let Some(string) = value.into_string()
            && holds_json(string.as_bytes())
        {
            match wrapper.doubts_texts() {
                true => self.doubted(deeper, string.as_bytes(), wrapper),
                false => self.text(deeper, string.as_bytes(), wrapper),
            }
        }
        is_searched
    }

    /// Searches a text that may be a client's.
    fn doubted(&mut self, deeper: &mut [Layer], text: &[u8], wrapper: &dyn Wrapper) {
        self.doubting(text, |search| search.text(deeper, text, wrapper));
    }

    /// What `go` gives of a search in which whatever looks like an event is doubtful, and is told as `text`.
    fn doubting<T>(&mut self, text: &[u8], go: impl FnOnce(&mut Search<'_>) -> T) -> T {
        let found = &mut *self.found;
        let mut watch = |finding: Finding<'_>| match finding {
            Finding::Event(event, wrapper) => found(Finding::Doubtful(event, text, wrapper)),
            other => found(other),
        };
        watched(&mut watch, &mut self.room, self.aim, go)
    }

    /// What `go` gives of a search, and whether something was found that `counts`.
    fn counting<T>(
        &mut self,
        counts: fn(&Finding<'_>) -> bool,
        go: impl FnOnce(&mut Search<'_>) -> T,
    ) -> (T, bool) {
        let (found, mut any) = (&mut *self.found, false);
        let mut watch = |finding: Finding<'_>| {
            any |= counts(&finding);
            found(finding);
        };
        let result = watched(&mut watch, &mut self.room, self.aim, go);
        (result, any)
    }

    fn object<'v>(
        &mut self,
        deeper: &mut [Layer],
        object: &Object<'v, 'v>,
        depth: usize,
        wrapper: &'v dyn Wrapper,
    ) -> bool {
        if let Some(event) = Event::plain(object).filter(|event| event.user.username.is_some()) {
            // Nothing else stands in it, and its own keys tell nothing of an envelope.
            self.tell(deeper, object, &event, wrapper);
            return true;
        }
        let wrapper = &Nested::new(wrapper, Inner::Object(object));
        let is_event = Event::is_one(object);
        match restored(object, is_event) {
            None => {}
            Some(Ok(text)) => return self.reshaped(deeper, &text, depth, wrapper),
            Some(Err(Unclear)) => return false,
        }
        if is_event {
            return self.event(deeper, object, depth, wrapper);
        }
        if let Some(entry) = gke::Entry::new(object) {
            let is_readable = entry.is_readable();
            if is_readable && entry.is_kubernetes() {
                let event = entry.event();
                self.tell(deeper, object, &event, wrapper);
                if event.user.username.is_none()
                    && let Some(names) = event::names_around(wrapper)
                {
                    (self.found)(Finding::Broken(&names, wrapper));
                }
            }
            let is_searched = !entry.is_picked() || self.records(deeper, object, depth, wrapper);
            return is_searched && is_readable && !repeated::is_ambiguous_entry(object);
        }
        if is_own_output(object) || is_other_log(object) {
            return true;
        }
        if depth == MAX_DEPTH {
            return false;
        }
        if self.tells_admission(object, wrapper) {
            return self.carriers(deeper, object, depth + 1, wrapper, admission::is_of_client);
        }
        if let Some(table) = Table::of(object) {
            return self.table(deeper, object, &table, depth + 1, wrapper);
        }
        if torn::was_event(object) {
            return self.torn(deeper, object, depth + 1, wrapper);
        }
        if let Some(labels) = labels::of_event(object) {
            return self.labelled(deeper, object, labels, depth + 1, wrapper);
        }
        match event::may_be_picked(object) {
            true => self.picked(deeper, object, depth + 1, wrapper),
            false => self.entries(deeper, object, depth + 1, wrapper),
        }
    }

    /// Searches the entries of `object` but for those whose keys are `of_client`; whether all of them could be.
    pub(super) fn carriers<'v>(
        &mut self,
        deeper: &mut [Layer],
        object: &Object<'v, 'v>,
        depth: usize,
        wrapper: &'v dyn Wrapper,
        of_client: fn(&str) -> bool,
    ) -> bool {
        let (part, mut is_searched) = (Part::of(object), true);
        for entry in object.iter().filter(|(key, _)| !of_client(key)) {
            is_searched &= self.entry(deeper, part, object, entry, depth, wrapper);
        }
        is_searched
    }

    /// Whether `object` is an admission review: it is told for what may be an event. No part of the way down.
    fn tells_admission<'v>(&mut self, object: &Object<'v, 'v>, wrapper: &'v dyn Wrapper) -> bool {
        let event = admission::request(object);
        if let Some(event) = &event {
            (self.found)(Finding::Doubtful(event, &written(object), wrapper));
        }
        event.is_some()
    }

    /// Searches all entries of `object`, which is no event; whether all of them could be.
    fn entries<'v>(
        &mut self,
        deeper: &mut [Layer],
        object: &Object<'v, 'v>,
        depth: usize,
        wrapper: &'v dyn Wrapper,
    ) -> bool {
        let (part, mut is_searched) = (Part::of(object), !repeated::may_be_event(object));
        for entry in object.iter() {
            is_searched &= self.entry(deeper, part, object, entry, depth, wrapper);
        }
        is_searched
    }

    /// Searches an object that a store had changed; whether all of it could be.
    fn reshaped(
        &mut self,
        deeper: &mut [Layer],
        text: &[u8],
        depth: usize,
        wrapper: &dyn Wrapper,
    ) -> bool {
        let Some((layer, deeper)) = deeper.split_first_mut() else {
            return false;
        };
        let mut is_searched = false;
        layer.decode_mended(text, &mut |value| {
            is_searched = self.value(deeper, value, depth, wrapper);
        });
        is_searched
    }

    /// Searches an entry of `object`, whose texts may be parts.
    fn entry<'v>(
        &mut self,
        deeper: &mut [Layer],
        part: Option<Part>,
        object: &Object<'v, 'v>,
        (key, value): (&str, Json<'v>),
        depth: usize,
        wrapper: &dyn Wrapper,
    ) -> bool {
        if !(value.is_object() || value.is_array() || value.is_str()) {
            return true;
        }
        let wrapper = &Nested::new(wrapper, Inner::Entry(Entry::new(object, key, value)));
        match (part, value.into_string()) {
            // A part of such a text may be under any other key.
            _ if lifted::is_of_client(key) && !matches!(self.aim, Aim::Inside(..)) => true,
            (Some(part), Some(text)) => {
                self.part(deeper, part, text.as_bytes(), wrapper);
                true
            }
            _ => self.field(deeper, key, value, depth, wrapper),
        }
    }

    fn field<'v>(
        &mut self,
        deeper: &mut [Layer],
        key: &str,
        value: Json<'v>,
        depth: usize,
        wrapper: &'v dyn Wrapper,
    ) -> bool {
        if let Some(string) = value.into_string()
            && encoded::is_base64_key(key)
            && encoded::may_be_base64(string.trim_start().as_bytes())
        {
            self.base64(deeper, string.as_bytes(), wrapper);
            // Words may begin as base64 does.
            return self.value(deeper, value, depth, wrapper);
        }
        if let Some(bytes) = encoded::numbers(key, value) {
            self.text(deeper, &bytes, wrapper);
        } else if let Some(value) = self.carried(key, value) {
            return self.value(deeper, value, depth, wrapper);
        }
        true
    }

    /// What of the value of `key` may be what a wrapper carries. What it knows of the pod that wrote it is none: whoever makes a
    /// pod chooses its labels and annotations.
    fn carried<'v>(&self, key: &str, value: Json<'v>) -> Option<Json<'v>> {
        match key {
            _ if matches!(self.aim, Aim::Inside(..)) => Some(value),
            // Elastic's place for the event, where this is none.
            "kubernetes" if value.as_object().is_some_and(|pod| !Event::is_one(&pod)) => {
                value.get("audit")
            }
            _ if is_of_pod(key) => None,
            _ => Some(value),
        }
    }
}

/// baitline's own alerts and detections may come back by the same pipe; the excerpts in
/// them are no events. All that is written in each of their lines has to be as it is written.
fn is_own_output(object: &Object<'_, '_>) -> bool {
    let text = |key: &str| object.get(key).and_then(|value| value.into_string());
    let ids = match text("type") {
        Some("alert") => ["alert_id", "incident_id"],
        Some("detection") => ["detection_id", "request_id"],
        _ => return false,
    };
    let is_id = |key: &str| text(key).and_then(AlertId::from_hex).is_some();
    ids.into_iter().all(is_id) && object.get("schema").is_some_and(|schema| schema.is_u64())
}

/// Whether a string is JSON, or a log line with JSON in it, or with the rest of an event.
fn holds_json(text: &[u8]) -> bool {
    let holds = |part: &[u8]| memmem::find(text, part).is_some();
    matches!(trimmed(text).first(), Some(b'{' | b'['))
        || holds(b"{\"")
        || holds(b"{\\\"")
        || printed::may_be_spread(text)
        || legacy::may_be_in(text)
        || bears_mark(text)
}

fn trimmed(text: &[u8]) -> &[u8] {
    let is_padding = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0;
    let start = text.iter().position(|byte| !is_padding(byte));
    let end = text.iter().rposition(|byte| !is_padding(byte));
    match (start, end) {
        (Some(start), Some(end)) => &text[start..=end],
        _ => &[],
    }
}

#[cfg(test)]
mod tests;
