//! Two that detect and one that dedupes, with a real broker between: all are killed, again and again.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Message,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    producer::{BaseProducer, BaseRecord, Producer},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    books::Books,
    files::check,
    instance::Instance,
    kills,
    receiver::Receiver,
    stream::{Stream, labelled_hits},
};

/// Partitions of the topics of audit events, of detections and of alerts.
const PARTITIONS: [i32; 3] = [4, 3, 1];

/// How long a victim may stay dead at most, in milliseconds: longer than its group waits for it.
const DEAD: u64 = 9000;

/// The topics of one run, which nobody else has.
struct Topics {
    broker: String,
    audit: String,
    detections: String,
    alerts: String,
}

impl Topics {
    /// `None`, and says so, where there is no broker.
    fn create() -> Option<Self> {
        let Ok(broker) = std::env::var("BAITLINE_TEST_KAFKA") else {
            println!("NOT RUN: needs a broker, named by BAITLINE_TEST_KAFKA");
            return None;
        };
        let run = fastrand::u32(..);
        let topics = Self {
            audit: format!("audit-{run}"),
            detections: format!("detections-{run}"),
            alerts: format!("alerts-{run}"),
            broker,
        };
        let admin: AdminClient<DefaultClientContext> =
            topics.client().create().expect("a sound configuration");
        let names = [&topics.audit, &topics.detections, &topics.alerts];
        let new: Vec<_> = names
            .iter()
            .zip(PARTITIONS)
            .map(|(name, partitions)| NewTopic::new(name, partitions, TopicReplication::Fixed(1)))
            .collect();
        let created = admin.create_topics(&new, &AdminOptions::new());
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let created = runtime.expect("a runtime").block_on(created);
        for topic in created.expect("the broker answers") {
            topic.expect("it is new");
        }
        Some(topics)
    }

    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &self.broker);
        client
    }

    /// Everything in a topic with so many partitions.
    fn read(&self, topic: &str, partitions: i32) -> Books {
        let consumer: BaseConsumer = self
            .client()
            .set("group.id", format!("reader-{}", fastrand::u32(..)))
            .set("auto.offset.reset", "earliest")
            .set("enable.partition.eof", "true")
            .create()
            .expect("a sound configuration");
        consumer.subscribe(&[topic]).expect("a sound name");
        let mut books = Books::default();
        let mut open: BTreeSet<i32> = (0..partitions).collect();
        let deadline = Instant::now() + super::instance::PATIENCE;
        while !open.is_empty() {
            assert!(Instant::now() < deadline, "{topic} cannot be read");
            match consumer.poll(Duration::from_secs(1)) {
                Some(Ok(message)) => books.enter(message.payload().expect("a payload"), topic),
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    open.remove(&partition);
                }
                Some(Err(error)) => println!("{topic}: {error}"),
                None => {}
            }
        }
        books
    }

    fn source(&self, topic: &str, group: &str) -> Value {
        json!({
            "type": "kafka", "bootstrap_servers": self.broker, "topics": [topic],
            "group_id": format!("{group}-{topic}"), "session_timeout_ms": 6000,
        })
    }

    /// Finds touches, keeps nothing.
    fn detect(&self) -> Value {
        json!({
            "cluster": "prod",
            "decoys": decoys(),
            "shutdown_timeout_secs": 10,
            "sources": {"audit": self.source(&self.audit, "detect")},
            "transforms": {"detections": {"type": "detect", "inputs": ["audit"]}},
            "sinks": {"bus": {
                "type": "kafka", "inputs": ["detections"], "bootstrap_servers": self.broker,
                // Of one cluster all would stand in one partition.
                "topic": self.detections, "key_field": "{{ incident_key }}",
            }},
        })
    }

    /// Owns the incidents, and tells of them by Kafka, Slack and a file.
    fn dedupe(&self, slack: &str) -> Value {
        let mut configuration = super::files::configuration(slack);
        let mut source = self.source(&self.detections, "dedupe");
        source["decoding"] = json!({"codec": "detection"});
        configuration["sources"] = json!({"bus": source});
        let transforms = configuration["transforms"].as_object_mut().expect("a map");
        transforms.remove("detections");
        transforms["incidents"]["inputs"] = json!(["bus"]);
        configuration["sinks"]["evidence"]["inputs"] = json!(["bus"]);
        configuration["sinks"]["siem"] = json!({
            "type": "kafka", "inputs": ["incidents"], "bootstrap_servers": self.broker,
            "topic": self.alerts,
        });
        configuration
    }
}

