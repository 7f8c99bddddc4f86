//! The Kafka sink against librdkafka's own mock of a cluster, which misbehaves on demand.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering::Relaxed},
};

use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::Headers,
    mocking::MockCluster,
    producer::DefaultProducerContext,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    audit::{AlertId, IncidentKey},
    format::example,
    sink::{
        Counters, Field,
        tests::{BUFFER, PATIENCE, delivery, detection},
    },
    store::{DeadLetters, Message, Tally, Writer},
    telemetry::Status,
};

mod real;
mod refused;
mod trouble;

const TOPIC: &str = "alerts";

type Cluster = MockCluster<'static, DefaultProducerContext>;

fn cluster(partitions: i32) -> Cluster {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, partitions, 1).unwrap();
    cluster
}

fn config(cluster: &Cluster) -> Config {
    config_for(cluster.bootstrap_servers())
}

fn config_for(bootstrap_servers: String) -> Config {
    Config {
        connection: Connection {
            bootstrap_servers,
            sasl: crate::kafka::Sasl {
                enabled: false,
                mechanism: crate::kafka::Mechanism::Plain,
                username: None,
                password: None,
            },
            tls: crate::kafka::Tls {
                enabled: false,
                ca_file: None,
                crt_file: None,
                key_file: None,
                key_pass: None,
                verify_certificate: true,
                verify_hostname: true,
            },
            socket_timeout: Duration::from_secs(10),
            librdkafka_options: [
                ("reconnect.backoff.ms", "10"),
                ("reconnect.backoff.max.ms", "50"),
                ("retry.backoff.ms", "10"),
                ("retry.backoff.max.ms", "50"),
                ("statistics.interval.ms", "100"),
                ("topic.metadata.propagation.max.ms", "100"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        },
        topic: Template::parse(TOPIC).unwrap(),
        key: Field::IncidentKey.into(),
        compression: Compression::None,
        codec: Codec::Json,
        message_timeout: Duration::from_secs(300),
        buffer: BUFFER,
    }
}

/// The alert number `number` of an incident, with an id of its own.
fn alert(incident: usize, number: usize) -> Message {
    let mut alert = example::opened();
    alert.title = number.to_string();
    alert.alert_id = AlertId::of(&[b"alert", &number.to_be_bytes()]);
    alert.incident_key = IncidentKey::of(&[&incident.to_be_bytes()]);
    Message::Alert(Arc::new(alert))
}

fn alerts(count: usize) -> impl Iterator<Item = Message> {
    (0..count).map(|number| alert(0, number))
}

/// A sink at work.
struct Running {
    outbox: Writer,
    counters: Arc<Counters>,
    status: Status,
    give_up: CancellationToken,
    task: JoinHandle<Report>,
}

fn start(config: Config, dead_letters: Option<DeadLetters>) -> Running {
    let (outbox, counters, give_up, mut delivery) = delivery();
    delivery.dead_letters = dead_letters;
    let status = delivery.status.clone();
    Running {
        outbox,
        counters,
        status,
        give_up,
        task: tokio::spawn(run(config, delivery)),
    }
}

impl Running {
    fn push(&self, messages: impl IntoIterator<Item = Message>) {
        messages
            .into_iter()
            .for_each(|message| self.outbox.push(message));
    }

    async fn drained(self) -> Arc<Counters> {
        self.outbox.close();
        let report = timeout(PATIENCE, self.task).await.unwrap().unwrap();
        assert_eq!(
            (report.ending, report.left),
            (Ending::Drained, Tally::default())
        );
        assert_eq!(self.status.trouble(), None);
        self.counters
    }

    /// Waits until the sink says that something is wrong: what, and whether it lasts.
    async fn trouble(&self) -> (String, bool) {
        let trouble = async {
            loop {
                match self.status.trouble() {
                    Some(trouble) => return (trouble.reason, trouble.is_lasting),
                    None => sleep(Duration::from_millis(5)).await,
                }
            }
        };
        timeout(PATIENCE, trouble).await.unwrap()
    }

    async fn well(&self) {
        let well = async {
            while self.status.trouble().is_some() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, well).await.unwrap();
    }

    fn waiting(&self) -> u64 {
        self.outbox.waiting().total()
    }
}

/// One record as a consumer gets it.
#[derive(Debug)]
struct Got {
    key: Option<String>,
    headers: BTreeMap<String, String>,
    payload: String,
}

impl Got {
    fn title(&self) -> usize {
        let alert: serde_json::Value = serde_json::from_str(&self.payload).unwrap();
        alert["title"].as_str().unwrap().parse().unwrap()
    }
}

fn read(cluster: &Cluster, topic: &str, partitions: i32) -> Vec<Got> {
    read_from(&cluster.bootstrap_servers(), topic, partitions)
}

/// Everything in `topic`, partition by partition, each in order.
fn read_from(bootstrap_servers: &str, topic: &str, partitions: i32) -> Vec<Got> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap_servers)
        .set("group.id", "reader")
        .set("enable.partition.eof", "true")
        .create()
        .unwrap();
    let mut assignment = TopicPartitionList::new();
    for partition in 0..partitions {
        assignment
            .add_partition_offset(topic, partition, Offset::Beginning)
            .unwrap();
    }
    consumer.assign(&assignment).unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (mut got, mut ended) = (Vec::new(), BTreeSet::new());
    while ended.len() < partitions as usize {
        let message = match consumer.poll(PATIENCE).expect("something comes") {
            Ok(message) => message,
            Err(rdkafka::error::KafkaError::PartitionEOF(partition)) => {
                ended.insert(partition);
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        let headers = message.headers().unwrap();
        got.push(Got {
            key: message.key().map(text),
            headers: headers
                .iter()
                .map(|header| (header.key.to_owned(), text(header.value.unwrap())))
                .collect(),
            payload: text(message.payload().unwrap()),
        });
    }
    got
}

/// What stands in the topic, each once, in the order in which it came first.
fn titles(cluster: &Cluster) -> Vec<usize> {
    let mut seen = BTreeSet::new();
    let got = read(cluster, TOPIC, 1);
    got.iter()
        .map(Got::title)
        .filter(|title| seen.insert(*title))
        .collect()
}

fn fails(cluster: &Cluster, request: RDKafkaApiKey, errors: &[RDKafkaRespErr]) {
    cluster.request_errors(request, errors);
}

const TOO_LARGE: RDKafkaRespErr = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
const FINE: RDKafkaRespErr = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;

#[tokio::test(flavor = "multi_thread")]
async fn a_record_has_the_key_the_headers_and_the_message() {
    let cluster = cluster(1);
    let sink = start(config(&cluster), None);
    let messages = [alert(7, 1), detection()];
    sink.push(messages.clone());
    assert_eq!(sink.drained().await.delivered.load(Relaxed), 2);

    let got = read(&cluster, TOPIC, 1);
    for (got, message) in got.iter().zip(&messages) {
        let mut line = Vec::new();
        message.write_json(&mut line);
        assert_eq!(format!("{}\n", got.payload).as_bytes(), line);
        let (name, id) = record::identity(message);
        let headers = [
            ("baitline-schema", "1"),
            ("content-type", "application/json"),
            (name, id.as_str()),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(got.headers, headers.into());
    }
    assert_eq!(
        got[0].key,
        Some(IncidentKey::of(&[&7_usize.to_be_bytes()]).to_string())
    );
    assert_eq!(got.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn topic_key_and_text_are_as_configured_and_every_compression_is_there() {
    let cluster = cluster(1);
    for compression in Compression::ALL {
        cluster
            .create_topic(&format!("{compression}-alert"), 1, 1)
            .unwrap();
        let sink = start(
            Config {
                topic: Template::parse(&format!("{compression}-{{{{ type }}}}")).unwrap(),
                key: Template::parse("{{ cluster }}/{{ decoy }}").unwrap(),
                compression: *compression,
                codec: Codec::Text,
                ..config(&cluster)
            },
            None,
        );
        sink.push(alerts(20));
        sink.drained().await;
        let got = read(&cluster, &format!("{compression}-alert"), 1);
        assert_eq!(got.len(), 20, "{compression}");
        assert_eq!(got[0].key.as_deref(), Some("prod-eu/honeypot/backup-sa"));
        assert_eq!(got[0].headers["content-type"], "text/plain");
        assert!(got[0].payload.contains("honeypot/backup-sa"));
        assert!(!got[0].payload.ends_with('\n'));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_all_goes_to_one_partition() {
    let cluster = cluster(4);
    let sink = start(
        Config {
            key: Field::Cluster.into(),
            ..config(&cluster)
        },
        None,
    );
    let Message::Alert(mut alert) = alert(0, 0) else {
        panic!()
    };
    Arc::make_mut(&mut alert).cluster = None;
    sink.push(std::iter::repeat_n(Message::Alert(alert), 40));
    sink.drained().await;
    let got = read(&cluster, TOPIC, 4);
    assert!(got.iter().all(|got| got.key.is_none()));
    let held = (0..4).filter(|partition| {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", cluster.bootstrap_servers())
            .create()
            .unwrap();
        let (low, high) = consumer
            .fetch_watermarks(TOPIC, *partition, PATIENCE)
            .unwrap();
        high > low
    });
    assert_eq!((got.len(), held.count()), (40, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_key_stays_in_order_over_partitions_and_failures() {
    use RDKafkaRespErr::*;
    let cluster = cluster(4);
    fails(
        &cluster,
        RDKafkaApiKey::Produce,
        &[
            FINE,
            RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
            FINE,
            TOO_LARGE,
            FINE,
            FINE,
            RD_KAFKA_RESP_ERR__TRANSPORT,
            FINE,
            RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
            TOO_LARGE,
        ],
    );
    let mut config = config(&cluster);
    let options = &mut config.connection.librdkafka_options;
    options.insert("batch.num.messages".into(), "10".into());
    let sink = start(config, None);
    sink.push((0..600).map(|number| alert(number % 13, number)));
    let counters = sink.drained().await;
    let failed = counters.failed.load(Relaxed);
    assert_eq!(counters.delivered.load(Relaxed) + failed, 600);
    assert!(counters.retried.load(Relaxed) > 0);

    let (mut keys, mut all) = (BTreeMap::<_, Vec<_>>::new(), BTreeSet::new());
    for got in read(&cluster, TOPIC, 4) {
        if all.insert(got.title()) {
            keys.entry(got.key.clone()).or_default().push(got.title());
        }
    }
    assert_eq!(all.len() as u64 + failed, 600, "nothing is lost");
    for (key, titles) in keys {
        assert!(titles.is_sorted(), "{key:?}: {titles:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outbox_moves_on_when_kafka_confirms_and_not_before() {
    let cluster = cluster(1);
    cluster.broker_down(-1).unwrap();
    let sink = start(config(&cluster), None);
    sink.push(alerts(50));
    let (reason, is_lasting) = sink.trouble().await;
    assert!(reason.contains("Connection refused"), "{reason}");
    assert!(!is_lasting);
    sleep(Duration::from_millis(200)).await;
    assert_eq!(sink.waiting(), 50);

    cluster.broker_up(-1).unwrap();
    sink.well().await;
    let counters = sink.drained().await;
    assert_eq!(counters.delivered.load(Relaxed), 50);
    assert_eq!(titles(&cluster), Vec::from_iter(0..50));
    let ids: BTreeSet<_> = read(&cluster, TOPIC, 1)
        .iter()
        .map(|got| got.headers["alert-id"].clone())
        .collect();
    let expected = alerts(50).map(|alert| record::identity(&alert).1);
    assert_eq!(ids, expected.collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_time_is_up_it_stops_and_leaves_the_rest() {
    let cluster = cluster(1);
    let sink = start(config(&cluster), None);
    sink.push(alerts(5));
    while sink.waiting() > 0 {
        sleep(Duration::from_millis(5)).await;
    }
    cluster.broker_down(-1).unwrap();
    sink.push(alerts(3));
    sink.trouble().await;
    sink.outbox.close();
    let asked = Instant::now();
    sink.give_up.cancel();
    let report = timeout(PATIENCE, sink.task).await.unwrap().unwrap();
    assert!(asked.elapsed() < Duration::from_secs(5));
    assert_eq!((report.ending, report.left.alerts), (Ending::GaveUp, 3));
    assert_eq!(sink.counters.delivered.load(Relaxed), 5);
    assert_eq!(sink.counters.dropped.load(Relaxed), 3);
}

#[test]
fn the_promises_stand_whatever_else_is_set() {
    let cluster = cluster(1);
    let mut config = config(&cluster);
    let options = &mut config.connection.librdkafka_options;
    for (name, value) in [
        ("queue.buffering.max.ms", "50"),
        ("batch.size", "1000"),
        ("acks", "0"),
    ] {
        options.insert(name.into(), value.into());
    }
    let settings = link::settings(&config, BATCH_BYTES);
    for (name, value) in [
        ("enable.idempotence", Some("true")),
        ("enable.gapless.guarantee", Some("true")),
        ("acks", Some("all")),
        ("message.timeout.ms", Some("0")),
        ("compression.type", Some("none")),
        ("batch.size", Some("1000")),
        ("queue.buffering.max.ms", Some("50")),
        ("linger.ms", None),
        ("queue.buffering.max.kbytes", Some("32768")),
    ] {
        assert_eq!(settings.get(name), value, "{name}");
    }
    assert_eq!(link::settings(&config, 500).get("batch.size"), Some("500"));
}
