//! Events that became API activities of OCSF (schema.ocsf.io/classes/api_activity), as AWS's Security Lake makes of EKS's, by the mapping in
//! github.com/ocsf/examples, `mappings/markdown/AWS/v1.5.0/EKS Audit Logs`, and the older ones beside it.
//!
//! What has no place there stands under `unmapped`, either as it was or with its keys joined, and the items of an array as one text. The
//! event is written with joined keys, as stores have them.

use std::borrow::Cow;

use simd_json::{prelude::*, tape::Object};

use super::{
    at,
    flattened::{ITEMS_OF_OCSF, TEXTS},
};
use crate::{
    audit::{Event, Json, ObjectRef, uri},
    record::rewrite,
};

/// The fields of an event of one value, and where it was put. Of two places the first counts that is there.
const FIELDS: [(&str, &[&str]); 13] = [
    ("auditID", &["api.request.uid"]),
    ("level", &["metadata.log_level"]),
    ("stage", &["message"]),
    ("requestURI", &[URI]),
    ("verb", &["api.operation"]),
    ("user.username", &[USERNAME]),
    ("user.uid", &["actor.user.uid"]),
    ("userAgent", &["http_request.user_agent"]),
    ("responseStatus.code", &["api.response.code"]),
    ("responseStatus.message", &["api.response.message"]),
    ("responseStatus.reason", &["api.response.error"]),
    ("requestReceivedTimestamp", &["start_time_dt", "start_time"]),
    ("stageTimestamp", &["time_dt", "time"]),
];

const USERNAME: &str = "actor.user.name";
const URI: &str = "http_request.url.path";

/// Those of the first of the resources, but for `type`, which has the resource and the subresource.
const OF_RESOURCE: [(&str, &str); 3] = [
    ("objectRef.namespace", "namespace"),
    ("objectRef.name", "name"),
    ("objectRef.uid", "uid"),
];

/// The bodies, as text.
const BODIES: [(&str, &str); 2] = [
    ("requestObject", "api.request.data"),
    ("responseObject", "api.response.data"),
];

/// The parts of an event of which some fields are mapped, and some are not.
const DIVIDED: [&str; 3] = ["user", "objectRef", "responseStatus"];

/// Where the whole event may be, as text.
const RAW: &str = "raw_data";

/// Whether `object` tells of a request to an API server of Kubernetes.
pub fn is_api_activity(object: &Object<'_, '_>) -> bool {
    let says = |path: &str, is_it: &dyn Fn(&str) -> bool| {
        at(object, path).is_some_and(|value| value.into_string().is_some_and(is_it))
    };
    object.get("class_uid").is_some()
        && (says("metadata.product.version", &|version| {
            version.starts_with("audit.k8s.io/")
        }) || says("metadata.product.name", &|name| name == "Amazon EKS")
            || says("metadata.product.feature.name", &|name| {
                name.contains("Kubernetes")
            }))
}

/// The event that became `object`, which is an API activity; `None` if it does not tell who did what.
pub fn event(object: &Object<'_, '_>) -> Option<Vec<u8>> {
    let raw = at(object, RAW).and_then(|raw| raw.into_string());
    if let Some(raw) = raw.filter(|raw| rewrite::is_json(raw, &['{'])) {
        return Some(raw.as_bytes().to_vec());
    }
    let has_text = |path| at(object, path).is_some_and(|value| value.is_str());
    if !(has_text(USERNAME) && has_text("api.operation")) {
        return None;
    }
    let mut fields = mapped(object);
    let unmapped = at(object, "unmapped").and_then(|unmapped| unmapped.as_object());
    if let Some(unmapped) = &unmapped {
        add_unmapped(unmapped, &mut fields);
    }
    let mut out = Vec::new();
    rewrite::fields(fields.into_iter(), &mut out, |(key, written), out| {
        rewrite::name(&key, out);
        out.extend_from_slice(&written);
    });
    Some(out)
}

/// Keys of an event, and what stands under them as JSON.
type Fields<'v> = Vec<(Cow<'v, str>, Vec<u8>)>;