fn decoys() -> Value {
    json!([{
        "service_account": "honeypot/backup-sa", "secret": "backup-sa-token",
        "pod": "file-backup", "whole_namespace": true,
    }])
}

/// Somebody who fills the audit topic.
struct Feeder {
    enough: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Feeder {
    fn start(topics: &Topics) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let producer: BaseProducer = topics.client().create().expect("a sound configuration");
        let (topic, until) = (topics.audit.clone(), Arc::clone(&enough));
        let thread = thread::spawn(move || feed(&producer, &topic, &until));
        Self { enough, thread }
    }

    fn end(self) -> u64 {
        self.enough.store(true, Relaxed);
        self.thread.join().expect("it does not panic")
    }
}

/// Feeds until it is enough, and the whole recording at least; gives the hits beside the recorded ones.
fn feed(producer: &BaseProducer, topic: &str, enough: &AtomicBool) -> u64 {
    let send = |line: &str| {
        let record = BaseRecord::<(), str>::to(topic).payload(line);
        producer.send(record).expect("the queue has room");
    };
    let mut stream = Stream::new();
    let recorded = stream.recorded().to_vec();
    let mut recorded = recorded.iter();
    let mut hits = 0;
    loop {
        recorded.by_ref().take(20).for_each(|line| send(line));
        (0..10).for_each(|_| send(&stream.clean()));
        send(&stream.hit());
        hits += 1;
        producer.poll(Duration::ZERO);
        if enough.load(Relaxed) && recorded.len() == 0 {
            producer
                .flush(Duration::from_secs(60))
                .expect("all is taken");
            return hits;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Kills one, or two at once. Most often they are back at once, before anybody has missed them; sometimes their group gives
/// what they held to those who still work.
fn kill_some(group: &mut [Instance]) {
    let count = 1 + usize::from(fastrand::u8(..4) == 0);
    let mut victims = fastrand::choose_multiple(group.iter_mut(), count);
    victims.iter_mut().for_each(|victim| victim.kill());
    if fastrand::u8(..4) == 0 {
        thread::sleep(Duration::from_millis(fastrand::u64(1000..DEAD)));
    }
    victims.iter_mut().for_each(|victim| victim.start());
}

#[test]
fn a_group_that_is_killed_member_by_member_loses_nothing_and_tells_nothing_twice() {
    let Some(topics) = Topics::create() else {
        return;
    };
    let directory = TempDir::new().expect("a temporary directory");
    let slack = Receiver::start(true);
    let path = |name: &str| directory.path().join(name);
    let mut group = [
        Instance::new(&path("detect-1"), &topics.detect()),
        Instance::new(&path("detect-2"), &topics.detect()),
        Instance::new(&path("dedupe"), &topics.dedupe(&slack.url())),
    ];
    group.iter_mut().for_each(Instance::start);
    let feeder = Feeder::start(&topics);
    for _ in 0..kills() {
        thread::sleep(Duration::from_millis(fastrand::u64(50..2500)));
        kill_some(&mut group);
    }
    let expected = feeder.end() + labelled_hits().len() as u64;
    let [detect_1, detect_2, dedupe] = &mut group;
    check(dedupe, &slack, expected);
    for detect in [detect_1, detect_2] {
        assert_eq!(detect.end(), Some(0), "{}", detect.log());
    }
    let ids = |books: &Books| books.alerts.keys().cloned().collect::<BTreeSet<_>>();
    let siem = topics.read(&topics.alerts, PARTITIONS[2]);
    siem.check_incidents("the topic of alerts");
    let told = Books::of_file(&path("dedupe/told.ndjson"));
    assert_eq!(
        ids(&siem),
        ids(&told),
        "Kafka and the file were told the same"
    );
    let found = topics.read(&topics.detections, PARTITIONS[1]);
    assert_eq!(found.hits().len() as u64, expected);
}
