//! Keys that stand twice in one object. Of most decoders the last counts, of some the first: who is told by it depends on who reads.

use simd_json::tape::Object;

use super::{event::Json, field::Field, gke::PAYLOADS};

/// A number for a field, and what tells the same of the keys in its value.
type Numbered = (u32, fn(&str) -> Option<u32>);

/// What `key` tells of who touched what in an event, as the API server and as Azure call it.
fn of_event(key: &str) -> Option<Numbered> {
    let field = Field::of_any(key)?;
    let tells_nothing = matches!(
        field,
        Field::Level
            | Field::Stage
            | Field::AuthenticationMetadata
            | Field::SourceIps
            | Field::UserAgent
            | Field::StageReached
    );
    (!tells_nothing).then_some((field as u32, of_part(field)))
}

/// What tells a number for a key in the value of `field`.
fn of_part(field: Field) -> fn(&str) -> Option<u32> {
    match field {
        Field::User | Field::ImpersonatedUser => of_user,
        Field::ObjectRef => of_object,
        Field::ResponseStatus => of_status,
        _ => no_key,
    }
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
fn of_kind(key: &str) -> Option<Numbered> {
    of_event(key).filter(|_| matches!(key, "kind" | "apiVersion"))
}

/// The same of an entry of Google's, and of its payload.
fn of_entry(key: &str) -> Option<Numbered> {
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

/// Whether the value of `field` tells such a thing twice.
pub(super) fn is_ambiguous_part(field: Field, value: Json<'_>) -> bool {
    repeats_any(of_part(field), value)
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

fn repeats(field: impl Fn(&str) -> Option<Numbered>, object: &Object<'_, '_>) -> bool {
    let mut seen = Seen::default();
    object.iter().any(|(key, value)| {
        field(key).is_some_and(|(number, inner)| seen.is_again(number) || repeats_any(inner, value))
    })
}

/// Whether any of the keys that `number` knows stands in `value` twice.
fn repeats_any(number: fn(&str) -> Option<u32>, value: Json<'_>) -> bool {
    let mut seen = Seen::default();
    value.as_object().is_some_and(|object| {
        let mut numbers = object.iter().filter_map(|(key, _)| number(key));
        numbers.any(|number| seen.is_again(number))
    })
}

/// The numbers that were seen, one bit each.
#[derive(Default)]
pub(super) struct Seen(u32);

impl Seen {
    pub fn has(&self, number: u32) -> bool {
        self.0 & 1 << number != 0
    }

    /// Takes note of `number`; whether it was seen before.
    pub fn is_again(&mut self, number: u32) -> bool {
        let before = self.0;
        self.0 |= 1 << number;
        self.0 == before
    }
}
