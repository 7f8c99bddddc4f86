//! What is away, and what is said of it.

use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::{group::read_all, *};

#[test]
fn a_broker_may_come_late_and_go_away() {
    let cluster = Cluster::start(1);
    cluster.write(0, &numbered(0..5));
    cluster.mock.broker_down(1).unwrap();
    let source = Running::start(cluster.config());
    source.wait_for_trouble(Some("AllBrokersDown"));
    let trouble = source.status.trouble().unwrap();
    assert!(!trouble.is_lasting);
    assert!(trouble.reason.contains("refused"), "{}", trouble.reason);
    cluster.mock.broker_up(1).unwrap();
    assert_eq!(source.next_lines(5), numbered(0..5));
    source.wait_for_trouble(None);
    assert_eq!(source.errors(), 1);
    cluster.mock.broker_down(1).unwrap();
    // One outage is one error, however often it is tried in vain.
    source.attend(Duration::from_secs(8));
    assert_eq!(source.errors(), 2);
    cluster.mock.broker_up(1).unwrap();
    cluster.write(0, &numbered(5..8));
    assert_eq!(source.next_lines(3), numbered(5..8));
    source.stop();
}

#[test]
fn a_topic_that_is_missing_is_still_missed_when_the_broker_was_away() {
    let cluster = Cluster::start(1);
    let mut config = cluster.config();
    config.topics = vec!["later".to_owned()];
    let source = Running::start(config);
    source.wait_for_trouble(Some("later"));
    cluster.mock.broker_down(1).unwrap();
    source.wait_for_trouble(Some("AllBrokersDown"));
    cluster.mock.broker_up(1).unwrap();
    source.wait_for_trouble(Some("later"));
    cluster.mock.create_topic("later", 1, 1).unwrap();
    source.wait_for_trouble(None);
    source.stop();
}

#[test]
fn a_port_that_does_not_speak_tls_is_told() {
    let cluster = Cluster::start(1);
    let mut config = cluster.config();
    config.connection.tls.enabled = true;
    let source = Running::start(config);
    source.wait_for_trouble(Some("SSL handshake failed"));
    source.stop();
}

#[test]
fn a_certificate_that_is_missing_is_named() {
    let mut config = config("localhost:1");
    config.connection.tls.enabled = true;
    config.connection.tls.crt_file = Some("/nowhere/client.pem".into());
    let error = Running::start(config).join().unwrap_err();
    insta::assert_snapshot!(error, @"Kafka: tls.crt_file cannot be read: /nowhere/client.pem: No such file or directory (os error 2)");
}

#[test]
fn a_partition_without_a_leader_holds_up_no_other() {
    let cluster = Cluster::led_by(&[1, 1, 2]);
    for (partition, records) in (0..).zip(numbered(0..30).chunks(10)) {
        cluster.write(partition, records);
    }
    cluster.mock.broker_down(2).unwrap();
    let source = Running::start(cluster.config());
    assert_eq!(source.next_lines(20), numbered(0..20));
    source.wait_for_trouble(Some("audit/2"));
    assert_eq!((source.errors(), source.counters.lag()), (1, None));
    // It is asked again and again, and what is held is read meanwhile.
    cluster.write(1, &numbered(30..40));
    assert_eq!(source.next_lines(10), numbered(30..40));
    source.attend(Duration::from_secs(3));
    assert_eq!(cluster.committed(1), Some(20));
    assert_eq!(source.errors(), 1);
    cluster.mock.broker_up(2).unwrap();
    assert_eq!(source.next_lines(10), numbered(20..30));
    source.wait_for_trouble(None);
    source.stop();
    assert_eq!(cluster.committed(2), Some(10));
}

#[test]
fn a_partition_that_waits_may_be_taken_away() {
    let cluster = Cluster::led_by(&[1, 2, 1, 2]);
    let records = numbered(0..400);
    let chunks = || (0..).zip(records.chunks(100));
    for (partition, records) in chunks() {
        cluster.write(partition, records);
    }
    cluster.mock.broker_down(2).unwrap();
    let first = Running::start(cluster.config());
    first.wait_for_trouble(Some("audit/1, audit/3"));
    let second = Running::start(cluster.config());
    let deadline = Instant::now() + PATIENCE;
    // Each waits for one, or one of them for both.
    while second.status.trouble().is_none() {
        assert!(Instant::now() < deadline, "it is given nothing");
        first.attend(Duration::from_millis(20));
        second.attend(Duration::from_millis(20));
    }
    cluster.mock.broker_up(2).unwrap();
    let dark = chunks().filter(|(partition, _)| partition % 2 == 1);
    let dark: Vec<String> = dark.flat_map(|(_, records)| records.to_vec()).collect();
    read_all(&[&first, &second], &dark);
    first.wait_for_trouble(None);
    second.wait_for_trouble(None);
    first.stop();
    second.stop();
}

#[test]
fn who_has_nothing_to_read_says_so() {
    let cluster = Cluster::start(1);
    cluster.write(0, &numbered(0..10));
    // The group does not come together.
    let busy = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE; 1000];
    cluster.mock.request_errors(RDKafkaApiKey::JoinGroup, &busy);
    let source = Running::start(cluster.config());
    let nothing = Some("holds no partition of audit");
    source.wait_for_trouble(nothing);
    assert_eq!(source.counters.lag(), None);
    cluster.mock.clear_request_errors(RDKafkaApiKey::JoinGroup);
    assert_eq!(source.next_lines(10), numbered(0..10));
    source.wait_for_trouble(None);
    let deadline = Instant::now() + PATIENCE;
    while source.counters.lag() != Some(0) {
        assert!(Instant::now() < deadline, "{:?}", source.counters.lag());
        source.attend(Duration::from_millis(50));
    }
    // Nor does it after it has lost this member.
    cluster.mock.request_errors(RDKafkaApiKey::JoinGroup, &busy);
    let unknown = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID];
    let heartbeat = RDKafkaApiKey::Heartbeat;
    cluster.mock.request_errors(heartbeat, &unknown);
    source.wait_for_trouble(nothing);
    assert_eq!(source.counters.lag(), None);
    cluster.mock.clear_request_errors(RDKafkaApiKey::JoinGroup);
    source.wait_for_trouble(None);
    source.stop();
}
