//! Keys that stand twice in one object. Of most decoders the last counts, of some the first: who is told by it depends on who reads.

use simd_json::tape::Object;

use super::{event::Json, gke::PAYLOADS};

/// A number for a field, and what tells the same of the keys in its value.
type Field = (u32, fn(&str) -> Option<u32>);

/// What `key` tells of who touched what in an event, as the API server and as Azure call it.
fn of_event(key: &str) -> Option<Field> {
    Some(match key {
        "kind" => (0, no_key),
        "apiVersion" => (1, no_key),
        "auditID" | "AuditId" => (2, no_key),
        "verb" | "Verb" => (3, no_key),
        "requestURI" | "RequestUri" => (4, no_key),
        "user" | "User" => (5, of_user),
        "impersonatedUser" | "ImpersonatedUser" => (6, of_user),
        "objectRef" | "ObjectRef" => (7, of_object),
        "responseStatus" | "ResponseStatus" => (8, of_status),
        "requestReceivedTimestamp" | "RequestReceivedTime" => (9, no_key),
        "annotations" | "Annotations" => (10, no_key),
        "requestObject" | "RequestObject" => (11, no_key),
        "responseObject" | "ResponseObject" => (12, no_key),
        _ => return None,
    })
}

fn no_key(_: &str) -> Option<u32> {
    None
}

fn of_user(key: &str) -> Option<u32> {
    Some(match key {
        "username" => 0,
        "groups" => 1,
        "uid" => 2,
        _ => return None,
    })
}

fn of_object(key: &str) -> Option<u32> {
    Some(match key {
        "resource" => 0,
        "subresource" => 1,
        "namespace" => 2,
        "name" => 3,
        "apiGroup" => 4,
        _ => return None,
    })
}

fn of_status(key: &str) -> Option<u32> {
    Some(match key {
        "code" => 0,
        "message" => 1,
        _ => return None,
    })
}

/// The same of what says that an object is an event.
fn of_kind(key: &str) -> Option<Field> {
    of_event(key).filter(|_| matches!(key, "kind" | "apiVersion"))
}

/// The same of an entry of Google's, and of its payload.
fn of_entry(key: &str) -> Option<Field> {
    Some(match key {
        "protoPayload" | "protopayload_auditlog" => (0, no_key),
        "insertId" => (1, no_key),
        "serviceName" => (2, no_key),
        "methodName" => (3, no_key),
        "resourceName" => (4, no_key),
        "authenticationInfo" => (5, of_authentication),
        "authorizationInfo" => (6, no_key),
        "status" => (7, of_status),
        "request" | "requestJson" => (8, no_key),
        "response" | "responseJson" => (9, no_key),
        _ => return None,
    })
}

fn of_authentication(key: &str) -> Option<u32> {
    Some(match key {
        "principalEmail" => 0,
        "principalSubject" => 1,
        "authoritySelector" => 2,
        _ => return None,
    })
}

/// Whether `event` tells such a thing twice.
pub fn is_ambiguous(event: &Object<'_, '_>) -> bool {
    repeats(of_event, event)
}

/// Whether `entry`, or a payload in it, does.
pub fn is_ambiguous_entry(entry: &Object<'_, '_>) -> bool {
    let mut payloads = PAYLOADS.iter().filter_map(|key| entry.get(*key));
    let is_payload = |payload: Json<'_>| {
        let payload = payload.as_object();
        payload.is_some_and(|payload| repeats(of_entry, &payload))
    };
    repeats(of_entry, entry) || payloads.any(is_payload)
}

/// Whether what is no event, to those who take the first of two keys, is one to others.
pub fn may_be_event(object: &Object<'_, '_>) -> bool {
    let has = |key: &str| object.get(key).is_some();
    (has("auditID") || has("requestURI")) && repeats(of_kind, object)
}

fn repeats(field: impl Fn(&str) -> Option<Field>, object: &Object<'_, '_>) -> bool {
    let mut seen = Seen::default();
    object.iter().any(|(key, value)| {
        field(key).is_some_and(|(number, inner)| {
            seen.is_again(number)
                || value
                    .as_object()
                    .is_some_and(|value| repeats_any(inner, &value))
        })
    })
}

/// Whether any of the keys that `number` knows stands in `object` twice.
fn repeats_any(number: fn(&str) -> Option<u32>, object: &Object<'_, '_>) -> bool {
    let mut seen = Seen::default();
    let mut numbers = object.iter().filter_map(|(key, _)| number(key));
    numbers.any(|number| seen.is_again(number))
}

/// The numbers that were seen, one bit each.
#[derive(Default)]
struct Seen(u32);

impl Seen {
    fn is_again(&mut self, number: u32) -> bool {
        let before = self.0;
        self.0 |= 1 << number;
        self.0 == before
    }
}
