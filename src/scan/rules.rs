//! What a scan takes out of a pipeline: decoys, and the options of its transforms.

use std::sync::Arc;

use crate::{
    config::{Decoy, Pipeline, Transform, TransformConfig},
    dedupe,
    detect::{self, Detector},
};

/// What is looked for, and how it is told.
#[derive(Clone, Debug)]
pub struct Rules {
    decoys: Vec<Decoy>,
    cluster: Option<Arc<str>>,
    /// The source that the pipeline would have read it by, since that is a part of some incidents' ids.
    source: Arc<str>,
    detect: detect::Config,
    pub(super) dedupe: dedupe::Config,
}

/// The pipeline has no decoys, since it reads what others have detected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there are no decoys in the configuration to look for; add decoys: [{{ service_account: namespace/name }}]"
)]
pub struct NoDecoys;

impl Rules {
    /// The rules of `pipeline`: of several transforms of a kind those of the first, and of several sources the first that it reads.
    ///
    /// # Errors
    /// If the pipeline has no decoys.
    pub fn new(pipeline: &Pipeline) -> Result<Self, NoDecoys> {
        if pipeline.decoys.is_empty() {
            return Err(NoDecoys);
        }
        let detect = first(pipeline, |config| match config {
            TransformConfig::Detect(config) => Some(config),
            TransformConfig::Dedupe(_) => None,
        });
        let dedupe = first(pipeline, |config| match config {
            TransformConfig::Dedupe(config) => Some(config),
            TransformConfig::Detect(_) => None,
        });
        let source = detect.and_then(|(transform, _)| transform.inputs.first());
        Ok(Self {
            decoys: pipeline.decoys.clone(),
            cluster: pipeline.cluster.clone(),
            source: source.cloned().unwrap_or_else(|| "scan".into()),
            detect: detect.map(|(_, config)| config.clone()).unwrap_or_default(),
            dedupe: dedupe.map(|(_, config)| config.clone()).unwrap_or_default(),
        })
    }

    pub(super) fn detector(&self) -> Result<Detector, glob::PatternError> {
        Detector::new(
            &self.detect,
            &self.decoys,
            self.cluster.clone(),
            self.source.clone(),
        )
    }

    /// Whether touches by expected actors are told.
    pub(super) fn emits_expected(&self) -> bool {
        self.detect.emit_expected
    }
}

/// The first transform of a kind, with its options.
fn first<'p, C>(
    pipeline: &'p Pipeline,
    kind: fn(&'p TransformConfig) -> Option<C>,
) -> Option<(&'p Transform, C)> {
    pipeline
        .transforms
        .iter()
        .find_map(|transform| Some((transform, kind(&transform.config)?)))
}
