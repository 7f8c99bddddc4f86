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
mod tests;
