//! Traps that an attacker, a proxy or a shipper may lay, one test each.

use baitline::{
    config::{Decoy, Expected},
    detect::{Class, Config, Detection, Detector, Severity, Technique, TokenKind},
    source::{Block, Shape},
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::recordings::decoy;

const DECOY: &str = "system:serviceaccount:honeypot:backup-sa";

/// A `get` by jane with the fields of `changes` in place of its own.
fn event(changes: Value) -> Value {
    let mut event = json!({
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "1", "stage": "ResponseComplete",
        "requestURI": "/api/v1/pods", "verb": "get", "user": {"username": "jane"}, "sourceIPs": ["10.0.3.7"],
        "userAgent": "curl/8.5.0", "requestReceivedTimestamp": "2026-11-23T17:21:08.912184Z",
        "responseStatus": {"code": 200}
    });
    let fields = event.as_object_mut().expect("an object");
    fields.extend(changes.as_object().expect("an object").clone());
    event
}

fn object(
    resource: &str,
    subresource: Option<&str>,
    namespace: Option<&str>,
    name: Option<&str>,
) -> Value {
    json!({"resource": resource, "subresource": subresource, "namespace": namespace, "name": name})
}

fn scan(config: &Config, decoys: &[Decoy], shape: Shape, bytes: &[u8]) -> Vec<Detection> {
    let mut detector =
        Detector::new(config, decoys, None, "audit".into()).expect("the globs are globs");
    let block = Block {
        bytes,
        shape,
        position: &|at| format!("audit.log:{at}"),
    };
    let mut detections = Vec::new();
    detector.scan(&block, Timestamp::UNIX_EPOCH, &mut detections);
    detections
}

fn detections(event: &Value) -> Vec<Detection> {
    let decoys = [decoy("honeypot", "backup-sa", true)];
    scan(
        &Config::default(),
        &decoys,
        Shape::Lines,
        event.to_string().as_bytes(),
    )
}

fn technique(event: &Value) -> Option<Technique> {
    let found = detections(event);
    assert!(found.len() < 2);
    found.first().map(|detection| detection.technique)
}

fn with_rule(rule: Expected, event: &Value) -> Class {
    let decoys = [Decoy {
        expected: vec![rule],
        ..decoy("honeypot", "backup-sa", true)
    }];
    scan(
        &Config::default(),
        &decoys,
        Shape::Lines,
        event.to_string().as_bytes(),
    )[0]
    .class
}

fn rule(user: &str) -> Expected {
    Expected {
        user: user.to_owned(),
        verbs: vec![],
        resources: vec![],
        techniques: vec![],
    }
}

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
fn what_a_request_touched_is_not_hidden_by_a_header_that_makes_it_fail() {
    let message = "serviceaccounts \"default\" is forbidden: User \"jane\" cannot impersonate resource \"serviceaccounts\" in API group \"\" in the namespace \"shop\"";
    let read = json!({"objectRef": object("secrets", None, Some("honeypot"), Some("backup-sa-token")), "responseStatus": {"code": 403, "message": message}});
    assert_eq!(technique(&event(read)), Some(Technique::SecretRead));
}

#[test]
fn a_refused_impersonation_counts_only_if_it_names_the_decoy() {
    let refused = |name: &str, namespace: &str, code: u16| {
        let message = format!(
            "serviceaccounts \"{name}\" is forbidden: User \"jane\" cannot impersonate resource \"serviceaccounts\" in API group \"\" in the namespace \"{namespace}\""
        );
        technique(&event(
            json!({"responseStatus": {"code": code, "message": message}}),
        ))
    };
    assert_eq!(
        refused("backup-sa", "honeypot", 403),
        Some(Technique::ImpersonationDenied)
    );
    assert_eq!(refused("backup-sa-2", "honeypot", 403), None);
    assert_eq!(refused("backup-sa", "shop", 403), None);
    assert_eq!(refused("backup-sa", "honeypot", 200), None);
    let constrained = "serviceaccounts.authentication.k8s.io \"backup-sa\" is forbidden: User \"jane\" cannot impersonate:serviceaccount resource \"serviceaccounts\" in API group \"authentication.k8s.io\" in the namespace \"honeypot\"";
    assert_eq!(
        technique(&event(
            json!({"responseStatus": {"code": 403, "message": constrained}})
        )),
        Some(Technique::ImpersonationDenied)
    );
}

#[test]
fn a_binding_counts_by_its_subjects() {
    let grant = |verb: &str, body: Value| {
        technique(&event(
            json!({"verb": verb, "objectRef": object("rolebindings", None, Some("default"), Some("backup-sa-admin")), "requestObject": body}),
        ))
    };
    let account = json!({"kind": "ServiceAccount", "name": "backup-sa", "namespace": "honeypot"});
    let elsewhere = json!({"kind": "ServiceAccount", "name": "backup-sa", "namespace": "shop"});
    let found = Some(Technique::PrivilegeGrant);
    assert_eq!(
        grant("create", json!({"subjects": [elsewhere, account]})),
        found
    );
    assert_eq!(
        grant(
            "update",
            json!({"subjects": [{"kind": "User", "name": DECOY}]})
        ),
        found
    );
    assert_eq!(
        grant(
            "patch",
            json!({"subjects": [{"kind": "Group", "name": "system:serviceaccounts:honeypot"}]})
        ),
        found
    );
    assert_eq!(
        grant(
            "patch",
            json!([{"op": "add", "path": "/subjects/-", "value": account}])
        ),
        found
    );
    assert_eq!(
        grant(
            "patch",
            json!([{"op": "replace", "path": "/subjects", "value": [account]}])
        ),
        found
    );
    assert_eq!(
        grant(
            "patch",
            json!([{"op": "replace", "path": "", "value": {"subjects": [account]}}])
        ),
        found
    );
    assert_eq!(
        grant(
            "patch",
            json!([{"op": "test", "path": "/subjects/0", "value": account}])
        ),
        None
    );
    assert_eq!(grant("create", json!({"subjects": [elsewhere]})), None);
    assert_eq!(
        grant(
            "create",
            json!({"metadata": {"name": "backup-sa"}, "subjects": null})
        ),
        None
    );
    assert_eq!(grant("delete", json!({"subjects": [account]})), None);
    assert_eq!(grant("create", json!("skipped-too-big-size-object")), None);
}

#[test]
fn a_field_of_a_subject_that_a_patch_changes_is_seen_in_the_outcome() {
    let patch = |path: &str| {
        technique(&event(
            json!({"verb": "patch", "objectRef": object("clusterrolebindings", None, None, Some("x")),
            "requestObject": [{"op": "replace", "path": path, "value": "backup-sa"}],
            "responseObject": {"subjects": [{"kind": "ServiceAccount", "name": "backup-sa", "namespace": "honeypot"}]}}),
        ))
    };
    assert_eq!(patch("/subjects/0/name"), Some(Technique::PrivilegeGrant));
    assert_eq!(patch("/metadata/labels/app"), None);
}

#[test]
fn a_pod_runs_as_the_decoy_by_its_spec_wherever_that_stands() {
    let made = |verb: &str, resource: &str, body: Value| {
        technique(&event(
            json!({"verb": verb, "objectRef": object(resource, None, Some("honeypot"), Some("runner")), "requestObject": body}),
        ))
    };
    let (found, touch) = (Some(Technique::PodAsDecoy), Some(Technique::NamespaceTouch));
    let spec = json!({"serviceAccountName": "backup-sa"});
    assert_eq!(made("create", "pods", json!({"spec": spec})), found);
    assert_eq!(
        made(
            "create",
            "deployments",
            json!({"spec": {"template": {"spec": spec}}})
        ),
        found
    );
    assert_eq!(
        made(
            "create",
            "cronjobs",
            json!({"spec": {"jobTemplate": {"spec": {"template": {"spec": spec}}}}})
        ),
        found
    );
    assert_eq!(
        made(
            "patch",
            "deployments",
            json!([{"op": "add", "path": "/spec/template/spec/serviceAccountName", "value": "backup-sa"}])
        ),
        found
    );
    let volume = json!({"projected": {"sources": [{"secret": {"name": "backup-sa-token"}}]}});
    assert_eq!(
        made("create", "pods", json!({"spec": {"volumes": [volume]}})),
        found
    );
    assert_eq!(
        made(
            "patch",
            "deployments",
            json!([{"op": "add", "path": "/spec/template/spec/volumes/-", "value": volume}])
        ),
        found
    );
    let environment = json!([{"env": [{"valueFrom": {"secretKeyRef": {"name": "backup-sa-token", "key": "token"}}}]}]);
    assert_eq!(
        made(
            "create",
            "pods",
            json!({"spec": {"containers": environment}})
        ),
        found
    );
    assert_eq!(
        made(
            "create",
            "pods",
            json!({"spec": {"serviceAccountName": "default"}, "metadata": {"labels": {"secretName": "backup-sa-token"}}})
        ),
        touch
    );
    assert_eq!(
        made(
            "create",
            "configmaps",
            json!({"data": {"serviceAccountName": "backup-sa"}})
        ),
        touch
    );
}

#[test]
fn the_decoys_own_pod_is_no_other_pod_that_runs_as_it() {
    let own = json!({"verb": "create", "objectRef": object("pods", None, Some("honeypot"), None),
        "requestObject": {"metadata": {"name": "file-backup"}, "spec": {"serviceAccountName": "backup-sa"}}});
    assert_eq!(technique(&event(own)), Some(Technique::Tamper));
}

#[test]
fn another_group_or_namespace_has_objects_of_the_same_name() {
    let mut reference = object("secrets", None, Some("shop"), Some("backup-sa-token"));
    assert_eq!(technique(&event(json!({"objectRef": reference}))), None);
    reference["namespace"] = "honeypot".into();
    reference["apiGroup"] = "vault.example.com".into();
    assert_eq!(
        technique(&event(json!({"objectRef": reference}))),
        Some(Technique::NamespaceTouch)
    );
    let selected = json!({"verb": "list", "objectRef": object("secrets", None, None, Some("backup-sa-token")),
        "requestURI": "/api/v1/secrets?fieldSelector=metadata.name%3Dbackup-sa-token%2Cmetadata.namespace%3Dshop"});
    assert_eq!(technique(&event(selected)), None);
}

#[test]
fn a_proxied_pod_may_have_a_scheme_and_a_port() {
    for name in [
        "file-backup",
        "http:file-backup:8080",
        "https:file-backup:",
        "file-backup:80",
    ] {
        let proxied =
            json!({"objectRef": object("pods", Some("proxy"), Some("honeypot"), Some(name))});
        assert_eq!(
            technique(&event(proxied)),
            Some(Technique::PodExec),
            "{name}"
        );
    }
}

#[test]
fn an_event_that_touches_two_decoys_is_a_detection_for_each() {
    let decoys = [
        decoy("honeypot", "backup-sa", true),
        decoy("honeypot", "deploy-sa", true),
    ];
    let touch = event(
        json!({"verb": "deletecollection", "objectRef": object("secrets", None, Some("honeypot"), None)}),
    );
    let found = scan(
        &Config::default(),
        &decoys,
        Shape::Lines,
        touch.to_string().as_bytes(),
    );
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].request_id, found[1].request_id);
    assert_ne!(found[0].detection_id, found[1].detection_id);
    assert_ne!(found[0].incident_key, found[1].incident_key);
}

