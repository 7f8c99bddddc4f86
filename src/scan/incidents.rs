//! Incidents with what was told of them and their hits, for a summary. There may be more than memory holds.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::{Error, scratch};
use crate::{
    audit::IncidentKey,
    dedupe::{Alert, Field, incident_key},
    detect::{Class, Detection},
    format::{
        json::{self, Line},
        timeline::Timeline,
    },
};

const SCHEMA: &str = "
    CREATE TABLE incident (number INTEGER PRIMARY KEY, id TEXT UNIQUE, first_seen INTEGER,
                           first_alert BLOB, last_alert BLOB);
    CREATE TABLE hit (key TEXT, time INTEGER, request TEXT, json BLOB, is_answered INTEGER,
                      UNIQUE (key, time, request));
";

/// All incidents of a scan.
pub(super) struct Incidents<'f> {
    database: Connection,
    /// What incidents are grouped by.
    fields: &'f [Field],
}

impl<'f> Incidents<'f> {
    pub fn new(fields: &'f [Field]) -> rusqlite::Result<Self> {
        let database = scratch::open(SCHEMA)?;
        Ok(Self { database, fields })
    }

    /// Of the alerts of an incident the first tells how it came to it, and the last all that is known of it.
    pub fn add_alert(&self, alert: &Alert) -> rusqlite::Result<()> {
        let sql =
            "INSERT INTO incident (id, first_seen, first_alert, last_alert) VALUES (?1, ?2, ?3, ?3)
                   ON CONFLICT (id) DO UPDATE SET last_alert = excluded.last_alert";
        let mut insert = self.database.prepare_cached(sql)?;
        let first_seen = alert.first_seen.as_microsecond();
        let mut line = Vec::new();
        json::alert(alert, &mut line);
        insert.execute(params![alert.incident_id.to_string(), first_seen, line])?;
        Ok(())
    }

    /// Of the stages of a request one that has the answer is kept.
    pub fn add_hit(&self, detection: &Detection, line: &[u8]) -> rusqlite::Result<()> {
        if detection.class != Class::Detect {
            return Ok(());
        }
        let sql = "INSERT INTO hit VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (key, time, request)
                   DO UPDATE SET json = excluded.json, is_answered = 1 WHERE excluded.is_answered";
        let mut insert = self.database.prepare_cached(sql)?;
        insert.execute(params![
            incident_key(self.fields, detection).to_string(),
            detection.time.as_microsecond(),
            detection.request_id.to_string(),
            line,
            detection.request.code.is_some(),
        ])?;
        Ok(())
    }

    /// Gives each incident to `show`, in the order of their first hits.
    pub fn each(&self, show: &mut dyn FnMut(Timeline) -> Result<(), Error>) -> Result<(), Error> {
        let sql = "SELECT first_alert, last_alert FROM incident ORDER BY first_seen, number";
        let mut alerts = self.database.prepare(sql)?;
        let mut alerts = alerts.query([])?;
        while let Some(row) = alerts.next()? {
            let read = |column| -> Result<Line, Error> {
                let line = row.get_ref(column)?.as_blob();
                Ok(json::read(line.map_err(rusqlite::Error::from)?)?)
            };
            if let (Line::Alert(first), Line::Alert(last)) = (read(0)?, read(1)?) {
                let (key, from, to) = (last.incident_key, last.first_seen, last.last_seen);
                let mut timeline = Timeline::new(&first, *last);
                self.hits(key, from, to, &mut timeline)?;
                show(timeline)?;
            }
        }
        Ok(())
    }

    /// What has the incident's key lies in another incident only if it lies at another time. A flood has a key that no
    /// hit has.
    fn hits(
        &self,
        key: IncidentKey,
        from: Timestamp,
        to: Timestamp,
        timeline: &mut Timeline,
    ) -> Result<(), Error> {
        let sql =
            "SELECT json FROM hit WHERE key = ?1 AND time BETWEEN ?2 AND ?3 ORDER BY time, rowid";
        let mut hits = self.database.prepare_cached(sql)?;
        let (from, to) = (from.as_microsecond(), to.as_microsecond());
        let mut hits = hits.query(params![key.to_string(), from, to])?;
        while let Some(row) = hits.next()? {
            let line = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
            if let Some(detection) = json::read_detection(line)? {
                timeline.add(&detection);
            }
        }
        Ok(())
    }
}
