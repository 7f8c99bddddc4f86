//! Alerts and detections for a person at three in the morning: one line that says what
//! happened, then the facts. Hostile text never starts a line, so that it can forge none.

use std::{ffi::OsStr, fmt::Write as _};

use super::{
    amounts::{clock, date},
    facts::{self, Fact, facts},
    neutralise::visible,
};
use crate::{
    dedupe::Alert,
    detect::{Detection, Severity},
    record::{printed, python},
};

/// Whether the reader is a terminal that shows colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Plain,
    Colour,
}

impl Style {
    /// Colour for a terminal, unless its user does not want it (`NO_COLOR`) or it cannot
    /// show it (`TERM`).
    pub fn of(is_terminal: bool, no_color: Option<&OsStr>, term: Option<&OsStr>) -> Self {
        let unwanted = no_color.is_some_and(|value| !value.is_empty());
        if is_terminal && !unwanted && term != Some(OsStr::new("dumb")) {
            Self::Colour
        } else {
            Self::Plain
        }
    }

    /// `text` between the escape for `attributes` (SGR parameters) and its end.
    pub(crate) fn paint(self, attributes: &str, text: &str) -> String {
        match self {
            Self::Plain => text.into(),
            Self::Colour => format!("\x1b[{attributes}m{text}\x1b[0m"),
        }
    }

    fn severity(self, severity: Severity) -> String {
        self.by_severity(severity, &severity.as_str().to_uppercase())
    }

    /// `text` in the colour of `severity`.
    pub(crate) fn by_severity(self, severity: Severity, text: &str) -> String {
        let attributes = match severity {
            Severity::Critical => "1;97;41",
            Severity::High => "1;91",
            Severity::Medium => "1;93",
            Severity::Low => "1;96",
        };
        self.paint(attributes, text)
    }
}

/// `alert` as lines of text, each ended by a newline, and an empty line after them.
pub fn alert(alert: &Alert, style: Style) -> String {
    let (title, place) = facts::headline(alert);
    let mut facts = facts(alert);
    facts.push(Fact {
        label: "incident".into(),
        lines: vec![facts::incident(alert)],
        shape: facts::Shape::Short,
    });
    let mut out = format!(
        "{} {}: {} [{place}]\n",
        style.severity(alert.severity),
        facts::reason(alert.kind),
        style.paint("1", &title),
    );
    push_facts(&mut out, facts, style);
    out.push('\n');
    no_event(out)
}

/// Adds `facts`, their labels in a column of their own.
pub(super) fn push_facts(out: &mut String, facts: Vec<Fact>, style: Style) {
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
}

/// `detection` in one line, ended by a newline.
pub fn detection(detection: &Detection, style: Style) -> String {
    let mut out = format!(
        "{} {} UTC {} {}",
        date(detection.time),
        clock(detection.time),
        style.severity(detection.severity),
        style.paint("1", detection.technique.as_str()),
    );
    let request = &detection.request;
    let mut tell = |lead: &str, text: Option<&str>, most: usize| {
        if let Some(text) = text {
            let _ = write!(out, "{lead}{}", visible(text, most));
        }
    };
    tell(" of ", detection.decoy.as_deref(), 120);
    tell(" in ", detection.cluster.as_deref(), 120);
    tell(" by ", detection.actor.username.as_deref(), 120);
    tell(" acting as ", detection.actor.impersonated.as_deref(), 120);
    tell(" from ", detection.source_ip.as_deref(), 60);
    tell(": ", request.verb.as_deref(), 60);
    tell(" ", request.uri.as_deref(), 240);
    tell(
        " -> ",
        request.code.map(|code| code.to_string()).as_deref(),
        60,
    );
    tell(" with ", detection.user_agent.as_deref(), 120);
    tell(" record: ", detection.excerpt.as_deref(), 240);
    out.push('\n');
    no_event(out)
}

