//! Where to begin in a partition that was assigned.

use super::AutoOffsetReset;

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Start {
    pub offset: i64,
    /// Messages that were deleted before they were read.
    pub lost: u64,
    /// The group has committed nothing there, though what is kept says that it was read.
    pub is_forgotten: bool,
    /// Nobody says that it was ever read.
    pub is_new: bool,
}

/// A partition, and where to begin in it.
pub(super) struct Assigned {
    pub topic: String,
    pub number: i32,
    pub start: Start,
}

/// The later of what is `kept` and what the group has `committed` is how far the partition was read. What lies
/// beyond the end of what is `there` is of a topic that was made anew. So may be what is kept where nothing is committed, since the
/// brokers forget with a topic what groups have read of it: then all that is there is read, what was read before once more.
pub(super) fn start(
    kept: Option<i64>,
    committed: Option<i64>,
    there: std::ops::RangeInclusive<i64>,
    reset: AutoOffsetReset,
) -> Start {
    let (low, high) = there.into_inner();
    let is_possible = |offset: &i64| *offset <= high;
    let is_new = kept.is_none() && committed.is_none();
    let is_forgotten = kept.is_some() && committed.is_none();
    let (forgotten, kept) = (
        kept.filter(|_| is_forgotten),
        kept.filter(|_| !is_forgotten),
    );
    let known = kept.filter(is_possible).max(committed.filter(is_possible));
    let offset = match known {
        Some(offset) => offset.max(low),
        None if is_new && reset == AutoOffsetReset::Latest => high,
        None => low,
    };
    Start {
        offset,
        // Of a topic before this one there may have been more.
        lost: known
            .or(forgotten)
            .map_or(0, |known| u64::try_from(low - known).unwrap_or(0)),
        is_forgotten,
        is_new,
    }
}

#[cfg(test)]
mod tests {
    use proptest::{option, prelude::*};

    use super::*;

    fn earliest(kept: Option<i64>, committed: Option<i64>) -> (i64, u64) {
        let start = start(kept, committed, 10..=20, AutoOffsetReset::Earliest);
        (start.offset, start.lost)
    }

    #[test]
    fn the_later_of_both_counts_unless_it_cannot_be() {
        assert_eq!(earliest(Some(15), Some(12)), (15, 0));
        assert_eq!(earliest(Some(12), Some(15)), (15, 0));
        assert_eq!(earliest(Some(20), Some(10)), (20, 0));
        assert_eq!(earliest(None, Some(10)), (10, 0));
        // The store is of a topic before this one.
        assert_eq!(earliest(Some(21), Some(12)), (12, 0));
        assert_eq!(earliest(Some(99), None), (10, 0));
        assert_eq!(earliest(Some(99), Some(98)), (10, 0));
    }

    #[test]
    fn what_was_deleted_unread_is_counted() {
        assert_eq!(earliest(Some(3), Some(7)), (10, 3));
        assert_eq!(earliest(Some(0), Some(0)), (10, 10));
        assert_eq!(earliest(Some(0), None), (10, 10));
        assert_eq!(earliest(Some(99), Some(7)), (10, 3));
    }

    #[test]
    fn what_only_the_store_knows_may_be_of_a_topic_before_this_one() {
        for reset in [AutoOffsetReset::Earliest, AutoOffsetReset::Latest] {
            let start = start(Some(15), None, 10..=20, reset);
            assert_eq!((start.offset, start.lost), (10, 0));
            assert!(start.is_forgotten);
        }
    }

    #[test]
    fn the_reset_is_for_what_nobody_has_read() {
        let latest =
            |kept, committed| start(kept, committed, 10..=20, AutoOffsetReset::Latest).offset;
        assert_eq!(latest(None, None), 20);
        assert_eq!(latest(Some(3), None), 10);
        assert_eq!(latest(None, Some(99)), 10);
        assert_eq!(earliest(None, None), (10, 0));
    }

    proptest! {
        /// Nothing that is there and was not read is passed over.
        #[test]
        fn nothing_is_skipped(
            kept in option::of(0..40_i64), committed in option::of(0..40_i64), low in 0..20_i64, length in 0..20_i64,
        ) {
            let high = low + length;
            let start = start(kept, committed, low..=high, AutoOffsetReset::Earliest);
            prop_assert!((low..=high).contains(&start.offset));
            prop_assert!(start.offset == low || Some(start.offset) == kept || Some(start.offset) == committed);
            prop_assert!(start.lost == 0 || start.offset == low);
        }
    }
}