#[test]
fn the_decoys_severity_is_a_floor() {
    let decoys = [Decoy {
        severity: Severity::High,
        ..decoy("honeypot", "backup-sa", true)
    }];
    let touch = event(json!({"objectRef": object("leases", None, Some("honeypot"), Some("x"))}));
    let found = scan(
        &Config::default(),
        &decoys,
        Shape::Lines,
        touch.to_string().as_bytes(),
    );
    assert_eq!(found[0].severity, Severity::High);
    assert_eq!(detections(&touch)[0].severity, Severity::Low);
}

#[test]
fn the_control_plane_is_expected_to_touch_objects_and_no_more() {
    let class = |user: &str, changes: Value| {
        let mut event = event(changes);
        event["user"]["username"] = user.into();
        detections(&event)[0].class
    };
    let secret =
        json!({"objectRef": object("secrets", None, Some("honeypot"), Some("backup-sa-token"))});
    let exec =
        json!({"objectRef": object("pods", Some("exec"), Some("honeypot"), Some("file-backup"))});
    let controller = "system:serviceaccount:kube-system:namespace-controller";
    for user in [
        "system:apiserver",
        "system:kube-controller-manager",
        controller,
        "system:node:n1",
    ] {
        assert_eq!(class(user, secret.clone()), Class::Expected, "{user}");
        assert_eq!(class(user, exec.clone()), Class::Detect, "{user}");
        let mut refused = secret.clone();
        refused["annotations"] = json!({"authorization.k8s.io/decision": "forbid"});
        assert_eq!(class(user, refused), Class::Detect, "{user}");
        let mut impersonating = secret.clone();
        impersonating["impersonatedUser"] = json!({"username": "joe"});
        assert_eq!(class(user, impersonating), Class::Detect, "{user}");
    }
    assert_eq!(
        class("system:serviceaccount:kube-system:evil", secret.clone()),
        Class::Detect
    );
    assert_eq!(
        class("system:serviceaccount:shop:namespace-controller", secret),
        Class::Detect
    );
    let delete = json!({"verb": "delete", "objectRef": object("serviceaccounts", None, Some("honeypot"), Some("backup-sa"))});
    assert_eq!(class("system:node:n1", delete), Class::Detect);
}

