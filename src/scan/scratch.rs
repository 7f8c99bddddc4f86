//! Room for what must be put in order and may be more than memory holds.

use rusqlite::Connection;

/// An empty database that ends with its connection. It lies in memory as far as its cache of 1 MiB goes, and beyond that in
/// a file without a name where SQLite puts such files: `SQLITE_TMPDIR`, `TMPDIR`, `/var/tmp`, `/tmp`.
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
