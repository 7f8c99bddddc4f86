//! Recorded events as GKE logs them.

use baitline::detect::{Class, Detection, Technique};
use serde_json::{Value, json};

use super::{found, without_origin};
use crate::recordings::recording;

/// The entry that GKE would have written for a request, from the event of its end: see `src/audit/gke.rs` for the sources.
fn entry(event: &Value) -> Value {
    let object = &event["objectRef"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (group, version) = (text(&object["apiGroup"]), text(&object["apiVersion"]));
    let group = if group.is_empty() {
        "core".to_owned()
    } else {
        group
    };
    let dotted = match group.as_str() {
        "rbac.authorization.k8s.io" => "authorization.rbac",
        other => other.strip_suffix(".k8s.io").unwrap_or(other),
    };
    let (resource, name) = (text(&object["resource"]), text(&object["name"]));
    let (subresource, namespace) = (text(&object["subresource"]), text(&object["namespace"]));
    let mut method = format!("io.k8s.{dotted}.{version}.{resource}");
    let mut path = format!("{group}/{version}");
    if !namespace.is_empty() {
        path += &format!("/namespaces/{namespace}");
    }
    if resource != "namespaces" || name != namespace {
        path += &format!("/{resource}");
        if !name.is_empty() {
            path += &format!("/{name}");
        }
    }
    if !subresource.is_empty() {
        path += &format!("/{subresource}");
        method += &format!(".{subresource}");
    }
    if let Some((_, below)) = text(&event["requestURI"]).split_once("/proxy/") {
        path += &format!("/{}", below.split('?').next().unwrap_or_default());
    }
    if resource.is_empty() {
        path = text(&event["requestURI"]);
    }
    let permission = format!("{method}.{}", text(&event["verb"]));
    let code = event["responseStatus"]["code"].as_u64().unwrap_or(200);
    let status = match code {
        403 => json!({"code": 7, "message": event["responseStatus"]["message"]}),
        404 => json!({"code": 5, "message": event["responseStatus"]["message"]}),
        409 => json!({"code": 6}),
        400.. => json!({"code": 3}),
        _ => json!({}),
    };
    let is_allowed = event["annotations"]["authorization.k8s.io/decision"] != "forbid";
    let source = event["sourceIPs"].as_array().and_then(|all| all.last());
    json!({
        "insertId": event["auditID"], "logName": "projects/p-1/logs/cloudaudit.googleapis.com%2Factivity",
        "timestamp": event["requestReceivedTimestamp"], "receiveTimestamp": event["stageTimestamp"],
        "labels": event["annotations"],
        "operation": {"id": event["auditID"], "producer": "k8s.io", "first": true, "last": true},
        "resource": {"type": "k8s_cluster", "labels": {"cluster_name": "prod", "location": "europe-west1", "project_id": "p-1"}},
        "protoPayload": {
            "@type": "type.googleapis.com/google.cloud.audit.AuditLog", "serviceName": "k8s.io",
            "authenticationInfo": {
                "principalEmail": event["user"]["username"],
                "authoritySelector": event["impersonatedUser"]["username"],
            },
            "authorizationInfo": [{"permission": permission, "resource": path, "granted": is_allowed}],
            "methodName": permission, "resourceName": path,
            "requestMetadata": {"callerIp": source, "callerSuppliedUserAgent": event["userAgent"]},
            "request": event["requestObject"], "response": event["responseObject"], "status": status,
        },
    })
}

/// Whether GKE's entry tells less than the event: it has no URI, in which a field selector stands, or a path as a client
/// encoded it.
fn needs_uri(detection: &Detection) -> bool {
    let uri = detection.request.uri.as_deref().unwrap_or_default();
    uri.contains("fieldSelector") || uri.contains("/proxy/") && uri.contains('%')
}

#[test]
fn an_entry_is_the_hit_that_the_event_is() {
    for folder in ["metadata", "request-response"] {
        let text = String::from_utf8(recording(folder, "audit.ndjson.gz")).expect("it is text");
        let (mut hits, mut techniques) = (0, std::collections::BTreeSet::new());
        for line in text.lines() {
            let event: Value = serde_json::from_str(line).expect("an event is JSON");
            if event["stage"] != "ResponseComplete" {
                continue;
            }
            let bare = found(Some("own"), line.as_bytes());
            let entries = found(Some("own"), entry(&event).to_string().as_bytes());
            if bare.iter().any(needs_uri) {
                continue;
            }
            let told =
                |all: &[Detection]| -> Vec<(Technique, Class, Option<String>, Option<String>)> {
                    all.iter()
                        .map(|one| {
                            (
                                one.technique,
                                one.class,
                                one.source_ip.clone().map(String::from),
                                one.actor.username.clone(),
                            )
                        })
                        .collect()
                };
            assert_eq!(told(&entries), told(&bare), "{line}\n{}", entry(&event));
            hits += bare.len();
            for (entry, event) in entries.iter().zip(&bare) {
                assert_eq!(entry.time, event.time);
                assert_eq!(entry.request.name, event.request.name, "{line}");
                assert!(
                    event.request.decision.is_none()
                        || entry.request.decision == event.request.decision
                );
                assert_eq!(entry.request.audit_id, event.request.audit_id);
                assert_eq!(entry.granted, event.granted, "{line}");
                assert_eq!(entry.origin.project.as_deref(), Some("p-1"));
                techniques.insert(entry.technique);
            }
        }
        assert!(hits > 100 && techniques.len() > 8, "{hits} {techniques:?}");
    }
}

/// As Elastic's integration for Kubernetes names what stands around the payload
/// (github.com/elastic/integrations, `packages/kubernetes/data_stream/audit_logs`).
fn renamed(mut entry: Value) -> Value {
    let mut audit = json!({"auditID": entry["insertId"], "stageTimestamp": entry["timestamp"],
        "requestReceivedTimestamp": entry["receiveTimestamp"], "annotations": entry["labels"],
        "operation": entry["operation"], "resource": entry["resource"], "logName": entry["logName"]});
    audit["responseStatus"] = entry["protoPayload"]["status"].take();
    let payload = entry["protoPayload"].as_object_mut().expect("a payload");
    payload.remove("status");
    audit["protoPayload"] = entry["protoPayload"].take();
    json!({"kubernetes": {"audit": audit}, "event": {"kind": "event"}})
}

#[test]
fn an_entry_whose_fields_elastic_renamed_says_the_same() {
    let text =
        String::from_utf8(recording("request-response", "audit.ndjson.gz")).expect("it is text");
    let mut hits = 0;
    for line in text.lines() {
        let entry = entry(&serde_json::from_str(line).expect("an event is JSON"));
        let told =
            |record: &Value| without_origin(found(Some("own"), record.to_string().as_bytes()));
        let wanted = told(&entry);
        let mut record = renamed(entry.clone());
        assert_eq!(told(&record), wanted, "{record}");
        // Where it keeps what it was made of.
        record["event"]["original"] = entry.to_string().into();
        assert_eq!(told(&record), wanted, "{record}");
        hits += wanted.len();
    }
    assert!(hits > 100, "{hits}");
}

/// cloud.google.com/logging/docs/audit/split-logs: all but the bodies stands in each entry.
#[test]
fn entries_of_one_request_that_was_too_long_are_one_hit() {
    let event = super::forged::hit("1");
    let split = |index: u64, uid: &str| {
        let mut entry = entry(&event);
        entry["insertId"] = format!("{uid}-{index}").into();
        entry["split"] = json!({"uid": uid, "index": index, "totalSplits": 2});
        entry.to_string()
    };
    let ids = |records: [String; 2]| {
        let all = found(None, records.join("\n").as_bytes());
        assert_eq!(all.len(), 2);
        [all[0].request_id, all[1].request_id]
    };
    let [one, other] = ids([split(0, "a"), split(1, "a")]);
    assert_eq!(one, other);
    let [one, other] = ids([split(0, "a"), split(0, "b")]);
    assert_ne!(one, other);
}

#[test]
fn an_entry_that_tells_nobody_beside_which_it_stands_who_did_it_is_undecodable() {
    let mut entry = entry(&super::forged::hit("1"));
    let principal = entry["protoPayload"]["authenticationInfo"]["principalEmail"].take();
    let record = |user: &Value| json!({"google_cloud_audit": entry, "user": {"name": user}});
    let techniques = |record: Value| -> Vec<Technique> {
        let all = found(None, record.to_string().as_bytes());
        all.iter().map(|one| one.technique).collect()
    };
    assert_eq!(techniques(record(&principal)), [Technique::Undecodable]);
    assert_eq!(techniques(record(&json!("jane"))), []);
}

/// As a query of BigQuery's has them.
#[test]
fn fields_that_were_picked_out_of_an_entry_are_its_hit() {
    let user = "system:serviceaccount:honeypot:backup-sa";
    let row = json!({"timestamp": "2026-11-23 17:21:08.912184 UTC", "principalEmail": user,
        "methodName": "io.k8s.core.v1.pods.list", "resourceName": "core/v1/namespaces/shop/pods",
        "callerIp": "10.0.3.7", "callerSuppliedUserAgent": "curl/8.5.0"});
    let all = found(None, row.to_string().as_bytes());
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].technique, Technique::TokenUse);
    assert_eq!(all[0].actor.username.as_deref(), Some(user));
    assert_eq!(all[0].request.namespace.as_deref(), Some("shop"));
    assert_eq!(all[0].user_agent.as_deref(), Some("curl/8.5.0"));
    let address = all[0].source_ip.clone().map(String::from);
    assert_eq!(address.as_deref(), Some("10.0.3.7"));
    assert_eq!(all[0].time.to_string(), "2026-11-23T17:21:08.912184Z");
    // Where it is not all, the whole beside it tells more.
    let method = "io.k8s.authorization.rbac.v1.rolebindings.create";
    let whole = json!({"insertId": "1", "timestamp": "2026-11-23T17:21:08Z", "protoPayload": {
        "@type": "type.googleapis.com/google.cloud.audit.AuditLog", "serviceName": "k8s.io", "methodName": method,
        "authenticationInfo": {"principalEmail": "jane"},
        "resourceName": "rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings/a",
        "request": {"subjects": [{"kind": "ServiceAccount", "namespace": "honeypot", "name": "backup-sa"}]}}});
    for whole in [whole.to_string().into(), whole] {
        let lifted = json!({"principalEmail": "jane", "methodName": method, "message": whole});
        let all = found(None, lifted.to_string().as_bytes());
        assert_eq!(all.len(), 1, "{lifted}");
        assert_eq!(all[0].technique, Technique::PrivilegeGrant);
    }
    let mut other = row;
    other["methodName"] = "google.iam.admin.v1.GetRole".into();
    assert!(found(None, other.to_string().as_bytes()).is_empty());
}

