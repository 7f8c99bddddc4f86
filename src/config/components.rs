//! Every source, transform and sink there is.

use std::{
    fmt::{self, Display},
    time::Duration,
};

use jiff::Timestamp;
use rdkafka::types::RDKafkaType;

use super::{
    SinkConfig, SourceConfig, TransformConfig, fluent, http, http_server, kafka,
    number::Patience,
    options::{OptionDoc, Options, Section, options},
    places::{self, Lack},
    sinks, transforms, vector,
};
use crate::{
    dedupe, detect,
    kafka::{Connection, check_files},
    sink, source,
    source::server::check,
};

/// Of every source, and of `scan`: 16 MiB. Longer records are searched for decoys and reported, but not decoded.
pub(crate) const DEFAULT_MAX_LINE_BYTES: usize = 16 << 20;

/// What every source is asked beside its own options.
pub(super) struct SourceOptions {
    pub silence: Option<Duration>,
}

options! {
    SourceOptions {
        /// Raise an alert when no record has come for so long, and again when one comes. Without it
        /// silence is not told.
        silence: "silence_secs" Patience, default None;
    }
}

/// The three places in which a component can stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Source,
    Transform,
    Sink,
}

impl Role {
    pub(super) const ALL: [Self; 3] = [Self::Source, Self::Transform, Self::Sink];

    /// The key of the section in which its components stand.
    pub(super) const fn section(self) -> &'static str {
        match self {
            Self::Source => "sources",
            Self::Transform => "transforms",
            Self::Sink => "sinks",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Transform => "transform",
            Self::Sink => "sink",
        })
    }
}

/// What flows from one component to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Records,
    Detections,
    Alerts,
}

/// The decoded options of one component.
pub(super) enum Config {
    Source(SourceConfig),
    Transform(TransformConfig),
    Sink(SinkConfig),
}

impl Config {
    /// What it names on this machine and cannot use.
    pub fn lack(&self) -> Option<Lack> {
        let unreadable = |error: &dyn Display| {
            Lack::Yet(format!("{error}; it must be there when baitline runs"))
        };
        let of_kafka = |connection: &Connection| {
            let checked = check_files(&connection.client());
            checked.err().map(|error| unreadable(&error))
        };
        match self {
            Self::Source(SourceConfig::File(config)) => config.finds_nothing().then(|| {
                let message = "there is no file yet that include names; it is read when it comes";
                Lack::Yet(message.to_owned())
            }),
            Self::Source(SourceConfig::Kafka(config)) => of_kafka(&config.connection),
            Self::Source(config) => {
                let (_, tls) = config.server()?;
                let error = check(tls).err()?;
                Some(match error.may_pass() {
                    true => unreadable(&error),
                    false => Lack::Never(error.to_string()),
                })
            }
            Self::Sink(SinkConfig::Kafka(config)) => of_kafka(&config.connection),
            Self::Sink(SinkConfig::Http(config)) => {
                let checked = config.tls.check_files();
                checked.err().map(|error| unreadable(&error))
            }
            Self::Sink(SinkConfig::File(config)) => {
                let path = sink::file::path_at(&config.path, Timestamp::now());
                path.ok().and_then(|path| places::against_file(&path))
            }
            _ => None,
        }
    }
}

/// A type of component.
pub(super) struct Component {
    pub role: Role,
    /// What stands under `type`.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub about: &'static str,
    pub takes: &'static [Stream],
    /// What flows out of it. A source's `decoding.codec` says that, and a sink gives nothing.
    pub gives: Option<Stream>,
    pub read: fn(&mut Options<'_, '_>) -> Option<Config>,
    describe: fn(&str, &mut Vec<OptionDoc>),
}

impl Component {
    pub fn options(&self) -> Vec<OptionDoc> {
        let mut docs = Vec::new();
        (self.describe)("", &mut docs);
        if self.role == Role::Source {
            SourceOptions::describe("", &mut docs);
        }
        docs
    }
}

