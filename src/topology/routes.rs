//! Who reads whom, by places in the pipeline's lists.

use std::sync::Arc;

use crate::config::{Pipeline, SinkConfig, TransformConfig};

/// What detections and alerts come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A source of detections that another baitline made, by its place in [`Pipeline::sources`].
    Source(usize),
    /// By its place in [`Pipeline::transforms`].
    Transform(usize),
}

/// The readers of one origin.
#[derive(Clone, Debug, Default)]
pub struct Readers {
    /// `dedupe` transforms, by their places.
    pub dedupes: Vec<usize>,
    /// By their places in [`Pipeline::sinks`].
    pub sinks: Arc<[usize]>,
    /// Those of the sinks that a remote `dedupe` may stand behind.
    pub relays: Arc<[usize]>,
}

/// The readers of everything that can be read.
pub struct Routes {
    sources: Vec<Readers>,
    transforms: Vec<Readers>,
}

impl Routes {
    pub fn new(pipeline: &Pipeline) -> Self {
        let sources: Vec<Readers> = pipeline
            .sources
            .iter()
            .map(|source| readers(&source.id, pipeline))
            .collect();
        let transforms: Vec<Readers> = pipeline
            .transforms
            .iter()
            .map(|transform| readers(&transform.id, pipeline))
            .collect();
        Self {
            sources,
            transforms,
        }
    }

    pub fn of(&self, origin: Origin) -> &Readers {
        match origin {
            Origin::Source(place) => &self.sources[place],
            Origin::Transform(place) => &self.transforms[place],
        }
    }
}

fn readers(id: &Arc<str>, pipeline: &Pipeline) -> Readers {
    let sinks = |wanted: fn(&SinkConfig) -> bool| {
        let reading = pipeline.sinks.iter().enumerate();
        reading
            .filter(|(_, sink)| sink.inputs.contains(id) && wanted(&sink.config))
            .map(|(place, _)| place)
            .collect()
    };
    let transforms = pipeline.transforms.iter().enumerate();
    let dedupes = transforms.filter(|(_, transform)| {
        matches!(transform.config, TransformConfig::Dedupe(_)) && transform.inputs.contains(id)
    });
    Readers {
        dedupes: dedupes.map(|(place, _)| place).collect(),
        sinks: sinks(|_| true),
        relays: sinks(SinkConfig::may_feed_dedupe),
    }
}
