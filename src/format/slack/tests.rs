use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::{
    dedupe::AlertKind,
    format::{arbitrary, example, neutralise::is_hidden},
};

fn parsed(body: &str) -> Value {
    serde_json::from_str(body).unwrap()
}

/// Calls `see` with every object in `value`.
fn walk(value: &Value, see: &mut impl FnMut(&serde_json::Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            see(object);
            object.values().for_each(|inner| walk(inner, see));
        }
        Value::Array(items) => items.iter().for_each(|inner| walk(inner, see)),
        _ => {}
    }
}

fn assert_within_limits(body: &str) {
    assert!(
        body.chars().count() <= PAYLOAD,
        "{} characters",
        body.chars().count()
    );
    let body = parsed(body);
    assert!(!body["text"].as_str().unwrap().is_empty());
    let Some(blocks) = body["blocks"].as_array() else {
        return;
    };
    assert!((1..=50).contains(&blocks.len()));
    // Whatever holds text holds some, and never more than a section may.
    walk(&body["blocks"], &mut |object| {
        if let Some(text) = object.get("text").and_then(Value::as_str) {
            let length = text.chars().count();
            assert!((1..=3_000).contains(&length), "{length} characters");
        }
    });
    for block in blocks {
        let length = |text: &Value| text["text"].as_str().map_or(0, |text| text.chars().count());
        match block["type"].as_str().unwrap() {
            "header" => assert!(length(&block["text"]) <= 150),
            "context" => assert!(block["elements"].as_array().unwrap().len() <= 10),
            "section" => {
                assert!(length(&block["text"]) <= 3_000);
                let fields = block["fields"].as_array().map_or(&[][..], |fields| fields);
                assert!(fields.len() <= 10);
                assert!(
                    fields
                        .iter()
                        .all(|field| (1..=2_000).contains(&length(field)))
                );
            }
            _ => assert_eq!(block["type"], "rich_text"),
        }
    }
}

/// `alert` with `times` as much in each list, and `text` in it.
fn swollen(mut alert: Alert, text: &str, times: usize) -> Alert {
    let texts = vec![text.to_owned(); times];
    alert.title += text;
    alert.decoy = alert.decoy.map(|decoy| format!("{decoy}{text}").into());
    for list in [
        &mut alert.claimed_ips,
        &mut alert.actors,
        &mut alert.impersonated,
        &mut alert.user_agents,
    ] {
        list.extend(texts.clone());
    }
    alert.requests = vec![alert.requests; times].concat();
    for entry in &mut alert.trail {
        entry.summary += text;
    }
    alert.trail = vec![alert.trail; times].concat();
    if let Some(flood) = &mut alert.flood {
        let sources = std::mem::take(&mut flood.top_sources);
        flood.top_sources = vec![sources; times].concat();
    }
    let label = |number: usize| (format!("{number}{text}"), text.to_owned());
    alert.labels = Arc::new((0..times).map(label).collect());
    alert
}

#[test]
fn blocks_of_an_alert() {
    let pretty = |body: &str| serde_json::to_string_pretty(&parsed(body)).unwrap();
    insta::assert_snapshot!("escalated", pretty(&alert(&example::escalated())));
    insta::assert_snapshot!("detection", pretty(&detection(&example::detection())));
    insta::assert_snapshot!("plain", pretty(&plain_alert(&example::opened())));
    insta::assert_snapshot!("silent", pretty(&alert(&example::silent())));
    insta::assert_snapshot!("recovered", pretty(&plain_alert(&example::recovered())));
}

#[test]
fn hostile_text_is_never_parsed_and_never_a_link() {
    let hostile = example::hostile(example::HOSTILE);
    for body in [
        alert(&hostile),
        plain_alert(&hostile),
        detection(&example::hostile_detection(example::HOSTILE)),
        plain_detection(&example::hostile_detection(example::HOSTILE)),
        alert(&example::hostile("https://evil.example/x")),
        alert(&example::undecodable()),
    ] {
        assert!(!body.contains(is_hidden));
        let body = parsed(&body);
        let text = body["text"].as_str().unwrap();
        assert!(
            !text.contains(['<', '>', '*', '_', '`', '@', '\n']),
            "{text}"
        );
        assert!(
            !text.contains("://") && !text.contains("evil.example"),
            "{text}"
        );
        assert_eq!(body["mrkdwn"], false);
        walk(&body["blocks"], &mut |object| {
            assert_ne!(object.get("type").unwrap_or(&Value::Null), "mrkdwn");
            if let Some(url) = object.get("url") {
                assert_eq!(url, "https://wiki.example/runbooks/decoy");
            }
        });
    }
}

#[test]
fn only_an_http_label_is_a_link() {
    let links = |value: &str| {
        let labels = [("runbook".to_string(), value.to_string())].into();
        let told = Alert {
            labels: Arc::new(labels),
            ..example::opened()
        };
        let mut links = 0;
        walk(&parsed(&alert(&told)), &mut |object| {
            links += usize::from(object.contains_key("url"));
        });
        links
    };
    assert_eq!(links("https://wiki.example/a"), 1);
    assert_eq!(links("ask the night shift"), 0);
    assert_eq!(links("javascript:alert(1)"), 0);
    assert_eq!(links("https://wiki.example/\u{202e}a"), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn slacks_limits_hold_for_any_message(
        alert in arbitrary::alert(),
        told in arbitrary::detection(),
        text in any::<String>(),
        repeat in 0..300_usize,
        times in 0..60_usize,
    ) {
        let swollen = swollen(alert.clone(), &text.repeat(repeat), times);
        for alert in [alert, swollen] {
            assert_within_limits(&super::alert(&alert));
            assert_within_limits(&plain_alert(&alert));
        }
        assert_within_limits(&detection(&told));
        assert_within_limits(&plain_detection(&told));
    }

    #[test]
    fn slacks_limits_hold(text in any::<String>(), repeat in 1..2_000_usize, kind in 0..AlertKind::ALL.len()) {
        let text = text.repeat(repeat);
        let told = Alert { kind: AlertKind::ALL[kind], ..example::hostile(&text) };
        assert_within_limits(&alert(&told));
        assert_within_limits(&plain_alert(&told));
        assert_within_limits(&detection(&example::hostile_detection(&text)));
    }
}

#[test]
fn slacks_limits_hold_for_text_that_doubles_in_json() {
    for text in ["\"", "\\", "&", "\u{202e}"] {
        let told = example::hostile(&text.repeat(10_000));
        assert_within_limits(&alert(&told));
        assert_within_limits(&detection(&example::hostile_detection(
            &text.repeat(10_000),
        )));
        assert_within_limits(&plain_detection(&example::hostile_detection(
            &text.repeat(10_000),
        )));
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let body = alert(&example::hostile(&"\"x".repeat(500)));
    let blocks = parsed(&body)["blocks"].clone();
    let foot = blocks.as_array().unwrap().last().unwrap()["elements"][0]["text"].clone();
    assert!(
        foot.as_str().unwrap().contains("too long for Slack: "),
        "{foot}"
    );
}
