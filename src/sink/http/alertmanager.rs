//! What Alertmanager is told: every open incident, again and again, until it is over.
//!
//! Alertmanager takes an alert for resolved that is not repeated, and forgets all when it is restarted. So each message to
//! it is the incident as it stands, good for four times `alertmanager.repeat_secs`, as Prometheus does it; what is open is
//! repeated after each; and when the incident closes it is told that it is over. Where the labels change by which
//! Alertmanager knows the incident, since it became graver, the old ones are resolved in the same request.
//!
//! Alertmanager waits before it tells anybody (`group_wait`, `group_interval`), and of an alert that is over by then it
//! tells nobody. An incident that opened and closed while Alertmanager was away, or within moments, is therefore kept
//! going for ten times `repeat_secs` from when Alertmanager first heard of it.
//!
//! Which incidents are open is remembered here, and read from the `data_dir` at a start.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, atomic::Ordering::Relaxed},
};

use jiff::Timestamp;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, warn};

use self::post::{Ends, Post};
use super::{Config, address::Address};
use crate::{
    audit::IncidentId,
    dedupe::Alert,
    format::alertmanager::Incident,
    sink::{
        Counters, Delivery, Incidents,
        given_up::GivenUp,
        request::{Courier, Redacted, Refused, Verdict},
    },
    store::{Message, Reader},
    telemetry::Seldom,
};

mod post;

/// Incidents that are remembered. What opens beyond is told once.
const MOST: usize = 5_000;

/// Messages that are taken from the outbox in a row.
const RUN: usize = 64;

/// Tells Alertmanager of incidents.
pub(super) struct Board {
    id: Arc<str>,
    counters: Arc<Counters>,
    given_up: GivenUp,
    post: Post,
    open: HashMap<IncidentId, Told>,
    /// The last that were over: what is replayed of the dead letters must open none of them for good.
    over: VecDeque<IncidentId>,
    /// When what is open is repeated.
    due: Instant,
    warning: Seldom,
}

/// An incident as Alertmanager knows it.
#[derive(Clone)]
struct Told {
    incident: Incident,
    /// Of the alert that told it.
    sequence: u32,
    /// When it first heard of it under these labels; `None` if it has not yet.
    since: Option<Timestamp>,
}

/// What one message has to tell.
struct Notice {
    message: Message,
    alert: Arc<Alert>,
    /// The incident under labels that it has no longer.
    before: Option<Incident>,
    now: Incident,
    ends: Ends,
}

