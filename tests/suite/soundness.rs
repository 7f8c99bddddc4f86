//! The needle scan finds exactly what decoding every record finds, however the records
//! are escaped, encoded and wrapped.

use std::sync::LazyLock;

use crate::recordings::{decoy, recording};
use baitline::{
    config::Decoy,
    detect::{Config, Detection, Detector, Technique},
    source::{Block, Provenance, Shape},
};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

static RECORDED: LazyLock<Vec<u8>> = LazyLock::new(|| recording("metadata", "audit.ndjson.gz"));

pub type Scan = fn(&mut Detector, &Block<'_>, Timestamp, &mut Vec<Detection>);

pub fn run_for(scan: Scan, decoy: Decoy, bytes: &[u8]) -> Vec<Detection> {
    let detector = Detector::new(&Config::default(), &[decoy], None, "test".into());
    run_with(scan, detector.expect("the globs are globs"), bytes)
}

/// What `detector` finds in `bytes`, which are lines.
pub fn run_with(scan: Scan, mut detector: Detector, bytes: &[u8]) -> Vec<Detection> {
    let block = Block {
        bytes,
        shape: Shape::Lines,
        header: None,
        first_part: None,
        provenance: &|_| Provenance::default(),
    };
    let mut detections = Vec::new();
    let arrival = Timestamp::UNIX_EPOCH;
    scan(&mut detector, &block, arrival, &mut detections);
    detector.finish(arrival, &mut detections);
    detections
}

#[test]
fn names_that_are_percent_encoded_are_found_wherever_the_event_is_cut() {
    let encoded =
        |name: &str| -> String { name.bytes().map(|byte| format!("%{byte:02x}")).collect() };
    let (namespace, pod, secret) = (
        encoded("honeypot"),
        encoded("file-backup"),
        encoded("backup-sa-token"),
    );
    for path in [
        format!("/api/v1/nodes/n/proxy/exec/{namespace}/{pod}/c?command=id"),
        format!("/api/v1/namespaces/{namespace}/secrets/{secret}"),
        "/api/v1/nodes/n/proxy/exec/%68oneypot/%66ile-backup/c".to_owned(),
    ] {
        let event = json!({
            "kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "1", "stage": "RequestReceived",
            "requestReceivedTimestamp": "2026-11-23T17:21:08.912184Z", "requestURI": path, "verb": "create",
            "user": {"username": "jane"},
        });
        let line = event.to_string();
        for length in 1..=line.len() {
            for whole_namespace in [true, false] {
                let cut = &line.as_bytes()[..length];
                let decoy = || decoy("honeypot", "backup-sa", whole_namespace);
                assert_eq!(
                    run_for(Detector::scan, decoy(), cut),
                    run_for(Detector::decode_all, decoy(), cut),
                    "{}",
                    &line[..length]
                );
            }
        }
        let cut = &line.as_bytes()[..line.len() - 20];
        let found = run_for(Detector::scan, decoy("honeypot", "backup-sa", false), cut);
        assert!(
            found
                .iter()
                .any(|found| found.technique == Technique::Undecodable),
            "{line}"
        );
    }
}

/// One event for each technique, events of which only the URI tells what was asked for, and events that are nearly one; with
/// what they are for a decoy to which the whole namespace belongs, or not.
pub fn events(
    (namespace, name): (&str, &str),
    whole_namespace: bool,
    encode: &dyn Fn(&str) -> String,
) -> Vec<(Value, Option<Technique>)> {
    let user = format!("system:serviceaccount:{namespace}:{name}");
    let secret = format!("{name}-token");
    let object = |resource: &str, subresource: Value, namespace: Value, name: Value| json!({"resource": resource, "subresource": subresource, "namespace": namespace, "name": name});
    let event = |verb: &str, changes: Value| {
        let mut event = json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "1",
            "stage": "ResponseComplete", "verb": verb, "requestURI": "/api", "user": {"username": "jane"},
            "sourceIPs": ["10.0.0.1"], "requestReceivedTimestamp": "2026-11-23T17:21:08.912184Z"});
        let fields = changes.as_object().expect("an object").clone();
        event.as_object_mut().expect("an object").extend(fields);
        event
    };
    let kubelet = format!(
        "/api/v1/nodes/n/proxy/exec/{}/{}/c",
        encode(namespace),
        encode("file-backup")
    );
    let selector = format!(
        "/api/v1/secrets?fieldSelector=metadata.namespace%3D{}",
        encode(namespace)
    );
    let refused = format!(
        "serviceaccounts \"{name}\" is forbidden: User \"jane\" cannot impersonate resource \
         \"serviceaccounts\" in API group \"\" in the namespace \"{namespace}\""
    );
    let unnamed = "secrets is forbidden: User \"jane\" cannot impersonate-on:serviceaccount:list resource \"secrets\"";
    let in_namespace = |technique| whole_namespace.then_some(technique);
    let path = format!("/api/v1/namespaces/{namespace}");
    vec![
        (
            event("list", json!({"user": {"username": user}})),
            Some(Technique::TokenUse),
        ),
        (
            event("list", json!({"impersonatedUser": {"username": user}})),
            Some(Technique::Impersonation),
        ),
        (
            event(
                "create",
                json!({"objectRef": object("subjectaccessreviews", Value::Null, Value::Null, Value::Null),
            "requestObject": {"spec": {"user": user}}}),
            ),
            Some(Technique::TokenReview),
        ),
        (
            event(
                "create",
                json!({"objectRef": object("serviceaccounts", json!("token"), json!(namespace), json!(name))}),
            ),
            Some(Technique::TokenRequest),
        ),
        (
            event(
                "create",
                json!({"objectRef": object("clusterrolebindings", Value::Null, Value::Null, json!("x")),
            "requestObject": {"subjects": [{"kind": "Group", "name": format!("system:serviceaccounts:{namespace}")}]}}),
            ),
            Some(Technique::PrivilegeGrant),
        ),
        (
            event(
                "list",
                json!({"responseStatus": {"code": 403, "message": refused}}),
            ),
            Some(Technique::ImpersonationDenied),
        ),
        (
            event(
                "create",
                json!({"objectRef": object("nodes", json!("proxy"), Value::Null, json!("n")), "requestURI": kubelet}),
            ),
            Some(Technique::PodExec),
        ),
        (
            event(
                "create",
                json!({"objectRef": object("pods", Value::Null, json!(namespace), json!("runner")),
            "requestObject": {"spec": {"volumes": [{"secret": {"secretName": secret}}]}}}),
            ),
            Some(Technique::PodAsDecoy),
        ),
        (
            event(
                "deletecollection",
                json!({"objectRef": object("secrets", Value::Null, json!(namespace), Value::Null)}),
            ),
            Some(Technique::Tamper),
        ),
        (
            event(
                "list",
                json!({"objectRef": object("secrets", Value::Null, Value::Null, Value::Null), "requestURI": selector}),
            ),
            in_namespace(Technique::SecretRead),
        ),
        (
            event(
                "list",
                json!({"objectRef": object("secrets", Value::Null, Value::Null, json!(secret))}),
            ),
            Some(Technique::SecretRead),
        ),
        (
            event(
                "watch",
                json!({"objectRef": object("pods", Value::Null, Value::Null, json!("file-backup"))}),
            ),
            Some(Technique::Recon),
        ),
        (
            event(
                "get",
                json!({"objectRef": object("leases", Value::Null, json!(namespace), json!("x"))}),
            ),
            in_namespace(Technique::NamespaceTouch),
        ),
        (
            event(
                "get",
                json!({"requestURI": format!("{path}/secrets/{secret}")}),
            ),
            Some(Technique::SecretRead),
        ),
        (
            event(
                "create",
                json!({"requestURI": format!("{path}/serviceaccounts/{name}/token?x=1")}),
            ),
            Some(Technique::TokenRequest),
        ),
        (
            event(
                "get",
                json!({"requestURI": format!("{path}/pods/file-backup/exec?command=id")}),
            ),
            Some(Technique::PodExec),
        ),
        (
            event(
                "list",
                json!({"requestURI": format!("/apis/apps/v1/namespaces/{namespace}/deployments")}),
            ),
            in_namespace(Technique::NamespaceTouch),
        ),
        (
            event(
                "list",
                json!({"responseStatus": {"code": 403, "message": unnamed}}),
            ),
            Some(Technique::ImpersonationUnnamed),
        ),
        (
            event("list", json!({"user": {"username": format!("{user}-2")}})),
            None,
        ),
        (
            event(
                "get",
                json!({"objectRef": object("configmaps", Value::Null, json!("shop"), json!("x")),
            "requestObject": {"data": {"text": user}}}),
            ),
            None,
        ),
    ]
}

