//! What happens on a source's thread: its blocks are searched, and what is found is
//! handed to the engine. A full channel holds the source back.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::engine::Batch;
use crate::{
    config::{Pipeline, TransformConfig},
    detect::{Counts, Detector},
    source::Block,
    telemetry::Seldom,
};

/// Searches the blocks of one source for each `detect` transform that reads it.
pub struct Pump {
    source: Arc<str>,
    detectors: Vec<(usize, Detector)>,
    batches: mpsc::Sender<Batch>,
    warning: Seldom,
    undecodable: u64,
}

impl Pump {
    /// # Errors
    /// A glob in a decoy that is none.
    pub fn new(
        pipeline: &Pipeline,
        source: &Arc<str>,
        batches: mpsc::Sender<Batch>,
    ) -> Result<Self, glob::PatternError> {
        let mut detectors = Vec::new();
        for (index, transform) in pipeline.transforms.iter().enumerate() {
            if let TransformConfig::Detect(config) = &transform.config
                && transform.inputs.contains(source)
            {
                let cluster = pipeline.cluster.clone();
                let detector = Detector::new(config, &pipeline.decoys, cluster, source.clone())?;
                detectors.push((index, detector));
            }
        }
        Ok(Self {
            source: source.clone(),
            detectors,
            batches,
            warning: Seldom::default(),
            undecodable: 0,
        })
    }

    /// Searches `block`; returns when what was found is on its way.
    pub fn take(&mut self, block: &Block<'_>) {
        let arrival = Timestamp::now();
        for (transform, detector) in &mut self.detectors {
            let mut detections = Vec::new();
            detector.scan(block, arrival, &mut detections);
            if !detections.is_empty() {
                let batch = Batch {
                    transform: *transform,
                    detections,
                };
                // The engine ends only after the sources, unless it panicked: then nothing is left to be told.
                let _ = self.batches.blocking_send(batch);
            }
        }
        self.warn_of_undecodable();
    }

    /// Says at the end what was read.
    pub fn say_counts(&self) {
        let Counts {
            bytes,
            candidates,
            events,
            expected,
            undecodable,
            oversized,
        } = self.counts();
        info!(
            source = &*self.source,
            bytes, candidates, events, expected, undecodable, oversized, "source ended"
        );
    }

    fn counts(&self) -> Counts {
        self.detectors
            .iter()
            .map(|(_, detector)| detector.counts())
            .max_by_key(|counts| counts.bytes)
            .unwrap_or_default()
    }

    fn warn_of_undecodable(&mut self) {
        let undecodable = self.counts().undecodable;
        if undecodable > self.undecodable && self.warning.is_due() {
            self.undecodable = undecodable;
            warn!(
                source = &*self.source,
                undecodable,
                "records with a decoy's name or an odd escape in them could not be decoded"
            );
        }
    }
}
