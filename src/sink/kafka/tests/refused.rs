//! What Kafka refuses for good, one message or a request as a whole.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_refused_is_sent_again_message_by_message() {
    let cluster = cluster(1);
    fails(&cluster, RDKafkaApiKey::Produce, &[TOO_LARGE]);
    let sink = start(config(&cluster), None);
    sink.push(alerts(20));
    let counters = sink.drained().await;
    assert_eq!(counters.failed.load(Relaxed), 0);
    assert_eq!(counters.delivered.load(Relaxed), 20);
    assert_eq!(titles(&cluster), Vec::from_iter(0..20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_refused_for_good_is_given_up_and_no_other() {
    let cluster = cluster(1);
    // All of them together, then 0 by itself, then 1 is fine, then 2 by itself.
    fails(
        &cluster,
        RDKafkaApiKey::Produce,
        &[TOO_LARGE, TOO_LARGE, FINE, TOO_LARGE],
    );
    let sink = start(config(&cluster), None);
    sink.push(alerts(20));
    let counters = sink.drained().await;
    assert_eq!(counters.failed.load(Relaxed), 2);
    assert_eq!(counters.delivered.load(Relaxed), 18);
    let expected = (0..20).filter(|number| ![0, 2].contains(number));
    assert_eq!(titles(&cluster), Vec::from_iter(expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_librdkafka_will_not_take_is_given_up_at_once() {
    let cluster = cluster(1);
    let mut config = config(&cluster);
    let options = &mut config.connection.librdkafka_options;
    options.insert("message.max.bytes".into(), "5000".into());
    let sink = start(config, None);
    let Message::Alert(mut large) = alert(0, 1) else {
        panic!()
    };
    Arc::make_mut(&mut large).user_agents = vec!["x".repeat(6000)];
    sink.push([alert(0, 0), Message::Alert(large), alert(0, 2)]);
    let counters = sink.drained().await;
    assert_eq!(counters.failed.load(Relaxed), 1);
    assert_eq!(titles(&cluster), [0, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_message_that_cannot_be_buried_is_kept() {
    let cluster = cluster(1);
    // On a busy machine a producer may end before all is told, and another tries once more.
    fails(&cluster, RDKafkaApiKey::Produce, &[TOO_LARGE; 9]);
    let folder = tempfile::tempdir().unwrap();
    let no_folder = folder.path().join("file");
    std::fs::write(&no_folder, "").unwrap();
    let dead_letters = DeadLetters::new(&no_folder, "under_test".into());
    let sink = start(config(&cluster), Some(dead_letters));
    sink.push(alerts(1));
    let (reason, _) = sink.trouble().await;
    assert!(reason.contains("cannot write a dead letter"), "{reason}");
    assert_eq!(sink.waiting(), 1);
    sink.give_up.cancel();
    let report = timeout(PATIENCE, sink.task).await.unwrap().unwrap();
    assert_eq!((report.ending, report.left.alerts), (Ending::Kept, 1));
}
