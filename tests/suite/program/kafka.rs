//! The pipeline for a SIEM, between two topics of a cluster that librdkafka keeps in this process.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use baitline::detect::Class;
use rdkafka::{
    ClientConfig, Message,
    consumer::{BaseConsumer, Consumer},
    message::Headers,
    mocking::MockCluster,
    producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer},
};

use super::{
    harness::{PATIENCE, Setting},
    inputs::{METADATA, lines},
    receiver::{Manner, Receiver, SECRET},
    told::Told,
};
use crate::{
    recall::{compare, expected},
    recordings::labels,
};

fn client(servers: &str) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", servers);
    client
}

fn feed(servers: &str, topic: &str, lines: &[&[u8]]) {
    let producer: BaseProducer = client(servers).create().expect("a sound configuration");
    for line in lines {
        let record = BaseRecord::<(), [u8]>::to(topic).payload(line);
        producer.send(record).expect("the queue has room");
    }
    producer.flush(PATIENCE).expect("all is taken");
}

/// Reads `topic` until what it holds is enough.
fn read(servers: &str, topic: &str, is_enough: impl Fn(&Told) -> bool) -> Told {
    let consumer: BaseConsumer = client(servers)
        .set("group.id", "reader")
        .set("auto.offset.reset", "earliest")
        .create()
        .expect("a sound configuration");
    consumer.subscribe(&[topic]).expect("a sound name");
    let deadline = Instant::now() + PATIENCE;
    let mut text = String::new();
    loop {
        assert!(Instant::now() < deadline, "{topic} has only:\n{text}");
        match consumer.poll(Duration::from_millis(200)) {
            Some(Ok(message)) => {
                let headers = message.headers().expect("it has headers");
                let names: BTreeSet<&str> = headers.iter().map(|header| header.key).collect();
                assert!(names.contains("content-type") && names.contains("baitline-schema"));
                let key = message.key().expect("it has a key");
                let payload = message.payload().expect("it has a payload");
                let payload = std::str::from_utf8(payload).expect("it is text");
                let key = std::str::from_utf8(key).expect("it is text");
                assert!(payload.contains(&format!("\"incident_key\":\"{key}\"")));
                text += payload.trim_end();
                text.push('\n');
            }
            Some(Err(error)) => panic!("{topic}: {error}"),
            None if is_enough(&Told::read(&text)) => return Told::read(&text),
            None => {}
        }
    }
}

#[test]
fn siem_reads_one_topic_and_tells_another_and_slack() {
    let cluster: MockCluster<'static, DefaultProducerContext> =
        MockCluster::new(1).expect("a cluster in this process");
    for topic in ["audit", "k8s-alerts"] {
        cluster.create_topic(topic, 1, 1).expect("it is new");
    }
    let servers = cluster.bootstrap_servers();
    feed(&servers, "audit", &lines(&METADATA));

    let slack = Receiver::start(Manner::Takes);
    let setting = Setting::empty();
    let pipeline = format!("{}/pipelines/siem-kafka.yaml", env!("CARGO_MANIFEST_DIR"));
    let mut program = setting.program(&["run", "--config", &pipeline]);
    program
        .env("KAFKA", &servers)
        .env("DATA_DIR", setting.path("data"))
        .env("API_ADDRESS", "127.0.0.1:0")
        .env("SLACK_WEBHOOK_URL", slack.url());
    let running = setting.start(&mut program);

    let mut wanted = expected(&labels("metadata", "labels.ndjson"), |_| true);
    let hits = wanted.values().filter(|(_, class)| *class == Class::Detect);
    let hits = hits.count() as u64;
    let told = read(&servers, "k8s-alerts", |told| {
        told.hits() >= hits && !told.alerts.is_empty()
    });
    let mut requests = told.requests();
    // Of what is expected only a minted token goes on: a dedupe that stands behind needs it.
    requests.retain(|_, (_, class)| *class != Class::Expected);
    wanted.retain(|_, (_, class)| *class != Class::Expected);
    compare(&requests, &wanted);
    let began = Instant::now();
    while slack.bodies().is_empty() {
        assert!(began.elapsed() < PATIENCE, "{}", running.stderr.text());
        std::thread::sleep(Duration::from_millis(20));
    }
    running.signal("TERM");
    let ran = running.wait();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(!ran.stderr.contains(SECRET));
}