fn mapped<'v>(object: &Object<'v, 'v>) -> Fields<'v> {
    let json = |value: Json<'_>| {
        let mut out = Vec::new();
        rewrite::value(value, 0, &mut out);
        out
    };
    let text = |text: &str| {
        let mut out = Vec::new();
        rewrite::text(text, &mut out);
        out
    };
    let mut fields: Fields<'v> = vec![
        ("kind".into(), text("Event")),
        ("apiVersion".into(), text("audit.k8s.io/v1")),
    ];
    for (key, paths) in FIELDS {
        let value = paths.iter().find_map(|path| {
            let value = at(object, path)?;
            (!value.is_null()).then_some(value)
        });
        fields.extend(value.map(|value| match value.as_u64() {
            // Where the API server writes words.
            Some(number) if key.ends_with("Timestamp") => (key.into(), text(&number.to_string())),
            _ => (key.into(), json(value)),
        }));
    }
    for (key, path) in BODIES {
        let body = at(object, path).and_then(|body| body.into_string());
        let body = body.filter(|body| rewrite::is_json(body, &['{', '[']));
        fields.extend(body.map(|body| (key.into(), body.as_bytes().to_vec())));
    }
    let resources = at(object, "resources");
    let resource = resources.map(|resources| resources.get_idx(0).unwrap_or(resources));
    for (key, name) in OF_RESOURCE {
        let value = resource.and_then(|resource| resource.get(name)?.into_string());
        fields.extend(value.map(|value| (key.into(), text(value))));
    }
    if let Some(kind) = resource.and_then(|resource| resource.get("type")?.into_string()) {
        let uri = at(object, URI).and_then(|uri| uri.into_string());
        let (kind, inner) = taken_apart(kind, &uri::path(uri.unwrap_or_default()));
        fields.push(("objectRef.resource".into(), text(kind)));
        fields.extend(inner.map(|inner| ("objectRef.subresource".into(), text(inner))));
    }
    let group = at(object, "api.group.name").filter(|group| group.is_str());
    fields.extend(group.map(|group| ("objectRef.apiGroup".into(), json(group))));
    let groups = at(object, "actor.user.groups").and_then(|groups| groups.as_array());
    if let Some(groups) = groups {
        let mut out = Vec::new();
        let names = groups
            .iter()
            .map(|group| group.get("name").unwrap_or(group));
        rewrite::items(names, &mut out, |name, out| rewrite::value(name, 0, out));
        fields.push(("user.groups".into(), out));
    }
    let mut out = Vec::new();
    rewrite::items(addresses(object).into_iter(), &mut out, rewrite::text);
    fields.push(("sourceIPs".into(), out));
    fields
}

/// The resource and the subresource in `kind`, which the mapping joins without saying by what. If by nothing, the `path` of the request tells
/// them apart.
fn taken_apart<'v>(kind: &'v str, path: &str) -> (&'v str, Option<&'v str>) {
    if let Some((resource, inner)) = kind.split_once(['/', ',', ' ']) {
        return (resource, Some(inner));
    }
    let asked = ObjectRef::from_path(path);
    let inner = asked
        .resource
        .and_then(|resource| kind.strip_prefix(resource));
    match inner {
        Some(inner) if asked.subresource == Some(inner) => {
            (&kind[..kind.len() - inner.len()], Some(inner))
        }
        _ => (kind, None),
    }
}

/// The addresses that the request came through. Newer mappings keep all of them beside what was mapped, too.
fn addresses<'v>(object: &Object<'v, 'v>) -> Vec<&'v str> {
    let unmapped = at(object, "unmapped").and_then(|unmapped| unmapped.get("sourceIPs[]"));
    if let Some(all) = unmapped {
        return texts(all);
    }
    let paths = ["src_endpoint.ip", "src_endpoint.intermediate_ips"];
    let values = paths.into_iter().filter_map(|path| at(object, path));
    values.flat_map(texts).collect()
}

/// The texts of an array, or those that were made one.
fn texts(value: Json<'_>) -> Vec<&str> {
    match value.as_array() {
        Some(array) => array.iter().filter_map(|item| item.into_string()).collect(),
        None => value
            .into_string()
            .into_iter()
            .flat_map(|text| text.split(','))
            .collect(),
    }
}

/// Adds what was not mapped of an event to `fields`, of which none is told again.
fn add_unmapped<'v>(unmapped: &Object<'v, 'v>, fields: &mut Fields<'v>) {
    for (key, value) in unmapped.iter() {
        let parts = value.as_object().filter(|_| DIVIDED.contains(&key));
        let mut add = |key: Cow<'v, str>, value: Json<'v>| {
            let head = key.split(['.', '[']).next().unwrap_or_default();
            let is_told =
                |(told, _): &(Cow<'_, str>, _)| told == key.trim_end_matches(ITEMS_OF_OCSF);
            if Event::FIELDS.contains(&head) && head != "sourceIPs" && !fields.iter().any(is_told) {
                fields.extend(items(&key, value).map(|written| (key, written)));
            }
        };
        match parts {
            Some(parts) => parts
                .iter()
                .for_each(|(inner, value)| add(format!("{key}.{inner}").into(), value)),
            None => add(key.into(), value),
        }
    }
}

/// `value` of `key`, with the items that were made one text. What is looked at in the arrays of bodies has no commas in it; all else may, and
/// is left out.
fn items(key: &str, value: Json<'_>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match value.into_string().filter(|_| key.contains(ITEMS_OF_OCSF)) {
        Some(text) => {
            let last = key.rsplit('.').next().unwrap_or_default();
            let is_body = BODIES.iter().any(|(body, _)| key.starts_with(body));
            if is_body && !TEXTS.contains(&last.trim_end_matches(ITEMS_OF_OCSF)) {
                return None;
            }
            rewrite::items(text.split(','), &mut out, rewrite::text);
        }
        None => rewrite::value(value, 0, &mut out),
    }
    Some(out)
}
