//! The lines of this format, read back: what another baitline wrote, or this one long ago.
//!
//! Unknown fields are passed over, since adding one is free. An optional field that is
//! missing is empty. All else that is not as it would be written is an error.

use serde::Deserialize;

use crate::{audit::words, dedupe::Alert, detect::Detection};

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
struct Head {
    r#type: Type,
    schema: u32,
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

/// As [`read()`], but `None` for an alert, of which only the type is looked at.
///
/// # Errors
/// If it is neither a detection nor an alert.
pub fn read_detection(line: &[u8]) -> Result<Option<Detection>, ReadError> {
    let head: Head = serde_json::from_slice(line)?;
    if head.r#type == Type::Alert {
        return Ok(None);
    }
    head.of_known_schema()?;
    Ok(Some(serde_json::from_slice(line)?))
}

impl Head {
    fn of_known_schema(&self) -> Result<(), ReadError> {
        match self.schema {
            SCHEMA => Ok(()),
            other => Err(ReadError::Schema(other)),
        }
    }
}
