//! Events whose shape a store has changed: parts as text, keys joined, rows of CSV.

use serde_json::{Value, json};

use super::{
    forged::{forgeries, hit},
    found, told_event, without_origin,
};
use crate::soundness::events;
use baitline::detect::{Detection, Technique};

const DECOY: &str = "system:serviceaccount:honeypot:backup-sa";

fn techniques(record: &Value) -> Vec<Technique> {
    let all: Vec<Detection> = found(None, record.to_string().as_bytes());
    all.iter().map(|one| one.technique).collect()
}

/// An entry of GKE by which the decoy's token was used.
fn entry() -> Value {
    json!({"insertId": "1", "timestamp": "2026-11-23T17:21:08.912184Z",
        "resource": {"type": "k8s_cluster", "labels": {"cluster_name": "prod"}},
        "labels": {"authorization.k8s.io/decision": "forbid"},
        "operation": {"id": "1", "first": true, "last": true},
        "protoPayload": {"@type": "type.googleapis.com/google.cloud.audit.AuditLog", "serviceName": "k8s.io",
            "authenticationInfo": {"principalEmail": DECOY}, "methodName": "io.k8s.core.v1.secrets.list",
            "resourceName": "core/v1/namespaces/shop/secrets", "requestMetadata": {"callerIp": "10.0.3.7"},
            "authorizationInfo": [{"granted": false}], "status": {"code": 7, "message": "no"}}})
}

/// Makes text of all in `value` that is no scalar, but for what wrappers tell.
fn as_text(value: &mut Value) {
    for (key, field) in value.as_object_mut().expect("an object") {
        if (field.is_object() || field.is_array()) && key != "resource" {
            *field = field.to_string().into();
        }
    }
}

#[test]
fn an_entry_of_gke_may_have_text_for_its_parts() {
    let bare = found(None, entry().to_string().as_bytes());
    assert_eq!(bare.len(), 1);
    assert_eq!(bare[0].source_ip.as_deref(), Some("10.0.3.7"));
    let mut outer = entry();
    as_text(&mut outer);
    let mut inner = entry();
    as_text(&mut inner["protoPayload"]);
    let mut both = inner.clone();
    as_text(&mut both);
    for entry in [outer, inner, both] {
        assert_eq!(found(None, entry.to_string().as_bytes()), bare, "{entry}");
    }
    let mut payload = entry()["protoPayload"].take();
    as_text(&mut payload);
    assert_eq!(techniques(&payload), [Technique::TokenUse]);
}

/// The scalars in `value` under all keys on the way to them.
fn joined(path: &str, value: &Value, out: &mut Value) {
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(key, inner)| joined(&format!("{path}{key}."), inner, out)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, inner)| joined(&format!("{path}{index}."), inner, out)),
        scalar => out[path.trim_end_matches('.')] = scalar.clone(),
    }
}

#[test]
fn an_entry_of_gke_may_have_its_keys_joined() {
    let bare = found(None, entry().to_string().as_bytes());
    for prefix in ["", "data."] {
        let mut record = json!({});
        joined(prefix, &entry(), &mut record);
        record["resource.labels.cluster_name"] = "prod".into();
        record["timestamp"] = entry()["timestamp"].take();
        assert_eq!(found(None, record.to_string().as_bytes()), bare, "{record}");
        let cut = record.to_string();
        let all: Vec<Detection> = found(None, &cut.as_bytes()[..cut.len() - 1]);
        assert_eq!(all.len(), 1, "{cut}");
        assert_eq!(all[0].technique, Technique::Undecodable);
    }
    let mut other = json!({});
    let inside = json!({"protoPayload": {"request": entry(), "serviceName": "k8s.io", "methodName": "io.k8s.core.v1.pods.create"}});
    joined("", &inside, &mut other);
    assert_eq!(techniques(&other), []);
}

#[test]
fn bodies_of_gke_are_text_in_bigquery() {
    let row = |method: &str, name: &str, body: Value| {
        let mut entry = entry();
        let payload = &mut entry["protoPayload"];
        payload["authenticationInfo"]["principalEmail"] = "jane".into();
        payload["methodName"] = method.into();
        payload["resourceName"] = "x".into();
        payload[name] = body.to_string().into();
        let payload = payload.take();
        json!({"insertId": "1", "protopayload_auditlog": payload})
    };
    let binding = json!({"subjects": [{"kind": "ServiceAccount", "name": "backup-sa", "namespace": "honeypot"}]});
    let method = "io.k8s.authorization.rbac.v1.rolebindings.create";
    let review = json!({"status": {"user": {"username": DECOY}}});
    for (row, technique) in [
        (
            row(method, "requestJson", binding.clone()),
            Technique::PrivilegeGrant,
        ),
        (
            row(method, "responseJson", binding.clone()),
            Technique::PrivilegeGrant,
        ),
        (
            row(
                "io.k8s.authentication.v1.tokenreviews.create",
                "responseJson",
                review,
            ),
            Technique::TokenReview,
        ),
    ] {
        assert_eq!(techniques(&row), [technique], "{row}");
        let cut = row.to_string();
        let all = found(None, &cut.as_bytes()[..cut.len() - 1]);
        assert_eq!(all.len(), 1, "{cut}");
        assert_eq!(all[0].technique, Technique::Undecodable, "{cut}");
    }
}

#[test]
fn text_that_is_no_json_leaves_an_event_undecodable_and_empty_text_is_nothing() {
    let event = |user: &str, other: Value| {
        json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "1", "verb": "list", "stage": "ResponseComplete",
            "user": user, "objectRef": other, "impersonatedUser": other})
    };
    let user = json!({"username": DECOY}).to_string();
    for nothing in [json!(""), json!("null"), Value::Null, json!("{}")] {
        let found = techniques(&event(&user, nothing.clone()));
        assert_eq!(found, [Technique::TokenUse], "{nothing}");
    }
    for broken in [
        format!("{{username={DECOY}}}"),
        user[..user.len() - 1].to_owned(),
    ] {
        let found = techniques(&event(&broken, Value::Null));
        assert_eq!(found, [Technique::Undecodable], "{broken}");
    }
}

