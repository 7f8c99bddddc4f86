//! `baitline run`: the live tripwire.

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
    process::ExitCode,
};

use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::{BAD_CONFIGURATION, FAILED, tell};
use crate::{
    config::{self, Faults, Format, Loaded, Pipeline, Source, SourceConfig, Text},
    topology,
};

#[derive(clap::Args)]
pub struct Arguments {
    /// A file, or a directory of files, in YAML, TOML or JSON; several are merged
    #[arg(short, long, value_name = "PATH")]
    config: Vec<PathBuf>,
    /// A decoy to watch in place of honeypot/backup-sa; its Secret is taken to be NAME-token
    #[arg(short, long, value_name = "NAMESPACE/NAME", conflicts_with = "config")]
    decoy: Vec<String>,
}

pub fn run(arguments: &Arguments) -> ExitCode {
    match load(arguments) {
        Err(faults) => {
            tell(faults);
            BAD_CONFIGURATION.into()
        }
        Ok(loaded) => {
            for warning in &loaded.warnings {
                warn!("{warning}");
            }
            if reads_terminal(&loaded.pipeline) {
                warn!("reading from the terminal; pipe a log in: tail -F audit.log | baitline run");
            }
            watch(loaded.pipeline)
        }
    }
}

/// Whether somebody forgot the pipe.
fn reads_terminal(pipeline: &Pipeline) -> bool {
    let is_stdin = |source: &Source| matches!(source.config, SourceConfig::Stdin(_));
    pipeline.sources.iter().any(is_stdin) && io::stdin().is_terminal()
}

fn watch(pipeline: Pipeline) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            error!("cannot start: {error}");
            return FAILED.into();
        }
    };
    let outcome = runtime.block_on(async {
        let shutdown = CancellationToken::new();
        tokio::spawn(heed_signals(shutdown.clone()));
        topology::run(pipeline, shutdown).await
    });
    // A thread may still hang in a write to a terminal that nobody reads.
    runtime.shutdown_background();
    match outcome {
        Ok(outcome) if outcome.failures.is_empty() => ExitCode::SUCCESS,
        Ok(_) => FAILED.into(),
        Err(error) => {
            error!("cannot start: {error}");
            FAILED.into()
        }
    }
}

/// The first SIGINT or SIGTERM drains, the second leaves at once.
async fn heed_signals(shutdown: CancellationToken) {
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        warn!("signals cannot be heard: a stop will not drain");
        return;
    };
    for is_first in [true, false] {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if is_first {
            shutdown.cancel();
        }
    }
    error!("told to stop a second time: leaving at once");
    std::process::exit(FAILED.into());
}

fn load(arguments: &Arguments) -> Result<Loaded, Faults> {
    let env = |name: &str| std::env::var(name).ok();
    if !arguments.config.is_empty() {
        return config::load(&arguments.config, &env);
    }
    let has_slack = env("SLACK_WEBHOOK_URL").is_some_and(|url| !url.is_empty());
    let parse = |decoys: Vec<Value>| {
        // Nobody has seen these texts: places in them would say nothing.
        config::parse(&built_in(decoys, has_slack), &env).map_err(Faults::without_positions)
    };
    if arguments.decoy.is_empty() {
        return parse(vec![example_decoy()]);
    }
    // What is wrong with a name is said before a Secret's is made of it, and so once.
    parse(arguments.decoy.iter().map(|name| decoy(name)).collect())?;
    parse(
        arguments
            .decoy
            .iter()
            .map(|name| with_secret(decoy(name)))
            .collect(),
    )
}

/// What runs where no configuration is given, each part named after what the user gave.
fn built_in(decoys: Vec<Value>, has_slack: bool) -> Vec<Text> {
    let text = |name: &str, value: Value| Text {
        name: name.into(),
        format: Format::Json,
        text: value.to_string(),
    };
    let mut texts = vec![
        text("--decoy", json!({"decoys": decoys})),
        text(
            "the built-in configuration",
            json!({
                "sources": {"audit": {"type": "stdin"}},
                "transforms": {
                    "detections": {"type": "detect", "inputs": ["audit"]},
                    "incidents": {"type": "dedupe", "inputs": ["detections"]},
                },
                "sinks": {
                    "terminal": {"type": "console", "inputs": ["incidents"]},
                    "alert_txt": {"type": "file", "inputs": ["incidents"], "path": "alert.txt"},
                },
            }),
        ),
    ];
    if has_slack {
        texts.push(text(
            "SLACK_WEBHOOK_URL",
            json!({"sinks": {"slack": {
                "type": "slack", "inputs": ["incidents"], "webhook_url": "${SLACK_WEBHOOK_URL}",
            }}}),
        ));
    }
    texts
}

/// The decoy of the README's examples and of the recordings, watched where none is named.
fn example_decoy() -> Value {
    json!({
        "service_account": "honeypot/backup-sa",
        "secret": "backup-sa-token",
        "pod": "file-backup",
        "whole_namespace": true,
        "severity": "medium",
    })
}

fn decoy(name: &str) -> Value {
    json!({"service_account": name.replace('$', "$$")})
}

/// The Secret of a hand-made token is by custom called after its ServiceAccount.
fn with_secret(mut decoy: Value) -> Value {
    let service_account = decoy["service_account"].as_str().unwrap_or_default();
    if let Some((_, name)) = service_account.split_once('/') {
        decoy["secret"] = format!("{name}-token").into();
    }
    decoy
}
