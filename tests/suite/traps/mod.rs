//! Traps that an attacker, a proxy or a shipper may lay, one test each.

mod bodies;
mod damaged;
mod expected;
mod identity;
mod objects;
mod repeated;

use baitline::{
    config::{Decoy, Expected},
    detect::{Class, Config, Detection, Detector, Technique},
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
        header: None,
        first_part: None,
        provenance: &|at| format!("audit.log:{at}").into(),
    };
    let mut detections = Vec::new();
    detector.scan(&block, Timestamp::UNIX_EPOCH, &mut detections);
    detections
}

/// What is found in `text`, as lines.
fn found_in(decoys: &[Decoy], text: &str) -> Vec<Detection> {
    scan(&Config::default(), decoys, Shape::Lines, text.as_bytes())
}

fn touches(decoys: &[Decoy], event: &Value) -> Vec<Detection> {
    found_in(decoys, &event.to_string())
}

fn detections(event: &Value) -> Vec<Detection> {
    let decoys = [decoy("honeypot", "backup-sa", true)];
    touches(&decoys, event)
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
    touches(&decoys, event)[0].class
}

fn rule(user: &str) -> Expected {
    Expected {
        user: user.to_owned(),
        verbs: vec![],
        resources: vec![],
        techniques: vec![],
    }
}