#[test]
fn rules_of_the_users_reach_as_far_as_they_say() {
    let read = event(
        json!({"objectRef": object("secrets", None, Some("honeypot"), Some("backup-sa-token"))}),
    );
    assert_eq!(with_rule(rule("ja*"), &read), Class::Expected);
    assert_eq!(with_rule(rule("joe"), &read), Class::Detect);
    assert_eq!(
        with_rule(
            Expected {
                verbs: vec!["list".into()],
                ..rule("jane")
            },
            &read
        ),
        Class::Detect
    );
    assert_eq!(
        with_rule(
            Expected {
                resources: vec!["secrets".into()],
                ..rule("jane")
            },
            &read
        ),
        Class::Expected
    );
    assert_eq!(
        with_rule(
            Expected {
                resources: vec!["pods/exec".into()],
                ..rule("jane")
            },
            &read
        ),
        Class::Detect
    );
    assert_eq!(
        with_rule(
            Expected {
                techniques: vec![Technique::Recon],
                ..rule("jane")
            },
            &read
        ),
        Class::Detect
    );
    let used = event(json!({"user": {"username": DECOY}}));
    assert_eq!(with_rule(rule("*"), &used), Class::Detect);
    assert_eq!(
        with_rule(
            Expected {
                techniques: vec![Technique::TokenUse],
                ..rule("*")
            },
            &used
        ),
        Class::Expected
    );
    let acted = event(json!({"impersonatedUser": {"username": DECOY}}));
    assert_eq!(with_rule(rule("*"), &acted), Class::Detect);
    assert_eq!(
        with_rule(
            Expected {
                techniques: vec![Technique::Impersonation],
                ..rule("*")
            },
            &acted
        ),
        Class::Expected
    );
    let mut behind = read;
    behind["impersonatedUser"] = json!({"username": "joe"});
    assert_eq!(with_rule(rule("*"), &behind), Class::Detect);
    let review = event(
        json!({"verb": "create", "objectRef": object("subjectaccessreviews", None, None, None), "requestObject": {"spec": {"user": DECOY}}}),
    );
    assert_eq!(
        with_rule(
            Expected {
                techniques: vec![Technique::TokenReview],
                ..rule("*")
            },
            &review
        ),
        Class::Detect
    );
}

