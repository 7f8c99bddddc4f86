//! Records that are cut, broken, wrapped, or baitline's own.

use baitline::{
    detect::{Config, Detector, Technique},
    source::{Block, Provenance, Shape},
};
use base64::prelude::*;
use jiff::Timestamp;
use serde_json::json;

use super::{DECOY, detections, event, found_in, scan, technique};
use crate::recordings::decoy;

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
        r#"{"type":"alert","schema":1,"alert_id":"0123456789abcdef0123456789abcdef","incident_id":"0123456789abcdef0123456789abcdef","decoy":"honeypot/backup-sa","excerpt":"{\"auditID\":\"1\",\"sys"#,
    ] {
        assert_eq!(found_in(&decoys, text), [], "{text}");
    }
}

#[test]
fn an_oversized_record_is_searched_to_its_end() {
    let head = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","requestURI":"aaaa"#;
    let packed = BASE64_STANDARD.encode(format!("{head}\",\"user\":\"{DECOY}\"}}"));
    for parts in [
        [head, "aaaa", &format!("aaaa\",\"user\":\"{DECOY}\"}}")],
        ["{\"a\":[", &format!("{{\"data\":\"{packed}\"}},"), "{}]}"],
    ] {
        oversized(parts);
    }
}

fn oversized(parts: [&str; 3]) {
    let decoys = [decoy("honeypot", "backup-sa", false)];
    let mut detector = Detector::new(&Config::default(), &decoys, None, "audit".into())
        .expect("the globs are globs");
    let mut found = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        assert_eq!(found, []);
        let shape = Shape::Oversized {
            first: index == 0,
            last: index == 2,
        };
        let block = Block {
            bytes: part.as_bytes(),
            shape,
            header: None,
            first_part: None,
            provenance: &|_| Provenance::default(),
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
            let found = found_in(&decoys, &record);
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
        let found = found_in(&decoys, &list);
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
        // As some tables show what is no scalar.
        let inner = format!("{{username={DECOY}, namespace=honeypot}}");
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
    let found = found_in(&decoys, &record);
    assert_eq!(found.len(), 1);
}

#[test]
fn baitlines_own_output_is_no_event_however_it_is_cut_and_wrapped() {
    let decoys = [decoy("honeypot", "backup-sa", false)];
    let scanned = |text: &str| found_in(&decoys, text);
    let cut = event(json!({"user": {"username": DECOY}, "userAgent": "{\"auditID\":\"x\",\"a"}))
        .to_string();
    let found = scanned(&cut[..cut.len() - 2]);
    let excerpt = found[0].excerpt.as_deref().expect("it begins as an event");
    assert!(excerpt.contains("auditID"));
    let prose = format!("HIGH honeypot/backup-sa: cannot be decoded, record: '{excerpt}'");
    let own = format!(
        r#"{{"type":"detection","schema":1,"detection_id":"0123456789abcdef0123456789abcdef","request_id":"0123456789abcdef0123456789abcdef","decoy":"honeypot/backup-sa","user_agent":"{{\"auditID\":\"honeypot backup-sa","excerpt":{},"labels":{{"a":"honeypot/backup-sa"}}}}"#,
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
        let found = found_in(&decoys, &text);
        assert_eq!(found.len(), 1, "{text}");
        let excerpt = found[0].excerpt.as_deref().unwrap_or_default();
        assert!(!excerpt.contains(secret), "{excerpt}");
    }
}

#[test]
fn a_cut_event_may_name_the_pod_percent_encoded() {
    let decoys = [decoy("honeypot", "backup-sa", false)];
    let text = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"1","requestURI":"/api/v1/nodes/n/proxy/exec/%68oneypot/%66ile-backup/c","objectRef":{"resource":"nodes","subresource":"proxy","#;
    let found = found_in(&decoys, text);
    assert_eq!(found.len(), 1);
}

#[test]
fn a_cut_event_may_ask_for_the_secret_in_all_namespaces() {
    let decoys = [decoy("honeypot", "backup-sa", false)];
    for (path, name, wanted) in [
        (
            "secrets?fieldSelector=metadata.name%3D",
            "backup-sa-token",
            1,
        ),
        (
            "secrets?limit=500\\u0026fieldSelector=metadata.name=",
            "backup-sa-token",
            1,
        ),
        (
            "secrets?fieldSelector=metadata%2Ename%3D",
            "%62ackup-sa-token",
            1,
        ),
        (
            "watch/serviceaccounts?fieldSelector=metadata.name%3D",
            "backup-sa",
            1,
        ),
        (
            "secrets?fieldSelector=metadata.name%3D",
            "backup-sa-token2",
            0,
        ),
        ("secrets?labelSelector=app%3D", "backup-sa-token", 0),
        (
            "namespaces/shop/secrets?fieldSelector=metadata.name%3D",
            "backup-sa-token",
            0,
        ),
    ] {
        let text = format!(
            r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"1","stage":"ResponseComplete","requestURI":"/api/v1/{path}{name}","verb":"list","user":{{"username":"jane"}},"objectRef":{{"resource":"secrets"}}}}"#
        );
        let named = text.find(name).expect("it is named") + name.len();
        for end in [named, named + 1, text.len() - 1] {
            let found = found_in(&decoys, &text[..end]);
            let techniques: Vec<_> = found.iter().map(|one| one.technique).collect();
            assert_eq!(
                techniques,
                vec![Technique::Undecodable; wanted],
                "{}",
                &text[..end]
            );
        }
    }
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
fn what_a_text_alert_quotes_is_no_event() {
    let forged = json!({"verb": "", "sourceIPs": [], "user": {"username": DECOY}}).to_string();
    let found = detections(&event(
        json!({"user": {"username": DECOY}, "userAgent": forged}),
    ));
    let line = baitline::format::text::detection(&found[0], baitline::format::text::Style::Plain);
    assert!(line.contains("'username'"), "{line}");
    let decoys = [decoy("honeypot", "backup-sa", true)];
    assert_eq!(found_in(&decoys, &line), []);
}
