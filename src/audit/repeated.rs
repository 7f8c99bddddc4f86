//! Keys that stand twice in one object. Of most decoders the last counts, of some the first: who is told by it depends on who reads.

use simd_json::tape::Object;

use super::event::Json;

/// The names of a field, and the keys in its value.
type Field = ([&'static str; 2], &'static [&'static str]);

/// What tells who touched what in an event, as the API server and as Azure calls it, and what tells it in there.
const FIELDS: [Field; 13] = [
    (["kind", "kind"], &[]),
    (["apiVersion", "apiVersion"], &[]),
    (["auditID", "AuditId"], &[]),
    (["verb", "Verb"], &[]),
    (["requestURI", "RequestUri"], &[]),
    (["user", "User"], &["username", "groups", "uid"]),
    (["impersonatedUser", "ImpersonatedUser"], &["username"]),
    (
        ["objectRef", "ObjectRef"],
        &["resource", "subresource", "namespace", "name", "apiGroup"],
    ),
    (["responseStatus", "ResponseStatus"], &["code", "message"]),
    (["requestReceivedTimestamp", "RequestReceivedTime"], &[]),
    (["annotations", "Annotations"], &[]),
    (["requestObject", "RequestObject"], &[]),
    (["responseObject", "ResponseObject"], &[]),
];

/// The same of an entry of Google's, and of its payload.
const ENTRY: [Field; 10] = [
    (["protoPayload", "protopayload_auditlog"], &[]),
    (["insertId", "insertId"], &[]),
    (["serviceName", "serviceName"], &[]),
    (["methodName", "methodName"], &[]),
    (["resourceName", "resourceName"], &[]),
    (
        ["authenticationInfo", "authenticationInfo"],
        &["principalEmail", "principalSubject", "authoritySelector"],
    ),
    (["authorizationInfo", "authorizationInfo"], &[]),
    (["status", "status"], &["code", "message"]),
    (["request", "requestJson"], &[]),
    (["response", "responseJson"], &[]),
];

/// Whether `event` tells such a thing twice.
pub fn is_ambiguous(event: &Object<'_, '_>) -> bool {
    repeats(&FIELDS, event)
}

/// Whether `entry`, or a payload in it, does.
pub fn is_ambiguous_entry(entry: &Object<'_, '_>) -> bool {
    let (payloads, _) = ENTRY[0];
    let mut payloads = payloads.iter().filter_map(|key| entry.get(*key));
    let is_payload = |payload: Json<'_>| {
        let payload = payload.as_object();
        payload.is_some_and(|payload| repeats(&ENTRY, &payload))
    };
    repeats(&ENTRY, entry) || payloads.any(is_payload)
}

/// Whether what is no event, to those who take the first of two keys, is one to others.
pub fn may_be_event(object: &Object<'_, '_>) -> bool {
    let has = |key: &str| object.get(key).is_some();
    (has("auditID") || has("requestURI")) && repeats(&FIELDS[..2], object)
}

fn repeats(fields: &[Field], object: &Object<'_, '_>) -> bool {
    let mut seen = 0_u32;
    object.iter().any(|(key, value)| {
        let place = fields.iter().position(|(names, _)| names.contains(&key));
        place.is_some_and(|place| {
            let bit = 1 << place;
            let is_again = seen & bit != 0;
            seen |= bit;
            is_again || repeats_any(fields[place].1, value)
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
