//! Joined keys with notations of their own for the items of arrays: Splunk's `{}`, LogScale's `[0]`, text, and none, as in the answers of
//! Elasticsearch.

use std::collections::BTreeMap;

use baitline::detect::Technique;
use serde_json::{Map, Value, json};

use super::{
    forged::{DECOY, forgeries, hit},
    found, without_origin,
};
use crate::soundness::events;

/// The values at the end of each path; `step` writes what leads to an item.
fn leaves(
    path: &str,
    value: &Value,
    step: &dyn Fn(usize) -> String,
    out: &mut BTreeMap<String, Vec<Value>>,
) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, inner)| {
            let dot = if path.is_empty() || path.ends_with('.') {
                ""
            } else {
                "."
            };
            leaves(&format!("{path}{dot}{key}"), inner, step, out);
        }),
        Value::Array(items) => items.iter().enumerate().for_each(|(index, inner)| {
            leaves(&format!("{path}{}", step(index)), inner, step, out);
        }),
        scalar => out.entry(path.to_owned()).or_default().push(scalar.clone()),
    }
}

fn written(
    prefix: &str,
    event: &Value,
    step: &dyn Fn(usize) -> String,
    is_always_array: bool,
) -> Value {
    let mut out = BTreeMap::new();
    leaves(prefix, event, step, &mut out);
    let value = |mut values: Vec<Value>| match (values.len(), is_always_array) {
        (1, false) => values.remove(0),
        _ => Value::Array(values),
    };
    let fields: Map<String, Value> = out
        .into_iter()
        .map(|(path, values)| (path, value(values)))
        .collect();
    Value::Object(fields)
}

fn splunk(event: &Value) -> Value {
    json!({"preview": false, "result": written("", event, &|_| "{}".to_owned(), false)})
}

fn logscale(event: &Value) -> Value {
    written("", event, &|index| format!("[{index}]"), false)
}

fn elasticsearch(event: &Value) -> Value {
    json!({"hits": {"hits": [{"_id": "1", "fields": written("kubernetes.audit.", event, &|_| String::new(), true)}]}})
}

/// With arrays as text.
fn text(event: &Value) -> Value {
    fn write(path: &str, value: &Value, out: &mut Map<String, Value>) {
        match value {
            Value::Object(fields) => fields
                .iter()
                .for_each(|(key, inner)| write(&format!("{path}.{key}"), inner, out)),
            Value::Array(_) => {
                out.insert(path[1..].to_owned(), value.to_string().into());
            }
            scalar => {
                out.insert(path[1..].to_owned(), scalar.clone());
            }
        }
    }
    let mut out = Map::new();
    write("", event, &mut out);
    Value::Object(out)
}

const NOTATIONS: [fn(&Value) -> Value; 4] = [splunk, logscale, elasticsearch, text];

fn techniques(record: &Value) -> Vec<Technique> {
    let all = found(None, record.to_string().as_bytes());
    all.iter().map(|one| one.technique).collect()
}

#[test]
fn every_technique_is_found_however_arrays_are_written() {
    for (event, technique) in events(("honeypot", "backup-sa"), true, &str::to_owned) {
        // A patch is an array at the top of a body, which has no key.
        let is_patch = event["requestObject"].is_array();
        for notation in NOTATIONS {
            let record = notation(&event);
            let wanted: Vec<_> = technique.into_iter().collect();
            let found = techniques(&record);
            let is_doubtful = is_patch && found == [Technique::Undecodable];
            assert!(
                found == wanted || is_doubtful,
                "{found:?} {wanted:?} {record}"
            );
        }
    }
}

#[test]
fn addresses_groups_and_credentials_are_read_however_arrays_are_written() {
    for groups in [json!(["a"]), json!(["a", "b", "c"])] {
        for ips in [json!(["1.1.1.1"]), json!(["1.1.1.1", "2.2.2.2"])] {
            let event = json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "1", "verb": "list", "stage": "ResponseComplete",
                "user": {"username": DECOY, "groups": groups, "extra": {"authentication.kubernetes.io/credential-id": ["JTI=1"],
                    "authentication.kubernetes.io/pod-name": ["p"]}},
                "impersonatedUser": {"username": "jane", "groups": groups}, "sourceIPs": ips,
                "requestReceivedTimestamp": "2026-11-23T17:21:08.912184Z"});
            let bare = found(None, event.to_string().as_bytes());
            assert_eq!(bare[0].actor.credential_id.as_deref(), Some("JTI=1"));
            for notation in NOTATIONS {
                let record = notation(&event);
                let told = without_origin(found(None, record.to_string().as_bytes()));
                assert_eq!(told, without_origin(bare.clone()), "{record}");
            }
        }
    }
}

