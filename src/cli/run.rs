//! `baitline run`: the live tripwire.

use std::{
    env, fs,
    io::{self, IsTerminal},
    process::ExitCode,
    time::{Duration, Instant},
};

use rustix::process::{Resource, getrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

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

/// Signals that come so soon after the first are the same order: `timeout` sends its own to its child and to the group.
const SAME_ORDER: Duration = Duration::from_secs(1);

/// The signals by which a process is told to stop.
struct Orders {
    interrupt: Signal,
    terminate: Signal,
    /// `None` where whoever started the process had it ignored, as `nohup` does.
    hangup: Option<Signal>,
}

impl Orders {
    fn heed() -> io::Result<Self> {
        let hangup = match is_ignored(libc::SIGHUP) {
            true => None,
            false => Some(signal(SignalKind::hangup())?),
        };
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup,
        })
    }

    /// The name of the next that comes.
    async fn next(&mut self) -> &'static str {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
            _ = hangup => "SIGHUP",
        }
    }
}

/// Whether the signal `number` is ignored, as far as the system tells.
fn is_ignored(number: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (number - 1)) != 0)
}

/// The first signal drains, a second one leaves at once.
async fn heed_signals(shutdown: CancellationToken) {
    let mut orders = match Orders::heed() {
        Ok(orders) => orders,
        Err(error) => {
            warn!("signals cannot be heard, and a stop will not drain: {error}");
            return;
        }
    };
    let first = orders.next().await;
    let heard = Instant::now();
    info!("{first}: stopping; a second signal leaves at once");
    shutdown.cancel();
    let mut second = orders.next().await;
    while heard.elapsed() < SAME_ORDER {
        second = orders.next().await;
    }
    error!("{second}: told to stop a second time, leaving at once");
    std::process::exit(FAILED.into());
}
