//! One producer of librdkafka: how it is set up, what it tells, and how it is ended.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    ClientConfig, ClientContext, Statistics,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{
        BaseRecord, DeliveryResult, Producer, ProducerContext, PurgeConfig, ThreadedProducer,
    },
};
use tokio::{
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    task::spawn_blocking,
    time::timeout,
};
use tracing::info;

use super::{Config, record::Record, verdict::Failure};
use crate::kafka::{self, Events, is_lasting};

/// How long a producer that is ended may wait for what is under way, and take in all.
const LAST_REPORTS: Duration = Duration::from_secs(1);
const END: Duration = Duration::from_secs(3);

/// How messages are gathered into requests, unless `librdkafka_options` says otherwise. Each with its other name.
const GATHERING: [(&str, &str, &str); 6] = [
    // A lone alert goes at once; in a flood a request fills within that time.
    ("linger.ms", "queue.buffering.max.ms", "5"),
    // librdkafka's queue takes 1 GiB by default. The window is smaller than this, so that it is never full.
    ("queue.buffering.max.messages", "", "20000"),
    ("queue.buffering.max.kbytes", "", "32768"),
    // Of the many mappings of keys to partitions the usual one, but what has no key stays together.
    ("partitioner", "", "consistent"),
    ("statistics.interval.ms", "", "5000"),
    ("batch.num.messages", "", "10000"),
];

/// What the promises of the sink rest on.
const PROMISES: [(&str, &str); 4] = [
    ("enable.idempotence", "true"),
    // What fails for good ends the producer, before it sends what stands behind.
    ("enable.gapless.guarantee", "true"),
    ("acks", "all"),
    // Nothing is given up because it has waited long.
    ("message.timeout.ms", "0"),
];

/// librdkafka's settings for the sink. A request holds up to `batch_bytes`.
pub(super) fn settings(config: &Config, batch_bytes: usize) -> ClientConfig {
    let mut client = config.connection.client();
    let is_set = |client: &ClientConfig, name| client.get(name).is_some();
    for (name, other_name, value) in GATHERING {
        if !is_set(&client, name) && !is_set(&client, other_name) {
            client.set(name, value);
        }
    }
    let largest = client.get("batch.size").and_then(|size| size.parse().ok());
    client.set(
        "batch.size",
        batch_bytes.min(largest.unwrap_or(batch_bytes)).to_string(),
    );
    for (name, value) in PROMISES {
        client.set(name, value);
    }
    client.set("compression.type", config.compression.as_str());
    client
}

/// What a producer tells of its own accord.
#[derive(Debug)]
pub(super) enum Event {
    /// What became of the message of this number.
    Report {
        number: usize,
        outcome: Result<(), KafkaError>,
    },
    /// The producer will send nothing more.
    Fatal(Failure),
}

/// A producer. It is to be [ended](Self::end): to drop it blocks.
pub(super) struct Link {
    producer: ThreadedProducer<Context>,
    pub events: UnboundedReceiver<Event>,
}

/// What is left of a producer.
pub(super) struct Ended {
    /// What it told at the end.
    pub events: Vec<Event>,
    /// It has told everything that it ever will.
    pub is_complete: bool,
}

impl Link {
    pub async fn open(settings: ClientConfig, cluster: Arc<Events>) -> Result<Self, Failure> {
        // As many as the window holds at most, so that it needs no bound of its own.
        let (sender, events) = mpsc::unbounded_channel();
        let context = Context {
            cluster,
            events: sender,
        };
        // Certificates are read from files.
        let opened = spawn_blocking(move || {
            kafka::check_files(&settings).map_err(|error| Failure::of_file(&error))?;
            let created = settings.create_with_context(context);
            created.map_err(|error| Failure::of_settings(&error))
        });
        match opened.await {
            Ok(Ok(producer)) => Ok(Self { producer, events }),
            Ok(Err(failure)) => Err(failure),
            Err(panic) => Err(Failure::passing(panic.to_string())),
        }
    }

    /// Hands a message over. Never blocks.
    pub fn send(&self, number: usize, record: Record<'_>) -> Result<(), KafkaError> {
        let Record {
            topic,
            key,
            payload,
            headers,
        } = record;
        let mut message = BaseRecord::with_opaque_to(topic, number)
            .payload(payload)
            .headers(headers);
        message.key = (!key.is_empty()).then_some(key);
        self.producer.send(message).map_err(|(error, _)| error)
    }

    /// Kafka has something.
    pub fn well(&self) {
        self.producer.client().context().well();
    }

    /// Ends the producer: nothing more goes out that has not gone out yet, and what is under way has a moment to arrive.
    pub async fn end(self) -> Ended {
        let Self {
            producer,
            mut events,
        } = self;
        let ending = spawn_blocking(move || {
            producer.purge(PurgeConfig::default().queue());
            // Whatever it says, the reports tell what arrived.
            let _ = producer.flush(LAST_REPORTS);
        });
        let is_complete = matches!(timeout(END, ending).await, Ok(Ok(())));
        let mut told = Vec::new();
        while let Ok(event) = events.try_recv() {
            told.push(event);
        }
        Ended {
            events: told,
            is_complete,
        }
    }
}

/// Passes on what librdkafka tells. Called on the producer's own thread.
struct Context {
    cluster: Arc<Events>,
    events: UnboundedSender<Event>,
}

impl Context {
    fn well(&self) {
        if self.cluster.well() {
            info!(sink = %self.cluster.id, "Kafka takes messages again");
        }
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.cluster.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        if code == Some(RDKafkaErrorCode::Fatal) {
            let _ = self.events.send(Event::Fatal(Failure::fatal(reason)));
        } else if code == Some(RDKafkaErrorCode::AllBrokersDown) || is_lasting(&error) {
            self.cluster.error(error, reason);
        } else {
            self.cluster.note(reason);
        }
    }

    /// With nothing to send, only this tells that the cluster is there again.
    fn stats(&self, statistics: Statistics) {
        let is_known =
            |eos: &rdkafka::statistics::ExactlyOnceSemantics| eos.idemp_state == "Assigned";
        let is_up = statistics
            .brokers
            .values()
            .any(|broker| broker.state == "UP");
        if statistics.msg_cnt == 0 && is_up && statistics.eos.as_ref().is_some_and(is_known) {
            self.well();
        }
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = usize;

    fn delivery(&self, report: &DeliveryResult<'_>, number: usize) {
        let outcome = match report {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(error.clone()),
        };
        // Nobody listens any more to a producer that is being ended.
        let _ = self.events.send(Event::Report { number, outcome });
    }
}
