//! The memory of requests: which have been counted, and as what.
//!
//! A request comes as one to three events, in any order, repeated, hours apart. This memory
//! outlives incidents, so that a late stage neither counts again nor reopens anything. It
//! is bounded: of a request that has been pushed out a late stage counts anew.

use std::{collections::VecDeque, hash::BuildHasher};

use hashbrown::{DefaultHashBuilder, HashTable};
use serde::{Deserialize, Serialize};

use super::{noted::Noted, rows::Row, scope::Scope};
use crate::{
    audit::RequestId,
    detect::{Class, Detection, Severity, Technique},
};

mod saved;

/// Requests remembered at least, whatever `num_events`.
const LEAST: usize = 65_536;

/// One request as far as it concerns one decoy.
pub(super) type RequestKey = (RequestId, Scope);

/// What is known of a request from the stages so far. Each part is a maximum or a minimum,
/// so that neither order nor repetition of stages changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    /// The strongest so far.
    pub(super) class: Class,
    /// The first in precedence so far.
    pub(super) technique: Technique,
    /// The gravest so far.
    pub(super) severity: Severity,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) granted: bool,
    /// Any stage so far had a code that says so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) let_in: bool,
    /// The highest so far: a panic's 500 stands over the 200 that came before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<u16>,
    /// `None` until it is a hit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) counted: Option<Counted>,
}

/// Where a hit was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counted {
    /// The serial number of its incident.
    pub(super) incident: u64,
    /// The row of the incident's requests.
    pub(super) row: Row,
}

impl Known {
    /// What `detection` alone tells.
    pub(super) fn from(detection: &Detection) -> Self {
        Self {
            class: detection.class,
            technique: detection.technique,
            severity: detection.severity,
            granted: detection.granted,
            let_in: is_let_in(detection),
            code: detection.request.code,
            counted: None,
        }
    }

    /// What is known with another stage.
    pub(super) fn with(self, detection: &Detection) -> Self {
        Self {
            class: self.class.max(detection.class),
            technique: self.technique.min(detection.technique),
            severity: self.severity.max(detection.severity),
            granted: self.granted || detection.granted,
            let_in: self.let_in || is_let_in(detection),
            code: self.code.max(detection.request.code),
            counted: self.counted,
        }
    }

    /// Somebody may have made it who has nothing, and was let in nowhere. Without the decoy's token nobody uses it, and whose request was
    /// refused as one of the decoy, not for the impersonation, may act as the decoy.
    pub(super) fn is_noise(&self) -> bool {
        let needs_a_theft = match self.technique {
            Technique::TokenUse => true,
            Technique::Impersonation => self.code.is_some(),
            _ => false,
        };
        !self.let_in && !needs_a_theft
    }

    /// Graver than before, so that somebody must be told.
    pub(super) fn graver_than(&self, before: &Self) -> bool {
        self.severity > before.severity || (self.granted && !before.granted)
    }
}

fn is_let_in(detection: &Detection) -> bool {
    detection.request.code.is_some_and(|code| code < 400)
}

/// Requests by key; the one first seen longest ago is forgotten first.
///
/// Most requests are new. To learn that costs a look at a table small enough for a processor's cache, and none at the requests.
#[derive(Debug)]
pub(super) struct Requests {
    bound: usize,
    /// In order of arrival.
    known: VecDeque<Request>,
    /// How many were forgotten: what the first of `known` has for its ordinal.
    forgotten: u64,
    /// Ordinals, by the hashes of the keys.
    ordinals: HashTable<u64>,
    /// Seeded, and the keys are hashes that nobody chooses: no stranger makes many of them alike.
    hasher: DefaultHashBuilder,
    last_number: u64,
    noted: Noted<u64>,
}

/// One that is remembered.
#[derive(Debug)]
struct Request {
    /// What it is stored under.
    number: u64,
    key: RequestKey,
    hash: u64,
    known: Known,
}

