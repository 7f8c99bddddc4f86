//! The source against a real broker, which `BAITLINE_TEST_KAFKA` names. The mock tells nobody who is in a group.

use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
};

use super::{group::read_all, *};
use crate::source::kafka::session::BURST_MESSAGES;

/// What reads a topic that nobody else has, under a group of its own; `None`, and says so, where there is no broker.
fn topic(partitions: i32) -> Option<Config> {
    let config = missing_topic()?;
    create(&config, partitions);
    Some(config)
}

/// The same, before the topic is made.
fn missing_topic() -> Option<Config> {
    let Ok(broker) = std::env::var("BAITLINE_TEST_KAFKA") else {
        println!("NOT RUN: needs a broker, named by BAITLINE_TEST_KAFKA");
        return None;
    };
    let mut config = config(&broker);
    let name = format!("source-{}", fastrand::u32(..));
    config.group_id = name.clone();
    config.topics = vec![name];
    Some(config)
}

fn create(config: &Config, partitions: i32) {
    let admin: AdminClient<DefaultClientContext> = config.connection.client().create().unwrap();
    let topic = NewTopic::new(&config.topics[0], partitions, TopicReplication::Fixed(1));
    let (topics, options) = ([topic], AdminOptions::new());
    let created = admin.create_topics(&topics, &options);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let created = runtime.unwrap().block_on(created);
    created.unwrap().remove(0).unwrap();
}

fn delete(config: &Config) {
    let admin: AdminClient<DefaultClientContext> = config.connection.client().create().unwrap();
    let options = AdminOptions::new();
    let deleted = admin.delete_topics(&[&config.topics[0]], &options);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let deleted = runtime.unwrap().block_on(deleted);
    deleted.unwrap().remove(0).unwrap();
}

/// Writes records in turn to all partitions.
fn write(config: &Config, partitions: i32, records: &[String]) {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &config.connection.bootstrap_servers);
    let producer: ThreadedProducer<DefaultProducerContext> = client.create().unwrap();
    for (record, partition) in records.iter().zip((0..partitions).cycle()) {
        let record = BaseRecord::<(), _>::to(&config.topics[0])
            .partition(partition)
            .payload(record);
        assert!(producer.send(record).is_ok());
    }
    producer.flush(PATIENCE).unwrap();
}

const SETTLED: Duration = Duration::from_secs(6);

/// Reads with `others` until `lone` ends: why.
fn ends(mut lone: Running, others: &[Running]) -> String {
    let deadline = Instant::now() + PATIENCE;
    while !lone.thread.as_ref().unwrap().is_finished() {
        assert!(Instant::now() < deadline, "it goes on");
        lone.attend(Duration::from_millis(50));
        for other in others {
            other.attend(Duration::from_millis(50));
        }
    }
    lone.join().unwrap_err().to_string()
}

fn start_lone(config: &Config) -> Running {
    Running::resume(config.clone(), Vec::new(), Some(SETTLED))
}

#[test]
fn who_must_be_alone_stops_when_another_has_a_share() {
    let Some(mut config) = topic(2) else { return };
    let name = config.topics[0].clone();
    for (topics, said) in [
        (name.clone(), format!("1 of the 2 partitions of {name}")),
        (
            format!("^{name}$"),
            "1 of the 2 partitions that the group has".to_owned(),
        ),
    ] {
        config.topics = vec![topics];
        let lone = start_lone(&config);
        lone.attend(2 * SETTLED);
        assert!(!lone.thread.as_ref().unwrap().is_finished(), "it is alone");
        let other = Running::start(config.clone());
        let error = ends(lone, std::slice::from_ref(&other));
        assert!(error.contains(&said), "{error}");
        other.stop();
    }
}

#[test]
fn who_must_be_alone_stops_when_nothing_is_left_for_it() {
    let Some(config) = topic(1) else { return };
    let other = Running::start(config.clone());
    let deadline = Instant::now() + PATIENCE;
    while other.counters.lag().is_none() {
        assert!(Instant::now() < deadline, "nothing is assigned");
        other.attend(Duration::from_millis(50));
    }
    let error = ends(start_lone(&config), std::slice::from_ref(&other));
    assert!(error.contains("0 of the 1 partitions"), "{error}");
    other.stop();
}

