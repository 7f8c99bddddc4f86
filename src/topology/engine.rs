//! The one task that owns the incidents: detections in, alerts out to the sinks' outboxes.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{
    config::{Pipeline, TransformConfig},
    dedupe::{Alert, Dedupe},
    detect::{Class, Detection},
    store::{Message, Tally, Writer},
    telemetry::Seldom,
};

/// The engine looks at the clock at least this often while an incident is open, since the
/// clock may be set, and the machine may sleep.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// What one block gave to one `detect` transform.
pub struct Batch {
    /// The transform's place in [`Pipeline::transforms`].
    pub transform: usize,
    pub detections: Vec<Detection>,
}

/// Incidents, and the ways from transforms to sinks.
pub struct Engine {
    /// In the order of [`Pipeline::transforms`].
    transforms: Vec<Transform>,
    /// In the order of [`Pipeline::sinks`].
    sinks: Vec<Sink>,
}

struct Sink {
    id: Arc<str>,
    outbox: Writer,
    warning: Seldom,
    /// Of what was dropped, how much was told.
    told_dropped: u64,
}

struct Transform {
    kind: Kind,
    /// The transforms and sinks that read this one, by their places.
    readers: Vec<usize>,
    sinks: Vec<usize>,
}

enum Kind {
    Detect { emit_expected: bool },
    Dedupe(Box<Dedupe>),
}

impl Engine {
    /// `outboxes` are in the order of the pipeline's sinks.
    pub fn new(pipeline: &Pipeline, outboxes: Vec<Writer>) -> Self {
        let transforms = pipeline.transforms.iter().map(|transform| Transform {
            kind: match &transform.config {
                TransformConfig::Detect(config) => Kind::Detect {
                    emit_expected: config.emit_expected,
                },
                TransformConfig::Dedupe(config) => {
                    Kind::Dedupe(Box::new(Dedupe::new(config.clone())))
                }
            },
            readers: readers(&transform.id, pipeline.transforms.iter().map(|t| &t.inputs)),
            sinks: readers(
                &transform.id,
                pipeline.sinks.iter().map(|sink| &sink.inputs),
            ),
        });
        let sinks = pipeline.sinks.iter().zip(outboxes);
        Self {
            transforms: transforms.collect(),
            sinks: sinks
                .map(|(sink, outbox)| Sink {
                    id: sink.id.clone(),
                    outbox,
                    warning: Seldom::default(),
                    told_dropped: 0,
                })
                .collect(),
        }
    }

    /// Works until every sender of `inbox` is gone, then closes and tells all incidents.
    /// Gives what each outbox had to drop.
    ///
    /// While an outbox is full, nothing more is taken in, so that the sources wait, but what
    /// is due is told. Once `draining` is cancelled it takes in what is left, full or not:
    /// no more than the batches on their way.
    pub async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Batch>,
        draining: CancellationToken,
    ) -> Vec<Tally> {
        loop {
            self.sinks.iter_mut().for_each(Sink::warn);
            let sinks = &self.sinks;
            let wake = self.next_tick().map(until);
            let next_batch = async {
                tokio::select! {
                    () = draining.cancelled() => {}
                    () = all_have_room(sinks) => {}
                }
                inbox.recv().await
            };
            tokio::select! {
                biased;
                () = sleep(wake) => self.each_dedupe(Dedupe::tick),
                batch = next_batch => match batch {
                    Some(batch) => self.take(batch),
                    None => break,
                },
            }
        }
        self.each_dedupe(Dedupe::drain);
        for sink in &self.sinks {
            sink.outbox.close();
        }
        self.sinks
            .iter()
            .map(|sink| sink.outbox.dropped())
            .collect()
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

    /// Alerts go out before the evidence that gave rise to them.
    fn take(&mut self, batch: Batch) {
        let now = Timestamp::now();
        for place in self.transforms[batch.transform].readers.clone() {
            let mut alerts = Vec::new();
            if let Kind::Dedupe(dedupe) = &mut self.transforms[place].kind {
                for detection in &batch.detections {
                    dedupe.apply(detection, now, &mut alerts);
                }
            }
            self.tell(place, alerts);
        }
        let transform = &self.transforms[batch.transform];
        let Kind::Detect { emit_expected } = transform.kind else {
            return;
        };
        if transform.sinks.is_empty() {
            return;
        }
        for detection in batch.detections {
            if detection.class != Class::Expected || emit_expected {
                let message = Message::Detection(Arc::new(detection));
                self.push(batch.transform, message);
            }
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

    fn tell(&self, place: usize, alerts: Vec<Alert>) {
        for alert in alerts {
            self.push(place, Message::Alert(Arc::new(alert)));
        }
    }

    fn push(&self, place: usize, message: Message) {
        for sink in &self.transforms[place].sinks {
            self.sinks[*sink].outbox.push(message.clone());
        }
    }
}

impl Sink {
    /// Says, seldom, that the sink is slower than what comes.
    fn warn(&mut self) {
        let dropped = self.outbox.dropped();
        if self.outbox.is_full() && self.warning.is_due() {
            let waiting = self.outbox.waiting();
            warn!(
                sink = &*self.id,
                "the outbox is full, the sources wait: {waiting} to deliver"
            );
        } else if dropped.total() > self.told_dropped && self.warning.is_due() {
            self.told_dropped = dropped.total();
            warn!(
                sink = &*self.id,
                "the outbox is full or closed: {dropped} dropped so far"
            );
        }
    }
}

/// The places of those among whose inputs `id` is.
fn readers<'p>(id: &Arc<str>, inputs: impl Iterator<Item = &'p Vec<Arc<str>>>) -> Vec<usize> {
    inputs
        .enumerate()
        .filter(|(_, inputs)| inputs.contains(id))
        .map(|(place, _)| place)
        .collect()
}

async fn all_have_room(sinks: &[Sink]) {
    for sink in sinks {
        sink.outbox.room().await;
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
