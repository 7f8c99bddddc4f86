//! The entries that shippers send.

use jiff::Timestamp;

use super::{Fault, Token, walk};
use crate::{
    audit::{from_epoch, from_epoch_fraction},
    record::stream::run::run,
};

/// The extension type of Fluentd's EventTime: seconds and nanoseconds, of four bytes each.
const EVENT_TIME: i8 = 0;

/// The values of which `bytes` are a run, one after the other; at last a fault, if something else follows.
pub fn entries(bytes: &[u8]) -> impl Iterator<Item = Result<&[u8], Fault>> {
    run(bytes, length)
}

/// The length of the entry at the beginning of `bytes`.
///
/// # Errors
/// If it is not whole, or none.
pub fn length(bytes: &[u8]) -> Result<usize, Fault> {
    match bytes.first() {
        Some(0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xca..=0xd3 | 0xe0..=0xff) => Err(Fault::NoEntry),
        _ => walk::length(bytes),
    }
}

/// Whether `bytes` begin as entries do, and as no text does: with a map, or a time and a map, perhaps cut off.
pub fn begins_with_entry(bytes: &[u8]) -> bool {
    let record = parts(bytes).map_or(bytes, |parts| parts.rest);
    let Ok((Token::Map(pairs), length)) = Token::read(record) else {
        return false;
    };
    pairs == 0
        || matches!(
            Token::read(&record[length..]),
            Ok((Token::Str(_) | Token::Bin(_), _))
        )
}

/// The parts of one entry, which need not be whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Parts<'b> {
    pub time: Option<Timestamp>,
    /// What stands beside the time.
    pub metadata: &'b [u8],
    /// All that stands behind the time: so many values, the first of which is the record.
    pub rest: &'b [u8],
    pub count: u32,
}

/// Takes `entry` apart; `None` if it is a record by itself.
pub(super) fn parts(entry: &[u8]) -> Option<Parts<'_>> {
    let (Ok((Token::Array(length @ 2..), header)), behind) = (Token::read(entry), entry) else {
        return None;
    };
    let behind = &behind[header..];
    let (first, token) = Token::read(behind).ok()?;
    let (time, metadata, rest) = match first {
        Token::Array(2) => {
            let (time, token) =
                time(&behind[token..]).map(|(time, length)| (time, token + length))?;
            let metadata = &behind[token..];
            let (metadata, rest) = metadata.split_at(walk::length(metadata).ok()?);
            (time, metadata, rest)
        }
        _ => {
            let (time, token) = time(behind)?;
            (time, [].as_slice(), &behind[token..])
        }
    };
    Some(Parts {
        time,
        metadata,
        rest,
        count: length - 1,
    })
}

/// The time at the beginning of `bytes`, as far as it can be one, and the length of its token; `None` if no time stands there.
fn time(bytes: &[u8]) -> Option<(Option<Timestamp>, usize)> {
    let (token, length) = Token::read(bytes).ok()?;
    let time = match token {
        Token::Integer(seconds) => i64::try_from(seconds).ok().and_then(from_epoch),
        Token::Float(seconds) => from_epoch_fraction(seconds),
        Token::Ext(EVENT_TIME, body) => event_time(body),
        Token::Nil => None,
        _ => return None,
    };
    Some((time, length))
}

fn event_time(body: &[u8]) -> Option<Timestamp> {
    let (seconds, nanoseconds) = body.split_first_chunk::<4>()?;
    let seconds = u32::from_be_bytes(*seconds);
    let nanoseconds = u32::from_be_bytes(nanoseconds.try_into().ok()?);
    Timestamp::new(seconds.into(), nanoseconds.try_into().ok()?).ok()
}
