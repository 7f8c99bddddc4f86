//! The one task that watches the sources and the sinks themselves: a tripwire that is mute is the worst failure.
//!
//! Once a second it looks at what is seen of them from outside, and hands to the engine what is to be told, so that
//! it goes the way of all alerts. It waits for nobody: while the engine is busy it looks again later, and what
//! has not been told by then is told then.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use jiff::Timestamp;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    engine::Notice,
    routes::{told_of_sink, told_of_source},
    sinks, sources,
};
use crate::{
    config::Pipeline,
    dedupe::{Change, Component, ComponentKind, Part},
    source::Decoding,
    store::Saved,
    telemetry::{Failure, Life, Occasion, Silence, Steps, Turn, notice},
};

/// The time between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// Where the time is stored since when a component has been in a trouble that was told.
const SINCE: &str = "since";

/// What is seen of the pipeline's sources and sinks, and what of it was told.
pub struct Watch {
    steps: Steps,
    sources: Vec<Source>,
    sinks: Vec<Sink>,
}

struct Source {
    about: About,
    /// What it reads, in words.
    what: &'static str,
    limit: Duration,
    silence: Silence,
    signs: sources::Signs,
}

struct Sink {
    about: About,
    failure: Failure,
    signs: sinks::Signs,
}

/// What every notice of a component has.
struct About {
    component: Component,
    cluster: Option<Arc<str>>,
    /// Who is told.
    sinks: Arc<[usize]>,
}

impl Watch {
    /// `signs` of sources and sinks are in the order of `pipeline`.
    pub fn new(
        pipeline: &Pipeline,
        signs: (&[sources::Signs], &[sinks::Signs]),
        saved: &mut Saved,
    ) -> Self {
        let start = Timestamp::now();
        let about = |id: &Arc<str>, kind, name: &str, sinks| About {
            component: Component {
                id: id.clone(),
                kind,
                r#type: name.into(),
            },
            cluster: pipeline.cluster.clone(),
            sinks,
        };
        let sources = pipeline.sources.iter().zip(signs.0).enumerate();
        let sources = sources.map(|(place, (source, signs))| Source {
            about: about(
                &source.id,
                ComponentKind::Source,
                source.config.name(),
                told_of_source(pipeline, place),
            ),
            what: match source.config.decoding() {
                Decoding::Audit => "audit events",
                Decoding::Detection => "detections",
            },
            limit: source.silence.unwrap_or_default(),
            silence: Silence::new(source.silence, start, saved_trouble(saved, &source.id)),
            signs: signs.clone(),
        });
        let sources = sources.collect();
        let sinks = pipeline.sinks.iter().zip(signs.1).enumerate();
        let sinks = sinks.map(|(place, (sink, signs))| Sink {
            about: about(
                &sink.id,
                ComponentKind::Sink,
                sink.config.name(),
                told_of_sink(pipeline, place),
            ),
            failure: Failure::new(saved_trouble(saved, &sink.id)),
            signs: signs.clone(),
        });
        Self {
            steps: Steps::new(start),
            sources,
            sinks: sinks.collect(),
        }
    }

    /// Watches until `draining` is cancelled. Then nothing more is told but that a source is silent no longer.
    pub async fn run(mut self, notices: mpsc::Sender<Vec<Notice>>, draining: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = draining.cancelled() => break,
                () = tokio::time::sleep(LOOK) => {}
            }
            match notices.try_reserve() {
                Ok(place) => {
                    let found = self.look(Timestamp::now());
                    if !found.is_empty() {
                        place.send(found);
                    }
                }
                Err(TrySendError::Full(())) => {}
                Err(TrySendError::Closed(())) => return,
            }
        }
        if let Ok(place) = notices.try_reserve() {
            place.send(self.last_look(Timestamp::now()));
        }
    }

    fn last_look(&mut self, now: Timestamp) -> Vec<Notice> {
        let sources = self.sources.iter_mut();
        sources
            .filter_map(|source| source.look(Duration::ZERO, true, now))
            .collect()
    }

    fn look(&mut self, now: Timestamp) -> Vec<Notice> {
        let step = self.steps.next(now);
        let sources = self.sources.iter_mut();
        let silences = sources.filter_map(|source| {
            // Who has to wait for the sinks cannot read, and is not silent; that others wait says nothing of it.
            let is_held_up = source.signs.counters.is_held_up.load(Relaxed);
            source.look(step, is_held_up, now)
        });
        let sinks = self.sinks.iter_mut();
        let failures = sinks.filter_map(|sink| sink.look(step, now));
        silences.chain(failures).collect()
    }
}

impl Source {
    fn look(&mut self, step: Duration, is_held_up: bool, now: Timestamp) -> Option<Notice> {
        let life = Life {
            last_event: self.signs.counters.last_event(),
            is_reading: !is_held_up && !self.signs.has_ended.load(Relaxed),
        };
        let turn = self.silence.look(life, step, now)?;
        let (id, what) = (&*self.about.component.id, self.what);
        Some(match turn {
            Turn::Began { since } => {
                let secs = self.limit.as_secs();
                warn!(
                    source = id,
                    "no {what} for {secs} seconds: nothing would be seen"
                );
                let trouble = self.signs.status.trouble();
                let reason = trouble.as_ref().map(|trouble| trouble.reason.as_str());
                let silent = Occasion::Silent { what, secs, reason };
                self.about.notice(silent, turn, since, now)
            }
            Turn::Ended { since } => {
                info!(source = id, "{what} come again");
                let resumed = life.last_event.unwrap_or(now);
                self.about
                    .notice(Occasion::Resumed { what }, turn, since, resumed)
            }
        })
    }
}

impl Sink {
    fn look(&mut self, step: Duration, now: Timestamp) -> Option<Notice> {
        let trouble = self.signs.status.trouble();
        let has_delivered = self.signs.counters.delivered.load(Relaxed) > 0;
        let turn = self.failure.look(trouble.as_ref(), has_delivered, step)?;
        Some(match turn {
            Turn::Began { since } => {
                let reason = trouble.as_ref().map_or("", |trouble| &trouble.reason);
                self.about
                    .notice(Occasion::Failing { reason }, turn, since, now)
            }
            Turn::Ended { since } => self.about.notice(Occasion::Recovered, turn, since, now),
        })
    }
}

impl About {
    fn notice(
        &self,
        occasion: Occasion<'_>,
        turn: Turn,
        since: Timestamp,
        until: Timestamp,
    ) -> Notice {
        let value = match turn {
            Turn::Began { since } => Some(format!("\"{since}\"")),
            Turn::Ended { .. } => None,
        };
        let change = Change {
            part: Part::Trouble,
            key: SINCE.to_owned(),
            value,
        };
        let cluster = self.cluster.as_ref();
        Notice {
            alert: notice(&self.component, cluster, occasion, since, until),
            sinks: self.sinks.clone(),
            state: (self.component.id.clone(), vec![change]),
        }
    }
}

/// Since when the component `id` was in trouble when the process ended, if that was told.
fn saved_trouble(saved: &mut Saved, id: &Arc<str>) -> Option<Timestamp> {
    let changes = saved.take(id, Part::Trouble);
    let since = changes.into_iter().find(|change| change.key == SINCE);
    since?.value?.trim_matches('"').parse().ok()
}

#[cfg(test)]
mod tests;
