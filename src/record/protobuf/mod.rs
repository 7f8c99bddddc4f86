//! Protobuf, read where it lies, and the log events of Vector in it: no copy, no allocation. And the values of OpenTelemetry.
//!
//! Whatever a length says, only what is there is read: a length of 4 GB costs nothing. Numbers that are longer than they need
//! be are taken, as every reader of protobuf takes them.
//!
//! Vector's `PushEventsRequest` is a run of *entries*, each an event in a wrapper. They are searched as they are
//! ([`crate::detect`]); a log that may concern a decoy is written as JSON and goes the way of any record.

mod any_value;
mod event;
mod json;

use super::stream::run::run;

pub(crate) use any_value::{key_and_value, write_any_value, write_attribute};
pub use event::{Broken, Span, Token, is_log, walk};
pub(crate) use json::write_broken;
pub use json::{write_entry, write_record, write_texts, write_torn_texts};

/// Why a field cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The bytes end before the field does.
    #[error("the bytes end within a field")]
    CutOff,
    /// They are no field of protobuf, or one that does not belong here.
    #[error("bytes are no field of an event")]
    Malformed,
}

/// A field of a message: its number, and what it holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field<'b> {
    /// At least 1.
    pub number: u32,
    pub value: Value<'b>,
}

/// What a field may hold. What it means, only its number tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'b> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    /// A string, bytes, or a message.
    Bytes(&'b [u8]),
}

/// The greatest number that a field may have.
const MAX_NUMBER: u64 = (1 << 29) - 1;

/// Bytes of a number, at most.
const MAX_VARINT_BYTES: usize = 10;

impl<'b> Field<'b> {
    /// The field at the beginning of `bytes`, and its length in bytes.
    ///
    /// # Errors
    /// If none is there, whole. Groups, which nobody writes any more, are none.
    pub fn read(bytes: &'b [u8]) -> Result<(Self, usize), Fault> {
        let (number, wire_type, mut at) = tag(bytes)?;
        let rest = &bytes[at..];
        let value = match wire_type {
            0 => {
                let (number, length) = varint(rest)?;
                at += length;
                Value::Varint(number)
            }
            1 => {
                at += 8;
                let bytes = rest.first_chunk().ok_or(Fault::CutOff)?;
                Value::Fixed64(u64::from_le_bytes(*bytes))
            }
            2 => {
                let (length, header) = varint(rest)?;
                let rest = &rest[header..];
                let length = usize::try_from(length).map_err(|_| Fault::CutOff)?;
                let body = rest.get(..length).ok_or(Fault::CutOff)?;
                at += header + length;
                Value::Bytes(body)
            }
            5 => {
                at += 4;
                let bytes = rest.first_chunk().ok_or(Fault::CutOff)?;
                Value::Fixed32(u32::from_le_bytes(*bytes))
            }
            _ => return Err(Fault::Malformed),
        };
        Ok((Self { number, value }, at))
    }

    /// What is there of the field at the beginning of `bytes`, if its length is there, and says that it is longer.
    pub(crate) fn cut_off(bytes: &'b [u8]) -> Option<Self> {
        let (number, wire_type, at) = tag(bytes).ok()?;
        let (_, header) = varint(&bytes[at..]).ok()?;
        let value = Value::Bytes(&bytes[at + header..]);
        (wire_type == 2).then_some(Self { number, value })
    }
}

/// The number of a field, its wire type, and where what it holds begins.
fn tag(bytes: &[u8]) -> Result<(u32, u64, usize), Fault> {
    let (tag, at) = varint(bytes)?;
    let number = tag >> 3;
    if number == 0 || number > MAX_NUMBER {
        return Err(Fault::Malformed);
    }
    // It has 29 bits.
    Ok((number as u32, tag & 7, at))
}

/// The fields of a message; at last a fault, if something else follows.
pub(crate) fn whole_fields(message: &[u8]) -> impl Iterator<Item = Result<Field<'_>, Fault>> {
    let mut rest = message;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let read = Field::read(rest);
        rest = read.map_or(b"", |(_, length)| &rest[length..]);
        Some(read.map(|(field, _)| field))
    })
}

/// Tells `say` the fields of a message: the number of each, and what it holds; of one that is cut off, what is there.
///
/// # Errors
/// Why they cannot all be read, and what is left then.
pub(crate) fn fields<'b>(
    message: &'b [u8],
    say: &mut dyn FnMut(u32, Value<'b>),
) -> Result<(), (Fault, &'b [u8])> {
    let mut rest = message;
    while !rest.is_empty() {
        let (field, length) = match Field::read(rest) {
            Ok(read) => read,
            Err(fault) => {
                let there = Field::cut_off(rest).filter(|_| fault == Fault::CutOff);
                let Some(there) = there else {
                    return Err((fault, rest));
                };
                say(there.number, there.value);
                return Err((fault, b""));
            }
        };
        say(field.number, field.value);
        rest = &rest[length..];
    }
    Ok(())
}

/// The entries of which a `PushEventsRequest` is a run, each a field with its header; at last a fault, if something else
/// follows.
pub fn entries(request: &[u8]) -> impl Iterator<Item = Result<&[u8], Fault>> {
    run(request, |rest| Field::read(rest).map(|(_, length)| length))
}

/// The number at the beginning of `bytes`, seven bits a byte, the lowest first, and its length.
fn varint(bytes: &[u8]) -> Result<(u64, usize), Fault> {
    let mut number = 0;
    for (place, byte) in bytes.iter().take(MAX_VARINT_BYTES).enumerate() {
        // The tenth has room for one bit.
        if place + 1 == MAX_VARINT_BYTES && *byte > 1 {
            return Err(Fault::Malformed);
        }
        number |= u64::from(byte & 0x7f) << (7 * place);
        if *byte < 0x80 {
            return Ok((number, place + 1));
        }
    }
    Err(Fault::CutOff)
}
