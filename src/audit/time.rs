//! How a point in time is written, and read.

use std::borrow::Cow;

use jiff::{
    Timestamp,
    civil::DateTime,
    tz::{Offset, TimeZone},
};

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

/// RFC 3339, and what stores and log lines make of it: a space for the `T`, a comma before the fraction, `UTC` or an offset
/// behind another space, no zone, which then is UTC, or a number as [`from_epoch`] takes it. A mere date is no time: it would
/// be taken for midnight.
pub fn parse_time(text: &str) -> Option<Timestamp> {
    of_server(text).or_else(|| of_others(text))
}

/// `text` as the API server writes the time that it is, whatever a store has made of it; what is no time stays.
pub fn as_server(text: &str) -> Cow<'_, str> {
    match of_server(text) {
        Some(_) => text.into(),
        None => of_others(text).map_or(text.into(), |time| wire_time(time).into()),
    }
}

/// A time just as [`wire_time`] writes it: so are most, and two in each event.
fn of_server(text: &str) -> Option<Timestamp> {
    let text: &[u8; 27] = text.as_bytes().try_into().ok()?;
    let marks = [4, 7, 10, 13, 16, 19, 26].map(|at| text[at]);
    if marks != *b"--T::.Z" {
        return None;
    }
    let number = |start: usize, end: usize| {
        text[start..end].iter().try_fold(0, |number: i32, digit| {
            let digit = digit.wrapping_sub(b'0');
            (digit < 10).then(|| number * 10 + i32::from(digit))
        })
    };
    let small =
        |start: usize| number(start, start + 2).and_then(|number| i8::try_from(number).ok());
    let year = i16::try_from(number(0, 4)?).ok()?;
    let nanosecond = number(20, 26)? * 1000;
    let time = DateTime::new(
        year,
        small(5)?,
        small(8)?,
        small(11)?,
        small(14)?,
        small(17)?,
        nanosecond,
    );
    Offset::UTC.to_timestamp(time.ok()?).ok()
}

fn of_others(text: &str) -> Option<Timestamp> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return from_epoch(text.parse().ok()?);
    }
    // `1795454468.912184`, or `1.795454468912184E9`, as BigQuery's API has it.
    let is_of_number = |byte: u8| byte.is_ascii_digit() || b".eE+".contains(&byte);
    if text.bytes().all(is_of_number) {
        return from_epoch_fraction(text.parse().ok()?);
    }
    let in_utc = ["UTC", "GMT", "Z"]
        .iter()
        .find_map(|zone| text.strip_suffix(zone)?.strip_suffix(' '));
    let text = in_utc.unwrap_or(text);
    text.parse()
        .ok()
        .or_else(|| without_zone(text))
        .or_else(|| behind_space(text))
        .or_else(|| of_portal(text))
        .or_else(|| of_kibana(text))
}

/// A time of day without a zone.
fn without_zone(text: &str) -> Option<Timestamp> {
    let local: DateTime = text.contains(':').then(|| text.parse().ok()).flatten()?;
    TimeZone::UTC.to_timestamp(local).ok()
}

/// A time with its offset behind a space.
fn behind_space(text: &str) -> Option<Timestamp> {
    let (local, offset) = text.rsplit_once(' ')?;
    offset
        .starts_with(['+', '-'])
        .then(|| format!("{local}{offset}").parse().ok())?
}

/// A time in UTC as Azure's portal exports it, in American English: `11/23/2026, 5:21:08.912 PM`. A browser may have a narrow space
/// before the last word.
fn of_portal(text: &str) -> Option<Timestamp> {
    let text = text
        .ends_with('M')
        .then(|| text.replace('\u{202f}', " ").replace(',', ""))?;
    let local = DateTime::strptime("%m/%d/%Y %I:%M:%S%.f %p", text).ok()?;
    TimeZone::UTC.to_timestamp(local).ok()
}

/// A time as Kibana shows and exports it, which is in UTC if that is what it was set to: `Nov 23, 2026 @ 17:21:08.912`.
fn of_kibana(text: &str) -> Option<Timestamp> {
    let local = DateTime::strptime("%b %d, %Y @ %H:%M:%S%.f", text).ok()?;
    TimeZone::UTC.to_timestamp(local).ok()
}

/// The second since 1970 in which the year of Kubernetes' first release began. What would be a time before is a number of
/// something else, such as an account.
const FIRST_SECOND: i64 = 1_388_534_400;

/// Since 1970: seconds, milliseconds, microseconds or nanoseconds, told apart by how many they are.
/// Each unit reaches to 5138.
pub fn from_epoch(number: i64) -> Option<Timestamp> {
    let time = match number {
        ..100_000_000_000 => Timestamp::from_second(number),
        100_000_000_000..100_000_000_000_000 => Timestamp::from_millisecond(number),
        100_000_000_000_000..100_000_000_000_000_000 => Timestamp::from_microsecond(number),
        _ => Timestamp::from_nanosecond(number.into()),
    };
    time.ok().filter(|time| time.as_second() >= FIRST_SECOND)
}