/// JSON text in which each character of a string is escaped if the next of `dice` says so.
pub fn escaped(json: &str, dice: &mut impl Iterator<Item = u8>) -> String {
    let mut text = String::new();
    let (mut in_string, mut in_escape) = (false, false);
    for character in json.chars() {
        let is_plain = in_string && !in_escape && !matches!(character, '"' | '\\');
        match if is_plain {
            dice.next().unwrap_or(9)
        } else {
            9
        } {
            0 => text.push_str(&format!("\\u{:04x}", u32::from(character))),
            1 => text.push_str(&format!("\\u{:04X}", u32::from(character))),
            2 if character == '/' => text.push_str("\\/"),
            _ => text.push(character),
        }
        in_escape = in_string && character == '\\' && !in_escape;
        if character == '"' && !text.ends_with("\\\"") {
            in_string = !in_string;
        }
    }
    text
}

/// `path` with each character percent-encoded if the next of `dice` says so.
fn percent_encoded(path: &str, dice: &[u8]) -> String {
    path.bytes()
        .zip(dice.iter().chain(std::iter::repeat(&9)))
        .map(|(byte, die)| match die {
            0 => format!("%{byte:02x}"),
            1 => format!("%{byte:02X}"),
            _ => char::from(byte).to_string(),
        })
        .collect()
}

