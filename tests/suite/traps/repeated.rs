//! Keys that stand twice: whichever of the two a decoder takes, the hit is told.

use baitline::detect::Technique;

use super::{DECOY, event, found_in, json, object};
use crate::recordings::decoy;

fn techniques(text: &str) -> Vec<Technique> {
    let found = found_in(&[decoy("honeypot", "backup-sa", true)], text);
    found.iter().map(|one| one.technique).collect()
}

/// `event` as text, with `more` before its first key or behind its last.
fn both_ways(event: &serde_json::Value, more: &str) -> [String; 2] {
    let text = event.to_string();
    let (first, last) = (&text[1..], &text[..text.len() - 1]);
    [format!("{{{more},{first}"), format!("{last},{more}}}")]
}

#[test]
fn a_field_of_an_event_that_stands_twice_hides_nothing() {
    let user = json!({"username": DECOY}).to_string();
    let secret = json!({"resource": "secrets", "namespace": "honeypot", "name": "backup-sa-token"})
        .to_string();
    let refusal = json!({"code": 403, "message": format!("serviceaccounts \"backup-sa\" is forbidden: User \"jane\" cannot \
        impersonate resource \"serviceaccounts\" in API group \"\" in the namespace \"honeypot\"")}).to_string();
    for (key, value) in [
        ("user", &user),
        ("User", &user),
        ("impersonatedUser", &user),
        ("objectRef", &secret),
        ("responseStatus", &refusal),
    ] {
        let quiet = event(
            json!({"impersonatedUser": {"username": "x"}, "objectRef": {"resource": "pods"}}),
        );
        for record in both_ways(&quiet, &format!(r#""{key}":{value}"#)) {
            for record in [
                record.clone(),
                json!({"log": record}).to_string(),
                format!("[{record}]"),
            ] {
                assert!(!techniques(&record).is_empty(), "{record}");
            }
        }
        for record in both_ways(&quiet, &format!(r#""{key}":{{}}"#)) {
            assert_eq!(techniques(&record), [], "{record}");
        }
    }
}

#[test]
fn a_name_in_a_field_that_stands_twice_hides_nothing() {
    for inner in [
        format!(r#"{{"username":"jane","username":"{DECOY}"}}"#),
        format!(r#"{{"username":"{DECOY}","username":"jane"}}"#),
    ] {
        for key in ["user", "impersonatedUser"] {
            let quiet = event(json!({key: {"username": "jane"}})).to_string();
            let record = quiet.replace(r#"{"username":"jane"}"#, &inner);
            assert!(!techniques(&record).is_empty(), "{record}");
        }
    }
}

#[test]
fn what_says_that_it_is_an_event_may_stand_twice() {
    let hit = event(json!({"user": {"username": DECOY}})).to_string();
    let other = format!(r#"{{"kind":"Pod","apiVersion":"v1",{}"#, &hit[1..]);
    assert_eq!(techniques(&other), [Technique::Undecodable]);
}

#[test]
fn a_field_of_an_entry_of_gke_that_stands_twice_hides_nothing() {
    let entry = |info: &str| {
        format!(
            r#"{{"insertId":"1","timestamp":"2026-11-23T17:21:08Z","protoPayload":{{"serviceName":"k8s.io",
            "methodName":"io.k8s.core.v1.pods.list",{info}}}}}"#
        )
    };
    let info = |name: &str| format!(r#""authenticationInfo":{{"principalEmail":"{name}"}}"#);
    for record in [
        entry(&format!("{},{}", info("jane"), info(DECOY))),
        entry(&format!("{},{}", info(DECOY), info("jane"))),
        entry(&format!(
            r#""authenticationInfo":{{"principalEmail":"jane","principalEmail":"{DECOY}"}}"#
        )),
    ] {
        assert!(
            !techniques(&record.replace(char::is_whitespace, "")).is_empty(),
            "{record}"
        );
    }
}

#[test]
fn a_field_in_another_case_that_stands_twice_hides_nothing() {
    let user = |name: &str| format!(r#""USER":{{"username":"{name}"}}"#);
    for [one, other] in [["jane", DECOY], [DECOY, "jane"]] {
        let record = format!(
            r#"{{"AUDITID":"1","VERB":"list",{},{}}}"#,
            user(one),
            user(other)
        );
        assert!(!techniques(&record).is_empty(), "{record}");
    }
}

/// Go's decoder takes the last of them (`encoding/json`), and the API server logs a patch as it came.
#[test]
fn of_keys_that_stand_twice_in_a_patch_the_last_counts() {
    let object = object("clusterrolebindings", None, None, Some("x"));
    let event =
        event(json!({"verb": "patch", "objectRef": object, "requestObject": 0})).to_string();
    let told = |patch: &str| {
        techniques(&event.replace("\"requestObject\":0", &format!("\"requestObject\":{patch}")))
    };
    let account = r#"{"kind":"ServiceAccount","name":"backup-sa","namespace":"honeypot"}"#;
    let other = account.replace("backup-sa", "a");
    for (patch, wanted) in [
        (
            format!(r#"[{{"op":"test","path":"/subjects/-","value":{account},"op":"add"}}]"#),
            true,
        ),
        (
            format!(r#"[{{"op":"add","path":"/subjects/-","value":{account},"op":"test"}}]"#),
            false,
        ),
        (
            format!(r#"[{{"op":"add","path":"/subjects/-","value":{other},"value":{account}}}]"#),
            true,
        ),
        (
            format!(r#"[{{"op":"add","path":"/x","value":{account},"path":"/subjects/-"}}]"#),
            true,
        ),
        (
            format!(
                r#"{{"subjects":[{}]}}"#,
                account.replace("\"name\"", "\"name\":\"a\",\"name\"")
            ),
            true,
        ),
    ] {
        let wanted: &[_] = if wanted {
            &[Technique::PrivilegeGrant]
        } else {
            &[]
        };
        assert_eq!(told(&patch), wanted, "{patch}");
    }
}
