//! What a request touched, by the API server's own account of it.

use baitline::{
    config::Decoy,
    detect::{Severity, Technique},
};
use serde_json::{Value, json};

use super::{detections, event, found_in, object, technique, touches};
use crate::recordings::decoy;

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

/// The kubelet serves `/var/log`, where the names stand between underscores.
#[test]
fn a_log_that_is_read_as_a_file_of_the_kubelet_is_the_pods() {
    for path in [
        "pods/honeypot_file-backup_d9c73c20-9b5c-4766-a334-ed60026618c5/c/0.log",
        "containers/file-backup_honeypot_c-0123456789abcdef.log",
        "containers/%66ile-backup%5Fhoneypot_c-0123456789abcdef.log",
    ] {
        let read = |path: &str| {
            let uri = format!("/api/v1/nodes/n/proxy/logs/{path}");
            let node = object("nodes", Some("proxy"), None, Some("n"));
            technique(&event(json!({"requestURI": uri, "objectRef": node})))
        };
        assert_eq!(read(path), Some(Technique::Recon), "{path}");
        assert_eq!(read(&path.replace("honeypot", "honeypot2")), None, "{path}");
    }
}

#[test]
fn a_path_tells_the_object_that_a_shipper_dropped_however_it_is_encoded() {
    for uri in [
        "/api/v1/namespaces/honeypot/secrets/backup-sa-token",
        "/api/v1/namespaces/%68oneypot/secrets/%62ackup-sa-token",
        "/api/v1/namespaces/%68oneypot%2fsecrets%2F%62ackup-sa-token?pretty=%74rue",
        "/%61pi/v1//namespaces/honeypo%74/%73ecrets/backup-sa-toke%6e",
    ] {
        for nothing in [
            json!({}),
            json!({"objectRef": null}),
            json!({"objectRef": {"apiVersion": "v1"}}),
        ] {
            let mut changes = nothing;
            changes["requestURI"] = uri.into();
            assert_eq!(
                technique(&event(changes)),
                Some(Technique::SecretRead),
                "{uri}"
            );
        }
    }
    let told = json!({"requestURI": "/api/v1/namespaces/%68oneypot/secrets/x", "objectRef": object("nodes", None, None, Some("x"))});
    assert_eq!(technique(&event(told)), None);
    let query = json!({"requestURI": "/api/v1/pods?x=/api/v1/namespaces/%68oneypot/secrets/backup-sa-token"});
    assert_eq!(technique(&event(query)), None);
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
    let found = touches(&decoys, &touch);
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
    let found = touches(&decoys, &touch);
    assert_eq!(found[0].severity, Severity::High);
    assert_eq!(detections(&touch)[0].severity, Severity::Low);
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
        touches(&decoys, &touch)[0].technique
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
fn a_name_that_begins_a_pods_glob_does_not_hide_the_pod() {
    let decoys = [Decoy {
        pod: Some("ci-runner-*".to_owned()),
        ..decoy("ci", "deployer", false)
    }];
    let watched = event(
        json!({"verb": "watch", "objectRef": object("pods", None, None, Some("ci-runner-0"))}),
    );
    let found = touches(&decoys, &watched);
    assert_eq!(found.len(), 1);
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
    let found = touches(&decoys, &watched);
    assert_eq!(found.len(), 1);
    let cut = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"1","objectRef":{"resource":"pods","namespace":"honeypot","name":"gile-backup"},"#;
    let found = found_in(&decoys, cut);
    assert_eq!(found.len(), 1);
}

/// `kubectl debug` writes the containers of a debugger, and reads them first.
#[test]
fn a_look_at_the_containers_of_a_debugger_is_no_exec() {
    let all = |verb: &str| {
        let object = object(
            "pods",
            Some("ephemeralcontainers"),
            Some("honeypot"),
            Some("file-backup"),
        );
        let event = event(json!({"verb": verb, "objectRef": object})).to_string();
        let found = found_in(&[decoy("honeypot", "backup-sa", false)], &event);
        found.iter().map(|one| one.technique).collect::<Vec<_>>()
    };
    for verb in ["create", "update", "patch"] {
        assert_eq!(all(verb), [Technique::PodExec], "{verb}");
    }
    assert_eq!(all("get"), [Technique::Recon]);
}

/// As converters of GKE's log write it.
#[test]
fn the_core_group_may_have_its_name() {
    let mut reference = object("secrets", None, Some("honeypot"), Some("backup-sa-token"));
    reference["apiGroup"] = "core".into();
    for changes in [
        json!({"objectRef": reference}),
        json!({"objectRef": reference.to_string()}),
        json!({"objectRef": reference, "requestURI": "core/v1/namespaces/honeypot/secrets/backup-sa-token"}),
    ] {
        assert_eq!(technique(&event(changes)), Some(Technique::SecretRead));
    }
}