/// Every type of component.
pub(super) const COMPONENTS: &[Component] = &[
    Component {
        role: Role::Source,
        name: "stdin",
        about: "Reads records from standard input until it ends.",
        takes: &[],
        gives: None,
        read: |options| {
            Some(Config::Source(SourceConfig::Stdin(Section::read(
                options, "",
            )?)))
        },
        describe: source::stdin::Config::describe,
    },
    Component {
        role: Role::Source,
        name: "file",
        about: "Follows files through rotation.",
        takes: &[],
        gives: None,
        read: |options| {
            Some(Config::Source(SourceConfig::File(Section::read(
                options, "",
            )?)))
        },
        describe: source::file::Config::describe,
    },
    Component {
        role: Role::Source,
        name: "http_server",
        about: "Takes what is posted by HTTP: the API server's webhook, shippers, clouds.",
        takes: &[],
        gives: None,
        read: |options| {
            let config = source::http_server::Config::read(options, "")?;
            http_server::check(&config, options)?;
            Some(Config::Source(SourceConfig::HttpServer(Box::new(config))))
        },
        describe: source::http_server::Config::describe,
    },
    Component {
        role: Role::Source,
        name: "kafka",
        about: "Reads topics of Kafka as one of a consumer group.",
        takes: &[],
        gives: None,
        read: |options| {
            let config = source::kafka::Config::read(options, "")?;
            kafka::check(&config.connection, options)?;
            let settings = source::kafka::settings(&config);
            kafka::check_together(settings, RDKafkaType::RD_KAFKA_CONSUMER, options)?;
            Some(Config::Source(SourceConfig::Kafka(Box::new(config))))
        },
        describe: source::kafka::Config::describe,
    },
    Component {
        role: Role::Source,
        name: "fluent",
        about: "Takes what Fluentd, Fluent Bit and others send by Forward.",
        takes: &[],
        gives: None,
        read: |options| {
            let config = source::fluent::Config::read(options, "")?;
            fluent::check(&config, options)?;
            Some(Config::Source(SourceConfig::Fluent(Box::new(config))))
        },
        describe: source::fluent::Config::describe,
    },
    Component {
        role: Role::Source,
        name: "vector",
        about: "Takes what other Vectors send by their own protocol.",
        takes: &[],
        gives: None,
        read: |options| {
            let config = source::vector::Config::read(options, "")?;
            vector::check(&config, options)?;
            Some(Config::Source(SourceConfig::Vector(Box::new(config))))
        },
        describe: source::vector::Config::describe,
    },
    Component {
        role: Role::Transform,
        name: "detect",
        about: "Finds touches of the decoys in the records of its inputs.",
        takes: &[Stream::Records],
        gives: Some(Stream::Detections),
        read: |options| {
            Some(Config::Transform(TransformConfig::Detect(Section::read(
                options, "",
            )?)))
        },
        describe: detect::Config::describe,
    },
    Component {
        role: Role::Transform,
        name: "dedupe",
        about: "Groups detections into incidents and says when to tell of them.",
        takes: &[Stream::Detections],
        gives: Some(Stream::Alerts),
        read: |options| {
            Some(Config::Transform(TransformConfig::Dedupe(
                transforms::dedupe(options)?,
            )))
        },
        describe: dedupe::Config::describe,
    },
    Component {
        role: Role::Sink,
        name: "console",
        about: "Writes to standard output or standard error.",
        takes: &[Stream::Detections, Stream::Alerts],
        gives: None,
        read: |options| {
            Some(Config::Sink(SinkConfig::Console(Section::read(
                options, "",
            )?)))
        },
        describe: sink::console::Config::describe,
    },
    Component {
        role: Role::Sink,
        name: "file",
        about: "Appends to a file.",
        takes: &[Stream::Detections, Stream::Alerts],
        gives: None,
        read: |options| Some(Config::Sink(SinkConfig::File(Section::read(options, "")?))),
        describe: sink::file::Config::describe,
    },
    Component {
        role: Role::Sink,
        name: "slack",
        about: "Sends to Slack, by an incoming webhook or as a bot.",
        takes: &[Stream::Detections, Stream::Alerts],
        gives: None,
        read: |options| Some(Config::Sink(SinkConfig::Slack(sinks::slack(options)?))),
        describe: sink::slack::Config::describe,
    },
    Component {
        role: Role::Sink,
        name: "kafka",
        about: "Writes to a Kafka topic.",
        takes: &[Stream::Detections, Stream::Alerts],
        gives: None,
        read: |options| {
            let config = sink::kafka::Config::read(options, "")?;
            kafka::check(&config.connection, options)?;
            let settings = sink::kafka::settings(&config);
            kafka::check_together(settings, RDKafkaType::RD_KAFKA_PRODUCER, options)?;
            Some(Config::Sink(SinkConfig::Kafka(Box::new(config))))
        },
        describe: sink::kafka::Config::describe,
    },
    Component {
        role: Role::Sink,
        name: "http",
        about: "Sends to a receiver that takes HTTP.",
        takes: &[Stream::Detections, Stream::Alerts],
        gives: None,
        read: |options| {
            let config = sink::http::Config::read(options, "")?;
            http::check(&config, options)?;
            Some(Config::Sink(SinkConfig::Http(Box::new(config))))
        },
        describe: sink::http::Config::describe,
    },
];
