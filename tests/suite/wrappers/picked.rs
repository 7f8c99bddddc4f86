//! Fields that a query picked out of events: what is missing is unknown, and what is known is enough.

use baitline::detect::Technique;
use serde_json::{Value, json};

use super::{
    forged::{DECOY, hit},
    found,
};

const URI: &str = "/api/v1/namespaces/honeypot/secrets/backup-sa-token";

#[track_caller]
fn check(record: &Value, wanted: &[Technique]) {
    let all = found(None, record.to_string().as_bytes());
    let told: Vec<_> = all.iter().map(|one| one.technique).collect();
    assert_eq!(told, wanted, "{record}");
}

/// The more of an object is known, the more is told of it.
#[test]
fn the_uri_tells_what_of_the_object_was_not_picked() {
    let secret = json!({"resource": "secrets", "namespace": "honeypot", "name": "backup-sa-token"});
    let exec = json!({"resource": "pods", "subresource": "exec", "namespace": "honeypot", "name": "file-backup"});
    let of_list =
        "/api/v1/namespaces/honeypot/secrets?fieldSelector=metadata.name%3Dbackup-sa-token";
    for (verb, object, uris, technique) in [
        (
            "get",
            secret,
            [
                URI,
                "/api/v1/namespaces/honeypot/secrets/backup%2Dsa-token",
                of_list,
            ],
            Technique::SecretRead,
        ),
        (
            "create",
            exec,
            [
                "/api/v1/namespaces/honeypot/pods/file-backup/exec?command=sh",
                "/api/v1/namespaces/honeypot/pods/file%2Dbackup/exec",
                "/api/v1/namespaces/%68oneypot/pods/file-backup/exec",
            ],
            Technique::PodExec,
        ),
    ] {
        let keys: Vec<&String> = object.as_object().expect("an object").keys().collect();
        for uri in uris {
            // Each choice of the object's fields.
            for chosen in 0..1 << keys.len() {
                let mut record = json!({"auditID": "1", "user.username": "jane", "verb": verb, "requestURI": uri});
                for (at, key) in keys.iter().enumerate() {
                    if chosen >> at & 1 == 1 {
                        record[format!("objectRef.{key}")] = object[*key].clone();
                    }
                }
                check(&record, &[technique]);
            }
        }
    }
    // Of another kind of object the URI tells nothing.
    check(
        &json!({"auditID": "1", "verb": "get", "requestURI": "/api/v1/namespaces/shop/secrets/backup-sa-token", "objectRef": {"resource": "pods"}}),
        &[],
    );
}

#[test]
fn columns_of_aks_need_not_be_all_there() {
    let user = json!({"username": "jane"});
    let object = json!({"resource": "secrets", "namespace": "honeypot", "name": "backup-sa-token"});
    for record in [
        json!({"TimeGenerated": "2026-11-23T17:21:08Z", "Verb": "get", "User": user, "ObjectRef": object, "SourceIps": ["10.0.0.1"]}),
        json!({"Verb": "get", "User": user, "ObjectRef": object.to_string()}),
        json!({"Verb": "get", "User": user, "RequestUri": URI}),
    ] {
        check(&record, &[Technique::SecretRead]);
    }
}

/// Too few to be an event for sure: others may have the like.
#[test]
fn two_fields_that_name_a_decoy_are_undecodable() {
    let object = json!({"resource": "secrets", "namespace": "honeypot", "name": "backup-sa-token"});
    for record in [
        json!({"@timestamp": "2026-11-23 17:21:08.912", "user.username": DECOY, "verb": "list"}),
        json!({"user": {"username": DECOY}, "requestURI": "/api/v1/secrets"}),
        json!({"User": {"username": DECOY}, "ResponseStatus": {"code": 200}}),
        json!({"user.username": "jane", "impersonatedUser.username": DECOY, "verb": "list"}),
        json!({"results": [[{"field": "user.username", "value": DECOY}, {"field": "verb", "value": "list"}]]}),
        json!({"objectRef": object, "verb": "get", "responseStatus": {"code": 200}}),
        json!({"methodName": "io.k8s.core.v1.secrets.get", "resourceName": "core/v1/namespaces/honeypot/secrets/backup-sa-token"}),
    ] {
        check(&record, &[Technique::Undecodable]);
        let quiet = record
            .to_string()
            .replace("backup-sa", "other")
            .replace("honeypot", "shop");
        assert_eq!(found(None, quiet.as_bytes()), [], "{quiet}");
    }
    for other in [
        json!({"user": {"username": DECOY}, "message": "hello"}),
        json!({"verb": "get", "stage": DECOY}),
        json!({"methodName": "io.k8s.core.v1.secrets.get", "caller": DECOY}),
    ] {
        check(&other, &[]);
    }
}

