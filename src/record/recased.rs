//! Events whose keys a store has in another case: columns of Hive and Athena are lower case, those of Snowflake upper.
//!
//! The keys inside of their values are left as they are: stores keep those.

use std::collections::BTreeSet;

use simd_json::{prelude::*, tape::Object};

use super::rewrite;
use crate::audit::{Event, Json};

/// Keys that make it worth a look.
const ANCHORS: [&str; 2] = ["auditID", "requestURI"];

/// The event that `object`, which is none as it is, would be with its keys in their own case.
pub fn event(object: &Object<'_, '_>) -> Option<Vec<u8>> {
    let is_anchor = |key: &str| ANCHORS.iter().any(|name| key.eq_ignore_ascii_case(name));
    if !object.iter().any(|(key, _)| is_anchor(key)) {
        return None;
    }
    let fields = named(object);
    let value = |name: &str| fields.iter().find(|(key, _)| *key == name);
    let text = |name: &str| value(name).and_then(|(_, value)| value.into_string());
    if !Event::has_the_fields_of_one(|name| value(name).is_some(), text) {
        return None;
    }
    let mut out = Vec::new();
    rewrite::fields(fields.into_iter(), &mut out, |(key, value), out| {
        rewrite::field(key, value, 0, out);
    });
    Some(out)
}

/// What `object` has, under the API server's names. Of several cases of one name the right one counts, else the first; one that
/// stands there twice is left so, since it says two things.
fn named<'v>(object: &Object<'v, 'v>) -> Vec<(&'v str, Json<'v>)> {
    let names = || Event::FIELDS.iter().chain(Event::UNREAD_FIELDS).copied();
    let is_name = |key: &&str| names().any(|name| name == *key);
    let mut taken: BTreeSet<&str> = object.iter().map(|(key, _)| key).filter(is_name).collect();
    let mut seen = BTreeSet::new();
    let named = object.iter().filter_map(|(key, value)| {
        let is_again = !seen.insert(key);
        let name = names().find(|name| key.eq_ignore_ascii_case(name));
        match name {
            Some(name) if key != name => (taken.insert(name) || is_again).then_some((name, value)),
            _ => Some((key, value)),
        }
    });
    named.collect()
}
