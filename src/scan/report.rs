//! What was found, written.

use std::io::Write;

use rusqlite::{Connection, params};

use super::{Error, Message, Rules, Searched, replay::replay, scratch};
use crate::{
    dedupe::Alert,
    format::{
        grouped,
        json::{self, Line},
        text::{self, Style},
        timeline::Timeline,
    },
};

const SCHEMA: &str = "
    CREATE TABLE incident (id TEXT PRIMARY KEY, first_seen INTEGER, number INTEGER) WITHOUT ROWID;
    CREATE TABLE alert (incident TEXT, number INTEGER, json BLOB);
";

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
                Message::Detection(line) => self.out.write_all(line)?,
            }
            Ok(())
        })
    }

    fn summary(&mut self, searched: &Searched, rules: &Rules, style: Style) -> Result<(), Error> {
        let told = Told::new()?;
        replay(&searched.ordered, rules, &mut |message| match message {
            Message::Alert(alert) => Ok(told.add(alert)?),
            Message::Detection(_) => Ok(()),
        })?;
        let (mut incidents, mut hits) = (0, 0);
        told.each_incident(&mut |timeline| {
            incidents += 1;
            hits += timeline.hits();
            Ok(self.out.write_all(timeline.text(style).as_bytes())?)
        })?;
        let s = |count| if count == 1 { "" } else { "s" };
        let (incident, hit) = (s(incidents), s(hits));
        let (incidents, hits) = (grouped(incidents), grouped(hits));
        Ok(writeln!(self.out, "{incidents} incident{incident}, {hits} hit{hit}")?)
    }
}

/// The alerts of a scan, by incident. There may be more than memory holds.
struct Told(Connection);

impl Told {
    fn new() -> rusqlite::Result<Self> {
        scratch::open(SCHEMA).map(Self)
    }

    fn add(&self, alert: &Alert) -> rusqlite::Result<()> {
        let id = alert.incident_id.to_string();
        let mut insert = self.0.prepare_cached("INSERT INTO alert VALUES (?1, ?2, ?3)")?;
        let mut line = Vec::new();
        json::alert(alert, &mut line);
        insert.execute(params![id, alert.sequence, line])?;
        let sql = "INSERT OR IGNORE INTO incident VALUES (?1, ?2, ?3)";
        let mut insert = self.0.prepare_cached(sql)?;
        let first_seen = alert.first_seen.as_microsecond();
        insert.execute(params![id, first_seen, self.0.last_insert_rowid()])?;
        Ok(())
    }

    fn each_incident(
        &self,
        show: &mut dyn FnMut(Timeline) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.0.execute_batch("CREATE INDEX of_incident ON alert (incident, number)")?;
        let sql = "SELECT id FROM incident ORDER BY first_seen, number";
        let mut ids = self.0.prepare(sql)?;
        let mut ids = ids.query([])?;
        while let Some(row) = ids.next()? {
            if let Some(timeline) = self.timeline(&row.get::<_, String>(0)?)? {
                show(timeline)?;
            }
        }
        Ok(())
    }

    fn timeline(&self, incident: &str) -> Result<Option<Timeline>, Error> {
        let sql = "SELECT json FROM alert WHERE incident = ?1 ORDER BY number";
        let mut alerts = self.0.prepare_cached(sql)?;
        let mut alerts = alerts.query([incident])?;
        let mut timeline = None;
        while let Some(row) = alerts.next()? {
            let line = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
            if let Line::Alert(alert) = json::read(line)? {
                match &mut timeline {
                    None => timeline = Some(Timeline::new(*alert)),
                    Some(timeline) => timeline.add(*alert),
                }
            }
        }
        Ok(timeline)
    }
}
