//! Entries of Google's that one of Elastic's integrations spread over fields of ECS (github.com/elastic/integrations,
//! `packages/gcp/data_stream/audit/elasticsearch/ingest_pipeline/default.yml`): who asked is the client's user, what for the action. What
//! has no place there stands under `gcp.audit`. Another, for Kubernetes (`packages/kubernetes`, `audit_logs`), gave what stands around
//! the payload the names that the API server has for it.

use simd_json::{prelude::*, tape::Object};

use super::{
    Unclear,
    flattened::{Node, Tree},
    kept,
};
use crate::{
    audit::{Json, gke},
    record::{key::at, rewrite},
};

const MODULE: &str = "gcp.audit.";

/// The fields of an entry, and where they are. Of several places the first counts that is there.
const FIELDS: [(&str, &[&str]); 13] = [
    ("insertId", &["event.id"]),
    ("timestamp", &["@timestamp"]),
    ("protoPayload.serviceName", &[SERVICE]),
    ("protoPayload.methodName", &[ACTION]),
    ("protoPayload.resourceName", &[RESOURCE_NAME]),
    (
        "protoPayload.authenticationInfo.principalEmail",
        &["client.user.email", "user.email"],
    ),
    (
        "protoPayload.authenticationInfo.principalSubject",
        &["client.user.id"],
    ),
    (
        "protoPayload.authenticationInfo.authoritySelector",
        &["gcp.audit.authentication_info.authority_selector"],
    ),
    ("protoPayload.requestMetadata.callerIp", &["source.ip"]),
    (
        "protoPayload.requestMetadata.callerSuppliedUserAgent",
        &["user_agent.original"],
    ),
    ("protoPayload.authorizationInfo", &[AUTHORIZATION]),
    ("protoPayload.status.code", &[STATUS]),
    ("protoPayload.status.message", &["gcp.audit.status.message"]),
];

const SERVICE: &str = "service.name";
const ACTION: &str = "event.action";
const STATUS: &str = "gcp.audit.status.code";
const AUTHORIZATION: &str = "gcp.audit.authorization_info";
const RESOURCE_NAME: &str = "gcp.audit.resource_name";

/// What the integration for Kubernetes renamed.
const RENAMED: [(&str, &[&str]); 5] = [
    ("insertId", &["auditID"]),
    ("timestamp", &["stageTimestamp"]),
    ("labels", &["annotations"]),
    ("operation", &["operation"]),
    ("protoPayload.status", &["responseStatus"]),
];

/// The bodies.
const BODIES: [&str; 2] = ["request", "response"];

/// The entry that became `object`; `None` if none did, or one of another service.
pub fn entry(object: &Object<'_, '_>) -> Option<Result<Vec<u8>, Unclear>> {
    let is_of_module = |(key, value): (&str, Json<'_>)| {
        key.starts_with(MODULE)
            || key == "gcp.audit"
            || key == "gcp" && value.get("audit").is_some()
    };
    let is_one = object.iter().any(is_of_module)
        && text(object, SERVICE) == Some("k8s.io")
        && text(object, ACTION).is_some();
    is_one.then(|| {
        if let Some(original) = original(object) {
            return Ok(original);
        }
        let path = path(object);
        let mut entry = Tree::default();
        entry.put_from(object, &FIELDS)?;
        if let Some(path) =
            path.filter(|_| at(object, RESOURCE_NAME).is_none() && !has_path(object))
        {
            entry.put("protoPayload.resourceName", Node::Word(path.into()))?;
        }
        // Of a request that succeeded there is no status.
        if text(object, "event.outcome") == Some("success") && at(object, STATUS).is_none() {
            entry.put("protoPayload.status", Node::Text("{}"))?;
        }
        put_bodies(object, &mut entry)?;
        entry.written()
    })
}

/// The entry of which `object` has the payload, and beside it what was renamed; `None` if nothing was.
pub fn renamed(object: &Object<'_, '_>) -> Option<Result<Vec<u8>, Unclear>> {
    let payload = object.get(gke::PAYLOADS[0])?.as_object()?;
    let is_renamed = ["auditID", "stageTimestamp", "responseStatus"];
    is_renamed
        .iter()
        .any(|key| object.get(*key).is_some())
        .then(|| {
            let mut entry = Tree::default();
            for (key, value) in payload.iter() {
                entry.put_below(gke::PAYLOADS[0], key, Node::Value(value))?;
            }
            entry.put_from(object, &RENAMED)?;
            entry.written()
        })
}

/// The entry, if it was kept as it came.
pub fn original(object: &Object<'_, '_>) -> Option<Vec<u8>> {
    kept(object, "event.original", &["\"protoPayload\""])
}

/// Whether the whole name of the resource stands where it was authorized.
fn has_path(object: &Object<'_, '_>) -> bool {
    let authorized = at(object, AUTHORIZATION).and_then(|all| all.get_idx(0)?.get("resource"));
    authorized.is_some_and(|path| path.is_str())
}

/// Puts the bodies, and the labels.
fn put_bodies<'v>(object: &Object<'v, 'v>, entry: &mut Tree<'v>) -> Result<(), Unclear> {
    let audit = at(object, "gcp.audit").and_then(|audit| audit.as_object());
    let nested = audit.iter().flat_map(|audit| audit.iter());
    let joined = object
        .iter()
        .filter_map(|(key, value)| Some((key.strip_prefix(MODULE)?, value)));
    for (key, value) in nested.chain(joined) {
        match key.split('.').next().unwrap_or_default() {
            head if BODIES.contains(&head) => {
                entry.put_below("protoPayload", key, Node::Value(value))?;
            }
            "labels" => entry.put(key, Node::Value(value))?,
            _ => {}
        }
    }
    Ok(())
}

/// The name of the resource, by what newer versions have in its place. The group is that of the method.
fn path(object: &Object<'_, '_>) -> Option<String> {
    let version = text(object, "orchestrator.api_version")?;
    let kind = text(object, "orchestrator.resource.type")?;
    let method = text(object, ACTION)?.strip_prefix("io.k8s.")?;
    let (group, _) = method.split_once(&format!(".{version}."))?;
    let namespace = text(object, "orchestrator.namespace");
    let namespace = namespace.map_or_else(String::new, |name| format!("namespaces/{name}/"));
    let name = text(object, "orchestrator.resource.name");
    let name = name.map_or_else(String::new, |name| format!("/{name}"));
    Some(format!("{group}/{version}/{namespace}{kind}{name}"))
}

/// What stands at `path`, or is the one item there.
fn text<'v>(object: &Object<'v, 'v>, path: &str) -> Option<&'v str> {
    rewrite::single(at(object, path)?).into_string()
}