/// As [`from_epoch`], to the microsecond, which is what such a number can tell.
pub fn from_epoch_fraction(number: f64) -> Option<Timestamp> {
    // What is out of range, or no number, becomes the nearest that is in it, or 0.
    let microseconds = match from_epoch(number as i64)? {
        _ if number < 1e11 => number * 1e6,
        _ if number < 1e14 => number * 1e3,
        _ if number < 1e17 => number,
        _ => number / 1e3,
    };
    Timestamp::from_microsecond(microseconds.round() as i64).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_read_as_stores_write_them() {
        let time = |fraction: &str| format!("2026-11-23T17:21:08{fraction}Z");
        for (text, wanted) in [
            ("2026-11-23T17:21:08.912184Z", time(".912184")),
            ("2026-11-23T19:21:08.912184+02:00", time(".912184")),
            ("2026-11-23 17:21:08.912", time(".912")),
            ("2026-11-23T17:21:08", time("")),
            ("2026-11-23 17:21:08,912", time(".912")),
            ("2026-11-23 17:21:08.912184 UTC", time(".912184")),
            ("2026-11-23 17:21:08 GMT", time("")),
            ("2026-11-23 17:21:08.912 Z", time(".912")),
            ("2026-11-23 17:21:08.912184 +00:00", time(".912184")),
            ("2026-11-23 19:21:08.912184 +0200", time(".912184")),
            ("2026-11-23 12:21:08.9 -05:00", time(".9")),
            ("2026-11-23 17:21:08.912184 +0000 UTC", time(".912184")),
            ("11/23/2026, 5:21:08.912 PM", time(".912")),
            ("11/23/2026, 05:21:08\u{202f}PM", time("")),
            ("11/23/2026 5:21:08 PM", time("")),
            ("Nov 23, 2026 @ 17:21:08.912", time(".912")),
            ("1.795454468912184E9", time(".912184")),
            ("1.795454468912e+12", time(".912")),
            ("1795454468", time("")),
            ("1795454468.912", time(".912")),
            ("1795454468.912184", time(".912184")),
            ("1795454468912", time(".912")),
            ("1795454468912.184", time(".912184")),
            ("1795454468912184", time(".912184")),
        ] {
            let read = parse_time(text);
            assert_eq!(read.map(|time| time.to_string()), Some(wanted), "{text}");
            assert_eq!(Some(as_server(text).into_owned()), read.map(wire_time));
        }
    }

    #[test]
    fn what_tells_no_time_of_day_is_no_time() {
        for text in [
            "2026-11-23",
            "20261123",
            "2026-11-23 UTC",
            "2026-11-23 +02:00",
            "17:21:08",
            "2026",
            "12",
            "1.5",
            "1E9E9",
            "e",
            "+",
            "Nov 23, 2026",
            "-1795454468",
            "123456789012",
            "999999999999",
            "NaN",
            "inf",
            ".",
            "",
            "UTC",
            " UTC",
            "99999999999999999999999999",
            "11/23/2026",
            "23/11/2026, 5:21:08 PM",
            "11/23/2026, 17:21:08 PM",
            "AM",
        ] {
            assert_eq!(parse_time(text), None, "{text}");
        }
        assert_eq!(from_epoch(12), None);
        assert_eq!(from_epoch_fraction(f64::NAN), None);
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC{0,40}", whole in any::<i64>(), number in any::<f64>()) {
            parse_time(&text);
            from_epoch(whole);
            from_epoch_fraction(number);
        }

        #[test]
        fn what_is_read_as_of_the_server_is_read_so_of_others(
            text in "[0-9]{4}-[0-1][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]\\.[0-9]{6}Z",
        ) {
            if let Some(time) = of_server(&text) {
                prop_assert_eq!(Some(time), of_others(&text));
                prop_assert_eq!(wire_time(time), text);
            }
        }

        #[test]
        fn a_time_is_the_same_in_every_shape(microsecond in 1_400_000_000_000_000_i64..4_000_000_000_000_000) {
            let time = Timestamp::from_microsecond(microsecond).unwrap();
            prop_assert_eq!(of_server(&wire_time(time)), Some(time));
            let civil = wire_time(time).replace('T', " ");
            let civil = civil.trim_end_matches('Z');
            for text in [
                wire_time(time),
                civil.to_owned(),
                civil.replace('.', ","),
                format!("{civil} UTC"),
                format!("{civil} +00:00"),
                format!("{civil} +0000 UTC"),
                microsecond.to_string(),
                format!("{}.{:06}", microsecond / 1_000_000, microsecond % 1_000_000),
            ] {
                prop_assert_eq!(parse_time(&text), Some(time), "{}", text);
            }
        }
    }
}
