//! What was found, in the order of event time.
//!
//! A year of archives may hold a million detections: they lie in a [scratch database](super::scratch), as JSON.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::{Error, scratch};
use crate::{
    detect::{Class, Detection},
    format::json,
};

const SCHEMA: &str = "CREATE TABLE detection (time INTEGER, stage_time INTEGER, unit INTEGER, number INTEGER, json BLOB)";

/// Detections, put in order.
#[derive(Default)]
pub(super) struct Ordered {
    /// `None` until something was found, which most often nothing is.
    database: Option<Connection>,
    /// How many of them are hits.
    hits: u64,
    count: u64,
}

/// A detection on its way there.
pub(super) struct Entry {
    time: Timestamp,
    stage_time: Timestamp,
    is_hit: bool,
    json: Vec<u8>,
}

impl Entry {
    pub fn new(detection: &Detection) -> Self {
        let mut json = Vec::new();
        json::detection(detection, &mut json);
        Self {
            time: detection.time,
            stage_time: detection.stage_time.unwrap_or(detection.time),
            is_hit: detection.class == Class::Detect,
            json,
        }
    }
}

impl Ordered {
    /// Takes in what was found in the unit of this number, one detection behind the other; `first` is how many were found
    /// in it before.
    pub fn add(&mut self, unit: u64, first: u64, entries: &[Entry]) -> rusqlite::Result<()> {
        let database = match &self.database {
            Some(database) => database,
            None => self.database.insert(scratch::open(SCHEMA)?),
        };
        let sql = "INSERT INTO detection VALUES (?1, ?2, ?3, ?4, ?5)";
        let mut statement = database.prepare_cached(sql)?;
        for (number, entry) in (first..).zip(entries) {
            let [time, stage_time] = [entry.time, entry.stage_time].map(Timestamp::as_microsecond);
            statement.execute(params![time, stage_time, unit, number, entry.json])?;
            self.hits += u64::from(entry.is_hit);
            self.count += 1;
        }
        Ok(())
    }

    pub fn hits(&self) -> u64 {
        self.hits
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// Gives each detection to `next`, as it is and as a line of JSON: in the order of event time, where that is the same in that of
    /// the stages, and then in that of the bytes. Logs may be named in any order, and the stages of a request lie in two of them.
    pub fn each(
        &self,
        mut next: impl FnMut(&Detection, &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Some(database) = &self.database else {
            return Ok(());
        };
        database.execute_batch(
            "CREATE INDEX IF NOT EXISTS in_order ON detection (time, stage_time, unit, number)",
        )?;
        let sql = "SELECT json FROM detection ORDER BY time, stage_time, unit, number";
        let mut statement = database.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let line = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
            if let json::Line::Detection(detection) = json::read(line)? {
                next(&detection, line)?;
            }
        }
        Ok(())
    }
}
