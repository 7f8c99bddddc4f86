//! Events that became API activities of OCSF (schema.ocsf.io/classes/api_activity), as AWS's Security Lake makes of EKS's, by the mapping in
//! github.com/ocsf/examples, `mappings/markdown/AWS/v1.5.0/EKS Audit Logs`, and the older ones there.
//!
//! What has no place there stands under `unmapped`, either as it was or with its keys joined, and the items of an array as one text.

use std::borrow::Cow;

use simd_json::{prelude::*, tape::Object};

use super::{
    Unclear,
    flattened::{Node, Tree},
    kept,
};
use crate::{
    audit::{Event, Json, ObjectRef, uri},
    record::{key::at, rewrite},
};

/// The class of API activities, which some stores have as text.
const CLASS_UID: u64 = 6003;
const CLASS_TEXT: &str = "6003";

/// What tells in which product's words an activity is told: those of its version, and of its names.
const PRODUCTS: [(&str, &str); 4] = [
    ("metadata.product.version", "audit.k8s.io/"),
    ("metadata.product.name", "Amazon EKS"),
    ("metadata.product.name", "Kubernetes"),
    ("metadata.product.feature.name", "Kubernetes"),
];

/// The fields of an event of one value, and where it was put. Of two places the first counts that is there.
const FIELDS: [(&str, &[&str]); 14] = [
    ("auditID", &["api.request.uid"]),
    ("level", &["metadata.log_level"]),
    ("stage", &["message"]),
    ("requestURI", &[URI]),
    ("verb", &[VERB]),
    ("user.username", &[USERNAME]),
    ("user.uid", &["actor.user.uid"]),
    ("userAgent", &["http_request.user_agent"]),
    ("objectRef.apiGroup", &["api.group.name"]),
    ("responseStatus.code", &["api.response.code"]),
    ("responseStatus.message", &["api.response.message"]),
    ("responseStatus.reason", &["api.response.error"]),
    ("requestReceivedTimestamp", &["start_time_dt", "start_time"]),
    ("stageTimestamp", &["time_dt", "time"]),
];

const URI: &str = "http_request.url.path";
const VERB: &str = "api.operation";
const USERNAME: &str = "actor.user.name";

/// The bodies.
const BODIES: [(&str, &str); 2] = [
    ("requestObject", "api.request.data"),
    ("responseObject", "api.response.data"),
];

const UNMAPPED: &str = "unmapped";

/// The parts of an event of which some fields are mapped, and some are not.
const DIVIDED: [&str; 3] = ["user", "objectRef", "responseStatus"];

/// The objects of an activity that are looked at, of which some stores make text.
const PARTS: [&str; 7] = [
    "metadata",
    "actor",
    "api",
    "http_request",
    "src_endpoint",
    "resources",
    UNMAPPED,
];

/// What `object` was before it became an API activity; `None` if it is none of Kubernetes.
pub fn restored(object: &Object<'_, '_>) -> Option<Result<Vec<u8>, Unclear>> {
    is_of_kubernetes(object).then(|| {
        let raw = || kept(object, "raw_data", &["\"audit.k8s.io/", "\"auditID\""]);
        let whole = unquoted(object).or_else(raw);
        whole.map_or_else(|| event(object), Ok)
    })
}

fn is_of_kubernetes(object: &Object<'_, '_>) -> bool {
    let is_class = |class: Json<'_>| {
        class.as_u64() == Some(CLASS_UID) || class.into_string() == Some(CLASS_TEXT)
    };
    object.get("class_uid").is_some_and(is_class)
        && PRODUCTS.iter().any(|(path, word)| {
            let metadata = object.get("metadata").and_then(|all| all.into_string());
            let text = metadata.or_else(|| at(object, path)?.into_string());
            text.is_some_and(|text| text.contains(word))
        })
}

/// The activity with its objects, if they are text.
fn unquoted(object: &Object<'_, '_>) -> Option<Vec<u8>> {
    rewrite::object(object, |key, value| {
        let text = value.into_string().filter(|_| PARTS.contains(&key))?;
        rewrite::is_json(text, &['{', '[']).then(|| text.as_bytes().into())
    })
}

fn event(object: &Object<'_, '_>) -> Result<Vec<u8>, Unclear> {
    let has_text = |path| at(object, path).is_some_and(|value| value.is_str());
    if !(has_text(USERNAME) && has_text(VERB)) {
        return Err(Unclear);
    }
    let mut event = Tree::default();
    event.put("kind", Node::Word("Event".into()))?;
    event.put("apiVersion", Node::Word("audit.k8s.io/v1".into()))?;
    event.put_from(object, &FIELDS)?;
    event.put("user.groups", Node::Words(groups(object)))?;
    event.put("sourceIPs", Node::Words(addresses(object)))?;
    put_object(object, &mut event)?;
    put_bodies(object, &mut event)?;
    put_unmapped(object, &mut event)?;
    event.written()
}