/// An update by which `subjects` get a role.
fn binding(subjects: Value) -> Value {
    json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "1", "verb": "update", "user": {"username": "jane"},
        "objectRef": {"resource": "rolebindings", "namespace": "shop", "name": "b", "apiGroup": "rbac.authorization.k8s.io"},
        "requestObject": {"kind": "RoleBinding", "subjects": subjects}})
}

#[test]
fn items_of_a_list_are_put_together_as_they_were() {
    let own = json!({"kind": "ServiceAccount", "name": "backup-sa", "namespace": "honeypot"});
    let other = json!({"kind": "ServiceAccount", "name": "x", "namespace": "shop"});
    let namesake = json!({"kind": "ServiceAccount", "name": "backup-sa", "namespace": "shop"});
    let user = json!({"kind": "User", "name": "honeypot"});
    for (subjects, wanted) in [
        (json!([own]), &[Technique::PrivilegeGrant][..]),
        (json!([other, own]), &[Technique::PrivilegeGrant]),
        (json!([own, other, namesake]), &[Technique::PrivilegeGrant]),
        (
            json!([namesake, {"kind": "ServiceAccount", "name": "x", "namespace": "honeypot"}]),
            &[],
        ),
    ] {
        for notation in NOTATIONS {
            let record = notation(&binding(subjects.clone()));
            assert_eq!(techniques(&record), wanted, "{record}");
        }
    }
    // Some have nothing under a key: which, their lists do not tell.
    for (subjects, wanted) in [
        (json!([user, own]), Technique::PrivilegeGrant),
        (json!([own, user, other]), Technique::PrivilegeGrant),
    ] {
        for notation in NOTATIONS {
            let record = notation(&binding(subjects.clone()));
            let found = techniques(&record);
            assert!(
                found == [wanted] || found == [Technique::Undecodable],
                "{found:?} {record}"
            );
        }
    }
}

#[test]
fn lists_within_lists_hide_no_secret() {
    let pod = |spec: Value| {
        json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "1", "verb": "create", "user": {"username": "jane"},
            "objectRef": {"resource": "pods", "namespace": "honeypot"},
            "requestObject": {"kind": "Pod", "metadata": {"name": "x"}, "spec": spec}})
    };
    let secret = |key: &str| json!({"name": "A", "valueFrom": {"secretKeyRef": {"name": "backup-sa-token", "key": key}}});
    for spec in [
        json!({"volumes": [{"name": "a", "emptyDir": {"medium": "x"}}, {"name": "b", "secret": {"secretName": "backup-sa-token"}}]}),
        json!({"containers": [{"name": "a"}, {"name": "b", "env": [{"name": "B", "value": "1"}, secret("k")]}]}),
        json!({"containers": [{"name": "a", "env": [secret("k")]}, {"name": "b", "env": [secret("l")]}]}),
        json!({"volumes": [{"name": "a", "projected": {"sources": [{"configMap": {"name": "c"}}, {"secret": {"name": "backup-sa-token"}}]}}]}),
    ] {
        for notation in NOTATIONS {
            let record = notation(&pod(spec.clone()));
            let found = techniques(&record);
            let is_told = matches!(found[..], [Technique::PodAsDecoy | Technique::Undecodable]);
            assert!(is_told, "{found:?} {record}");
        }
    }
}

