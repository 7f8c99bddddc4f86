//! The one task that owns the incidents: detections in, alerts out to the sinks' outboxes.
//!
//! Each batch, and each time that something is due, is one step: what it changed of the
//! incidents, what it gave to tell, and how far the sources have come go to the store together.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{
    decoys::Decoys,
    overview::Overview,
    passed::Passed,
    routes::{Origin, Routes},
};
use crate::{
    config::{Pipeline, TransformConfig},
    dedupe::{Alert, Change, Dedupe, RestoreError},
    detect::{Class, Detection, Technique},
    source::Progress,
    store::{Commit, Message, Outgoing, Saved, Store},
    telemetry::Seldom,
};

/// The engine looks at the clock at least this often while an incident is open, since the
/// clock may be set, and the machine may sleep.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// What came of a source since its batch before.
pub struct Batch {
    /// The source's place in [`Pipeline::sources`].
    pub source: usize,
    pub found: Vec<Found>,
    pub progress: Progress,
}

/// What a block gave.
pub struct Found {
    pub origin: Origin,
    pub detections: Vec<Detection>,
    /// What another baitline tells of its sources and sinks.
    pub notices: Vec<Alert>,
}

/// What is to be told of a source that is silent or of a sink that fails.
pub struct Notice {
    pub alert: Alert,
    /// By places in [`Pipeline::sinks`].
    pub sinks: Arc<[usize]>,
    /// The component's id, and what is to be remembered under it.
    pub state: (Arc<str>, Vec<Change>),
}

/// Incidents, and the ways from transforms to sinks.
pub struct Engine {
    store: Store,
    overview: Arc<Overview>,
    routes: Routes,
    sources: Vec<Arc<str>>,
    passed: Passed,
    /// In the order of [`Pipeline::sources`].
    decoys: Vec<Decoys>,
    /// In the order of [`Pipeline::transforms`].
    transforms: Vec<Transform>,
    /// In the order of [`Pipeline::sinks`].
    sinks: Vec<Sink>,
    /// What the present step has moved so far.
    commit: Commit,
}

struct Transform {
    id: Arc<str>,
    kind: Kind,
}

enum Kind {
    Detect { emit_expected: bool },
    Dedupe(Box<Dedupe>),
}

/// What is said of a sink in the log.
struct Sink {
    id: Arc<str>,
    warning: Seldom,
    /// Of what was dropped, how much was told.
    told_dropped: u64,
}

impl Engine {
    /// The engine goes on with the incidents that it finds in `saved`.
    ///
    /// # Errors
    /// If these cannot be read.
    pub fn new(
        pipeline: &Pipeline,
        store: Store,
        saved: &mut Saved,
        overview: Arc<Overview>,
    ) -> Result<Self, RestoreError> {
        let passed = Passed::new(pipeline, saved);
        let transforms = pipeline.transforms.iter().map(|transform| {
            let kind = match &transform.config {
                TransformConfig::Detect(config) => Kind::Detect {
                    emit_expected: config.emit_expected,
                },
                TransformConfig::Dedupe(config) if store.is_durable() => {
                    let rows = saved.state.remove(&*transform.id).unwrap_or_default();
                    Kind::Dedupe(Box::new(Dedupe::restore(config.clone(), rows)?))
                }
                TransformConfig::Dedupe(config) => {
                    Kind::Dedupe(Box::new(Dedupe::new(config.clone())))
                }
            };
            Ok(Transform {
                id: transform.id.clone(),
                kind,
            })
        });
        let sources = pipeline.sources.iter().map(|source| source.id.clone());
        let sources: Vec<Arc<str>> = sources.collect();
        let sinks = pipeline.sinks.iter().map(|sink| Sink {
            id: sink.id.clone(),
            warning: Seldom::default(),
            told_dropped: 0,
        });
        Ok(Self {
            routes: Routes::new(pipeline),
            passed,
            decoys: sources.iter().cloned().map(Decoys::new).collect(),
            sources,
            transforms: transforms.collect::<Result<_, RestoreError>>()?,
            sinks: sinks.collect(),
            commit: Commit::default(),
            store,
            overview,
        })
    }

