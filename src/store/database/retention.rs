//! So that the database does not grow for ever.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, params};
use tracing::error;

use crate::audit::wire_time;

/// How often incidents are looked for that are old enough to go.
const PERIOD: Duration = Duration::from_secs(3600);

/// Incidents that are forgotten in one step, so that no commit waits long for it.
const INCIDENTS: i64 = 100;

/// Messages that are looked at in one step, whether anybody still wants them.
const MESSAGES: i64 = 10_000;

/// Pages that are given back to the file system in one step.
const PAGES: i64 = 2000;

/// Forgets old incidents, and gives back the room of what was delivered, in small steps.
pub(super) struct Retention {
    keep: SignedDuration,
    next: Option<Instant>,
    /// Up to which message orphans were looked for; `None` when that is done, or not begun.
    looked_at: Option<i64>,
}

impl Retention {
    pub(super) fn new(keep: Duration) -> Self {
        Self {
            keep: SignedDuration::try_from(keep).unwrap_or(SignedDuration::MAX),
            next: None,
            looked_at: None,
        }
    }

    /// One step, if anything is to be done.
    pub(super) fn step(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if let Some(looked_at) = self.looked_at {
            self.looked_at = forget_orphans(connection, looked_at)?;
        } else if self.next.is_none_or(|next| next <= Instant::now()) {
            let forgotten = self.forget_incidents(connection)?;
            if forgotten < INCIDENTS as usize {
                self.forget_sinks(connection)?;
                self.looked_at = Some(0);
                self.next = Some(Instant::now() + PERIOD);
            }
        }
        give_back_pages(connection)
    }

    /// An incident goes when nothing was told of it for so long, unless a sink still waits for that.
    fn forget_incidents(&self, connection: &Connection) -> rusqlite::Result<usize> {
        let Ok(eldest) = Timestamp::now().checked_sub(self.keep) else {
            return Ok(0);
        };
        let transaction = connection.unchecked_transaction()?;
        let old: Vec<String> = transaction
            .prepare_cached("SELECT id FROM incident WHERE told < ?1 ORDER BY told LIMIT ?2")?
            .query_map(params![wire_time(eldest), INCIDENTS], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for id in &old {
            transaction
                .prepare_cached(
                    "DELETE FROM message WHERE incident_id = ?1 AND NOT EXISTS
                        (SELECT 1 FROM sink CROSS JOIN delivery ON delivery.sink = sink.number
                            AND delivery.lane = 0 AND delivery.message = message.id)",
                )?
                .execute([id])?;
            transaction
                .prepare_cached("DELETE FROM incident WHERE id = ?1")?
                .execute([id])?;
        }
        transaction.commit()?;
        Ok(old.len())
    }

    /// A sink goes, with what waits for it, when it has not been configured for so long.
    fn forget_sinks(&self, connection: &Connection) -> rusqlite::Result<()> {
        let Ok(eldest) = Timestamp::now().checked_sub(self.keep) else {
            return Ok(());
        };
        let transaction = connection.unchecked_transaction()?;
        let old: Vec<(i64, String)> = transaction
            .prepare_cached("SELECT number, id FROM sink WHERE gone < ?1")?
            .query_map([wire_time(eldest)], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        for (number, id) in old {
            let waiting = transaction.execute("DELETE FROM delivery WHERE sink = ?1", [number])?;
            transaction.execute("DELETE FROM sink WHERE number = ?1", [number])?;
            if waiting > 0 {
                error!(
                    sink = id,
                    "the sink has not been in the configuration for too long: {waiting} messages that waited for it are given up"
                );
            }
        }
        transaction.commit()
    }
}

/// Of the next messages behind `looked_at`, deletes those that nobody waits for and that belong to no incident that is
/// kept. Gives the last that was looked at; `None` at the end.
fn forget_orphans(connection: &Connection, looked_at: i64) -> rusqlite::Result<Option<i64>> {
    let last: Option<i64> = connection
        .prepare_cached(
            "SELECT max(id) FROM (SELECT id FROM message WHERE id > ?1 ORDER BY id LIMIT ?2)",
        )?
        .query_row(params![looked_at, MESSAGES], |row| row.get(0))?;
    connection
        .prepare_cached(
            "DELETE FROM message WHERE id > ?1 AND id <= ?2 AND (incident_id IS NULL
                    OR NOT EXISTS (SELECT 1 FROM incident WHERE incident.id = message.incident_id))
                AND NOT EXISTS (SELECT 1 FROM sink CROSS JOIN delivery ON delivery.sink = sink.number
                    AND delivery.lane = (message.incident_id IS NULL) AND delivery.message = message.id)",
        )?
        .execute(params![looked_at, last])?;
    Ok(last)
}

/// Shortens the file when a good part of it is empty. A few free pages are used again soon.
fn give_back_pages(connection: &Connection) -> rusqlite::Result<()> {
    let free: i64 = connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    if free < PAGES {
        return Ok(());
    }
    let mut vacuum = connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
    let mut rows = vacuum.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}
