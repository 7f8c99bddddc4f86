//! The log: on standard error, never on standard output, which belongs to the alerts.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    #[default]
    Text,
    /// One object a line.
    Json,
}

/// Starts the log at `level`. A standard error that is closed is no fault. Where a log
/// has been started before, that one stays.
pub fn start_log(format: LogFormat, level: LevelFilter) {
    let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let builder = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(!is_plain && io::stderr().is_terminal())
        .with_max_level(level)
        .with_target(false)
        .log_internal_errors(false);
    let _ = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}
