//! Bounds on the numbers and lists that are read of the stored state.

use serde::{Deserialize, Deserializer, de::Error};

/// Largest number that is read: one that counts from here stays within 64 bits for good, and
/// every reader of JSON knows it exactly.
pub(super) const MOST: u64 = 1 << 53;

/// A number that will be counted on from.
pub(super) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = u64::deserialize(deserializer)?;
    if number > MOST {
        return Err(D::Error::custom("a number is too large"));
    }
    Ok(number)
}

/// The same, of what would not be there if there were none.
pub(super) fn positive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    match count(deserializer)? {
        0 => Err(D::Error::custom("a count is zero")),
        number => Ok(number),
    }
}

/// A list of at most `N`.
pub(super) fn at_most<'de, const N: usize, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let list = Vec::deserialize(deserializer)?;
    if list.len() > N {
        return Err(D::Error::custom(format_args!("a list is longer than {N}")));
    }
    Ok(list)
}
