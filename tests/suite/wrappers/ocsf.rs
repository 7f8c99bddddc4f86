//! Events as API activities of OCSF, by each of the mappings that it has for EKS's.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{forged::hit, recorded, without_origin};
use crate::{
    recordings::decoy,
    soundness::{Scan, events, run_for},
};
use baitline::detect::{Detection, Detector, Technique};

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
        (Value::String(resource), Value::String(_)) if mapping == Nested => resource.into(),
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
        activity["src_endpoint"]["intermediate_ips"] = addresses[1].clone();
        activity["unmapped"] = rest;
    } else {
        let mut unmapped = BTreeMap::new();
        join("", &rest, &mut unmapped);
        activity["unmapped"] = json!(unmapped);
        activity["src_endpoint"]["intermediate_ips"].take();
    }
    activity
}

/// Detections of `record`, as the scan and as decoding finds them.
fn told(record: &Value) -> Vec<Detection> {
    let text = record.to_string();
    let [scanned, decoded] = [Detector::scan as Scan, Detector::decode_all]
        .map(|scan| run_for(scan, decoy("honeypot", "backup-sa", true), text.as_bytes()));
    assert_eq!(scanned, decoded, "{text}");
    scanned
}

fn techniques(record: &Value) -> Vec<Technique> {
    told(record).iter().map(|one| one.technique).collect()
}

#[test]
fn recorded_events_tell_the_same() {
    let mut count = 0;
    for line in recorded() {
        let event: Value = serde_json::from_str(&line).expect("the recording is JSON");
        let bare = without_origin(told(&event));
        for mapping in [Joined, Nested, Bodies] {
            let activity = mapped(&event, mapping);
            let told = without_origin(told(&activity));
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
            let wanted = match technique {
                // It cannot be told what stood together in the arrays of their bodies.
                Some(Technique::PrivilegeGrant) if mapping == Joined && is_list(&event) => {
                    Some(Technique::Undecodable)
                }
                technique => technique,
            };
            assert_eq!(
                techniques(&activity),
                Vec::from_iter(wanted),
                "{mapping:?} {activity}\n{event}"
            );
        }
    }
}

/// Whether more than one subject stands in the body of `event`, or a patch.
fn is_list(event: &Value) -> bool {
    let body = &event["requestObject"];
    let subjects = body["subjects"].as_array().or(body.as_array());
    subjects.is_some_and(|subjects| subjects.len() > 1)
}

#[test]
fn no_commas_of_a_client_hide_a_subject() {
    let subject = |kind: &str, name: &str, namespace: Value| {
        let mut subject = json!({"kind": kind, "name": name});
        if !namespace.is_null() {
            subject["namespace"] = namespace;
        }
        subject
    };
    let decoy = || subject("ServiceAccount", "backup-sa", json!("honeypot"));
    let binding = |body: Value| {
        json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "1", "verb": "patch", "requestURI": "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings",
            "user": {"username": "jane"}, "objectRef": {"resource": "rolebindings", "namespace": "shop", "name": "x", "apiGroup": "rbac.authorization.k8s.io"},
            "requestObject": body})
    };
    let patch = |path: &str| json!([{"op": "add", "path": path, "value": "x"}, {"op": "add", "path": "/subjects/-", "value": decoy()}]);
    for (body, told) in [
        (json!({"subjects": [decoy()]}), Technique::PrivilegeGrant),
        (
            json!({"subjects": [subject("User", "a", json!("p,q")), decoy()]}),
            Technique::Undecodable,
        ),
        (
            json!({"subjects": [subject("User", "a,b", Value::Null), decoy()]}),
            Technique::Undecodable,
        ),
        (
            json!({"subjects": [decoy(), subject("ServiceAccount", "a", json!("b"))]}),
            Technique::Undecodable,
        ),
        (patch("/metadata/labels/a,b"), Technique::Undecodable),
    ] {
        let event = binding(body);
        assert_eq!(techniques(&mapped(&event, Joined)), [told], "{event}");
        for mapping in [Nested, Bodies] {
            let activity = mapped(&event, mapping);
            assert_eq!(
                techniques(&activity),
                [Technique::PrivilegeGrant],
                "{activity}"
            );
        }
    }
}

#[test]
fn of_addresses_that_may_lack_the_last_none_is_believed() {
    let mut event = hit("1");
    for (addresses, last) in [
        (json!(["10.0.0.9"]), [Some("10.0.0.9"); 3]),
        (
            json!(["6.6.6.6", "10.0.0.9"]),
            [Some("10.0.0.9"), None, Some("10.0.0.9")],
        ),
        (
            json!(["6.6.6.6", "7.7.7.7", "10.0.0.9"]),
            [Some("10.0.0.9"), None, Some("10.0.0.9")],
        ),
    ] {
        event["sourceIPs"] = addresses;
        for (mapping, last) in [Joined, Nested, Bodies].into_iter().zip(last) {
            let all = told(&mapped(&event, mapping));
            assert_eq!(all[0].source_ip.as_deref(), last, "{mapping:?} {event}");
        }
    }
}

