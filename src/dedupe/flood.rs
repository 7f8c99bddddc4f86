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

    /// As it is told.
    pub(super) fn told(&self) -> Flood {
        Flood {
            incidents: self.keys.estimate(),
            top_sources: self.sources.heaviest(SHOWN),
        }
    }

    #[cfg(test)]
    pub(super) fn kept(&self) -> (usize, usize) {
        (self.keys.kept(), self.sources.kept())
    }
}
