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
    if event.get("user").is_some() || at(event, "usr.name")?.into_string()?.is_empty() {
        return None;
    }
    let kept = event.iter().filter(|(key, _)| !is_held(key));
    let put = FIELDS.iter().filter_map(|(key, parts)| {
        let parts = parts
            .iter()
            .filter_map(|(part, path)| Some((*part, at(event, path)?)));
        let parts: Vec<_> = parts
            .filter(|(_, value)| *key != "verb" || is_verb(*value))
            .collect();
        (event.get(*key).is_none() && !parts.is_empty()).then_some((*key, parts))
    });
    let mut out = Vec::new();
    rewrite::fields(
        kept.map(Ok).chain(put.map(Err)),
        &mut out,
        |field, out| match field {
            Ok((key, value)) => rewrite::field(key, value, 0, out),
            Err((key, parts)) => match parts[..] {
                [("", value)] => rewrite::field(key, value, 0, out),
                _ => {
                    rewrite::name(key, out);
                    rewrite::fields(parts.into_iter(), out, |(part, value), out| {
                        rewrite::field(part, value, 0, out);
                    });
                }
            },
        },
    );
    Some(out)
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
