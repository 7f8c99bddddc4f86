//! The memory of requests: which have been counted, and as what.
//!
//! A request comes as one to three events, in any order, repeated, hours apart. This memory
//! outlives incidents, so that a late stage neither counts again nor reopens anything. It
//! is bounded: of a request that has been pushed out a late stage counts anew.

use std::collections::{HashMap, VecDeque, hash_map::Entry};

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
            code: self.code.max(detection.request.code),
            counted: self.counted,
        }
    }

    /// Graver than before, so that somebody must be told.
    pub(super) fn graver_than(&self, before: &Self) -> bool {
        self.severity > before.severity || (self.granted && !before.granted)
    }
}

/// Requests by key; the one first seen longest ago is forgotten first.
#[derive(Debug)]
pub(super) struct Requests {
    bound: usize,
    /// With its number in order of arrival.
    known: HashMap<RequestKey, (u64, Known)>,
    /// Numbers and keys in order of arrival.
    order: VecDeque<(u64, RequestKey)>,
    last_number: u64,
    noted: Noted<u64>,
}

impl Requests {
    /// Remembers four requests for each of `num_events` incidents, and no fewer than 65,536.
    pub(super) fn new(num_events: usize) -> Self {
        Self {
            bound: LEAST.max(num_events.saturating_mul(4)),
            known: HashMap::new(),
            order: VecDeque::new(),
            last_number: 0,
            noted: Noted::default(),
        }
    }

    pub(super) fn get(&self, key: &RequestKey) -> Option<Known> {
        self.known.get(key).map(|(_, known)| *known)
    }

    pub(super) fn put(&mut self, key: RequestKey, known: Known) {
        match self.known.entry(key) {
            Entry::Occupied(mut entry) => {
                let (number, before) = entry.get_mut();
                if *before != known {
                    *before = known;
                    self.noted.note(|| *number);
                }
                return;
            }
            Entry::Vacant(entry) => {
                self.last_number += 1;
                entry.insert((self.last_number, known));
            }
        }
        self.order.push_back((self.last_number, key));
        self.noted.note(|| self.last_number);
        // More than one goes where what was stored was more than the bound is now.
        while self.order.len() > self.bound
            && let Some((number, eldest)) = self.order.pop_front()
        {
            self.known.remove(&eldest);
            self.noted.note(|| number);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
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
        for number in 0..LEAST {
            requests.put(key(number), known);
        }
        requests.put(key(0), known);
        assert_eq!(requests.len(), LEAST);
        assert!(requests.get(&key(0)).is_some());
        requests.put(key(LEAST), known);
        assert_eq!(requests.len(), LEAST);
        assert!(requests.get(&key(0)).is_none());
        assert!(requests.get(&key(1)).is_some());
        assert_eq!(requests.order.len(), LEAST);
    }

    #[test]
    fn the_bound_grows_with_the_incidents() {
        assert_eq!(Requests::new(5000).bound, LEAST);
        assert_eq!(Requests::new(100_000).bound, 400_000);
    }
}
