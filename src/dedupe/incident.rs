//! One incident: all hits of one key that lie close together in event time.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    Config,
    budget::Account,
    distinct::Distinct,
    encoding::{at_most, count},
    flood::FloodTally,
    key::{flood_key, incident_id, incident_key},
    requests::{Counted, Known},
    rows::Rows,
    schedule::Schedule,
    scope::Scope,
    techniques::Techniques,
    text::{KEPT_CHARS, cut, kept},
    touch::Touch,
    trail::TRAIL,
};
use crate::{
    audit::{IncidentId, IncidentKey, RequestId},
    detect::{Detection, Severity, Token, Tool},
};

/// Each tool once.
const TOOLS: usize = Tool::ALL.len();

/// What is known of an incident, and what of it has been told.
///
/// A closed incident lives on as long as there is room: a hit that belongs to it by its
/// event time revives it, so that the wall clock neither splits nor renames an incident.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Incident {
    /// Counts the incidents of this state machine.
    pub(super) serial: u64,
    /// Counts the arrivals of hits: the incident with the smallest is forgotten first. Zero in a flood.
    #[serde(deserialize_with = "count")]
    pub(super) arrival: u64,
    pub(super) scope: Scope,
    pub(super) id: IncidentId,
    pub(super) key: IncidentKey,
    pub(super) decoy: Arc<str>,
    pub(super) cluster: Option<Arc<str>>,
    pub(super) labels: Arc<BTreeMap<String, String>>,
    /// That of all its hits; `None` if they differ, and in a flood.
    pub(super) token: Option<Token>,
    /// That of all its hits; `None` if they differ, and in a flood.
    pub(super) source_ip: Option<String>,
    pub(super) severity: Severity,
    pub(super) granted: bool,
    pub(super) first_seen: Timestamp,
    pub(super) last_seen: Timestamp,
    /// Hits.
    #[serde(deserialize_with = "count")]
    pub(super) total: u64,
    /// Hits that alerts have told of.
    pub(super) told: u64,
    /// Alerts so far.
    pub(super) sequence: u32,
    pub(super) techniques: Techniques,
    pub(super) rows: Rows,
    pub(super) actors: Distinct,
    pub(super) impersonated: Distinct,
    pub(super) claimed_ips: Distinct,
    pub(super) user_agents: Distinct,
    #[serde(deserialize_with = "at_most::<TOOLS, _, _>")]
    pub(super) tools: Vec<Tool>,
    pub(super) pod: Option<String>,
    pub(super) node: Option<String>,
    pub(super) excerpt: Option<String>,
    /// Kept while it is open.
    #[serde(deserialize_with = "at_most::<TRAIL, _, _>")]
    pub(super) trail: Vec<Touch>,
    /// Seconds by which the event that arrived last was late.
    pub(super) lag_secs: u64,
    /// The request that began it.
    pub(super) first: RequestId,
    pub(super) flood: Option<Box<FloodTally>>,
    /// `None` once it is closed.
    pub(super) schedule: Option<Schedule>,
    /// Where it stands in the agenda: follows from the rest.
    #[serde(skip)]
    pub(super) agenda: Option<Timestamp>,
}

impl Incident {
    /// An incident of `key` that `detection` begins; nothing is counted yet.
    pub(super) fn new(
        serial: u64,
        scope: Scope,
        key: IncidentKey,
        detection: &Detection,
        config: &Config,
        now: Timestamp,
    ) -> Self {
        Self {
            serial,
            arrival: 0,
            scope,
            id: incident_id(key, detection.time),
            key,
            decoy: detection.decoy.clone().unwrap_or_default(),
            cluster: detection.cluster.clone(),
            labels: detection.labels.clone(),
            token: Some(kept_token(&detection.token)),
            source_ip: detection.source_ip.as_deref().map(kept),
            severity: Severity::Low,
            granted: false,
            first_seen: detection.time,
            last_seen: detection.time,
            total: 0,
            told: 0,
            sequence: 0,
            techniques: Techniques::default(),
            rows: Rows::default(),
            actors: Distinct::default(),
            impersonated: Distinct::default(),
            claimed_ips: Distinct::default(),
            user_agents: Distinct::default(),
            tools: Vec::new(),
            pod: None,
            node: None,
            excerpt: None,
            trail: Vec::new(),
            lag_secs: 0,
            first: detection.request_id,
            flood: None,
            schedule: Some(Schedule::start(config, now)),
            agenda: None,
        }
    }

    /// A flood of the decoy that `detection` touched; nothing is counted yet.
    pub(super) fn new_flood(
        serial: u64,
        scope: Scope,
        detection: &Detection,
        config: &Config,
        now: Timestamp,
    ) -> Self {
        let decoy = detection.decoy.as_deref().unwrap_or_default();
        let key = flood_key(detection.cluster.as_ref(), decoy);
        let flood = Some(Box::default());
        let new = Self::new(serial, scope, key, detection, config, now);
        Self {
            token: None,
            source_ip: None,
            flood,
            ..new
        }
    }

    /// Whether a hit at `time` belongs to it.
    pub(super) fn spans(&self, time: Timestamp, idle_secs: u64) -> bool {
        self.distance(time) <= idle(idle_secs)
    }

    /// Whether a hit at `time` shows that it is over.
    pub(super) fn over_by(&self, time: Timestamp, idle_secs: u64) -> bool {
        time.duration_since(self.last_seen) > idle(idle_secs)
    }

