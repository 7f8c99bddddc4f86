//! What budgets, floods and trails belong to: one decoy in one cluster.

use std::{collections::HashMap, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    noted::Noted,
    saved::{Change, Part, RestoreError, Stored},
};

/// The number of a (cluster, decoy), given out in order of first appearance.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub(super) struct Scope(u32);

/// What a scope is the number of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Name {
    cluster: Option<Arc<str>>,
    decoy: Arc<str>,
}

/// The scopes seen so far.
#[derive(Debug, Default)]
pub(super) struct Scopes {
    numbers: HashMap<Name, Scope>,
    /// By number.
    names: Vec<Name>,
    /// That of the hit before: most hits in a row are of one.
    last: Scope,
    noted: Noted<Scope>,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Scopes {
    /// The scope of `decoy` in `cluster`.
    pub(super) fn of(&mut self, cluster: Option<&Arc<str>>, decoy: &Arc<str>) -> Scope {
        if !self.is_of(self.last, cluster.map(|name| &**name), decoy) {
            self.last = self.find(cluster, decoy);
        }
        self.last
    }

    fn find(&mut self, cluster: Option<&Arc<str>>, decoy: &Arc<str>) -> Scope {
        let name = Name {
            cluster: cluster.cloned(),
            decoy: decoy.clone(),
        };
        if let Some(known) = self.numbers.get(&name) {
            return *known;
        }
        let scope = self.add(name);
        self.noted.note(|| scope);
        scope
    }

    fn add(&mut self, name: Name) -> Scope {
        let scope = Scope(u32::try_from(self.names.len()).unwrap_or(u32::MAX));
        self.names.push(name.clone());
        self.numbers.insert(name, scope);
        scope
    }

    /// The scope with `number`, if it was given out.
    pub(super) fn numbered(&self, number: u64) -> Option<Scope> {
        let scope = u32::try_from(number).ok().map(Scope);
        scope.filter(|scope| self.contains(*scope))
    }

    /// Whether `scope` was given out.
    pub(super) fn contains(&self, scope: Scope) -> bool {
        (scope.0 as usize) < self.names.len()
    }

    /// Whether `scope` is that of `decoy` in `cluster`.
    pub(super) fn is_of(&self, scope: Scope, cluster: Option<&str>, decoy: &str) -> bool {
        let name = self.names.get(scope.0 as usize);
        name.is_some_and(|name| name.cluster.as_deref() == cluster && &*name.decoy == decoy)
    }

    pub(super) fn note_changes(&mut self) {
        self.noted.start();
    }

    pub(super) fn changes(&mut self, out: &mut Vec<Change>) {
        for scope in self.noted.take() {
            let name = self.names.get(scope.0 as usize);
            out.push(Change::new(Part::Scope, scope, name));
        }
    }

    /// # Errors
    ///
    /// If a number is missing among them, or two have one name.
    pub(super) fn restore(stored: &mut Stored) -> Result<Self, RestoreError> {
        let mut scopes = Self::default();
        for (number, piece) in stored.take_numbered(Part::Scope)? {
            if number != scopes.names.len() as u64 {
                return Err(piece.wrong("a number before it is missing"));
            }
            let name: Name = piece.read()?;
            if scopes.numbers.contains_key(&name) {
                return Err(piece.wrong("another number stands for the same"));
            }
            scopes.add(name);
        }
        Ok(scopes)
    }

    /// Notes all that is held.
    #[cfg(test)]
    pub(super) fn note_all(&mut self) {
        for &scope in self.numbers.values() {
            self.noted.note(|| scope);
        }
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
