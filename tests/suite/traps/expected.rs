//! Legitimate touches, and how far they reach.

use baitline::{
    config::Expected,
    detect::{Class, Technique},
};
use serde_json::{Value, json};

use super::{DECOY, detections, event, object, rule, with_rule};

#[test]
fn the_control_plane_is_expected_to_touch_objects_and_no_more() {
    let class = |user: &str, changes: Value| {
        let mut event = event(changes);
        event["user"]["username"] = user.into();
        detections(&event)[0].class
    };
    let secret = json!({"objectRef": object("secrets", None, Some("honeypot"), Some("backup-sa-token")),
        "userAgent": "kubelet/v1.34.1 (linux/amd64) kubernetes/93248f9"});
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
    for (agent, wanted) in [
        (
            json!("k3s/v1.34.1+k3s1 (linux/amd64) kubernetes/24fc436"),
            Class::Expected,
        ),
        (
            json!("kubelet.exe/v1.34.1 (windows/amd64) kubernetes/93248f9"),
            Class::Expected,
        ),
        (Value::Null, Class::Expected),
        (
            json!("kubectl/v1.34.1 (linux/amd64) kubernetes/93248f9"),
            Class::Detect,
        ),
        (json!("curl/8.5.0"), Class::Detect),
    ] {
        let mut read = secret.clone();
        read["userAgent"] = agent;
        assert_eq!(class("system:node:n1", read), wanted);
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
    let jane = || rule("jane");
    let one = |text: &str| vec![text.to_owned()];
    for (rule, class) in [
        (rule("ja*"), Class::Expected),
        (rule("joe"), Class::Detect),
        (
            Expected {
                verbs: one("list"),
                ..jane()
            },
            Class::Detect,
        ),
        (
            Expected {
                resources: one("secrets"),
                ..jane()
            },
            Class::Expected,
        ),
        (
            Expected {
                resources: one("pods/exec"),
                ..jane()
            },
            Class::Detect,
        ),
        (
            Expected {
                techniques: vec![Technique::Recon],
                ..jane()
            },
            Class::Detect,
        ),
    ] {
        assert_eq!(with_rule(rule.clone(), &read), class, "{rule:?}");
    }
    let naming = |technique| Expected {
        techniques: vec![technique],
        ..rule("*")
    };
    let used = event(json!({"user": {"username": DECOY}}));
    assert_eq!(with_rule(rule("*"), &used), Class::Detect);
    assert_eq!(
        with_rule(naming(Technique::TokenUse), &used),
        Class::Expected
    );
    let acted = event(json!({"impersonatedUser": {"username": DECOY}}));
    assert_eq!(with_rule(rule("*"), &acted), Class::Detect);
    assert_eq!(
        with_rule(naming(Technique::Impersonation), &acted),
        Class::Expected
    );
    let mut behind = read;
    behind["impersonatedUser"] = json!({"username": "joe"});
    assert_eq!(with_rule(rule("*"), &behind), Class::Detect);
    let review = event(
        json!({"verb": "create", "objectRef": object("subjectaccessreviews", None, None, None), "requestObject": {"spec": {"user": DECOY}}}),
    );
    assert_eq!(
        with_rule(naming(Technique::TokenReview), &review),
        Class::Detect
    );
}
