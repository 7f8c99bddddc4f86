//! The state in pieces: what a store keeps of it, so that a restart goes on where it was.

use std::{collections::BTreeMap, fmt::Display};

use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

use super::encoding::{MOST, count};
use crate::audit::words;

/// One piece of the state as it is stored: replaces what was stored under the same part and
/// key; without a value it is forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub part: Part,
    pub key: String,
    /// JSON.
    pub value: Option<String>,
}

/// What a piece of the state belongs to, and with it what its key and its value are.
///
/// | part | key | value |
/// | --- | --- | --- |
/// | `scope` | its number | cluster and decoy |
/// | `serial` | `last` | the last serial number that an incident was given |
/// | `incident` | its serial number | an incident of its own, open or closed |
/// | `flood` | the number of its scope | the flood of a decoy, open or closed: an incident too |
/// | `flood_keys` | scope`/`number | one of 64 parts of the sketch that counts a flood's keys |
/// | `request` | its number in order of arrival | a request, and where it was counted |
/// | `touches` | scope`/`technique | the touches of a decoy that may explain an incident |
/// | `minted` | scope`/`credential id | who minted the credential |
/// | `records` | cluster, user, address, as JSON | the `record`s of one actor |
/// | `trouble` | `since` | since when a source has been silent, or a sink failing, which was told; it stands under the id of that component |
/// | `passed` | alert id | the how-manieth alert it is that was handed on as another baitline told it; it stands under the id of the source |
///
/// Of an `incident` and of a `flood` these fields may be relied on by readers: `id`, `key`,
/// `decoy`, `cluster` (or null), `severity`, `first_seen`, `last_seen` (RFC 3339, UTC), `total` (hits),
/// `told` (those of them that alerts have told of), `sequence` (alerts so far), and
/// `schedule`, which is null once it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    Scope,
    Serial,
    Incident,
    Flood,
    FloodKeys,
    Request,
    Touches,
    Minted,
    Records,
    Trouble,
    Passed,
}

words!(Part {
    Scope = "scope",
    Serial = "serial",
    Incident = "incident",
    Flood = "flood",
    FloodKeys = "flood_keys",
    Request = "request",
    Touches = "touches",
    Minted = "minted",
    Records = "records",
    Trouble = "trouble",
    Passed = "passed",
});

/// A stored piece that no machine of this kind wrote.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the stored {part} {key:?} cannot be read: {reason}")]
pub struct RestoreError {
    pub part: Part,
    pub key: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Change {
    /// `value` as it now stands under `key`.
    pub(super) fn new<T: Serialize>(part: Part, key: impl Display, value: Option<&T>) -> Self {
        // Only a map whose keys are no strings, or a type's own refusal, could fail: the state has neither.
        let json = |value| serde_json::to_string(value).expect("the state is plain data");
        Self {
            part,
            key: key.to_string(),
            value: value.map(json),
        }
    }
}

/// What was stored, by part and key.
#[derive(Debug, Default)]
pub(super) struct Stored(BTreeMap<Part, BTreeMap<String, String>>);

/// One piece that was stored.
#[derive(Debug)]
pub(super) struct Piece {
    part: Part,
    pub(super) key: String,
    value: String,
}

impl Stored {
    /// What is left of `changes`, of which later ones replace earlier.
    pub(super) fn new(changes: impl IntoIterator<Item = Change>) -> Self {
        let mut stored = Self::default();
        for Change { part, key, value } in changes {
            let pieces = stored.0.entry(part).or_default();
            match value {
                Some(value) => pieces.insert(key, value),
                None => pieces.remove(&key),
            };
        }
        stored
    }

    /// The pieces of `part`, in no order.
    pub(super) fn take(&mut self, part: Part) -> impl Iterator<Item = Piece> + use<> {
        let pieces = self.0.remove(&part).unwrap_or_default();
        let piece = move |(key, value)| Piece { part, key, value };
        pieces.into_iter().map(piece)
    }

    /// The pieces of `part`, whose keys are numbers, in order of these.
    pub(super) fn take_numbered(&mut self, part: Part) -> Result<Vec<(u64, Piece)>, RestoreError> {
        let numbered = |piece: Piece| Ok((piece.number()?, piece));
        let mut pieces: Vec<_> = self.take(part).map(numbered).collect::<Result<_, _>>()?;
        pieces.sort_unstable_by_key(|(number, _)| *number);
        Ok(pieces)
    }
}

impl Piece {
    /// The value.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, RestoreError> {
        serde_json::from_str(&self.value).map_err(|error| self.wrong(error))
    }

    /// The value, which is a number that will be counted on from.
    pub(super) fn read_count(&self) -> Result<u64, RestoreError> {
        let mut json = serde_json::Deserializer::from_str(&self.value);
        let number = count(&mut json).and_then(|number| json.end().map(|()| number));
        number.map_err(|error| self.wrong(error))
    }

    /// The key, which is a number.
    pub(super) fn number(&self) -> Result<u64, RestoreError> {
        self.numbered(&self.key)
    }

    /// The key, which is a number and something else behind a slash.
    pub(super) fn number_and_rest(&self) -> Result<(u64, &str), RestoreError> {
        let (number, rest) = self
            .key
            .split_once('/')
            .ok_or_else(|| self.wrong("its key has no slash"))?;
        Ok((self.numbered(number)?, rest))
    }

    /// The key, which is two numbers with a slash between them.
    pub(super) fn number_and_number(&self) -> Result<(u64, u64), RestoreError> {
        let (number, rest) = self.number_and_rest()?;
        Ok((number, self.numbered(rest)?))
    }

    fn numbered(&self, digits: &str) -> Result<u64, RestoreError> {
        let number: u64 = digits
            .parse()
            .map_err(|_| self.wrong("its key is no number"))?;
        if number.to_string() != digits {
            // `07` would be a second 7.
            return Err(self.wrong("the number in its key is not written as it should be"));
        }
        if number > MOST {
            return Err(self.wrong("the number in its key is too large"));
        }
        Ok(number)
    }

    /// It is not what it should be.
    pub(super) fn wrong(&self, reason: impl Display) -> RestoreError {
        RestoreError::new(self.part, &self.key, reason)
    }
}

impl RestoreError {
    pub(super) fn new(part: Part, key: impl Display, reason: impl Display) -> Self {
        Self {
            part,
            key: key.to_string(),
            reason: reason.to_string(),
        }
    }
}
