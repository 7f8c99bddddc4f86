//! Other logs that clouds deliver of a control plane by the same way: text of clients stands in them.

use baitline::detect::Technique;
use serde_json::{Value, json};

use super::{
    forged::{DECOY, hit, ids},
    found,
};

const RESOURCE: &str =
    "/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerService/managedClusters/c";

const CATEGORIES: [&str; 9] = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "guard",
    "cluster-autoscaler",
    "cloud-controller-manager",
    "csi-azuredisk-controller",
    "csi-azurefile-controller",
    "csi-snapshot-controller",
];

const STREAMS: [&str; 5] = [
    "kube-apiserver",
    "authenticator",
    "kube-controller-manager",
    "kube-scheduler",
    "cloud-controller-manager",
];

fn line() -> String {
    format!(
        "E1123 17:21:09 status.go:71] bad request: {}",
        hit("forged")
    )
}

fn azure(category: &str) -> Vec<Value> {
    let line = line();
    vec![
        json!({"category": category, "resourceId": RESOURCE, "properties": {"log": line}}),
        json!({"category": category, "properties": {"log": line, "pod": "p"}}),
        json!({"records": [{"category": category, "resourceId": RESOURCE.to_uppercase(), "properties": {"log": line}}]}),
        json!({"Category": category, "log_s": line, "Type": "AzureDiagnostics"}),
        json!({"Category": category, "ResourceId": RESOURCE.to_uppercase(), "message": line}),
        json!({"Category": category, "_ResourceId": RESOURCE.to_lowercase(), "Message": line, "Type": "AKSControlPlane"}),
        json!({"Category": category, "Message": line, "Type": "AKSControlPlane"}),
    ]
}

fn eks(stream: &str) -> Vec<Value> {
    let line = line();
    vec![
        json!({"logGroup": "/aws/eks/c/cluster", "logStream": stream, "logEvents": [{"message": line}]}),
        json!({"logStream": stream, "message": line}),
        json!({"log_group": "/aws/eks/c/cluster", "log_stream": stream, "message": line}),
        json!({"log_stream": stream, "message": line}),
        json!({"@timestamp": "2026-11-23 17:21:09.000", "@message": line, "@logStream": stream}),
        json!({"awscloudwatch": {"log_group": "/aws/eks/c/cluster", "log_stream": stream}, "message": line}),
        json!({"awscloudwatch.log_stream": stream, "message": line}),
    ]
}

#[test]
fn they_hold_no_events() {
    for record in CATEGORIES.into_iter().flat_map(azure) {
        assert_eq!(ids(&record.to_string()), [], "{record}");
    }
    for stream in STREAMS {
        for record in eks(&format!("{stream}-0f3a9c7b0f3a9c7b0f3a9c7b0f3a9c7b")) {
            assert_eq!(ids(&record.to_string()), [], "{record}");
        }
    }
    let google = json!({"logName": "projects/p/logs/container.googleapis.com%2Fapiserver",
        "resource": {"type": "k8s_control_plane_component", "labels": {"component_name": "apiserver"}},
        "jsonPayload": {"message": line()}});
    assert_eq!(ids(&google.to_string()), []);
}

#[test]
fn what_is_not_known_to_be_another_log_is_searched() {
    for category in [
        "kube-audit",
        "kube-audit-admin",
        "new-category",
        "kube-apiserver-2",
        "x-csi-",
        "",
    ] {
        for record in azure(category) {
            assert_eq!(ids(&record.to_string()).len(), 1, "{record}");
        }
    }
    for stream in [
        "kube-apiserver-audit-0f3a9c7b0f3a9c7b0f3a9c7b0f3a9c7b",
        "kube-apiserver-ip-10-0-0-1",
        "kube-apiserver-",
        "my-kube-apiserver-0f3a",
        "",
    ] {
        for record in eks(stream) {
            assert_eq!(ids(&record.to_string()).len(), 1, "{record}");
        }
    }
    for record in [
        json!({"category": "kube-apiserver", "message": line()}),
        json!({"logGroup": "/own/group", "logStream": "kube-apiserver-0f3a", "message": line()}),
        json!({"resource": {"type": "k8s_container"}, "textPayload": line()}),
    ] {
        assert_eq!(ids(&record.to_string()).len(), 1, "{record}");
    }
}

/// As kube-audit-rest writes them, with a mark of an event, or as a webhook gets them.
#[test]
fn an_admission_review_that_touches_a_decoy_is_undecodable() {
    let review = |user: &str, name: &str, body: Value| {
        json!({
            "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1",
            "requestReceivedTimestamp": "2026-11-23T17:21:09.083942Z",
            "request": {
                "uid": "u", "operation": "DELETE", "userInfo": {"username": user},
                "resource": {"group": "", "version": "v1", "resource": "secrets"},
                "namespace": "honeypot", "name": name, "oldObject": body,
            },
        })
    };
    let techniques = |review: &Value| -> Vec<_> {
        let found = found(None, review.to_string().as_bytes());
        found.iter().map(|one| one.technique).collect()
    };
    for mut touched in [
        review(DECOY, "x", Value::Null),
        review("jane", "backup-sa-token", Value::Null),
    ] {
        assert_eq!(techniques(&touched), [Technique::Undecodable], "{touched}");
        touched["requestReceivedTimestamp"].take();
        assert_eq!(
            techniques(&json!({"log": touched.to_string()})),
            [Technique::Undecodable]
        );
    }
    // What a shipper put beside it is searched, whatever the review is, and what the control plane does is expected.
    for request in [Value::Null, json!({"uid": "u"}), json!({"userInfo": {}})] {
        let mut beside =
            json!({"kind": "AdmissionReview", "request": request, "message": hit("1").to_string()});
        assert!(
            techniques(&beside).contains(&Technique::TokenUse),
            "{beside}"
        );
        beside["message"].take();
        assert_eq!(techniques(&beside), []);
    }
    let expected = review(
        "system:kube-controller-manager",
        "backup-sa-token",
        Value::Null,
    );
    assert_eq!(techniques(&expected), []);
    let mut other = review("jane", "x", hit("forged"));
    other["request"]["namespace"] = "shop".into();
    assert_eq!(techniques(&other), []);
}
