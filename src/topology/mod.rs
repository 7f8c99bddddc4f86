//! A [`Pipeline`] becomes running threads, tasks and channels; started, drained, ended.
//!
//! Each source runs on a thread of its own, and there, while its blocks are hot in the
//! cache, they are searched (`pump`), or read as what another baitline found (`detections`). What touches a decoy goes over a bounded channel
//! to the engine (`engine`), one task that owns the incidents. What a step of the engine
//! moved goes to the store in one piece, and from there to each sink's outbox and, as an
//! acknowledgement, back to the sources. Each sink is a task that delivers at its own pace.
//! One more task (`watch`) looks at the sources and sinks themselves, and has the engine tell of
//! those that do not work.

mod decoys;
mod detections;
mod engine;
mod overview;
mod pair;
mod passed;
mod pump;
mod routes;
mod sinks;
mod sources;
mod told;
mod transforms;
mod watch;

use std::{
    collections::BTreeMap, future::Future, io, net::SocketAddr, path::PathBuf, sync::Arc,
    time::Duration,
};

use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use self::{engine::Engine, overview::Overview, sources::Sources, watch::Watch};
use crate::{
    config::Pipeline,
    dedupe,
    sink::Incidents,
    store::{self, Opened, Saved, SinkOutbox, Store},
    telemetry::{self, Api},
};

/// Batches of detections on their way from the sources to the engine.
const BATCHES: usize = 2;

/// How long the store may take at the end to note what the sinks did last.
const LAST_STORE: Duration = Duration::from_secs(5);

/// Why a pipeline cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("decoy or expected rule with a glob that is none: {0}")]
    Glob(#[from] glob::PatternError),
    #[error("cannot start source {id:?}: {source}")]
    Start { id: Arc<str>, source: io::Error },
    #[error(
        "cannot serve the api at {address}: {source}; write another api.address, or stop who listens there"
    )]
    Api {
        address: SocketAddr,
        source: io::Error,
    },
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(
        "the incidents in {}: {source}; move the directory away to begin anew; what waited in it is not delivered then",
        data_dir.display()
    )]
    Restore {
        data_dir: PathBuf,
        source: dedupe::RestoreError,
    },
}

/// How a pipeline's run ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What failed, in words; empty if everything was read and delivered, or is kept for the next start.
    pub failures: Vec<String>,
}

/// Runs `pipeline` until its sources have ended or `shutdown` is cancelled, then drains:
/// sources hand on what they have read, incidents are closed and told where nothing remembers
/// them, and sinks deliver for at most the pipeline's `shutdown_timeout`.
///
/// # Errors
/// If it cannot be started. What fails later is in the [`Outcome`].
pub async fn run(pipeline: Pipeline, shutdown: CancellationToken) -> Result<Outcome, Error> {
    let overview = Arc::new(Overview::new(&pipeline));
    let _api = serve(&pipeline, &overview).await?;
    let give_up = CancellationToken::new();
    let Opened {
        store,
        readers,
        mut saved,
    } = open_store(&pipeline, &overview).await?;
    let engine =
        Engine::new(&pipeline, store.clone(), &mut saved, overview.clone()).map_err(|source| {
            let data_dir = pipeline.data_dir.clone().unwrap_or_default();
            Error::Restore { data_dir, source }
        })?;
    let incidents = known_incidents(&pipeline).await;
    let sinks = sinks::spawn(&pipeline, readers, incidents, &overview, &give_up);
    let sink_signs = sinks.signs();
    let (batches, inbox) = mpsc::channel(BATCHES);
    let (notices, told) = mpsc::channel(1);
    say_what_is_watched(&pipeline);
    let sources = sources::spawn(&pipeline, &mut saved, &overview, batches)?;

    let draining = CancellationToken::new();
    let signs = (sources.signs.as_slice(), sink_signs.as_slice());
    let watch = Watch::new(&pipeline, signs, &mut saved);
    say_left_over(&saved);
    tokio::spawn(watch.run(notices, draining.clone()));
    let engine_ended = CancellationToken::new();
    let engine = tokio::spawn({
        let (draining, ended) = (draining.clone(), engine_ended.clone().drop_guard());
        async move {
            let _ended = ended;
            engine.run(inbox, told, draining).await;
        }
    });
    overview.status.well();
    let all_closed = CancellationToken::new();
    let sinks = tokio::spawn(sinks.join(all_closed.clone()));
    tokio::select! {
        biased;
        () = sources.ended.cancelled() => {}
        () = engine_ended.cancelled() => {} // It panicked: the sources have not ended.
        () = shutdown.cancelled() => info!("told to stop: draining"),
        () = all_closed.cancelled() => info!("no sink is left to tell: stopping"),
    }
    overview.status.unwell("the pipeline stops");
    sources.stop.trigger();
    draining.cancel();
    let running = Running {
        sources,
        engine,
        sinks,
        store,
        give_up,
    };
    Ok(running.drain(&pipeline).await)
}

/// What works on a pipeline.
struct Running {
    sources: Sources,
    engine: JoinHandle<()>,
    sinks: JoinHandle<Vec<String>>,
    store: Store,
    give_up: CancellationToken,
}

