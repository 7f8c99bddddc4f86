//! What a `data_dir` knows of incidents, for people. It is read while another process writes it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OpenFlags, Row};

use super::{
    Message,
    database::{self, Error},
};
use crate::{
    dedupe::{Alert, Part},
    detect::Severity,
};

/// The incidents of a `data_dir`.
pub struct History {
    connection: Connection,
    path: PathBuf,
}

/// An incident, as far as it is known without its alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// 32 hexadecimal digits.
    pub id: String,
    /// `namespace/name`; `None` of a source that was silent and of a sink that failed.
    pub decoy: Option<String>,
    pub cluster: Option<String>,
    pub severity: Severity,
    pub is_open: bool,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    /// Hits since it began, also those that no alert has told yet.
    pub total: u64,
    /// Alerts so far.
    pub alerts: u32,
    /// When the last of them was made.
    pub told: Timestamp,
}

/// Which incidents are wanted: those that fit every part that is given.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Last seen then or later.
    pub since: Option<Timestamp>,
    /// First seen then or earlier.
    pub until: Option<Timestamp>,
    /// Over `namespace/name`.
    pub decoy: Option<glob::Pattern>,
    /// As grave as that, or graver.
    pub severity: Option<Severity>,
    pub is_open: Option<bool>,
}

impl Filter {
    fn fits(&self, incident: &Incident) -> bool {
        let decoy = incident.decoy.as_deref().unwrap_or_default();
        self.since.is_none_or(|since| incident.last_seen >= since)
            && self.until.is_none_or(|until| incident.first_seen <= until)
            && self.decoy.as_ref().is_none_or(|glob| glob.matches(decoy))
            && self.severity.is_none_or(|least| incident.severity >= least)
            && self
                .is_open
                .is_none_or(|is_open| incident.is_open == is_open)
    }
}

impl History {
    /// Opens the database in `data_dir` for reading.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub fn open(data_dir: &Path) -> Result<Self, Error> {
        let path = database::file(data_dir);
        let connection = match database::open_existing(&path, OpenFlags::SQLITE_OPEN_READ_ONLY) {
            Err(Error::Sqlite { source, .. }) if cannot_open(&source) => without_index(&path)?,
            opened => opened?,
        };
        Ok(Self { connection, path })
    }

    /// The incidents that fit, the one that began first before the others.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn incidents(&self, filter: &Filter) -> Result<Vec<Incident>, Error> {
        let fail = |source| Error::of(&self.path, source);
        let mut incidents = self.read("").map_err(fail)?;
        incidents.retain(|incident| filter.fits(incident));
        Ok(incidents)
    }

    /// The incidents whose id begins with `prefix`.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn find(&self, prefix: &str) -> Result<Vec<Incident>, Error> {
        self.read(prefix)
            .map_err(|source| Error::of(&self.path, source))
    }

    /// What was told of an incident, in order.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn alerts(&self, incident: &str) -> Result<Vec<Alert>, Error> {
        let fail = |source| Error::of(&self.path, source);
        let bodies: Vec<(u64, String)> = self
            .connection
            .prepare_cached("SELECT id, body FROM message WHERE incident_id = ?1 ORDER BY id")
            .and_then(|mut select| {
                select
                    .query_map([incident], |row| Ok((row.get(0)?, row.get(1)?)))?
                    .collect()
            })
            .map_err(fail)?;
        // What was replayed from the dead letters is there twice.
        let mut seen = BTreeSet::new();
        let messages = bodies
            .iter()
            .filter_map(|(id, body)| database::decode(*id, body));
        Ok(messages
            .filter_map(|message| match message {
                Message::Alert(alert) if seen.insert(alert.alert_id) => Some((*alert).clone()),
                _ => None,
            })
            .collect())
    }

    fn read(&self, prefix: &str) -> rusqlite::Result<Vec<Incident>> {
        // One snapshot: what is open must not close in between.
        let snapshot = self.connection.unchecked_transaction()?;
        let fresh = fresher(&snapshot)?;
        let mut incidents: Vec<Incident> = snapshot
            .prepare(
                "SELECT id, decoy, cluster, severity, is_open, first_seen, last_seen, total, sequence, told
                    FROM incident WHERE substr(id, 1, length(?1)) = ?1 ORDER BY first_seen, id",
            )?
            .query_map([prefix], incident)?
            .collect::<rusqlite::Result<_>>()?;
        for incident in &mut incidents {
            if let Some(fresh) = fresh.get(&incident.id)
                && incident.is_open
            {
                incident.total = incident.total.max(fresh.total);
                incident.last_seen = incident.last_seen.max(fresh.last_seen);
            }
        }
        Ok(incidents)
    }
}

/// Whether SQLite has no index of the log and cannot make one: the file system is read only.
fn cannot_open(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::CannotOpen)
}

/// Opens a database that has no log. Whoever wrote it would have one.
fn without_index(path: &Path) -> Result<Connection, Error> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    match fs::metadata(log) {
        Ok(log) if log.len() > 0 => Err(Error::NotClosed {
            path: path.to_owned(),
        }),
        _ => database::open_immutable(path),
    }
}

/// What an open incident has come to since its last alert.
struct Fresh {
    total: u64,
    last_seen: Timestamp,
}