#[test]
fn what_a_client_sends_as_text_does_not_reach_beyond_its_part() {
    let user = json!({"username": DECOY}).to_string();
    for body in [
        format!(r#"{{}},"user":{user}"#),
        format!(r#"{{}},"user":{user},"a":{{}}"#),
        format!(r#"{{}}}}{{"user":{user}}}"#),
        format!(r#"[],"impersonatedUser":{user},"b":[]"#),
        format!(r#"{{"a":1}}\u0000,"user":{user}"#),
        format!(r#"{{"user":{user},"verb":"list","auditID":"2"}}"#),
        format!(r#"{{"a\",\"user\":{{\"username\":\"{DECOY}\"}},\"b":1}}"#),
    ] {
        let event = json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "1", "verb": "patch",
            "stage": "ResponseComplete", "user": r#"{"username":"jane"}"#, "sourceIPs": r#"["10.0.0.1"]"#,
            "userAgent": body, "requestURI": body, "requestObject": body, "responseObject": body,
            "annotations": json!({"a": body}).to_string()});
        assert_eq!(techniques(&event), [], "{event}");
        let mut whole = event;
        whole["user"] = json!({"username": "jane"});
        whole["requestObject"] = json!({body.as_str(): {body.as_str(): body}});
        assert_eq!(techniques(&whole), [], "{whole}");
    }
}

#[test]
fn joined_keys_of_a_body_are_no_keys_of_an_event() {
    for prefix in ["", "kubernetes.audit.", "audit."] {
        for inside in [
            "requestObject.data",
            "responseObject",
            "annotations",
            "user.extra",
            "objectRef",
            "requestURI",
            "labels",
            "kubernetes.annotations",
            "k8s.pod.labels",
        ] {
            let mut record = json!({});
            for (key, value) in [
                ("auditID", "1"),
                ("verb", "list"),
                ("user.username", "jane"),
            ] {
                record[format!("{prefix}{key}")] = value.into();
            }
            for (key, value) in [
                ("auditID", "2"),
                ("verb", "list"),
                ("user.username", DECOY),
                (
                    "requestURI",
                    "/api/v1/namespaces/honeypot/secrets/backup-sa-token",
                ),
                ("objectRef.namespace", "honeypot"),
                ("objectRef.resource", "secrets"),
            ] {
                record[format!("{prefix}{inside}.{key}")] = value.into();
            }
            assert_eq!(techniques(&record), [], "{record}");
        }
    }
    // A client may join its keys by other marks than the store does.
    for outer in [".", "_", "__", "/", ":", "-"] {
        for inner in [".", "_", "__", "/", ":", "-"] {
            for inside in [
                "requestObject.data.a",
                "responseObject.data.a",
                "requestObject.metadata.labels.a",
                "annotations.a",
                "user.extra.a",
                "responseStatus.details.a",
                "requestObject.data.a.b",
            ] {
                for user in ["jane", DECOY] {
                    let mut record = json!({});
                    for (key, value) in
                        [("auditID", "1"), ("verb", "list"), ("user.username", user)]
                    {
                        record[key.replace('.', outer)] = value.into();
                    }
                    let inside = inside.replace('.', outer);
                    for (key, value) in [
                        ("auditID", "2"),
                        ("verb", "list"),
                        ("requestURI", "/api"),
                        ("user.username", if user == DECOY { "jane" } else { DECOY }),
                    ] {
                        record[format!("{inside}{inner}{}", key.replace('.', inner))] =
                            value.into();
                    }
                    let told = found(None, record.to_string().as_bytes());
                    let ids: Vec<_> = told
                        .iter()
                        .filter_map(|one| one.request.audit_id.as_deref())
                        .collect();
                    match user {
                        DECOY => assert!(!told.is_empty() && !ids.contains(&"2"), "{record}"),
                        _ => assert_eq!(ids, [""; 0], "{record}"),
                    }
                }
            }
        }
    }
    let event = json!({"auditID": "1", "verb": "list", "user": {"username": DECOY}}).to_string();
    let pod = json!({"kubernetes.annotations.a": event, "kubernetes.pod_labels": {"a": event}, "k8s.pod.labels": {"b": event}});
    assert_eq!(techniques(&pod), []);
}

#[test]
fn joined_keys_that_can_be_read_in_two_ways_hide_nothing() {
    let event = |more: Value| {
        let mut event = json!({"auditID": "1", "verb": "patch", "user.username": "jane", "objectRef.resource": "rolebindings",
            "requestObject.subjects.0.kind": "ServiceAccount", "requestObject.subjects.0.name": "backup-sa",
            "requestObject.subjects.0.namespace": "honeypot"});
        let more = more.as_object().expect("an object").clone();
        event.as_object_mut().expect("an object").extend(more);
        event
    };
    assert_eq!(techniques(&event(json!({}))), [Technique::PrivilegeGrant]);
    for more in [
        json!({"requestObject.subjects": []}),
        json!({"requestObject.subjects.x": "x"}),
        json!({"requestObject.subjects.0.name.x": "x"}),
    ] {
        assert_eq!(
            techniques(&event(more.clone())),
            [Technique::Undecodable],
            "{more}"
        );
    }
    for more in [
        json!({"requestObject.subjects": "x"}),
        json!({"requestObject.metadata.labels.app": "x", "requestObject.metadata.labels.app.kubernetes.io/name": "y"}),
        json!({"requestObject.metadata.labels.app.kubernetes.io/name": "y", "requestObject.metadata.labels.app": "x"}),
        json!({"requestObject.metadata.labels.name": "x", "requestObject.metadata.labels.name.x": "y"}),
    ] {
        assert_eq!(
            techniques(&event(more.clone())),
            [Technique::PrivilegeGrant],
            "{more}"
        );
    }
    let dots = ".x".repeat(100_000);
    let more = json!({format!("requestObject.a{dots}"): 1});
    assert_eq!(techniques(&event(more)), [Technique::PrivilegeGrant]);
}

/// Names stay in sight though a key of the client's is joined to theirs.
#[test]
fn a_name_does_not_give_way_to_what_is_joined_to_it() {
    let record = json!({"kubernetes.audit.auditID": "1", "kubernetes.audit.verb": "patch", "kubernetes.audit.user.username": "jane",
        "kubernetes.audit.objectRef.resource": "pods", "kubernetes.audit.objectRef.namespace": "honeypot",
        "kubernetes.audit.requestObject.spec.serviceAccountName": "backup-sa",
        "kubernetes.audit.requestObject.spec.serviceAccountName.x": "y"});
    assert_eq!(techniques(&record), [Technique::Undecodable]);
}

#[test]
fn joined_keys_that_are_cut_off_are_those_of_an_event() {
    let record = json!({"@timestamp": "2026-11-23T17:21:08.912184Z", "kubernetes.audit.auditID": "1", "kubernetes.audit.verb": "list",
        "kubernetes.audit.user.username": DECOY, "kubernetes.audit.userAgent": "x"})
    .to_string();
    let start = record.find(r#""kubernetes.audit.auditID"#).expect("a key");
    for cut in [&record[..record.len() - 10], &record[start..]] {
        for text in [cut.to_owned(), json!({ "log": cut }).to_string()] {
            let found: Vec<_> = found(None, text.as_bytes())
                .iter()
                .map(|one| one.technique)
                .collect();
            assert_eq!(found, [Technique::Undecodable], "{text}");
        }
    }
}

#[test]
fn a_part_that_is_there_in_both_ways_counts_once() {
    for user in [json!({"username": DECOY}), json!("-"), json!("")] {
        let event = json!({"auditID": "1", "verb": "list", "user": user, "user.username": DECOY, "objectRef.resource": "pods"});
        assert_eq!(techniques(&event), [Technique::TokenUse], "{event}");
    }
}

#[test]
fn fields_of_elastic_are_arrays_of_one() {
    let event = json!({"fields": {"kubernetes.audit.auditID": ["1"], "kubernetes.audit.verb": ["get"],
        "kubernetes.audit.user.username": [DECOY], "kubernetes.audit.user.groups": ["a", "b"],
        "kubernetes.audit.sourceIPs": ["10.0.3.7"], "kubernetes.audit.responseStatus.code": ["403"],
        "kubernetes.audit.annotations.authorization.k8s.io/decision": ["forbid"],
        "kubernetes.audit.user.extra.authentication.kubernetes.io/credential-id": ["JTI=1"]}});
    let [found] = found(None, event.to_string().as_bytes())
        .try_into()
        .expect("one");
    assert_eq!(found.technique, Technique::TokenUse);
    assert_eq!(found.source_ip.as_deref(), Some("10.0.3.7"));
    assert_eq!(found.request.code, Some(403));
    assert_eq!(found.request.decision.as_deref(), Some("forbid"));
    assert_eq!(found.actor.credential_id.as_deref(), Some("JTI=1"));
    assert_eq!(found.actor.groups, ["a", "b"]);
}

/// As columns of Hive and Athena, and of Snowflake.
#[test]
fn keys_may_have_another_case() {
    for recased in [str::to_lowercase, str::to_uppercase] {
        for (event, technique) in events(("honeypot", "backup-sa"), true, &str::to_owned) {
            let fields = event.as_object().expect("an object").iter();
            let mut row: Value = fields
                .map(|(key, value)| (recased(key), value.clone()))
                .collect();
            let wanted: Vec<_> = technique.into_iter().collect();
            assert_eq!(techniques(&row), wanted, "{row}");
            as_text(&mut row);
            assert_eq!(techniques(&row), wanted, "{row}");
        }
        let event = json!({"requestReceivedTimestamp": "2026-11-23T17:21:08.912184Z", "auditID": "1", "verb": "list",
            "user": {"username": DECOY}, "sourceIPs": ["10.0.3.7"]});
        let fields = event.as_object().expect("an object").iter();
        let row: Value = fields
            .map(|(key, value)| (recased(key), value.clone()))
            .collect();
        let row = row.to_string();
        let bare = found(None, event.to_string().as_bytes());
        assert_eq!(found(None, row.as_bytes()), bare, "{row}");
        for cut in [&row[..row.len() - 1], &row[1..]] {
            let found: Vec<Detection> = found(None, cut.as_bytes());
            assert_eq!(found.len(), 1, "{cut}");
            assert_eq!(found[0].technique, Technique::Undecodable, "{cut}");
        }
    }
}

/// As KubeSphere keeps events: by the names of Go's structures, those of users by names of theirs or not.
#[test]
fn keys_may_be_the_names_of_gos_fields() {
    let title = |key: &str| {
        let mut letters = key.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    let titled = |value: &Value| match value.as_object() {
        Some(part) => part
            .iter()
            .map(|(key, value)| (title(key), value.clone()))
            .collect(),
        None => value.clone(),
    };
    for (event, technique) in events(("honeypot", "backup-sa"), true, &str::to_owned) {
        for users_have_names in [true, false] {
            let fields = event.as_object().expect("an object").iter();
            let mut kept: Value = fields
                .map(|(key, value)| match key.as_str() {
                    "objectRef" => (title(key), titled(value)),
                    "user" | "impersonatedUser" if !users_have_names => (title(key), titled(value)),
                    _ => (title(key), value.clone()),
                })
                .collect();
            kept["Cluster"] = "host".into();
            let wanted: Vec<_> = technique.into_iter().collect();
            assert_eq!(techniques(&kept), wanted, "{kept}");
        }
    }
    let mut event = hit("1");
    event["objectRef"] =
        json!({"Resource": "secrets", "Namespace": "", "Name": "", "Subresource": ""});
    let fields = event.as_object().expect("an object").iter();
    let kept: Value = fields
        .map(|(key, value)| (title(key), value.clone()))
        .collect();
    event["objectRef"] = json!({"resource": "secrets"});
    assert_eq!(
        found(None, kept.to_string().as_bytes()),
        found(None, event.to_string().as_bytes())
    );
}

/// What two stores made of one event is one request.
#[test]
fn a_request_is_known_by_its_time_however_that_is_written() {
    let id = |received: &str| {
        let mut event = hit("1");
        event["requestReceivedTimestamp"] = received.into();
        let [found]: [Detection; 1] = found(None, event.to_string().as_bytes())
            .try_into()
            .expect("one");
        found.request_id
    };
    let bare = id("2026-11-23T17:21:08.912184Z");
    for same in [
        "2026-11-23 17:21:08.912184",
        "2026-11-23 17:21:08.912184 UTC",
        "2026-11-23T18:21:08.912184+01:00",
        "2026-11-23T17:21:08.912184000Z",
    ] {
        assert_eq!(id(same), bare, "{same}");
    }
    for other in ["2026-11-23T17:21:08.912185Z", "yesterday", ""] {
        assert_ne!(id(other), bare, "{other}");
    }
}

#[test]
fn of_two_cases_of_a_key_the_exact_one_counts() {
    let row = |user: &str, other: &str| {
        json!({"AUDITID": "1", "VERB": "list", "user": {"username": user}, "USER": {"username": other},
            "REQUESTOBJECT": {"auditID": "1", "verb": "list", "user": {"username": DECOY}}})
    };
    assert_eq!(techniques(&row(DECOY, "jane")), [Technique::TokenUse]);
    assert_eq!(techniques(&row("jane", DECOY)), []);
}

/// Filebeat has underscores for the dots in keys of annotations.
#[test]
fn annotations_may_have_underscores() {
    let spelled = |with: &str| -> [String; 4] {
        [
            "authorization.k8s.io/decision",
            "authentication.kubernetes.io/issued-credential-id",
            "authentication.k8s.io/legacy-token",
            "authentication.k8s.io/legacy-token-autogenerated-secret",
        ]
        .map(|key| key.replace('.', with))
    };
    let values = ["allow", "JTI=1", DECOY, "backup-sa-token"];
    let event = |with: &str| {
        let annotations: Value = spelled(with).into_iter().zip(values).collect();
        json!({"auditID": "1", "verb": "create", "user": {"username": DECOY}, "annotations": annotations,
            "objectRef": {"resource": "serviceaccounts", "subresource": "token", "namespace": "honeypot", "name": "backup-sa"}})
    };
    let bare = found(None, event(".").to_string().as_bytes());
    assert_eq!(bare[0].request.decision.as_deref(), Some("allow"));
    assert_eq!(bare[0].issued_credential_id.as_deref(), Some("JTI=1"));
    let underscored = event("_");
    let mut keys = json!({});
    joined("kubernetes.audit.", &underscored, &mut keys);
    for record in [underscored, keys] {
        let detections = found(None, record.to_string().as_bytes());
        assert_eq!(detections, bare, "{record}");
    }
}

/// The peer is the last address: items of an array are put back in the order of their numbers.
#[test]
fn addresses_keep_their_order() {
    let mut event = json!({"auditID": "1", "verb": "get", "user.username": DECOY});
    for index in (0..12).rev() {
        event[format!("sourceIPs.{index}")] = format!("10.0.0.{index}").into();
    }
    let [found] = found(None, event.to_string().as_bytes())
        .try_into()
        .expect("one");
    assert_eq!(found.source_ip.as_deref(), Some("10.0.0.11"));
    assert_eq!(found.claimed_ips.len(), 11);
}

#[test]
fn every_technique_is_found_in_an_event_that_was_reshaped_twice() {
    for (event, technique) in events(("honeypot", "backup-sa"), true, &str::to_owned) {
        let mut inner = event.clone();
        as_text(&mut inner);
        let row = inner.to_string().replace('"', "\"\"");
        let record = format!("x,\"{row}\"\n");
        let found = found(None, record.as_bytes());
        let techniques: Vec<_> = found.iter().map(|one| one.technique).collect();
        assert_eq!(
            techniques,
            technique.into_iter().collect::<Vec<_>>(),
            "{record}"
        );
    }
}

/// As numbers since 1970.
#[test]
fn times_of_an_event_may_be_numbers() {
    let event = |received: Value, reached: Value| {
        let event = json!({"auditID": "1", "verb": "list", "user": {"username": DECOY},
            "requestReceivedTimestamp": received, "stageTimestamp": reached});
        let found = found(None, event.to_string().as_bytes());
        found.into_iter().next().expect("one")
    };
    let text = event(
        "2026-11-23T17:21:08.9Z".into(),
        "2026-11-23T17:21:09Z".into(),
    );
    for (received, reached) in [
        (json!(1795454468.9), json!(1795454469)),
        (json!(1795454468900_i64), json!(1795454469000_i64)),
    ] {
        let number = event(received, reached);
        assert_eq!(
            (number.time, number.stage_time),
            (text.time, text.stage_time)
        );
    }
    let other = |received| event(received, json!(1795454469)).request_id;
    assert_ne!(other(json!(1795454468.9)), other(json!(1795454468.8)));
}

/// As of Fluentd. Text of clients under keys that only look like those of an event tells nothing.
#[test]
fn keys_joined_by_underscores_are_those_of_an_event() {
    let event = json!({"auditID": "1", "verb": "list", "user_username": DECOY, "user_agent": "curl", "sourceIPs": ["10.0.3.7"]});
    assert_eq!(techniques(&event), [Technique::TokenUse]);
    let quiet = json!({"auditID": "1", "verb": "list", "user": {"username": "jane"}, "user_username": DECOY});
    assert_eq!(techniques(&quiet), []);
    for prefix in ["", "kube_audit_"] {
        for inside in [
            "requestObject_data",
            "annotations",
            "user_extra",
            "kubernetes_labels",
            "kubernetes_pod_annotations",
        ] {
            let mut record = json!({});
            for (key, value) in [
                ("auditID", "1"),
                ("verb", "list"),
                ("user_username", "jane"),
            ] {
                record[format!("{prefix}{key}")] = value.into();
                record[format!("{prefix}{inside}_{key}")] = value.into();
            }
            record[format!("{prefix}{inside}_user_username")] = DECOY.into();
            record[format!("{inside}_x")] =
                json!({"auditID": "1", "verb": "list", "user": {"username": DECOY}})
                    .to_string()
                    .into();
            assert_eq!(techniques(&record), [], "{record}");
        }
    }
}

/// Where a store joined some of the keys only, and keeps the record as it came.
#[test]
fn what_stands_beside_joined_keys_is_still_searched() {
    let event = json!({"auditID": "1", "verb": "list", "user": {"username": "jane"}, "impersonatedUser": {"username": DECOY}});
    for joint in [".", "_"] {
        let mut record = json!({"auditID": "1", "verb": "list", "message": event.to_string()});
        record[format!("user{joint}username")] = "jane".into();
        assert_eq!(techniques(&record), [Technique::Impersonation], "{record}");
    }
}

#[test]
fn keys_that_are_joined_as_nobody_knows_leave_an_event_undecodable() {
    for [user, name] in [
        ["USER_USERNAME", "OBJECTREF_NAME"],
        ["userUsername", "objectRefName"],
        ["user_user_name", "object_ref_name"],
        ["user->username", "objectRef->name"],
    ] {
        let event = json!({"auditID": "1", "verb": "get", user: DECOY, name: "x"});
        assert_eq!(techniques(&event), [Technique::Undecodable], "{event}");
        let quiet = json!({"auditID": "1", "verb": "get", user: "jane", name: "x"});
        assert_eq!(techniques(&quiet), [], "{quiet}");
    }
    let lower =
        json!({"auditid": "1", "verb": "get", "user_username": DECOY, "objectref_name": "x"});
    assert!(techniques(&lower).contains(&Technique::TokenUse), "{lower}");
}

/// As a query of Kusto's names what it picks: `project User.username, Verb, RequestUri`.
#[test]
fn a_few_columns_with_joined_names_leave_an_event_undecodable() {
    for (username, wanted) in [(DECOY, &[Technique::Undecodable][..]), ("jane", &[])] {
        let columns = ["TimeGenerated", "User_username", "Verb", "RequestUri"];
        let row = ["2026-11-23T17:21:08Z", username, "list", "/api"];
        let names: Vec<_> = columns.iter().map(|name| json!({"name": name})).collect();
        for record in [
            json!({columns[0]: row[0], columns[1]: row[1], columns[2]: row[2], columns[3]: row[3]}),
            json!({"USER_USERNAME": username, "VERB": "list", "REQUESTURI": "/x"}),
            json!({"tables": [{"name": "PrimaryResult", "columns": names, "rows": [row]}]}),
        ] {
            assert_eq!(techniques(&record), wanted, "{record}");
        }
    }
    // Another program's log of who asked for what.
    let other = json!({"user_name": DECOY, "requestURI": "/x"});
    assert_eq!(techniques(&other), []);
}

/// A prefix and another case at once, or words with underscores.
#[test]
fn keys_that_nobody_knows_leave_an_event_undecodable_and_forge_none() {
    let event = |user: &str, text: &str| {
        json!({"apiVersion": "audit.k8s.io/v1", "auditID": text, "stage": "ResponseComplete", "verb": "get",
            "requestURI": "/api/v1/pods", "user": {"username": user}, "userAgent": text, "objectRef": {"resource": "pods", "name": text},
            "requestObject": {"data": {"a": text, "b": "hunter2"}}, "annotations": {"a": text},
            "stageTimestamp": "2026-11-23T17:21:08.912184Z"})
    };
    let snake = |key: &str| {
        let words = key.replace("ID", "Id").replace("URI", "Uri");
        let word = |letter: char| match letter.is_uppercase() {
            true => format!("_{}", letter.to_lowercase()),
            false => letter.to_string(),
        };
        words.chars().map(word).collect::<String>()
    };
    let renamed = |event: &Value, rename: &dyn Fn(&str) -> String| -> Value {
        let fields = event.as_object().expect("an object").iter();
        let fields = fields.map(|(key, value)| (rename(key), value.clone()));
        Value::Object(fields.collect())
    };
    let renames: [&dyn Fn(&str) -> String; 5] = [
        &|key| format!("audit.{}", key.to_lowercase()),
        &|key| format!("AUDIT.{}", key.to_uppercase()),
        &|key| format!("audit_{}", key.to_lowercase()),
        &|key| format!("kubernetes.audit.{}", snake(key)),
        &snake,
    ];
    for rename in renames {
        let mut hit = renamed(&event(DECOY, "x"), rename);
        for _ in 0..2 {
            let all = found(None, hit.to_string().as_bytes());
            assert_eq!(all.len(), 1, "{hit}");
            assert_eq!(all[0].technique, Technique::Undecodable, "{hit}");
            let excerpt = all[0].excerpt.as_deref().unwrap_or_default();
            assert!(!excerpt.contains("hunter2"), "{excerpt}");
            as_text(&mut hit);
        }
        let mut forged = renamed(&event("jane", &event(DECOY, "x").to_string()), rename);
        for _ in 0..2 {
            let found = techniques(&forged);
            assert!(!found.contains(&Technique::TokenUse), "{found:?} {forged}");
            as_text(&mut forged);
        }
        hit["message"] = event(DECOY, "x").to_string().into();
        assert_eq!(techniques(&hit), [Technique::TokenUse], "{hit}");
    }
}

#[test]
fn an_entry_of_gke_may_have_its_keys_joined_by_underscores() {
    for payload in ["protoPayload", "protopayload_auditlog"] {
        let mut entry = entry();
        let inner = entry["protoPayload"].take();
        entry
            .as_object_mut()
            .expect("an object")
            .remove("protoPayload");
        entry[payload] = inner;
        let mut dotted = json!({});
        joined("", &entry, &mut dotted);
        let fields = dotted.as_object().expect("an object").iter();
        let record: Value = fields
            .map(|(key, value)| (key.replace('.', "_"), value.clone()))
            .collect();
        assert_eq!(techniques(&record), [Technique::TokenUse], "{record}");
    }
}

/// As of a shipper that joins keys by one mark, and another that joined some before it.
#[test]
fn of_two_joints_the_one_that_tells_who_it_was_counts() {
    for record in [
        json!({"auditID": "1", "verb": "get", "user_username": DECOY, "annotations.a": "b"}),
        json!({"x.auditID": "1", "x.verb": "get", "x.user_username": DECOY}),
    ] {
        assert_eq!(techniques(&record), [Technique::TokenUse], "{record}");
    }
    let record = json!({"auditID": "1", "verb": "get", "user_username": "jane", "objectRef.resource": "secrets",
        "objectRef.namespace": "honeypot", "objectRef.name": "backup-sa-token"});
    assert_eq!(techniques(&record), [Technique::SecretRead], "{record}");
}

#[test]
fn an_event_whose_fields_datadog_has_elsewhere_tells_the_same() {
    let (mut event, _) = told_event();
    event["userAgent"] = "curl/8".into();
    event["user"]["uid"] = "u".into();
    let bare = without_origin(found(None, event.to_string().as_bytes()));
    for is_joined in [false, true] {
        let mut other = event.clone();
        let fields = other.as_object_mut().expect("an event");
        let mut take = |key: &str| fields.remove(key).expect("a field");
        let (user, status, agent) = (take("user"), take("responseStatus"), take("userAgent"));
        let (verb, address) = (take("verb"), take("sourceIPs")[0].take());
        let usr = json!({"name": user["username"], "id": user["uid"], "groups": user["groups"]});
        let http = json!({"method": verb, "status_code": status["code"], "useragent": agent, "url_details": {"path": "/x"}});
        for (key, value) in [
            ("usr", usr),
            ("http", http),
            ("network", json!({"client": {"ip": address}})),
        ] {
            match is_joined {
                true => joined(&format!("{key}."), &value, &mut other),
                false => other[key] = value,
            }
        }
        if is_joined {
            other["usr.groups"] = user["groups"].clone();
        }
        let record = json!({"_id": "1", "host": "cp-1", "attributes": other});
        let told = without_origin(found(None, record.to_string().as_bytes()));
        assert_eq!(told, bare, "{record}");
        // What HTTP calls it says less than the URI.
        other["http.method"] = "GET".into();
        other["http"] = json!({"method": "GET"});
        assert_eq!(
            found(None, other.to_string().as_bytes())[0].request.verb,
            None
        );
    }
}

/// A remapper moves the one attribute that it was told of.
#[test]
fn what_datadog_left_of_a_part_keeps_its_place() {
    let (mut event, _) = told_event();
    event["user"]["uid"] = "u".into();
    let bare = without_origin(found(None, event.to_string().as_bytes()));
    let mut left = event.clone();
    let name = left["user"]
        .as_object_mut()
        .expect("a user")
        .remove("username");
    let status = left["responseStatus"].as_object_mut().expect("a status");
    let code = status.remove("code");
    status.insert("metadata".to_owned(), json!({}));
    left["usr"] = json!({"name": name, "id": name});
    left["http"] = json!({"status_code": code});
    assert_eq!(
        without_origin(found(None, left.to_string().as_bytes())),
        bare,
        "{left}"
    );
    for (event, technique) in events(("honeypot", "backup-sa"), true, &str::to_owned) {
        let mut left = event.clone();
        let Some(name) = left["user"]
            .as_object_mut()
            .and_then(|user| user.remove("username"))
        else {
            continue;
        };
        left["usr"] = json!({"name": name});
        assert_eq!(techniques(&left), Vec::from_iter(technique), "{left}");
    }
    // Whoever it was tells it.
    event["usr"] = json!({"name": "jane"});
    assert_eq!(techniques(&event), [Technique::TokenUse]);
}

/// As the Lambda of Microsoft Sentinel's connector for EKS writes it.
fn sentinel(user: &str, agent: &str, object: &str) -> Value {
    json!({"date": "2026-11-23T17:21:08.912184Z", "TimeGenerated": "2026-11-23T17:21:08.912184Z", "AwsAccountId": "1", "Region": "eu-west-1",
        "ClusterName": "prod", "Verb": "get", "User": user, "SourceIPs": ["10.0.3.7"], "UserAgent": agent, "ObjectRef": object,
        "ResponseCode": 403, "Stage": "ResponseComplete", "AuthDecision": "forbid",
        "RawEvent": {"verb": "get", "user": user, "objectRef": object, "responseCode": 403}})
}

#[test]
fn an_event_of_which_sentinel_keeps_texts_tells_what_is_left() {
    for (user, object, technique) in [
        (DECOY, "", Technique::TokenUse),
        (DECOY, "shop/pods/a", Technique::TokenUse),
        (DECOY, "namespaces/a", Technique::TokenUse),
        (
            "jane",
            "honeypot/secrets/backup-sa-token",
            Technique::SecretRead,
        ),
        (DECOY, "a/b/c/d", Technique::TokenUse),
    ] {
        let record = sentinel(user, "curl", object);
        let mut of_table = record.clone();
        of_table["RawEvent"] = of_table["RawEvent"].to_string().into();
        for record in [record, of_table] {
            let all = found(None, record.to_string().as_bytes());
            assert_eq!(all.len(), 1, "{record}");
            let one = &all[0];
            assert_eq!(one.technique, technique, "{record}");
            assert_eq!(one.cluster.as_deref(), Some("prod"));
            assert_eq!(one.source_ip.as_deref(), Some("10.0.3.7"));
            assert_eq!(one.user_agent.as_deref(), Some("curl"));
            assert_eq!(one.request.code, Some(403));
            assert_eq!(one.request.decision.as_deref(), Some("forbid"));
            assert_eq!(one.time.to_string(), "2026-11-23T17:21:08.912184Z");
        }
    }
    for text in [
        hit("forged").to_string(),
        sentinel(DECOY, "x", "").to_string(),
    ] {
        assert_eq!(techniques(&sentinel("jane", &text, "shop/pods/a")), []);
        let told = techniques(&sentinel("jane", "curl", &text));
        assert!(told.iter().all(|one| *one == Technique::Undecodable));
    }
}

#[test]
fn an_event_that_tells_who_it_was_in_another_place_is_undecodable() {
    let mut event = json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "1", "verb": "get", "requestURI": "/api"});
    for (key, value) in [
        ("user", json!({"name": DECOY})),
        ("user", json!({"Username": DECOY})),
        ("username", json!(DECOY)),
        ("usr", json!({"id": DECOY})),
        ("actor", json!({"user": {"name": DECOY}})),
        ("annotations", json!({"a": DECOY})),
    ] {
        event[key] = value;
        assert_eq!(techniques(&event), [Technique::Undecodable], "{event}");
        event["user"] = json!({"username": "jane"});
        assert_eq!(techniques(&event), [], "{event}");
        for key in ["user", key] {
            event.as_object_mut().expect("an event").remove(key);
        }
    }
    for key in [
        "auditID",
        "requestURI",
        "userAgent",
        "requestObject",
        "responseObject",
        "responseStatus",
        "impersonatedUser",
    ] {
        let mut event = event.clone();
        event[key] = json!({"a": DECOY, "message": DECOY});
        assert_eq!(techniques(&event), [], "{event}");
        event[key] = DECOY.into();
        assert!(
            !techniques(&event).contains(&Technique::TokenUse),
            "{event}"
        );
    }
}

#[test]
fn an_event_beside_which_it_stands_who_it_was_is_undecodable() {
    let event = json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "1", "verb": "get", "requestURI": "/api", "user": {}});
    let beside = |key: &str, value: &Value| {
        let mut record =
            json!({"@timestamp": "2026-11-23T17:21:08.912Z", "kubernetes": {"audit": event}});
        record[key] = value.clone();
        let mut flat = json!({});
        joined("", &record, &mut flat);
        // As a queue has several.
        [json!({"records": [record, {"a": 1}]}), flat, record]
    };
    for (key, value) in [
        ("user", json!({"name": DECOY})),
        ("user", json!(DECOY)),
        ("user_name", json!(DECOY)),
        ("actor", json!({"user": {"name": DECOY}})),
        ("Principal", json!(DECOY)),
        ("userIdentity", json!({"arn": "x", "names": ["a", DECOY]})),
        ("k8s.user.name", json!(DECOY)),
        ("k8s-user", json!(DECOY)),
    ] {
        for record in beside(key, &value) {
            assert_eq!(techniques(&record), [Technique::Undecodable], "{record}");
        }
    }
    for (key, value) in [
        ("user", json!({"name": "jane"})),
        ("user_agent", json!({"original": DECOY})),
        ("userAgent", json!(DECOY)),
        ("url", json!({"path": DECOY})),
        (
            "user",
            json!({"name": "jane", "user_agent": DECOY, "agent": {"userAgent": DECOY}}),
        ),
        ("user", json!({"agent": {"original": DECOY}})),
        ("actor", json!({"name": "x", "http": {"uri": DECOY}})),
        ("labels", json!({"user": DECOY})),
    ] {
        for record in beside(key, &value) {
            assert_eq!(techniques(&record), [], "{record}");
        }
    }
    let mut record = beside("user", &json!({"name": DECOY}))[2].take();
    record["kubernetes"]["audit"]["user"] = json!({"username": "jane"});
    assert_eq!(techniques(&record), [], "{record}");
}

#[test]
fn keys_with_domains_may_have_lost_their_dots_and_slashes() {
    let mut event = json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "1", "verb": "get", "requestURI": "/api",
        "user": {"username": DECOY, "extra": {"authentication.kubernetes.io/credential-id": ["JTI=1"], "authentication.kubernetes.io/pod-name": ["p-1"]}},
        "annotations": {"authorization.k8s.io/decision": "allow"}});
    let bare = found(None, event.to_string().as_bytes());
    assert_eq!(bare[0].token.id.as_deref(), Some("JTI=1"));
    assert_eq!(bare[0].request.decision.as_deref(), Some("allow"));
    let same = |event: &Value| {
        let mut told = found(None, event.to_string().as_bytes());
        // It stands in the record.
        told[0].origin = bare[0].origin.clone();
        assert_eq!(told, bare, "{event}");
    };
    event["user"]["extra"] = json!({"authentication_kubernetes_io_slash_credential-id": ["JTI=1"], "authentication_kubernetes_io_slash_pod-name": ["p-1"]});
    same(&event);
    event["user"]["extra"] = json!({"authentication": {"kubernetes": {"io/credential-id": ["JTI=1"], "io/pod-name": "p-1"}}});
    event["annotations"] = json!({"authorization": {"k8s": {"io/decision": "allow"}}});
    same(&event);
}

/// Or what a client claims would be believed, and make an incident of its own of each request.
#[test]
fn addresses_may_have_become_one_text() {
    let mut event = hit("1");
    for text in [
        "6.6.6.6, 10.0.3.7",
        "6.6.6.6,10.0.3.7",
        "[6.6.6.6, 10.0.3.7]",
        "{6.6.6.6,10.0.3.7}",
        "6.6.6.6\n10.0.3.7",
        "[\"6.6.6.6\",\"10.0.3.7\"]",
        "['6.6.6.6', '10.0.3.7']",
    ] {
        event["sourceIPs"] = text.into();
        for record in [
            event.clone(),
            json!({"a.auditID": "1", "a.verb": "list", "a.user.username": DECOY, "a.sourceIPs": text}),
        ] {
            let told = found(None, record.to_string().as_bytes());
            assert_eq!(told[0].source_ip.as_deref(), Some("10.0.3.7"), "{record}");
            assert_eq!(told[0].claimed_ips.len(), 1, "{record}");
        }
    }
    for (text, wanted) in [
        ("10.0.3.7", Some("10.0.3.7")),
        ("fd00::1", Some("fd00::1")),
        ("", None),
        ("6.6.6.6, ", None),
    ] {
        event["sourceIPs"] = text.into();
        let told = found(None, event.to_string().as_bytes());
        assert_eq!(told[0].source_ip.as_deref(), wanted, "{event}");
    }
}

/// As Graylog does with arrays of objects.
#[test]
fn subjects_that_became_what_java_prints_are_undecodable() {
    let mut event = json!({"auditID": "1", "verb": "create", "user_username": "jane", "requestURI": "/x", "objectRef_resource": "rolebindings",
        "requestObject_subjects": "{kind=ServiceAccount, name=backup-sa, namespace=honeypot}"});
    assert_eq!(techniques(&event), [Technique::Undecodable]);
    event["requestObject_subjects"] = "{kind=User, name=jane}".into();
    assert_eq!(techniques(&event), []);
}

#[test]
fn a_few_fields_are_enough() {
    let stub = json!({"kind": "Event", "verb": "get", "objectRef": {"resource": "secrets", "namespace": "honeypot", "name": "backup-sa"}});
    let all = found(None, stub.to_string().as_bytes());
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].actor.username, None);
    assert_eq!(all[0].request.namespace.as_deref(), Some("honeypot"));
    for other in [
        json!({"kind": "Event", "involvedObject": {"kind": "Secret", "namespace": "honeypot", "name": "backup-sa"}, "reason": "x"}),
        json!({"kind": "Event", "apiVersion": "v1", "verb": "get", "objectRef": {"namespace": "honeypot", "name": "backup-sa"}}),
        json!({"kind": "Event", "apiVersion": "events.k8s.io/v1", "action": "get", "regarding": {"namespace": "honeypot", "name": "backup-sa"}}),
    ] {
        assert_eq!(techniques(&other), [], "{other}");
    }
}

