//! `baitline run`: the live tripwire.

use std::{
    env,
    io::{self, IsTerminal},
    process::ExitCode,
};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::{BAD_CONFIGURATION, FAILED, given::Given, tell};
use crate::{
    config::{Pipeline, Source, SourceConfig},
    topology,
};

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    pipeline: Given,
}

pub fn run(arguments: &Arguments) -> ExitCode {
    let has_slack = env::var("SLACK_WEBHOOK_URL").is_ok_and(|url| !url.is_empty());
    match arguments.pipeline.load(has_slack) {
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
