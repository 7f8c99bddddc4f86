//! From when to when.

use jiff::Timestamp;

use crate::{audit::to_microsecond, detect::Detection};

/// A span of event time, half open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Its first moment. Default the beginning of time.
    pub from: Option<Timestamp>,
    /// The first moment behind it. Default the end of time.
    pub to: Option<Timestamp>,
}

impl Window {
    /// Whether `detection` falls into it, which was read at `arrival`. An event that tells no time is no younger than its arrival,
    /// and may be any older: it falls outside only if all of that lies before the window.
    pub(super) fn holds(&self, detection: &Detection, arrival: Timestamp) -> bool {
        let is_known = detection.time != to_microsecond(arrival);
        self.from.is_none_or(|from| detection.time >= from)
            && (!is_known || self.to.is_none_or(|to| detection.time < to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::example::{self, time};

    #[test]
    fn it_has_its_first_moment_and_not_its_last() {
        let window = Window {
            from: Some(time("2026-11-23T00:00:00Z")),
            to: Some(time("2026-11-24T00:00:00Z")),
        };
        let holds = |at: &str, arrival: &str| {
            let detection = Detection {
                time: time(at),
                ..example::detection()
            };
            window.holds(&detection, time(arrival))
        };
        let later = "2026-12-01T00:00:00.123456789Z";
        assert!(!holds("2026-11-22T23:59:59.999999Z", later));
        assert!(holds("2026-11-23T00:00:00Z", later));
        assert!(holds("2026-11-23T23:59:59.999999Z", later));
        assert!(!holds("2026-11-24T00:00:00Z", later));
        // What tells no time may lie in it, unless it was read before.
        assert!(holds("2026-12-01T00:00:00.123456Z", later));
        let earlier = "2026-11-22T00:00:00Z";
        assert!(!holds(earlier, earlier));
    }
}
