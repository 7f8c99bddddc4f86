//! The decoys that other baitlines tell of. Each has a budget of alerts of its own, and whoever may send can make decoys up: beyond a
//! number that no fleet's intruder touches at once, hits of further ones are told together, as those of one decoy, and counted.

use std::{
    borrow::Cow,
    num::{NonZeroU32, NonZeroUsize},
    sync::Arc,
};

use governor::DefaultDirectRateLimiter;
use lru::LruCache;
use tracing::warn;

use super::{passed::budget, told::OTHER};
use crate::{
    detect::{Class, Detection},
    telemetry::Seldom,
};

/// Decoys that may be hit for the first time at once.
const AT_ONCE: NonZeroU32 = NonZeroU32::MIN.saturating_add(255);

/// Decoys of one source that are remembered: those hit last.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

/// The decoys that one source told of. They are not stored: a restart begins with a full budget, as those of alerts do.
pub struct Decoys {
    source: Arc<str>,
    /// By cluster and name.
    known: LruCache<(Option<Arc<str>>, Arc<str>), ()>,
    of_hits: DefaultDirectRateLimiter,
    /// What was expected tells no one, but is remembered by its decoy as well. It spends nothing that a hit needs.
    of_expected: DefaultDirectRateLimiter,
    warning: Seldom,
}

impl Decoys {
    pub fn new(source: Arc<str>) -> Self {
        Self {
            source,
            known: LruCache::sparse(REMEMBERED),
            of_hits: budget(AT_ONCE),
            of_expected: budget(AT_ONCE),
            warning: Seldom::default(),
        }
    }

    /// What is taken in for `detection`. A record that touched nothing is told of no decoy.
    pub fn told_of<'d>(&mut self, detection: &'d Detection) -> Cow<'d, Detection> {
        let Some(decoy) = detection.decoy.as_ref() else {
            return Cow::Borrowed(detection);
        };
        let name = (detection.cluster.clone(), decoy.clone());
        let budget = match detection.class {
            Class::Detect => &self.of_hits,
            Class::Expected => &self.of_expected,
            Class::Record => return Cow::Borrowed(detection),
        };
        if self.known.get(&name).is_some() {
            return Cow::Borrowed(detection);
        }
        if budget.check().is_ok() {
            self.known.put(name, ());
            return Cow::Borrowed(detection);
        }
        if self.warning.is_due() {
            let source = &*self.source;
            warn!(
                source,
                "too many decoys are touched for the first time: further ones are told as one, {OTHER}"
            );
        }
        Cow::Owned(Detection {
            decoy: Some(OTHER.into()),
            cluster: None,
            ..detection.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::example;

    fn of(number: usize) -> Detection {
        Detection {
            decoy: Some(format!("made-up/{number}").into()),
            ..example::detection()
        }
    }

    #[test]
    fn a_fleets_decoys_are_told_by_name_and_made_up_ones_together() {
        let mut decoys = Decoys::new("agents".into());
        let mut others = 0;
        for number in 0..10_000 {
            let detection = of(number);
            let told = decoys.told_of(&detection);
            if *told != detection {
                assert!(number >= 256, "{number}");
                assert_eq!((told.decoy.as_deref(), &told.cluster), (Some(OTHER), &None));
                assert_eq!(told.incident_key, detection.incident_key);
                others += 1;
            }
        }
        // One more each few seconds, if this machine is slow.
        assert!((9_600..=9_744).contains(&others), "{others}");
        // Who is known stays so.
        assert_eq!(*decoys.told_of(&of(7)), of(7));
    }

    #[test]
    fn what_is_no_hit_is_bounded_too_and_takes_nothing_from_hits() {
        for (class, wanted) in [(Class::Expected, 256..400), (Class::Record, 1_000..1_001)] {
            let mut decoys = Decoys::new("agents".into());
            let mut by_name = 0;
            for number in 0..1_000 {
                let detection = Detection {
                    class,
                    ..of(number)
                };
                by_name += usize::from(*decoys.told_of(&detection) == detection);
            }
            assert!(wanted.contains(&by_name), "{class:?} {by_name}");
            assert_eq!(*decoys.told_of(&of(1_000)), of(1_000));
        }
    }
}
