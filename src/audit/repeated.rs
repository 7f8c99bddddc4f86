//! Keys that stand twice in one object. Of most decoders the last counts, of some the first: who is told by it depends on who reads.

use simd_json::tape::Object;

use super::{event::Json, gke::PAYLOADS};

/// A number for a field, and the keys in its value that count as it does.
type Field = (u32, &'static [&'static str]);

/// What `key` tells of who touched what in an event, as the API server and as Azure call it.
fn of_event(key: &str) -> Option<Field> {
    Some(match key {
        "kind" => (0, &[]),
        "apiVersion" => (1, &[]),
        "auditID" | "AuditId" => (2, &[]),
        "verb" | "Verb" => (3, &[]),
        "requestURI" | "RequestUri" => (4, &[]),
        "user" | "User" => (5, &["username", "groups", "uid"]),
        "impersonatedUser" | "ImpersonatedUser" => (6, &["username"]),
        "objectRef" | "ObjectRef" => {
            let keys = &["resource", "subresource", "namespace", "name", "apiGroup"];
            (7, keys)
        }
        "responseStatus" | "ResponseStatus" => (8, &["code", "message"]),
        "requestReceivedTimestamp" | "RequestReceivedTime" => (9, &[]),
        "annotations" | "Annotations" => (10, &[]),
        "requestObject" | "RequestObject" => (11, &[]),
        "responseObject" | "ResponseObject" => (12, &[]),
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
        "protoPayload" | "protopayload_auditlog" => (0, &[]),
        "insertId" => (1, &[]),
        "serviceName" => (2, &[]),
        "methodName" => (3, &[]),
        "resourceName" => (4, &[]),
        "authenticationInfo" => {
            let keys = &["principalEmail", "principalSubject", "authoritySelector"];
            (5, keys)
        }
        "authorizationInfo" => (6, &[]),
        "status" => (7, &["code", "message"]),
        "request" | "requestJson" => (8, &[]),
        "response" | "responseJson" => (9, &[]),
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
    let mut seen = 0_u32;
    object.iter().any(|(key, value)| {
        field(key).is_some_and(|(number, keys)| {
            let bit = 1 << number;
            let is_again = seen & bit != 0;
            seen |= bit;
            is_again || repeats_any(keys, value)
        })
    })
}

/// Whether any of `keys` stands in `value` twice.
fn repeats_any(keys: &[&str], value: Json<'_>) -> bool {
    let object = value.as_object().filter(|_| !keys.is_empty());
    object.is_some_and(|object| {
        keys.iter().any(|key| {
            let mut same = object.iter().filter(|(other, _)| other == key);
            same.nth(1).is_some()
        })
    })
}
