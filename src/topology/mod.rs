//! A [`Pipeline`] becomes running threads, tasks and channels; started, drained, ended.
//!
//! Each source runs on a thread of its own, and there, while its blocks are hot in the
//! cache, they are searched (`pump`). What touches a decoy goes over a bounded channel
//! to the engine (`engine`), one task that owns the incidents and writes each sink's
//! outbox. Each sink is a task that delivers at its own pace.

mod clock;
mod engine;
mod pump;

use std::{io, sync::Arc, thread};

use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use self::{clock::Clock, engine::Engine, pump::Pump};
use crate::{
    config::{Pipeline, SinkConfig, SourceConfig},
    sink::{self, Counters, Delivery, Ending, Report},
    source::{self, Stop},
    store::{Reader, Writer, outbox},
};

/// Batches of detections on their way from the sources to the engine.
const BATCHES: usize = 4;

/// Why a pipeline cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("decoy or expected rule with a glob that is none: {0}")]
    Glob(#[from] glob::PatternError),
    #[error("cannot start source {id:?}: {source}")]
    Start { id: Arc<str>, source: io::Error },
}

/// How a pipeline's run ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What failed, in words; empty if everything was read and delivered.
    pub failures: Vec<String>,
}

/// Runs `pipeline` until its sources have ended or `shutdown` is cancelled, then drains:
/// sources hand on what they have read, incidents are closed and told, and sinks deliver
/// for at most the pipeline's `shutdown_timeout`.
///
/// # Errors
/// If it cannot be started. What fails later is in the [`Outcome`].
pub async fn run(pipeline: Pipeline, shutdown: CancellationToken) -> Result<Outcome, Error> {
    let give_up = CancellationToken::new();
    let (sinks, writers) = spawn_sinks(&pipeline, &give_up);
    let engine = Engine::new(&pipeline, writers, Clock::start());
    let (batches, inbox) = mpsc::channel(BATCHES);
    let sources = spawn_sources(&pipeline, batches)?;
    info!(
        sources = pipeline.sources.len(),
        sinks = pipeline.sinks.len(),
        decoys = pipeline.decoys.len(),
        "watching; incidents and undelivered alerts are held in memory and end with the process"
    );

    let engine = tokio::spawn(engine.run(inbox));
    let all_closed = CancellationToken::new();
    let sinks = tokio::spawn(collect_reports(sinks, all_closed.clone()));
    tokio::select! {
        biased;
        () = sources.ended.cancelled() => {}
        () = shutdown.cancelled() => info!("told to stop: draining"),
        () = all_closed.cancelled() => info!("no sink is left to tell: stopping"),
    }
    sources.stop.trigger();

    let timeout = pipeline.shutdown_timeout;
    tokio::spawn(async move {
        tokio::time::sleep(timeout).await;
        give_up.cancel();
    });
    let mut failures = sources.join().await;
    let _ = engine.await; // A panic has been said on standard error.
    failures.extend(sinks.await.unwrap_or_default().iter().filter_map(failure));
    Ok(Outcome { failures })
}

type SourceThread = thread::JoinHandle<Result<source::Ended, source::Error>>;

/// The threads of the sources.
struct Sources {
    stop: Stop,
    /// Cancelled when every source has ended.
    ended: CancellationToken,
    threads: Vec<(Arc<str>, SourceThread)>,
}

impl Sources {
    /// Waits for the threads, and says what went wrong in them.
    async fn join(self) -> Vec<String> {
        let threads = self.threads;
        tokio::task::spawn_blocking(move || {
            threads
                .into_iter()
                .filter_map(|(id, thread)| match thread.join() {
                    Ok(Ok(_)) => None,
                    Ok(Err(error)) => Some(format!("source {id:?}: {error}")),
                    Err(_) => Some(format!("source {id:?} panicked")),
                })
                .inspect(|failure| error!("{failure}"))
                .collect()
        })
        .await
        .unwrap_or_default()
    }
}

fn spawn_sources(
    pipeline: &Pipeline,
    batches: mpsc::Sender<engine::Batch>,
) -> Result<Sources, Error> {
    let start_error = |id: &Arc<str>| {
        let id = id.clone();
        move |source| Error::Start { id, source }
    };
    let first = pipeline.sources.first().map(|source| source.id.clone());
    let stop = Stop::new().map_err(start_error(&first.unwrap_or_default()))?;
    let ended = CancellationToken::new();
    let still_running = Arc::new(ended.clone().drop_guard());
    let mut threads = Vec::new();
    for source in &pipeline.sources {
        let mut pump = Pump::new(pipeline, &source.id, batches.clone())?;
        let (config, stop) = (source.config.clone(), stop.clone());
        let still_running = still_running.clone();
        let thread = thread::Builder::new()
            .name(source.id.to_string())
            .spawn(move || {
                let _still_running = still_running;
                let mut outlet = |block: source::Block<'_>| pump.take(&block);
                let ended = match &config {
                    SourceConfig::Stdin(config) => source::stdin::run(config, &stop, &mut outlet),
                    SourceConfig::File(config) => source::file::run(config, &stop, &mut outlet),
                };
                pump.say_counts();
                ended
            })
            .map_err(start_error(&source.id))?;
        threads.push((source.id.clone(), thread));
    }
    Ok(Sources {
        stop,
        ended,
        threads,
    })
}

fn spawn_sinks(pipeline: &Pipeline, give_up: &CancellationToken) -> (JoinSet<Report>, Vec<Writer>) {
    let mut tasks = JoinSet::new();
    let mut writers = Vec::new();
    for sink in &pipeline.sinks {
        let delivery = |outbox: Reader| Delivery {
            id: sink.id.clone(),
            outbox,
            counters: Arc::new(Counters::default()),
            give_up: give_up.clone(),
        };
        let (writer, reader) = match &sink.config {
            SinkConfig::Console(config) => outbox(config.buffer),
            SinkConfig::File(config) => outbox(config.buffer),
            SinkConfig::Slack(config) => outbox(config.buffer),
        };
        writers.push(writer);
        match sink.config.clone() {
            SinkConfig::Console(config) => {
                tasks.spawn(sink::console::run(config, delivery(reader)))
            }
            SinkConfig::File(config) => tasks.spawn(sink::file::run(config, delivery(reader))),
            SinkConfig::Slack(config) => tasks.spawn(sink::slack::run(config, delivery(reader))),
        };
    }
    (tasks, writers)
}

/// The sinks' reports, as they end; cancels `all_closed` when none is left.
async fn collect_reports(mut sinks: JoinSet<Report>, all_closed: CancellationToken) -> Vec<Report> {
    let _all_closed = all_closed.drop_guard();
    let mut reports = Vec::new();
    while let Some(report) = sinks.join_next().await {
        reports.extend(report);
    }
    reports
}

fn failure(report: &Report) -> Option<String> {
    match &report.ending {
        Ending::Drained | Ending::TargetClosed => None,
        Ending::GaveUp => Some(format!(
            "sink {:?}: {} not delivered",
            report.id, report.left
        )),
        Ending::Failed(reason) => Some(format!("sink {:?}: {reason}", report.id)),
    }
}
