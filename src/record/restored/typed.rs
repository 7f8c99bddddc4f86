//! Rows of Log Analytics whose columns end with the type of what stands in them: `verb_s`, `responseStatus_code_d`,
//! `requestReceivedTimestamp_t`, `auditID_g` (learn.microsoft.com/azure/azure-monitor/logs/data-collector-api). Keys of objects in one
//! another are joined before that.

use simd_json::{prelude::*, tape::Object};

use super::flattened::{UNDERSCORE, is_anchor};
use crate::{
    audit::{Json, gke},
    record::{key::untyped, rewrite},
};

/// The row without types, which nothing but such columns end with; `None` if none of them tells that it is of an event.
pub fn row(row: &Object<'_, '_>) -> Option<Vec<u8>> {
    let is_of_event = |key: &str| {
        let name = untyped(key);
        name != key && (is_anchor(name, UNDERSCORE) || gke::PAYLOADS.contains(&name))
    };
    if !row.iter().any(|(key, _)| is_of_event(key)) {
        return None;
    }
    let mut out = Vec::new();
    let told = row.iter().filter(|(key, value)| is_told(key, *value));
    rewrite::fields(told, &mut out, |(key, value), out| {
        rewrite::field(untyped(key), value, 0, out);
    });
    Some(out)
}

/// Where values of one field had several types, each type has a column, and all but one are empty.
fn is_told(key: &str, value: Json<'_>) -> bool {
    untyped(key) == key || !(value.is_null() || value.into_string() == Some(""))
}