fn fresher(connection: &Connection) -> rusqlite::Result<BTreeMap<String, Fresh>> {
    connection
        .prepare(
            "SELECT value ->> 'id', value ->> 'total', value ->> 'last_seen'
                FROM state WHERE part IN (?1, ?2) AND value ->> 'id' IS NOT NULL",
        )?
        .query_map([Part::Incident.as_str(), Part::Flood.as_str()], |row| {
            let fresh = Fresh {
                total: row.get(1)?,
                last_seen: time(row, 2)?,
            };
            Ok((row.get(0)?, fresh))
        })?
        .collect()
}

fn incident(row: &Row<'_>) -> rusqlite::Result<Incident> {
    let severity: String = row.get(3)?;
    Ok(Incident {
        id: row.get(0)?,
        decoy: row.get(1)?,
        cluster: row.get(2)?,
        severity: Severity::from_name(&severity).ok_or_else(|| unreadable(3, &severity))?,
        is_open: row.get(4)?,
        first_seen: time(row, 5)?,
        last_seen: time(row, 6)?,
        total: row.get(7)?,
        alerts: row.get(8)?,
        told: time(row, 9)?,
    })
}

fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    let text: String = row.get(column)?;
    text.parse().map_err(|_| unreadable(column, &text))
}

fn unreadable(column: usize, text: &str) -> rusqlite::Error {
    let what = format!("{text:?} cannot be read").into();
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, what)
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use rusqlite::params;
    use tempfile::TempDir;

    use super::*;
    use crate::{
        dedupe::{AlertKind, Change},
        format::example,
        store::{Commit, Options, Outgoing},
        telemetry::Status,
    };

    /// Stores what the example's incident was told, and that `total` hits were counted at last.
    async fn store(data_dir: &Path, kind: AlertKind, total: u64) -> Alert {
        let options = Options {
            data_dir: data_dir.to_owned(),
            retention: Duration::from_secs(86_400),
        };
        let store = crate::store::open(&options, &[], Status::default())
            .unwrap()
            .store;
        let alert = Alert {
            kind,
            ..example::opened()
        };
        let value = serde_json::json!({
            "id": alert.incident_id.to_string(), "total": total, "last_seen": "2026-12-01T00:00:00Z",
        });
        let change = Change {
            part: Part::Incident,
            key: "1".into(),
            value: Some(value.to_string()),
        };
        let message = Message::Alert(Arc::new(alert.clone()));
        let commit = Commit {
            state: vec![("incidents".into(), vec![change])],
            messages: vec![Outgoing {
                message,
                sinks: Arc::new([]),
            }],
            ..Commit::default()
        };
        store.commit(commit).await;
        store.close().await;
        store.end().await;
        alert
    }

    #[tokio::test]
    async fn what_was_not_told_yet_counts_as_long_as_an_incident_is_open() {
        for (kind, total) in [(AlertKind::Opened, 9), (AlertKind::Closed, 1)] {
            let folder = TempDir::new().unwrap();
            let alert = store(folder.path(), kind, 9).await;
            let history = History::open(folder.path()).unwrap();
            let incident = &history.incidents(&Filter::default()).unwrap()[0];
            assert_eq!((alert.total, incident.total), (1, total));
            assert_eq!(incident.last_seen > alert.last_seen, incident.is_open);
        }
    }

    #[tokio::test]
    async fn an_incident_fits_a_time_that_it_touches() {
        let folder = TempDir::new().unwrap();
        store(folder.path(), AlertKind::Opened, 1).await;
        let history = History::open(folder.path()).unwrap();
        let incident = &history.incidents(&Filter::default()).unwrap()[0];
        let (first, last) = (incident.first_seen, incident.last_seen);
        assert!(first < last);
        let second = jiff::SignedDuration::from_secs(1);
        for (since, until, fits) in [
            (Some(last), None, true),
            (Some(last + second), None, false),
            (None, Some(first), true),
            (None, Some(first - second), false),
            (Some(first + second), Some(last - second), true),
        ] {
            let filter = Filter {
                since,
                until,
                ..Filter::default()
            };
            assert_eq!(filter.fits(incident), fits, "{filter:?}");
        }
    }

    #[tokio::test]
    async fn an_incident_without_a_decoy_is_one_too() {
        let folder = TempDir::new().unwrap();
        store(folder.path(), AlertKind::Opened, 1).await;
        let connection = Connection::open(database::file(folder.path())).unwrap();
        connection
            .execute("UPDATE incident SET decoy = ?1", params![None::<String>])
            .unwrap();
        let history = History::open(folder.path()).unwrap();
        assert_eq!(
            history.incidents(&Filter::default()).unwrap()[0].decoy,
            None
        );
        let of_a_decoy = Filter {
            decoy: glob::Pattern::new("*/*").ok(),
            ..Filter::default()
        };
        assert_eq!(history.incidents(&of_a_decoy).unwrap(), []);
    }

    #[tokio::test]
    async fn a_closed_database_is_read_where_nothing_can_be_written() {
        let folder = TempDir::new().unwrap();
        let data_dir = folder.path().join("50%?#");
        store(&data_dir, AlertKind::Opened, 1).await;
        let path = database::file(&data_dir);
        let connection = Connection::open(&path).unwrap();
        connection.execute("DELETE FROM state", []).unwrap();
        assert!(matches!(
            without_index(&path),
            Err(Error::NotClosed { path: named }) if named == path
        ));
        drop(connection);
        let history = History {
            connection: without_index(&path).unwrap(),
            path,
        };
        assert_eq!(history.find("").unwrap().len(), 1);
    }
}