#[test]
fn a_cut_event_that_names_the_decoy_is_never_dropped() {
    let decoys = [decoy("honeypot", "backup-sa", false)];
    let whole = event(json!({"user": {"username": DECOY}, "requestObject": {"token": "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.e30.c2ln"}})).to_string();
    let text = whole.replacen("\"kind\":\"Event\",", "", 1);
    let named = text.find("backup-sa").expect("it is named") + "backup-sa".len();
    let marked = text.find("requestReceivedTimestamp").expect("it is marked");
    for end in named.max(marked + 30)..text.len() {
        let found = scan(
            &Config::default(),
            &decoys,
            Shape::Lines,
            &text.as_bytes()[..end],
        );
        assert_eq!(found.len(), 1, "{}", &text[..end]);
        assert_eq!(found[0].technique, Technique::Undecodable);
        assert_eq!(found[0].time, Timestamp::UNIX_EPOCH);
        let excerpt = found[0].excerpt.clone().unwrap_or_default();
        assert!(
            !excerpt.contains("eyJ") && !excerpt.contains("requestObject"),
            "{excerpt}"
        );
    }
}

#[test]
fn prose_that_names_the_decoy_is_no_event() {
    let decoys = [decoy("honeypot", "backup-sa", true)];
    for text in [
        "CRITICAL opened: token of honeypot/backup-sa used {auditID requestReceivedTimestamp",
        r#"{"message":"honeypot backup-sa auditID"}"#,
        r#"{"message":"honeypot backup-sa {'auditID': 'x'"}"#,
        r#"{"kind":"Pod","metadata":{"name":"backup-sa","namespace":"honeypot"}}"#,
        r#"{"type":"alert","schema":1,"alert_id":"x","decoy":"honeypot/backup-sa","excerpt":"{\"auditID\":\"1\",\"sys"#,
    ] {
        assert_eq!(
            scan(&Config::default(), &decoys, Shape::Lines, text.as_bytes()),
            [],
            "{text}"
        );
    }
}

