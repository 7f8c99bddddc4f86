//! The sinks' tasks.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{overview::Overview, routes::is_told};
use crate::{
    config::{Pipeline, SinkConfig},
    sink::{self, Counters, Delivery, Ending, Incidents, Report},
    store::{self, DeadLetters, Reader},
    telemetry::Status,
};

/// What a sink's task came to: its report, unless it panicked.
type SinkEnd = Result<Report, JoinError>;

/// The tasks of the sinks.
pub struct Sinks {
    tasks: JoinSet<Report>,
    /// In the order of [`Pipeline::sinks`].
    signs: Vec<Signs>,
}

/// What is seen of a sink from outside.
#[derive(Clone)]
pub struct Signs {
    pub id: Arc<str>,
    pub counters: Arc<Counters>,
    pub status: Status,
}

/// Incidents that a sink is told are over, at most.
const OVER: usize = 5_000;

/// What the `data_dir` knows of incidents at the start, for each sink that repeats what is open, by its place in
/// [`Pipeline::sinks`]. May block.
pub fn known_incidents(pipeline: &Pipeline) -> BTreeMap<usize, Incidents> {
    let Some(data_dir) = &pipeline.data_dir else {
        return BTreeMap::new();
    };
    let read = |place: usize, id: &str| -> Result<Incidents, store::Error> {
        let open = store::still_open(data_dir, id)?.into_iter();
        let told = open.filter(|one| is_told(pipeline, place, one));
        Ok(Incidents {
            open: told.map(|one| one.alert).collect(),
            over: store::over(data_dir, OVER)?,
        })
    };
    let sinks = pipeline.sinks.iter().enumerate();
    let repeating = sinks.filter(|(_, sink)| sink.config.repeats_what_is_open());
    let known = repeating.map(|(place, sink)| {
        let id = &*sink.id;
        let known = read(place, id).unwrap_or_else(|error| {
            warn!(
                sink = id,
                "what is open is told again only by its next alert: {error}"
            );
            Incidents::default()
        });
        (place, known)
    });
    known.collect()
}

/// Starts every sink of `pipeline`; `readers` are in the order of its sinks, and `incidents` is what [`known_incidents`] gave.
pub fn spawn(
    pipeline: &Pipeline,
    readers: Vec<Reader>,
    mut incidents: BTreeMap<usize, Incidents>,
    overview: &Overview,
    give_up: &CancellationToken,
) -> Sinks {
    let mut tasks = JoinSet::new();
    let mut all_signs = Vec::new();
    let at_work = Arc::new(AtomicUsize::new(pipeline.sinks.len()));
    let seen = pipeline.sinks.iter().zip(&overview.sinks);
    for (place, ((sink, component), reader)) in seen.zip(readers).enumerate() {
        let signs = Signs {
            id: sink.id.clone(),
            counters: component.counters.clone(),
            status: component.status.clone(),
        };
        all_signs.push(signs.clone());
        let dead_letters = pipeline
            .data_dir
            .as_deref()
            .map(|data_dir| DeadLetters::new(data_dir, sink.id.clone()));
        let delivery = Delivery {
            id: sink.id.clone(),
            outbox: reader,
            counters: signs.counters,
            status: signs.status,
            dead_letters,
            data_dir: pipeline.data_dir.clone(),
            incidents: incidents.remove(&place).unwrap_or_default(),
            give_up: give_up.clone(),
            at_work: at_work.clone(),
        };
        tasks.spawn(work(sink.config.clone(), delivery));
    }
    Sinks {
        tasks,
        signs: all_signs,
    }
}

/// A sink's task. One that panics is at work no longer, and says so.
async fn work(config: SinkConfig, delivery: Delivery) -> Report {
    let _alarm = delivery.status.alarm();
    let _leaving = Leaving(delivery.at_work.clone());
    match config {
        SinkConfig::Console(config) => sink::console::run(config, delivery).await,
        SinkConfig::File(config) => sink::file::run(config, delivery).await,
        SinkConfig::Slack(config) => sink::slack::run(config, delivery).await,
        SinkConfig::Kafka(config) => sink::kafka::run(*config, delivery).await,
        SinkConfig::Http(config) => sink::http::run(*config, delivery).await,
    }
}

/// Counts a sink that panics as one that has left, as [`Delivery::end`] does with others.
struct Leaving(Arc<AtomicUsize>);

impl Drop for Leaving {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.fetch_sub(1, Relaxed);
        }
    }
}

impl Sinks {
    /// What is seen of each, in the order of [`Pipeline::sinks`].
    pub fn signs(&self) -> Vec<Signs> {
        self.signs.clone()
    }

    /// Waits until every sink has ended, and gives what failed, in words; cancels
    /// `all_closed` when none is left.
    pub async fn join(mut self, all_closed: CancellationToken) -> Vec<String> {
        let _all_closed = all_closed.drop_guard();
        let mut failures = Vec::new();
        while let Some(end) = self.tasks.join_next().await {
            failures.extend(failure(&end));
        }
        for Signs { id, counters, .. } in &self.signs {
            let lost = [
                (&counters.failed, "given up"),
                (&counters.dropped, "not delivered"),
            ];
            let lost = lost.map(|(counter, how)| (counter.load(Relaxed), how));
            let lost = lost.into_iter().filter(|(count, _)| *count > 0);
            failures.extend(lost.map(|(count, how)| format!("sink {id:?}: {count} {how}")));
        }
        failures
    }
}

fn failure(end: &SinkEnd) -> Option<String> {
    let report = match end {
        Ok(report) => report,
        Err(panic) => return Some(format!("a sink: {panic}")),
    };
    match &report.ending {
        // What they lost is counted.
        Ending::Drained | Ending::Kept | Ending::GaveUp | Ending::TargetClosed => None,
        Ending::Failed(reason) => Some(format!("sink {:?}: {reason}", report.id)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sink_that_panics_has_left() {
        let at_work = Arc::new(AtomicUsize::new(2));
        let leaving = Leaving(at_work.clone());
        let task = tokio::spawn(async move {
            let _leaving = leaving;
            panic!("on purpose")
        });
        assert!(task.await.is_err());
        assert_eq!(at_work.load(Relaxed), 1);
    }

    #[tokio::test]
    async fn a_sink_that_panics_is_a_failure() {
        let mut tasks = JoinSet::new();
        tasks.spawn(async { panic!("on purpose") });
        let sinks = Sinks {
            tasks,
            signs: Vec::new(),
        };
        let all_closed = CancellationToken::new();
        let failures = sinks.join(all_closed.clone()).await;
        assert!(all_closed.is_cancelled());
        assert!(failures[0].contains("panicked"));
    }
}
