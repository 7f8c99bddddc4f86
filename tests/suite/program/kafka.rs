//! The pipelines behind Kafka, with a cluster that librdkafka keeps in this process.

use std::{
    collections::BTreeSet,
    fs,
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
use serde_json::json;

use super::{
    harness::{PATIENCE, Running, Setting},
    inputs::{METADATA, lines, token_use},
    pipelines::shipped,
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

/// A cluster with these topics.
fn cluster(topics: &[&str]) -> MockCluster<'static, DefaultProducerContext> {
    let cluster = MockCluster::new(1).expect("a cluster in this process");
    for topic in topics {
        cluster.create_topic(topic, 1, 1).expect("it is new");
    }
    cluster
}

/// Runs what ships under this name, with `changes` for what is of another place: how it stands there, and what is here.
fn start_moved(setting: &Setting, name: &str, changes: &[(&str, &str)]) -> Running {
    let mut text = fs::read_to_string(shipped(name)).expect("it ships");
    for (there, here) in changes {
        assert!(text.contains(there), "{name}: {there}");
        text = text.replace(there, here);
    }
    setting.write(name, text);
    let mut program = setting.program(&["run", "--config", name]);
    program.env("EVENT_HUBS_CONNECTION_STRING", "Endpoint=sb://x");
    let data = setting.path("data");
    setting.start(program.env("DATA_DIR", data))
}

/// Waits for the first message, and ends the program.
fn end_told(running: Running, slack: &Receiver) -> String {
    let began = Instant::now();
    while slack.bodies().is_empty() {
        assert!(began.elapsed() < PATIENCE, "{}", running.stderr.text());
        std::thread::sleep(Duration::from_millis(20));
    }
    running.signal("TERM");
    let ran = running.wait();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(!ran.stderr.contains(SECRET));
    slack.bodies().swap_remove(0)
}

/// This cluster takes no password and no TLS.
#[test]
fn aks_event_hubs_tells_slack_what_aks_streams() {
    let cluster = cluster(&["aks-audit"]);
    let servers = cluster.bootstrap_servers();
    let event = token_use(1, "10.0.3.7", json!({})).to_string();
    let message = json!({"records": [{
        "operationName": "Microsoft.ContainerService/managedClusters/diagnosticLogs/Read",
        "category": "kube-audit",
        "resourceId": "/SUBSCRIPTIONS/8EC/RESOURCEGROUPS/RG/PROVIDERS/MICROSOFT.CONTAINERSERVICE/MANAGEDCLUSTERS/PROD-AKS",
        "properties": {"log": event, "stream": "stdout", "pod": "kube-apiserver-5b6f7d8c9-x2x7k"},
        "time": "2026-11-23T17:21:09Z",
    }]});
    feed(&servers, "aks-audit", &[message.to_string().as_bytes()]);
    let (slack, setting) = (Receiver::start(Manner::Takes), Setting::empty());
    let url = slack.url();
    let running = start_moved(
        &setting,
        "aks-event-hubs.yaml",
        &[
            ("${EVENT_HUBS:-localhost:9093}", &servers),
            ("enabled: true", "enabled: false"),
            (
                "${SLACK_WEBHOOK_URL:?create an incoming webhook in Slack and put its URL here}",
                &url,
            ),
        ],
    );
    let told = end_told(running, &slack);
    assert!(
        told.contains("honeypot/backup-sa") && told.contains("prod-aks"),
        "{told}"
    );
}

#[test]
fn demo_kafka_reads_one_topic_and_tells_another_and_slack() {
    let cluster = cluster(&["audit", "k8s-alerts"]);
    let servers = cluster.bootstrap_servers();
    feed(&servers, "audit", &lines(&METADATA));
    let (slack, setting) = (Receiver::start(Manner::Takes), Setting::empty());
    let (url, data) = (slack.url(), setting.path("data"));
    let running = start_moved(
        &setting,
        "demo-kafka.yaml",
        &[
            ("kafka:9092", &servers),
            (
                "/var/lib/baitline",
                data.to_str().expect("its name is UTF-8"),
            ),
            ("0.0.0.0:8686", "127.0.0.1:0"),
            ("http://receiver:8080/", &url),
        ],
    );
    read(&servers, "k8s-alerts", |told| {
        !told.alerts.is_empty() && told.hits() > 0
    });
    let told = end_told(running, &slack);
    assert!(told.contains("honeypot/backup-sa"), "{told}");
}

#[test]
fn siem_reads_one_topic_and_tells_another_and_slack() {
    let cluster = cluster(&["audit", "k8s-alerts"]);
    let servers = cluster.bootstrap_servers();
    feed(&servers, "audit", &lines(&METADATA));

    let slack = Receiver::start(Manner::Takes);
    let setting = Setting::empty();
    let mut program = setting.program(&["run", "--config", &shipped("siem-kafka.yaml")]);
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
    end_told(running, &slack);
}
