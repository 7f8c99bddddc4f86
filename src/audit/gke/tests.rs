use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// What `look` makes of the entry, `None` if it is none.
fn read<T>(entry: &Value, look: impl FnOnce(&Entry<'_, '_>) -> T) -> Option<T> {
    let mut text = entry.to_string().into_bytes();
    let tape = simd_json::to_tape(&mut text).expect("the test writes JSON");
    let object = tape.as_value().as_object()?;
    Entry::new(&object).map(|entry| look(&entry))
}

fn entry(payload: Value) -> Value {
    let mut all = json!({
        "protoPayload": {
            "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
            "serviceName": "k8s.io",
            "authenticationInfo": { "principalEmail": "system:serviceaccount:honeypot:backup-sa" },
            "authorizationInfo": [{
                "granted": true, "permission": "io.k8s.core.v1.pods.exec.create",
                "resource": "core/v1/namespaces/shop/pods/web/exec",
            }],
            "methodName": "io.k8s.core.v1.pods.exec.create",
            "resourceName": "core/v1/namespaces/shop/pods/web/exec",
            "requestMetadata": { "callerIp": "10.0.3.7", "callerSuppliedUserAgent": "curl/8.5.0" },
        },
        "insertId": "b2c2e792", "timestamp": "2026-11-23T17:21:08.912184Z",
        "labels": { "authorization.k8s.io/decision": "allow" },
        "operation": { "id": "b2c2e792", "producer": "k8s.io", "first": true, "last": true },
        "resource": { "type": "k8s_cluster", "labels": { "cluster_name": "prod" } },
    });
    let fields = payload.as_object().expect("an object").clone();
    let inner = all["protoPayload"].as_object_mut().expect("an object");
    inner.extend(fields);
    all
}

#[test]
fn an_entry_says_what_an_event_says() {
    read(&entry(json!({})), |entry| {
        assert!(entry.is_kubernetes() && entry.is_readable());
        let event = entry.event();
        assert_eq!(
            event.user.username,
            Some("system:serviceaccount:honeypot:backup-sa")
        );
        assert_eq!(
            (event.audit_id, event.stage),
            (Some("b2c2e792"), Some("ResponseComplete"))
        );
        assert_eq!(
            event.time().map(|time| time.to_string()).as_deref(),
            Some("2026-11-23T17:21:08.912184Z")
        );
        assert_eq!((event.verb, event.code), (Some("create"), Some(200)));
        assert_eq!(event.source_ips, ["10.0.3.7"]);
        assert_eq!(event.user_agent, Some("curl/8.5.0"));
        assert_eq!(event.annotations.decision, Some("allow"));
        let ObjectRef {
            resource,
            subresource,
            namespace,
            name,
            api_group,
        } = event.object;
        assert_eq!((resource, subresource), (Some("pods"), Some("exec")));
        assert_eq!(
            (namespace, name, api_group),
            (Some("shop"), Some("web"), None)
        );
        assert_eq!((event.impersonated, event.request_uri), (None, None));
    })
    .expect("an entry");
}

/// Resource, subresource, namespace, name, group and verb.
type Object<'v> = (
    &'v str,
    Option<&'v str>,
    Option<&'v str>,
    Option<&'v str>,
    Option<&'v str>,
    &'v str,
);

