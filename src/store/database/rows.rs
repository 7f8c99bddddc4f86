//! What a start reads: who the sinks are, what was saved, what waits.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, params};
use tracing::warn;

use super::super::{Saved, SinkOutbox, outbox::Lane};
use crate::{
    audit::wire_time,
    dedupe::{Change, Part},
    source::Position,
};

/// The number of each sink. What waits for a sink that is not configured stays: its id may have been
/// misspelt, or it may come back. `retention` gives it up in the end.
pub(super) fn number_sinks(
    connection: &mut Connection,
    sinks: &[SinkOutbox],
) -> rusqlite::Result<Vec<i64>> {
    let transaction = connection.transaction()?;
    let mut known: BTreeMap<String, i64> = transaction
        .prepare("SELECT id, number FROM sink")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut numbers = Vec::new();
    for sink in sinks {
        let number = match known.remove(&*sink.id) {
            Some(number) => number,
            None => {
                transaction.execute("INSERT INTO sink (id) VALUES (?1)", [&*sink.id])?;
                transaction.last_insert_rowid()
            }
        };
        transaction.execute("UPDATE sink SET gone = NULL WHERE number = ?1", [number])?;
        numbers.push(number);
    }
    let now = wire_time(Timestamp::now());
    for (id, number) in known {
        let counts = count(&transaction, number, 0)?;
        let waiting: u64 = counts.into_iter().map(|(count, _)| count).sum();
        if waiting > 0 {
            warn!(
                sink = id,
                "the sink is not in the configuration, but {waiting} messages wait for it: if it was renamed, give it its name back until they are delivered"
            );
        }
        transaction.execute(
            "UPDATE sink SET gone = ?1 WHERE number = ?2 AND gone IS NULL",
            params![now, number],
        )?;
    }
    transaction.commit()?;
    Ok(numbers)
}

/// Messages and bytes that wait for the sink with `number` behind message `last`, by lane.
pub(super) fn count(
    connection: &Connection,
    number: i64,
    last: i64,
) -> rusqlite::Result<[(u64, u64); 2]> {
    let mut counts = [(0, 0); 2];
    for lane in Lane::ALL {
        counts[lane as usize] = connection
            .prepare_cached(
                "SELECT count(*), coalesce(sum(size), 0) FROM delivery
                    WHERE sink = ?1 AND lane = ?2 AND message > ?3",
            )?
            .query_row(params![number, lane as i64, last], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
    }
    Ok(counts)
}

/// The state of transforms and sources.
pub(super) fn saved(connection: &Connection) -> rusqlite::Result<Saved> {
    let mut saved = Saved::default();
    let mut select = connection.prepare("SELECT transform, part, key, value FROM state")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (transform, part): (String, String) = (row.get(0)?, row.get(1)?);
        let Some(part) = Part::from_name(&part) else {
            warn!(transform, part, "unknown state is left alone");
            continue;
        };
        saved.state.entry(transform).or_default().push(Change {
            part,
            key: row.get(2)?,
            value: Some(row.get(3)?),
        });
    }
    let mut select = connection.prepare("SELECT source, key, value FROM position")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let position = Position {
            key: row.get(1)?,
            value: Some(row.get(2)?),
        };
        saved
            .positions
            .entry(row.get(0)?)
            .or_default()
            .push(position);
    }
    Ok(saved)
}
