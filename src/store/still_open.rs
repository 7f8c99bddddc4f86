//! Which incidents are open at a start, for sinks that repeat them.

use std::{collections::HashMap, path::Path};

use rusqlite::{Connection, OpenFlags};

use super::{
    Message,
    database::{self, Error},
};
use crate::{
    audit::IncidentId,
    dedupe::{Alert, Part},
};

/// An incident that is open.
#[derive(Clone, Debug, PartialEq)]
pub struct StillOpen {
    /// Which `dedupe` transform it belongs to; `None` where it is of a source or a sink.
    pub transform: Option<String>,
    /// What the sink was last told of it.
    pub alert: Alert,
}

/// The incidents in `data_dir` that are open, as `sink` was last told of them: what still waits for it is not yet told.
///
/// # Errors
/// If the database cannot be read.
pub fn still_open(data_dir: &Path, sink: &str) -> Result<Vec<StillOpen>, Error> {
    let path = database::file(data_dir);
    let connection = database::open_existing(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    read(&connection, sink).map_err(|source| Error::of(&path, source))
}

/// The incidents in `data_dir` that are over, those that were told last, at most `most`.
///
/// # Errors
/// If the database cannot be read.
pub fn over(data_dir: &Path, most: usize) -> Result<Vec<IncidentId>, Error> {
    let path = database::file(data_dir);
    let connection = database::open_existing(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let read = || -> rusqlite::Result<Vec<String>> {
        connection
            .prepare("SELECT id FROM incident WHERE NOT is_open ORDER BY told DESC LIMIT ?1")?
            .query_map([most as u64], |row| row.get(0))?
            .collect()
    };
    let ids = read().map_err(|source| Error::of(&path, source))?;
    let ids = ids.iter().rev();
    Ok(ids.filter_map(|id| IncidentId::from_hex(id)).collect())
}

fn read(connection: &Connection, sink: &str) -> rusqlite::Result<Vec<StillOpen>> {
    let snapshot = connection.unchecked_transaction()?;
    let transforms: HashMap<String, String> = snapshot
        .prepare(
            "SELECT value ->> 'id', transform FROM state
                WHERE part IN (?1, ?2) AND value ->> 'id' IS NOT NULL",
        )?
        .query_map([Part::Incident.as_str(), Part::Flood.as_str()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    let told: Vec<(u64, String)> = snapshot
        .prepare(
            "SELECT message.id, message.body FROM incident JOIN message ON message.id = (
                SELECT told.id FROM message AS told
                    WHERE told.incident_id = incident.id AND NOT EXISTS (
                        SELECT 1 FROM sink JOIN delivery ON delivery.sink = sink.number
                            WHERE sink.id = ?1 AND delivery.lane = 0 AND delivery.message = told.id)
                    -- What was replayed from the dead letters is older than its place.
                    ORDER BY told.body ->> 'sequence' DESC, told.id DESC LIMIT 1)
                WHERE incident.is_open ORDER BY incident.first_seen",
        )?
        .query_map([sink], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let messages = told
        .iter()
        .filter_map(|(id, body)| database::decode(*id, body));
    let open = messages.filter_map(|message| match message {
        Message::Alert(alert) if !alert.kind.ends_incident() => Some(StillOpen {
            transform: transforms.get(&alert.incident_id.to_string()).cloned(),
            alert: (*alert).clone(),
        }),
        _ => None,
    });
    Ok(open.collect())
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::{
        dedupe::AlertKind,
        format::example,
        store::{BufferConfig, Commit, Options, Outgoing, SinkOutbox, WhenFull, open},
        telemetry::Status,
    };

    fn alert(incident: &str, title: &str, kind: AlertKind) -> Outgoing {
        let mut alert = example::opened();
        alert.sequence = match kind {
            AlertKind::Opened => 1,
            AlertKind::Escalated => 2,
            _ => 10,
        };
        alert.incident_id = IncidentId::of(&[incident.as_bytes()]);
        alert.title = title.to_owned();
        alert.kind = kind;
        Outgoing {
            message: Message::Alert(Arc::new(alert)),
            sinks: [0].into(),
        }
    }

    #[tokio::test]
    async fn what_was_told_last_and_is_not_over_is_open() {
        let folder = tempfile::TempDir::new().unwrap();
        let options = Options {
            data_dir: folder.path().to_owned(),
            retention: Duration::from_secs(3600),
        };
        let sinks = [SinkOutbox {
            id: "board".into(),
            buffer: BufferConfig {
                max_events: None,
                max_size: None,
                when_full: WhenFull::Block,
            },
        }];
        let opened = open(&options, &sinks, Status::default()).unwrap();
        let messages = vec![
            alert("a", "a opened", AlertKind::Opened),
            alert("b", "b opened", AlertKind::Opened),
            alert("a", "a escalated", AlertKind::Escalated),
            alert("b", "b closed", AlertKind::Closed),
            alert("c", "c opened", AlertKind::Opened),
            alert("a", "a replayed", AlertKind::Opened),
            alert("a", "a digest", AlertKind::Digest),
        ];
        let commit = Commit {
            messages,
            ..Commit::default()
        };
        opened.store.commit(commit).await;
        let mut readers = opened.readers;
        for _ in 0..6 {
            readers[0].next().await.unwrap();
        }
        readers[0].done();
        opened.store.close().await;
        let titles = |sink: &str| {
            let open = still_open(folder.path(), sink).unwrap();
            let mut titles: Vec<String> = open.into_iter().map(|open| open.alert.title).collect();
            titles.sort();
            titles
        };
        // The digest waits for the sink.
        assert_eq!(titles("board"), ["a escalated", "c opened"]);
        assert_eq!(titles("another"), ["a digest", "c opened"]);
        assert_eq!(over(folder.path(), 10).unwrap(), [IncidentId::of(&[b"b"])]);
    }
}