#[test]
fn a_restart_goes_on_where_it_was_committed() {
    let Some(config) = topic(2) else { return };
    write(&config, 2, &numbered(0..100));
    let source = Running::start(config.clone());
    assert_eq!(source.next_lines(100), numbered(0..100));
    assert!(source.stop().is_empty());
    write(&config, 2, &numbered(100..150));
    let source = Running::start(config);
    assert_eq!(source.next_lines(50), numbered(100..150));
    assert!(source.stop().is_empty());
}

#[test]
fn of_a_topic_that_was_made_anew_all_is_read() {
    let Some(config) = topic(1) else { return };
    write(&config, 1, &numbered(0..50));
    let source = Running::start(config.clone());
    assert_eq!(source.next_lines(50), numbered(0..50));
    assert!(source.stop().is_empty());
    delete(&config);
    thread::sleep(Duration::from_secs(5));
    create(&config, 1);
    write(&config, 1, &numbered(100..200));
    let kept = Position {
        key: format!("{}/0", config.topics[0]),
        value: Some("50".to_owned()),
    };
    let source = Running::resume(config, vec![kept], None);
    assert_eq!(source.next_lines(100), numbered(100..200));
    assert!(source.stop().is_empty());
}

#[test]
fn two_share_a_topic_and_nothing_is_lost() {
    let Some(config) = topic(4) else { return };
    let records = numbered(0..1200);
    let first = Running::start(config.clone());
    write(&config, 4, &records[..400]);
    read_all(&[&first], &records[..400]);
    let second = Running::start(config.clone());
    write(&config, 4, &records[400..800]);
    read_all(&[&first, &second], &records[400..800]);
    let deadline = Instant::now() + PATIENCE;
    while second.counters.lag().is_none() {
        assert!(Instant::now() < deadline, "the second is given nothing");
        first.attend(Duration::from_millis(50));
        second.attend(Duration::from_millis(50));
    }
    first.stop();
    write(&config, 4, &records[800..]);
    read_all(&[&second], &records[800..]);
    second.stop();
}

#[test]
fn a_topic_may_come_late_and_is_missed_until_then() {
    let Some(config) = missing_topic() else {
        return;
    };
    let name = config.topics[0].clone();
    let source = Running::start(config.clone());
    source.wait_for_trouble(Some(&name));
    assert_eq!(source.counters.lag(), None);
    create(&config, 1);
    write(&config, 1, &numbered(0..10));
    assert_eq!(source.next_lines(10), numbered(0..10));
    source.wait_for_trouble(None);
    source.stop();
}

#[test]
fn a_full_pipeline_costs_no_membership() {
    let Some(mut config) = topic(2) else { return };
    let options = &mut config.connection.librdkafka_options;
    options.insert("max.poll.interval.ms".into(), "6000".into());
    let source = Running::start(config.clone());
    write(&config, 2, &numbered(0..10));
    assert_eq!(source.next_lines(10), numbered(0..10));
    source.full.store(true, SeqCst);
    // More than it takes at a time, which it may have begun to.
    let all = 10..10 + 2 * BURST_MESSAGES;
    write(&config, 2, &numbered(all.clone()));
    // Longer than a member may go without a poll.
    let mut lines = source.attend(Duration::from_secs(9));
    assert!(lines.len() <= BURST_MESSAGES, "it must not read on");
    source.full.store(false, SeqCst);
    lines.extend((lines.len()..all.len()).map(|_| source.next_line().0));
    lines.extend(source.stop());
    lines.sort();
    assert_eq!(lines, numbered(all));
}

#[test]
fn who_is_left_nothing_by_its_group_stands_by() {
    let Some(config) = topic(1) else { return };
    let first = Running::start(config.clone());
    write(&config, 1, &numbered(0..10));
    assert_eq!(first.next_lines(10), numbered(0..10));
    let second = Running::start(config.clone());
    let until = Instant::now() + Duration::from_secs(12);
    while Instant::now() < until {
        first.attend(Duration::from_millis(50));
        second.attend(Duration::from_millis(50));
        assert_eq!(second.status.trouble(), None);
    }
    assert_eq!(second.counters.lag(), None);
    first.stop();
    write(&config, 1, &numbered(10..20));
    assert_eq!(second.next_lines(10), numbered(10..20));
    second.stop();
}
