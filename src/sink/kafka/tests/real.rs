//! The Kafka sink against a real broker, which `BAITLINE_TEST_KAFKA` names. The mock neither checks sizes nor sequences.

use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
};

use super::*;

/// A broker and a topic of four partitions that nobody else has; `None`, and says so, where there is no broker.
async fn topic(settings: &[(&str, &str)]) -> Option<(String, String)> {
    let Ok(broker) = std::env::var("BAITLINE_TEST_KAFKA") else {
        println!("NOT RUN: needs a broker, named by BAITLINE_TEST_KAFKA");
        return None;
    };
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", &broker)
        .create()
        .unwrap();
    let name = format!("sink-{}", fastrand::u32(..));
    let mut topic = NewTopic::new(&name, 4, TopicReplication::Fixed(1));
    for (name, value) in settings {
        topic = topic.set(name, value);
    }
    let created = admin.create_topics(&[topic], &AdminOptions::new()).await;
    created.unwrap().remove(0).unwrap();
    Some((broker, name))
}

fn config(broker: &str, topic: &str) -> Config {
    Config {
        topic: Template::parse(topic).unwrap(),
        ..config_for(broker.to_owned())
    }
}

/// What stands in the topic, in order for each key: how often each came, by its number.
fn in_order(broker: &str, topic: &str) -> BTreeMap<usize, usize> {
    let (mut keys, mut times) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::new());
    for got in read_from(broker, topic, 4) {
        let title = got.title();
        let seen = times.entry(title).or_default();
        *seen += 1;
        if *seen == 1 {
            keys.entry(got.key).or_default().push(title);
        }
    }
    for (key, titles) in keys {
        assert!(titles.is_sorted(), "{key:?}: {titles:?}");
    }
    times
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_takes_only_small_messages_gets_all_that_fit_in_order() {
    let Some((broker, topic)) = topic(&[("max.message.bytes", "20000")]).await else {
        return;
    };
    let sink = start(config(&broker, &topic), None);
    let large = [100, 101, 700];
    sink.push((0..1000).map(|number| {
        let Message::Alert(mut message) = alert(number % 13, number) else {
            panic!()
        };
        if large.contains(&number) {
            Arc::make_mut(&mut message).user_agents = vec!["x".repeat(30_000)];
        }
        Message::Alert(message)
    }));
    let counters = sink.drained().await;
    assert_eq!(counters.delivered.load(Relaxed), 997);
    assert_eq!(counters.failed.load(Relaxed), 3);
    let got = in_order(&broker, &topic);
    let expected = (0..1000).filter(|number| !large.contains(number));
    assert_eq!(Vec::from_iter(got.into_keys()), Vec::from_iter(expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_goes_through_once_and_in_order() {
    let Some((broker, topic)) = topic(&[]).await else {
        return;
    };
    const MANY: usize = 20_000;
    let sink = start(config(&broker, &topic), None);
    let messages: Vec<Message> = (0..MANY).map(|number| alert(number % 97, number)).collect();
    let began = Instant::now();
    sink.push(messages);
    let counters = sink.drained().await;
    let rate = MANY as f64 / began.elapsed().as_secs_f64();
    println!("{rate:.0} messages a second");
    assert_eq!(counters.delivered.load(Relaxed), MANY as u64);
    assert_eq!(counters.retried.load(Relaxed), 0);
    let got = in_order(&broker, &topic);
    assert!(got.len() == MANY && got.values().all(|times| *times == 1));
}
