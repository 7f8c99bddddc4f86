//! What budgets, floods and trails belong to: one decoy in one cluster.

use std::{collections::HashMap, sync::Arc};

/// The number of a (cluster, decoy), given out in order of first appearance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Scope(u32);

/// The scopes seen so far.
#[derive(Debug, Default)]
pub(super) struct Scopes(HashMap<(Option<Arc<str>>, Arc<str>), Scope>);

impl Scopes {
    /// The scope of `decoy` in `cluster`.
    pub(super) fn of(&mut self, cluster: Option<&Arc<str>>, decoy: &Arc<str>) -> Scope {
        let next = Scope(u32::try_from(self.0.len()).unwrap_or(u32::MAX));
        *self
            .0
            .entry((cluster.cloned(), decoy.clone()))
            .or_insert(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_decoy_in_two_clusters_is_two_scopes() {
        let mut scopes = Scopes::default();
        let (decoy, cluster) = (Arc::from("ns/a"), Arc::from("prod"));
        let here = scopes.of(Some(&cluster), &decoy);
        assert_eq!(here, scopes.of(Some(&cluster), &Arc::from("ns/a")));
        assert_ne!(here, scopes.of(None, &decoy));
        assert_ne!(here, scopes.of(Some(&cluster), &Arc::from("ns/b")));
    }
}