#[test]
fn an_oversized_record_is_searched_to_its_end() {
    let decoys = [decoy("honeypot", "backup-sa", false)];
    let mut detector = Detector::new(&Config::default(), &decoys, None, "audit".into())
        .expect("the globs are globs");
    let mut found = Vec::new();
    let parts = [
        r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","requestURI":"aaaa"#,
        "aaaa",
        "aaaa\",\"user\":\"system:serviceaccount:honeypot:backup-sa\"}",
    ];
    for (index, part) in parts.iter().enumerate() {
        assert_eq!(found, []);
        let shape = Shape::Oversized {
            first: index == 0,
            last: index == 2,
        };
        let block = Block {
            bytes: part.as_bytes(),
            shape,
            position: &|_| String::new(),
        };
        detector.scan(&block, Timestamp::UNIX_EPOCH, &mut found);
    }
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].technique, Technique::Undecodable);
    assert_eq!(detector.counts().oversized, 1);
}

#[test]
fn an_event_whose_beginning_is_cut_off_is_never_dropped() {
    let decoys = [decoy("honeypot", "backup-sa", false)];
    let whole = json!({"auditID": "1", "user": {"username": DECOY}, "sourceIPs": ["10.0.3.7"],
        "verb": "list", "requestReceivedTimestamp": "2026-11-23T17:21:08.912184Z", "annotations": {}});
    // In the order in which the API server writes it.
    let text = format!(
        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"1","verb":"list","user":{},"sourceIPs":["10.0.3.7"],"requestReceivedTimestamp":"2026-11-23T17:21:08.912184Z","annotations":{{}}}}"#,
        whole["user"]
    );
    let named = text.find("system:service").expect("it is named");
    for start in 1..=named {
        for record in [
            text[start..].to_owned(),
            format!("2026-11-23T17:21:08Z stdout F {}", &text[start..]),
            json!({"log": text[start..]}).to_string(),
            json!({ "log": text }).to_string()[start + 8..].to_owned(),
        ] {
            let found = scan(&Config::default(), &decoys, Shape::Lines, record.as_bytes());
            assert_eq!(found.len(), 1, "{record}");
            assert_eq!(found[0].technique, Technique::Undecodable);
        }
    }
}

