//! Events of EKS as Microsoft Sentinel's connector keeps them, in S3 and in its table `AWSEKSLogs_CL` (github.com/Azure/Azure-Sentinel,
//! `Solutions/AWS EKS`): who and what are texts, and neither the path nor the subresource is left.

use simd_json::{prelude::*, tape::Object};

use super::{
    Unclear,
    flattened::{Node, Tree},
};
use crate::{audit::Json, record::rewrite};

/// The fields of an event, and where they are.
const FIELDS: [(&str, &[&str]); 7] = [
    ("verb", &["Verb"]),
    ("stage", &["Stage"]),
    ("sourceIPs", &["SourceIPs"]),
    ("userAgent", &["UserAgent"]),
    ("user.username", &["User"]),
    ("requestReceivedTimestamp", &["date", "TimeGenerated"]),
    ("responseStatus.code", &["ResponseCode"]),
];

/// What is there in each record, beside the verb.
const KEYS: [&str; 4] = ["User", "ObjectRef", "ResponseCode", "AuthDecision"];

/// The event that became `record`; `None` if none did.
pub fn event(record: &Object<'_, '_>) -> Option<Result<Vec<u8>, Unclear>> {
    let text = |key: &str| record.get(key).and_then(|value| value.into_string());
    let is_one = text("Verb").is_some() && KEYS.iter().all(|key| record.get(*key).is_some());
    is_one.then(|| {
        let mut event = Tree::default();
        event.put("kind", Node::Word("Event".into()))?;
        event.put("apiVersion", Node::Word("audit.k8s.io/v1".into()))?;
        for (path, keys) in FIELDS {
            let mut values = keys.iter().filter_map(|key| record.get(*key));
            let value = values.find(|value| !value.is_null());
            if let Some(value) = value.filter(|value| is_told(*value)) {
                event.put(path, Node::Value(value))?;
            }
        }
        let object = text("ObjectRef").unwrap_or_default();
        match object.splitn(3, '/').collect::<Vec<_>>()[..] {
            [namespace, resource, name] => {
                event.put("objectRef.namespace", Node::Word(namespace.into()))?;
                event.put("objectRef.resource", Node::Word(resource.into()))?;
                event.put("objectRef.name", Node::Word(name.into()))?;
            }
            [resource, name] => {
                event.put("objectRef.resource", Node::Word(resource.into()))?;
                event.put("objectRef.name", Node::Word(name.into()))?;
            }
            _ => {}
        }
        if let Some(decision) = text("AuthDecision").filter(|decision| !decision.is_empty()) {
            let decision = Node::Word(decision.into());
            event.put_in("annotations", "authorization.k8s.io/decision", decision)?;
        }
        event.written()
    })
}

/// What an event did not have is empty, or zero.
fn is_told(value: Json<'_>) -> bool {
    let value = rewrite::single(value);
    value.as_u64() != Some(0) && !matches!(value.into_string(), Some("" | "0"))
}
