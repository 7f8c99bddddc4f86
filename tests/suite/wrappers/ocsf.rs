//! Events as API activities of OCSF, by each of the mappings that it has for EKS's.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{found, recorded, without_origin};
use crate::soundness::events;
use baitline::detect::{Detection, Technique};

const DECOY: &str = "system:serviceaccount:honeypot:backup-sa";

/// How what has no place is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mapping {
    /// With joined keys, as of OCSF 1.1.
    Joined,
    /// As it was, as of 1.2.
    Nested,
    /// With joined keys, but for bodies, which are text, as of 1.5.
    Bodies,
}

use Mapping::{Bodies, Joined, Nested};

/// Takes what stands at `path` out of `event`.
fn take(event: &mut Value, path: &[&str]) -> Value {
    let [outer @ .., last] = path else {
        return Value::Null;
    };
    let object = outer
        .iter()
        .try_fold(event, |value, key| value.get_mut(key));
    let object = object.and_then(Value::as_object_mut);
    object
        .and_then(|object| object.remove(*last))
        .unwrap_or_default()
}

/// The scalars in `value` under all keys on the way to them, those of one key with commas between them.
fn join(path: &str, value: &Value, out: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => {
            let before = if path.is_empty() { "" } else { "." };
            for (key, inner) in fields {
                join(&format!("{path}{before}{key}"), inner, out);
            }
        }
        Value::Array(items) => {
            for item in items {
                join(&format!("{path}[]"), item, out);
            }
        }
        Value::Null => {}
        scalar => {
            let text = scalar
                .as_str()
                .map_or_else(|| scalar.to_string(), str::to_owned);
            let known = out.entry(path.to_owned()).or_default();
            *known = match known.as_str() {
                "" => text,
                known => format!("{known},{text}"),
            };
        }
    }
}

fn mapped(event: &Value, mapping: Mapping) -> Value {
    let mut rest = event.clone();
    let addresses = rest["sourceIPs"].clone();
    let is_told = |inner: &str| {
        let uri = event["requestURI"].as_str();
        uri.is_some_and(|uri| uri.contains(&format!("/{inner}")))
    };
    let mut take = |path: &str| take(&mut rest, &path.split('.').collect::<Vec<_>>());
    let groups = take("user.groups");
    let groups: Vec<Value> = groups
        .as_array()
        .into_iter()
        .flatten()
        .map(|name| json!({"name": name}))
        .collect();
    let kind = match (take("objectRef.resource"), take("objectRef.subresource")) {
        // By nothing only where the path tells them apart.
        (Value::String(resource), Value::String(inner))
            if mapping == Bodies || !is_told(&inner) =>
        {
            format!("{resource}/{inner}").into()
        }
        (Value::String(resource), Value::String(inner)) => format!("{resource}{inner}").into(),
        (resource, _) => resource,
    };
    let resource = json!({"type": kind, "namespace": take("objectRef.namespace"), "name": take("objectRef.name"), "uid": take("objectRef.uid")});
    let (body, answer) = match mapping {
        Bodies => (take("requestObject"), take("responseObject")),
        _ => (Value::Null, Value::Null),
    };
    let text = |body: Value| {
        if body.is_null() {
            body
        } else {
            body.to_string().into()
        }
    };
    let mut activity = json!({
        "class_uid": 6003, "class_name": "API Activity", "activity_id": 1, "cloud": {"provider": "AWS", "region": "eu-west-1"},
        "metadata": {"log_level": take("level"), "version": "1.1.0", "profiles": ["cloud"], "product": {"name": "Amazon EKS", "vendor_name": "AWS",
            "version": take("apiVersion"), "feature": {"name": "Elastic Kubernetes Service"}}},
        "actor": {"user": {"name": take("user.username"), "uid": take("user.uid"), "groups": groups}, "session": {"uid": "i-1"}},
        "api": {"operation": take("verb"), "version": take("objectRef.apiVersion"), "group": {"name": take("objectRef.apiGroup")},
            "request": {"uid": take("auditID"), "data": text(body)},
            "response": {"code": take("responseStatus.code"), "message": take("responseStatus.message"),
                "error": take("responseStatus.reason"), "error_message": take("responseStatus.status"), "data": text(answer)}},
        "http_request": {"url": {"path": take("requestURI")}, "user_agent": take("userAgent")},
        "message": take("stage"), "resources": [resource], "severity_id": 1,
        "src_endpoint": {"ip": addresses[0], "intermediate_ips": addresses.as_array().and_then(|all| all.get(1..))},
        "start_time_dt": take("requestReceivedTimestamp"), "time_dt": take("stageTimestamp"), "time": 1_795_454_468_912_u64,
    });
    if mapping == Nested {
        take("sourceIPs");
        activity["unmapped"] = rest;
    } else {
        let mut unmapped = BTreeMap::new();
        join("", &rest, &mut unmapped);
        activity["unmapped"] = unmapped
            .into_iter()
            .map(|(key, text)| (key, text.into()))
            .collect::<Map<_, Value>>()
            .into();
        activity["src_endpoint"]["intermediate_ips"].take();
    }
    activity
}

