//! Messages that a person wants delivered again.

use std::path::Path;

use rusqlite::{OpenFlags, TransactionBehavior, params};

use super::{
    super::{Message, outbox::Lane},
    Error, file, schema,
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
        insert(&transaction, number, message).map_err(fail)?;
    }
    transaction.commit().map_err(fail)
}

fn insert(
    transaction: &rusqlite::Transaction<'_>,
    number: i64,
    message: &Message,
) -> rusqlite::Result<()> {
    let mut line = Vec::new();
    message.write_json(&mut line);
    line.pop();
    let body = String::from_utf8_lossy(&line);
    let incident = match message {
        Message::Alert(alert) => Some(alert.incident_id.to_string()),
        Message::Detection(_) => None,
    };
    transaction
        .prepare_cached("INSERT INTO message (incident_id, body) VALUES (?1, ?2)")?
        .execute(params![incident, body])?;
    let id = transaction.last_insert_rowid();
    transaction
        .prepare_cached("INSERT INTO delivery VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![number, Lane::of(message) as i64, id, body.len()])?;
    Ok(())
}