/// `value` as a store writes it that tells types: `tag` has the name of one and what stands in it.
fn tagged(value: &Value, tag: &dyn Fn(&str, Value) -> Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(key, inner)| (key.clone(), tagged(inner, tag)));
            tag("map", fields.collect())
        }
        Value::Array(items) => tag("list", items.iter().map(|item| tagged(item, tag)).collect()),
        Value::String(_) => tag("text", value.clone()),
        Value::Null => tag("nothing", value.clone()),
        Value::Bool(_) => tag("truth", value.clone()),
        Value::Number(_) => tag("number", value.clone()),
    }
}

fn dynamo(kind: &str, value: Value) -> Value {
    match kind {
        "map" => json!({"M": value}),
        "list" => json!({"L": value}),
        "text" => json!({"S": value}),
        "nothing" => json!({"NULL": true}),
        "truth" => json!({"BOOL": value}),
        _ => json!({"N": value.to_string()}),
    }
}

fn firestore(kind: &str, value: Value) -> Value {
    match kind {
        "map" => json!({"mapValue": {"fields": value}}),
        "list" if value == json!([]) => json!({"arrayValue": {}}),
        "list" => json!({"arrayValue": {"values": value}}),
        "text" => json!({"stringValue": value}),
        "nothing" => json!({"nullValue": null}),
        "truth" => json!({"booleanValue": value}),
        _ => json!({"integerValue": value.to_string()}),
    }
}

