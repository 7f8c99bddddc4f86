//! Numbers: counts, times and sizes.

use std::{marker::PhantomData, time::Duration};

use jiff::SignedDuration;

use super::{kind::Kind, options::Scope, tree::Node};

/// A whole number, at least 1.
pub(crate) struct Count<T>(PhantomData<T>);

impl<T: TryFrom<i64> + ToString> Kind for Count<T> {
    type Value = T;

    fn wanted() -> String {
        "a whole number, at least 1".to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<T> {
        let count = node.as_integer().filter(|&count| count >= 1);
        match (count, count.and_then(|count| T::try_from(count).ok())) {
            (_, Some(count)) => Some(count),
            (Some(_), None) => scope.refuse(node, "is too large a number"),
            (None, None) => scope.wrong(node, &Self::wanted()),
        }
    }

    fn show(value: &T) -> String {
        value.to_string()
    }
}

/// A whole number, at least 0, that limits something; without one there is no limit.
pub(crate) struct Limit<const LEAST: u64>;

impl<const LEAST: u64> Kind for Limit<LEAST> {
    type Value = Option<u64>;

    fn wanted() -> String {
        format!("a whole number, at least {LEAST}")
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<Option<u64>> {
        match node.as_integer().map(u64::try_from) {
            Some(Ok(limit)) if limit >= LEAST => Some(Some(limit)),
            _ => scope.wrong(node, &Self::wanted()),
        }
    }

    fn show(value: &Option<u64>) -> String {
        value.map_or_else(|| "no limit".to_owned(), |limit| limit.to_string())
    }
}

/// The longest time that an option may name, in seconds: ten years. More can only be a
/// slip, and could not be added to a point in time.
const LONGEST_SECS: u32 = 315_360_000;

/// Reads a number of seconds.
fn seconds(node: &Node) -> Option<Duration> {
    let secs = node
        .as_float()
        .filter(|secs| (0.0..=f64::from(LONGEST_SECS)).contains(secs))?;
    Duration::try_from_secs_f64(secs).ok()
}

/// The value is no number of units, of which a second has `units`. One with a unit of its own, such as `15m`, is told
/// as it has to be written.
fn no_time<T>(node: &Node, scope: &mut Scope<'_, '_>, wanted: &str, units: i64) -> Option<T> {
    let text = node.as_text().filter(|text| text.is_literal());
    let time = text.and_then(|text| text.value.trim().parse::<SignedDuration>().ok());
    let time = time.filter(|time| time.is_positive() && time.subsec_nanos() == 0);
    match time.and_then(|time| time.as_secs().checked_mul(units)) {
        Some(number) => {
            let found = scope.found(node);
            scope.refuse(
                node,
                format!("must be {wanted}, found {found}; write {number}"),
            )
        }
        None => scope.wrong(node, wanted),
    }
}

/// Seconds, with or without a fraction; zero only where `ZERO` says so.
pub(crate) struct Seconds<const ZERO: bool>;

impl<const ZERO: bool> Kind for Seconds<ZERO> {
    type Value = Duration;

    fn wanted() -> String {
        let least = if ZERO {
            "from 0 to"
        } else {
            "above 0 and at most"
        };
        format!("a number of seconds {least} {LONGEST_SECS}")
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<Duration> {
        let read = seconds(node).filter(|time| ZERO || !time.is_zero());
        read.or_else(|| no_time(node, scope, &Self::wanted(), 1))
    }

    fn show(value: &Duration) -> String {
        value.as_secs_f64().to_string()
    }
}

/// Seconds above 0, with or without a fraction, after which something is done; without them it never is.
pub(crate) struct Patience;

impl Kind for Patience {
    type Value = Option<Duration>;

    fn wanted() -> String {
        Seconds::<false>::wanted()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<Option<Duration>> {
        Seconds::<false>::read(node, scope).map(Some)
    }

    fn show(value: &Option<Duration>) -> String {
        value
            .as_ref()
            .map_or_else(|| "never".to_owned(), Seconds::<false>::show)
    }
}

/// Whole seconds, at least 1.
pub(crate) struct WholeSeconds;

impl Kind for WholeSeconds {
    type Value = u64;

    fn wanted() -> String {
        format!("a whole number of seconds from 1 to {LONGEST_SECS}")
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<u64> {
        let secs = node
            .as_integer()
            .filter(|secs| (1..=i64::from(LONGEST_SECS)).contains(secs));
        secs.map(i64::unsigned_abs)
            .or_else(|| no_time(node, scope, &Self::wanted(), 1))
    }

    fn show(value: &u64) -> String {
        value.to_string()
    }
}

/// A status of HTTP that says yes: shippers send again, or throw away, what is answered any other.
pub(crate) struct Success;

impl Kind for Success {
    type Value = u16;

    fn wanted() -> String {
        "a whole number from 200 to 299".to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<u16> {
        let status = node
            .as_integer()
            .and_then(|status| u16::try_from(status).ok());
        status
            .filter(|status| (200..300).contains(status))
            .or_else(|| scope.wrong(node, &Self::wanted()))
    }

    fn show(value: &u16) -> String {
        value.to_string()
    }
}

/// Milliseconds, at least 1.
pub(crate) struct Milliseconds;

impl Kind for Milliseconds {
    type Value = Duration;

    fn wanted() -> String {
        format!("a whole number of milliseconds from 1 to {LONGEST_SECS}000")
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<Duration> {
        let longest = i64::from(LONGEST_SECS) * 1000;
        let millis = node
            .as_integer()
            .filter(|millis| (1..=longest).contains(millis));
        let time = millis.map(|millis| Duration::from_millis(millis.unsigned_abs()));
        time.or_else(|| no_time(node, scope, &Self::wanted(), 1000))
    }

    fn show(value: &Duration) -> String {
        value.as_millis().to_string()
    }
}

/// A size in bytes, as a number or with a unit.
pub(crate) struct Bytes;

const UNITS: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

impl Kind for Bytes {
    type Value = usize;

    fn wanted() -> String {
        "a number of bytes above 0, such as 65536 or \"16MiB\"".to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<usize> {
        let bytes = match (node.as_integer(), node.as_text()) {
            (Some(bytes), _) => u64::try_from(bytes).ok(),
            (None, Some(text)) => UNITS.iter().find_map(|(unit, size)| {
                let number = text.value.trim().strip_suffix(unit)?.trim_end();
                number.parse::<u64>().ok()?.checked_mul(*size)
            }),
            (None, None) => None,
        };
        // No allocation can be larger than isize::MAX.
        let bytes = bytes
            .and_then(|bytes| isize::try_from(bytes).ok())
            .filter(|&bytes| bytes > 0);
        bytes
            .map(isize::unsigned_abs)
            .or_else(|| scope.wrong(node, &Self::wanted()))
    }

    fn show(value: &usize) -> String {
        let binary = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        match binary
            .into_iter()
            .find(|(_, size)| *value >= *size && value.is_multiple_of(*size))
        {
            Some((unit, size)) => format!("{}{unit}", value / size),
            None => value.to_string(),
        }
    }
}
