//! Text to a validated [`Pipeline`]: interpolation, types, diagnostics with line and column.
//!
//! | file | what it does |
//! | --- | --- |
//! | `read` | files and directories to texts |
//! | `yaml`, `toml`, `json` | a text to the one tree, with places (`tree`) |
//! | `interpolate` | variables of the environment |
//! | `options` | how a component states its options; decoding and documentation come of that |
//! | `kind`, `number`, `notation`, `names` | the kinds of values: words, times, networks, names of Kubernetes |
//! | `components`, `decoys`, `api` | what can be configured |
//! | `sources`, `http_server`, `fluent`, `vector`, `server`, `transforms`, `sinks`, `http`, `kafka`, `topics`, `template` | with which options |
//! | `declared`, `graph` | the components of all files, and who reads whom |
//! | `places` | what is named on this machine, and whether it can be used |
//! | `loader` | all of this in order: texts to a pipeline |
//! | `fault`, `nearest` | what is wrong, where, and what to write instead |
//!
//! Every fault of a configuration is told in one go. A value that came from the environment
//! and a URL that may hold a secret stand in no fault.

mod api;
mod components;
mod declared;
mod decoys;
mod fault;
mod fluent;
mod graph;
mod http;
mod http_server;
mod interpolate;
mod json;
mod kafka;
mod kind;
mod loader;
mod names;
mod nearest;
mod notation;
mod number;
mod options;
mod pipeline;
mod places;
mod read;
mod secret;
mod server;
mod sinks;
mod sources;
mod template;
mod toml;
mod topics;
mod transforms;
mod tree;
mod vector;
mod vectors_words;
mod yaml;

use std::path::PathBuf;

use components::COMPONENTS;
use loader::Loader;

pub(crate) use components::DEFAULT_MAX_LINE_BYTES;
pub use components::Role;
pub use fault::{Fault, Faults, Place, Position};
pub use options::OptionDoc;
pub use pipeline::{
    Decoy, Expected, Pipeline, Sink, SinkConfig, Source, SourceConfig, Transform, TransformConfig,
};
pub use read::{Format, Text};
pub use secret::Secret;

/// A sound configuration.
#[derive(Debug)]
pub struct Loaded {
    pub pipeline: Pipeline,
    /// What is legal but unwise, by file, line and column.
    pub warnings: Vec<Fault>,
}

impl Loaded {
    /// As [`Faults::without_positions`].
    pub(crate) fn without_positions(mut self) -> Self {
        self.warnings.iter_mut().for_each(Fault::forget_position);
        self
    }
}

/// Loads the configuration that all `paths` make together. Each is a file (`.yaml`, `.yml`,
/// `.toml`, `.json`) or a directory, of which the files of these kinds are taken, sorted by
/// name, hidden ones and subdirectories left out. `env` looks up variables of the environment.
///
/// Lists of `decoys` are concatenated; `sources`, `transforms` and `sinks` unite.
pub fn load(paths: &[PathBuf], env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Faults> {
    let mut faults = Vec::new();
    let texts = read::files(paths, &mut faults);
    Loader::new(faults).load(&texts, env)
}

/// As [`load`], of what a search of the past takes: decoys, `cluster` and transforms. The pipeline has neither sources nor
/// sinks, and what is wrong with those, such as a secret that is not there, is no fault.
pub fn load_for_search(
    paths: &[PathBuf],
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Faults> {
    let mut faults = Vec::new();
    let texts = read::files(paths, &mut faults);
    Loader::new(faults).load_for_search(&texts, env)
}

/// As [`load`], of texts in memory.
pub fn parse(texts: &[Text], env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Faults> {
    Loader::new(Vec::new()).load(texts, env)
}

/// As [`load_for_search`], of texts in memory.
pub fn parse_for_search(
    texts: &[Text],
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Faults> {
    Loader::new(Vec::new()).load_for_search(texts, env)
}

/// What the reference documentation says about one type of component, about decoys, or about
/// the pipeline as a whole.
#[derive(Clone, Debug)]
pub struct Reference {
    /// `None` for what is no component.
    pub role: Option<Role>,
    /// What stands under `type`; else `pipeline` or `decoys`.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub about: &'static str,
    pub options: Vec<OptionDoc>,
}

/// Everything that can be configured: the pipeline as a whole, decoys, then sources,
/// transforms, sinks.
pub fn reference() -> Vec<Reference> {
    let pipeline = Reference {
        role: None,
        name: "pipeline",
        about: "The pipeline as a whole: options at the top level of a file.",
        options: loader::describe(),
    };
    let decoys = Reference {
        role: None,
        name: "decoys",
        about: "A planted identity and what belongs to it.",
        options: decoys::describe(),
    };
    let components = COMPONENTS.iter().map(|component| Reference {
        role: Some(component.role),
        name: component.name,
        about: component.about,
        options: component.options(),
    });
    [pipeline, decoys].into_iter().chain(components).collect()
}
