//! How a point in time is written, and read.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

/// RFC 3339 in UTC with six digits of fraction, as the API server writes it:
/// `2026-11-23T17:21:08.912184Z`.
pub fn wire_time(time: Timestamp) -> String {
    format!("{time:.6}")
}

/// `time` as [`wire_time`] can write it.
pub fn to_microsecond(time: Timestamp) -> Timestamp {
    // It is only brought nearer to 1970: it stays in range.
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}

/// RFC 3339, or a date and time without a zone, which some stores keep: then UTC.
pub fn parse_time(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| {
        let local: DateTime = text.parse().ok()?;
        TimeZone::UTC.to_timestamp(local).ok()
    })
}

/// Since 1970: seconds, milliseconds, microseconds or nanoseconds, told apart by how many they are.
/// Each unit reaches from 1973 to 5138.
pub fn from_epoch(number: i64) -> Option<Timestamp> {
    match number.unsigned_abs() {
        0..100_000_000_000 => Timestamp::from_second(number),
        100_000_000_000..100_000_000_000_000 => Timestamp::from_millisecond(number),
        100_000_000_000_000..100_000_000_000_000_000 => Timestamp::from_microsecond(number),
        _ => Timestamp::from_nanosecond(number.into()),
    }
    .ok()
}
