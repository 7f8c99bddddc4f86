//! What an alert has to tell a person, as labelled lines: the one content behind both
//! [`text`](super::text) and [`slack`](super::slack). Every line is neutralised, bounded
//! and free of newlines; what is unknown is not there.

use jiff::Timestamp;

use super::{
    amounts::{clock, date, grouped, seen, span},
    neutralise::{visible, visible_with_rest},
};
use crate::{
    dedupe::{Alert, AlertKind, ComponentKind, RequestCount, TrailEntry},
    detect::{Class, Technique, Tool},
};

/// Characters of a name, an address or a user agent that are shown.
const NAME: usize = 120;
/// Characters of what an address may be.
const ADDRESS: usize = 60;
/// Characters of a sentence: a summary, a label's value.
const SENTENCE: usize = 240;
/// Characters of what is left of a record that could not be decoded.
const EXCERPT: usize = 600;
/// Names shown of a list of them.
const NAMES: usize = 5;
/// Rows shown of a table: requests, trail, labels.
const ROWS: usize = 10;

/// One thing worth knowing.
pub(super) struct Fact {
    pub label: String,
    /// At least one.
    pub lines: Vec<String>,
    pub shape: Shape,
}

/// How much room a [`Fact`] takes, and whether it may be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A short value.
    Short,
    /// A table or long text.
    Wide,
    /// One line: an http(s) URL that the configuration gave. No text of an event ever is one.
    Link,
}

/// Everything known about `alert` but what its first line says, most urgent first.
pub(super) fn facts(alert: &Alert) -> Vec<Fact> {
    let short = |label: &str, lines| Fact {
        label: label.into(),
        lines,
        shape: Shape::Short,
    };
    let wide = |label: &str, lines| Fact {
        label: label.into(),
        lines,
        shape: Shape::Wide,
    };
    let mut facts = vec![
        short("component", component(alert)),
        short("who", who(alert)),
        short("from", from(alert)),
        short("token", token(alert)),
        short("taken from", taken_from(alert)),
        wide("did", requests(alert)),
        wide("with", tools(alert)),
        short(
            "technique",
            alert.techniques.iter().map(technique).collect(),
        ),
        short("granted", granted(alert)),
        short("hits", hits(alert)),
        short(
            how_long(alert),
            vec![seen(alert.first_seen, alert.last_seen)],
        ),
        short("late", late(alert)),
        wide("flood", flood(alert)),
        wide("trail", trail(alert)),
        wide(
            "record",
            alert
                .excerpt
                .iter()
                .map(|e| visible_with_rest(e, EXCERPT))
                .collect(),
        ),
    ];
    // The runbook is what somebody woken up needs: it comes before the other labels.
    let (runbook, others): (Vec<_>, Vec<_>) = alert
        .labels
        .iter()
        .partition(|(name, _)| name.as_str() == "runbook");
    facts.extend(
        runbook
            .into_iter()
            .chain(others)
            .take(ROWS)
            .map(|(name, value)| label(name, value)),
    );
    facts.retain(|fact| !fact.lines.is_empty());
    facts
}

fn label(name: &str, value: &str) -> Fact {
    let shown = visible(value, SENTENCE);
    let is_url = value.starts_with("https://") || value.starts_with("http://");
    let shape = if is_url && shown == value {
        Shape::Link
    } else {
        Shape::Wide
    };
    Fact {
        label: visible(name, ADDRESS).into_owned(),
        lines: vec![shown.into_owned()],
        shape,
    }
}

/// What happened, and where: the decoy or the component, and the cluster.
pub(super) fn headline(alert: &Alert) -> (String, String) {
    let cluster = alert
        .cluster
        .as_ref()
        .map(|cluster| visible(cluster, NAME).into_owned());
    let place: Vec<_> = subject(alert).into_iter().chain(cluster).collect();
    let place = if place.is_empty() {
        "unknown".into()
    } else {
        place.join(", ")
    };
    (visible(&alert.title, SENTENCE).into_owned(), place)
}

/// Why it is told: `opened`, `source silent`.
pub(crate) fn reason(kind: AlertKind) -> String {
    kind.as_str().replace('_', " ")
}

