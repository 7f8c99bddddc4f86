//! The tables, and how older ones become the present ones.

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions, Permissions},
    io::ErrorKind,
    os::unix::{
        ffi::OsStrExt,
        fs::{OpenOptionsExt, PermissionsExt},
    },
    path::Path,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};

use super::Error;

/// Marks the file as ours: `bait`.
pub(super) const APPLICATION_ID: i64 = 0x6261_6974;

/// Each step makes the next schema of the one before. The number of steps that were taken is
/// the file's `user_version`.
const MIGRATIONS: [&str; 1] = ["
    -- Numbers make the rows of `delivery` short. `gone` is since when the sink is not configured.
    CREATE TABLE sink (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, gone TEXT) STRICT;

    -- A detection stays until no sink waits for it, an alert for as long as its incident is kept.
    CREATE TABLE message (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        incident_id TEXT,
        body TEXT NOT NULL
    ) STRICT;
    CREATE INDEX message_incident ON message (incident_id) WHERE incident_id IS NOT NULL;

    -- What waits: lane 0 holds alerts, lane 1 detections. Size is the body's in bytes.
    CREATE TABLE delivery (
        sink INTEGER NOT NULL,
        lane INTEGER NOT NULL,
        message INTEGER NOT NULL,
        size INTEGER NOT NULL,
        PRIMARY KEY (sink, lane, message)
    ) STRICT, WITHOUT ROWID;

    -- What the dedupe transforms remember, in pieces.
    CREATE TABLE state (
        transform TEXT NOT NULL,
        part TEXT NOT NULL,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (transform, part, key)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE position (
        source TEXT NOT NULL,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (source, key)
    ) STRICT, WITHOUT ROWID;

    -- Every incident as its last alert told it; `told` is when, the other times are the events'.
    CREATE TABLE incident (
        id TEXT PRIMARY KEY,
        decoy TEXT,
        cluster TEXT,
        severity TEXT NOT NULL,
        is_open INTEGER NOT NULL,
        first_seen TEXT NOT NULL,
        last_seen TEXT NOT NULL,
        total INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        told TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX incident_told ON incident (told);
"];

/// How long a statement waits for another process that writes.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// What the log may grow to before it is cut back: a little over one page cache.
const JOURNAL_BYTES: i64 = 64 << 20;

/// Opens the database at `path` for writing, and makes or brings up to date what it lacks.
pub(super) fn open(path: &Path) -> Result<Connection, Error> {
    make_private(path)?;
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    prepare(&mut connection).map_err(|source| Error::of(path, source))?;
    let version = version(&connection, path)?;
    migrate(&mut connection, version).map_err(|source| Error::of(path, source))?;
    Ok(connection)
}

/// Opens the database at `path` as it is.
///
/// # Errors
/// Also if it is none, or of another schema.
pub(in super::super) fn open_existing(path: &Path, flags: OpenFlags) -> Result<Connection, Error> {
    // SQLite does not say why a file cannot be opened.
    if let Err(source) = File::open(path) {
        let path = path.to_owned();
        return Err(match source.kind() {
            ErrorKind::NotFound => Error::Missing { path },
            _ => Error::Directory { path, source },
        });
    }
    known(connect(path, flags)?, path)
}

/// As [`open_existing`], for reading, of a database that nobody writes and that was closed: nothing
/// is locked, and nothing beside it is looked at or made.
pub(in super::super) fn open_immutable(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let mut uri = b"file:".to_vec();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'%' | b'?' | b'#' => uri.extend(format!("%{byte:02x}").bytes()),
            _ => uri.push(*byte),
        }
    }
    uri.extend(b"?immutable=1");
    let opened = Connection::open_with_flags(OsStr::from_bytes(&uri), flags);
    known(opened.map_err(|source| Error::of(path, source))?, path)
}

/// `connection`, if its database is ours and has our tables.
fn known(connection: Connection, path: &Path) -> Result<Connection, Error> {
    match version(&connection, path)? {
        0 => Err(Error::Empty {
            path: path.to_owned(),
        }),
        _ => Ok(connection),
    }
}

/// SQLite gives its files the modes of this one. A copy that was put back may have others.
fn make_private(path: &Path) -> Result<(), Error> {
    let fail = |source| Error::Directory {
        path: path.to_owned(),
        source,
    };
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(fail)?;
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match fs::metadata(&name) {
            Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => {
                fs::set_permissions(&name, Permissions::from_mode(0o600)).map_err(fail)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, Error> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connected = Connection::open_with_flags(path, flags).and_then(|connection| {
        connection.busy_timeout(BUSY)?;
        Ok(connection)
    });
    connected.map_err(|source| Error::of(path, source))
}

fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    // Takes effect only before the first table is made.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update_and_check(None, "journal_size_limit", JOURNAL_BYTES, |_| Ok(()))?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// The schema of a database, if it is ours and we know it.
fn version(connection: &Connection, path: &Path) -> Result<i64, Error> {
    let fail = |source| Error::of(path, source);
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let application = pragma("application_id").map_err(fail)?;
    let found = pragma("user_version").map_err(fail)?;
    let is_empty: bool = connection
        .query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| {
            row.get(0)
        })
        .map_err(fail)?;
    let path = path.to_owned();
    let known = MIGRATIONS.len() as i64;
    match application {
        0 if is_empty => Ok(0),
        APPLICATION_ID if (0..=known).contains(&found) => Ok(found),
        APPLICATION_ID => Err(Error::Newer { path, found, known }),
        _ => Err(Error::Foreign { path }),
    }
}

fn migrate(connection: &mut Connection, version: i64) -> rusqlite::Result<()> {
    let steps = (1..).zip(MIGRATIONS);
    for (number, step) in steps.filter(|(number, _)| *number > version) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}