fn techniques(record: &Value) -> Vec<Technique> {
    let all = found(None, record.to_string().as_bytes());
    all.iter().map(|one| one.technique).collect()
}

#[test]
fn recorded_events_tell_the_same() {
    let mut count = 0;
    for line in recorded() {
        let event: Value = serde_json::from_str(&line).expect("the recording is JSON");
        let bare: Vec<Detection> = without_origin(found(None, line.as_bytes()));
        for mapping in [Joined, Nested, Bodies] {
            let activity = mapped(&event, mapping);
            let told = without_origin(found(None, activity.to_string().as_bytes()));
            assert_eq!(told, bare, "{mapping:?} {activity}");
        }
        count += bare.len();
    }
    assert!(count > 10, "{count}");
}

#[test]
fn each_technique_is_told() {
    for (event, technique) in events(("honeypot", "backup-sa"), true, &str::to_owned) {
        for mapping in [Joined, Nested, Bodies] {
            let activity = mapped(&event, mapping);
            let told = techniques(&activity);
            match mapping {
                // Of arrays in bodies it may not be known what stood together.
                Joined if told == [Technique::Undecodable] => {}
                _ => assert_eq!(
                    told,
                    Vec::from_iter(technique),
                    "{mapping:?} {activity}\n{event}"
                ),
            }
        }
    }
}

#[test]
fn the_cluster_and_the_region_are_its_origin() {
    let event = json!({"auditID": "1", "verb": "list", "requestURI": "/api/v1/pods", "user": {"username": DECOY}});
    let mut activity = mapped(&event, Joined);
    activity["unmapped"]["eks_cluster_name"] = "prod".into();
    let told = found(None, activity.to_string().as_bytes());
    assert_eq!(told[0].cluster.as_deref(), Some("prod"));
    assert_eq!(told[0].origin.region.as_deref(), Some("eu-west-1"));
}

#[test]
fn what_it_was_made_of_counts_more() {
    let event = json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "1", "verb": "list", "user": {"username": "jane"}});
    let mut activity = mapped(&event, Bodies);
    assert_eq!(techniques(&activity), []);
    let whole = json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "1", "verb": "list", "user": {"username": DECOY}});
    activity["raw_data"] = whole.to_string().into();
    assert_eq!(techniques(&activity), [Technique::TokenUse]);
    activity["raw_data"] = Value::Null;
    for path in [
        "/http_request/user_agent",
        "/http_request/url/path",
        "/api/response/message",
        "/api/request/data",
    ] {
        let mut activity = activity.clone();
        *activity.pointer_mut(path).expect("it is there") = whole.to_string().into();
        assert_eq!(techniques(&activity), [], "{activity}");
    }
}

#[test]
fn what_tells_too_little_is_undecodable() {
    let event = json!({"auditID": "1", "verb": "list", "requestURI": "/api/v1/pods", "user": {"username": DECOY}});
    for mapping in [Joined, Nested, Bodies] {
        let mut activity = mapped(&event, mapping);
        activity["unmapped"]["kind"] = "Event".into();
        activity["unmapped"]["apiVersion"] = "audit.k8s.io/v1".into();
        assert_eq!(techniques(&activity), [Technique::TokenUse], "{activity}");
        activity["metadata"]["product"]["version"].take();
        assert_eq!(techniques(&activity), [Technique::TokenUse], "{activity}");
        let user = activity["actor"]["user"]["name"].take();
        activity["actor"]["user"]["full_name"] = user;
        assert_eq!(
            techniques(&activity),
            [Technique::Undecodable],
            "{activity}"
        );
        activity["metadata"]["product"] = json!({"name": "CloudTrail"});
        activity["unmapped"].take();
        assert_eq!(techniques(&activity), [], "{activity}");
    }
}
