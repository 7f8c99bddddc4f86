//! The memory of requests in pieces.

use serde::{Deserialize, Serialize};

use super::{Known, RequestKey, Requests};
use crate::{
    audit::RequestId,
    dedupe::{
        Change, Part, RestoreError,
        saved::Stored,
        scope::{Scope, Scopes},
    },
};

/// One request as it is stored, under its number.
#[derive(Serialize, Deserialize)]
struct Stand {
    request: RequestId,
    scope: Scope,
    known: Known,
}

impl Requests {
    pub(in crate::dedupe) fn note_changes(&mut self) {
        self.noted.start();
    }

    pub(in crate::dedupe) fn changes(&mut self, out: &mut Vec<Change>) {
        for number in self.noted.take() {
            let stand = self.stand(number);
            out.push(Change::new(Part::Request, number, stand.as_ref()));
        }
    }

    /// The request with `number`, unless it is forgotten.
    fn stand(&self, number: u64) -> Option<Stand> {
        let place = self
            .order
            .binary_search_by_key(&number, |(number, _)| *number);
        let (_, key) = self.order.get(place.ok()?)?;
        let known = self.get(key)?;
        let (request, scope) = *key;
        Some(Stand {
            request,
            scope,
            known,
        })
    }

    /// Takes in what was stored.
    ///
    /// # Errors
    ///
    /// If two pieces are one request, or one is of no scope.
    pub(in crate::dedupe) fn restore(
        &mut self,
        stored: &mut Stored,
        scopes: &Scopes,
    ) -> Result<(), RestoreError> {
        for (number, piece) in stored.take_numbered(Part::Request)? {
            let Stand {
                request,
                scope,
                known,
            } = piece.read()?;
            if !scopes.contains(scope) {
                return Err(piece.wrong("its scope is unknown"));
            }
            let key = (request, scope);
            if self.known.insert(key, (number, known)).is_some() {
                return Err(piece.wrong("the request is there twice"));
            }
            self.order.push_back((number, key));
            self.last_number = number;
        }
        Ok(())
    }

    /// All that are remembered, with their numbers and decoys.
    pub(in crate::dedupe) fn iter(&self) -> impl Iterator<Item = (u64, Scope, Known)> {
        let known = |(number, key): &(u64, RequestKey)| Some((*number, key.1, self.get(key)?));
        self.order.iter().filter_map(known)
    }

    /// Notes all that is held.
    #[cfg(test)]
    pub(in crate::dedupe) fn note_all(&mut self) {
        for (number, _) in &self.order {
            self.noted.note(|| *number);
        }
    }
}
