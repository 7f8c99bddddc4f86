//! Audit events however they arrive.

mod arrays;
mod copies;
mod csv;
mod cut;
mod disguised;
pub mod forged;
mod gke;
mod google;
mod lengths;
mod lifted;
mod no_events;
mod ocsf;
mod other_logs;
mod parts;
mod picked;
mod printed;
mod requests;
mod reshaped;
mod shapes;
mod spread;
mod tables;
mod typed;

use baitline::{
    detect::{Config, Detection, Detector, Origin, Technique},
    record::framing::{Framer, Piece},
    source::{Block, Provenance},
};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    recordings::{decoy, recording},
    soundness::{Scan, escaped, events, run_for, run_with},
};

/// What is found in `bytes`, in a cluster that the configuration calls so.
fn found(cluster: Option<&str>, bytes: &[u8]) -> Vec<Detection> {
    thread_local! {
        static NO_CLUSTER: Detector = detector(None);
    }
    let detector = match cluster {
        // Some tests look at thousands of records.
        None => NO_CLUSTER.with(Detector::another),
        cluster => detector(cluster),
    };
    run_with(Detector::scan, detector, bytes)
}

/// What is found in a stream of `text`.
fn streamed(scan: Scan, text: &[u8]) -> Vec<Detection> {
    let (mut detector, mut all) = (detector(None), Vec::new());
    let mut framer = Framer::new(16 << 20);
    let mut take = |piece: Piece<'_>| {
        let block = Block {
            bytes: piece.bytes,
            shape: piece.shape,
            header: piece.header,
            first_part: piece.first_part,
            provenance: &|_| Provenance::default(),
        };
        scan(&mut detector, &block, Timestamp::UNIX_EPOCH, &mut all);
    };
    for part in text.chunks(1000) {
        framer.space(part.len())[..part.len()].copy_from_slice(part);
        framer.commit(part.len(), &mut take);
    }
    framer.finish(&mut take);
    all
}

fn detector(cluster: Option<&str>) -> Detector {
    let decoys = [decoy("honeypot", "backup-sa", true)];
    let cluster = cluster.map(Into::into);
    Detector::new(&Config::default(), &decoys, cluster, "audit".into())
        .expect("the globs are globs")
}

/// Some of the recorded events, those of the decoy among them.
fn recorded() -> Vec<String> {
    ["metadata", "request-response"]
        .into_iter()
        .flat_map(|folder| {
            let text = String::from_utf8(recording(folder, "audit.ndjson.gz")).expect("it is text");
            text.lines()
                .step_by(47)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect()
}

/// What was found without where it was.
fn without_origin(mut detections: Vec<Detection>) -> Vec<Detection> {
    for detection in &mut detections {
        detection.origin = Origin::default();
    }
    detections
}

/// An event with arrays and numbers in it, and the one detection that it is.
fn told_event() -> (Value, Vec<Detection>) {
    let mut event = forged::hit("1");
    event["responseStatus"] = json!({"code": 403});
    event["user"]["groups"] = json!(["a", "b"]);
    let bare = without_origin(found(None, event.to_string().as_bytes()));
    assert_eq!(bare.len(), 1);
    (event, bare)
}

#[test]
fn a_wrapper_takes_nothing_away_and_adds_nothing_to_the_event() {
    let events = recorded();
    let bare = without_origin(found(Some("own"), events.join("\n").as_bytes()));
    assert!(bare.len() > 10, "{}", bare.len());
    for wrapper in shapes::all() {
        let records: Vec<String> = events
            .iter()
            .map(|event| wrapper.wrap(event, |text| text))
            .collect();
        let wrapped = without_origin(found(Some("own"), records.join("\n").as_bytes()));
        assert_eq!(wrapped, bare, "{}", wrapper.name);
    }
}

#[test]
fn events_printed_over_lines_are_found_between_lines_of_text() {
    let event = forged::hit("1");
    let pretty = serde_json::to_string_pretty(&event).expect("it is JSON");
    let quiet = pretty.replace("backup-sa", "jane");
    for before in [
        "$ kubectl get --raw /x | jq\n",
        "Warning: old\n\nstarted at {\n",
        "Warning: old, see the log,log\n\n",
        "",
    ] {
        for between in ["\n", "\nit took 3 s, and [\n", "\n{\n"] {
            let text = [before, &pretty, between, &quiet, between, &pretty].concat();
            let all = streamed(Detector::scan, text.as_bytes());
            let techniques: Vec<_> = all.iter().map(|one| one.technique).collect();
            assert_eq!(techniques, [Technique::TokenUse; 2], "{text}");
        }
    }
}

#[test]
fn what_a_wrapper_knows_is_the_origin_and_the_cluster_where_no_other_is_named() {
    let event = json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "1", "verb": "list",
        "user": {"username": "system:serviceaccount:honeypot:backup-sa"}});
    for wrapper in shapes::all() {
        let record = wrapper.wrap(&event.to_string(), |text| text);
        let [detection] = found(None, record.as_bytes())
            .try_into()
            .expect(&wrapper.name);
        let Value::Object(origin) = serde_json::to_value(&detection.origin).expect("it is plain")
        else {
            panic!("an origin is an object");
        };
        for (key, value) in &origin {
            let is_ours = matches!(key.as_str(), "source" | "position" | "key" | "headers");
            let told = wrapper.origin.get(key);
            match (key.as_str(), told.and_then(Value::as_str)) {
                ("time", Some(told)) => {
                    let told: Timestamp = told.parse().expect("a time");
                    assert_eq!(detection.origin.time, Some(told), "{}", wrapper.name);
                    assert_eq!(detection.time, told, "{}", wrapper.name);
                }
                _ if is_ours => {}
                _ => assert_eq!(
                    value,
                    told.unwrap_or(&Value::Null),
                    "{} {key}",
                    wrapper.name
                ),
            }
        }
        assert_eq!(
            detection.cluster.as_deref(),
            detection.origin.cluster.as_deref()
        );
        let [configured] = found(Some("own"), record.as_bytes())
            .try_into()
            .expect(&wrapper.name);
        assert_eq!(configured.cluster.as_deref(), Some("own"));
        assert_eq!(configured.origin, detection.origin);
    }
}

