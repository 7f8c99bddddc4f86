//! Events whose keys a store has in another case: columns of Hive and Athena are lower case, those of Snowflake upper, and KubeSphere keeps
//! the fields of Go's structures by their own names (`audit.Event` in `k8s.io/apiserver/pkg/apis/audit`, which has no names for JSON).

use std::collections::BTreeMap;

use simd_json::{prelude::*, tape::Object};

use crate::{
    audit::{Event, Json},
    record::rewrite,
};

/// Keys that make it worth a look.
const ANCHORS: [&str; 2] = ["auditID", "requestURI"];

/// What the parts have that is read, but for keys that clients or authenticators choose.
const PARTS: [(&str, &[&str]); 4] = [
    ("user", &["username", "uid", "groups", "extra"]),
    ("impersonatedUser", &["username", "uid", "groups", "extra"]),
    (
        "objectRef",
        &["resource", "subresource", "namespace", "name", "apiGroup"],
    ),
    ("responseStatus", &["code", "message", "reason"]),
];

/// The event that `object`, which is none as it is, would be with its keys in their own case.
pub fn event(object: &Object<'_, '_>) -> Option<Vec<u8>> {
    let is_anchor = |key: &str| ANCHORS.iter().any(|name| key.eq_ignore_ascii_case(name));
    if !object.iter().any(|(key, _)| is_anchor(key)) {
        return None;
    }
    let names = [Event::FIELDS, Event::UNREAD_FIELDS].concat();
    let fields = named(object, &names, str::eq_ignore_ascii_case);
    let value = |name: &str| fields.iter().find(|(key, _)| *key == name);
    let text = |name: &str| value(name).and_then(|(_, value)| value.into_string());
    if !Event::has_the_fields_of_one(|name| value(name).is_some(), text) {
        return None;
    }
    let mut out = Vec::new();
    rewrite::fields(fields.into_iter(), &mut out, |(key, value), out| {
        let part = PARTS.iter().find(|(name, _)| *name == key);
        match (part, value.as_object()) {
            (Some((_, names)), Some(part)) => {
                rewrite::name(key, out);
                let inner = named(&part, names, str::eq_ignore_ascii_case);
                rewrite::fields(inner.into_iter(), out, |(key, value), out| {
                    rewrite::field(key, value, 1, out);
                });
            }
            _ => rewrite::field(key, value, 0, out),
        }
    });
    Some(out)
}

/// What `object` has, under those of `names` of which its keys are spellings. Of several spellings of one name the right one counts,
/// else the first; one that stands twice stays so.
pub fn named<'v>(
    object: &Object<'v, 'v>,
    names: &[&'static str],
    is_spelling: impl Fn(&str, &str) -> bool,
) -> Vec<(&'v str, Json<'v>)> {
    let right = |key: &'v str| names.contains(&key).then_some((key, key));
    let mut taken: BTreeMap<&str, &str> = object.iter().filter_map(|(key, _)| right(key)).collect();
    let named = object.iter().filter_map(|(key, value)| {
        let Some(name) = names.iter().find(|name| is_spelling(key, name)) else {
            return Some((key, value));
        };
        let spelling = *taken.entry(name).or_insert(key);
        (spelling == key).then_some((*name, value))
    });
    named.collect()
}