/// `text` with single quotes for double ones, and nothing that looks printed by another program. A shipper may feed it back in,
/// and what an attacker wrote into it must not look like a part of an audit event then.
pub(super) fn no_event(text: String) -> String {
    let text = match text.contains('"') {
        true => text.replace('"', "'"),
        false => text,
    };
    printed::without_marks(python::without_beginnings(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{
        example::{self, HOSTILE},
        neutralise::is_hidden,
    };

    #[test]
    fn colour_is_for_terminals_whose_users_want_it() {
        let on = |value| Some(OsStr::new(value));
        assert_eq!(Style::of(true, None, on("xterm")), Style::Colour);
        assert_eq!(Style::of(true, on(""), None), Style::Colour);
        assert_eq!(Style::of(true, on("1"), on("xterm")), Style::Plain);
        assert_eq!(Style::of(true, None, on("dumb")), Style::Plain);
        assert_eq!(Style::of(false, None, on("xterm")), Style::Plain);
    }

    #[test]
    fn an_incident_from_its_first_hit_to_its_end() {
        insta::assert_snapshot!("opened", alert(&example::opened(), Style::Plain));
        insta::assert_snapshot!("escalated", alert(&example::escalated(), Style::Plain));
        insta::assert_snapshot!("digest", alert(&example::digest(), Style::Plain));
        insta::assert_snapshot!("closed", alert(&example::closed(), Style::Plain));
    }

    #[test]
    fn what_was_granted_is_shown_whatever_else_was_asked_for() {
        let mut told = example::escalated();
        let granted = told.requests.remove(1);
        told.requests = vec![told.requests[0].clone(); 30];
        told.requests.push(granted);
        let text = alert(&told, Style::Plain);
        assert!(text.contains("1 x get secrets     -> 200"), "{text}");
        assert_eq!(text.matches("list namespaces").count(), 9, "{text}");
    }

    #[test]
    fn a_flood_and_an_undecodable_record() {
        insta::assert_snapshot!("flood", alert(&example::flood(), Style::Plain));
        insta::assert_snapshot!("undecodable", alert(&example::undecodable(), Style::Plain));
    }

    #[test]
    fn a_component_is_told_without_the_facts_of_an_incident() {
        insta::assert_snapshot!("silent", alert(&example::silent(), Style::Plain));
        insta::assert_snapshot!("recovered", alert(&example::recovered(), Style::Plain));
    }

    #[test]
    fn a_detection_is_one_line() {
        insta::assert_snapshot!("detection", detection(&example::detection(), Style::Plain));
    }

    #[test]
    fn colour_adds_nothing_but_colour() {
        for severity in Severity::ALL {
            let told = Alert {
                severity: *severity,
                ..example::escalated()
            };
            let mut coloured = alert(&told, Style::Colour);
            assert!(coloured.starts_with("\x1b[1;9"));
            while let Some(start) = coloured.find('\x1b') {
                let end = start + coloured[start..].find('m').unwrap();
                coloured.replace_range(start..=end, "");
            }
            assert_eq!(coloured, alert(&told, Style::Plain));
        }
    }

    #[test]
    fn hostile_text_forges_no_line_and_no_colour() {
        let hostile = example::hostile(HOSTILE);
        let text = alert(&hostile, Style::Plain);
        insta::assert_snapshot!("hostile", text);
        assert!(!text.replace('\n', "").contains(is_hidden));
        // One line for each of ours, whatever is in it.
        let harmless = alert(&example::hostile("x"), Style::Plain);
        assert_eq!(text.lines().count(), harmless.lines().count());
        assert!(
            !text
                .lines()
                .any(|line| line.trim_start().starts_with("severity"))
        );

        let line = detection(&example::hostile_detection(HOSTILE), Style::Plain);
        assert_eq!(line.find('\n'), Some(line.len() - 1));
        assert!(!line.trim_end().contains(is_hidden));
    }

    #[test]
    fn length_is_bounded_whatever_comes_in() {
        let endless = "\u{202e}\"a".repeat(100_000);
        let text = alert(&example::hostile(&endless), Style::Colour);
        assert!(text.chars().count() < 20_000, "{}", text.chars().count());
        assert!(text.lines().all(|line| line.chars().count() < 800));
        let line = detection(&example::hostile_detection(&endless), Style::Plain);
        assert!(line.chars().count() < 2_000);
    }
}
