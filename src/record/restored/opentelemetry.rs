//! Entries of Google's that OpenTelemetry's collector spread over attributes (github.com/open-telemetry/opentelemetry-collector-contrib,
//! `extension/encoding/googlecloudlogentryencodingextension`). It drops the bodies.

use simd_json::{prelude::*, tape::Object};

use super::{
    Unclear,
    flattened::{Node, Tree},
};
use crate::record::{key::at, rewrite};

/// The fields of an entry, and where they are.
const FIELDS: [(&str, &[&str]); 14] = [
    ("insertId", &["log.record.uid"]),
    ("operation.id", &["gcp.operation.id"]),
    ("operation.first", &["gcp.operation.first"]),
    ("operation.last", &["gcp.operation.last"]),
    ("split.uid", &["gcp.split.uid"]),
    ("protoPayload.serviceName", &[SERVICE]),
    ("protoPayload.methodName", &[METHOD]),
    ("protoPayload.resourceName", &["gcp.audit.resource.name"]),
    (
        "protoPayload.authenticationInfo.principalEmail",
        &["user.email"],
    ),
    (
        "protoPayload.authenticationInfo.principalSubject",
        &["user.id"],
    ),
    (
        "protoPayload.authenticationInfo.authoritySelector",
        &["gcp.audit.authentication.authority_selector"],
    ),
    ("protoPayload.requestMetadata.callerIp", &["client.address"]),
    (
        "protoPayload.requestMetadata.callerSuppliedUserAgent",
        &["user_agent.original"],
    ),
    (
        "protoPayload.authorizationInfo",
        &["gcp.audit.authorization"],
    ),
];

const SERVICE: &str = "gcp.audit.service.name";
const METHOD: &str = "gcp.audit.method.name";

/// Of JSON-RPC, whatever the code is one of.
const STATUS: [(&str, &[&str]); 2] = [
    ("protoPayload.status.code", &["rpc.jsonrpc.error_code"]),
    (
        "protoPayload.status.message",
        &["rpc.jsonrpc.error_message"],
    ),
];

/// What stands before the name of each label.
const LABEL: &str = "gcp.label.";

/// The entry that became `attributes`; `None` if none did, or one of another service.
pub fn entry(attributes: &Object<'_, '_>) -> Option<Result<Vec<u8>, Unclear>> {
    let may_be_one = attributes.iter().any(|(key, _)| key.starts_with("gcp"));
    let text = |path| rewrite::single(at(attributes, path)?).into_string();
    let is_one = may_be_one && text(SERVICE) == Some("k8s.io") && text(METHOD).is_some();
    is_one.then(|| {
        let mut entry = Tree::default();
        entry.put_from(attributes, &FIELDS)?;
        entry.put_from(attributes, &STATUS)?;
        for (key, value) in attributes.iter() {
            if let Some(label) = key.strip_prefix(LABEL) {
                entry.put_in("labels", label, Node::Value(value))?;
            }
        }
        entry.written()
    })
}