impl Board {
    pub fn new(
        config: &Arc<Config>,
        delivery: &mut Delivery,
        courier: Courier,
        (address, redacted): (Result<Address, &'static str>, Redacted),
    ) -> Self {
        let since = Some(Timestamp::now());
        let Incidents { open, over } = std::mem::take(&mut delivery.incidents);
        if open.len() > MOST {
            warn!(sink = %delivery.id, "more than {MOST} incidents are open: the rest is told again by its next alert");
        }
        let told = |alert: Alert| {
            let told = Told {
                incident: Incident::of(&alert),
                sequence: alert.sequence,
                since,
            };
            (alert.incident_id, told)
        };
        Self {
            id: Arc::clone(&delivery.id),
            counters: Arc::clone(&delivery.counters),
            given_up: GivenUp::of(delivery),
            post: Post {
                courier,
                config: Arc::clone(config),
                address,
                redacted,
            },
            open: open.into_iter().take(MOST).map(told).collect(),
            over: over.into(),
            due: Instant::now(),
            warning: Seldom::default(),
        }
    }

    pub async fn drain(&mut self, outbox: &mut Reader) {
        loop {
            tokio::select! {
                biased;
                message = outbox.next() => {
                    let Some(first) = message else { return };
                    let more = (1..RUN).map_while(|_| outbox.next_ready());
                    let messages = std::iter::once(first).chain(more).collect();
                    self.tell(messages, outbox).await;
                }
                () = sleep_until(self.due), if !self.open.is_empty() => {}
            }
            // Also when messages come without end.
            self.repeat_if_due().await;
        }
    }

    /// Tells `messages` in order, several incidents in one request but never one twice: what has opened must be heard of
    /// before it is over.
    async fn tell(&mut self, mut messages: VecDeque<Message>, outbox: &mut Reader) {
        while !messages.is_empty() {
            let mut seen = HashSet::new();
            let is_new = |message: &Message| match message {
                Message::Alert(alert) => seen.insert(alert.incident_id),
                Message::Detection(_) => true,
            };
            let count = messages
                .iter()
                .map(is_new)
                .take_while(|is_new| *is_new)
                .count();
            let count = count.min(self.post.config.batch.max_events);
            let round: Vec<Message> = messages.drain(..count).collect();
            let notices: Vec<Notice> = round
                .iter()
                .filter_map(|message| self.notice(message))
                .collect();
            if notices.len() == round.len() {
                self.deliver(&notices, outbox).await;
                continue;
            }
            // Only a mistaken configuration brings detections here.
            for message in &round {
                match self.notice(message) {
                    Some(notice) => self.deliver(&[notice], outbox).await,
                    None => {
                        let reason = "Alertmanager is told of incidents alone";
                        self.given_up.take(message, reason).await;
                        outbox.done_first(1);
                    }
                }
            }
        }
    }

    fn notice(&self, message: &Message) -> Option<Notice> {
        let Message::Alert(alert) = message else {
            return None;
        };
        let mut now = Incident::of(alert);
        let known = self.open.get(&alert.incident_id);
        let ends = match (alert.kind.ends_incident(), known) {
            (true, Some(told)) => {
                // What is resolved is what was told, even if a decoy has got other labels since.
                now.labels = told.incident.labels.clone();
                Ends::Over(told.since)
            }
            // It was told before, and is beyond what is remembered, or has ended before.
            (true, None)
                if alert.sequence > 1
                    && (self.open.len() >= MOST || self.over.contains(&alert.incident_id)) =>
            {
                Ends::Now
            }
            (true, None) => Ends::Over(None),
            (false, Some(told)) => {
                if alert.sequence < told.sequence {
                    now = told.incident.clone();
                }
                Ends::Believed
            }
            (false, None) if self.open.len() >= MOST => Ends::Beyond,
            (false, None) => Ends::Believed,
        };
        let before =
            known.filter(|told| told.since.is_some() && told.incident.labels != now.labels);
        Some(Notice {
            message: message.clone(),
            alert: Arc::clone(alert),
            before: before.map(|told| told.incident.clone()),
            now,
            ends,
        })
    }

    /// As batches of other messages are: what is refused goes again in halves.
    async fn deliver(&mut self, notices: &[Notice], outbox: &mut Reader) {
        let mut parts = vec![notices];
        while let Some(part) = parts.pop() {
            let refused = match self.post.send(part).await {
                Ok(()) => {
                    part.iter().for_each(|notice| self.note(notice));
                    let count = part.len();
                    self.counters.delivered.fetch_add(count as u64, Relaxed);
                    outbox.done_first(count);
                    continue;
                }
                Err(refused) => refused,
            };
            if let Refused::Content(reason) = &refused {
                if part.len() > 1 {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                    continue;
                }
                if !self.post.courier.gives_up(reason).await {
                    parts.push(part);
                    // What is open must not end meanwhile; and if it is taken, the message is to blame.
                    self.repeat_if_due().await;
                    continue;
                }
            }
            for notice in part {
                self.given_up.take(&notice.message, refused.reason()).await;
                self.miss(notice, &refused);
                outbox.done_first(1);
            }
        }
    }

    /// Alertmanager will not hear it. What is open is repeated all the same.
    fn miss(&mut self, notice: &Notice, refused: &Refused) {
        let id = notice.alert.incident_id;
        if notice.alert.kind.ends_incident() {
            // Alertmanager resolves what is not repeated.
            self.close(id);
            return;
        }
        let is_over = self.over.contains(&id);
        // What was taken before is better repeated than what was refused.
        let is_known = self.open.contains_key(&id) && matches!(refused, Refused::Content(_));
        if matches!(notice.ends, Ends::Believed) && !is_over && !is_known {
            self.keep(notice, None);
        }
    }

    /// Alertmanager has heard it.
    fn note(&mut self, notice: &Notice) {
        let id = notice.alert.incident_id;
        match notice.ends {
            Ends::Over(_) | Ends::Now => self.close(id),
            Ends::Beyond => {
                warn!(sink = %self.id, incident = %id, "more than {MOST} incidents are open: this one is told once, for a day");
            }
            Ends::Believed => self.keep(notice, Some(Timestamp::now())),
        }
    }

    /// Remembers what is open. `heard` counts if Alertmanager has not heard of it before under these labels.
    fn keep(&mut self, notice: &Notice, heard: Option<Timestamp>) {
        let id = notice.alert.incident_id;
        let known = self.open.get(&id);
        let sequence = known.map_or(0, |told| told.sequence);
        let since = known.filter(|_| notice.before.is_none());
        let told = Told {
            incident: notice.now.clone(),
            sequence: sequence.max(notice.alert.sequence),
            since: since.and_then(|told| told.since).or(heard),
        };
        if self.open.is_empty() {
            self.due = Instant::now() + self.post.config.repeat;
        }
        self.open.insert(id, told);
    }

    fn close(&mut self, id: IncidentId) {
        self.open.remove(&id);
        self.over.push_back(id);
        if self.over.len() > MOST {
            self.over.pop_front();
        }
    }

    async fn repeat_if_due(&mut self) {
        if self.due <= Instant::now() {
            self.repeat().await;
        }
    }

    /// Tells what is open once more. It is tried once: it will be due again.
    async fn repeat(&mut self) {
        let Config {
            batch,
            repeat,
            request,
            ..
        } = &*self.post.config;
        let (repeat, soon) = (*repeat, request.retry_max_duration);
        let over: HashSet<&IncidentId> = self.over.iter().collect();
        let now = Timestamp::now();
        let is_heard = |told: &Told| {
            told.since
                .is_some_and(|since| Ends::Over(Some(since)).at(now, repeat) <= now)
        };
        self.open
            .retain(|id, told| !over.contains(id) || !is_heard(told));
        let mut ids: Vec<Vec<IncidentId>> = Vec::new();
        for id in self.open.keys() {
            match ids.last_mut().filter(|part| part.len() < batch.max_events) {
                Some(part) => part.push(*id),
                None => ids.push(vec![*id]),
            }
        }
        self.due = Instant::now() + repeat;
        while let Some(part) = ids.pop() {
            let told: Vec<&Incident> = part
                .iter()
                .filter_map(|id| Some(&self.open.get(id)?.incident))
                .collect();
            let outcome = self.post.attempt(&told).await;
            match outcome.map(|outcome| (outcome.verdict, outcome.reason)) {
                Some((Verdict::Delivered, _)) => {
                    for id in part {
                        if let Some(told) = self.open.get_mut(&id) {
                            told.since.get_or_insert(now);
                        }
                    }
                }
                Some((Verdict::MessageRefused, _)) if part.len() > 1 => {
                    let (first, second) = part.split_at(part.len() / 2);
                    ids.extend([first.to_vec(), second.to_vec()]);
                }
                Some((Verdict::MessageRefused, reason)) => {
                    self.post.courier.blames_receiver(&reason);
                    if self.warning.is_due() {
                        warn!(sink = %self.id, incident = %part[0], "not repeated, the receiver refuses it: {reason}");
                    }
                }
                Some(_) | None => {
                    debug!(sink = %self.id, "what is open could not be repeated");
                    self.due = Instant::now() + soon.min(repeat);
                    return;
                }
            }
        }
    }
}