#[test]
fn a_broken_event_in_a_list_costs_no_other_its_technique() {
    let sound = event(json!({"user": {"username": DECOY}})).to_string();
    let broken = event(json!({"auditID": "2", "impersonatedUser": {"username": DECOY}}))
        .to_string()
        .replace("curl/8", "curl\\x8");
    for list in [
        format!(
            r#"{{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{{}},"items":[{sound},{broken}]}}"#
        ),
        format!("[{broken},{sound}]"),
        format!("{broken}{sound}"),
    ] {
        let decoys = [decoy("honeypot", "backup-sa", false)];
        let found = scan(&Config::default(), &decoys, Shape::Lines, list.as_bytes());
        let mut techniques: Vec<_> = found.iter().map(|found| found.technique).collect();
        techniques.sort_unstable();
        assert_eq!(
            techniques,
            [Technique::TokenUse, Technique::Undecodable],
            "{list}"
        );
    }
}

#[test]
fn an_event_of_which_a_shipper_made_strings_is_never_dropped() {
    for field in ["user", "impersonatedUser", "objectRef"] {
        let inner = json!({"username": DECOY, "namespace": "honeypot"}).to_string();
        assert_eq!(
            technique(&event(json!({ field: inner }))),
            Some(Technique::Undecodable),
            "{field}"
        );
        assert_eq!(technique(&event(json!({ field: null }))), None);
    }
}

#[test]
fn what_is_nested_too_deep_is_told_once() {
    let inner = "[],".repeat(100_000);
    let marked = r#""auditID honeypot backup-sa""#;
    let record = format!("{}{inner}{marked}{}", "[".repeat(64), "]".repeat(64));
    let decoys = [decoy("honeypot", "backup-sa", false)];
    let found = scan(&Config::default(), &decoys, Shape::Lines, record.as_bytes());
    assert_eq!(found.len(), 1);
}

#[test]
fn baitlines_own_output_is_no_event_however_it_is_cut_and_wrapped() {
    let decoys = [decoy("honeypot", "backup-sa", false)];
    let scanned = |text: &str| scan(&Config::default(), &decoys, Shape::Lines, text.as_bytes());
    let cut = event(json!({"user": {"username": DECOY}, "userAgent": "{\"auditID\":\"x\",\"a"}))
        .to_string();
    let found = scanned(&cut[..cut.len() - 2]);
    let excerpt = found[0].excerpt.as_deref().expect("it begins as an event");
    assert!(excerpt.contains("auditID"));
    let prose = format!("HIGH honeypot/backup-sa: cannot be decoded, record: '{excerpt}'");
    let own = format!(
        r#"{{"type":"detection","schema":1,"detection_id":"x","decoy":"honeypot/backup-sa","user_agent":"{{\"auditID\":\"honeypot backup-sa","excerpt":{},"labels":{{"a":"honeypot/backup-sa"}}}}"#,
        json!(excerpt)
    );
    for text in [prose, own] {
        for end in (1..=text.len()).filter(|end| text.is_char_boundary(*end)) {
            let part = &text[..end];
            for fed_back in [
                part.to_owned(),
                format!("2026-11-23T17:21:08Z stdout F {part}"),
                json!({ "log": part }).to_string(),
                json!({ "log": text }).to_string()[..end + 8].to_owned(),
            ] {
                assert_eq!(scanned(&fed_back), [], "{fed_back}");
            }
        }
    }
}