#[test]
fn parts_of_it_may_be_text_or_have_joined_keys() {
    let mut event = hit("1");
    event["user"]["username"] = "jane".into();
    event["impersonatedUser"] = json!({"username": DECOY});
    for mapping in [Joined, Nested, Bodies] {
        let activity = mapped(&event, mapping);
        assert_eq!(
            techniques(&activity),
            [Technique::Impersonation],
            "{activity}"
        );
        let (mut text, mut joined, mut other) = (activity.clone(), activity.clone(), activity);
        for (_, part) in text.as_object_mut().expect("an activity") {
            if part.is_object() || part.is_array() {
                *part = part.to_string().into();
            }
        }
        assert_eq!(techniques(&text), [Technique::Impersonation], "{text}");
        let unmapped = joined["unmapped"].take();
        for (key, value) in unmapped.as_object().expect("it was put there") {
            joined[format!("unmapped.{key}")] = value.clone();
        }
        joined["metadata.product.version"] = "audit.k8s.io/v1".into();
        joined["metadata"].take();
        assert_eq!(techniques(&joined), [Technique::Impersonation], "{joined}");
        other["unmapped"] = json!([{"name": "impersonatedUser.username", "value": DECOY}]);
        assert_eq!(techniques(&other), [Technique::Undecodable], "{other}");
    }
}

#[test]
fn a_body_that_was_cut_hides_nothing() {
    let mut event = hit("1");
    event["user"]["username"] = "jane".into();
    event["objectRef"] = json!({"resource": "rolebindings", "namespace": "shop", "name": "x"});
    event["verb"] = "create".into();
    event["requestObject"] = json!({"subjects": [{"kind": "ServiceAccount", "name": "backup-sa", "namespace": "honeypot"}], "z": 1});
    let mut activity = mapped(&event, Bodies);
    let text = activity["api"]["request"]["data"].take();
    let text = text.as_str().expect("it is text");
    for (body, technique) in [
        (json!(text), Technique::PrivilegeGrant),
        (event["requestObject"].clone(), Technique::PrivilegeGrant),
        (json!(text[..text.len() - 3]), Technique::Undecodable),
    ] {
        activity["api"]["request"]["data"] = body;
        assert_eq!(techniques(&activity), [technique], "{activity}");
    }
}

/// As a published example of EKS's mapping is, with a comma too many.
#[test]
fn one_that_cannot_be_read_is_undecodable() {
    let text = mapped(&hit("1"), Nested).to_string();
    let marked = text.find("class_uid").expect("it has one") + 16;
    for text in [
        text.replacen("},", ",},", 1),
        text[..text.len() - 1].to_owned(),
        text[..marked].to_owned(),
    ] {
        let found = run_for(
            Detector::scan,
            decoy("honeypot", "backup-sa", true),
            text.as_bytes(),
        );
        let found: Vec<_> = found.iter().map(|one| one.technique).collect();
        assert_eq!(found, [Technique::Undecodable], "{text}");
    }
}

#[test]
fn many_keys_take_no_longer_than_their_length() {
    let mut activity = mapped(&hit("1"), Joined);
    for key in 0..1 << 17 {
        activity["unmapped"][format!("requestObject.data.a{key}")] = "b".into();
    }
    assert_eq!(techniques(&activity), [Technique::TokenUse]);
}

#[test]
fn activities_of_other_classes_and_products_are_none() {
    let activity = mapped(&hit("1"), Joined);
    for (key, value) in [
        ("class_uid", json!(2004)),
        ("metadata", json!({"product": {"name": "CloudTrail"}})),
    ] {
        let mut other = activity.clone();
        other[key] = value;
        assert_eq!(techniques(&other), [], "{other}");
    }
    let mut same = activity;
    same["class_uid"] = "6003".into();
    assert_eq!(techniques(&same), [Technique::TokenUse]);
}

#[test]
fn the_cluster_and_the_region_are_its_origin() {
    let event = json!({"auditID": "1", "verb": "list", "requestURI": "/api/v1/pods", "user": {"username": DECOY}});
    let mut activity = mapped(&event, Joined);
    activity["unmapped"]["eks_cluster_name"] = "prod".into();
    let told = told(&activity);
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
    activity["raw_data"] = json!({"detail": "moved"}).to_string().into();
    let mut own = mapped(&whole, Bodies);
    own["raw_data"] = activity["raw_data"].take();
    assert_eq!(techniques(&own), [Technique::TokenUse]);
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
