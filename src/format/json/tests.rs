use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::format::{arbitrary, example};

fn alert_line(value: &Alert) -> String {
    let mut out = Vec::new();
    alert(value, &mut out);
    String::from_utf8(out).unwrap()
}

fn detection_line(value: &Detection) -> String {
    let mut out = Vec::new();
    detection(value, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn the_words_on_the_wire() {
    assert!(
        alert_line(&example::opened())
            .as_bytes()
            .starts_with(BEGINNINGS[0])
    );
    assert!(
        detection_line(&example::detection())
            .as_bytes()
            .starts_with(BEGINNINGS[1])
    );
    insta::assert_snapshot!("alert", alert_line(&example::opened()));
    insta::assert_snapshot!("flood", alert_line(&example::flood()));
    insta::assert_snapshot!("silent", alert_line(&example::silent()));
    insta::assert_snapshot!("detection", detection_line(&example::detection()));
}

#[test]
fn a_line_is_one_line_and_shows_nothing_that_acts() {
    for line in [
        alert_line(&example::hostile(example::HOSTILE)),
        detection_line(&example::hostile_detection(example::HOSTILE)),
    ] {
        assert_eq!(line.find('\n'), Some(line.len() - 1));
        assert!(!line.trim_end().contains(is_hidden), "{line:?}");
    }
}

fn error(line: &str) -> String {
    read(line.as_bytes()).expect_err(line).to_string()
}

#[test]
fn what_may_be_missing_is_empty_and_what_is_new_is_passed_over() {
    let id = "0".repeat(32);
    let detection = format!(
        r#"{{"schema":1,"new":[{{"a":{{}}}}],"type":"detection","detection_id":"{id}","request_id":"{id}",
        "incident_key":"{id}","class":"detect","technique":"token_use","severity":"low","time":"2026-11-23T17:21:08Z",
        "actor":{{}},"token":{{"kind":"other"}},"tool":"unknown","request":{{"new":1}},"origin":{{"source":"audit"}}}}"#
    );
    let Line::Detection(read) = read(detection.as_bytes()).unwrap() else {
        panic!("it is a detection");
    };
    assert_eq!(*read.actor, Actor::default());
    assert_eq!(
        (read.decoy, read.stage_time, read.granted),
        (None, None, false)
    );
    assert!(read.labels.is_empty() && read.claimed_ips.is_empty());
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let detection = detection_line(&example::detection());
    let alert = alert_line(&example::opened());
    let wrong = |line: &str, from: &str, to: &str| {
        assert!(line.contains(from), "{from}");
        error(&line.replacen(from, to, 1))
    };
    let told = [
        error(""),
        error("[]"),
        error("{}"),
        error(r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1"}"#),
        wrong(&detection, r#""type":"detection""#, r#""type":"event""#),
        wrong(&detection, r#""schema":1"#, r#""schema":2"#),
        wrong(&detection, r#""schema":1"#, r#""schema":1,"schema":1"#),
        wrong(&detection, "token_use", "token_lose"),
        wrong(&detection, r#""severity":"critical","#, ""),
        wrong(&detection, r#""code":403"#, r#""code":70000"#),
        wrong(&detection, "2026-11-23T", "2026-13-23T"),
        wrong(&detection, r#""request_id":""#, r#""request_id":"+"#),
        wrong(&alert, r#""sequence":1"#, r#""sequence":-1"#),
        wrong(&alert, r#""kind":"opened""#, r#""kind":null"#),
        wrong(&alert, "}\n", ""),
        wrong(&alert, "}\n", "} {}"),
    ];
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn of_alerts_those_of_components_are_found() {
    for line in [
        alert_line(&example::flood()),
        r#"{"type":"alert","schema":2}"#.into(),
        r#"{"type":"alert","schema":2,"kind":"of_next_year"}"#.into(),
    ] {
        assert_eq!(read_found(line.as_bytes()).unwrap(), None);
    }
    let silent = alert_line(&example::silent());
    let found = read_found(silent.as_bytes()).unwrap();
    assert_eq!(found, Some(Line::Alert(Box::new(example::silent()))));
    let other = silent.replace(r#""schema":1"#, r#""schema":2"#);
    read_found(other.as_bytes()).unwrap_err();
}

#[test]
fn depth_is_no_danger() {
    for open in ["[", r#"{"type":"#, r#"{"trail":["#] {
        error(&open.repeat(1 << 20));
    }
    let line = detection_line(&example::detection());
    let deep = format!("{}1{}", "[".repeat(1 << 20), "]".repeat(1 << 20));
    let _ = read(
        line.replacen('{', &format!(r#"{{"new":{deep},"#), 1)
            .as_bytes(),
    );
}

proptest! {
    #[test]
    fn what_was_written_is_read(detection in arbitrary::detection(), alert in arbitrary::alert()) {
        let line = detection_line(&detection);
        let line_of_detection = Line::Detection(Box::new(detection));
        prop_assert_eq!(read_found(line.as_bytes()).unwrap(), Some(line_of_detection.clone()));
        prop_assert_eq!(read(line.as_bytes()).unwrap(), line_of_detection);
        let line = alert_line(&alert);
        prop_assert_eq!(read(line.as_bytes()).unwrap(), Line::Alert(Box::new(alert)));
    }

    #[test]
    fn a_line_that_is_cut_anywhere_is_an_error(detection in arbitrary::detection(), at in any::<prop::sample::Index>()) {
        let line = detection_line(&detection);
        let cut = &line.as_bytes()[..at.index(line.trim_end().len())];
        prop_assert!(read(cut).is_err());
    }

    #[test]
    fn the_value_is_unchanged(text in any::<String>(), tag in "[\u{7f}-\u{ad}\u{2028}-\u{202e}\u{e0000}-\u{e007f}]{0,9}") {
        let text = text + &tag;
        let mut hostile = example::detection();
        hostile.user_agent = Some(text.as_str().into());
        let line = detection_line(&hostile);
        prop_assert!(!line.trim_end().contains(is_hidden));
        let value: Value = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(&value["user_agent"], &Value::String(text));
        prop_assert_eq!(&value["technique"], "token_use");
    }
}
