//! Parts of an event that a store keeps as text: `"user":"{\"username\":…}"`, as Snowflake, Athena, Databricks and tables of
//! Azure do.
//!
//! The API server and Google write all of these parts as objects or arrays, so that text in their place was made by a store.
//! The bodies alone are a client's, who may send a string as a patch: it is read as the body that it could have sent instead.

use std::borrow::Cow;

use simd_json::{prelude::*, tape::Object};

use crate::{
    audit::{Event, Json, gke},
    record::rewrite,
};

/// The fields of an event that tell times, as the API server and as Azure calls them. Some stores have numbers there.
const TIMES: [&str; 4] = [
    "requestReceivedTimestamp",
    "stageTimestamp",
    "RequestReceivedTime",
    "StageReceivedTime",
];

/// `event` as it was written; `None` if no part of it is text, and no time of it a number.
pub fn event(event: &Object<'_, '_>) -> Option<Vec<u8>> {
    // Of most events none is, and they are many.
    let is_changed = |key: &str, value: Json<'_>| match value.is_str() {
        true => Event::PARTS.contains(&key),
        false => TIMES.contains(&key),
    };
    if !event.iter().any(|(key, value)| is_changed(key, value)) {
        return None;
    }
    rewrite::object(event, |key, value| {
        part(Event::PARTS, key, value).or_else(|| time(key, value))
    })
}

/// `entry`, which is Google's, as it was written; `None` if no part of it, or of the payload in it, is text.
pub fn entry(entry: &Object<'_, '_>) -> Option<Vec<u8>> {
    rewrite::object(entry, |key, value| match value.as_object() {
        Some(payload) if gke::PAYLOADS.contains(&key) => {
            rewrite::object(&payload, |key, value| part(gke::PARTS, key, value)).map(Cow::Owned)
        }
        _ => part(gke::PARTS, key, value),
    })
}

/// The JSON in `value`, if it is text.
fn part<'v>(parts: &[&str], key: &str, value: Json<'v>) -> Option<Cow<'v, [u8]>> {
    let text = value.into_string().filter(|_| parts.contains(&key))?;
    rewrite::is_json(text, &['{', '[']).then(|| text.as_bytes().into())
}

/// A number since 1970, as text.
fn time<'v>(key: &str, value: Json<'v>) -> Option<Cow<'v, [u8]>> {
    let number = || {
        let fraction = || value.as_f64().map(|number| number.to_string());
        let whole = value.as_u64().map(|number| number.to_string());
        whole.or_else(fraction)
    };
    let number = TIMES.contains(&key).then(number).flatten()?;
    Some(format!("\"{number}\"").into_bytes().into())
}
