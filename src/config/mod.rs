//! Text to a validated [`Pipeline`]: interpolation, types, diagnostics with line and column.

mod pipeline;
mod secret;

pub use pipeline::{
    Decoy, Expected, Pipeline, Sink, SinkConfig, Source, SourceConfig, Transform, TransformConfig,
};
pub use secret::Secret;
