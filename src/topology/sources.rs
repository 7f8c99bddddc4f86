//! The sources' threads.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::{Error, engine::Batch, overview::Overview, pump::Pump};
use crate::{
    config::{Pipeline, SourceConfig},
    source::{self, Context, Counters, Ended, Stop},
    store::Saved,
    telemetry::Status,
};

type SourceThread = thread::JoinHandle<Result<Ended, source::Error>>;

/// The threads of the sources.
pub struct Sources {
    pub stop: Stop,
    /// Cancelled when every source has ended.
    pub ended: CancellationToken,
    /// What is seen of each from outside, in the order of [`Pipeline::sources`].
    pub signs: Vec<Signs>,
    threads: Vec<(Arc<str>, SourceThread)>,
}

/// What is seen of a source from outside.
#[derive(Clone, Default)]
pub struct Signs {
    pub counters: Arc<Counters>,
    pub status: Status,
    /// It has read all there is, or was told to stop. One that failed has not.
    pub has_ended: Arc<AtomicBool>,
}

/// Starts every source of `pipeline`, each where it was according to `saved`.
pub fn spawn(
    pipeline: &Pipeline,
    saved: &mut Saved,
    overview: &Overview,
    batches: mpsc::Sender<Batch>,
) -> Result<Sources, Error> {
    let start_error = |id: &Arc<str>| {
        let id = id.clone();
        move |source| Error::Start { id, source }
    };
    let first = pipeline.sources.first().map(|source| source.id.clone());
    let stop = Stop::new().map_err(start_error(&first.unwrap_or_default()))?;
    let ended = CancellationToken::new();
    let still_running = Arc::new(ended.clone().drop_guard());
    let (mut threads, mut all_signs) = (Vec::new(), Vec::new());
    for (place, source) in pipeline.sources.iter().enumerate() {
        let seen = &overview.sources[place];
        let signs = Signs {
            counters: seen.counters.clone(),
            status: seen.status.clone(),
            has_ended: Arc::default(),
        };
        all_signs.push(signs.clone());
        let pump = Pump::new(pipeline, place, overview, batches.clone())?;
        let config = source.config.clone();
        let shares_partitions = !pipeline.detects_for_dedupe(&source.id);
        let context = Context {
            id: source.id.clone(),
            stop: stop.clone(),
            positions: saved.positions.remove(&*source.id).unwrap_or_default(),
            counters: signs.counters,
            status: signs.status,
        };
        let still_running = still_running.clone();
        let thread = thread::Builder::new()
            .name(source.id.to_string())
            .spawn(move || {
                let _still_running = still_running;
                let _alarm = context.status.alarm();
                let ended = run(&config, shares_partitions, &context, pump);
                signs.has_ended.store(ended.is_ok(), Relaxed);
                ended
            })
            .map_err(start_error(&source.id))?;
        threads.push((source.id.clone(), thread));
    }
    Ok(Sources {
        stop,
        ended,
        signs: all_signs,
        threads,
    })
}

/// `shares_partitions` says whether other instances may read some of the topics' partitions.
fn run(
    config: &SourceConfig,
    shares_partitions: bool,
    context: &Context,
    mut pump: Pump,
) -> Result<Ended, source::Error> {
    let ended = match config {
        SourceConfig::Stdin(config) => source::stdin::run(config, context, &mut pump),
        SourceConfig::File(config) => source::file::run(config, context, &mut pump),
        SourceConfig::HttpServer(config) => source::http_server::run(config, context, &mut pump),
        SourceConfig::Kafka(config) => {
            source::kafka::run(config, shares_partitions, context, &mut pump)
        }
        SourceConfig::Fluent(config) => source::fluent::run(config, context, &mut pump),
        SourceConfig::Vector(config) => source::vector::run(config, context, &mut pump),
    };
    pump.finish();
    pump.say_counts();
    ended.inspect_err(|error| {
        context.status.broken(error.to_string());
        if matches!(error, source::Error::SharedPartitions { .. }) {
            // What the incidents make of half a cluster is wrong, whatever the other sources read.
            context.stop.trigger();
        }
        error!("source {:?}: {error}", context.id);
    })
}

impl Sources {
    /// Waits for the threads. What went wrong in them has been said when it did.
    pub async fn join(self) -> Vec<String> {
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