    /// How far `time` is from its hits; zero between them.
    pub(super) fn distance(&self, time: Timestamp) -> SignedDuration {
        let before = self.first_seen.duration_since(time);
        let after = time.duration_since(self.last_seen);
        before.max(after).max(SignedDuration::ZERO)
    }

    /// Counts the hit that `detection` is the first event of. Revives the incident if it is
    /// closed. True if that made it graver.
    pub(super) fn count(
        &mut self,
        detection: &Detection,
        request: &mut Known,
        config: &Config,
        now: Timestamp,
    ) -> bool {
        self.total += 1;
        self.techniques.add(request.technique);
        let row = self.rows.add(&detection.request, request.code);
        request.counted = Some(Counted {
            incident: self.serial,
            row,
        });
        self.first_seen = self.first_seen.min(detection.time);
        self.last_seen = self.last_seen.max(detection.time);
        self.lag_secs = lag_secs(detection, now);
        self.schedule
            .get_or_insert_with(|| Schedule::start(config, now))
            .hit(config, now);
        if let Some(flood) = &mut self.flood {
            flood.add(
                incident_key(&config.fields, detection),
                detection.source_ip.as_deref(),
            );
        }
        self.take_in(detection, request)
    }

    /// Takes in another stage of a request that it counted in `counted`. True if that made it graver.
    pub(super) fn amend(
        &mut self,
        detection: &Detection,
        counted: Counted,
        before: &Known,
        request: &mut Known,
    ) -> bool {
        self.techniques.shift(before.technique, request.technique);
        if before.code != request.code {
            let row = self
                .rows
                .shift(counted.row, &detection.request, request.code);
            request.counted = Some(Counted { row, ..counted });
        }
        self.take_in(detection, request)
    }

    /// Takes in a stage of a request that was counted in an incident since forgotten. True if
    /// that made it graver.
    pub(super) fn mention(
        &mut self,
        detection: &Detection,
        request: &Known,
        now: Timestamp,
    ) -> bool {
        self.lag_secs = lag_secs(detection, now);
        self.techniques.mark(request.technique);
        self.take_in(detection, request)
    }

    /// Everything that is no count.
    fn take_in(&mut self, detection: &Detection, request: &Known) -> bool {
        let graver = request.severity > self.severity || (request.granted && !self.granted);
        self.severity = self.severity.max(request.severity);
        self.granted |= request.granted;
        if !request.is_noise() {
            self.techniques.done(request.technique);
        }
        let actor = &detection.actor;
        actor
            .username
            .iter()
            .for_each(|name| self.actors.insert(name));
        actor
            .impersonated
            .iter()
            .for_each(|name| self.impersonated.insert(name));
        detection
            .claimed_ips
            .iter()
            .for_each(|ip| self.claimed_ips.insert(ip));
        detection
            .user_agent
            .iter()
            .for_each(|agent| self.user_agents.insert(agent));
        if !self.tools.contains(&detection.tool) {
            self.tools.push(detection.tool);
        }
        if self.flood.is_none() {
            self.take_in_identity(detection);
        }
        graver
    }

    /// What a single token from a single address has, and a flood has not.
    fn take_in_identity(&mut self, detection: &Detection) {
        if self
            .token
            .as_ref()
            .is_some_and(|token| !same_token(token, &detection.token))
        {
            self.token = None;
        }
        let source_ip = detection.source_ip.as_deref().map(|ip| cut(ip, KEPT_CHARS));
        if self.source_ip.as_deref() != source_ip {
            self.source_ip = None;
        }
        let keep_first = |kept_one: &mut Option<String>, told: &Option<String>| {
            if kept_one.is_none() {
                *kept_one = told.as_deref().map(kept);
            }
        };
        keep_first(&mut self.pod, &detection.actor.pod);
        keep_first(&mut self.node, &detection.actor.node);
        keep_first(&mut self.excerpt, &detection.excerpt);
    }

    /// The budget of its alerts.
    pub(super) fn account(&self) -> Account {
        Account {
            scope: self.scope,
            severity: self.severity,
            is_noise: self.techniques.are_noise(),
        }
    }

    /// Hits that no alert has told of.
    pub(super) fn untold(&self) -> u64 {
        self.total - self.told
    }

    /// When to look at it again, while it is open.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.schedule
            .as_ref()
            .map(|schedule| schedule.due(self.untold() > 0))
    }

    /// It was told that it is over.
    pub(super) fn close(&mut self) {
        self.schedule = None;
        self.trail = Vec::new();
    }
}

fn idle(idle_secs: u64) -> SignedDuration {
    SignedDuration::from_secs(i64::try_from(idle_secs).unwrap_or(i64::MAX))
}

/// Seconds from the event to now.
pub(super) fn lag_secs(detection: &Detection, now: Timestamp) -> u64 {
    u64::try_from(now.duration_since(detection.time).as_secs()).unwrap_or(0)
}

fn kept_token(token: &Token) -> Token {
    Token {
        kind: token.kind,
        id: token.id.as_deref().map(kept),
    }
}

fn same_token(known: &Token, other: &Token) -> bool {
    known.kind == other.kind
        && known.id.as_deref() == other.id.as_deref().map(|id| cut(id, KEPT_CHARS))
}