#[test]
fn fields_that_were_picked_beside_the_whole_event_tell_nothing_more() {
    let event = hit("1");
    for record in [
        json!({"user.username": DECOY, "verb": "list", "@message": event.to_string()}),
        json!({"user": {"username": DECOY}, "requestURI": "/api", "log": event}),
    ] {
        check(&record, &[Technique::TokenUse]);
    }
}

#[test]
fn an_entry_of_gke_may_have_lost_its_method() {
    let payload =
        json!({"authenticationInfo": {"principalEmail": DECOY}, "resourceName": "core/v1/secrets"});
    let of = |kind: &str| json!({"insertId": "1", "timestamp": "2026-11-23T17:21:08Z", "resource": {"type": kind}, "protoPayload": payload});
    check(&of("k8s_cluster"), &[Technique::TokenUse]);
    check(&of("gke_cluster"), &[]);
}

/// Shippers drop and rename fields of answers, and verbs.
#[test]
fn what_else_tells_of_an_answer_or_a_verb_is_enough() {
    let message = "serviceaccounts \"backup-sa\" is forbidden: User \"jane\" cannot impersonate resource \"serviceaccounts\" in API group \"\" in the namespace \"honeypot\"";
    let event = |fields: Value| {
        let mut event = hit("1");
        event["user"] = json!({"username": "jane"});
        for (key, value) in fields.as_object().expect("an object") {
            event[key] = value.clone();
        }
        event
    };
    for status in [
        json!({"status": "Failure", "reason": "Forbidden", "message": message}),
        json!({"message": message}),
        json!({"message": message, "code": 403.0}),
    ] {
        check(
            &event(json!({"responseStatus": status})),
            &[Technique::ImpersonationDenied],
        );
    }
    check(
        &event(json!({"responseStatus": {"message": message, "code": 404}})),
        &[],
    );
    let binding = json!({"kind": "RoleBinding", "subjects": [{"kind": "ServiceAccount", "name": "backup-sa", "namespace": "honeypot"}]});
    let of_binding = json!({"resource": "rolebindings", "namespace": "shop", "name": "b", "apiGroup": "rbac.authorization.k8s.io"});
    let of_token = json!({"resource": "serviceaccounts", "subresource": "token", "namespace": "honeypot", "name": "backup-sa"});
    for (fields, wanted) in [
        (
            json!({"verb": null, "objectRef": of_binding, "requestObject": binding}),
            Some(Technique::PrivilegeGrant),
        ),
        (
            json!({"verb": null, "objectRef": of_binding, "responseObject": binding}),
            None,
        ),
        (
            json!({"verb": null, "objectRef": of_token}),
            Some(Technique::TokenRequest),
        ),
    ] {
        let record = event(fields);
        let all = found(None, record.to_string().as_bytes());
        assert_eq!(all.first().map(|one| one.technique), wanted, "{record}");
    }
    for (code, wanted) in [
        (json!(403.0), Some(403)),
        (json!("200.0"), Some(200)),
        (json!(1.5), None),
    ] {
        let mut record = hit("1");
        record["responseStatus"] = json!({"code": code});
        let told = found(None, record.to_string().as_bytes());
        assert_eq!(told[0].request.code, wanted, "{record}");
    }
}
