//! All incidents that are remembered, found by key, by age, and by when they are due.

use std::collections::BTreeSet;

use hashbrown::HashMap;
use jiff::Timestamp;
use lru::LruCache;

use super::{Config, incident::Incident, noted::Noted, scope::Scope};
use crate::audit::IncidentKey;

mod saved;

/// Where an incident is kept. Of those due at one time floods come first, since they speak for many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// The one flood of a decoy.
    Flood(Scope),
    /// An incident of its own, by its serial number.
    Own(u64),
}

/// Incidents, open and closed.
#[derive(Debug)]
pub(super) struct Ledger {
    /// By serial number, in order of their last hit's arrival.
    own: LruCache<u64, Incident>,
    /// The incidents of a key: mostly one, more if they lie apart in event time.
    by_key: HashMap<IncidentKey, Vec<u64>>,
    floods: HashMap<Scope, Incident>,
    /// When each open incident is due: exactly one entry each.
    agenda: BTreeSet<(Timestamp, Place)>,
    last_serial: u64,
    last_arrival: u64,
    noted: Noted<Place>,
    /// Whether `last_serial` changed.
    noted_serial: Noted<()>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            own: LruCache::unbounded(),
            by_key: HashMap::new(),
            floods: HashMap::new(),
            agenda: BTreeSet::new(),
            last_serial: 0,
            last_arrival: 0,
            noted: Noted::default(),
            noted_serial: Noted::default(),
        }
    }
}

impl Ledger {
    /// A serial number for a new incident.
    pub(super) fn serial(&mut self) -> u64 {
        self.last_serial += 1;
        self.noted_serial.note(|| ());
        self.last_serial
    }

    fn arrival(&mut self) -> u64 {
        self.last_arrival += 1;
        self.last_arrival
    }

    /// Adds an incident of its own.
    pub(super) fn insert(&mut self, mut incident: Incident) -> Place {
        incident.arrival = self.arrival();
        let place = self.put(incident);
        self.noted.note(|| place);
        place
    }

    fn put(&mut self, incident: Incident) -> Place {
        let serial = incident.serial;
        self.by_key.entry(incident.key).or_default().push(serial);
        self.own.put(serial, incident);
        Place::Own(serial)
    }

    /// Makes `incident` the flood of its decoy; the one before it is forgotten.
    pub(super) fn insert_flood(&mut self, mut incident: Incident) -> Place {
        let scope = incident.scope;
        let before = self.floods.remove(&scope).and_then(|before| before.flood);
        if let (Some(before), Some(new)) = (before, &mut incident.flood) {
            new.keys.replace(&before.keys);
        }
        self.floods.insert(scope, incident);
        self.noted.note(|| Place::Flood(scope));
        Place::Flood(scope)
    }

    /// Takes out the incident longest without a hit, if there are more than `bound`.
    pub(super) fn overflow(&mut self, bound: usize) -> Option<Incident> {
        if self.own.len() <= bound {
            return None;
        }
        let (serial, incident) = self.own.pop_lru()?;
        self.noted.note(|| Place::Own(serial));
        if let Some(due) = incident.agenda {
            self.agenda.remove(&(due, Place::Own(serial)));
        }
        if let Some(serials) = self.by_key.get_mut(&incident.key) {
            serials.retain(|&other| other != serial);
            if serials.is_empty() {
                self.by_key.remove(&incident.key);
            }
        }
        Some(incident)
    }

    pub(super) fn get(&self, place: Place) -> Option<&Incident> {
        match place {
            Place::Own(serial) => self.own.peek(&serial),
            Place::Flood(scope) => self.floods.get(&scope),
        }
    }

    /// To be changed: it is noted that it was.
    pub(super) fn get_mut(&mut self, place: Place) -> Option<&mut Incident> {
        self.noted.note(|| place);
        self.peek_mut(place)
    }

    fn peek_mut(&mut self, place: Place) -> Option<&mut Incident> {
        match place {
            Place::Own(serial) => self.own.peek_mut(&serial),
            Place::Flood(scope) => self.floods.get_mut(&scope),
        }
    }

    /// Where incident `serial` of `scope` is kept, if it is not forgotten.
    pub(super) fn place(&self, serial: u64, scope: Scope) -> Option<Place> {
        if self.own.contains(&serial) {
            return Some(Place::Own(serial));
        }
        let flood = self.floods.get(&scope)?;
        (flood.serial == serial).then_some(Place::Flood(scope))
    }

