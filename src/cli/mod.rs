//! The command line: one file a verb, each of which parses, calls the library and prints.

mod data_dir;
mod dead_letters;
mod given;
mod incidents;
mod orders;
mod progress;
mod run;
mod scan;
mod time;
mod validate;

use std::{
    env,
    io::{self, IsTerminal},
    process::ExitCode,
};

use clap::{
    Parser, Subcommand,
    error::{ContextKind, ContextValue},
};
use tracing::level_filters::LevelFilter;

use crate::{
    format::text::Style,
    telemetry::{LogFormat, start_log},
};

/// `scan` found hits.
const HITS: u8 = 2;
/// Ran and failed.
const FAILED: u8 = 1;
/// The configuration or the command line is wrong (`EX_CONFIG`).
const BAD_CONFIGURATION: u8 = 78;

/// The tripwire for stolen Kubernetes tokens.
///
/// Reads Kubernetes audit events from any log pipeline and alerts the moment a decoy
/// ServiceAccount is touched.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
    /// Say less on standard error: -q errors only, -qq nothing
    #[arg(short, long, action = clap::ArgAction::Count, global = true, conflicts_with = "verbose")]
    quiet: u8,
    /// Say more on standard error: -v debug, -vv trace
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    verbose: u8,
    /// How the log is written
    #[arg(long, value_enum, default_value = "text", global = true)]
    log_format: LogFormat,
}

#[derive(Subcommand)]
enum Verb {
    /// Watch: read the sources and alert until they end
    ///
    /// Without --config: reads standard input, shows alerts on standard output, appends them to
    /// alert.txt, and sends them to Slack if SLACK_WEBHOOK_URL is set.
    Run(run::Arguments),
    /// Search the past: has a decoy ever been touched?
    ///
    /// Shows the alerts that `run` would have raised, in the order of event time. Exit codes: 0 no hit, 2 hits, 1 something
    /// could not be read or shown (hits or not: what was found is told all the same), 78 the configuration or the command
    /// line is wrong.
    Scan(scan::Arguments),
    /// Check a configuration and tell all its faults
    Validate(validate::Arguments),
    /// Look at what was told of incidents, also while a baitline runs
    Incidents(incidents::Arguments),
    /// Look at what receivers refused for good, and send it again
    DeadLetters(dead_letters::Arguments),
}

/// Does what the command line says. Exit codes: 0 fine, 1 ran and failed, 2 found hits (`scan`), 78 configuration.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Nobody is left to be told where even that cannot be printed.
            let _ = error.print();
            if let Some(hint) = hint(&error) {
                tell(format_args!("\n  hint: {hint}"));
            }
            return match error.use_stderr() {
                true => BAD_CONFIGURATION.into(),
                false => ExitCode::SUCCESS,
            };
        }
    };
    start_log(
        arguments.log_format,
        level(arguments.quiet, arguments.verbose),
    );
    match arguments.verb {
        Verb::Run(arguments) => run::run(&arguments),
        Verb::Scan(arguments) => scan::run(&arguments),
        Verb::Validate(arguments) => validate::run(&arguments),
        Verb::Incidents(arguments) => incidents::run(&arguments),
        Verb::DeadLetters(arguments) => dead_letters::run(&arguments),
    }
}

/// What was meant by an argument that there is not, where that is easily told.
fn hint(error: &clap::Error) -> Option<&'static str> {
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let is_file = [".yaml", ".yml", ".toml", ".json"]
        .iter()
        .any(|ending| argument.ends_with(ending));
    let verb = env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    match verb?.as_str() {
        "validate" if argument == "--config" || argument == "-c" => {
            Some("files are named without it: baitline validate FILE…")
        }
        "run" if is_file => {
            Some("a configuration is named by --config: baitline run --config FILE")
        }
        _ => None,
    }
}

fn level(quiet: u8, verbose: u8) -> LevelFilter {
    match (quiet, verbose) {
        (0, 0) => LevelFilter::INFO,
        (0, 1) => LevelFilter::DEBUG,
        (0, _) => LevelFilter::TRACE,
        (1, _) => LevelFilter::ERROR,
        _ => LevelFilter::OFF,
    }
}

/// Writes lines to standard error; a closed one is no fault.
fn tell(lines: impl std::fmt::Display) {
    use std::io::Write;
    let _ = writeln!(io::stderr(), "{lines}");
}

/// How text is written to standard output.
fn style() -> Style {
    Style::of(
        io::stdout().is_terminal(),
        env::var_os("NO_COLOR").as_deref(),
        env::var_os("TERM").as_deref(),
    )
}
