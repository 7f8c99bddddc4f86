//! Kafka is away, late, or somebody has to mend something: all is kept, and the status says why.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_goes_away_in_the_middle_costs_nothing() {
    let cluster = cluster(1);
    let sink = start(
        Config {
            message_timeout: Duration::from_millis(500),
            ..config(&cluster)
        },
        None,
    );
    for round in 0..2 {
        sink.push((round * 100..round * 100 + 50).map(|number| alert(0, number)));
        cluster.broker_down(-1).unwrap();
        sink.push((round * 100 + 50..round * 100 + 100).map(|number| alert(0, number)));
        sink.trouble().await;
        sleep(Duration::from_millis(1500)).await;
        cluster.broker_up(-1).unwrap();
        sink.well().await;
    }
    let counters = sink.drained().await;
    assert!(counters.retried.load(Relaxed) > 0, "by new producers");
    assert_eq!(counters.delivered.load(Relaxed), 200);
    assert_eq!(titles(&cluster), Vec::from_iter(0..200));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_nothing_to_send_it_still_sees_that_kafka_is_away_and_back() {
    let cluster = cluster(1);
    cluster.broker_down(-1).unwrap();
    let sink = start(config(&cluster), None);
    sink.trouble().await;
    cluster.broker_up(-1).unwrap();
    sink.well().await;
    sink.drained().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_confirmed_late_is_trouble_that_is_told() {
    let cluster = cluster(1);
    cluster
        .broker_round_trip_time(-1, Duration::from_secs(30))
        .unwrap();
    let sink = start(
        Config {
            message_timeout: Duration::from_secs(2),
            ..config(&cluster)
        },
        None,
    );
    sink.push(alerts(3));
    let (reason, is_lasting) = sink.trouble().await;
    assert!(
        reason.starts_with("nothing was confirmed for 2 s"),
        "{reason}"
    );
    assert!(!is_lasting);
    assert_eq!(sink.waiting(), 3);
    cluster.broker_round_trip_time(-1, Duration::ZERO).unwrap();
    sink.drained().await;
    assert_eq!(titles(&cluster), [0, 1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_must_mend_is_lasting_and_loses_nothing() {
    use RDKafkaRespErr::*;
    for (request, error) in [
        (
            RDKafkaApiKey::Produce,
            RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
        ),
        (
            RDKafkaApiKey::InitProducerId,
            RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
        ),
    ] {
        let cluster = cluster(1);
        fails(&cluster, request, &[error]);
        let sink = start(config(&cluster), None);
        sink.push(alerts(10));
        let (reason, is_lasting) = sink.trouble().await;
        assert!(
            is_lasting && reason.contains("authorization failed"),
            "{reason}"
        );
        let counters = sink.drained().await;
        assert_eq!(counters.delivered.load(Relaxed), 10);
        assert_eq!(titles(&cluster), Vec::from_iter(0..10));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_nobody_has_made_is_waited_for() {
    let cluster = cluster(1);
    let unknown = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    cluster.topic_error(TOPIC, unknown).unwrap();
    let sink = start(config(&cluster), None);
    sink.push(alerts(10));
    let (reason, is_lasting) = sink.trouble().await;
    assert!(!is_lasting, "it may be a broker that has just started");
    assert!(reason.to_lowercase().contains("unknown topic"), "{reason}");
    let lasting = async {
        while !sink.trouble().await.1 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, lasting).await.unwrap();
    assert_eq!(sink.waiting(), 10);
    cluster.topic_error(TOPIC, FINE).unwrap();
    sink.drained().await;
    assert_eq!(titles(&cluster), Vec::from_iter(0..10));
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_make_no_producer_are_lasting_trouble() {
    let no_certificate = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    for (file, said) in [
        (
            "/nowhere/ca.pem",
            "tls.ca_file cannot be read: /nowhere/ca.pem: No such file",
        ),
        (no_certificate, "ssl.ca.location"),
    ] {
        let cluster = cluster(1);
        let mut config = config(&cluster);
        config.connection.tls.enabled = true;
        config.connection.tls.ca_file = Some(file.into());
        let sink = start(config, None);
        sink.push(alerts(1));
        let (reason, is_lasting) = sink.trouble().await;
        assert!(is_lasting && reason.contains(said), "{reason}");
        assert_eq!(sink.waiting(), 1);
        sink.give_up.cancel();
        timeout(PATIENCE, sink.task).await.unwrap().unwrap();
    }
}
