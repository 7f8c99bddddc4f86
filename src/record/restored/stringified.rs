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

/// Who asked, and as whom. Some label events with the names alone.
const USERS: [&str; 4] = ["user", "User", "impersonatedUser", "ImpersonatedUser"];

/// `event` as it was written; `None` if no part of it is text, and no time of it a number.
pub fn event(event: &Object<'_, '_>) -> Option<Vec<u8>> {
    // Of most events none is, and they are many.
    let is_changed = |key: &str, value: Json<'_>| match value.is_str() {
        true => Event::PARTS.contains(&key),
        // Some stores have numbers there.
        false => Event::TIMES.contains(&key),
    };
    if !event.iter().any(|(key, value)| is_changed(key, value)) {
        return None;
    }
    rewrite::object(event, |key, value| {
        part(Event::PARTS, key, value)
            .or_else(|| user(event, key, value))
            .or_else(|| time(key, value))
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

/// The user of `event` of whom `value` is but the name. What has brackets is an object in a notation of its own, and where keys were joined
/// it is something else.
fn user<'v>(event: &Object<'_, '_>, key: &str, value: Json<'v>) -> Option<Cow<'v, [u8]>> {
    let name = value.into_string().filter(|_| USERS.contains(&key))?;
    let is_joined = |(other, _): (&str, Json<'_>)| {
        let rest = other.strip_prefix(key).and_then(|rest| rest.chars().next());
        rest.is_some_and(|next| !next.is_ascii_alphanumeric())
    };
    let is_name =
        !name.is_empty() && !name.contains(['{', '[', '=']) && !event.iter().any(is_joined);
    is_name.then(|| {
        let mut out = Vec::new();
        rewrite::fields([name].into_iter(), &mut out, |name, out| {
            rewrite::name("username", out);
            rewrite::text(name, out);
        });
        out.into()
    })
}

/// A time that is no text as one: a number since 1970, or MongoDB's object.
fn time<'v>(key: &str, value: Json<'v>) -> Option<Cow<'v, [u8]>> {
    if !Event::TIMES.contains(&key) || value.is_str() {
        return None;
    }
    let date = value.get("$date");
    let value = date.map_or(value, |date| date.get("$numberLong").unwrap_or(date));
    let number = || {
        let fraction = || value.as_f64().map(|number| number.to_string());
        let whole = value.as_u64().map(|number| number.to_string());
        whole.or_else(fraction)
    };
    let text = value.into_string().map(str::to_owned).or_else(number)?;
    let mut out = Vec::new();
    rewrite::text(&text, &mut out);
    Some(out.into())
}
