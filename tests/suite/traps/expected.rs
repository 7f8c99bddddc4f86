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
