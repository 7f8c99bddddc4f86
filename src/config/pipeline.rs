//! What a configuration means, once it is known to be sound.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use crate::{
    dedupe, detect,
    detect::{Severity, Technique},
    sink,
    sink::Codec,
    source,
    source::Decoding,
    source::server::{Address, Exposure, Tls},
    store::BufferConfig,
};

/// A whole, validated configuration. Ids are unique over all components, inputs name
/// components that exist, and there is no cycle.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Where `/health` and `/metrics` are served; `None` unless `api.enabled`.
    pub api: Option<SocketAddr>,
    /// The cluster's name, where the wrapper of an event does not tell.
    pub cluster: Option<Arc<str>>,
    /// Where everything is kept that must outlive the process. Without one it is held in memory.
    pub data_dir: Option<PathBuf>,
    /// How long incidents that are over are kept in `data_dir` (`retention_days`). Default 90 days.
    pub retention: Duration,
    /// How long sinks may go on delivering after the sources have stopped. Default 60 s.
    pub shutdown_timeout: Duration,
    /// No two of one namespace and name. At least one, unless every source reads detections.
    pub decoys: Vec<Decoy>,
    pub sources: Vec<Source>,
    pub transforms: Vec<Transform>,
    pub sinks: Vec<Sink>,
}

impl Pipeline {
    /// Whether `source` is searched for detections that a `dedupe` of this process groups: then it must read all
    /// that happens in a cluster.
    pub fn detects_for_dedupe(&self, source: &str) -> bool {
        let reads =
            |transform: &Transform, id: &str| transform.inputs.iter().any(|input| **input == *id);
        let mut detects = self.transforms.iter().filter(|transform| {
            matches!(transform.config, TransformConfig::Detect(_)) && reads(transform, source)
        });
        detects.any(|detect| {
            self.transforms.iter().any(|transform| {
                matches!(transform.config, TransformConfig::Dedupe(_))
                    && reads(transform, &detect.id)
            })
        })
    }
}

/// A planted identity and what belongs to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoy {
    /// DNS-1123 label.
    pub namespace: String,
    /// DNS-1123 subdomain.
    pub service_account: String,
    /// The Secret that holds its token.
    pub secret: Option<String>,
    /// The pod that exposes its token: a name, or a glob (`*`, `?`, `[…]`) for a Deployment's.
    pub pod: Option<String>,
    /// Nothing else lives in the namespace: any touch of it counts.
    pub whole_namespace: bool,
    /// Floor for the severity of what it raises.
    pub severity: Severity,
    pub labels: Arc<BTreeMap<String, String>>,
    pub expected: Vec<Expected>,
}

/// A legitimate touch: counted, never alerted. Empty lists match anything.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// Glob over the authenticated user.
    pub user: String,
    pub verbs: Vec<String>,
    /// `resource` or `resource/subresource`.
    pub resources: Vec<String>,
    pub techniques: Vec<Technique>,
}

#[derive(Clone, Debug)]
pub struct Source {
    pub id: Arc<str>,
    /// How long no record may come before that is told (`silence_secs`). Default for ever.
    pub silence: Option<Duration>,
    pub config: SourceConfig,
}

#[derive(Clone, Debug)]
pub enum SourceConfig {
    Stdin(source::stdin::Config),
    File(source::file::Config),
    HttpServer(Box<source::http_server::Config>),
    Kafka(Box<source::kafka::Config>),
    Fluent(Box<source::fluent::Config>),
    Vector(Box<source::vector::Config>),
}

impl SourceConfig {
    /// What stands under `type`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Stdin(_) => "stdin",
            Self::File(_) => "file",
            Self::HttpServer(_) => "http_server",
            Self::Kafka(_) => "kafka",
            Self::Fluent(_) => "fluent",
            Self::Vector(_) => "vector",
        }
    }

    /// How it listens, if it does: what it lets others do, and the files that it needs.
    pub(super) fn server(&self) -> Option<(Exposure, &Tls)> {
        match self {
            Self::Stdin(_) | Self::File(_) | Self::Kafka(_) => None,
            Self::HttpServer(config) => Some((config.exposure(), &config.tls)),
            Self::Fluent(config) => Some((config.exposure(), &config.tls)),
            Self::Vector(config) => Some((config.exposure(), &config.tls)),
        }
    }

    /// Where it listens, if it does.
    pub(super) fn address(&self) -> Option<Address> {
        match self {
            Self::Stdin(_) | Self::File(_) | Self::Kafka(_) => None,
            Self::HttpServer(config) => Some(Address::Socket(config.address)),
            Self::Fluent(config) => Some(config.address.clone()),
            Self::Vector(config) => Some(Address::Socket(config.address)),
        }
    }

    /// What the records of the source are.
    pub fn decoding(&self) -> Decoding {
        match self {
            Self::Stdin(config) => config.decoding,
            Self::File(config) => config.decoding,
            Self::HttpServer(config) => config.decoding,
            Self::Kafka(config) => config.decoding,
            Self::Fluent(config) => config.decoding,
            Self::Vector(config) => config.decoding,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Transform {
    pub id: Arc<str>,
    /// Ids, wildcards expanded, in the order of declaration.
    pub inputs: Vec<Arc<str>>,
    pub config: TransformConfig,
}

#[derive(Clone, Debug)]
pub enum TransformConfig {
    Detect(detect::Config),
    Dedupe(dedupe::Config),
}

impl TransformConfig {
    /// What stands under `type`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Detect(_) => "detect",
            Self::Dedupe(_) => "dedupe",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Sink {
    pub id: Arc<str>,
    /// Ids, wildcards expanded, in the order of declaration.
    pub inputs: Vec<Arc<str>>,
    pub config: SinkConfig,
}

#[derive(Clone, Debug)]
pub enum SinkConfig {
    Console(sink::console::Config),
    File(sink::file::Config),
    Slack(sink::slack::Config),
    Kafka(Box<sink::kafka::Config>),
    Http(Box<sink::http::Config>),
}

impl SinkConfig {
    /// What stands under `type`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Console(_) => "console",
            Self::File(_) => "file",
            Self::Slack(_) => "slack",
            Self::Kafka(_) => "kafka",
            Self::Http(_) => "http",
        }
    }

    /// Whether another baitline's `dedupe` may read what this sink delivers: then an expected
    /// `token_request` is delivered always, since it explains a later use of that token.
    pub fn may_feed_dedupe(&self) -> bool {
        match self {
            Self::Console(_) | Self::File(_) | Self::Slack(_) => false,
            Self::Kafka(config) => config.codec == Codec::Json,
            Self::Http(config) => config.codec == sink::http::Codec::Json,
        }
    }

    /// Whether the sink repeats what is open, and is to be told at a start what is.
    pub fn repeats_what_is_open(&self) -> bool {
        matches!(self, Self::Http(config) if config.codec == sink::http::Codec::Alertmanager)
    }

    /// How much may wait for the sink.
    pub fn buffer(&self) -> BufferConfig {
        match self {
            Self::Console(config) => config.buffer,
            Self::File(config) => config.buffer,
            Self::Slack(config) => config.buffer,
            Self::Kafka(config) => config.buffer,
            Self::Http(config) => config.buffer,
        }
    }
}
