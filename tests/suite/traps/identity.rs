//! Who asked, from where, with what: identities that an attacker may blur.

use baitline::{
    detect::{Config, Technique, TokenKind},
    source::Shape,
};
use serde_json::{Value, json};

use super::{DECOY, detections, event, found_in, object, scan, technique, touches};
use crate::recordings::decoy;

#[test]
fn names_are_compared_whole() {
    for user in ["backup-sa-2", "backup-s", "xbackup-sa", "backup-sa.x"] {
        let user = format!("system:serviceaccount:honeypot:{user}");
        assert_eq!(
            technique(&event(json!({"user": {"username": user}}))),
            None,
            "{user}"
        );
    }
    let other = "system:serviceaccount:shop:backup-sa";
    assert_eq!(
        technique(&event(json!({"user": {"username": other}}))),
        None
    );
    assert_eq!(
        technique(&event(json!({"user": {"username": DECOY}}))),
        Some(Technique::TokenUse)
    );
}

#[test]
fn a_proxy_is_believed_only_if_it_is_trusted() {
    let event = event(
        json!({"user": {"username": DECOY}, "sourceIPs": ["8.8.8.8", "20.43.245.209", "172.31.52.37"]}),
    );
    let plain = &detections(&event)[0];
    assert_eq!(plain.source_ip.as_deref(), Some("172.31.52.37"));
    assert_eq!(plain.claimed_ips, ["8.8.8.8", "20.43.245.209"]);
    let config = Config {
        trusted_proxies: vec!["172.31.0.0/16".parse().expect("a network")],
        ..Config::default()
    };
    let decoys = [decoy("honeypot", "backup-sa", true)];
    let behind = &scan(&config, &decoys, Shape::Lines, event.to_string().as_bytes())[0];
    assert_eq!(behind.source_ip.as_deref(), Some("20.43.245.209"));
    assert_eq!(behind.request_id, plain.request_id);
    assert_ne!(behind.incident_key, plain.incident_key);
}

#[test]
fn an_audit_id_alone_does_not_make_a_request() {
    let id = |changes| {
        let mut all = json!({"user": {"username": DECOY}});
        all.as_object_mut()
            .expect("an object")
            .extend::<serde_json::Map<_, _>>(
                Value::as_object(&changes).expect("an object").clone(),
            );
        detections(&event(all))[0].request_id
    };
    let first = id(json!({}));
    assert_eq!(
        first,
        id(json!({"stage": "RequestReceived", "responseStatus": null}))
    );
    for other in [
        json!({"auditID": "2"}),
        json!({"requestReceivedTimestamp": "2026-11-23T17:21:08.912185Z"}),
        json!({"verb": "list"}),
        json!({"requestURI": "/api/v1/nodes"}),
        json!({"sourceIPs": ["10.0.3.8"]}),
    ] {
        assert_ne!(first, id(other.clone()), "{other}");
    }
}

#[test]
fn a_token_is_known_by_its_jti_its_secret_or_its_account() {
    let token = |changes| detections(&event(changes))[0].token.clone();
    let jti = json!({"authentication.kubernetes.io/credential-id": ["JTI=1-2-3"], "authentication.kubernetes.io/pod-name": ["web-0"]});
    let bound = token(json!({"user": {"username": DECOY, "extra": jti}}));
    assert_eq!(
        (bound.kind, bound.id.as_deref()),
        (TokenKind::Bound, Some("JTI=1-2-3"))
    );
    let secret = json!({"authentication.k8s.io/legacy-token-manual-secret": "backup-sa-token"});
    let legacy = token(json!({"user": {"username": DECOY}, "annotations": secret}));
    assert_eq!(
        (legacy.kind, legacy.id.as_deref()),
        (TokenKind::Legacy, Some("backup-sa-token"))
    );
    let bare = token(json!({"user": {"username": DECOY}}));
    assert_eq!(
        (bare.kind, bare.id.as_deref()),
        (TokenKind::Other, Some(DECOY))
    );
    let reader = token(
        json!({"objectRef": object("secrets", None, Some("honeypot"), Some("backup-sa-token"))}),
    );
    assert_eq!(reader.id.as_deref(), Some("jane"));
}

#[test]
fn a_grant_is_more_than_what_every_account_may_do() {
    let granted = |uri: &str, resource: Option<&str>, code: u16| {
        let reference = resource.map(|resource| object(resource, None, None, None));
        let changes = json!({"user": {"username": DECOY}, "requestURI": uri, "objectRef": reference, "responseStatus": {"code": code}});
        detections(&event(changes))[0].granted
    };
    assert!(granted("/api/v1/secrets", Some("secrets"), 200));
    assert!(!granted("/api/v1/secrets", Some("secrets"), 403));
    assert!(granted("/metrics", None, 200));
    for open in [
        "/version?timeout=5s",
        "/api",
        "/apis/apps/v1",
        "/healthz",
        "/readyz/ping",
        "/openapi/v3",
        "/openid/v1/jwks",
    ] {
        assert!(!granted(open, None, 200), "{open}");
    }
    assert!(!granted(
        "/apis/authorization.k8s.io/v1/x",
        Some("selfsubjectrulesreviews"),
        201
    ));
}

