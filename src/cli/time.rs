//! Times as a person writes them on the command line.

use jiff::{
    Span, Timestamp, ToSpan,
    civil::{Date, DateTime},
    tz::Offset,
};

/// The first moment that `text` means.
pub(super) fn since(text: &str) -> Result<Timestamp, String> {
    parse(text, Timestamp::now()).map(|(first, _)| first)
}

/// The last moment that `text` means: of a date, the end of the day.
pub(super) fn until(text: &str) -> Result<Timestamp, String> {
    parse(text, Timestamp::now()).map(|(_, last)| last)
}

/// The first and the last moment of what is meant; what names no zone is in UTC.
fn parse(text: &str, now: Timestamp) -> Result<(Timestamp, Timestamp), String> {
    let moment = if text.contains('[') {
        // The names of zones are not known here.
        None
    } else if let Ok(time) = text.parse() {
        Some((time, time))
    } else if text.contains(':') {
        in_utc(text).map(|time| (time, time))
    } else if let Ok(date) = text.parse::<Date>() {
        day(date)
    } else {
        back(text, now).map(|time| (time, time))
    };
    moment.ok_or_else(|| {
        "write a time (2026-11-23T17:21:08Z, or with an offset: 2026-11-23T18:21:08+01:00), a date (2026-11-23), or a span \
         back from now (2h, 7d)"
            .to_owned()
    })
}

/// A time as tables show it.
fn in_utc(text: &str) -> Option<Timestamp> {
    Offset::UTC.to_timestamp(text.parse().ok()?).ok()
}

fn day(date: Date) -> Option<(Timestamp, Timestamp)> {
    let start = |date: Date| Offset::UTC.to_timestamp(date.into()).ok();
    let next = start(date.tomorrow().ok()?)?;
    Some((start(date)?, next.checked_sub(1.nanosecond()).ok()?))
}

fn back(text: &str, now: Timestamp) -> Option<Timestamp> {
    let span: Span = text.parse().ok()?;
    let then: DateTime = Offset::UTC.to_datetime(now).checked_sub(span.abs()).ok()?;
    Offset::UTC.to_timestamp(then).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::format::example::time;

    fn now() -> Timestamp {
        time("2026-11-23T17:21:08Z")
    }

    #[test]
    fn times_dates_and_spans() {
        for (text, first, last) in [
            (
                "2026-11-23T17:21:08.912184Z",
                "2026-11-23T17:21:08.912184Z",
                None,
            ),
            ("2026-11-23T18:21:08+01:00", "2026-11-23T17:21:08Z", None),
            ("2026-11-23 17:21:08", "2026-11-23T17:21:08Z", None),
            ("2026-11-23T17:21", "2026-11-23T17:21:00Z", None),
            (
                "2026-11-23",
                "2026-11-23T00:00:00Z",
                Some("2026-11-23T23:59:59.999999999Z"),
            ),
            ("2h", "2026-11-23T15:21:08Z", None),
            ("7d", "2026-11-16T17:21:08Z", None),
            ("1w 2d", "2026-11-14T17:21:08Z", None),
            ("1h 30m", "2026-11-23T15:51:08Z", None),
            ("2h ago", "2026-11-23T15:21:08Z", None),
            ("3 months", "2026-08-23T17:21:08Z", None),
            ("PT90S", "2026-11-23T17:19:38Z", None),
        ] {
            let wanted = (time(first), time(last.unwrap_or(first)));
            assert_eq!(parse(text, now()), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn anything_else_is_told_how_to_be_written() {
        for text in [
            "",
            "yesterday",
            "7",
            "2026",
            "23.11.2026",
            "2026-13-01",
            "2026-02-30",
            "25:00",
            "17:21",
            "99999y",
            "-9999-01-01",
            "9999-12-31",
            "2026-11-23T23:00[Asia/Tokyo]",
            "2026-11-23T23:00+09:00[Asia/Tokyo]",
            "2026-11-23[Asia/Tokyo]",
        ] {
            assert!(
                parse(text, now()).is_err_and(|said| said.contains("2h, 7d")),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[0-9TZ:+. a-z-]{0,24}|\\PC{0,12}", now in any::<i32>()) {
            let _ = parse(&text, Timestamp::from_second(now.into()).unwrap());
        }
    }
}