    /// The incident that a hit of `key` at `time` belongs to: the nearest in event time, of
    /// equals the elder.
    pub(super) fn find(&self, key: IncidentKey, time: Timestamp, idle_secs: u64) -> Option<Place> {
        let of_key = self.of_key(key);
        let spanning = of_key.filter(|incident| incident.spans(time, idle_secs));
        let nearest = spanning.min_by_key(|it| (it.distance(time), it.serial))?;
        Some(Place::Own(nearest.serial))
    }

    /// The open incidents of `key` that a hit at `time` shows to be over.
    pub(super) fn over(&self, key: IncidentKey, time: Timestamp, idle_secs: u64) -> Vec<Place> {
        let open = self
            .of_key(key)
            .filter(|incident| incident.schedule.is_some());
        let over = open.filter(|incident| incident.over_by(time, idle_secs));
        over.map(|incident| Place::Own(incident.serial)).collect()
    }

    fn of_key(&self, key: IncidentKey) -> impl Iterator<Item = &Incident> {
        let serials = self.by_key.get(&key).into_iter().flatten();
        serials.filter_map(|serial| self.own.peek(serial))
    }

    /// The flood that an over-budget hit at `time` is folded into: an open one whatever the
    /// time, a closed one if the hit belongs to it.
    pub(super) fn flood(&self, scope: Scope, time: Timestamp, idle_secs: u64) -> Option<Place> {
        let flood = self.floods.get(&scope)?;
        let takes = flood.schedule.is_some() || flood.spans(time, idle_secs);
        takes.then_some(Place::Flood(scope))
    }

    /// A hit arrived: it is the last to be forgotten.
    pub(super) fn refresh(&mut self, place: Place) {
        let Place::Own(serial) = place else { return };
        let arrival = self.arrival();
        if let Some(incident) = self.own.get_mut(&serial) {
            incident.arrival = arrival;
            self.noted.note(|| place);
        }
    }

    /// Brings the agenda up to date with the incident.
    pub(super) fn reschedule(&mut self, place: Place) {
        let Some(incident) = self.peek_mut(place) else {
            return;
        };
        let (old, new) = (incident.agenda, incident.due());
        if old == new {
            return;
        }
        incident.agenda = new;
        if let Some(old) = old {
            self.agenda.remove(&(old, place));
        }
        if let Some(new) = new {
            self.agenda.insert((new, place));
        }
    }

    /// It is `now`, by a clock that was ahead: what is open is due no later than its intervals from now.
    pub(super) fn set_back(&mut self, config: &Config, now: Timestamp) {
        for place in self.open() {
            let schedule = self.peek_mut(place).and_then(|it| it.schedule.as_mut());
            if schedule.is_some_and(|schedule| schedule.set_back(config, now)) {
                self.noted.note(|| place);
                self.reschedule(place);
            }
        }
    }

    /// When the next open incident is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.agenda.first().map(|(due, _)| *due)
    }

    /// Those due at `now`, the longest overdue first.
    pub(super) fn due(&self, now: Timestamp) -> Vec<Place> {
        let due = self.agenda.iter().take_while(|(due, _)| *due <= now);
        due.map(|(_, place)| *place).collect()
    }

    /// Whether the flood of `scope` is due at `now`.
    pub(super) fn flood_due(&self, scope: Scope, now: Timestamp) -> bool {
        let due = self.floods.get(&scope).and_then(|flood| flood.agenda);
        due.is_some_and(|due| due <= now)
    }

    /// All open incidents, floods first, in order of opening.
    pub(super) fn open(&self) -> Vec<Place> {
        let mut open: Vec<_> = self.agenda.iter().map(|(_, place)| *place).collect();
        open.sort_unstable();
        open
    }

    /// The last serial number that was given out.
    pub(super) fn last_serial(&self) -> u64 {
        self.last_serial
    }

    /// How many are open, floods included.
    pub(super) fn open_len(&self) -> usize {
        self.agenda.len()
    }

    /// How many are remembered, open or closed, floods included.
    pub(super) fn len(&self) -> usize {
        self.own.len() + self.floods.len()
    }

    #[cfg(test)]
    pub(super) fn floods(&self) -> impl Iterator<Item = &Incident> {
        self.floods.values()
    }

    #[cfg(test)]
    pub(super) fn keys(&self) -> usize {
        self.by_key.len()
    }
}
