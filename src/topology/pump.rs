//! What happens on a source's thread: its blocks are searched, with another's help while
//! much is found, and what is found is handed to the engine together with how far the
//! source has come. A full channel holds the source back.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use jiff::Timestamp;
use tokio::sync::mpsc::{self, error::TrySendError};
use tracing::{info, warn};

use super::{
    detections::{self, Decoder, Sent},
    engine::{Batch, Found},
    overview::Overview,
    pair::DetectorPair,
    routes::Origin,
    transforms,
};
use crate::{
    config::{Pipeline, TransformConfig},
    dedupe::Alert,
    detect::{self, Detection, Detector},
    source::{Block, Counters, Decoding, Outlet, Progress},
    telemetry::Seldom,
};

/// Searches the blocks of one source for each `detect` transform that reads it, or decodes
/// the detections that they hold.
pub struct Pump {
    /// Its place in [`Pipeline::sources`].
    place: usize,
    source: Arc<str>,
    counters: Arc<Counters>,
    detectors: Vec<Detecting>,
    /// Where the source's records are detections.
    decoder: Option<Decoder>,
    /// What was found since the last commit.
    found: Vec<Found>,
    batches: mpsc::Sender<Batch>,
    warning: Seldom,
    undecodable: u64,
    warning_of_length: Seldom,
    oversized: u64,
}

/// One `detect` transform at work on the source.
struct Detecting {
    origin: Origin,
    detector: DetectorPair,
    counters: Arc<transforms::Counters>,
}

impl Pump {
    /// For the source at `place`.
    ///
    /// # Errors
    /// A glob in a decoy that is none.
    pub fn new(
        pipeline: &Pipeline,
        place: usize,
        overview: &Overview,
        batches: mpsc::Sender<Batch>,
    ) -> Result<Self, glob::PatternError> {
        let source = &pipeline.sources[place].id;
        let counters = overview.sources[place].counters.clone();
        let mut detectors = Vec::new();
        for (place, transform) in pipeline.transforms.iter().enumerate() {
            if let TransformConfig::Detect(config) = &transform.config
                && transform.inputs.contains(source)
            {
                let cluster = pipeline.cluster.clone();
                let detector = Detector::new(config, &pipeline.decoys, cluster, source.clone())?;
                detectors.push(Detecting {
                    origin: Origin::Transform(place),
                    detector: DetectorPair::new(detector),
                    counters: overview.transforms[place].counters.clone(),
                });
            }
        }
        let decoding = pipeline.sources[place].config.decoding();
        Ok(Self {
            place,
            source: source.clone(),
            counters,
            detectors,
            decoder: (decoding == Decoding::Detection).then(Decoder::default),
            found: Vec::new(),
            batches,
            warning: Seldom::default(),
            undecodable: 0,
            warning_of_length: Seldom::default(),
            oversized: 0,
        })
    }

    /// Says at the end what was read.
    pub fn say_counts(&self) {
        let source = &*self.source;
        if let Some(decoder) = &self.decoder {
            let detections::Counts {
                bytes,
                detections,
                in_part,
                alerts,
                faulty,
                oversized,
            } = decoder.counts();
            info!(
                source,
                bytes, detections, in_part, alerts, faulty, oversized, "source ended"
            );
            return;
        }
        let detect::Counts {
            bytes,
            candidates,
            events,
            expected,
            undecodable,
            oversized,
        } = self.counts();
        info!(
            source,
            bytes, candidates, events, expected, undecodable, oversized, "source ended"
        );
    }

    /// The source has ended: hands on what was kept until more of it would come.
    pub fn finish(&mut self) {
        let arrival = Timestamp::now();
        self.each_detector(|detector, found| detector.finish(arrival, found));
        self.tell_of_undecodable();
        if !self.found.is_empty() {
            self.commit(Progress::default());
        }
    }

    /// Holds what `search` finds by each detector.
    fn each_detector(&mut self, search: impl Fn(&mut DetectorPair, &mut Vec<Detection>)) {
        for place in 0..self.detectors.len() {
            let Detecting {
                origin,
                detector,
                counters,
            } = &mut self.detectors[place];
            let (origin, mut detections) = (*origin, Vec::new());
            search(detector, &mut detections);
            counters.sent.fetch_add(detections.len() as u64, Relaxed);
            self.hold(origin, detections, Vec::new());
        }
    }

    fn batch(&mut self, progress: Progress) -> Batch {
        Batch {
            source: self.place,
            found: std::mem::take(&mut self.found),
            progress,
        }
    }

