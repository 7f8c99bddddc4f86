//! Events of which Datadog's pipelines took fields for its standard attributes (docs.datadoghq.com/standard-attributes): `usr.name` for
//! `user.username`, `http.method` for the verb, `http.status_code`, `http.useragent` and `network.client.ip`.

use simd_json::{prelude::*, tape::Object};

use crate::{
    audit::Json,
    record::{key::at, rewrite},
};

/// The objects that hold them, which clients write nothing into but the agent and the URL.
const HOLDERS: [&str; 3] = ["usr", "http", "network"];

/// The fields of an event, and where their values were put, or those of the fields in them.
const FIELDS: [(&str, &[(&str, &str)]); 5] = [
    (
        "user",
        &[
            ("username", "usr.name"),
            ("uid", "usr.id"),
            ("groups", "usr.groups"),
        ],
    ),
    ("verb", &[("", "http.method")]),
    ("responseStatus", &[("code", "http.status_code")]),
    ("userAgent", &[("", "http.useragent")]),
    ("sourceIPs", &[("", "network.client.ip")]),
];

/// `event` with its own fields; `None` if it tells who it was, or nothing else does.
pub fn event(event: &Object<'_, '_>) -> Option<Vec<u8>> {
    // Of most events none is, and they are many.
    if tells_user(event) || at(event, "usr.name")?.into_string()?.is_empty() {
        return None;
    }
    let put: Vec<_> = FIELDS
        .iter()
        .map(|(key, parts)| (*key, missing(event, key, parts)))
        .filter(|(_, parts)| !parts.is_empty())
        .collect();
    let is_put = |key: &str| put.iter().any(|(other, _)| *other == key);
    let kept = event
        .iter()
        .filter(|(key, _)| !is_held(key) && !is_put(key));
    let mut out = Vec::new();
    rewrite::fields(
        kept.map(Ok).chain(put.iter().map(Err)),
        &mut out,
        |field, out| match field {
            Ok((key, value)) => rewrite::field(key, value, 0, out),
            Err((key, parts)) => match parts[..] {
                [("", value)] => rewrite::field(key, value, 0, out),
                _ => {
                    rewrite::name(key, out);
                    let left = parts_left(event, key);
                    rewrite::fields(left.iter().chain(parts), out, |(part, value), out| {
                        rewrite::field(part, *value, 0, out);
                    });
                }
            },
        },
    );
    Some(out)
}

/// Whether `event` tells who it was, or has something else than what was left of that.
fn tells_user(event: &Object<'_, '_>) -> bool {
    event.get("user").is_some_and(|user| {
        let left = user.as_object();
        left.is_none_or(|left| left.get("username").is_some())
    })
}

/// What was taken of the field `key` of `event`, or of the fields in it, and stands no longer there.
fn missing<'v>(
    event: &Object<'v, 'v>,
    key: &str,
    parts: &[(&'static str, &str)],
) -> Vec<(&'static str, Json<'v>)> {
    let left = event.get(key);
    let is_left = |part: &str| match part {
        "" => left.is_some(),
        part => left.is_some_and(|left| !left.is_object() || left.get(part).is_some()),
    };
    let parts = parts.iter().filter(|(part, _)| !is_left(part));
    let parts = parts.filter_map(|(part, path)| Some((*part, at(event, path)?)));
    parts
        .filter(|(_, value)| key != "verb" || is_verb(*value))
        .collect()
}

/// What is left in the field `key`.
fn parts_left<'v>(event: &Object<'v, 'v>, key: &str) -> Vec<(&'v str, Json<'v>)> {
    let left = event.get(key).and_then(|left| left.as_object());
    left.iter().flat_map(|left| left.iter()).collect()
}

/// Whether `key` is one of the objects that hold them, or joined to one.
fn is_held(key: &str) -> bool {
    let (first, _) = key.split_once('.').unwrap_or((key, ""));
    HOLDERS.contains(&first)
}

/// Whether `value` is the verb of a request to an API server, and not the method that HTTP has for it.
fn is_verb(value: Json<'_>) -> bool {
    let verb = value.into_string();
    verb.is_some_and(|verb| verb.bytes().all(|byte| byte.is_ascii_lowercase()))
}