#[test]
fn an_excerpt_never_begins_inside_a_body() {
    let decoys = [decoy("honeypot", "backup-sa", false)];
    let secret = "cGFzc3dvcmQ=";
    for text in [
        format!(
            r#"{{"data":{{"password":"{secret}"}},"name":"backup-sa-token","namespace":"honeypot"}},"requestReceivedTimestamp":"2026-11-23T17:21:08Z"}}"#
        ),
        format!(
            r#"{{"protoPayload":{{"resourceName":"core/v1/namespaces/honeypot/secrets/backup-sa-token","response":{{"password":"{secret}"}},"x"#
        ),
        format!(
            r#"{{"kubernetes.audit.auditID":"1","a":"auditID","kubernetes.audit.responseObject.data.password":"{secret}","b":"honeypot backup-sa","apiVersion":"audit.k8s.io/v1"#
        ),
    ] {
        let found = scan(&Config::default(), &decoys, Shape::Lines, text.as_bytes());
        assert_eq!(found.len(), 1, "{text}");
        let excerpt = found[0].excerpt.as_deref().unwrap_or_default();
        assert!(!excerpt.contains(secret), "{excerpt}");
    }
}

#[test]
fn a_cut_event_may_name_the_pod_percent_encoded() {
    let decoys = [decoy("honeypot", "backup-sa", false)];
    let text = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"1","requestURI":"/api/v1/nodes/n/proxy/exec/%68oneypot/%66ile-backup/c","objectRef":{"resource":"nodes","subresource":"proxy","#;
    let found = scan(&Config::default(), &decoys, Shape::Lines, text.as_bytes());
    assert_eq!(found.len(), 1);
}

#[test]
fn an_event_printed_over_lines_is_found_behind_a_prefix_in_a_string() {
    let pretty = serde_json::to_string_pretty(&event(json!({"user": {"username": DECOY}})))
        .expect("it is JSON");
    assert_eq!(
        technique(&json!({"message": format!("audit: {pretty}")})),
        Some(Technique::TokenUse)
    );
}

#[test]
fn a_selector_that_the_server_ignores_hides_nothing() {
    for second in ["fieldSelector=metadata.namespace%3Dshop", "x=y"] {
        for first in [
            "fieldSelector=metadata.name%3Dbackup-sa-token",
            "fieldSelector=metadata.namespace%3Dshop;&fieldSelector=metadata.name%3Dbackup-sa-token",
        ] {
            let read = event(
                json!({"verb": "list", "objectRef": object("secrets", None, None, Some("backup-sa-token")),
                "requestURI": format!("/api/v1/secrets?{first}&{second}")}),
            );
            assert_eq!(technique(&read), Some(Technique::SecretRead), "{read}");
        }
    }
}

#[test]
fn a_touch_by_an_unknown_verb_is_a_touch() {
    let decoys = [decoy("honeypot", "backup-sa", false)];
    let touched = |verb: Value, resource: &str, name: &str| {
        let touch = event(
            json!({"verb": verb, "objectRef": object(resource, None, Some("honeypot"), Some(name))}),
        );
        scan(
            &Config::default(),
            &decoys,
            Shape::Lines,
            touch.to_string().as_bytes(),
        )[0]
        .technique
    };
    for verb in [json!(null), json!(""), json!("options")] {
        let found = touched(verb.clone(), "secrets", "backup-sa-token");
        assert_eq!(found, Technique::SecretRead, "{verb}");
        assert_eq!(
            touched(verb, "serviceaccounts", "backup-sa"),
            Technique::Recon
        );
    }
    // `/api/v1/proxy/namespaces/honeypot/pods/file-backup`
    assert_eq!(
        touched(json!("proxy"), "pods", "file-backup"),
        Technique::PodExec
    );
}

#[test]
fn a_subject_may_come_by_its_name_alone_or_from_elsewhere_in_the_binding() {
    let patch = |patch: Value, outcome: Value| {
        technique(&event(
            json!({"verb": "patch", "objectRef": object("clusterrolebindings", None, None, Some("x")),
            "requestObject": patch, "responseObject": outcome}),
        ))
    };
    let found = Some(Technique::PrivilegeGrant);
    let outcome = json!({"subjects": [{"kind": "User", "name": DECOY}]});
    for name in [DECOY, "system:serviceaccounts:honeypot"] {
        let replaced = json!([{"op": "replace", "path": "/subjects/0/name", "value": name}]);
        assert_eq!(patch(replaced, json!(null)), found);
    }
    let copy = |path: &str| json!([{"op": "copy", "from": "/metadata/labels/a", "path": path}]);
    assert_eq!(patch(copy("/subjects/0/name"), outcome.clone()), found);
    assert_eq!(patch(copy("/metadata/labels/b"), outcome.clone()), None);
    let created = event(
        json!({"verb": "create", "objectRef": object("clusterrolebindings", None, None, Some("x")),
        "requestObject": "skipped-too-big-size-object", "responseObject": outcome}),
    );
    assert_eq!(technique(&created), found);
}

#[test]
fn a_patch_may_name_the_secret_by_the_last_field_alone() {
    let path = "/spec/template/spec/containers/0/env/0/valueFrom/secretKeyRef/name";
    let patched = event(
        json!({"verb": "patch", "objectRef": object("deployments", None, Some("honeypot"), Some("runner")),
        "requestObject": [{"op": "replace", "path": path, "value": "backup-sa-token"}]}),
    );
    assert_eq!(technique(&patched), Some(Technique::PodAsDecoy));
}

#[test]
fn a_name_that_begins_a_pods_glob_does_not_hide_the_pod() {
    let decoys = [Decoy {
        pod: Some("ci-runner-*".to_owned()),
        ..decoy("ci", "deployer", false)
    }];
    let watched = event(
        json!({"verb": "watch", "objectRef": object("pods", None, None, Some("ci-runner-0"))}),
    );
    let found = scan(
        &Config::default(),
        &decoys,
        Shape::Lines,
        watched.to_string().as_bytes(),
    );
    assert_eq!(found.len(), 1);
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
fn what_a_text_alert_quotes_is_no_event() {
    let forged = json!({"verb": "", "sourceIPs": [], "user": {"username": DECOY}}).to_string();
    let found = detections(&event(
        json!({"user": {"username": DECOY}, "userAgent": forged}),
    ));
    let line = baitline::format::text::detection(&found[0], baitline::format::text::Style::Plain);
    assert!(line.contains("'username'"), "{line}");
    let decoys = [decoy("honeypot", "backup-sa", true)];
    assert_eq!(
        scan(&Config::default(), &decoys, Shape::Lines, line.as_bytes()),
        []
    );
}

#[test]
fn a_pods_glob_may_begin_with_a_choice() {
    let decoys = [Decoy {
        pod: Some("[fg]ile-?ackup".to_owned()),
        ..decoy("honeypot", "backup-sa", false)
    }];
    let watched = event(
        json!({"verb": "watch", "objectRef": object("pods", None, None, Some("file-backup"))}),
    );
    let found = scan(
        &Config::default(),
        &decoys,
        Shape::Lines,
        watched.to_string().as_bytes(),
    );
    assert_eq!(found.len(), 1);
    let cut = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"1","objectRef":{"resource":"pods","namespace":"honeypot","name":"gile-backup"},"#;
    let found = scan(&Config::default(), &decoys, Shape::Lines, cut.as_bytes());
    assert_eq!(found.len(), 1);
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
    let found = scan(
        &Config::default(),
        &decoys,
        Shape::Lines,
        list.to_string().as_bytes(),
    );
    assert_eq!(found.len(), 2);
    assert_ne!(found[0].request_id, found[1].request_id);
    let again = scan(
        &Config::default(),
        &decoys,
        Shape::Lines,
        list.to_string().as_bytes(),
    );
    assert_eq!(found, again);
}

#[test]
fn a_detection_tells_where_its_record_begins() {
    let decoys = [decoy("honeypot", "backup-sa", true)];
    let line = event(json!({"user": {"username": DECOY}})).to_string();
    let lines = format!("{{}}\n{line}\n");
    let found = scan(&Config::default(), &decoys, Shape::Lines, lines.as_bytes());
    assert_eq!(found[0].origin.position.as_deref(), Some("audit.log:3"));
}