impl Running {
    /// Waits for the end of all, in the order of the data, for at most the pipeline's `shutdown_timeout`.
    async fn drain(self, pipeline: &Pipeline) -> Outcome {
        let Self {
            sources,
            engine,
            sinks,
            store,
            give_up,
        } = self;
        tokio::spawn(cancel_after(pipeline.shutdown_timeout, give_up.clone()));
        let mut failures = match within(sources.join(), &give_up).await {
            Some(failures) => failures,
            None => vec![said(
                "a source could not stop in time, what it had read last was not acknowledged",
            )],
        };
        match within(engine, &give_up).await {
            Some(Ok(())) => say_dropped(pipeline, &store),
            Some(Err(panic)) => failures.push(format!("incidents: {panic}")),
            None => failures.push(said(
                "what was read last could not be stored, and was not acknowledged to its source",
            )),
        }
        match sinks.await {
            Ok(failed) => failures.extend(failed),
            Err(panic) => failures.push(format!("sinks: {panic}")),
        }
        close(&store).await;
        Outcome { failures }
    }
}

/// Stores what the sinks did last.
async fn close(store: &Store) {
    match tokio::time::timeout(LAST_STORE, store.close()).await {
        Ok(()) => {
            let _ = tokio::time::timeout(LAST_STORE, store.end()).await;
        }
        Err(_) => {
            warn!(
                "what the sinks did last could not be stored: some of it will be delivered again"
            );
        }
    }
}

/// The API, if it is wanted; it is there while the rest comes up.
async fn serve(pipeline: &Pipeline, overview: &Arc<Overview>) -> Result<Option<Api>, Error> {
    let Some(address) = pipeline.api else {
        return Ok(None);
    };
    let overview = overview.clone();
    let api = telemetry::serve(address, move || overview.snapshot()).await;
    api.map(Some)
        .map_err(|source| Error::Api { address, source })
}

async fn open_store(pipeline: &Pipeline, overview: &Overview) -> Result<Opened, Error> {
    let sinks: Vec<SinkOutbox> = pipeline
        .sinks
        .iter()
        .map(|sink| SinkOutbox {
            id: sink.id.clone(),
            buffer: sink.config.buffer(),
        })
        .collect();
    let opened = match pipeline.data_dir.clone() {
        None => store::in_memory(&sinks),
        Some(data_dir) => {
            let options = store::Options {
                data_dir,
                retention: pipeline.retention,
            };
            let status = overview.store_status.clone();
            let opened = tokio::task::spawn_blocking(move || store::open(&options, &sinks, status));
            match opened.await {
                Ok(opened) => opened?,
                Err(panic) => std::panic::resume_unwind(panic.into_panic()),
            }
        }
    };
    overview.set_store(opened.store.clone());
    Ok(opened)
}

/// What is open, for the sinks that repeat it.
async fn known_incidents(pipeline: &Pipeline) -> BTreeMap<usize, Incidents> {
    let pipeline = pipeline.clone();
    match tokio::task::spawn_blocking(move || sinks::known_incidents(&pipeline)).await {
        Ok(open) => open,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

fn say_what_is_watched(pipeline: &Pipeline) {
    let (sources, sinks) = (pipeline.sources.len(), pipeline.sinks.len());
    let decoys = pipeline.decoys.len();
    match &pipeline.data_dir {
        Some(data_dir) => info!(
            sources,
            sinks,
            decoys,
            data_dir = %data_dir.display(),
            "watching"
        ),
        None => info!(
            sources,
            sinks,
            decoys,
            "watching; incidents and undelivered alerts are held in memory and end with the process"
        ),
    }
}

/// What nobody has taken out of `saved` belongs to components that are not in the configuration.
fn say_left_over(saved: &Saved) {
    for id in saved.state.keys() {
        warn!(
            id,
            "not in the configuration, but its incidents are in the data_dir, and go on no more: if it was renamed, give it its name back"
        );
    }
    for id in saved.positions.keys() {
        warn!(
            id,
            "not in the configuration, but how far it was read is in the data_dir: if the source was renamed, give it its name back, or it is read anew"
        );
    }
}

async fn cancel_after(time: Duration, token: CancellationToken) {
    tokio::time::sleep(time).await;
    token.cancel();
}

/// A failure that nobody else says in the log.
fn said(failure: &str) -> String {
    error!("{failure}");
    failure.to_owned()
}

/// What `future` gives; `None` if the time is over first.
async fn within<T>(future: impl Future<Output = T>, time_is_over: &CancellationToken) -> Option<T> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = time_is_over.cancelled() => None,
    }
}

/// What came for a sink that had ended, or whose outbox was full, is in no sink's report.
fn say_dropped(pipeline: &Pipeline, store: &Store) {
    for (place, sink) in pipeline.sinks.iter().enumerate() {
        let dropped = store.dropped(place);
        if dropped.total() > 0 {
            warn!(sink = &*sink.id, "dropped {dropped}");
        }
    }
}
