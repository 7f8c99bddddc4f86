//! What is kept of a flood: many incidents told as one.

use serde::{Deserialize, Serialize};

use super::{
    Flood,
    sketch::{DistinctCount, HeavySources},
};
use crate::audit::IncidentKey;

/// Sources that an alert names.
const SHOWN: usize = 10;

/// Counts of what was folded into a flood.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct FloodTally {
    /// Stored in parts of its own: it is large, and each hit changes little of it.
    #[serde(skip)]
    pub(super) keys: DistinctCount,
    sources: HeavySources,
}

impl FloodTally {
    /// One more hit of the incident that `key` would have been.
    pub(super) fn add(&mut self, key: IncidentKey, source_ip: Option<&str>) {
        // A key is a cryptographic hash: any eight bytes of it are spread evenly.
        let [a, b, c, d, e, f, g, h, ..] = key.to_bytes();
        self.keys
            .insert(u64::from_be_bytes([a, b, c, d, e, f, g, h]));
        self.sources.add(source_ip);
    }

    /// As it is told, of `hits` in all: none makes more than one incident.
    pub(super) fn told(&self, hits: u64) -> Flood {
        Flood {
            incidents: self.keys.estimate().min(hits),
            top_sources: self.sources.heaviest(SHOWN),
        }
    }

    #[cfg(test)]
    pub(super) fn kept(&self) -> (usize, usize) {
        (self.keys.kept(), self.sources.kept())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn incidents_are_no_more_than_hits_and_an_estimate_is_known_as_one() {
        let mut tally = FloodTally::default();
        let mut over = false;
        for hit in 1..=60_000_u64 {
            tally.add(IncidentKey::of(&[&hit.to_le_bytes()]), None);
            let told = tally.told(hit);
            over |= tally.keys.estimate() > hit;
            assert!(told.incidents <= hit, "{told:?} of {hit} hits");
            assert_eq!(told.is_estimate(), hit >= 4096, "{told:?}");
        }
        assert!(over, "the estimate alone is never too high");
    }
}
