//! The options of the whole pipeline, which stand at the top level of a file.

use std::time::Duration;

use crate::config::{
    api::Api,
    kind::{self, Kind},
    notation::DataDir,
    number::{Count, Seconds},
    options::OptionDoc,
};

/// How long sinks may go on delivering after the sources have stopped.
pub(super) const DEFAULT_SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(60);

const ONE_DAY: Duration = Duration::from_secs(86_400);

/// How long what was told of incidents that are over is kept.
const DEFAULT_RETENTION_DAYS: u32 = 90;

/// Keys that stand at the top level of a file.
pub(in crate::config) const GLOBALS: [&str; 9] = [
    "api",
    "cluster",
    "data_dir",
    "decoys",
    "retention_days",
    "shutdown_timeout_secs",
    "sinks",
    "sources",
    "transforms",
];

/// What the reference documentation says about the options of the whole pipeline.
pub(in crate::config) fn describe() -> Vec<OptionDoc> {
    let option = |name: &str, kind: String, default: String, doc: &str| OptionDoc {
        name: name.to_owned(),
        kind,
        default: Some(default),
        doc: doc.to_owned(),
    };
    let mut docs = Vec::new();
    Api::describe("api".to_owned(), None, "", &mut docs);
    docs.extend([
        option(
            "cluster",
            kind::Text::wanted(),
            "none".to_owned(),
            "The cluster's name, where the wrapper of an event does not tell.",
        ),
        option(
            "data_dir",
            DataDir::wanted(),
            "none".to_owned(),
            "Where incidents, what waits for the sinks, and the positions of sources are kept. \
             Without one they are held in memory and end with the process.",
        ),
        option(
            "retention_days",
            Count::<u32>::wanted(),
            DEFAULT_RETENTION_DAYS.to_string(),
            "How long incidents that are over are kept in `data_dir`.",
        ),
        option(
            "shutdown_timeout_secs",
            Seconds::<true>::wanted(),
            Seconds::<true>::show(&DEFAULT_SHUTDOWN_TIMEOUT),
            "How long sinks may go on delivering after the sources have stopped.",
        ),
    ]);
    docs
}

pub(super) fn retention(days: Option<u32>) -> Duration {
    ONE_DAY * days.unwrap_or(DEFAULT_RETENTION_DAYS)
}
