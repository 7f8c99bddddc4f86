//! The memory of touches, and how an incident came about.

use std::{
    cmp::Reverse,
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use jiff::Timestamp;
use lru::LruCache;
use serde::{Deserialize, Serialize};

use super::{
    encoding::count, noted::Noted, requests::Known, schedule::after, scope::Scope, text::kept,
    touch::Touch,
};
use crate::{
    audit::RequestId,
    detect::{Class, Detection, Technique},
};

mod saved;

/// Touches of one technique that are remembered of a decoy. One ring for each technique: a
/// flood of reads pushes no exec out.
const RING: usize = 8;
/// Minted credentials that are remembered of a decoy.
const MINTED: usize = 1024;
/// Pairs of actor and address whose `record`s are remembered.
const RECORDERS: usize = 1024;
/// `record`s that are remembered of one of them.
const RECORDS: usize = 4;
/// Touches that the trail of an incident holds.
pub(super) const TRAIL: usize = 16;
/// Touches of one technique in it.
const TRAIL_OF_ONE: usize = 4;
/// Seconds by which a cause may seem to come after its effect: logs of several API servers.
const DISORDER_SECS: u64 = 5;

/// Whose `record`s: cluster, user name, source address.
type Recorder = (Option<Arc<str>>, Option<String>, Option<String>);

/// All touches that are remembered.
#[derive(Debug)]
pub(super) struct Trails {
    decoys: HashMap<Scope, DecoyTrail>,
    records: LruCache<Recorder, Aged<VecDeque<Touch>>>,
    last_arrival: u64,
    noted_rings: Noted<(Scope, Technique)>,
    noted_minted: Noted<(Scope, String)>,
    noted_records: Noted<Recorder>,
}

/// What is forgotten in order of age.
#[derive(Debug, Serialize, Deserialize)]
struct Aged<T> {
    /// Counts the changes of all such things: the one with the smallest is forgotten first.
    #[serde(deserialize_with = "count")]
    arrival: u64,
    value: T,
}

/// The touches of one decoy.
#[derive(Debug)]
struct DecoyTrail {
    /// By the technique's place in the order of precedence, eldest first.
    rings: [VecDeque<Touch>; Technique::ALL.len()],
    /// Who minted which credential, by its id.
    minted: LruCache<String, Aged<Touch>>,
}

/// What is looked for in the trails: the incident that is to be explained.
pub(super) struct Unexplained<'a> {
    pub(super) scope: Scope,
    pub(super) serial: u64,
    pub(super) cluster: Option<&'a Arc<str>>,
    pub(super) token_id: Option<&'a str>,
    pub(super) actors: &'a [String],
    pub(super) source_ip: Option<&'a str>,
    pub(super) first_seen: Timestamp,
}

impl Default for Trails {
    fn default() -> Self {
        Self {
            decoys: HashMap::new(),
            records: LruCache::unbounded(),
            last_arrival: 0,
            noted_rings: Noted::default(),
            noted_minted: Noted::default(),
            noted_records: Noted::default(),
        }
    }
}

impl Trails {
    /// Notes an event whose decoy is unknown.
    pub(super) fn record(&mut self, detection: &Detection) {
        let recorder = (
            detection.cluster.clone(),
            detection.actor.username.as_deref().map(kept),
            detection.source_ip.as_deref().map(kept),
        );
        let touch = Touch::new(detection, detection.technique, Class::Record, None);
        self.noted_records.note(|| recorder.clone());
        let arrival = self.arrival();
        let new = || Aged {
            arrival,
            value: VecDeque::new(),
        };
        let known = self.records.get_or_insert_mut(recorder, new);
        known.arrival = arrival;
        let mut touches = known.value.iter();
        let again = !touches.any(|known| known.is_of(detection.request_id));
        note(&mut known.value, touch, again, RECORDS);
        while self.records.len() > RECORDERS
            && let Some((eldest, _)) = self.records.pop_lru()
        {
            self.noted_records.note(|| eldest);
        }
    }

    fn arrival(&mut self) -> u64 {
        self.last_arrival += 1;
        self.last_arrival
    }

    /// Notes an event of a request on a decoy. `before` and `request`: what was known of the
    /// request without and with it.
    pub(super) fn note(
        &mut self,
        scope: Scope,
        detection: &Detection,
        before: Option<&Known>,
        request: &Known,
    ) {
        if !explains(request.technique) {
            return;
        }
        let incident = request.counted.map(|counted| counted.incident);
        let touch = Touch::new(detection, request.technique, request.class, incident);
        if request.technique == Technique::TokenRequest {
            self.note_minted(scope, &touch);
        }
        let Some(incident) = incident else { return };
        let trail = self.decoys.entry(scope).or_default();
        let known = before.filter(|before| {
            before
                .counted
                .is_some_and(|counted| counted.incident == incident)
        });
        let moved = known.filter(|before| before.technique != request.technique);
        if let Some(before) = moved {
            self.noted_rings.note(|| (scope, before.technique));
            forget(
                &mut trail.rings[before.technique as usize],
                detection.request_id,
            );
        }
        let again = known.is_none() || moved.is_some();
        self.noted_rings.note(|| (scope, request.technique));
        note(
            &mut trail.rings[request.technique as usize],
            touch,
            again,
            RING,
        );
    }