#[test]
fn an_event_that_lost_its_identity_or_its_object_is_still_one() {
    let bare = |changes: Value| {
        let mut event = event(changes);
        let fields = event.as_object_mut().expect("an object");
        for key in [
            "kind",
            "apiVersion",
            "auditID",
            "stage",
            "requestReceivedTimestamp",
        ] {
            fields.remove(key);
        }
        technique(&event)
    };
    assert_eq!(
        bare(json!({"user": {"username": DECOY}})),
        Some(Technique::TokenUse)
    );
    for (uri, found) in [
        (
            "/api/v1/namespaces/honeypot/secrets/backup-sa-token?x=/a",
            Technique::SecretRead,
        ),
        (
            "/api/v1/namespaces/honeypot/pods/file-backup/exec?command=id",
            Technique::PodExec,
        ),
        (
            "/api/v1/watch/namespaces/honeypot/pods/file-backup",
            Technique::Recon,
        ),
        ("/api/v1/namespaces/honeypot", Technique::Recon),
        (
            "/apis/apps/v1/namespaces/honeypot/deployments",
            Technique::NamespaceTouch,
        ),
        (
            "/api/v1/nodes/n/proxy/exec/%68oneypot/file-backup/c",
            Technique::PodExec,
        ),
    ] {
        assert_eq!(bare(json!({"requestURI": uri})), Some(found), "{uri}");
    }
    for uri in [
        "/api/v1/namespaces/shop/secrets/backup-sa-token",
        "/apis/honeypot/v1/x",
        "/api",
        "",
    ] {
        assert_eq!(bare(json!({"requestURI": uri})), None, "{uri}");
    }
}

#[test]
fn events_without_identity_in_one_record_are_requests_of_their_own() {
    let nameless = |code: u16| {
        let mut event =
            event(json!({"user": {"username": DECOY}, "responseStatus": {"code": code}}));
        let fields = event.as_object_mut().expect("an object");
        fields.remove("auditID");
        fields.remove("requestReceivedTimestamp");
        event
    };
    let list = json!([nameless(403), nameless(200)]);
    let decoys = [decoy("honeypot", "backup-sa", true)];
    let found = touches(&decoys, &list);
    assert_eq!(found.len(), 2);
    assert_ne!(found[0].request_id, found[1].request_id);
    let again = touches(&decoys, &list);
    assert_eq!(found, again);
}

#[test]
fn a_detection_tells_where_its_record_begins() {
    let decoys = [decoy("honeypot", "backup-sa", true)];
    let line = event(json!({"user": {"username": DECOY}})).to_string();
    let lines = format!("{{}}\n{line}\n");
    let found = found_in(&decoys, &lines);
    assert_eq!(found[0].origin.position.as_deref(), Some("audit.log:3"));
}

/// An event that says all that can be said.
fn outspoken() -> Value {
    event(json!({
        "user": {
            "username": DECOY, "uid": "u-1", "groups": ["system:authenticated"],
            "extra": {
                "authentication.kubernetes.io/credential-id": ["JTI=1-2-3"],
                "authentication.kubernetes.io/pod-name": ["web-0"],
                "authentication.kubernetes.io/node-name": ["node-1"],
            },
        },
        "impersonatedUser": {"username": "system:admin"},
        "objectRef": {
            "resource": "pods", "subresource": "exec", "namespace": "honeypot", "name": "web-0", "apiGroup": "apps",
        },
        "stageTimestamp": "2026-11-23T17:21:08.914002Z",
        "annotations": {
            "authorization.k8s.io/decision": "allow",
            "authentication.kubernetes.io/issued-credential-id": "JTI=4-5-6",
            "authentication.k8s.io/legacy-token": "honeypot:backup-sa",
            "authentication.k8s.io/legacy-token-manual-secret": "backup-sa-token",
        },
    }))
}

/// The pointers to all texts in `value`.
fn texts(value: &Value, pointer: String, out: &mut Vec<String>) {
    let step = |key: &str| format!("{pointer}/{}", key.replace('/', "~1"));
    match value {
        Value::String(_) => out.push(pointer),
        Value::Object(fields) => {
            for (key, value) in fields {
                texts(value, step(key), out);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                texts(value, step(&index.to_string()), out);
            }
        }
        _ => {}
    }
}

/// As stores have it that join keys: `user.username`, `sourceIPs.0`.
fn joined(event: &Value) -> Value {
    let mut all = Vec::new();
    texts(event, String::new(), &mut all);
    let fields = all.into_iter().map(|pointer| {
        let key = pointer[1..].replace('/', ".").replace("~1", "/");
        (key, event.pointer(&pointer).cloned().unwrap_or_default())
    });
    Value::Object(fields.collect())
}

/// Stores of text have an empty one where nothing is known. Two hits of one token are one incident, whichever way they came.
#[test]
fn an_empty_text_says_no_more_than_none() {
    let whole = outspoken();
    let mut all = Vec::new();
    texts(&whole, String::new(), &mut all);
    assert!(all.len() > 20, "{all:?}");
    all.retain(|pointer| !matches!(&**pointer, "/kind" | "/apiVersion" | "/user/username"));
    let with = |pointers: &[String], value: Value| {
        let mut event = whole.clone();
        for pointer in pointers {
            *event.pointer_mut(pointer).expect("it is there") = value.clone();
        }
        event
    };
    // What has no name at all is told apart by its bytes.
    let named: Vec<String> = all
        .iter()
        .filter(|pointer| *pointer != "/auditID")
        .cloned()
        .collect();
    for pointers in all.iter().map(std::slice::from_ref).chain([&named[..]]) {
        let (empty, none) = (with(pointers, json!("")), with(pointers, Value::Null));
        let mut told = detections(&empty);
        assert_eq!(told, detections(&none), "{pointers:?}");
        told.extend(detections(&joined(&empty)));
        assert_eq!(told.len(), 2, "{pointers:?}");
        for detection in &told {
            let mut line = Vec::new();
            baitline::format::json::detection(detection, &mut line);
            let line = String::from_utf8_lossy(&line);
            assert!(!line.contains(r#""""#), "{pointers:?}: {line}");
        }
    }
}
