//! The values of OpenTelemetry, as JSON: its `common.proto`.
//!
//! | message | fields |
//! | --- | --- |
//! | `AnyValue` | one of `string_value = 1`, `bool_value = 2`, `int_value = 3`, `double_value = 4`, `array_value = 5`, `kvlist_value = 6`, `bytes_value = 7` |
//! | `ArrayValue`, `KeyValueList` | `values = 1`, many |
//! | `KeyValue` | `key = 1`, `value = 2` |
//!
//! Nothing is passed: what has another form is a fault, since nobody can say what it means.

use std::io::Write;

use super::{Fault, Field, Value, whole_fields};
use crate::record::{
    rewrite::{self, lossy_text},
    stream::packing,
    unwrap::encoded,
};

/// Values in one another, at most: more than are searched.
const MAX_DEPTH: usize = 128;

/// Appends `value`, an `AnyValue`. Text that is packed is written as wrappers write that.
///
/// # Errors
/// If it cannot be read. What was appended is no JSON then.
pub(crate) fn write_any_value(value: &[u8], into: &mut Vec<u8>) -> Result<(), Fault> {
    write(value, 0, into)
}

/// Appends the pairs of an object, of `pair`, a `KeyValue`, and of those before.
///
/// # Errors
/// As [`write_any_value`].
pub(crate) fn write_attribute(pair: &[u8], into: &mut Vec<u8>) -> Result<(), Fault> {
    write_pair(pair, 0, into)
}

/// The key of `pair`, a `KeyValue`, and its value, an `AnyValue`.
///
/// # Errors
/// If it cannot be read, or holds something else.
pub(crate) fn key_and_value(pair: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    let (mut key, mut value) = (None, None);
    for field in whole_fields(pair) {
        let place = match field? {
            Field {
                number: 1,
                value: Value::Bytes(bytes),
            } => key.replace(bytes),
            Field {
                number: 2,
                value: Value::Bytes(bytes),
            } => value.replace(bytes),
            _ => return Err(Fault::Malformed),
        };
        if place.is_some() {
            return Err(Fault::Malformed);
        }
    }
    Ok((key.unwrap_or_default(), value.unwrap_or_default()))
}

fn write_pair(pair: &[u8], depth: usize, into: &mut Vec<u8>) -> Result<(), Fault> {
    let (key, value) = key_and_value(pair)?;
    if !into.ends_with(b"{") {
        into.push(b',');
    }
    lossy_text(key, into);
    into.push(b':');
    write(value, depth, into)
}

/// Of a value that lies in `depth` others.
fn write(value: &[u8], depth: usize, into: &mut Vec<u8>) -> Result<(), Fault> {
    let mut fields = whole_fields(value);
    let Some(field) = fields.next().transpose()? else {
        into.extend_from_slice(b"null");
        return Ok(());
    };
    if fields.next().is_some() {
        return Err(Fault::Malformed);
    }
    match (field.number, field.value) {
        (1 | 7, Value::Bytes(bytes)) if packing::is_packed(bytes) => encoded::write(bytes, into),
        (1 | 7, Value::Bytes(bytes)) => lossy_text(bytes, into),
        (2, Value::Varint(truth)) => number(truth != 0, into),
        (3, Value::Varint(integer)) => number(integer.cast_signed(), into),
        (4, Value::Fixed64(bits)) => rewrite::float(f64::from_bits(bits), into),
        (5 | 6, Value::Bytes(_)) if depth == MAX_DEPTH => return Err(Fault::Malformed),
        (5, Value::Bytes(array)) => {
            into.push(b'[');
            for item in whole_fields(array) {
                if !into.ends_with(b"[") {
                    into.push(b',');
                }
                write(element(item?)?, depth + 1, into)?;
            }
            into.push(b']');
        }
        (6, Value::Bytes(map)) => {
            into.push(b'{');
            for pair in whole_fields(map) {
                write_pair(element(pair?)?, depth + 1, into)?;
            }
            into.push(b'}');
        }
        _ => return Err(Fault::Malformed),
    }
    Ok(())
}

fn number(number: impl std::fmt::Display, into: &mut Vec<u8>) {
    // Memory takes all.
    let _ = write!(into, "{number}");
}

/// One of many, which are all that their message has.
fn element(field: Field<'_>) -> Result<&[u8], Fault> {
    match field {
        Field {
            number: 1,
            value: Value::Bytes(bytes),
        } => Ok(bytes),
        _ => Err(Fault::Malformed),
    }
}
