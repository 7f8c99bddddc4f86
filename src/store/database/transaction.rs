//! What one transaction stores.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use rusqlite::{Transaction, params};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::super::{
    Commit, Message, Outgoing,
    outbox::{Lane, Outbox, Slip},
};
use crate::{
    audit::wire_time,
    dedupe::{Alert, Part},
};

/// What has gathered since the last transaction, ready to be written.
#[derive(Default)]
pub(super) struct Batch {
    /// By transform, part and key: the last value that each was given.
    state: BTreeMap<(Arc<str>, Part, String), Option<String>>,
    /// By source and key.
    positions: BTreeMap<(Arc<str>, String), Option<String>>,
    messages: Vec<Prepared>,
    acknowledge: Vec<Box<dyn FnOnce() + Send>>,
    /// Given back when the batch is stored.
    places: Vec<OwnedSemaphorePermit>,
    flushed: Vec<oneshot::Sender<()>>,
    /// A sink is done with something that is not stored as done.
    has_done: bool,
    /// By sink and lane, up to which message it is stored as done.
    done: Vec<[u64; 2]>,
}

struct Prepared {
    message: Message,
    body: String,
    /// Places of the sinks whose outboxes accepted it.
    sinks: Vec<usize>,
}

/// What a transaction wrote.
pub(super) struct Written {
    /// In the order of the messages.
    ids: Vec<i64>,
    /// By sink and lane.
    done: Vec<[u64; 2]>,
}

impl Written {
    /// Of a batch in which nothing is to be written.
    pub(super) fn nothing(done: Vec<[u64; 2]>) -> Self {
        Self {
            ids: Vec::new(),
            done,
        }
    }

    /// The id of the last message.
    pub(super) fn last_message(&self) -> Option<i64> {
        self.ids.last().copied()
    }
}

impl Batch {
    pub(super) fn new(sinks: usize) -> Self {
        Self {
            done: vec![[0; 2]; sinks],
            ..Self::default()
        }
    }

    pub(super) fn add(
        &mut self,
        commit: Commit,
        place: Option<OwnedSemaphorePermit>,
        outboxes: &[Arc<Outbox>],
    ) {
        for (transform, changes) in commit.state {
            for change in changes {
                let key = (transform.clone(), change.part, change.key);
                self.state.insert(key, change.value);
            }
        }
        let prepared = commit.messages.into_iter();
        self.messages
            .extend(prepared.filter_map(|outgoing| Prepared::new(outgoing, outboxes)));
        for (source, progress) in commit.progress {
            for position in progress.positions {
                self.positions
                    .insert((source.clone(), position.key), position.value);
            }
            self.acknowledge.extend(progress.acknowledge);
        }
        self.places.extend(place);
    }

    pub(super) fn mark_done(&mut self) {
        self.has_done = true;
    }

    pub(super) fn add_flush(&mut self, stored: oneshot::Sender<()>) {
        self.flushed.push(stored);
    }

    pub(super) fn is_empty(&self) -> bool {
        let Self {
            state,
            positions,
            messages,
            acknowledge,
            places,
            flushed,
            has_done,
            done: _,
        } = self;
        !has_done
            && state.is_empty()
            && positions.is_empty()
            && messages.is_empty()
            && acknowledge.is_empty()
            && places.is_empty()
            && flushed.is_empty()
    }

    /// Whether anything of it, or of what the sinks have `done`, is not stored yet.
    pub(super) fn is_to_be_written(&self, done: &[[u64; 2]]) -> bool {
        let is_empty =
            self.state.is_empty() && self.positions.is_empty() && self.messages.is_empty();
        !is_empty || done != self.done
    }

    /// Writes all of it. May be called again.
    pub(super) fn write(
        &self,
        transaction: &Transaction<'_>,
        numbers: &[i64],
        done: Vec<[u64; 2]>,
    ) -> rusqlite::Result<Written> {
        for (place, number) in numbers.iter().enumerate() {
            forget_done(transaction, *number, self.done[place], done[place])?;
        }
        self.write_state(transaction)?;
        self.write_positions(transaction)?;
        let mut ids = Vec::with_capacity(self.messages.len());
        let now = wire_time(Timestamp::now());
        for prepared in &self.messages {
            ids.push(prepared.write(transaction, numbers, &now)?);
        }
        Ok(Written { ids, done })
    }

    /// The batch was written: tells everybody, and is empty.
    pub(super) fn settle(&mut self, written: &Written, outboxes: &[Arc<Outbox>]) {
        let done = written.done.clone();
        let batch = std::mem::replace(
            self,
            Self {
                done,
                ..Self::default()
            },
        );
        for (prepared, id) in batch.messages.into_iter().zip(&written.ids) {
            let slip = Slip {
                // AUTOINCREMENT counts from 1.
                id: id.unsigned_abs(),
                size: prepared.body.len() as u64,
            };
            for place in prepared.sinks {
                outboxes[place].give(slip, prepared.message.clone(), true);
            }
        }
        batch
            .acknowledge
            .into_iter()
            .for_each(|acknowledge| acknowledge());
        for stored in batch.flushed {
            let _ = stored.send(());
        }
    }

