//! Incidents with what was told of them and their hits, for a summary. There may be more than memory holds.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::{Error, scratch};
use crate::{
    dedupe::{Alert, Field, TrailEntry, incident_key},
    detect::{Class, Detection, Technique},
    format::{
        json::{self, Line},
        timeline::{self, Timeline},
    },
};

/// Of the stages of a request one that has the answer is shown.
const SCHEMA: &str = "
    CREATE TABLE incident (number INTEGER PRIMARY KEY, id TEXT UNIQUE, key TEXT, first_seen INTEGER,
                           last_seen INTEGER, first_alert BLOB, last_alert BLOB);
    CREATE TABLE hit (key TEXT, cluster TEXT, decoy TEXT, time INTEGER, request TEXT, is_answered INTEGER,
                      technique TEXT, actor TEXT, source_ip TEXT, summary TEXT);
";

/// Made once all is there, which costs less than to keep it up.
const INDEX: &str = "
    CREATE INDEX IF NOT EXISTS incident_by_key ON incident (key, first_seen);
    CREATE INDEX IF NOT EXISTS hit_by_key ON hit (key, time, request);
    CREATE INDEX IF NOT EXISTS hit_by_decoy ON hit (cluster, decoy, time);
";

const OF_KEY: &str = "
    SELECT time, technique, actor, source_ip, summary, max(is_answered) FROM hit
    WHERE key = ?1 AND time BETWEEN ?2 AND ?3
    GROUP BY time, request ORDER BY time, rowid";

/// What touched the decoy and is in no incident of its own.
const OF_FLOOD: &str = "
    SELECT time, technique, actor, NULL, summary, max(is_answered) FROM hit
    WHERE cluster IS ?1 AND decoy IS ?2 AND time BETWEEN ?3 AND ?4
    AND NOT EXISTS (SELECT 1 FROM incident WHERE incident.key = hit.key
                    AND hit.time BETWEEN incident.first_seen AND incident.last_seen)
    GROUP BY time, request ORDER BY time, rowid";

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
        let sql = "INSERT INTO incident (id, key, first_seen, last_seen, first_alert, last_alert)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?5) ON CONFLICT (id) DO UPDATE
                   SET last_alert = excluded.last_alert, last_seen = excluded.last_seen";
        let mut insert = self.database.prepare_cached(sql)?;
        let mut line = Vec::new();
        json::alert(alert, &mut line);
        insert.execute(params![
            alert.incident_id.to_string(),
            alert.incident_key.to_string(),
            alert.first_seen.as_microsecond(),
            alert.last_seen.as_microsecond(),
            line,
        ])?;
        Ok(())
    }

    /// Takes in what may be a hit.
    pub fn add_hit(&self, detection: &Detection) -> rusqlite::Result<()> {
        if detection.class != Class::Detect {
            return Ok(());
        }
        let sql = "INSERT INTO hit VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        let mut insert = self.database.prepare_cached(sql)?;
        let step = timeline::step(detection);
        insert.execute(params![
            incident_key(self.fields, detection).to_string(),
            detection.cluster.as_deref(),
            detection.decoy.as_deref(),
            detection.time.as_microsecond(),
            detection.request_id.to_string(),
            detection.request.code.is_some(),
            step.technique.as_str(),
            step.actor,
            step.source_ip,
            step.summary,
        ])?;
        Ok(())
    }

    /// Gives each incident to `show`, in the order of their first hits.
    pub fn each(&self, show: &mut dyn FnMut(Timeline) -> Result<(), Error>) -> Result<(), Error> {
        self.database.execute_batch(INDEX)?;
        let sql = "SELECT first_alert, last_alert FROM incident ORDER BY first_seen, number";
        let mut alerts = self.database.prepare(sql)?;
        let mut alerts = alerts.query([])?;
        while let Some(row) = alerts.next()? {
            let read = |column| -> Result<Line, Error> {
                let line = row.get_ref(column)?.as_blob();
                Ok(json::read(line.map_err(rusqlite::Error::from)?)?)
            };
            if let (Line::Alert(first), Line::Alert(last)) = (read(0)?, read(1)?) {
                let mut timeline = Timeline::new(&first, (*last).clone());
                self.hits(&last, &mut timeline)?;
                show(timeline)?;
            }
        }
        Ok(())
    }

    /// What has the incident's key lies in another incident only if it lies at another time. A flood has a key that no
    /// hit has.
    fn hits(&self, alert: &Alert, timeline: &mut Timeline) -> rusqlite::Result<()> {
        let (from, to) = (
            alert.first_seen.as_microsecond(),
            alert.last_seen.as_microsecond(),
        );
        let is_flood = alert.flood.is_some();
        let sql = if is_flood { OF_FLOOD } else { OF_KEY };
        let mut hits = self.database.prepare_cached(sql)?;
        let mut hits = if is_flood {
            let (cluster, decoy) = (alert.cluster.as_deref(), alert.decoy.as_deref());
            hits.query(params![cluster, decoy, from, to])?
        } else {
            hits.query(params![alert.incident_key.to_string(), from, to])?
        };
        while let Some(row) = hits.next()? {
            timeline.add(read_step(row)?);
        }
        Ok(())
    }
}

fn read_step(row: &Row<'_>) -> rusqlite::Result<TrailEntry> {
    let technique: String = row.get(1)?;
    Ok(TrailEntry {
        time: Timestamp::from_microsecond(row.get(0)?).unwrap_or_default(),
        // One that was written is one that there is.
        technique: Technique::from_name(&technique).unwrap_or(Technique::Undecodable),
        class: Class::Detect,
        actor: row.get(2)?,
        source_ip: row.get(3)?,
        summary: row.get(4)?,
    })
}
