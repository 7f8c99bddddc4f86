//! What baitline is doing at one moment: all that `/health` and `/metrics` tell.

use std::{sync::Arc, time::Duration};

use prometheus_client::metrics::histogram::Histogram;

use super::Trouble;
use crate::audit::words;

/// Everything that can be seen from outside. Holds no secret.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Since the start.
    pub uptime: Duration,
    /// Why the pipeline as a whole does not run: it still starts, or it stops.
    pub trouble: Option<Trouble>,
    /// In the order of the configuration: sources, transforms, sinks; then the store.
    pub components: Vec<Component>,
    pub detections: Vec<DetectionCount>,
    pub alerts: Vec<AlertCount>,
    /// How long the transactions of the store took, in seconds; `None` where nothing is stored.
    pub commit_seconds: Option<Histogram>,
}

/// One component, and what it has done.
#[derive(Clone, Debug)]
pub struct Component {
    /// Its id in the configuration.
    pub id: Arc<str>,
    pub kind: Kind,
    /// What stands under `type` in the configuration.
    pub component_type: &'static str,
    pub trouble: Option<Trouble>,
    pub figures: Figures,
}

/// Where a component stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Source,
    Transform,
    Sink,
    /// What is kept in `data_dir`.
    Store,
}

words!(Kind {
    Source = "source",
    Transform = "transform",
    Sink = "sink",
    Store = "store",
});

/// What a component has done since the start, and what it holds now. `None` is what a component of
/// its kind does not have, or does not know.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub received_events: Option<u64>,
    pub received_bytes: Option<u64>,
    pub sent_events: Option<u64>,
    pub errors: Option<u64>,
    pub discarded_events: Option<u64>,
    pub undecodable: Option<u64>,
    pub lag_records: Option<u64>,
    pub seconds_since_last_event: Option<f64>,
    pub open_incidents: Option<u64>,
    pub suppressed: Option<u64>,
    pub evicted: Option<u64>,
    pub retried: Option<u64>,
    pub buffer_events: Option<u64>,
    pub buffer_bytes: Option<u64>,
    pub buffer_max_events: Option<u64>,
    pub buffer_max_bytes: Option<u64>,
    pub buffer_discarded_events: Option<u64>,
    pub established_connections: Option<u64>,
    pub open_connections: Option<u64>,
    /// Requests and connections that were refused, each by its reason.
    pub refused: Vec<(&'static str, u64)>,
}

/// How many detections there were of one sort.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetectionCount {
    /// `namespace/name`, neutralised; `none` where no decoy is named.
    pub decoy: Arc<str>,
    pub technique: &'static str,
    pub class: &'static str,
    pub count: u64,
}

/// How many alerts there were of one sort.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertCount {
    pub kind: &'static str,
    pub severity: &'static str,
    pub count: u64,
}

#[cfg(test)]
pub(super) mod example {
    use jiff::Timestamp;

    use super::*;

    pub(in crate::telemetry) fn component(kind: Kind, id: &str) -> Component {
        Component {
            id: id.into(),
            kind,
            component_type: "file",
            trouble: None,
            figures: Figures::default(),
        }
    }

    pub(in crate::telemetry) fn trouble(reason: &str, is_lasting: bool) -> Trouble {
        Trouble {
            reason: reason.into(),
            is_lasting,
            since: Timestamp::UNIX_EPOCH,
        }
    }

    /// A source, both transforms, a sink and the store.
    pub(in crate::telemetry) fn running() -> Snapshot {
        Snapshot {
            components: vec![
                component(Kind::Source, "audit"),
                component(Kind::Transform, "detections"),
                component(Kind::Transform, "incidents"),
                component(Kind::Sink, "alert_txt"),
                component(Kind::Store, "store"),
            ],
            ..Snapshot::default()
        }
    }
}
