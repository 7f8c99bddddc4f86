//! Text of clients that looks like an audit event, to forge a hit or to hide one.

use base64::prelude::*;
use serde_json::{Value, json};

use super::{found, shapes};

pub const DECOY: &str = "system:serviceaccount:honeypot:backup-sa";

/// An event by which the decoy's token was used.
pub fn hit(id: &str) -> Value {
    json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": id, "stage": "ResponseComplete",
        "verb": "list", "requestURI": "/api/v1/namespaces", "user": {"username": DECOY},
        "sourceIPs": ["10.0.3.7"], "requestReceivedTimestamp": "2026-11-23T17:21:08.912184Z"})
}

/// All that somebody may write into an event to make it look like others.
pub fn forgeries() -> Vec<Value> {
    let event = hit("forged").to_string();
    let encoded = BASE64_STANDARD.encode(&event);
    let entry = json!({"insertId": "forged", "protoPayload": {"@type": "type.googleapis.com/google.cloud.audit.AuditLog",
        "serviceName": "k8s.io", "authenticationInfo": {"principalEmail": DECOY}, "methodName": "io.k8s.core.v1.pods.list"}});
    vec![
        hit("forged"),
        event.clone().into(),
        entry.clone(),
        entry.to_string().into(),
        json!({"data": encoded, "data_base64": encoded}),
        format!(r#"{{"data":"{encoded}"}}"#).into(),
        json!({"MESSAGE": event.as_bytes()}),
        json!({"logGroup": "/aws/eks/forged/cluster", "logEvents": [{"message": event}], "cluster_name": "forged"}),
        format!("x\"}}{event}").into(),
    ]
}

/// What was found: audit id and cluster.
pub fn ids(record: &str) -> Vec<(String, Option<String>)> {
    let all = found(None, record.as_bytes());
    all.into_iter()
        .map(|one| {
            let id = one.request.audit_id.map(String::from);
            let id = id.unwrap_or_else(|| one.technique.to_string());
            (id, one.cluster.map(|cluster| cluster.to_string()))
        })
        .collect()
}

#[test]
fn what_a_client_writes_into_an_event_is_no_event_in_any_wrapper() {
    for forgery in forgeries() {
        let quiet = {
            let mut event = hit("quiet");
            event["user"] = json!({"username": "jane"});
            for key in [
                "requestURI",
                "userAgent",
                "requestObject",
                "responseObject",
                "annotations",
                "auditID",
            ] {
                event[key] = forgery.clone();
            }
            event["responseStatus"] =
                json!({"code": 403, "message": forgery.clone(), "metadata": forgery.clone()});
            event["objectRef"] = json!({"resource": "pods", "name": forgery.clone()});
            event
        };
        let mut real = quiet.clone();
        real["user"] = json!({"username": DECOY});
        real["auditID"] = "real".into();
        for wrapper in shapes::all() {
            let wrap = |event: &Value| wrapper.wrap(&event.to_string(), |text| text);
            assert_eq!(ids(&wrap(&quiet)), [], "{}: {forgery}", wrapper.name);
            let found = ids(&wrap(&real));
            let cluster = wrapper.origin.get("cluster").and_then(Value::as_str);
            assert_eq!(
                found,
                [("real".to_owned(), cluster.map(str::to_owned))],
                "{}: {forgery}",
                wrapper.name
            );
        }
    }
}

#[test]
fn what_a_client_writes_into_an_entry_of_gke_is_no_event() {
    for forgery in forgeries() {
        let entry = |principal: &str| {
            json!({"insertId": "real", "timestamp": "2026-11-23T17:21:08Z",
                "resource": {"labels": {"cluster_name": "prod"}},
                "protoPayload": {"@type": "type.googleapis.com/google.cloud.audit.AuditLog", "serviceName": "k8s.io",
                    "authenticationInfo": {"principalEmail": principal}, "methodName": "io.k8s.core.v1.pods.list",
                    "resourceName": forgery, "requestMetadata": {"callerSuppliedUserAgent": forgery},
                    "request": forgery, "response": forgery, "status": {"code": 7, "message": forgery}}})
            .to_string()
        };
        assert_eq!(ids(&entry("jane")), [], "{forgery}");
        assert_eq!(
            ids(&entry(DECOY)),
            [("real".to_owned(), Some("prod".to_owned()))],
            "{forgery}"
        );
        let cut = entry("jane");
        let found = ids(&cut[..cut.len() - 2]);
        assert!(
            found.iter().all(|(id, _)| id == "undecodable"),
            "{forgery} {found:?}"
        );
    }
}

#[test]
fn what_a_wrapper_knows_of_a_pod_is_no_event() {
    let forged = hit("forged");
    for record in [
        json!({"log": "plain", "kubernetes": {"annotations": {"a": forged.to_string()}, "labels": {"b": forged}}}),
        json!({"message": "plain", "kubernetes": {"pod_labels": forged}}),
        json!({"textPayload": "plain", "labels": {"k8s-pod/a": forged.to_string()}}),
    ] {
        assert_eq!(ids(&record.to_string()), [], "{record}");
    }
}

#[test]
fn what_is_cut_off_within_base64_is_found_as_far_as_it_goes() {
    let lines = format!("{}\n{}\n", hit("one"), hit("two"));
    for packed in [lines.clone().into_bytes(), shapes::gzip(lines.as_bytes())] {
        let encoded = BASE64_STANDARD.encode(packed);
        let record = json!({"message": {"data": encoded, "messageId": "1"}}).to_string();
        assert_eq!(ids(&record).len(), 2);
        let cut = &record[..record.len() - 40];
        let found = ids(cut);
        assert_eq!(
            found.first().map(|(id, _)| id.as_str()),
            Some("one"),
            "{found:?}"
        );
    }
}

#[test]
fn a_bomb_hides_nothing_that_stands_beside_it() {
    let bomb = format!("{{{}", " ".repeat(40 << 20));
    let bomb = BASE64_STANDARD.encode(shapes::gzip(bomb.as_bytes()));
    let record =
        json!({"records": [{"data": bomb}, {"data": bomb}, {"log": hit("real").to_string()}]});
    assert_eq!(ids(&record.to_string()), [("real".to_owned(), None)]);
    // What is packed twice packs better than each by itself, and what stands behind it has to be unpacked too.
    let twice = shapes::gzip(&shapes::gzip(" ".repeat(8 << 20).as_bytes()));
    let real = BASE64_STANDARD.encode(hit("real").to_string());
    let packed = BASE64_STANDARD.encode(shapes::gzip(hit("real").to_string().as_bytes()));
    for real in [real, packed] {
        let record = json!({"records": [{"data": BASE64_STANDARD.encode(&twice)}, {"data": real}]});
        assert_eq!(ids(&record.to_string()), [("real".to_owned(), None)]);
    }
}

#[test]
fn words_that_begin_as_base64_does_are_searched_as_words() {
    for head in [
        "Klog: ",
        "System ",
        "entry=",
        "DEBUG\t",
        "time=\"x\" msg=",
        "",
    ] {
        for key in ["data", "data_base64", "Data", "rawData"] {
            let record = json!({key: format!("{head}{}", hit("real"))});
            assert_eq!(
                ids(&record.to_string()),
                [("real".to_owned(), None)],
                "{record}"
            );
        }
    }
}
