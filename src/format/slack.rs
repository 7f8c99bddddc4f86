//! Alerts and detections as the body of a Slack webhook: Block Kit.
//!
//! What an attacker can have written stands only in `plain_text` and in the text
//! elements of `rich_text`, where Slack parses nothing. The one link is a label of the
//! configuration. Slack's limits hold by construction: 50 blocks, 150 characters in a
//! header, 3,000 in a section, 10 fields of 2,000, and 13,000 in the whole body.

use serde_json::{Value, json};

use super::{
    facts::{self, Fact, Shape, facts},
    neutralise::{slack_markup, visible},
    text::{self, Style},
};
use crate::{
    dedupe::Alert,
    detect::{Detection, Severity},
};

/// Characters of one JSON body. Slack takes about this much.
const PAYLOAD: usize = 13_000;
/// What is kept free of it for the last block, the notification line and the frame around all.
const RESERVE: usize = 2_000;
/// Characters of the header: Slack takes 150 and may count an emoji as two.
const HEADER: usize = 148;
/// Characters of any other text: Slack takes so many in a section, and says nothing of rich text.
const TEXT: usize = 3_000;
/// Characters of the notification line.
const FALLBACK: usize = 700;

/// `alert` as the JSON body of a webhook request.
pub fn alert(alert: &Alert) -> String {
    let (title, place) = facts::headline(alert);
    let subject = facts::subject(alert).map_or(String::new(), |subject| format!(": {subject}"));
    let header = format!(
        "{} {} {}{subject}",
        mark(alert.severity),
        alert.severity.as_str().to_uppercase(),
        facts::reason(alert.kind),
    );
    let (wide, short): (Vec<_>, Vec<_>) = facts(alert)
        .into_iter()
        .partition(|fact| fact.shape != Shape::Short);

    let severity = Fact {
        label: "severity".into(),
        lines: vec![alert.severity.to_string()],
        shape: Shape::Short,
    };
    let fields: Vec<_> = std::iter::once(&severity)
        .chain(&short)
        .take(10)
        .map(field)
        .collect();
    let mut blocks = vec![
        json!({ "type": "header", "text": plain(&visible(&header, HEADER)) }),
        json!({ "type": "section", "text": plain(&title) }),
        json!({ "type": "section", "fields": fields }),
    ];

    // Facts come in order of urgency; what no longer fits is named, not sent.
    let mut size = size_of(&blocks);
    let mut left_out = Vec::new();
    for fact in &wide {
        let block = rich(fact);
        let more = size_of(&block);
        if size + more <= PAYLOAD - RESERVE && blocks.len() < 48 {
            size += more;
            blocks.push(block);
        } else {
            left_out.push(visible(&fact.label, 30));
        }
    }
    let mut foot = format!("{place} · incident {}", facts::incident(alert));
    if !left_out.is_empty() {
        foot += &format!(" · too long for Slack: {}", left_out.join(", "));
    }
    blocks.push(json!({ "type": "context", "elements": [plain(&visible(&foot, 700))] }));
    body(&fallback(alert), Some(blocks))
}

/// `alert` once more as one line, for a receiver that refused the blocks.
pub fn plain_alert(alert: &Alert) -> String {
    body(&fallback(alert), None)
}

/// `detection` as the JSON body of a webhook request.
pub fn detection(detection: &Detection) -> String {
    let line = text::detection(detection, Style::Plain);
    let blocks =
        vec![json!({ "type": "section", "text": plain(&visible(line.trim_end(), 2_900)) })];
    body(&slack_markup(line.trim_end(), FALLBACK), Some(blocks))
}

/// `detection` once more as one line, for a receiver that refused the blocks.
pub fn plain_detection(detection: &Detection) -> String {
    let line = text::detection(detection, Style::Plain);
    body(&slack_markup(line.trim_end(), FALLBACK), None)
}

/// What a notification shows, and a receiver that knows no blocks.
fn fallback(alert: &Alert) -> String {
    let (title, place) = facts::headline(alert);
    let severity = alert.severity.as_str().to_uppercase();
    slack_markup(
        &format!(
            "{severity} {}: {title} [{place}]",
            facts::reason(alert.kind)
        ),
        FALLBACK,
    )
}

/// The whole body. Slack is asked to parse nothing in `text` and to fetch no link.
fn body(text: &str, blocks: Option<Vec<Value>>) -> String {
    let mut body = json!({
        "text": text,
        "mrkdwn": false,
        "unfurl_links": false,
        "unfurl_media": false,
    });
    if let Some(blocks) = blocks {
        body["blocks"] = blocks.into();
    }
    body.to_string()
}

/// A spot of colour that can be told apart on a phone's lock screen.
fn mark(severity: Severity) -> char {
    match severity {
        Severity::Critical => '🔴',
        Severity::High => '🟠',
        Severity::Medium => '🟡',
        Severity::Low => '🔵',
    }
}

/// A text object in which Slack parses nothing.
fn plain(text: &str) -> Value {
    json!({ "type": "plain_text", "text": fit(text), "emoji": false })
}

/// `text` as Slack takes it: not empty, and not too long.
fn fit(text: &str) -> String {
    if text.is_empty() {
        return "-".into();
    }
    if text.chars().count() <= TEXT {
        return text.into();
    }
    text.chars().take(TEXT - 1).chain(['…']).collect()
}

fn field(fact: &Fact) -> Value {
    let text = format!("{}\n{}", capital(&fact.label), fact.lines.join("\n"));
    // Facts are far shorter; a longer one would cost the whole message.
    plain(&text.chars().take(2_000).collect::<String>())
}

/// A heading and what belongs to it: a link or a sentence beside it, or a table in fixed width below.
fn rich(fact: &Fact) -> Value {
    let heading = |end: &str| {
        let text = format!("{}{end}", capital(&fact.label));
        json!({ "type": "text", "text": text, "style": { "bold": true } })
    };
    let text = |text: &str| json!({ "type": "text", "text": fit(text) });
    let section = |elements: &[Value]| json!({ "type": "rich_text_section", "elements": elements });
    let elements = match fact.lines.as_slice() {
        [url] if fact.shape == Shape::Link => {
            vec![section(&[
                heading(": "),
                json!({ "type": "link", "url": url }),
            ])]
        }
        [line] => vec![section(&[heading(": "), text(line)])],
        lines => vec![
            section(&[heading("")]),
            json!({ "type": "rich_text_preformatted", "elements": [text(&lines.join("\n"))] }),
        ],
    };
    json!({ "type": "rich_text", "elements": elements })
}

/// A label as a heading: `taken from` is `Taken from`.
fn capital(label: &str) -> String {
    let mut chars = label.chars();
    chars
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .chain(chars)
        .collect()
}

fn size_of(value: &impl serde::Serialize) -> usize {
    serde_json::to_string(value).map_or(PAYLOAD, |json| json.chars().count())
}

#[cfg(test)]
mod tests {
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
            let length =
                |text: &Value| text["text"].as_str().map_or(0, |text| text.chars().count());
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
}
