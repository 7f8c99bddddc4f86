//! The components of a pipeline, listed once: who each is, how it is, and what it counts.

use std::{
    sync::{Arc, OnceLock, atomic::Ordering::Relaxed},
    time::Instant,
};

use jiff::Timestamp;

use super::{told::Told, transforms};
use crate::{
    config::Pipeline,
    sink, source,
    store::Store,
    telemetry::{
        Status,
        snapshot::{self, Figures, Kind, Snapshot},
    },
};

/// One component, whose counters are `C`.
pub struct Component<C> {
    pub id: Arc<str>,
    /// What stands under `type` in the configuration.
    pub component_type: &'static str,
    pub status: Status,
    pub counters: Arc<C>,
}

/// All that can be seen of a pipeline. Read it at any time.
pub struct Overview {
    started: (Instant, Timestamp),
    /// What is wrong with the pipeline as a whole: it starts, or it stops.
    pub status: Status,
    /// In the order of [`Pipeline::sources`].
    pub sources: Vec<Component<source::Counters>>,
    /// In the order of [`Pipeline::transforms`].
    pub transforms: Vec<Component<transforms::Counters>>,
    /// In the order of [`Pipeline::sinks`].
    pub sinks: Vec<Component<sink::Counters>>,
    /// What the store says of itself.
    pub store_status: Status,
    /// Set once it is open.
    store: OnceLock<Store>,
    pub told: Told,
}

impl Overview {
    /// Of a pipeline that begins to start.
    pub fn new(pipeline: &Pipeline) -> Self {
        let sources = pipeline.sources.iter();
        let transforms = pipeline.transforms.iter();
        let sinks = pipeline.sinks.iter();
        let status = Status::default();
        status.unwell("the pipeline starts");
        Self {
            started: (Instant::now(), Timestamp::now()),
            status,
            sources: sources
                .map(|source| {
                    let counters = source::Counters::new(pipeline.api.is_some());
                    component(&source.id, source.config.name(), counters)
                })
                .collect(),
            transforms: transforms
                .map(|transform| {
                    let counters = transforms::Counters::default();
                    component(&transform.id, transform.config.name(), counters)
                })
                .collect(),
            sinks: sinks
                .map(|sink| {
                    let counters = sink::Counters::default();
                    component(&sink.id, sink.config.name(), counters)
                })
                .collect(),
            store_status: Status::default(),
            store: OnceLock::new(),
            told: Told::new(pipeline),
        }
    }

    /// The store is open.
    pub fn set_store(&self, store: Store) {
        // It is opened once.
        let _ = self.store.set(store);
    }

    /// What is to be seen at this moment.
    pub fn snapshot(&self) -> Snapshot {
        let store = self.store.get();
        let mut components = Vec::new();
        for source in &self.sources {
            let figures = self.source_figures(&source.counters);
            components.push(seen(source, Kind::Source, figures));
        }
        for transform in &self.transforms {
            let holds_incidents = transform.component_type == "dedupe";
            let figures = transform.counters.figures(holds_incidents);
            components.push(seen(transform, Kind::Transform, figures));
        }
        for (place, sink) in self.sinks.iter().enumerate() {
            let figures = sink_figures(&sink.counters, place, store);
            components.push(seen(sink, Kind::Sink, figures));
        }
        let durable = store.filter(|store| store.is_durable());
        if durable.is_some() {
            components.push(snapshot::Component {
                id: "store".into(),
                kind: Kind::Store,
                component_type: "sqlite",
                trouble: self.store_status.trouble(),
                figures: Figures::default(),
            });
        }
        Snapshot {
            uptime: self.started.0.elapsed(),
            trouble: self.status.trouble(),
            components,
            detections: self.told.detections(),
            alerts: self.told.alerts(),
            commit_seconds: durable.map(Store::commit_seconds),
        }
    }

    fn source_figures(&self, counters: &source::Counters) -> Figures {
        let records = counters.records();
        let last_event = counters.last_event().unwrap_or(self.started.1);
        let seconds = Timestamp::now().duration_since(last_event).as_secs_f64();
        let server = counters.server();
        let refused = server.into_iter().flat_map(|server| {
            let all = source::server::Refusal::ALL.iter();
            all.map(|why| (why.as_str(), server.refused(*why)))
        });
        Figures {
            established_connections: server.map(|server| server.established.load(Relaxed)),
            open_connections: server.map(|server| server.open.load(Relaxed)),
            refused: refused.collect(),
            received_events: Some(records),
            received_bytes: Some(counters.bytes()),
            sent_events: Some(records),
            errors: Some(counters.errors.load(Relaxed)),
            discarded_events: Some(counters.discarded.load(Relaxed)),
            undecodable: Some(counters.undecodable.load(Relaxed)),
            lag_records: counters.lag(),
            // The clock may be set back.
            seconds_since_last_event: Some(seconds.max(0.0)),
            ..Figures::default()
        }
    }
}

fn component<C>(id: &Arc<str>, component_type: &'static str, counters: C) -> Component<C> {
    Component {
        id: id.clone(),
        component_type,
        status: Status::default(),
        counters: Arc::new(counters),
    }
}

fn seen<C>(component: &Component<C>, kind: Kind, figures: Figures) -> snapshot::Component {
    snapshot::Component {
        id: component.id.clone(),
        kind,
        component_type: component.component_type,
        trouble: component.status.trouble(),
        figures,
    }
}

fn sink_figures(counters: &sink::Counters, place: usize, store: Option<&Store>) -> Figures {
    let failed = counters.failed.load(Relaxed);
    let retried = counters.retried.load(Relaxed);
    let dropped = counters.dropped.load(Relaxed);
    let figures = Figures {
        sent_events: Some(counters.delivered.load(Relaxed)),
        errors: Some(failed + retried),
        discarded_events: Some(failed),
        retried: Some(retried),
        ..Figures::default()
    };
    let Some(store) = store else { return figures };
    let limits = store.buffer(place);
    let counts_bytes = store.is_durable() || limits.max_size.is_some();
    Figures {
        buffer_events: Some(store.waiting(place).total()),
        buffer_bytes: counts_bytes.then(|| store.waiting_bytes(place)),
        buffer_max_events: limits.max_events,
        buffer_max_bytes: limits.max_size,
        buffer_discarded_events: Some(store.dropped(place).total() + dropped),
        ..figures
    }
}
