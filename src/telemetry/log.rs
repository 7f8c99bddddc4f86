//! The log: on standard error, never on standard output, which belongs to the alerts.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

use crate::format::text::Style;

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
///
/// Only baitline's own lines are written: what an HTTP library logs in detail may hold a
/// webhook's path, which is a secret.
pub fn start_log(format: LogFormat, level: LevelFilter) {
    let [no_color, term] = ["NO_COLOR", "TERM"].map(std::env::var_os);
    let style = Style::of(
        io::stderr().is_terminal(),
        no_color.as_deref(),
        term.as_deref(),
    );
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(style == Style::Colour)
        .with_target(false)
        .log_internal_errors(false);
    let own = Targets::new().with_target("baitline", level);
    let _ = match format {
        LogFormat::Text => tracing_subscriber::registry()
            .with(lines)
            .with(own)
            .try_init(),
        LogFormat::Json => tracing_subscriber::registry()
            .with(lines.json().flatten_event(true))
            .with(own)
            .try_init(),
    };
}
