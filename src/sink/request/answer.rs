//! What the answer to a request means, whoever gave it.

use std::time::Duration;

use jiff::{Timestamp, fmt::rfc2822};
use reqwest::StatusCode;

/// Longer waits are not believed: a receiver that names one is mistaken.
const RETRY_AFTER_MOST: Duration = Duration::from_secs(3600);

/// What is to be done about a message after one try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sink) enum Verdict {
    /// It has arrived.
    Delivered,
    /// Too many requests: nothing is wrong, wait.
    Throttled,
    /// The receiver is in trouble: try again.
    Unavailable,
    /// Something is wrong with this message: others may pass.
    MessageRefused,
    /// Something is wrong with the URL or the configuration, such as a webhook that was withdrawn or a media type that
    /// is not taken: no message will pass until somebody mends it.
    ReceiverRefused,
}

impl Verdict {
    pub fn of(status: StatusCode) -> Self {
        match status.as_u16() {
            200..=299 => Self::Delivered,
            429 => Self::Throttled,
            408 | 425 | 500..=599 => Self::Unavailable,
            400 | 409 | 413 | 414 | 422 | 431 => Self::MessageRefused,
            // Whatever else it is, another message would fare no better.
            _ => Self::ReceiverRefused,
        }
    }
}

/// The wait that a `Retry-After` of seconds or of an HTTP date asks for, at most an hour.
/// `None` if it is neither.
pub(super) fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let secs = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // Only a number beyond 64 bits does not parse.
        value.parse().unwrap_or(u64::MAX)
    } else {
        let until = rfc2822::parse(value).ok()?.timestamp();
        u64::try_from(until.as_second() - now.as_second()).unwrap_or(0)
    };
    Some(Duration::from_secs(secs).min(RETRY_AFTER_MOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_and_never_absurd() {
        let now = "2026-11-23T17:21:08Z".parse().unwrap();
        let secs = |value| retry_after(value, now).map(|wait| wait.as_secs());
        assert_eq!(secs("30"), Some(30));
        assert_eq!(secs(" 0 "), Some(0));
        assert_eq!(secs("86400"), Some(3600));
        assert_eq!(secs("99999999999999999999999"), Some(3600));
        assert_eq!(secs("Mon, 23 Nov 2026 17:21:20 GMT"), Some(12));
        assert_eq!(secs("Mon, 23 Nov 2026 17:00:00 GMT"), Some(0));
        assert_eq!(secs("Wed, 01 Jan 2098 00:00:00 GMT"), Some(3600));
        for nonsense in ["", "soon", "-5", "1.5", "Mon, 99 Nov 2026 17:21:20 GMT"] {
            assert_eq!(secs(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn each_status_says_what_is_wrong() {
        use Verdict::*;
        for (status, verdict) in [
            (200, Delivered),
            (204, Delivered),
            (302, ReceiverRefused),
            (400, MessageRefused),
            (401, ReceiverRefused),
            (403, ReceiverRefused),
            (404, ReceiverRefused),
            (408, Unavailable),
            (409, MessageRefused),
            (410, ReceiverRefused),
            (413, MessageRefused),
            (415, ReceiverRefused),
            (429, Throttled),
            (500, Unavailable),
            (503, Unavailable),
        ] {
            assert_eq!(
                Verdict::of(StatusCode::from_u16(status).unwrap()),
                verdict,
                "{status}"
            );
        }
    }
}
