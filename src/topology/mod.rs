//! A [`Pipeline`] becomes running threads, tasks and channels; started, drained, ended.
//!
//! Each source runs on a thread of its own, and there, while its blocks are hot in the
//! cache, they are searched (`pump`). What touches a decoy goes over a bounded channel
//! to the engine (`engine`), one task that owns the incidents and writes each sink's
//! outbox. Each sink is a task that delivers at its own pace.

mod engine;
mod pump;

use std::{
    io,
    sync::{Arc, atomic::Ordering::Relaxed},
    thread,
};

use tokio::{
    sync::mpsc,
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use self::{engine::Engine, pump::Pump};
use crate::{
    config::{Pipeline, SinkConfig, SourceConfig},
    sink::{self, Counters, Delivery, Ending, Report},
    source::{self, Stop},
    store::{Tally, Writer, outbox},
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
    let (sinks, writers, counters) = spawn_sinks(&pipeline, &give_up);
    let engine = Engine::new(&pipeline, writers);
    let (batches, inbox) = mpsc::channel(BATCHES);
    info!(
        sources = pipeline.sources.len(),
        sinks = pipeline.sinks.len(),
        decoys = pipeline.decoys.len(),
        "watching; incidents and undelivered alerts are held in memory and end with the process"
    );

    let sources = spawn_sources(&pipeline, batches)?;

    let draining = CancellationToken::new();
    let engine_ended = CancellationToken::new();
    let engine = tokio::spawn({
        let (draining, ended) = (draining.clone(), engine_ended.clone().drop_guard());
        async move {
            let _ended = ended;
            engine.run(inbox, draining).await
        }
    });
    let all_closed = CancellationToken::new();
    let sinks = tokio::spawn(collect_reports(sinks, all_closed.clone()));
    tokio::select! {
        biased;
        () = sources.ended.cancelled() => {}
        () = engine_ended.cancelled() => {} // It panicked: the sources have not ended.
        () = shutdown.cancelled() => info!("told to stop: draining"),
        () = all_closed.cancelled() => info!("no sink is left to tell: stopping"),
    }
    sources.stop.trigger();
    draining.cancel();

    let timeout = pipeline.shutdown_timeout;
    tokio::spawn(async move {
        tokio::time::sleep(timeout).await;
        give_up.cancel();
    });
    let mut failures = sources.join().await;
    match engine.await {
        Ok(dropped) => say_dropped(&pipeline, &dropped),
        Err(panic) => failures.push(format!("incidents: {panic}")),
    }
    match sinks.await {
        Ok(ends) => failures.extend(ends.iter().filter_map(failure)),
        Err(panic) => failures.push(format!("sinks: {panic}")),
    }
    for (sink, counters) in pipeline.sinks.iter().zip(counters) {
        match counters.failed.load(Relaxed) {
            0 => {}
            failed => failures.push(format!("sink {:?}: {failed} given up", sink.id)),
        }
    }
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
    /// Waits for the threads. What went wrong in them has been said when it did.
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
        let (id, still_running) = (source.id.clone(), still_running.clone());
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
                ended.inspect_err(|error| error!("source {id:?}: {error}"))
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

/// The sinks' tasks; and in the order of [`Pipeline::sinks`] the ends that are written and the counters.
fn spawn_sinks(
    pipeline: &Pipeline,
    give_up: &CancellationToken,
) -> (JoinSet<Report>, Vec<Writer>, Vec<Arc<Counters>>) {
    let mut tasks = JoinSet::new();
    let mut writers = Vec::new();
    let mut all_counters = Vec::new();
    for sink in &pipeline.sinks {
        let counters = Arc::new(Counters::default());
        all_counters.push(counters.clone());
        let (writer, reader) = outbox(sink.config.buffer());
        writers.push(writer);
        let delivery = Delivery {
            id: sink.id.clone(),
            outbox: reader,
            counters,
            give_up: give_up.clone(),
        };
        match sink.config.clone() {
            SinkConfig::Console(config) => tasks.spawn(sink::console::run(config, delivery)),
            SinkConfig::File(config) => tasks.spawn(sink::file::run(config, delivery)),
            SinkConfig::Slack(config) => tasks.spawn(sink::slack::run(config, delivery)),
        };
    }
    (tasks, writers, all_counters)
}

/// What came for a sink that had ended, or whose outbox was full, is in no sink's report.
fn say_dropped(pipeline: &Pipeline, dropped: &[Tally]) {
    for (sink, dropped) in pipeline.sinks.iter().zip(dropped) {
        if dropped.total() > 0 {
            warn!(sink = &*sink.id, "dropped {dropped}");
        }
    }
}

/// What a sink's task came to: its report, unless it panicked.
type SinkEnd = Result<Report, JoinError>;

/// How the sinks ended, in that order; cancels `all_closed` when none is left.
async fn collect_reports(
    mut sinks: JoinSet<Report>,
    all_closed: CancellationToken,
) -> Vec<SinkEnd> {
    let _all_closed = all_closed.drop_guard();
    let mut ends = Vec::new();
    while let Some(end) = sinks.join_next().await {
        ends.push(end);
    }
    ends
}

fn failure(end: &SinkEnd) -> Option<String> {
    let report = match end {
        Ok(report) => report,
        Err(panic) => return Some(format!("a sink: {panic}")),
    };
    match &report.ending {
        Ending::Drained | Ending::TargetClosed => None,
        Ending::GaveUp => Some(format!(
            "sink {:?}: {} not delivered",
            report.id, report.left
        )),
        Ending::Failed(reason) => Some(format!("sink {:?}: {reason}", report.id)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sink_that_panics_is_a_failure() {
        let mut sinks = JoinSet::new();
        sinks.spawn(async { panic!("on purpose") });
        let all_closed = CancellationToken::new();
        let ends = collect_reports(sinks, all_closed.clone()).await;
        assert!(all_closed.is_cancelled());
        assert!(failure(&ends[0]).unwrap().contains("panicked"));
    }
}
