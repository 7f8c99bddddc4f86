//! Fields of an event that a shipper lifted out of it, beside which the whole event may still stand.
//!
//! What the API server writes under its own keys holds text of clients and is never searched. Under any other key a shipper
//! wrote: the record as it came, or something it took out of the record, which may again be text of a client. Such text
//! can say all that the event says but for its time, which only the server knows.

use std::collections::BTreeSet;

use crate::{
    audit::{Event, Json},
    record::key::{ends_with, untyped},
};

/// Keys under which shippers keep the record as it came, as text or decoded.
const RECORD_KEYS: [&str; 19] = [
    "message",
    "@message",
    "log",
    "log_s",
    "msg",
    "_msg",
    "MESSAGE",
    "raw",
    "_raw",
    "@raw",
    "original",
    "event.original",
    "event",
    "kubernetes",
    "audit",
    "json",
    "payload",
    "textPayload",
    "jsonPayload",
];

/// How keys end, in small letters and without what joins their words, that hold texts of clients in whatever tells of requests: what is
/// left of an event, Elastic's fields, what the API server, clouds and web servers log of requests elsewhere. The id of an event is that of a
/// client's header, if it sends one.
const CLIENT_KEYS: [&str; 6] = [
    "auditid",
    "useragent",
    "uri",
    "requestobject",
    "responseobject",
    "responsestatus",
];

/// Those of them below which others stand, joined by whatever mark.
const CLIENT_PARTS: [&str; 3] = ["requestobject", "responseobject", "responsestatus"];

/// Whether what stands under `key`, in which several may be joined, is a client's.
pub fn is_of_client(key: &str) -> bool {
    let ends_with_one = |key: &str, ends: &[&str]| ends.iter().any(|end| ends_with(key, end));
    let mut joints = key.match_indices(|letter: char| !letter.is_ascii_alphanumeric());
    key.split('.').any(|key| ends_with_one(key, &CLIENT_KEYS))
        || joints.any(|(at, _)| ends_with_one(&key[..at], &CLIENT_PARTS))
}

/// Whether shippers keep the record as it came under `key`.
pub fn is_of_record(key: &str) -> bool {
    let key = untyped(key);
    RECORD_KEYS
        .iter()
        .any(|known| known.eq_ignore_ascii_case(key))
}

/// As many fields of an event nothing else has, but for those that many logs have.
const ENOUGH_FIELDS: usize = 3;
const OF_OTHERS: [&str; 3] = ["kind", "apiVersion", "level"];

/// The key of an event, or of a record as it came, that `key` is but for its case and its type.
pub fn known(key: &str) -> Option<&'static str> {
    let key = untyped(key);
    let mut all = Place::KNOWN.into_iter().flatten().copied();
    all.find(|known| known.eq_ignore_ascii_case(key))
}

/// The field of an event that the column called `name` tells, or a part of, by the keys that are joined in it.
pub fn field(name: &str) -> Option<&'static str> {
    let mut keys = name.split('.').filter_map(known);
    keys.find(|key| Place::of(key) == Place::Event)
}

/// Whether the rows of columns with these names are events.
pub fn are_of_events<'n>(names: impl Iterator<Item = &'n str>) -> bool {
    let fields = names.filter_map(field);
    let fields: BTreeSet<_> = fields.filter(|field| !OF_OTHERS.contains(field)).collect();
    fields.len() >= ENOUGH_FIELDS
}

/// Who wrote what stands under a key of an object with fields of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The API server, for a client.
    Event,
    /// A shipper: the record as it came.
    Record,
    /// A shipper: anything.
    Other,
}

impl Place {
    const OF_EVENT: [&[&str]; 3] = [Event::FIELDS, Event::UNREAD_FIELDS, Event::COLUMNS];

    /// The keys of the first two.
    pub const KNOWN: [&[&str]; 4] = [
        Event::FIELDS,
        Event::UNREAD_FIELDS,
        Event::COLUMNS,
        &RECORD_KEYS,
    ];

    pub fn of(key: &str) -> Self {
        match key {
            key if Self::OF_EVENT.iter().any(|keys| keys.contains(&key)) => Self::Event,
            key if RECORD_KEYS.contains(&key) => Self::Record,
            _ => Self::Other,
        }
    }
}

/// What of the value of `key` may be the whole event. Elastic's `event` tells other things too.
pub fn carried<'v>(key: &str, value: Json<'v>) -> Option<Json<'v>> {
    let object = value.as_object().filter(|_| key == "event");
    match object {
        Some(object) if !Event::is_one(&object) => object.get("original"),
        _ => Some(value),
    }
}

/// What an event that stands beside lifted fields is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// The event that the fields were lifted out of: they add nothing to it.
    Whole,
    /// An event, but the fields may tell something else.
    Another,
    /// An event or what a client made to look like one.
    Doubtful,
    /// What a client made to look like one.
    Text,
}

impl Beside {
    /// What `event` is, which was found at `place` beside `fields`, and whether in nothing but JSON.
    pub fn of(fields: &Event<'_>, event: &Event<'_>, place: Place, is_alone: bool) -> Self {
        let time = fields.shares_time_with(event);
        let is_part = fields.is_part_of(event) && (time == Some(true) || !fields.has_body());
        match (time, place, is_part) {
            // Of a batch the fields of one may have been lifted.
            (Some(false), Place::Record, _) if is_alone => Self::Doubtful,
            (Some(false), ..) => Self::Text,
            (Some(true), _, true) | (None, Place::Record, true) => Self::Whole,
            (_, Place::Record, false) => Self::Another,
            (None, _, true) => Self::Doubtful,
            (_, _, false) => Self::Text,
        }
    }

    pub fn is_event(self) -> bool {
        matches!(self, Self::Whole | Self::Another)
    }

    /// Whether the fields need not be told as well. From unreadable ones nothing else is to be had.
    pub fn replaces_fields(self, are_readable: bool) -> bool {
        self == Self::Whole || (self == Self::Another && !are_readable)
    }
}
