//! The one task that owns the incidents: detections in, alerts out to the sinks' outboxes.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::clock::Clock;
use crate::{
    config::{Pipeline, TransformConfig},
    dedupe::{Alert, Dedupe},
    detect::{Class, Detection},
    store::{Message, Tally, Writer},
};

/// What one block gave to one `detect` transform.
pub struct Batch {
    /// The transform's place in [`Pipeline::transforms`].
    pub transform: usize,
    pub detections: Vec<Detection>,
}

/// Incidents, and the ways from transforms to sinks.
pub struct Engine {
    clock: Clock,
    /// In the order of [`Pipeline::transforms`].
    transforms: Vec<Transform>,
    /// In the order of [`Pipeline::sinks`].
    sinks: Vec<Writer>,
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
    pub fn new(pipeline: &Pipeline, sinks: Vec<Writer>, clock: Clock) -> Self {
        let transforms = pipeline.transforms.iter().map(|transform| {
            let places = |inputs: Vec<&Vec<Arc<str>>>| -> Vec<usize> {
                let reads = |(place, inputs): (usize, &Vec<Arc<str>>)| {
                    inputs.contains(&transform.id).then_some(place)
                };
                inputs.into_iter().enumerate().filter_map(reads).collect()
            };
            Transform {
                kind: match &transform.config {
                    TransformConfig::Detect(config) => Kind::Detect {
                        emit_expected: config.emit_expected,
                    },
                    TransformConfig::Dedupe(config) => {
                        Kind::Dedupe(Box::new(Dedupe::new(config.clone())))
                    }
                },
                readers: places(pipeline.transforms.iter().map(|t| &t.inputs).collect()),
                sinks: places(pipeline.sinks.iter().map(|sink| &sink.inputs).collect()),
            }
        });
        Self {
            clock,
            transforms: transforms.collect(),
            sinks,
        }
    }

    /// Works until every sender of `inbox` is gone, then closes and tells all incidents.
    /// Returns what each sink's outbox did not take, in the order of [`Pipeline::sinks`].
    pub async fn run(mut self, mut inbox: mpsc::Receiver<Batch>) -> Vec<Tally> {
        loop {
            let wake = self.next_tick().map(|time| self.clock.instant(time));
            tokio::select! {
                biased;
                () = sleep_until(wake) => self.each_dedupe(Dedupe::tick).await,
                batch = inbox.recv() => match batch {
                    Some(batch) => self.take(batch).await,
                    None => break,
                },
            }
        }
        self.each_dedupe(Dedupe::drain).await;
        for sink in &self.sinks {
            sink.close();
        }
        self.sinks.iter().map(Writer::dropped).collect()
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
    async fn take(&mut self, batch: Batch) {
        let now = self.clock.now();
        for place in self.transforms[batch.transform].readers.clone() {
            let mut alerts = Vec::new();
            if let Kind::Dedupe(dedupe) = &mut self.transforms[place].kind {
                for detection in &batch.detections {
                    dedupe.apply(detection, now, &mut alerts);
                }
            }
            self.tell(place, alerts).await;
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
                self.push(batch.transform, message).await;
            }
        }
    }

    async fn each_dedupe(&mut self, step: fn(&mut Dedupe, Timestamp, &mut Vec<Alert>)) {
        let now = self.clock.now();
        for place in 0..self.transforms.len() {
            let mut alerts = Vec::new();
            if let Kind::Dedupe(dedupe) = &mut self.transforms[place].kind {
                step(dedupe, now, &mut alerts);
            }
            self.tell(place, alerts).await;
        }
    }

    async fn tell(&self, place: usize, alerts: Vec<Alert>) {
        for alert in alerts {
            self.push(place, Message::Alert(Arc::new(alert))).await;
        }
    }

    async fn push(&self, place: usize, message: Message) {
        for sink in &self.transforms[place].sinks {
            self.sinks[*sink].push(message.clone()).await;
        }
    }
}

async fn sleep_until(wake: Option<std::time::Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake.into()).await,
        None => std::future::pending().await,
    }
}
