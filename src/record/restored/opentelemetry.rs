//! Entries of Google's that OpenTelemetry's collector spread over attributes (github.com/open-telemetry/opentelemetry-collector-contrib,
//! `extension/encoding/googlecloudlogentryencodingextension`). It drops the bodies.

use simd_json::{prelude::*, tape::Object};

use super::{
    Unclear,
    flattened::{Node, Tree, is_prefix},
};
use crate::{
    audit::Json,
    record::{key::at, rewrite},
};

/// The fields of an entry, and where they are. The status is that of JSON-RPC, whatever the code is one of.
const FIELDS: [(&str, &str); 16] = [
    ("insertId", "log.record.uid"),
    ("operation.id", "gcp.operation.id"),
    ("operation.first", "gcp.operation.first"),
    ("operation.last", "gcp.operation.last"),
    ("split.uid", "gcp.split.uid"),
    ("protoPayload.serviceName", SERVICE),
    ("protoPayload.methodName", METHOD),
    ("protoPayload.resourceName", "gcp.audit.resource.name"),
    (
        "protoPayload.authenticationInfo.principalEmail",
        "user.email",
    ),
    (
        "protoPayload.authenticationInfo.principalSubject",
        "user.id",
    ),
    (
        "protoPayload.authenticationInfo.authoritySelector",
        "gcp.audit.authentication.authority_selector",
    ),
    ("protoPayload.requestMetadata.callerIp", "client.address"),
    (
        "protoPayload.requestMetadata.callerSuppliedUserAgent",
        "user_agent.original",
    ),
    ("protoPayload.authorizationInfo", "gcp.audit.authorization"),
    ("protoPayload.status.code", "rpc.jsonrpc.error_code"),
    ("protoPayload.status.message", "rpc.jsonrpc.error_message"),
];

const SERVICE: &str = "gcp.audit.service.name";
const METHOD: &str = "gcp.audit.method.name";
const JOINED: &str = "gcp_audit_method_name";

/// What stands before the name of each label.
const LABEL: &str = "gcp.label.";

/// The entry that became `attributes`; `None` if none did, or one of another service.
pub fn entry(attributes: &Object<'_, '_>) -> Option<Result<Vec<u8>, Unclear>> {
    let spelling = Spelling::of(attributes)?;
    let value = |path: &str| spelling.at(attributes, path).map(rewrite::single);
    let service = value(SERVICE).and_then(|service| service.into_string());
    (service == Some("k8s.io")).then(|| {
        let mut entry = Tree::default();
        for (path, place) in FIELDS {
            if let Some(value) = value(place) {
                entry.put(path, Node::Value(value))?;
            }
        }
        for (key, value) in attributes.iter() {
            if let Some(label) = key.strip_prefix(LABEL) {
                entry.put_in("labels", label, Node::Value(value))?;
            }
        }
        entry.written()
    })
}

/// How the keys of attributes are written: nested or joined, perhaps behind a prefix, and perhaps with `_` for each dot, as Loki has them.
struct Spelling<'v> {
    prefix: &'v str,
    has_dots: bool,
}

impl<'v> Spelling<'v> {
    /// That of the method's name.
    fn of(attributes: &Object<'v, 'v>) -> Option<Self> {
        let mut keys = attributes.iter().map(|(key, _)| key);
        let of_key = keys.find_map(|key| {
            let dotted = key.strip_suffix(METHOD).map(|prefix| (prefix, true));
            let (prefix, has_dots) = dotted.or_else(|| Some((key.strip_suffix(JOINED)?, false)))?;
            is_prefix(prefix).then_some(Self { prefix, has_dots })
        });
        of_key.or_else(|| {
            let is_nested = attributes.iter().any(|(key, _)| key.starts_with("gcp"))
                && at(attributes, METHOD).is_some();
            is_nested.then_some(Self {
                prefix: "",
                has_dots: true,
            })
        })
    }

    fn at(&self, attributes: &Object<'v, 'v>, path: &str) -> Option<Json<'v>> {
        let path = match self.has_dots {
            true => path.to_owned(),
            false => path.replace('.', "_"),
        };
        at(attributes, &format!("{}{path}", self.prefix))
    }
}
