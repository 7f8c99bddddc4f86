//! Events and entries as they were written, before a store or a shipper changed their shape.
//!
//! Each of these forms is written anew as JSON with the keys of its writer, and is searched as a layer of its own.

use simd_json::{prelude::*, tape::Object};

use super::{key::at, rewrite};
use crate::audit::gke;

pub(super) mod any_value;
mod elastic;
mod flattened;
mod implied;
mod ocsf;
mod opentelemetry;
mod recased;
mod remapped;
mod respelled;
mod sentinel;
mod stringified;
pub(super) mod table;
mod tagged;
mod typed;

pub use flattened::{is_of_pod, leads_to_event};

/// There is no way to tell what an object was: it has two readings, such as `{"a":[],"a.b":2}`, of which neither may hide the other, or says too
/// little.
#[derive(Debug, PartialEq, Eq)]
pub struct Unclear;

/// What `object`, which may be an event as it is, was before a store made text of its parts, joined its keys, changed their case or took
/// other keys, or dropped what only an encoded path still tells, if one did.
pub fn restored(object: &Object<'_, '_>, is_event: bool) -> Option<Result<Vec<u8>, Unclear>> {
    let foreign = ocsf::restored(object)
        .or_else(|| elastic::entry(object))
        .or_else(|| elastic::renamed(object))
        .or_else(|| opentelemetry::entry(object))
        .or_else(|| sentinel::event(object));
    if foreign.is_some() {
        return foreign;
    }
    let reshaped = if is_event {
        tagged::event(object)
            .or_else(|| stringified::event(object))
            .or_else(|| remapped::event(object))
            .or_else(|| implied::event(object))
    } else if gke::Entry::is_one(object) {
        stringified::entry(object).or_else(|| respelled::entry(object))
    } else {
        typed::row(object)
            .or_else(|| recased::event(object))
            .or_else(|| respelled::entry(object))
            .or_else(|| any_value::map(object))
    };
    reshaped.map(Ok).or_else(|| flattened::restored(object))
}

/// The JSON that was kept as it came at `path` of `object`, if all of `marks` stand in it.
fn kept(object: &Object<'_, '_>, path: &str, marks: &[&str]) -> Option<Vec<u8>> {
    let text = at(object, path)?.into_string()?;
    let is_it = marks.iter().all(|mark| text.contains(mark)) && rewrite::is_json(text, &['{']);
    is_it.then(|| text.as_bytes().to_vec())
}