#[test]
fn names_of_methods_and_resources() {
    let rbac = Some("rbac.authorization.k8s.io");
    let cases: [(&str, &str, Object<'_>); 9] = [
        (
            "io.k8s.core.v1.secrets.get",
            "core/v1/namespaces/ns/secrets/s",
            ("secrets", None, Some("ns"), Some("s"), None, "get"),
        ),
        (
            "io.k8s.core.v1.secrets.list",
            "core/v1/secrets",
            ("secrets", None, None, None, None, "list"),
        ),
        (
            "io.k8s.core.v1.namespaces.get",
            "core/v1/namespaces/ns",
            ("namespaces", None, Some("ns"), Some("ns"), None, "get"),
        ),
        (
            "io.k8s.core.v1.serviceaccounts.token.create",
            "core/v1/namespaces/ns/serviceaccounts/sa/token",
            (
                "serviceaccounts",
                Some("token"),
                Some("ns"),
                Some("sa"),
                None,
                "create",
            ),
        ),
        (
            "io.k8s.authorization.rbac.v1.rolebindings.create",
            "rbac.authorization.k8s.io/v1/namespaces/ns/rolebindings/b",
            ("rolebindings", None, Some("ns"), Some("b"), rbac, "create"),
        ),
        (
            "io.k8s.authentication.v1.tokenreviews.create",
            "authentication.k8s.io/v1/tokenreviews",
            (
                "tokenreviews",
                None,
                None,
                None,
                Some("authentication.k8s.io"),
                "create",
            ),
        ),
        (
            "io.k8s.core.v1.nodes.proxy.create",
            "core/v1/nodes/n/proxy/exec/ns/p/c",
            ("nodes", Some("proxy"), None, Some("n"), None, "create"),
        ),
        (
            "io.k8s.core.v1.pods.log.get",
            "",
            ("pods", Some("log"), None, None, None, "get"),
        ),
        (
            "io.k8s.example.com.v1beta1.things.watch",
            "namespaces/ns/things/t",
            (
                "things",
                None,
                Some("ns"),
                Some("t"),
                Some("example.com"),
                "watch",
            ),
        ),
    ];
    for (method, path, (resource, subresource, namespace, name, group, verb)) in cases {
        let payload =
            entry(json!({"methodName": method, "resourceName": path, "authorizationInfo": []}));
        read(&payload, |entry| {
            let event = entry.event();
            let object = &event.object;
            assert_eq!(
                (object.resource, object.subresource),
                (Some(resource), subresource),
                "{method}"
            );
            assert_eq!(
                (object.namespace, object.name),
                (namespace, name),
                "{method}"
            );
            assert_eq!(
                (object.api_group, event.verb),
                (group, Some(verb)),
                "{method}"
            );
        })
        .expect("an entry");
    }
}

#[test]
fn what_became_of_it() {
    let refusal = "serviceaccounts \"x\" is forbidden: User \"jane\" cannot impersonate resource";
    let forged = "pods \"x\\\" cannot impersonate\" is forbidden: User \"jane\" cannot get";
    let selector =
        json!({"principalEmail": "jane", "authoritySelector": "system:serviceaccount:a:b"});
    for (status, code, decision, is_refused) in [
        (json!({}), Some(200), Some("allow"), false),
        (
            json!({"code": 7, "message": refusal}),
            Some(403),
            Some("allow"),
            true,
        ),
        (
            json!({"code": 7, "message": forged}),
            Some(403),
            Some("allow"),
            false,
        ),
        (json!({"code": "5"}), Some(404), Some("allow"), false),
        (json!({"code": 16}), Some(401), Some("allow"), false),
        (json!({"code": 422}), Some(422), Some("allow"), false),
        (Value::Null, Some(200), Some("allow"), false),
        (json!({"code": 7.0}), Some(403), Some("allow"), false),
        (json!({"code": "7.0"}), Some(403), Some("allow"), false),
        (
            json!({"code": "PERMISSION_DENIED"}),
            Some(403),
            Some("allow"),
            false,
        ),
        (json!({"code": null}), Some(200), Some("allow"), false),
        (
            json!({"code": 0, "message": "OK"}),
            Some(200),
            Some("allow"),
            false,
        ),
        (json!({"code": -1}), None, Some("allow"), false),
        (json!({"code": "?"}), None, Some("allow"), false),
        (json!({"message": "refused"}), None, Some("allow"), false),
    ] {
        let payload = entry(json!({"status": status, "authenticationInfo": selector}));
        read(&payload, |entry| {
            let event = entry.event();
            assert_eq!(
                (event.code, event.annotations.decision),
                (code, decision),
                "{status}"
            );
            assert_eq!(
                (event.impersonated.is_some(), event.refused_as.is_some()),
                (!is_refused, is_refused)
            );
            assert!(event.impersonates());
        })
        .expect("an entry");
    }
    let mut unlabelled =
        entry(json!({"status": {"code": 7}, "authorizationInfo": [{"permission": "x"}]}));
    unlabelled["labels"] = Value::Null;
    assert_eq!(
        read(&unlabelled, |entry| entry.event().is_forbidden()),
        Some(true)
    );
}

/// As stores write entries that leave out what is empty.
#[test]
fn what_was_granted_and_tells_no_status_was_let_in() {
    for (method, granted, first, wanted) in [
        ("io.k8s.core.v1.secrets.get", true, false, Some(200)),
        ("io.k8s.core.v1.secrets.get", false, false, None),
        ("io.k8s.core.v1.secrets.get", true, true, None),
        ("io.k8s.core.v1.pods.exec.create", true, false, None),
    ] {
        let mut entry =
            entry(json!({"methodName": method, "authorizationInfo": [{"granted": granted}]}));
        entry["operation"] = json!({"first": first});
        entry["labels"].take();
        assert_eq!(
            read(&entry, |entry| entry.event().code),
            Some(None),
            "it may have been picked"
        );
        entry["logName"] = "projects/p/logs/cloudaudit.googleapis.com%2Factivity".into();
        let code = read(&entry, |entry| entry.event().code);
        assert_eq!(code, Some(wanted), "{method} {granted} {first}");
    }
}

#[test]
fn a_look_at_health_is_no_resource() {
    for (method, path) in [
        ("io.k8s.readyz", "/readyz"),
        ("io.k8s.core.v1.healthz.get", "/healthz"),
        ("io.k8s.version", "/version"),
    ] {
        let entry =
            entry(json!({"methodName": method, "resourceName": null, "authorizationInfo": null}));
        read(&entry, |entry| {
            let event = entry.event();
            assert_eq!((event.verb, event.object_path), (Some("get"), Some(path)));
            assert_eq!(event.object.resource, None);
        });
    }
}

#[test]
fn a_request_that_was_forbidden_did_not_succeed_whatever_its_status_lacks() {
    let failure = json!({"@type": "core.k8s.io/v1.Status", "code": 404, "message": "gone"});
    let of = |decision: Value, granted: Value, status: Value, response: Value| {
        let mut all = entry(json!({
            "status": status, "response": response,
            "authorizationInfo": [{"permission": "x", "granted": granted}],
        }));
        all["labels"] = json!({"authorization.k8s.io/decision": decision});
        all["operation"] = Value::Null;
        read(&all, |entry| entry.event().code).expect("an entry")
    };
    let (forbid, none) = (json!("forbid"), Value::Null);
    assert_eq!(of(forbid, none.clone(), json!({}), none.clone()), Some(403));
    for granted in [json!(false), json!("false")] {
        let code = of(none.clone(), granted, json!({}), none.clone());
        assert_eq!(code, Some(403));
    }
    // BigQuery's API has text for what is true, and null for an empty status.
    assert_eq!(
        of(none.clone(), json!("true"), none.clone(), none.clone()),
        Some(200)
    );
    for status in [json!({}), json!({"code": 0}), none.clone()] {
        let code = of(none.clone(), json!(true), status, failure.clone());
        assert_eq!(code, Some(404));
    }
    let mut begun = entry(json!({"status": null}));
    begun["operation"] = json!({"id": "op", "first": true});
    assert_eq!(read(&begun, |entry| entry.event().code), Some(None));
}

#[test]
fn the_entries_of_one_request_are_its_stages() {
    let mut first = entry(json!({}));
    first["operation"] = json!({"id": "op", "first": true});
    first["insertId"] = "one".into();
    let mut last = first.clone();
    last["operation"] = json!({"id": "op", "last": "true"});
    last["insertId"] = "two".into();
    last["timestamp"] = "2026-11-23T18:00:00Z".into();
    for (entry, stage) in [(first, "ResponseStarted"), (last, "ResponseComplete")] {
        read(&entry, |entry| {
            let event = entry.event();
            assert_eq!(
                (event.audit_id, event.received, event.stage),
                (Some("op"), None, Some(stage))
            );
            assert!(event.stage_time().is_some());
        })
        .expect("an entry");
    }
}

#[test]
fn bodies_are_handed_on_and_say_nothing_else() {
    let body = json!({"@type": "k8s.io/Patch", "value": [{"op": "add"}], "methodName": "io.k8s.core.v1.secrets.get",
        "authenticationInfo": {"principalEmail": "forged"}, "status": {"code": 5}});
    read(
        &entry(json!({"request": body, "response": {"status": {"code": 7}}})),
        |entry| {
            let event = entry.event();
            assert!(event.request_object.is_some_and(|body| body.is_array()));
            assert!(event.response_object.is_some_and(|body| body.is_object()));
            assert_eq!((event.verb, event.code), (Some("create"), Some(200)));
            assert_eq!(
                event.user.username,
                Some("system:serviceaccount:honeypot:backup-sa")
            );
        },
    )
    .expect("an entry");
}

#[test]
fn what_is_an_entry_and_whose() {
    let whole = entry(json!({}));
    let storage = json!({"protoPayload": {"@type": "type.googleapis.com/google.cloud.audit.AuditLog",
        "serviceName": "storage.googleapis.com", "methodName": "storage.objects.get"}});
    let bigquery = json!({"protopayload_auditlog": whole["protoPayload"], "insertId": "1"});
    for (entry, is_kubernetes) in [
        (whole.clone(), Some(true)),
        (whole["protoPayload"].clone(), Some(true)),
        (bigquery, Some(true)),
        (storage, Some(false)),
        (json!({"protoPayload": "text"}), None),
        (json!({"methodName": "io.k8s.core.v1.secrets.get"}), None),
        (json!({"textPayload": "protoPayload"}), None),
    ] {
        assert_eq!(
            read(&entry, |entry| entry.is_kubernetes()),
            is_kubernetes,
            "{entry}"
        );
    }
    let strange = entry(json!({"authenticationInfo": "{\"principalEmail\":\"x\"}"}));
    assert_eq!(read(&strange, |entry| entry.is_readable()), Some(false));
}

proptest! {
    #[test]
    fn nothing_panics(method in "[a-z0-9.]{0,40}", path in "[a-z0-9/.]{0,40}", code in any::<i64>()) {
        let payload = json!({"methodName": method, "resourceName": path, "status": {"code": code}});
        read(&entry(payload), |entry| { entry.event(); });
    }
}