/// What it is about: `honeypot/backup-sa`, `source audit`.
pub(super) fn subject(alert: &Alert) -> Option<String> {
    let decoy = alert.decoy.as_ref();
    let decoy = decoy.map(|decoy| visible(decoy, NAME).into_owned());
    let component = alert.component.as_ref();
    decoy.or_else(|| {
        component.map(|component| format!("{} {}", component.kind, visible(&component.id, NAME)))
    })
}

/// The incident's short name, and which of its alerts this is.
pub(super) fn incident(alert: &Alert) -> String {
    let id = alert.incident_id.to_string();
    format!("{}, alert {}", &id[..8], alert.sequence)
}

fn component(alert: &Alert) -> Vec<String> {
    let component = alert.component.iter();
    component
        .map(|component| {
            let (id, name) = (&component.id, &component.r#type);
            let (id, name) = (visible(id, ADDRESS), visible(name, ADDRESS));
            format!("{} {id} ({name})", component.kind)
        })
        .collect()
}

/// The label of the time from its first to its last moment.
fn how_long(alert: &Alert) -> &'static str {
    match alert.component.as_ref().map(|component| component.kind) {
        None => "seen",
        Some(ComponentKind::Source) => "silent",
        Some(ComponentKind::Sink) => "failing",
    }
}

fn who(alert: &Alert) -> Vec<String> {
    let actors = list(&alert.actors, NAME);
    let acting_as = list(&alert.impersonated, NAME).map(|names| format!("acting as {names}"));
    actors.into_iter().chain(acting_as).collect()
}

fn from(alert: &Alert) -> Vec<String> {
    let source = alert
        .source_ip
        .as_ref()
        .map(|ip| visible(ip, ADDRESS).into_owned());
    let claimed = list(&alert.claimed_ips, ADDRESS);
    let claimed = claimed.map(|ips| format!("claimed, can be forged: {ips}"));
    source.into_iter().chain(claimed).collect()
}

fn token(alert: &Alert) -> Vec<String> {
    let id = alert
        .token
        .iter()
        .filter_map(|token| Some((token.kind, token.id.as_ref()?)));
    id.map(|(kind, id)| format!("{kind} {}", visible(id, NAME)))
        .collect()
}

fn taken_from(alert: &Alert) -> Vec<String> {
    let pod = alert
        .pod
        .as_ref()
        .map(|pod| format!("pod {}", visible(pod, NAME)));
    let node = alert
        .node
        .as_ref()
        .map(|node| format!("node {}", visible(node, NAME)));
    match (pod, node) {
        (Some(pod), Some(node)) => vec![format!("{pod} on {node}")],
        (pod, node) => pod.or(node).into_iter().collect(),
    }
}

/// A table of count, what was asked for, and the answer; none where that is unknown of all. However much an intruder does beside
/// it, it shows what the alert is about.
fn requests(alert: &Alert) -> Vec<String> {
    let requests = &alert.requests;
    if !requests.iter().any(RequestCount::is_known) {
        return Vec::new();
    }
    let what = |request: &RequestCount| {
        let words = [&request.verb, &request.resource].into_iter().flatten();
        let words: Vec<_> = words.map(|word| visible(word, ADDRESS)).collect();
        if words.is_empty() {
            "unknown request".into()
        } else {
            words.join(" ")
        }
    };
    let mut shown: Vec<&RequestCount> = requests.iter().take(ROWS).collect();
    if let Some(chief) = alert.chief_request()
        && !shown.contains(&chief)
    {
        shown.pop();
        shown.push(chief);
    }
    let rows: Vec<_> = shown
        .iter()
        .map(|request| (grouped(request.count), what(request), request.code))
        .collect();
    let width = |text: fn(&(String, String, _)) -> &String| {
        rows.iter()
            .map(|row| text(row).chars().count())
            .max()
            .unwrap_or(0)
    };
    let (counts, whats) = (width(|row| &row.0), width(|row| &row.1));
    rows.iter()
        .map(|(count, what, code)| match code {
            Some(code) => format!("{count:>counts$} x {what:whats$} -> {code}"),
            None => format!("{count:>counts$} x {what}"),
        })
        .collect()
}

