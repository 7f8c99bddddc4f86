//! The source against a real broker, which `BAITLINE_TEST_KAFKA` names. The mock tells nobody who is in a group.

use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
};

use super::*;

/// What reads a topic that nobody else has, under a group of its own; `None`, and says so, where there is no broker.
fn topic(partitions: i32) -> Option<Config> {
    let Ok(broker) = std::env::var("BAITLINE_TEST_KAFKA") else {
        println!("NOT RUN: needs a broker, named by BAITLINE_TEST_KAFKA");
        return None;
    };
    let mut config = config(&broker);
    let name = format!("source-{}", fastrand::u32(..));
    let admin: AdminClient<DefaultClientContext> = config.connection.client().create().unwrap();
    let topic = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
    let (topics, options) = ([topic], AdminOptions::new());
    let created = admin.create_topics(&topics, &options);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let created = runtime.unwrap().block_on(created);
    created.unwrap().remove(0).unwrap();
    config.group_id = name.clone();
    config.topics = vec![name];
    Some(config)
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