fn protobuf(kind: &str, value: Value) -> Value {
    match kind {
        "map" => json!({"structValue": {"fields": value}}),
        "list" => json!({"listValue": {"values": value}}),
        "text" => json!({"stringValue": value}),
        "nothing" => json!({"nullValue": 0}),
        "truth" => json!({"boolValue": value}),
        _ => json!({"numberValue": value}),
    }
}

/// Whose records have names of their own.
fn avro(kind: &str, value: Value) -> Value {
    match kind {
        "map" => json!({"audit.Part": value}),
        "list" => json!({"array": value}),
        "text" => json!({"string": value}),
        "nothing" => Value::Null,
        "truth" => json!({"boolean": value}),
        _ => json!({"long": value}),
    }
}

type Tag = fn(&str, Value) -> Value;
const TAGS: [Tag; 4] = [dynamo, firestore, protobuf, avro];

/// The fields of `event`, each with its type.
fn with_types(event: &Value, tag: Tag) -> Value {
    let fields = event.as_object().expect("an event").iter();
    fields
        .map(|(key, value)| (key.clone(), tagged(value, &tag)))
        .collect()
}

#[test]
fn an_event_whose_values_tell_their_types_tells_the_same() {
    let (mut event, _) = told_event();
    event["annotations"] = json!({"authorization.k8s.io/decision": "forbid"});
    let bare = without_origin(found(None, event.to_string().as_bytes()));
    for tag in TAGS {
        let fields = with_types(&event, tag);
        for record in [
            fields.clone(),
            json!({"fields": fields}),
            json!({"Item": fields}),
        ] {
            let told = without_origin(found(None, record.to_string().as_bytes()));
            assert_eq!(told, bare, "{record}");
        }
        for (event, technique) in events(("honeypot", "backup-sa"), true, &str::to_owned) {
            let record = with_types(&event, tag);
            assert_eq!(techniques(&record), Vec::from_iter(technique), "{record}");
        }
    }
}

#[test]
fn what_a_client_writes_where_values_tell_their_types_is_no_event() {
    for forgery in forgeries() {
        let mut event = hit("quiet");
        event["user"] = json!({"username": "jane"});
        for key in ["requestURI", "userAgent", "auditID"] {
            event[key] = forgery.to_string().into();
        }
        event["requestObject"] = forgery.clone();
        for tag in TAGS {
            assert_eq!(techniques(&with_types(&event, tag)), [], "{forgery}");
        }
        let mut body = with_types(&event, avro);
        body["requestObject"] = forgery;
        assert_eq!(techniques(&body), [], "{body}");
    }
}

/// Where but some of them tell their types.
#[test]
fn an_event_with_types_in_it_is_undecodable() {
    let item = |user: &str, namespace: &str| {
        json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "1", "verb": "get",
        "user": {"M": {"username": user}}, "objectRef": {"M": {"resource": "secrets", "namespace": namespace, "name": "a"}}})
    };
    for (user, namespace) in [(DECOY, "shop"), ("jane", "honeypot")] {
        let item = item(user, namespace);
        assert_eq!(techniques(&item), [Technique::Undecodable], "{item}");
    }
    assert_eq!(techniques(&item("jane", "shop")), []);
}