/// What a client asks of a kubelet stands in the path alone, as the client wrote it.
#[test]
fn a_kubelets_path_is_read_as_in_an_event() {
    let found = |method: &str, resource: &str| -> Vec<Technique> {
        let entry = json!({"insertId": "1", "timestamp": "2026-11-23T17:21:08Z", "protoPayload": {
            "@type": "type.googleapis.com/google.cloud.audit.AuditLog", "serviceName": "k8s.io",
            "authenticationInfo": {"principalEmail": "jane"}, "methodName": method, "resourceName": resource}});
        let all = found(None, entry.to_string().as_bytes());
        all.iter().map(|one| one.technique).collect()
    };
    for method in [
        "io.k8s.core.v1.nodes.proxy.get",
        "io.k8s.core.v1.nodes.proxy.create",
        "",
    ] {
        for below in [
            "exec/honeypot/file-backup/c",
            "exec/honeypot/file-backup/c?command=id",
            "exec/honeypot/file-backup?x=/../..",
            "exec/%68oneypot/x/../%66ile-backup/c",
            "x/..//./exec/honeypot/file-backup/c",
            "exec%2Fhoneypot%2ffile-backup/c",
        ] {
            for path in ["core/v1", "/core/v1", "api/v1", "/api/v1"] {
                let path = format!("{path}/nodes/n1/proxy/{below}");
                assert_eq!(
                    found(method, &path),
                    [Technique::PodExec],
                    "{method} {path}"
                );
            }
        }
    }
    let method = "io.k8s.core.v1.nodes.proxy.get";
    let encoded = "core/v1/nodes/n1/pr%6fxy/exec/honeypot/file-backup/c";
    assert_eq!(found(method, encoded), [Technique::PodExec]);
    let other = "core/v1/nodes/n1/proxy/pods?x=/exec/honeypot/file-backup";
    assert_eq!(found(method, other), []);
}

#[test]
fn a_path_may_begin_with_a_slash_or_as_a_request_does() {
    for path in [
        "core/v1/namespaces/honeypot/secrets/backup-sa-token",
        "/core/v1/namespaces/honeypot/secrets/backup-sa-token",
        "api/v1/namespaces/honeypot/secrets/backup-sa-token",
        "/api/v1/namespaces/honeypot/secrets/backup-sa-token",
        "//core/v1/namespaces/honeypot/secrets/backup-sa-token/",
    ] {
        for method in ["io.k8s.core.v1.secrets.get", "io.k8s.get"] {
            let entry = json!({"protoPayload": {"serviceName": "k8s.io", "authenticationInfo": {"principalEmail": "jane"},
                "methodName": method, "resourceName": path}});
            let [found] = found(None, entry.to_string().as_bytes())
                .try_into()
                .expect(path);
            assert_eq!(found.technique, Technique::SecretRead, "{path}");
        }
    }
}
