//! What was found, written.

use std::io::Write;

use super::{Error, Message, Rules, Searched, incidents::Incidents, replay::replay};
use crate::format::{
    grouped, json,
    text::{self, Style},
};

/// How it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Alerts, as a console sink shows them.
    Text(Style),
    /// Alerts and detections, one JSON object a line.
    Json,
    /// A timeline of each incident, the earliest first.
    Summary(Style),
}

/// The way to the reader.
pub struct Report<W> {
    pub out: W,
    pub shown: Shown,
}

impl<W: Write> Report<W> {
    /// Writes what was found.
    ///
    /// # Errors
    /// If it cannot be written, or what was found cannot be read back.
    pub fn write(&mut self, searched: &Searched, rules: &Rules) -> Result<(), Error> {
        match self.shown {
            Shown::Text(style) => self.text(searched, rules, style)?,
            Shown::Json => self.json(searched, rules)?,
            Shown::Summary(style) => self.summary(searched, rules, style)?,
        }
        Ok(self.out.flush()?)
    }

    fn text(&mut self, searched: &Searched, rules: &Rules, style: Style) -> Result<(), Error> {
        replay(&searched.ordered, rules, &mut |message| {
            if let Message::Alert(alert) = message {
                self.out.write_all(text::alert(alert, style).as_bytes())?;
            }
            Ok(())
        })
    }

    fn json(&mut self, searched: &Searched, rules: &Rules) -> Result<(), Error> {
        let mut line = Vec::new();
        replay(&searched.ordered, rules, &mut |message| {
            match message {
                Message::Alert(alert) => {
                    line.clear();
                    json::alert(alert, &mut line);
                    self.out.write_all(&line)?;
                }
                Message::Detection(_, line) => self.out.write_all(line)?,
            }
            Ok(())
        })
    }

    fn summary(&mut self, searched: &Searched, rules: &Rules, style: Style) -> Result<(), Error> {
        let all = Incidents::new(&rules.dedupe.fields)?;
        replay(&searched.ordered, rules, &mut |message| match message {
            Message::Alert(alert) => Ok(all.add_alert(alert)?),
            Message::Detection(detection, _) => Ok(all.add_hit(detection)?),
        })?;
        let (mut incidents, mut hits) = (0, 0);
        all.each(&mut |timeline| {
            incidents += 1;
            hits += timeline.hits();
            Ok(self.out.write_all(timeline.text(style).as_bytes())?)
        })?;
        let s = |count| if count == 1 { "" } else { "s" };
        let (incident, hit) = (s(incidents), s(hits));
        let (incidents, hits) = (grouped(incidents), grouped(hits));
        Ok(writeln!(
            self.out,
            "{incidents} incident{incident}, {hits} hit{hit}"
        )?)
    }
}