    /// Works until every sender of `inbox` and of `notices` is gone. Then, unless the store remembers them, it
    /// closes and tells all incidents.
    ///
    /// While an outbox is full, nothing more is taken in, so that the sources wait, but what
    /// is due and what comes by `notices` is told. Once `draining` is cancelled it takes in what is left, full or not:
    /// no more than the batches on their way.
    pub async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Batch>,
        mut notices: mpsc::Receiver<Vec<Notice>>,
        draining: CancellationToken,
    ) {
        loop {
            self.warn_of_full_outboxes();
            let store = self.store.clone();
            let wake = self.next_tick().map(until);
            let next_batch = async {
                tokio::select! {
                    () = draining.cancelled() => {}
                    () = store.room() => {}
                }
                inbox.recv().await
            };
            tokio::select! {
                biased;
                () = sleep(wake) => self.each_dedupe(Dedupe::tick),
                Some(notices) = notices.recv() => self.take_notices(notices),
                batch = next_batch => match batch {
                    Some(batch) => self.take(batch),
                    None => break,
                },
            }
            self.end_step().await;
        }
        while let Some(notices) = notices.recv().await {
            self.take_notices(notices);
            self.end_step().await;
        }
        if !self.store.is_durable() {
            self.each_dedupe(Dedupe::drain);
            self.end_step().await;
        }
        self.store.close().await;
    }

    fn next_tick(&self) -> Option<Timestamp> {
        self.transforms
            .iter()
            .filter_map(|transform| match &transform.kind {
                Kind::Dedupe(dedupe) => dedupe.next_tick(),
                Kind::Detect { .. } => None,
            })
            .min()
    }

    fn take(&mut self, batch: Batch) {
        for mut found in batch.found {
            let notices = std::mem::take(&mut found.notices);
            let discarded = &self.overview.sources[batch.source].counters.discarded;
            let passed = notices
                .into_iter()
                .filter_map(|alert| self.passed.take(batch.source, alert, discarded))
                .collect();
            self.take_notices(passed);
            self.take_found(found);
        }
        let source = self.sources[batch.source].clone();
        self.commit.progress.push((source, batch.progress));
    }

    fn take_notices(&mut self, notices: Vec<Notice>) {
        for Notice {
            alert,
            sinks,
            state,
        } in notices
        {
            self.overview.told.told(std::slice::from_ref(&alert));
            self.commit.state.push(state);
            self.commit.messages.push(Outgoing {
                message: Message::Alert(Arc::new(alert)),
                sinks,
            });
        }
    }

    /// Alerts go out before the evidence that gave rise to them.
    fn take_found(&mut self, found: Found) {
        let now = Timestamp::now();
        self.overview.told.found(&found.detections);
        let readers = self.routes.of(found.origin).clone();
        for place in readers.dedupes {
            let mut alerts = Vec::new();
            if let Kind::Dedupe(dedupe) = &mut self.transforms[place].kind {
                let counters = &self.overview.transforms[place].counters;
                counters
                    .received
                    .fetch_add(found.detections.len() as u64, Relaxed);
                for detection in &found.detections {
                    match found.origin {
                        Origin::Source(source) => {
                            let told = self.decoys[source].told_of(detection);
                            dedupe.apply(&told, now, &mut alerts);
                        }
                        Origin::Transform(_) => dedupe.apply(detection, now, &mut alerts),
                    }
                }
            }
            self.tell(place, alerts);
        }
        if readers.sinks.is_empty() {
            return;
        }
        let emit_expected = match found.origin {
            Origin::Transform(place) => self.transforms[place].kind.emits_expected(),
            // Whoever made the detection has decided.
            Origin::Source(_) => true,
        };
        for detection in found.detections {
            let sinks = match (detection.class, detection.technique) {
                (Class::Expected, Technique::TokenRequest) if !emit_expected => &readers.relays,
                (Class::Expected, _) if !emit_expected => continue,
                _ => &readers.sinks,
            };
            if sinks.is_empty() {
                continue;
            }
            self.commit.messages.push(Outgoing {
                message: Message::Detection(Arc::new(detection)),
                sinks: sinks.clone(),
            });
        }
    }

    fn each_dedupe(&mut self, step: fn(&mut Dedupe, Timestamp, &mut Vec<Alert>)) {
        let now = Timestamp::now();
        for place in 0..self.transforms.len() {
            let mut alerts = Vec::new();
            if let Kind::Dedupe(dedupe) = &mut self.transforms[place].kind {
                step(dedupe, now, &mut alerts);
            }
            self.tell(place, alerts);
        }
    }

    fn tell(&mut self, place: usize, alerts: Vec<Alert>) {
        let counters = &self.overview.transforms[place].counters;
        counters.sent.fetch_add(alerts.len() as u64, Relaxed);
        self.overview.told.told(&alerts);
        let sinks = &self.routes.of(Origin::Transform(place)).sinks;
        let outgoing = alerts.into_iter().map(|alert| Outgoing {
            message: Message::Alert(Arc::new(alert)),
            sinks: sinks.clone(),
        });
        self.commit.messages.extend(outgoing);
    }

    /// Hands the step over to the store; waits while that has too much to do.
    async fn end_step(&mut self) {
        for (transform, seen) in self.transforms.iter_mut().zip(&self.overview.transforms) {
            if let Kind::Dedupe(dedupe) = &mut transform.kind {
                seen.counters.note(&dedupe.counts());
                let changes = dedupe.changes();
                if !changes.is_empty() {
                    self.commit.state.push((transform.id.clone(), changes));
                }
            }
        }
        let commit = std::mem::take(&mut self.commit);
        if !commit.is_empty() {
            self.store.commit(commit).await;
        }
    }

    /// Says, seldom, which sinks are slower than what comes.
    fn warn_of_full_outboxes(&mut self) {
        for (place, sink) in self.sinks.iter_mut().enumerate() {
            let id = &*sink.id;
            let dropped = self.store.dropped(place);
            if self.store.is_full(place) && sink.warning.is_due() {
                let waiting = self.store.waiting(place);
                warn!(
                    sink = id,
                    "the outbox is full, the sources wait: {waiting} to deliver"
                );
            } else if dropped.total() > sink.told_dropped && sink.warning.is_due() {
                sink.told_dropped = dropped.total();
                warn!(
                    sink = id,
                    "the outbox is full or closed: {dropped} dropped so far"
                );
            }
        }
    }
}

impl Kind {
    fn emits_expected(&self) -> bool {
        matches!(
            self,
            Self::Detect {
                emit_expected: true
            }
        )
    }
}

/// How long until the wall clock says `time`, as far as that can be told: it may be set.
fn until(time: Timestamp) -> Duration {
    let wait = time.duration_since(Timestamp::now());
    Duration::try_from(wait)
        .unwrap_or_default()
        .min(LONGEST_SLEEP)
}

async fn sleep(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}
