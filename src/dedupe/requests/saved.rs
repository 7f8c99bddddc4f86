//! The memory of requests in pieces.

use std::hash::BuildHasher;

use serde::{Deserialize, Serialize};

use super::{Known, Request, Requests};
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
        let place = self.known.binary_search_by_key(&number, |it| it.number);
        let Request { key, known, .. } = &self.known[place.ok()?];
        let (request, scope) = *key;
        Some(Stand {
            request,
            scope,
            known: *known,
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
            let hash = self.hasher.hash_one(key);
            if self.place(&key, hash).is_some() {
                return Err(piece.wrong("the request is there twice"));
            }
            self.add(Request {
                number,
                key,
                hash,
                known,
            });
        }
        Ok(())
    }

    /// All that are remembered, with their numbers and decoys.
    pub(in crate::dedupe) fn iter(&self) -> impl Iterator<Item = (u64, Scope, Known)> {
        self.known.iter().map(|it| (it.number, it.key.1, it.known))
    }

    /// Notes all that is held.
    #[cfg(test)]
    pub(in crate::dedupe) fn note_all(&mut self) {
        for request in &self.known {
            self.noted.note(|| request.number);
        }
    }
}
