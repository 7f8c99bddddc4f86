//! Numbers, times and durations as people read them.

use jiff::Timestamp;

pub(crate) use crate::dedupe::grouped;

/// From when to when, and how long that is.
pub(super) fn seen(first: Timestamp, last: Timestamp) -> String {
    let secs = u64::try_from(last.as_second() - first.as_second()).unwrap_or(0);
    let begin = format!("{} {}", date(first), clock(first));
    if secs == 0 {
        format!("{begin} UTC")
    } else if date(first) == date(last) {
        format!("{begin} to {} UTC ({})", clock(last), span(secs))
    } else {
        format!(
            "{begin} to {} {} UTC ({})",
            date(last),
            clock(last),
            span(secs)
        )
    }
}

/// `2026-11-23`, in UTC.
pub(crate) fn date(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d").to_string()
}

/// `17:21:08`, in UTC.
pub(crate) fn clock(time: Timestamp) -> String {
    time.strftime("%H:%M:%S").to_string()
}

/// A duration in its two greatest units: `1 h 1 min`.
pub(crate) fn span(secs: u64) -> String {
    let parts = [
        (secs / 86_400, "d"),
        (secs / 3600 % 24, "h"),
        (secs / 60 % 60, "min"),
        (secs % 60, "s"),
    ];
    let parts = parts
        .into_iter()
        .skip_while(|(amount, _)| *amount == 0)
        .take(2);
    let parts: Vec<_> = parts
        .filter(|(amount, _)| *amount > 0)
        .map(|(amount, unit)| format!("{} {unit}", grouped(amount)))
        .collect();
    if parts.is_empty() {
        "0 s".into()
    } else {
        parts.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::example::time;

    #[test]
    fn spans_read_well() {
        let spans: Vec<_> = [0, 59, 60, 754, 3600, 3661, 90_061].map(span).into();
        assert_eq!(
            spans,
            [
                "0 s",
                "59 s",
                "1 min",
                "12 min 34 s",
                "1 h",
                "1 h 1 min",
                "1 d 1 h"
            ]
        );
    }

    #[test]
    fn an_incident_over_midnight_shows_both_dates() {
        assert_eq!(
            seen(time("2026-11-23T23:59:00Z"), time("2026-11-24T00:01:00Z")),
            "2026-11-23 23:59:00 to 2026-11-24 00:01:00 UTC (2 min)"
        );
    }
}