/// Where the request with `key` stands in `known`, or that it does not.
pub(super) struct Slot {
    key: RequestKey,
    hash: u64,
    place: Option<usize>,
}

impl Requests {
    /// Remembers four requests for each of `num_events` incidents, and no fewer than 65,536.
    pub(super) fn new(num_events: usize) -> Self {
        Self {
            bound: LEAST.max(num_events.saturating_mul(4)),
            known: VecDeque::new(),
            forgotten: 0,
            ordinals: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            last_number: 0,
            noted: Noted::default(),
        }
    }

    /// What is known of the request with `key`, and where to [`put`](Self::put) what is known of it then.
    pub(super) fn find(&self, key: RequestKey) -> (Option<Known>, Slot) {
        let hash = self.hasher.hash_one(key);
        let place = self.place(&key, hash);
        let known = place.map(|place| self.known[place].known);
        (known, Slot { key, hash, place })
    }

    /// Nothing may have been put since `slot` was found.
    pub(super) fn put(&mut self, slot: Slot, known: Known) {
        let Slot { key, hash, place } = slot;
        if let Some(place) = place {
            let request = &mut self.known[place];
            if request.known != known {
                request.known = known;
                self.noted.note(|| request.number);
            }
            return;
        }
        // More than one goes where what was stored was more than the bound is now.
        while self.known.len() >= self.bound {
            self.forget_first();
        }
        let number = self.last_number + 1;
        self.add(Request {
            number,
            key,
            hash,
            known,
        });
        self.noted.note(|| number);
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// Where in `known` the request with `key` stands.
    fn place(&self, key: &RequestKey, hash: u64) -> Option<usize> {
        let is_it = |ordinal: &u64| self.known[self.place_of(*ordinal)].key == *key;
        let ordinal = self.ordinals.find(hash, is_it)?;
        Some(self.place_of(*ordinal))
    }

    fn place_of(&self, ordinal: u64) -> usize {
        (ordinal - self.forgotten) as usize
    }

    /// Adds one that is not there.
    fn add(&mut self, request: Request) {
        let (known, forgotten) = (&self.known, self.forgotten);
        let ordinal = forgotten + known.len() as u64;
        let hash_of = |ordinal: &u64| known[(ordinal - forgotten) as usize].hash;
        self.ordinals.insert_unique(request.hash, ordinal, hash_of);
        self.last_number = request.number;
        self.known.push_back(request);
    }

    fn forget_first(&mut self) {
        let Some(first) = self.known.pop_front() else {
            return;
        };
        let is_first = |ordinal: &u64| *ordinal == self.forgotten;
        if let Ok(entry) = self.ordinals.find_entry(first.hash, is_first) {
            entry.remove();
        }
        self.forgotten += 1;
        self.noted.note(|| first.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dedupe::{scope::Scopes, tests::stream::hit};

    #[test]
    fn forgets_the_eldest_at_the_bound() {
        let scope = Scopes::default().of(None, &"ns/a".into());
        let known = Known::from(&hit("r", 0));
        let mut requests = Requests::new(1);
        let key = |number: usize| (RequestId::of(&[&number.to_le_bytes()]), scope);
        let put = |requests: &mut Requests, number| {
            let (_, slot) = requests.find(key(number));
            requests.put(slot, known);
        };
        for number in 0..LEAST {
            put(&mut requests, number);
        }
        put(&mut requests, 0);
        assert_eq!(requests.len(), LEAST);
        assert!(requests.find(key(0)).0.is_some());
        put(&mut requests, LEAST);
        assert_eq!(requests.len(), LEAST);
        assert!(requests.find(key(0)).0.is_none());
        assert!(requests.find(key(1)).0.is_some());
        assert_eq!(requests.ordinals.len(), LEAST);
    }

    #[test]
    fn the_bound_grows_with_the_incidents() {
        assert_eq!(Requests::new(5000).bound, LEAST);
        assert_eq!(Requests::new(100_000).bound, 400_000);
    }
}
