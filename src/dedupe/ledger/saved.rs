//! The ledger in pieces.

use std::collections::HashSet;

use super::{Ledger, Place};
use crate::dedupe::{
    Change, Part, RestoreError,
    incident::Incident,
    saved::{Piece, Stored},
    scope::Scopes,
};

/// The key of the one piece of [`Part::Serial`].
const LAST: &str = "last";

/// Most alerts that an incident is read with: as many again can be counted.
const MOST_ALERTS: u32 = u32::MAX / 2;

impl Ledger {
    pub(in crate::dedupe) fn note_changes(&mut self) {
        self.noted.start();
        self.noted_serial.start();
        for flood in self.floods.values_mut() {
            flood
                .flood
                .iter_mut()
                .for_each(|flood| flood.keys.unchanged());
        }
    }

    pub(in crate::dedupe) fn changes(&mut self, out: &mut Vec<Change>) {
        for () in self.noted_serial.take() {
            out.push(Change::new(Part::Serial, LAST, Some(&self.last_serial)));
        }
        for place in self.noted.take() {
            match place {
                Place::Own(serial) => {
                    let incident = self.own.peek(&serial);
                    out.push(Change::new(Part::Incident, serial, incident));
                }
                Place::Flood(scope) => {
                    let flood = self.floods.get(&scope);
                    out.push(Change::new(Part::Flood, scope, flood));
                    self.changes_of_keys(place, out);
                }
            }
        }
    }

    fn changes_of_keys(&mut self, place: Place, out: &mut Vec<Change>) {
        let Some(incident) = self.peek_mut(place) else {
            return;
        };
        let scope = incident.scope;
        let flood = incident.flood.as_mut();
        let parts = flood.map(|flood| flood.keys.take_changed());
        for (number, part) in parts.into_iter().flatten() {
            let key = format!("{scope}/{number}");
            let part = Some(part).filter(|part| !part.is_empty());
            out.push(Change::new(Part::FloodKeys, key, part.as_ref()));
        }
    }

    /// # Errors
    ///
    /// If an incident contradicts itself, another, or `scopes`.
    pub(in crate::dedupe) fn restore(
        stored: &mut Stored,
        scopes: &Scopes,
    ) -> Result<Self, RestoreError> {
        let mut ledger = Self::default();
        for piece in stored.take(Part::Serial) {
            if piece.key != LAST {
                return Err(piece.wrong("there is no such key"));
            }
            ledger.last_serial = piece.read_count()?;
        }
        let mut serials = HashSet::new();
        ledger.restore_own(stored, scopes, &mut serials)?;
        ledger.restore_floods(stored, scopes, &mut serials)?;
        for place in ledger.places() {
            ledger.reschedule(place);
        }
        Ok(ledger)
    }

    fn restore_own(
        &mut self,
        stored: &mut Stored,
        scopes: &Scopes,
        serials: &mut HashSet<u64>,
    ) -> Result<(), RestoreError> {
        let mut incidents = Vec::new();
        for (number, piece) in stored.take_numbered(Part::Incident)? {
            let incident = self.read(&piece, scopes, serials)?;
            if incident.serial != number {
                return Err(piece.wrong("its serial number is not its key"));
            }
            if incident.flood.is_some() {
                return Err(piece.wrong("it is a flood"));
            }
            incidents.push((incident.arrival, piece, incident));
        }
        incidents.sort_by_key(|(arrival, ..)| *arrival);
        for (arrival, piece, incident) in incidents {
            if arrival <= self.last_arrival {
                return Err(piece.wrong("its arrival is that of another"));
            }
            self.last_arrival = arrival;
            self.put(incident);
        }
        for serials in self.by_key.values_mut() {
            serials.sort_unstable();
        }
        Ok(())
    }

    fn restore_floods(
        &mut self,
        stored: &mut Stored,
        scopes: &Scopes,
        serials: &mut HashSet<u64>,
    ) -> Result<(), RestoreError> {
        for (number, piece) in stored.take_numbered(Part::Flood)? {
            let flood = self.read(&piece, scopes, serials)?;
            if scopes.numbered(number) != Some(flood.scope) {
                return Err(piece.wrong("its scope is not its key"));
            }
            if flood.flood.is_none() {
                return Err(piece.wrong("it is no flood"));
            }
            self.floods.insert(flood.scope, flood);
        }
        for piece in stored.take(Part::FloodKeys) {
            let (scope, number) = piece.number_and_number()?;
            let flood = scopes
                .numbered(scope)
                .and_then(|scope| self.floods.get_mut(&scope)?.flood.as_mut());
            let flood = flood.ok_or_else(|| piece.wrong("there is no such flood"))?;
            let part: Vec<String> = piece.read()?;
            let restored = flood.keys.restore(number, &part);
            restored.map_err(|reason| piece.wrong(reason))?;
        }
        Ok(())
    }

    fn read(
        &self,
        piece: &Piece,
        scopes: &Scopes,
        serials: &mut HashSet<u64>,
    ) -> Result<Incident, RestoreError> {
        let incident: Incident = piece.read()?;
        let fault = if !(1..=self.last_serial).contains(&incident.serial) {
            Some("its serial number was never given out")
        } else if !serials.insert(incident.serial) {
            Some("another has its serial number")
        } else if !scopes.is_of(incident.scope, incident.cluster.as_deref(), &incident.decoy) {
            Some("its scope is not that of its decoy")
        } else {
            contradiction(&incident)
        };
        fault.map_or(Ok(incident), |fault| Err(piece.wrong(fault)))
    }

    /// All that are remembered.
    fn places(&self) -> Vec<Place> {
        let own = self.own.iter().map(|(serial, _)| Place::Own(*serial));
        let floods = self.floods.keys().map(|scope| Place::Flood(*scope));
        own.chain(floods).collect()
    }

    /// Notes all that is held.
    #[cfg(test)]
    pub(in crate::dedupe) fn note_all(&mut self) {
        if self.last_serial > 0 {
            self.noted_serial.note(|| ());
        }
        for place in self.places() {
            self.noted.note(|| place);
        }
        for flood in self.floods.values_mut() {
            flood
                .flood
                .iter_mut()
                .for_each(|flood| flood.keys.note_all());
        }
    }
}

/// In what an incident contradicts itself, so that counting on from it would go wrong.
fn contradiction(incident: &Incident) -> Option<&'static str> {
    if incident.told > incident.total {
        Some("it has told of more hits than there were")
    } else if incident.schedule.is_none() && incident.told < incident.total {
        Some("it is closed, and hits of it are untold")
    } else if incident.techniques.total() != incident.total {
        Some("its techniques do not add up to its hits")
    } else if incident.rows.total() != incident.total {
        Some("its rows do not add up to its hits")
    } else if incident.first_seen > incident.last_seen {
        Some("its last hit is before its first")
    } else if incident.sequence > MOST_ALERTS {
        Some("it has told too many alerts")
    } else {
        None
    }
}
