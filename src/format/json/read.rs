//! The lines of this format, read back: what another baitline wrote, or this one long ago.
//!
//! Unknown fields are passed over, since adding one is free. An optional field that is
//! missing is empty. All else that is not as it would be written is an error.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    audit::words,
    dedupe::{Alert, AlertKind},
    detect::Detection,
};

/// What a line says.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    Detection(Box<Detection>),
    Alert(Box<Alert>),
}

/// Why something is no line of this format. Names the place by column; may show text of the line,
/// which is not neutralised.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is no JSON, a required field is missing, or a value is none that is written there.
    #[error("{0}")]
    Malformed(#[from] serde_json::Error),
    #[error("schema {0} cannot be read, only schema {SCHEMA}")]
    Schema(u32),
}

/// The version of the format.
pub(crate) const SCHEMA: u32 = 1;

/// What can stand under `type`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Detection,
    Alert,
}

words!(Type { Detection = "detection", Alert = "alert" });

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Head<'l> {
    r#type: Type,
    schema: u32,
    /// Of an alert.
    #[serde(borrow)]
    kind: Option<&'l RawValue>,
}

/// Reads one JSON object as [`alert`](super::alert) and [`detection`](super::detection) write it.
///
/// # Errors
/// If it is anything else.
pub fn read(line: &[u8]) -> Result<Line, ReadError> {
    let head: Head = serde_json::from_slice(line)?;
    head.of_known_schema()?;
    Ok(match head.r#type {
        Type::Detection => Line::Detection(serde_json::from_slice(line)?),
        Type::Alert => Line::Alert(serde_json::from_slice(line)?),
    })
}

/// As [`read()`], but of alerts only those that tell of a component; `None` for others, of which only the kind is looked at.
///
/// # Errors
/// If it is neither a detection nor an alert.
pub fn read_found(line: &[u8]) -> Result<Option<Line>, ReadError> {
    let head: Head = serde_json::from_slice(line)?;
    if head.r#type == Type::Alert && !head.tells_of_component() {
        return Ok(None);
    }
    read(line).map(Some)
}

impl Head<'_> {
    fn tells_of_component(&self) -> bool {
        let kind = self
            .kind
            .and_then(|kind| serde_json::from_str(kind.get()).ok());
        kind.is_some_and(AlertKind::tells_of_component)
    }

    fn of_known_schema(&self) -> Result<(), ReadError> {
        match self.schema {
            SCHEMA => Ok(()),
            other => Err(ReadError::Schema(other)),
        }
    }
}
