//! The marks by which shippers tell that a text is a part of a longer line, which a container runtime cut and they did not
//! join.
//!
//! A part may begin in the middle of a body, so what looks like an event in it may be a client's text.

use simd_json::{prelude::*, tape::Object};

use crate::audit::Json;

/// Which part a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// One that others follow.
    Open,
    /// The last, or a whole line.
    Last,
}

impl Part {
    /// Which part the texts of `object` are, if it says so.
    pub fn of(object: &Object<'_, '_>) -> Option<Self> {
        let (mut is_open, mut is_last) = (false, false);
        for (key, value) in object.iter() {
            match key {
                // The tag of CRI's lines, as Fluentd, and as Fluent Bit calls it.
                "logtag" | "_p" => {
                    let tag = value.into_string().unwrap_or_default();
                    is_open |= tag.starts_with('P');
                    is_last |= tag.starts_with('F');
                }
                // Vector's; Docker's, and those that it gives to journald.
                "_partial" | "partial_message" | "CONTAINER_PARTIAL_MESSAGE" => {
                    is_open |= is_true(value);
                }
                "partial_id"
                | "partial_ordinal"
                | "CONTAINER_PARTIAL_ID"
                | "CONTAINER_PARTIAL_ORDINAL" => {
                    is_open |= !value.is_null();
                }
                "partial_last" | "CONTAINER_PARTIAL_LAST" => is_last |= is_true(value),
                _ => {}
            }
        }
        match (is_open, is_last) {
            (_, true) => Some(Self::Last),
            (true, false) => Some(Self::Open),
            (false, false) => None,
        }
    }
}

fn is_true(value: Json<'_>) -> bool {
    value.as_bool() == Some(true) || value.into_string() == Some("true")
}
