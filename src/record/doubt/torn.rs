//! Parts of an event whose keys were joined, or written, in a way that nobody here takes apart: `USER_USERNAME`, `userUsername`.
//!
//! What is left reads as an event of nobody about nothing. So it is told that something of it cannot be decoded.

use memchr::memmem;
use simd_json::tape::Object;

use crate::record::key::{ends_with, letters};

/// The parts that say who touched what, in small letters, and what of the keys in them tells them from keys of shippers.
const PARTS: [(&str, &[&str]); 6] = [
    ("user", &["username", "groups"]),
    ("impersonateduser", &["username", "groups"]),
    ("objectref", &["resource", "name"]),
    ("responsestatus", &["code", "message"]),
    ("requestobject", BODY),
    ("responseobject", BODY),
];

const BODY: &[&str] = &["kind", "metadata", "spec", "status", "subjects"];

/// What only an event's own keys end with, in small letters.
const ENDS: [&str; 6] = [
    "auditid",
    "requesturi",
    "requestreceivedtimestamp",
    "requestreceivedtime",
    "stagetimestamp",
    "stagereceivedtime",
];

/// As many of them an object has to have, or one less where a part of an event is torn.
const ENOUGH: usize = 2;

/// What the keys of fields hold in which texts of clients stand. The id is that of a header of theirs, if they send one.
const OF_CLIENTS: [&str; 9] = [
    "auditid",
    "requesturi",
    "user",
    "sourceips",
    "objectref",
    "responsestatus",
    "requestobject",
    "responseobject",
    "annotations",
];

/// Whether `object`, which is no event as it stands, was one before its keys were written in another way.
pub fn was_event(object: &Object<'_, '_>) -> bool {
    let is_there = |end: &&&str| {
        let mut keys = object.iter().map(|(key, _)| key);
        keys.any(|key| ends_with(key, end))
    };
    let count = ENDS.iter().filter(is_there).take(ENOUGH).count();
    count == ENOUGH || (count + 1 == ENOUGH && is_torn(object))
}

/// Whether what stands under `key` of such an object may be a client's.
pub fn is_of_client(key: &str) -> bool {
    let key: Vec<u8> = letters(key).collect();
    OF_CLIENTS
        .iter()
        .any(|field| memmem::find(&key, field.as_bytes()).is_some())
}

/// Whether a part of the event that `object` is stands in it so, and not as an object as well.
pub fn is_torn(object: &Object<'_, '_>) -> bool {
    let mut torn = PARTS.map(|_| false);
    for part in object.iter().filter_map(|(key, _)| part(key)) {
        torn[part] = true;
    }
    let stands = |part: &str| object.iter().any(|(key, _)| key.eq_ignore_ascii_case(part));
    let mut torn = PARTS.iter().zip(torn).filter(|(_, is_torn)| *is_torn);
    torn.any(|((part, _), _)| !stands(part))
}

/// Which of [`PARTS`] `key` is a piece of.
fn part(key: &str) -> Option<usize> {
    PARTS.iter().position(|(part, inner)| {
        let mut rest = letters(key);
        let is_of_part = part.bytes().all(|byte| rest.next() == Some(byte));
        let is_inner = |inner: &&str| {
            let mut rest = rest.clone();
            inner.bytes().all(|byte| rest.next() == Some(byte))
        };
        is_of_part && inner.iter().any(is_inner)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_told_from_other_keys() {
        for (key, wanted) in [
            ("USER_USERNAME", Some("user")),
            ("userUsername", Some("user")),
            ("user->groups[0]", Some("user")),
            ("impersonated_user_username", Some("impersonateduser")),
            ("objectref_name", Some("objectref")),
            ("request_object_spec", Some("requestobject")),
            ("user", None),
            ("userAgent", None),
            ("user_name", None),
            ("username", None),
            ("requestObject", None),
            ("requestObjectSize", None),
            ("responseStatus", None),
            ("verb", None),
        ] {
            assert_eq!(part(key).map(|part| PARTS[part].0), wanted, "{key}");
        }
    }
}