    /// Notes who minted a credential, if `touch` tells which.
    fn note_minted(&mut self, scope: Scope, touch: &Touch) {
        let Some(issued) = &touch.issued else { return };
        let minting = Aged {
            arrival: self.arrival(),
            value: touch.clone(),
        };
        let minted = &mut self.decoys.entry(scope).or_default().minted;
        minted.put(issued.clone(), minting);
        self.noted_minted.note(|| (scope, issued.clone()));
        while minted.len() > MINTED
            && let Some((eldest, _)) = minted.pop_lru()
        {
            self.noted_minted.note(|| (scope, eldest));
        }
    }

    /// Adds to `trail` what now explains the incident; the result is in order of time.
    pub(super) fn explain(&self, incident: &Unexplained<'_>, trail: &mut Vec<Touch>) {
        let minting = self.minting(incident);
        if minting.is_some() {
            // Once the token's own minting is known, that of others explains nothing.
            trail.retain(|touch| touch.technique != Technique::TokenRequest);
        }
        let rings = self
            .rings(incident)
            .filter(|touch| minting.is_none() || touch.technique != Technique::TokenRequest);
        let records = self.records_of(incident);
        for touch in minting.into_iter().chain(rings).chain(records).cloned() {
            match trail.iter_mut().find(|known| known.repeats(&touch)) {
                Some(known) => *known = touch,
                None => trail.push(touch),
            }
        }
        trail.sort_by_key(|touch| (rank(touch), Reverse(touch.time)));
        let mut of_one = [0; Technique::ALL.len()];
        trail.retain(|touch| {
            of_one[touch.technique as usize] += 1;
            of_one[touch.technique as usize] <= TRAIL_OF_ONE
        });
        trail.truncate(TRAIL);
        trail.sort_by_key(|touch| touch.time);
    }

    /// The minting of the incident's own token.
    fn minting(&self, incident: &Unexplained<'_>) -> Option<&Touch> {
        let decoy = self.decoys.get(&incident.scope)?;
        let minting = decoy.minted.peek(incident.token_id?)?;
        Some(&minting.value)
    }

    /// The touches of the decoy before the incident, its own left out.
    fn rings(&self, incident: &Unexplained<'_>) -> impl Iterator<Item = &Touch> {
        let latest = after(incident.first_seen, DISORDER_SECS);
        let serial = Some(incident.serial);
        let rings = self.decoys.get(&incident.scope).map(|decoy| &decoy.rings);
        let touches = rings.into_iter().flatten().flatten();
        touches.filter(move |touch| touch.incident != serial && touch.time <= latest)
    }

    /// The `record`s of the incident's actors at its address.
    fn records_of(&self, incident: &Unexplained<'_>) -> impl Iterator<Item = &Touch> {
        let (cluster, source_ip) = (
            incident.cluster.cloned(),
            incident.source_ip.map(str::to_owned),
        );
        incident.actors.iter().flat_map(move |actor| {
            let recorder = (cluster.clone(), Some(actor.clone()), source_ip.clone());
            let records = self.records.peek(&recorder);
            records.into_iter().flat_map(|records| &records.value)
        })
    }

    /// Touches that are remembered, of all kinds.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let of_decoy = |decoy: &DecoyTrail| {
            decoy.rings.iter().map(VecDeque::len).sum::<usize>() + decoy.minted.len()
        };
        self.decoys.values().map(of_decoy).sum::<usize>()
            + self
                .records
                .iter()
                .map(|(_, records)| records.value.len())
                .sum::<usize>()
    }
}

impl Default for DecoyTrail {
    fn default() -> Self {
        Self {
            rings: Default::default(),
            minted: LruCache::unbounded(),
        }
    }
}

/// Whether a touch of this kind may tell how a decoy came into somebody's hands.
fn explains(technique: Technique) -> bool {
    matches!(
        technique,
        Technique::TokenRequest
            | Technique::PrivilegeGrant
            | Technique::PodExec
            | Technique::PodAsDecoy
            | Technique::Tamper
            | Technique::SecretRead
            | Technique::Recon
    )
}

/// What a trail keeps when there is more than it can hold: the smaller, the rather.
fn rank(touch: &Touch) -> u8 {
    match touch.technique {
        Technique::TokenRequest => 0,
        Technique::PodExec | Technique::PodAsDecoy | Technique::SecretRead => 1,
        Technique::ImpersonationUnnamed => 2,
        Technique::PrivilegeGrant | Technique::Tamper => 3,
        _ => 4,
    }
}

/// Puts `touch` at the end of `ring`, together with those that it repeats.
fn note(ring: &mut VecDeque<Touch>, touch: Touch, again: bool, bound: usize) {
    let known = ring.iter().position(|known| known.repeats(&touch));
    let touch = match known.and_then(|place| ring.remove(place)) {
        Some(mut known) => {
            known.take_in(touch, again);
            known
        }
        None => touch,
    };
    ring.push_back(touch);
    if ring.len() > bound {
        ring.pop_front();
    }
}

/// Takes the touch that `request` was out of `ring`.
fn forget(ring: &mut VecDeque<Touch>, request: RequestId) {
    if let Some(place) = ring.iter().position(|touch| touch.is_of(request))
        && !ring[place].give_up_one()
    {
        ring.remove(place);
    }
}
