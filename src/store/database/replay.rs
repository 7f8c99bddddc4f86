//! Messages that a person wants delivered again.

use std::{iter, path::Path};

use rusqlite::{OpenFlags, TransactionBehavior};

use super::{
    super::Message,
    Error, file, schema,
    transaction::{body, insert},
};

/// Puts `messages` into the outbox of `sink`, in one transaction. A baitline that runs on `data_dir`
/// delivers them; if none does, the next one will. May block.
///
/// # Errors
/// If there is no database, or no outbox of that name in it.
pub fn replay(data_dir: &Path, sink: &str, messages: &[Message]) -> Result<(), Error> {
    let path = file(data_dir);
    let fail = |source| Error::of(&path, source);
    let mut connection = schema::open_existing(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection
        .pragma_update(None, "synchronous", "FULL")
        .map_err(fail)?;
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(fail)?;
    let number: i64 = transaction
        .query_row("SELECT number FROM sink WHERE id = ?1", [sink], |row| {
            row.get(0)
        })
        .map_err(|error| match error {
            rusqlite::Error::QueryReturnedNoRows => Error::NoSink {
                path: path.clone(),
                sink: sink.to_owned(),
            },
            error => fail(error),
        })?;
    for message in messages {
        insert(&transaction, message, &body(message), iter::once(number)).map_err(fail)?;
    }
    transaction.commit().map_err(fail)
}