#[test]
fn a_cluster_has_one_key_however_its_name_comes() {
    let event = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"1","verb":"list","user":{"username":"system:serviceaccount:honeypot:backup-sa"}}"#;
    let key = |name: Option<&str>, record: &str| found(name, record.as_bytes())[0].incident_key;
    let azure = |id: &str| {
        json!({"category": "kube-audit", "resourceId": id, "properties": {"log": event}})
            .to_string()
    };
    let upper = azure("/SUBSCRIPTIONS/S/PROVIDERS/MICROSOFT.CONTAINERSERVICE/MANAGEDCLUSTERS/PROD");
    let lower = azure("/subscriptions/s/providers/Microsoft.ContainerService/managedClusters/prod");
    assert_eq!(key(None, &upper), key(None, &lower));
    assert_eq!(key(None, &upper), key(Some("prod"), event));
    assert_eq!(key(Some("own"), &upper), key(Some("own"), event));
    assert_ne!(key(Some("own"), &upper), key(None, &upper));
}

/// Azure's table of its own renames the fields of the event, but not those inside.
#[test]
fn a_row_of_aks_audit_is_the_event_that_it_was_made_of() {
    let names = [
        ("auditID", "AuditId"),
        ("stage", "Stage"),
        ("level", "Level"),
        ("requestURI", "RequestUri"),
        ("verb", "Verb"),
        ("user", "User"),
        ("sourceIPs", "SourceIps"),
        ("userAgent", "UserAgent"),
        ("objectRef", "ObjectRef"),
        ("responseStatus", "ResponseStatus"),
        ("requestReceivedTimestamp", "RequestReceivedTime"),
        ("stageTimestamp", "StageReceivedTime"),
        ("annotations", "Annotations"),
        ("requestObject", "RequestObject"),
        ("responseObject", "ResponseObject"),
        ("impersonatedUser", "ImpersonatedUser"),
    ];
    let events = recorded();
    let rows = events.iter().map(|event| {
        let mut event: Value = serde_json::from_str(event).expect("an event is JSON");
        let mut row = json!({"Type": "AKSAudit", "TenantId": "t", "PodName": "kube-apiserver-1"});
        for (name, renamed) in names {
            row[renamed] = event[name].take();
        }
        row.to_string()
    });
    let rows: Vec<String> = rows.collect();
    let found_in_rows = found(Some("own"), rows.join("\n").as_bytes());
    assert_eq!(
        found_in_rows[0].origin.pod.as_deref(),
        Some("kube-apiserver-1")
    );
    let bare = found(Some("own"), events.join("\n").as_bytes());
    assert_eq!(without_origin(found_in_rows), without_origin(bare));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn the_scan_finds_in_any_wrappers_what_decoding_finds(
        names in prop::sample::select(vec![("honeypot", "backup-sa"), ("ci", "x1"), ("data", "message")]),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 1..=2),
        whole_namespace in any::<bool>(),
        dice in prop::collection::vec(0..9_u8, 64),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let wrappers = shapes::all();
        let decoy = || decoy(names.0, names.1, whole_namespace);
        let mut endless = dice.iter().copied().cycle();
        let events = events(names, whole_namespace, &str::to_owned);
        let mut lines = Vec::new();
        for (event, _) in &events {
            let mut text = event.to_string();
            for pick in &picks {
                let wrapper = pick.get(&wrappers);
                // Text around a record takes any record; fields can be put beside an object's alone.
                let Ok(Value::Object(_)) = serde_json::from_str(&text) else { break };
                text = wrapper.wrap(&text, |text| escaped(&text, &mut endless));
            }
            lines.push(text);
        }
        let mut bytes = lines.join("\n").into_bytes();
        let is_sound = damage.is_empty() && picks.len() == 1;
        for (at, byte) in damage {
            *at.get_mut(&mut bytes) = byte;
        }
        let all = run_for(Detector::decode_all, decoy(), &bytes);
        let scanned = run_for(Detector::scan, decoy(), &bytes);
        prop_assert_eq!(&scanned, &all);
        if is_sound {
            let found: Vec<_> = scanned.iter().map(|detection| detection.technique).collect();
            let wanted: Vec<_> = events.iter().filter_map(|(_, technique)| *technique).collect();
            prop_assert_eq!(found, wanted, "{}", picks[0].get(&wrappers).name);
        }
    }
}