    fn counts(&self) -> detect::Counts {
        self.detectors
            .iter()
            .map(|detecting| detecting.detector.counts())
            .max_by_key(|counts| counts.bytes)
            .unwrap_or_default()
    }

    fn tell_of_undecodable(&mut self) {
        let (undecodable, what) = match &self.decoder {
            Some(decoder) => (
                decoder.counts().faulty + decoder.counts().in_part,
                "records are no detections, or were understood in part, as those of another version may be",
            ),
            None => (
                self.counts().undecodable,
                "records with a decoy's name or an odd escape in them could not be decoded",
            ),
        };
        self.counters.undecodable.store(undecodable, Relaxed);
        if undecodable > self.undecodable && self.warning.is_due() {
            self.undecodable = undecodable;
            warn!(source = &*self.source, undecodable, "{what}");
        }
    }

    /// `block` is the last that was searched.
    fn tell_of_oversized(&mut self, block: &Block<'_>) {
        let oversized = self.counts().oversized;
        if oversized > self.oversized && self.warning_of_length.is_due() {
            self.oversized = oversized;
            warn!(
                source = &*self.source,
                position = &*(block.provenance)(0).position,
                oversized,
                "a record is longer than max_line_bytes; it is searched for decoys, but not decoded"
            );
        }
    }

    fn hold(&mut self, origin: Origin, detections: Vec<Detection>, notices: Vec<Alert>) {
        if !detections.is_empty() || !notices.is_empty() {
            self.found.push(Found {
                origin,
                detections,
                notices,
            });
        }
    }
}

impl Outlet for Pump {
    fn take(&mut self, block: &Block<'_>) -> bool {
        let (arrival, held) = (Timestamp::now(), self.found.len());
        self.each_detector(|detector, found| detector.scan(block, arrival, found));
        self.tell_of_oversized(block);
        let block = &Block {
            bytes: block.before_parts(),
            ..*block
        };
        let records = self.counters.received(block, arrival);
        for detecting in &self.detectors {
            detecting.counters.received.fetch_add(records, Relaxed);
        }
        if let Some(decoder) = &mut self.decoder {
            let mut sent = Sent::default();
            decoder.read(block, arrival, &mut sent);
            self.hold(Origin::Source(self.place), sent.detections, sent.notices);
        }
        self.tell_of_undecodable();
        self.found.len() > held
    }

    fn commit(&mut self, progress: Progress) {
        let batch = self.batch(progress);
        self.counters.is_held_up.store(true, Relaxed);
        // The engine ends only after the sources, unless it panicked: then nothing is left to be told.
        let _ = self.batches.blocking_send(batch);
        self.counters.is_held_up.store(false, Relaxed);
    }

    fn try_commit(&mut self, progress: Progress) -> Result<(), Progress> {
        let batches = self.batches.clone();
        let place = batches.try_reserve();
        let is_full = matches!(place, Err(TrySendError::Full(())));
        self.counters.is_held_up.store(is_full, Relaxed);
        match place {
            Ok(place) => place.send(self.batch(progress)),
            Err(TrySendError::Full(())) => return Err(progress),
            Err(TrySendError::Closed(())) => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{Format, Text, parse},
        source::{Provenance, Shape},
    };

    /// Who looks at it in another way, if nothing was found in it, must know whatever is held of others.
    #[test]
    fn only_what_is_found_in_the_block_itself_is_found() {
        let text = Text {
            name: "x.yaml".into(),
            format: Format::Yaml,
            text: "
decoys: [{ service_account: honeypot/backup-sa }]
sources: { audit: { type: stdin } }
transforms: { detections: { type: detect, inputs: [audit] } }
sinks: { out: { type: console, inputs: [detections] } }
"
            .into(),
        };
        let pipeline = parse(&[text], &|_| None).unwrap().pipeline;
        let overview = Overview::new(&pipeline);
        let (batches, _inbox) = mpsc::channel(1);
        let mut pump = Pump::new(&pipeline, 0, &overview, batches).unwrap();
        let mut is_found = |user: &str| {
            let event = serde_json::json!({
                "kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "1", "verb": "list",
                "user": {"username": user}, "requestURI": "/api/v1/pods",
            });
            pump.take(&Block {
                bytes: event.to_string().as_bytes(),
                shape: Shape::Lines,
                header: None,
                first_part: None,
                provenance: &|_| Provenance::default(),
            })
        };
        let decoy = "system:serviceaccount:honeypot:backup-sa";
        assert_eq!(
            [decoy, "jane", decoy].map(&mut is_found),
            [true, false, true]
        );
    }
}