fn tools(alert: &Alert) -> Vec<String> {
    if alert.user_agents.is_empty() && alert.tools.iter().all(|tool| *tool == Tool::Unknown) {
        return Vec::new();
    }
    let tools: Vec<_> = alert.tools.iter().map(|tool| tool.as_str()).collect();
    let named = (!tools.is_empty()).then(|| tools.join(", "));
    let agents = alert.user_agents.iter().take(NAMES);
    let agents: Vec<_> = agents
        .map(|agent| format!("\"{}\"", visible(agent, NAME)))
        .collect();
    match (named, agents.as_slice()) {
        (Some(tool), [agent]) => vec![format!("{tool} {agent}")],
        (named, _) => {
            let rest = more(alert.user_agents.len(), NAMES);
            named.into_iter().chain(agents).chain(rest).collect()
        }
    }
}

fn technique(technique: &Technique) -> String {
    match technique.attack() {
        [] => technique.to_string(),
        attack => format!("{technique} ({})", attack.join(", ")),
    }
}

/// Only a used token can have been granted anything.
fn granted(alert: &Alert) -> Vec<String> {
    match (
        alert.granted,
        alert.techniques.contains(&Technique::TokenUse),
    ) {
        (true, _) => vec!["yes: the token was let in beyond discovery".into()],
        (false, true) => vec!["no: nothing beyond discovery so far".into()],
        (false, false) => vec![],
    }
}

/// A component has none.
fn hits(alert: &Alert) -> Vec<String> {
    let total = grouped(alert.total);
    match alert.count {
        0 if alert.component.is_some() => vec![],
        0 => vec![format!("none new, {total} in all")],
        count if count == alert.total => vec![total],
        count => vec![format!("{} new, {total} in all", grouped(count))],
    }
}

fn late(alert: &Alert) -> Vec<String> {
    let told = |secs| format!("told {} after the last hit: the log came late", span(secs));
    alert.late_secs.map(told).into_iter().collect()
}

fn flood(alert: &Alert) -> Vec<String> {
    let Some(flood) = &alert.flood else {
        return vec![];
    };
    let rest = match flood.top_sources.is_empty() {
        true => "",
        false => ", most hits from",
    };
    let incidents = format!("{} told as one{rest}", flood.size());
    let sources = flood.top_sources.iter().take(ROWS).map(|source| {
        let address = source.source_ip.as_deref().unwrap_or("unknown");
        format!("{} x {}", grouped(source.count), visible(address, ADDRESS))
    });
    std::iter::once(incidents).chain(sources).collect()
}

/// The newest steps, oldest first: those next to the theft explain most.
pub(super) fn trail(alert: &Alert) -> Vec<String> {
    let skipped = alert.trail.len().saturating_sub(ROWS);
    let earlier = (skipped > 0).then(|| format!("{skipped} earlier steps are not shown"));
    let steps = alert.trail[skipped..]
        .iter()
        .map(|entry| step(entry, alert.first_seen));
    earlier.into_iter().chain(steps).collect()
}

pub(super) fn step(entry: &TrailEntry, incident_began: Timestamp) -> String {
    let time = if date(entry.time) == date(incident_began) {
        clock(entry.time)
    } else {
        format!("{} {}", date(entry.time), clock(entry.time))
    };
    let class = match entry.class {
        Class::Detect => "",
        Class::Expected => " (expected)",
        Class::Record => " (decoy not named)",
    };
    let by = entry
        .actor
        .as_ref()
        .map(|actor| format!(" by {}", visible(actor, NAME)));
    let from = entry
        .source_ip
        .as_ref()
        .map(|ip| format!(" from {}", visible(ip, ADDRESS)));
    format!(
        "{time} {}{class}{}{}: {}",
        entry.technique,
        by.unwrap_or_default(),
        from.unwrap_or_default(),
        visible(&entry.summary, SENTENCE),
    )
}

/// The first names of a list in one line, and how many are not shown; `None` for none.
fn list(names: &[String], most: usize) -> Option<String> {
    let shown = names
        .iter()
        .take(NAMES)
        .map(|name| visible(name, most).into_owned());
    let shown: Vec<_> = shown.chain(more(names.len(), NAMES)).collect();
    (!shown.is_empty()).then(|| shown.join(", "))
}

fn more(there_are: usize, shown: usize) -> Option<String> {
    (there_are > shown).then(|| format!("and {} more", there_are - shown))
}
