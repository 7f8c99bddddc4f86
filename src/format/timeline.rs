//! An incident as it went, for a person who looks back: what is known of it, how it came to it, and each thing that was done.

use std::fmt::Write as _;

use super::{
    amounts::grouped,
    facts::{self, Fact, Shape},
    text::{Style, no_json, push_facts},
};
use crate::{
    dedupe::{Alert, AlertKind, TrailEntry, act},
    detect::Detection,
};

/// Steps that are shown. What repeats at once is one step.
const STEPS: usize = 40;

/// An incident, and its hits one after the other.
pub struct Timeline {
    /// How it came to it, as its first alert tells: a later one also tells what others did meanwhile.
    before: Vec<String>,
    /// Its last alert.
    alert: Alert,
    steps: Vec<Step>,
    /// Hits behind the last step that is shown.
    more: u64,
}

/// What was done, and how often in a row.
struct Step {
    entry: TrailEntry,
    count: u64,
}

impl Timeline {
    /// Begins with the first and the last alert of an incident.
    pub fn new(first: &Alert, last: Alert) -> Self {
        Self {
            before: facts::trail(first),
            alert: last,
            steps: Vec::new(),
            more: 0,
        }
    }

    /// Takes in the next hit.
    pub fn add(&mut self, hit: &Detection) {
        let entry = entry(hit);
        let is_full = self.steps.len() == STEPS;
        match self.steps.last_mut() {
            _ if self.more > 0 => self.more += 1,
            Some(last) if is_same(&last.entry, &entry) => last.count += 1,
            _ if is_full => self.more += 1,
            _ => self.steps.push(Step { entry, count: 1 }),
        }
    }

    /// How many hits the incident had.
    pub fn hits(&self) -> u64 {
        self.alert.total
    }

    /// The incident as lines of text, each ended by a newline, and an empty line after them.
    pub fn text(&self, style: Style) -> String {
        let severity = self.alert.severity;
        let mut out = format!(
            "{} {}\n",
            style.by_severity(severity, &severity.as_str().to_uppercase()),
            style.paint("1", &self.headline()),
        );
        push_facts(&mut out, self.facts(), style);
        out.push('\n');
        no_json(out)
    }

    /// What happened, and where.
    fn headline(&self) -> String {
        let (title, place) = facts::headline(&self.alert);
        // The last alert of an incident begins with the news that it is over.
        let what = match title.split_once(": ") {
            Some((_, what)) if self.alert.kind == AlertKind::Closed => what,
            _ => &title,
        };
        format!("{what} [{place}]")
    }

    /// What is known at the end, then what came before it and what was done, in order of time.
    fn facts(&self) -> Vec<Fact> {
        let fact = |label: &str, lines| Fact {
            label: label.into(),
            lines,
            shape: Shape::Wide,
        };
        let mut facts = facts::facts(&self.alert);
        facts.retain(|fact| !matches!(&*fact.label, "trail" | "hits"));
        facts.push(fact("hits", vec![grouped(self.alert.total)]));
        facts.push(fact("before", self.before.clone()));
        facts.push(fact("timeline", self.lines()));
        facts.push(fact("incident", vec![self.alert.incident_id.to_string()]));
        facts.retain(|fact| !fact.lines.is_empty());
        facts
    }

    fn lines(&self) -> Vec<String> {
        let line = |step: &Step| {
            let mut entry = step.entry.clone();
            if step.count > 1 {
                let _ = write!(entry.summary, " ({} times)", grouped(step.count));
            }
            facts::step(&entry, self.alert.first_seen)
        };
        let more = (self.more > 0).then(|| format!("and {} more hits", grouped(self.more)));
        self.steps.iter().map(line).chain(more).collect()
    }
}

/// What `hit` did.
fn entry(hit: &Detection) -> TrailEntry {
    let mut summary = act(&hit.request);
    if let Some(code) = hit.request.code {
        let _ = write!(summary, " {code}");
    }
    TrailEntry {
        time: hit.time,
        technique: hit.technique,
        class: hit.class,
        actor: hit.actor.username.clone(),
        source_ip: hit.source_ip.clone(),
        summary: summary.trim_start().to_owned(),
    }
}

/// Whether `next` repeats `last`.
fn is_same(last: &TrailEntry, next: &TrailEntry) -> bool {
    let next = TrailEntry {
        time: last.time,
        ..next.clone()
    };
    *last == next
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        detect::Request,
        format::{
            example::{self, HOSTILE},
            neutralise::is_hidden,
        },
    };

    fn hit(verb: &str, code: u16) -> Detection {
        let detection = example::detection();
        Detection {
            request: Request {
                verb: Some(verb.into()),
                code: Some(code),
                ..detection.request.clone()
            },
            ..detection
        }
    }

    #[test]
    fn an_incident_as_it_went() {
        let mut timeline = Timeline::new(&example::opened(), example::closed());
        for (verb, code) in [("list", 403), ("get", 403), ("get", 403), ("get", 200)] {
            timeline.add(&hit(verb, code));
        }
        insta::assert_snapshot!(timeline.text(Style::Plain));
        assert_eq!(timeline.hits(), example::closed().total);
    }

    #[test]
    fn steps_are_bounded_and_counted() {
        let mut timeline = Timeline::new(&example::opened(), example::closed());
        for code in 0..1000 {
            timeline.add(&hit("list", code));
            timeline.add(&hit("list", code));
        }
        assert_eq!(timeline.steps.len(), STEPS);
        let steps: u64 = timeline.steps.iter().map(|step| step.count).sum();
        assert_eq!(steps + timeline.more, 2000);
        assert!(timeline.text(Style::Plain).contains("and 1,920 more hits"));
    }

    #[test]
    fn hostile_text_forges_no_line_and_no_colour() {
        let text = |hostile: &str| {
            let alert = example::hostile(hostile);
            let mut timeline = Timeline::new(&alert, alert.clone());
            timeline.add(&example::hostile_detection(hostile));
            timeline.text(Style::Plain)
        };
        let hostile = text(HOSTILE);
        assert!(!hostile.replace('\n', "").contains(is_hidden));
        assert!(!hostile.contains('"'));
        assert_eq!(hostile.lines().count(), text("x").lines().count());
        let endless = text(&"\u{202e}\"a".repeat(100_000));
        assert!(endless.chars().count() < 25_000);
    }
}
