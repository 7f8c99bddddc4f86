//! What stands only in the body of a request.

use baitline::detect::Technique;
use serde_json::{Value, json};

use super::{DECOY, event, object, technique};

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

/// <https://github.com/openshift/api/blob/22b8f512e3ee/authorization/v1/types.go> and `security/v1/types.go` beside it: bindings have
/// names beside their subjects, and a SecurityContextConstraints has nothing else.
#[test]
fn names_are_subjects_in_openshifts_own_bindings() {
    let granted = |resource: &str, verb: &str, body: Value| {
        let object = object(resource, None, None, Some("x"));
        technique(&event(
            json!({"verb": verb, "objectRef": object, "requestObject": body}),
        ))
    };
    let found = Some(Technique::PrivilegeGrant);
    let group = "system:serviceaccounts:honeypot";
    for (resource, users, groups) in [
        ("rolebindings", "userNames", "groupNames"),
        ("clusterrolebindings", "userNames", "groupNames"),
        ("securitycontextconstraints", "users", "groups"),
    ] {
        for (list, name) in [(users, DECOY), (groups, group)] {
            let body = json!({list: ["jane", name]});
            for verb in ["create", "update", "patch"] {
                assert_eq!(granted(resource, verb, body.clone()), found, "{body}");
            }
            for (path, value) in [
                (format!("/{list}"), json!([name])),
                (format!("/{list}/-"), json!(name)),
                (String::new(), body.clone()),
            ] {
                let patch = json!([{"op": "add", "path": path, "value": value}]);
                assert_eq!(granted(resource, "patch", patch.clone()), found, "{patch}");
            }
            assert_eq!(granted(resource, "delete", body), None);
        }
        assert_eq!(
            granted(resource, "create", json!({"labels": [DECOY]})),
            None
        );
    }
    let old = json!({"subjects": [{"kind": "SystemUser", "name": DECOY}]});
    assert_eq!(granted("rolebindings", "create", old), found);
}

#[test]
fn openshifts_own_reviews_have_the_user_at_the_top() {
    let body = json!({"kind": "LocalSubjectAccessReview", "verb": "get", "resource": "pods", "user": DECOY});
    for resource in ["subjectaccessreviews", "localsubjectaccessreviews"] {
        let asked = event(
            json!({"verb": "create", "objectRef": object(resource, None, None, None), "requestObject": body}),
        );
        assert_eq!(technique(&asked), Some(Technique::TokenReview));
    }
    let other = event(
        json!({"verb": "create", "objectRef": object("pods", None, None, None), "requestObject": body}),
    );
    assert_eq!(technique(&other), None);
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