pub fn wrapped(event: &Value, layers: &[u8], dice: &mut impl Iterator<Item = u8>) -> String {
    let mut text = escaped(&event.to_string(), dice);
    for layer in layers {
        let outer = match layer {
            0 => json!({"log": text, "stream": "stdout"}),
            1 => json!({"records": [{"properties": {"log": text}}]}),
            2 => json!([{"message": format!("{text}\n")}]),
            _ => json!({"message": format!("2026-11-23T17:21:01Z stdout F {text}")}),
        };
        text = escaped(&outer.to_string(), dice);
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn escapes_and_wrappers_hide_nothing(
        names in prop::sample::select(vec![
            ("honeypot", "backup-sa"), ("ci", "deployer"), ("a", "b"), ("default", "x1.y"), ("p-9", "token"),
        ]),
        layers in prop::collection::vec(0..4_u8, 0..=4),
        whole_namespace in any::<bool>(),
        dice in prop::collection::vec(0..6_u8, 64),
    ) {
        let decoy = || decoy(names.0, names.1, whole_namespace);
        let encode = |path: &str| percent_encoded(path, &dice);
        let mut endless = dice.iter().copied().cycle();
        let events = events(names, whole_namespace, &encode);
        let lines: Vec<String> = events.iter().map(|(event, _)| wrapped(event, &layers, &mut endless)).collect();
        let all = run_for(Detector::decode_all, decoy(), lines.join("\n").as_bytes());
        let scanned = run_for(Detector::scan, decoy(), lines.join("\n").as_bytes());
        prop_assert_eq!(&scanned, &all);
        let found: Vec<Technique> = scanned.iter().map(|detection| detection.technique).collect();
        let wanted: Vec<Technique> = events.iter().filter_map(|(_, technique)| *technique).collect();
        prop_assert_eq!(found, wanted, "{}", lines.join("\n"));
    }

    #[test]
    fn damage_hides_nothing_from_the_scan_that_decoding_finds(
        cuts in prop::collection::vec((0..4000_usize, any::<u8>()), 0..8),
        start in 0..3000_usize,
        whole_namespace in any::<bool>(),
    ) {
        let decoy = || decoy("honeypot", "backup-sa", whole_namespace);
        let mut lines: Vec<u8> = RECORDED
            .split_inclusive(|byte| *byte == b'\n').skip(start).take(40).flatten().copied().collect();
        for (at, byte) in cuts {
            if let Some(hit) = lines.get_mut(at) {
                *hit = byte;
            }
        }
        prop_assert_eq!(run_for(Detector::scan, decoy(), &lines), run_for(Detector::decode_all, decoy(), &lines));
    }
}

#[test]
fn the_scan_finds_in_the_recordings_what_decoding_finds() {
    for folder in ["metadata", "request-response"] {
        for file in ["audit.ndjson.gz", "eventlist.ndjson.gz"] {
            let bytes = recording(folder, file);
            for whole_namespace in [true, false] {
                let decoy = || decoy("honeypot", "backup-sa", whole_namespace);
                let scanned = run_for(Detector::scan, decoy(), &bytes);
                assert!(scanned.len() > 200, "{}", scanned.len());
                assert_eq!(scanned, run_for(Detector::decode_all, decoy(), &bytes));
            }
        }
    }
}
