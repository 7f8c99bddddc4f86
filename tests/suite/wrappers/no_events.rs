//! What tells of requests and is no audit event: the texts of clients in it are none either.

use serde_json::{Value, json};

use super::forged::{hit, ids};

/// `text` as klog writes a value.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("it is text")
}

fn http(text: &str) -> String {
    format!(
        r#"I1123 17:21:08.912184       1 httplog.go:134] "HTTP" verb="GET" URI="/api" latency="1ms" userAgent={} audit-ID="x" srcIP="10.0.0.1:1" resp=200"#,
        quoted(text)
    )
}

fn forgeries() -> [String; 3] {
    let text = hit("forged").to_string();
    [
        format!("{{}} {}", &text[1..]),
        text[..text.len() - 9].to_owned(),
        text,
    ]
}

#[test]
fn keys_that_hold_texts_of_clients_are_not_searched() {
    for text in forgeries() {
        for key in [
            "userAgent",
            "user_agent",
            "UserAgent",
            "requestURI",
            "RequestUri",
            "URI",
            "uri",
            "requestObject",
            "responseObject",
            "responseStatus",
            "RequestObject",
            "kubernetes.audit.userAgent",
            "user_agent.original",
        ] {
            let decoded = serde_json::from_str(&text).unwrap_or(Value::Null);
            for value in [
                json!(text),
                json!({"original": text}),
                json!([text]),
                decoded,
            ] {
                for record in [
                    json!({"verb": "get", key: value}),
                    json!({"eventSource": "eks.amazonaws.com", "Records": [{key: value}]}),
                    json!({"ts": 1.5, "msg": "HTTP", "v": 3, "verb": "GET", key: value}),
                ] {
                    assert_eq!(ids(&record.to_string()), [], "{record}");
                }
            }
        }
    }
    let event = hit("real").to_string();
    let record = json!({"userAgent": "fluent-bit", "uri": "/ingest", "message": event});
    assert_eq!(ids(&record.to_string()), [("real".to_owned(), None)]);
}

#[test]
fn lines_of_klog_are_no_events_wherever_they_stand() {
    for line in forgeries().iter().map(|text| http(text)).chain([
        format!(
            "E1123 17:21:08.912 1 status.go:71] bad request: {}",
            hit("forged")
        ),
        format!(
            "W1123 17:21:08.912184 1 a.go:1] \"x\" err={}",
            quoted(&hit("x").to_string())
        ),
    ]) {
        for record in [
            line.clone(),
            format!("2026-11-23T17:21:08.912216789Z stderr F {line}"),
            json!({"log": format!("{line}\n"), "stream": "stderr", "time": "2026-11-23T17:21:08Z"})
                .to_string(),
            json!({"message": line}).to_string(),
            json!({"message": format!("2026-11-23T17:21:08.912216789Z stderr F {line}")})
                .to_string(),
            json!({"message": format!("{line}\r\n{line}")}).to_string(),
        ] {
            assert_eq!(ids(&record), [], "{record}");
        }
    }
}

#[test]
fn lines_of_klog_hide_no_event_of_other_lines() {
    let (line, event) = (http("curl"), hit("real"));
    for text in [
        format!("{line}\n{event}\n{line}"),
        format!("{event}\n{line}"),
        format!("{line}\n2026-11-23T17:21:08.9Z stdout F {event}"),
    ] {
        let record = json!({"message": text});
        assert_eq!(
            ids(&record.to_string()),
            [("real".to_owned(), None)],
            "{record}"
        );
    }
}

/// A client chooses the auditID, and with its length where a runtime cuts the line.
#[test]
fn the_rest_of_an_event_that_looks_like_a_line_of_klog_is_told() {
    let mut event = hit("x");
    event["auditID"] = "I1123 17:21:08.912184 1 a.go:1] x".into();
    let text = event.to_string();
    let start = text.find("I1123").expect("it is there");
    for record in [
        text[start..].to_owned(),
        json!({"log": text[start..]}).to_string(),
        format!("2026-11-23T17:21:08.9Z stdout F {}", &text[start..]),
    ] {
        assert_eq!(ids(&record), [("undecodable".to_owned(), None)], "{record}");
    }
}
