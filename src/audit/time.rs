//! How a point in time is written.

use jiff::Timestamp;

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
