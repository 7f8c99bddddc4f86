//! Room for what must be put in order and may be more than memory holds.

use std::{env, path::PathBuf};

use rusqlite::{Connection, ErrorCode};
use rustix::fs::{Access, access};

use super::SHOWN;
use crate::format::visible;

/// An empty database that ends with its connection. It lies in memory as far as its cache of 1 MiB goes, and beyond that in
/// a file without a name in [`directory`].
pub(super) fn open(schema: &str) -> rusqlite::Result<Connection> {
    let database = Connection::open("")?;
    // Nobody goes on with it after a crash. All that is done with it is one transaction, since each would cost a write.
    database.execute_batch(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -1024;",
    )?;
    database.execute_batch(schema)?;
    database.execute_batch("BEGIN")?;
    Ok(database)
}

/// Why a database failed, and what to do about it.
pub(super) fn reason(error: &rusqlite::Error) -> String {
    let folder = directory().display().to_string();
    let folder = visible(&folder, SHOWN);
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => format!(
            "no space is left in {folder} for what was found; let TMPDIR name a directory that has more"
        ),
        _ => format!(
            "what was found cannot be kept in {folder}: {error}; TMPDIR may name another directory"
        ),
    }
}

/// Where SQLite puts files without a name: the first of these that it may write to.
fn directory() -> PathBuf {
    let named = ["SQLITE_TMPDIR", "TMPDIR"]
        .into_iter()
        .filter_map(env::var_os);
    let usual = ["/var/tmp", "/usr/tmp", "/tmp"].into_iter().map(Into::into);
    let mut all = named.chain(usual).map(PathBuf::from);
    let is_usable =
        |path: &PathBuf| path.is_dir() && access(path, Access::WRITE_OK | Access::EXEC_OK).is_ok();
    all.find(is_usable).unwrap_or_else(|| ".".into())
}
