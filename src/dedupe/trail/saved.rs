//! The memory of touches in pieces.

use std::collections::VecDeque;

use serde::de::DeserializeOwned;

use super::{Aged, DecoyTrail, RECORDS, RING, Recorder, Trails};
use crate::{
    dedupe::{
        Change, Part, RestoreError,
        saved::{Piece, Stored},
        scope::{Scope, Scopes},
        touch::Touch,
    },
    detect::Technique,
};

impl Trails {
    pub(in crate::dedupe) fn note_changes(&mut self) {
        self.noted_rings.start();
        self.noted_minted.start();
        self.noted_records.start();
    }

    pub(in crate::dedupe) fn changes(&mut self, out: &mut Vec<Change>) {
        for (scope, technique) in self.noted_rings.take() {
            let ring = self.decoys.get(&scope);
            let ring = ring.map(|trail| &trail.rings[technique as usize]);
            let ring = ring.filter(|ring| !ring.is_empty());
            let key = format!("{scope}/{technique}");
            out.push(Change::new(Part::Touches, key, ring));
        }
        for (scope, credential) in self.noted_minted.take() {
            let trail = self.decoys.get(&scope);
            let minting = trail.and_then(|trail| trail.minted.peek(&credential));
            let key = format!("{scope}/{credential}");
            out.push(Change::new(Part::Minted, key, minting));
        }
        for recorder in self.noted_records.take() {
            let records = self.records.peek(&recorder);
            out.push(Change::new(Part::Records, key_of(&recorder), records));
        }
    }

    /// # Errors
    ///
    /// If a piece is of no scope, or holds more than a machine keeps.
    pub(in crate::dedupe) fn restore(
        stored: &mut Stored,
        scopes: &Scopes,
    ) -> Result<Self, RestoreError> {
        let mut trails = Self::default();
        for piece in stored.take(Part::Touches) {
            let (scope, technique) = scope_and_rest(&piece, scopes)?;
            let technique = Technique::from_name(technique)
                .ok_or_else(|| piece.wrong("there is no such technique"))?;
            let ring: VecDeque<Touch> = piece.read()?;
            if ring.len() > RING {
                return Err(piece.wrong("there are too many touches"));
            }
            if ring.iter().any(|touch| touch.technique != technique) {
                return Err(piece.wrong("a touch is of another technique"));
            }
            trails.decoy(scope).rings[technique as usize] = ring;
        }
        for (arrival, piece, value) in by_age::<Touch>(stored, Part::Minted)? {
            let (scope, credential) = scope_and_rest(&piece, scopes)?;
            trails.arrived(arrival, &piece)?;
            let minted = &mut trails.decoy(scope).minted;
            minted.put(credential.to_owned(), Aged { arrival, value });
        }
        trails.restore_records(stored)?;
        Ok(trails)
    }

    fn restore_records(&mut self, stored: &mut Stored) -> Result<(), RestoreError> {
        let minted_last = std::mem::take(&mut self.last_arrival);
        for (arrival, piece, value) in by_age::<VecDeque<Touch>>(stored, Part::Records)? {
            let recorder: Recorder =
                serde_json::from_str(&piece.key).map_err(|error| piece.wrong(error))?;
            if key_of(&recorder) != piece.key {
                // It would be stored a second time under the key as it should be.
                return Err(piece.wrong("its key is not written as it should be"));
            }
            if value.len() > RECORDS {
                return Err(piece.wrong("there are too many touches"));
            }
            self.arrived(arrival, &piece)?;
            self.records.put(recorder, Aged { arrival, value });
        }
        self.last_arrival = self.last_arrival.max(minted_last);
        Ok(())
    }

    fn decoy(&mut self, scope: Scope) -> &mut DecoyTrail {
        self.decoys.entry(scope).or_default()
    }

    /// `piece` is the next in order of age.
    fn arrived(&mut self, arrival: u64, piece: &Piece) -> Result<(), RestoreError> {
        if arrival <= self.last_arrival {
            return Err(piece.wrong("its arrival is that of another"));
        }
        self.last_arrival = arrival;
        Ok(())
    }

    /// Notes all that is held.
    #[cfg(test)]
    pub(in crate::dedupe) fn note_all(&mut self) {
        for (&scope, trail) in &self.decoys {
            for &technique in Technique::ALL {
                self.noted_rings.note(|| (scope, technique));
            }
            for (credential, _) in &trail.minted {
                self.noted_minted.note(|| (scope, credential.clone()));
            }
        }
        for (recorder, _) in &self.records {
            self.noted_records.note(|| recorder.clone());
        }
    }
}

/// The pieces of `part`, the one that is to be forgotten first before the others.
fn by_age<T: DeserializeOwned>(
    stored: &mut Stored,
    part: Part,
) -> Result<Vec<(u64, Piece, T)>, RestoreError> {
    let mut aged = Vec::new();
    for piece in stored.take(part) {
        let Aged { arrival, value } = piece.read()?;
        aged.push((arrival, piece, value));
    }
    aged.sort_by_key(|(arrival, ..)| *arrival);
    Ok(aged)
}

fn scope_and_rest<'a>(piece: &'a Piece, scopes: &Scopes) -> Result<(Scope, &'a str), RestoreError> {
    let (number, rest) = piece.number_and_rest()?;
    let scope = scopes.numbered(number);
    let scope = scope.ok_or_else(|| piece.wrong("its scope is unknown"))?;
    Ok((scope, rest))
}

fn key_of(recorder: &Recorder) -> String {
    // Strings and nulls: nothing in them can fail.
    serde_json::to_string(recorder).expect("the key is plain data")
}