fn groups<'v>(object: &Object<'v, 'v>) -> Vec<&'v str> {
    let groups = at(object, "actor.user.groups").and_then(|groups| groups.as_array());
    let groups = groups.iter().flat_map(|groups| groups.iter());
    let names = groups.map(|group| group.get("name").unwrap_or(group));
    names.filter_map(|name| name.into_string()).collect()
}

/// The addresses that the request came through. Newer mappings keep all of them beside what was mapped, too; that of 1.2 no more than two, so
/// that the last may be any that a client has claimed.
fn addresses<'v>(object: &Object<'v, 'v>) -> Vec<&'v str> {
    if let Some(all) = at(object, UNMAPPED).and_then(|unmapped| unmapped.get("sourceIPs[]")) {
        return texts(all);
    }
    let first = at(object, "src_endpoint.ip").map(texts).unwrap_or_default();
    let others = at(object, "src_endpoint.intermediate_ips");
    let may_lack = others.filter(|others| others.is_str());
    let all = first
        .into_iter()
        .chain(others.map(texts).unwrap_or_default());
    all.chain(may_lack.map(|_| "")).collect()
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

/// Puts what the request was about.
fn put_object<'v>(object: &Object<'v, 'v>, event: &mut Tree<'v>) -> Result<(), Unclear> {
    let Some(resources) = at(object, "resources") else {
        return Ok(());
    };
    let resource = resources.get_idx(0).unwrap_or(resources);
    let told = |key: &str| resource.get(key).and_then(|value| value.into_string());
    for (path, key) in [
        ("objectRef.namespace", "namespace"),
        ("objectRef.name", "name"),
        ("objectRef.uid", "uid"),
    ] {
        if let Some(text) = told(key) {
            event.put(path, Node::Word(text.into()))?;
        }
    }
    if let Some(kind) = told("type") {
        let uri = at(object, URI).and_then(|uri| uri.into_string());
        let uri = uri.unwrap_or_default();
        let (resource, subresource) = taken_apart(kind, uri);
        event.put("objectRef.resource", Node::Word(resource.into()))?;
        if let Some(subresource) = subresource {
            event.put("objectRef.subresource", Node::Word(subresource))?;
        }
    }
    Ok(())
}

/// The resource and the subresource in `kind`. Some mappings join them without saying by what, and that of 1.2 has the first alone: then the
/// path of the request tells the other.
fn taken_apart<'v>(kind: &'v str, uri: &str) -> (&'v str, Option<Cow<'v, str>>) {
    if let Some((resource, subresource)) = kind.split_once(['/', ',', ' ']) {
        return (resource, Some(subresource.into()));
    }
    let path = uri::path(uri);
    let asked = ObjectRef::from_path(&path);
    let rest = asked
        .resource
        .and_then(|resource| kind.strip_prefix(resource));
    match (rest, asked.subresource) {
        (Some(rest), Some(subresource)) if rest == subresource => {
            (&kind[..kind.len() - rest.len()], Some(rest.into()))
        }
        (Some(""), Some(subresource)) => (kind, Some(subresource.to_owned().into())),
        _ => (kind, None),
    }
}

/// # Errors
/// If one is text that is no JSON, and may have been cut off.
fn put_bodies<'v>(object: &Object<'v, 'v>, event: &mut Tree<'v>) -> Result<(), Unclear> {
    for (key, path) in BODIES {
        let Some(body) = at(object, path).filter(|body| !is_nothing(*body)) else {
            continue;
        };
        let node = match body.into_string() {
            Some(text) if rewrite::is_json(text, &['{', '[']) => Node::Text(text),
            Some(_) => return Err(Unclear),
            None => Node::Value(body),
        };
        event.put(key, node)?;
    }
    Ok(())
}

/// # Errors
/// If what is unmapped is no object, nor stands under keys that are joined to its own.
fn put_unmapped<'v>(object: &Object<'v, 'v>, event: &mut Tree<'v>) -> Result<(), Unclear> {
    for (key, value) in object.iter() {
        let Some(path) = key.strip_prefix(UNMAPPED) else {
            continue;
        };
        match (path.strip_prefix('.'), value.as_object()) {
            (Some(path), _) => put_left(path, value, event)?,
            (None, Some(unmapped)) if path.is_empty() => {
                for (path, value) in unmapped.iter() {
                    put_left(path, value, event)?;
                }
            }
            (None, None) if path.is_empty() && !is_nothing(value) => return Err(Unclear),
            _ => {}
        }
    }
    Ok(())
}

/// Puts what was left of an event under `path`.
fn put_left<'v>(path: &'v str, value: Json<'v>, event: &mut Tree<'v>) -> Result<(), Unclear> {
    let head = path.split(['.', '[']).next().unwrap_or_default();
    if !Event::FIELDS.contains(&head) {
        return Ok(());
    }
    match value.as_object().filter(|_| DIVIDED.contains(&path)) {
        Some(parts) => {
            let mut parts = parts.iter();
            parts.try_for_each(|(key, value)| event.put_rest(&[path, key], value))
        }
        None => event.put_rest(&[path], value),
    }
}

fn is_nothing(value: Json<'_>) -> bool {
    value.is_null() || value.into_string() == Some("")
}