/// What the API server ignores in a merge patch does not make a JSON patch of it, in which other things count.
#[test]
fn an_object_that_poses_as_a_patch_hides_nothing() {
    let spec = json!({"spec": {"serviceAccountName": "backup-sa"}});
    for more in [
        json!({"op": "x", "path": "y"}),
        json!({"op": "add", "path": "/x", "value": 1}),
    ] {
        let mut body = spec.clone();
        body.as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("an object").clone());
        let event = json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "1", "verb": "patch", "user": {"username": "jane"},
            "objectRef": {"resource": "deployments", "namespace": "honeypot", "name": "x", "apiGroup": "apps"},
            "requestObject": {"op": "x", "path": "y", "spec": {"template": spec}}});
        for notation in NOTATIONS {
            let record = notation(&event);
            let found = techniques(&record);
            let is_told = matches!(found[..], [Technique::PodAsDecoy | Technique::Undecodable]);
            assert!(is_told, "{found:?} {record}");
        }
        let pod = json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "1", "verb": "create", "user": {"username": "jane"},
            "objectRef": {"resource": "pods", "namespace": "honeypot", "name": "x"}, "requestObject": body});
        for notation in NOTATIONS {
            let record = notation(&pod);
            let found = techniques(&record);
            let is_told = matches!(found[..], [Technique::PodAsDecoy | Technique::Undecodable]);
            assert!(is_told, "{found:?} {record}");
        }
    }
}

/// A client may send a patch with keys of its own in it, which the API server ignores and its log has.
#[test]
fn keys_that_look_like_items_hide_no_item() {
    let own = json!({"kind": "ServiceAccount", "name": "backup-sa", "namespace": "honeypot"});
    let other = json!({"kind": "User", "name": "x", "namespace": "y"});
    for key in [
        "subjects{}",
        "subjects[0]",
        "subjects[1]",
        "{}",
        "subjects.kind",
        "[0]",
        "0",
    ] {
        for value in [other.clone(), json!("x"), json!([]), json!([other])] {
            let mut event = binding(json!([own]));
            event["verb"] = "patch".into();
            event["requestObject"][key] = value;
            for notation in NOTATIONS {
                let record = notation(&event);
                let found = techniques(&record);
                let is_told = matches!(
                    found[..],
                    [Technique::PrivilegeGrant | Technique::Undecodable]
                );
                assert!(is_told, "{found:?} {record}");
            }
        }
    }
}

#[test]
fn what_a_client_writes_is_no_event_however_arrays_are_written() {
    for forgery in forgeries() {
        let mut event = hit("quiet");
        event["user"] = json!({"username": "jane", "extra": {"a": [forgery.to_string()]}});
        for key in ["userAgent", "requestURI"] {
            event[key] = forgery.to_string().into();
        }
        for key in ["requestObject", "responseObject"] {
            event[key] = json!({"data": {"a": forgery.to_string()}, "subjects": [forgery], "b{}": forgery, "c[0].auditID": forgery,
                "items": forgery.to_string(), "[0]": {"user": {"username": DECOY}}, "user{}.username": DECOY});
        }
        for notation in NOTATIONS {
            let record = notation(&event);
            let found = techniques(&record);
            assert!(
                found.iter().all(|one| *one == Technique::Undecodable),
                "{found:?} {record}"
            );
        }
    }
    for key in [
        "requestURI{}",
        "userAgent[0]",
        "requestObject{}",
        "requestObject[0]",
        "annotations{}",
    ] {
        let mut event = json!({"auditID": "1", "verb": "list", "user.username": "jane"});
        event[key] = hit("forged").to_string().into();
        event[format!("{key}.user.username")] = DECOY.into();
        let found = techniques(&event);
        assert!(
            found.iter().all(|one| *one == Technique::Undecodable),
            "{found:?} {event}"
        );
    }
}

#[test]
fn brackets_that_are_no_index_are_a_part_of_the_key() {
    let brackets = "[0]".repeat(10_000);
    for key in [
        "subjects[",
        "subjects[x]",
        "subjects[]",
        "[",
        "[0",
        "{}{}",
        &brackets,
    ] {
        let mut event = json!({"auditID": "1", "verb": "list", "user.username": DECOY});
        event[format!("requestObject.{key}.name")] = "x".into();
        event[format!("requestObject.{key}")] = json!([]);
        let found = techniques(&event);
        assert!(
            matches!(found[..], [Technique::TokenUse | Technique::Undecodable]),
            "{found:?} {event}"
        );
    }
}
