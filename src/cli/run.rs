//! `baitline run`: the live tripwire.

use std::{
    env,
    io::{self, IsTerminal},
    process::ExitCode,
};

use rustix::process::{Resource, getrlimit};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{BAD_CONFIGURATION, FAILED, given::Given, orders, tell};
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

/// Files that a process must be allowed to open for the smallest pipeline: standard streams, the runtime's, a sink's.
const FEWEST_FILES: u64 = 32;

fn watch(pipeline: Pipeline) -> ExitCode {
    if let Some(files) = getrlimit(Resource::Nofile).current
        && files < FEWEST_FILES
    {
        error!(
            "cannot start: {files} files may be open at a time (ulimit -n), and {FEWEST_FILES} at least are needed"
        );
        return FAILED.into();
    }
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
        let heeded = shutdown.clone();
        tokio::spawn(orders::heed(move |order| {
            info!("{order}: stopping; a second signal leaves at once");
            heeded.cancel();
        }));
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