    fn write_state(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        for ((transform, part, key), value) in &self.state {
            let part = part.as_str();
            match value {
                Some(value) => transaction
                    .prepare_cached("INSERT OR REPLACE INTO state VALUES (?1, ?2, ?3, ?4)")?
                    .execute(params![&**transform, part, key, value])?,
                None => transaction
                    .prepare_cached(
                        "DELETE FROM state WHERE transform = ?1 AND part = ?2 AND key = ?3",
                    )?
                    .execute(params![&**transform, part, key])?,
            };
        }
        Ok(())
    }

    fn write_positions(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        for ((source, key), value) in &self.positions {
            match value {
                Some(value) => transaction
                    .prepare_cached("INSERT OR REPLACE INTO position VALUES (?1, ?2, ?3)")?
                    .execute(params![&**source, key, value])?,
                None => transaction
                    .prepare_cached("DELETE FROM position WHERE source = ?1 AND key = ?2")?
                    .execute(params![&**source, key])?,
            };
        }
        Ok(())
    }
}

impl Prepared {
    /// `None` for a detection that no outbox accepts.
    fn new(outgoing: Outgoing, outboxes: &[Arc<Outbox>]) -> Option<Self> {
        let Outgoing { message, sinks } = outgoing;
        let body = body(&message);
        let lane = Lane::of(&message);
        let sinks: Vec<usize> = sinks
            .iter()
            .copied()
            .filter(|place| outboxes[*place].admit(lane, body.len() as u64))
            .collect();
        let is_kept = lane == Lane::Alerts || !sinks.is_empty();
        is_kept.then_some(Self {
            message,
            body,
            sinks,
        })
    }

    /// The id that the message was given.
    fn write(
        &self,
        transaction: &Transaction<'_>,
        numbers: &[i64],
        now: &str,
    ) -> rusqlite::Result<i64> {
        let sinks = self.sinks.iter().map(|place| numbers[*place]);
        let id = insert(transaction, &self.message, &self.body, sinks)?;
        if let Message::Alert(alert) = &self.message {
            write_incident(transaction, alert, now)?;
        }
        Ok(id)
    }
}

/// `message` as it is stored: a line of JSON without its end.
pub(super) fn body(message: &Message) -> String {
    let mut line = Vec::new();
    message.write_json(&mut line);
    line.pop();
    String::from_utf8(line).expect("JSON is written in UTF-8")
}

/// Puts `message` into the outboxes of the sinks with these numbers. The id that it was given.
pub(super) fn insert(
    transaction: &Transaction<'_>,
    message: &Message,
    body: &str,
    sinks: impl Iterator<Item = i64>,
) -> rusqlite::Result<i64> {
    let incident = match message {
        Message::Alert(alert) => Some(alert.incident_id.to_string()),
        Message::Detection(_) => None,
    };
    transaction
        .prepare_cached("INSERT INTO message (incident_id, body) VALUES (?1, ?2)")?
        .execute(params![incident, body])?;
    let id = transaction.last_insert_rowid();
    for number in sinks {
        transaction
            .prepare_cached("INSERT INTO delivery VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![number, Lane::of(message) as i64, id, body.len()])?;
    }
    Ok(id)
}

fn write_incident(transaction: &Transaction<'_>, alert: &Alert, now: &str) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO incident VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            alert.incident_id.to_string(),
            alert.decoy.as_deref(),
            alert.cluster.as_deref(),
            alert.severity.as_str(),
            !alert.kind.ends_incident(),
            wire_time(alert.first_seen),
            wire_time(alert.last_seen),
            i64::try_from(alert.total).unwrap_or(i64::MAX),
            alert.sequence,
            now,
        ])?;
    Ok(())
}

/// Deletes what the sink with `number` has done since `old`, and the detections that no other sink waits for.
fn forget_done(
    transaction: &Transaction<'_>,
    number: i64,
    old: [u64; 2],
    new: [u64; 2],
) -> rusqlite::Result<()> {
    for lane in Lane::ALL {
        let up_to = new[lane as usize];
        if up_to == old[lane as usize] {
            continue;
        }
        if lane == Lane::Detections {
            // The sinks are few: each is a look-up by key.
            transaction
                .prepare_cached(
                    "DELETE FROM message
                        WHERE id IN (SELECT message FROM delivery
                            WHERE sink = ?1 AND lane = 1 AND message <= ?2)
                        AND NOT EXISTS (SELECT 1 FROM sink CROSS JOIN delivery AS other
                            ON other.sink = sink.number AND other.lane = 1
                                AND other.message = message.id
                            WHERE sink.number <> ?1)",
                )?
                .execute(params![number, up_to as i64])?;
        }
        transaction
            .prepare_cached("DELETE FROM delivery WHERE sink = ?1 AND lane = ?2 AND message <= ?3")?
            .execute(params![number, lane as i64, up_to as i64])?;
    }
    Ok(())
}
