//! The state machine itself: what each hit and the passing of time do.

use jiff::Timestamp;

use super::{
    Alert, AlertKind, Config,
    budget::{Account, Budgets},
    incident::{Incident, lag_secs},
    key::incident_key,
    ledger::{Ledger, Place},
    requests::{Counted, Known, Requests},
    scope::{Scope, Scopes},
    tell::tell,
    trail::{Trails, Unexplained},
};
use crate::detect::{Class, Detection};

/// Turns detections into alerts. Alerts are pushed to the `out` of each call, in the order
/// in which they are to be told.
///
/// `now` is the wall clock, or, where history is read, event time. It may step back: then
/// what is due comes late by the step, but by no more than one of its own intervals, the refill of the budgets
/// by no more than a window, and nothing is lost.
pub struct Dedupe {
    config: Config,
    pub(super) scopes: Scopes,
    pub(super) requests: Requests,
    pub(super) ledger: Ledger,
    pub(super) trails: Trails,
    /// Not to be stored: a restart starts with full budgets.
    budgets: Budgets,
    /// The last `now`. A machine that was restored knows none: the clock may have been put right meanwhile.
    now: Option<Timestamp>,
    folded_hits: u64,
    evicted_incidents: u64,
}

/// What a [`Dedupe`] holds and has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Incidents that are open, floods included.
    pub open_incidents: usize,
    /// Incidents that are remembered, open or closed, floods included.
    pub remembered_incidents: usize,
    /// Requests that are remembered.
    pub remembered_requests: usize,
    /// Hits that were counted in a flood for want of budget, since this machine was made or restored.
    pub folded_hits: u64,
    /// Open incidents that were closed early for want of room, since then.
    pub evicted_incidents: u64,
}

impl Dedupe {
    pub fn new(config: Config) -> Self {
        Self {
            scopes: Scopes::default(),
            requests: Requests::new(config.num_events),
            ledger: Ledger::default(),
            trails: Trails::default(),
            budgets: Budgets::new(config.threshold, config.window_secs),
            now: None,
            folded_hits: 0,
            evicted_incidents: 0,
            config,
        }
    }

    /// Takes in one detection.
    pub fn apply(&mut self, detection: &Detection, now: Timestamp, out: &mut Vec<Alert>) {
        self.advance(now);
        self.evict(out);
        let decoy = match &detection.decoy {
            Some(decoy) if detection.class != Class::Record => decoy,
            _ => return self.trails.record(detection),
        };
        let scope = self.scopes.of(detection.cluster.as_ref(), decoy);
        let arrival = Arrival {
            detection,
            scope,
            now,
        };
        let (before, slot) = self.requests.find((detection.request_id, scope));
        let mut request = match before {
            Some(before) => before.with(detection),
            None => Known::from(detection),
        };
        match (before, request.counted) {
            (Some(before), Some(counted)) => {
                self.amend(arrival, counted, &before, &mut request, out);
            }
            _ if request.class == Class::Detect => self.admit(arrival, &mut request, out),
            _ => {}
        }
        self.requests.put(slot, request);
        self.trails
            .note(scope, detection, before.as_ref(), &request);
    }

    /// Tells what is due at `now`: digests and endings, as far as there is budget for them.
    pub fn tick(&mut self, now: Timestamp, out: &mut Vec<Alert>) {
        self.advance(now);
        self.evict(out);
        for place in self.ledger.due(now) {
            self.visit(place, now, out);
        }
    }

    /// When [`tick`](Self::tick) has something to do; `None` while no incident is open.
    pub fn next_tick(&self) -> Option<Timestamp> {
        self.ledger.next_due()
    }

    /// Closes everything that is open, whatever the budget.
    pub fn drain(&mut self, now: Timestamp, out: &mut Vec<Alert>) {
        self.advance(now);
        for place in self.ledger.open() {
            self.close(place, out);
        }
    }

    pub fn counts(&self) -> Counts {
        Counts {
            open_incidents: self.ledger.open_len(),
            remembered_incidents: self.ledger.len(),
            remembered_requests: self.requests.len(),
            folded_hits: self.folded_hits,
            evicted_incidents: self.evicted_incidents,
        }
    }

    /// As if it had spent what `other` has spent.
    #[cfg(test)]
    pub(super) fn take_budgets_of(&mut self, other: Self) {
        self.budgets = other.budgets;
    }

