//! An incident as it went, for a person who looks back: what is known of it, how it came to it, and each thing that was done.

use std::{collections::VecDeque, fmt::Write as _};

use super::{
    amounts::grouped,
    facts::{self, Fact, Shape},
    text::{Style, no_event, push_facts},
};
use crate::{
    dedupe::{Alert, AlertKind, TrailEntry, act},
    detect::Detection,
};

/// Steps that are shown of the beginning, and of the end. What repeats at once is one step.
const STEPS: usize = 20;

/// An incident, and its hits one after the other.
pub struct Timeline {
    /// How it came to it, as its first alert tells: a later one also tells what others did meanwhile.
    before: Vec<String>,
    /// Its last alert.
    alert: Alert,
    first: Vec<Step>,
    last: VecDeque<Step>,
    /// Hits between those.
    between: u64,
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
            first: Vec::new(),
            last: VecDeque::new(),
            between: 0,
        }
    }

    /// Takes in the next hit: what was done, as [`step`] gives it.
    pub fn add(&mut self, entry: TrailEntry) {
        let is_full = self.first.len() == STEPS;
        let latest = match self.last.back_mut() {
            None => self.first.last_mut(),
            last => last,
        };
        match latest {
            Some(latest) if is_same(&latest.entry, &entry) => latest.count += 1,
            _ if !is_full => self.first.push(Step { entry, count: 1 }),
            _ => {
                self.last.push_back(Step { entry, count: 1 });
                if self.last.len() > STEPS {
                    self.between += self.last.pop_front().map_or(0, |step| step.count);
                }
            }
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
        no_event(out)
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
        let between = (self.between > 0).then(|| format!("… {} more hits", grouped(self.between)));
        let first = self.first.iter().map(line);
        first
            .chain(between)
            .chain(self.last.iter().map(line))
            .collect()
    }
}

/// What `hit` did.
pub fn step(hit: &Detection) -> TrailEntry {
    let mut summary = act(&hit.request);
    if let Some(code) = hit.request.code {
        let _ = write!(summary, " {code}");
    }
    TrailEntry {
        time: hit.time,
        technique: hit.technique,
        class: hit.class,
        actor: hit.actor.username.clone(),
        source_ip: hit.source_ip.as_deref().map(str::to_owned),
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
            timeline.add(step(&hit(verb, code)));
        }
        insta::assert_snapshot!(timeline.text(Style::Plain));
        assert_eq!(timeline.hits(), example::closed().total);
    }

    #[test]
    fn steps_are_bounded_and_counted() {
        let mut timeline = Timeline::new(&example::opened(), example::closed());
        for code in 0..1000 {
            timeline.add(step(&hit("list", code)));
            timeline.add(step(&hit("list", code)));
        }
        let lines = timeline.lines();
        assert_eq!(lines.len(), 2 * STEPS + 1);
        assert!(
            lines[0].ends_with("list namespaces 0 (2 times)"),
            "{}",
            lines[0]
        );
        assert_eq!(lines[STEPS], "… 1,920 more hits");
        assert!(lines[2 * STEPS].ends_with("list namespaces 999 (2 times)"));
    }

    #[test]
    fn hostile_text_forges_no_line_and_no_colour() {
        let text = |hostile: &str| {
            let alert = example::hostile(hostile);
            let mut timeline = Timeline::new(&alert, alert.clone());
            timeline.add(step(&example::hostile_detection(hostile)));
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
