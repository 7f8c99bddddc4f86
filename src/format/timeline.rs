//! An incident as it went, for a person who looks back: what happened, the facts, then when what was told.

use std::fmt::Write as _;

use super::{
    amounts::{clock, date, grouped},
    facts::{self, Fact, Shape},
    text::{Style, no_json},
};
use crate::dedupe::{Alert, AlertKind};

/// Digests that are shown; an incident may have thousands.
const DIGESTS: usize = 20;

/// What the steps before the incident stand under.
const TRAIL: &str = "trail";

/// The alerts of one incident, taken in one after the other.
pub struct Timeline {
    /// The last that said what happens.
    headline: String,
    last: Alert,
    steps: Vec<String>,
    digests: usize,
}

impl Timeline {
    /// Begins with the first alert.
    pub fn new(alert: Alert) -> Self {
        let mut timeline = Self {
            headline: String::new(),
            last: alert.clone(),
            steps: Vec::new(),
            digests: 0,
        };
        timeline.add(alert);
        timeline
    }

    /// Takes in the next alert.
    pub fn add(&mut self, alert: Alert) {
        let (title, place) = facts::headline(&alert);
        if self.headline.is_empty() || alert.kind == AlertKind::Escalated {
            self.headline = format!("{title} [{place}]");
        }
        self.digests += usize::from(alert.kind == AlertKind::Digest);
        if alert.kind != AlertKind::Digest || self.digests <= DIGESTS {
            let time = if self.steps.is_empty() { alert.first_seen } else { alert.last_seen };
            let s = if alert.total == 1 { "" } else { "s" };
            self.steps.push(format!(
                "{} {} {}, {} hit{s}: {title}",
                date(time),
                clock(time),
                facts::reason(alert.kind),
                grouped(alert.total),
            ));
        }
        self.last = alert;
    }

    /// How many hits the incident had.
    pub fn hits(&self) -> u64 {
        self.last.total
    }

    /// The incident as lines of text, each ended by a newline, and an empty line after them.
    pub fn text(&self, style: Style) -> String {
        let severity = self.last.severity;
        let mut out = format!(
            "{} {}\n",
            style.by_severity(severity, &severity.as_str().to_uppercase()),
            style.paint("1", &self.headline),
        );
        let facts = self.facts();
        let width = facts.iter().map(|fact| fact.label.chars().count()).max();
        let width = width.unwrap_or(0);
        for fact in facts {
            let mut label = format!("{:width$}", fact.label);
            for line in fact.lines {
                // Writing to a String cannot fail.
                let _ = writeln!(out, "  {}  {line}", style.paint("2", &label));
                label = " ".repeat(width);
            }
        }
        out.push('\n');
        no_json(out)
    }

    /// What is known at the end, then how it came to this and how it went on.
    fn facts(&self) -> Vec<Fact> {
        let fact = |label: &str, lines| Fact {
            label: label.into(),
            lines,
            shape: Shape::Wide,
        };
        let mut facts = facts::facts(&self.last);
        facts.retain(|fact| fact.label != TRAIL && fact.label != "hits");
        facts.push(fact("hits", vec![grouped(self.last.total)]));
        facts.push(fact("before", facts::trail(&self.last)));
        facts.push(fact("told", self.steps()));
        facts.push(fact("incident", vec![self.last.incident_id.to_string()]));
        facts.retain(|fact| !fact.lines.is_empty());
        facts
    }

    fn steps(&self) -> Vec<String> {
        let left_out = self.digests.saturating_sub(DIGESTS);
        let mut steps = self.steps.clone();
        if left_out > 0 {
            let end = steps.len() - 1;
            steps.insert(end, format!("{} more digests", grouped(left_out as u64)));
        }
        steps
    }
}