    /// It is `now`.
    fn advance(&mut self, now: Timestamp) {
        self.budgets.advance(now);
        if self.now.is_none_or(|before| now < before) {
            self.ledger.set_back(&self.config, now);
        }
        self.now = Some(now);
    }

    /// How much is held of everything that can grow.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> Sizes {
        Sizes {
            incidents: self.ledger.len(),
            keys: self.ledger.keys(),
            agenda: self.ledger.open_len(),
            requests: self.requests.len(),
            touches: self.trails.len(),
            sketches: self
                .ledger
                .floods()
                .filter_map(|it| it.flood.as_ref())
                .map(|it| it.kept())
                .max(),
        }
    }

    /// Another stage of a request that has been counted.
    fn amend(
        &mut self,
        arrival: Arrival<'_>,
        counted: Counted,
        before: &Known,
        request: &mut Known,
        out: &mut Vec<Alert>,
    ) {
        let place = self.ledger.place(counted.incident, arrival.scope);
        if let Some(place) = place
            && let Some(incident) = self.ledger.get_mut(place)
        {
            if incident.amend(arrival.detection, counted, before, request) {
                incident.lag_secs = lag_secs(arrival.detection, arrival.now);
                self.escalate(place, arrival, request, out);
            } else if matches!(place, Place::Flood(_)) && before.is_noise() && !request.is_noise() {
                // The flood tells it for want of the budget of noise, which it turns out not to be.
                self.admit(arrival, request, out);
            }
        } else if request.graver_than(before) {
            // Its incident is forgotten, and nobody was told how grave it is.
            self.admit(arrival, request, out);
        }
    }

    /// Finds or makes the incident of a hit, or, if the request has been counted, of what
    /// must be told of it although nothing is to be counted.
    fn admit(&mut self, arrival: Arrival<'_>, request: &mut Known, out: &mut Vec<Alert>) {
        let Arrival {
            detection,
            scope,
            now,
        } = arrival;
        let key = incident_key(&self.config.fields, detection);
        let idle_secs = self.config.idle_secs;
        if let Some(place) = self.ledger.find(key, detection.time, idle_secs) {
            return self.join(place, arrival, request, out);
        }
        for place in self.ledger.over(key, detection.time, idle_secs) {
            if let Some(schedule) = self
                .ledger
                .get_mut(place)
                .and_then(|it| it.schedule.as_mut())
            {
                schedule.over(now);
            }
            self.ledger.reschedule(place);
        }
        if self.ledger.flood_due(scope, now) {
            // The flood speaks for many: no newcomer takes its turn.
            self.visit(Place::Flood(scope), now, out);
        }
        let account = Account {
            scope,
            severity: request.severity,
            is_noise: request.is_noise(),
        };
        if self.budgets.spend(account).is_ok() {
            let serial = self.ledger.serial();
            let new = Incident::new(serial, scope, key, detection, &self.config, now);
            let place = self.ledger.insert(new);
            self.open(place, arrival, request, out);
            self.evict(out);
        } else {
            self.fold(arrival, request, out);
        }
    }

    /// Over budget: what would be an incident of its own is told by the flood.
    fn fold(&mut self, arrival: Arrival<'_>, request: &mut Known, out: &mut Vec<Alert>) {
        let Arrival {
            detection,
            scope,
            now,
        } = arrival;
        self.folded_hits += u64::from(request.counted.is_none());
        if let Some(place) = self
            .ledger
            .flood(scope, detection.time, self.config.idle_secs)
        {
            return self.join(place, arrival, request, out);
        }
        let serial = self.ledger.serial();
        let flood = Incident::new_flood(serial, scope, detection, &self.config, now);
        let place = self.ledger.insert_flood(flood);
        self.open(place, arrival, request, out);
    }

    /// The first event of an incident: told at once.
    fn open(
        &mut self,
        place: Place,
        arrival: Arrival<'_>,
        request: &mut Known,
        out: &mut Vec<Alert>,
    ) {
        self.take_in(place, arrival, request);
        self.tell(place, AlertKind::Opened, Some((arrival, request)), out);
        self.ledger.reschedule(place);
    }

    /// One more event of an incident: told at once if it makes it graver.
    fn join(
        &mut self,
        place: Place,
        arrival: Arrival<'_>,
        request: &mut Known,
        out: &mut Vec<Alert>,
    ) {
        if self.take_in(place, arrival, request) {
            self.escalate(place, arrival, request, out);
        }
        self.ledger.refresh(place);
        self.ledger.reschedule(place);
    }

    /// Counts a hit, or mentions a request that was counted elsewhere. True if that makes
    /// the incident graver.
    fn take_in(&mut self, place: Place, arrival: Arrival<'_>, request: &mut Known) -> bool {
        let Arrival { detection, now, .. } = arrival;
        match self.ledger.get_mut(place) {
            Some(incident) if request.counted.is_some() => {
                incident.mention(detection, request, now)
            }
            Some(incident) => incident.count(detection, request, &self.config, now),
            None => false,
        }
    }

    /// Tells at once that an incident became graver. That spends budget if there is any, and
    /// never waits; a flood's spends none.
    fn escalate(
        &mut self,
        place: Place,
        arrival: Arrival<'_>,
        request: &Known,
        out: &mut Vec<Alert>,
    ) {
        if let Some(incident) = self.ledger.get_mut(place) {
            if let Some(schedule) = &mut incident.schedule {
                schedule.stop_waiting();
            }
            if let Place::Own(_) = place {
                let _ = self.budgets.spend(incident.account());
            }
        }
        self.tell(place, AlertKind::Escalated, Some((arrival, request)), out);
        self.ledger.reschedule(place);
    }

    /// Tells of an open incident what is due, or waits until there is budget for it.
    fn visit(&mut self, place: Place, now: Timestamp, out: &mut Vec<Alert>) {
        let Some(incident) = self.ledger.get_mut(place) else {
            return;
        };
        let (untold, account) = (incident.untold() > 0, incident.account());
        let Some(schedule) = &mut incident.schedule else {
            return;
        };
        let Some(kind) = schedule.action(untold, now) else {
            return;
        };
        if let Err(wait) = self.budgets.spend(account) {
            schedule.wait(now, wait);
            self.ledger.reschedule(place);
        } else if kind == AlertKind::Closed {
            self.close(place, out);
        } else {
            schedule.digested(&self.config, now);
            self.tell(place, kind, None, out);
            self.ledger.reschedule(place);
        }
    }

    /// Tells that an incident is over. It is remembered for late hits and late stages.
    fn close(&mut self, place: Place, out: &mut Vec<Alert>) {
        self.tell(place, AlertKind::Closed, None, out);
        if let Some(incident) = self.ledger.get_mut(place) {
            incident.close();
        }
        self.ledger.reschedule(place);
    }

    /// Forgets incidents beyond the bound. One that is open is closed first, at once: since
    /// every opening was paid for, this cannot become a flood.
    fn evict(&mut self, out: &mut Vec<Alert>) {
        while let Some(mut eldest) = self.ledger.overflow(self.config.num_events.max(1)) {
            if eldest.schedule.is_some() {
                self.evicted_incidents += 1;
                explain(&self.trails, &mut eldest);
                out.push(tell(&mut eldest, AlertKind::Closed, None));
            }
        }
    }

    fn tell(
        &mut self,
        place: Place,
        kind: AlertKind,
        cause: Option<(Arrival<'_>, &Known)>,
        out: &mut Vec<Alert>,
    ) {
        let Some(incident) = self.ledger.get_mut(place) else {
            return;
        };
        explain(&self.trails, incident);
        let cause = cause.map(|(arrival, request)| (arrival.detection, request));
        out.push(tell(incident, kind, cause));
    }
}

#[cfg(test)]
#[derive(Debug)]
pub(super) struct Sizes {
    pub(super) incidents: usize,
    pub(super) keys: usize,
    pub(super) agenda: usize,
    pub(super) requests: usize,
    pub(super) touches: usize,
    pub(super) sketches: Option<(usize, usize)>,
}

/// A detection on its way through the machine.
#[derive(Clone, Copy)]
struct Arrival<'a> {
    detection: &'a Detection,
    scope: Scope,
    now: Timestamp,
}

/// Brings the trail of `incident` up to date.
fn explain(trails: &Trails, incident: &mut Incident) {
    let unexplained = Unexplained {
        scope: incident.scope,
        serial: incident.serial,
        cluster: incident.cluster.as_ref(),
        token_id: incident
            .token
            .as_ref()
            .and_then(|token| token.id.as_deref()),
        actors: incident.actors.as_slice(),
        source_ip: incident.source_ip.as_deref(),
        first_seen: incident.first_seen,
    };
    trails.explain(&unexplained, &mut incident.trail);
}
