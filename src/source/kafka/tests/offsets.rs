//! What is read, from where, and when it is committed.

use super::*;

#[test]
fn all_is_read_in_order_and_committed_only_when_it_is_safe() {
    let cluster = Cluster::start(1);
    let records = numbered(0..1000);
    cluster.write(0, &records);
    let source = Running::start(cluster.config());
    let mut unsafe_yet = Vec::new();
    let mut read = 0;
    while read < records.len() {
        match source.next() {
            Told::Block(text, shape, provenance) => {
                assert_eq!(text.trim_end(), records[read]);
                assert_eq!(shape, Shape::Lines);
                assert_eq!(provenance.position, format!("audit/0@{read}"));
                read += 1;
            }
            Told::Progress(progress) => unsafe_yet.push(progress),
        }
    }
    unsafe_yet.push(source.next_progress());
    assert_eq!(unsafe_yet.last().unwrap().positions, [position(0, 1000)]);
    // Many times as long as the time between two commits.
    thread::sleep(Duration::from_secs(1));
    assert_eq!(cluster.committed(0), Some(0));
    unsafe_yet.into_iter().for_each(acknowledge);
    cluster.expect_committed(0, 1000);
    assert!(source.stop().is_empty());
}

#[test]
fn what_became_safe_last_is_committed_at_the_end() {
    let cluster = Cluster::start(1);
    let mut config = cluster.config();
    config.commit_interval = Duration::from_secs(3600);
    let source = Running::start(config);
    cluster.write(0, &numbered(0..10));
    assert_eq!(source.next_lines(10), numbered(0..10));
    assert!(source.stop().is_empty());
    assert_eq!(cluster.committed(0), Some(10));
}

#[test]
fn what_was_not_acknowledged_is_read_again() {
    let cluster = Cluster::start(1);
    cluster.write(0, &numbered(0..10));
    let first = Running::start(cluster.config());
    let mut read = 0;
    while read < 10 {
        read += usize::from(matches!(first.next(), Told::Block(..)));
    }
    first.stop.trigger();
    let mut first = first;
    // It waits for the acknowledgement, and not for ever.
    first.join().unwrap();
    assert_eq!(cluster.committed(0), Some(0));
    let second = Running::start(cluster.config());
    assert_eq!(second.next_lines(10), numbered(0..10));
    second.stop();
}

#[test]
fn it_goes_on_from_the_later_of_what_both_remember() {
    let cluster = Cluster::start(1);
    cluster.write(0, &numbered(0..20));
    cluster.commit(0, 1);
    // The store came further than Kafka was told before the process was killed.
    let source = Running::resume(
        cluster.config(),
        vec![position(0, 15), position(7, 3)],
        None,
    );
    assert_eq!(
        source.next_line(),
        ("record 00015".into(), "audit/0@15".into())
    );
    assert_eq!(source.next_lines(4), numbered(16..20));
    source.stop();
    assert_eq!(cluster.committed(0), Some(20));
    // And Kafka came further than the store, which another instance has not got.
    let source = Running::resume(cluster.config(), vec![position(0, 5)], None);
    cluster.write(0, &numbered(20..21));
    assert_eq!(source.next_lines(1), numbered(20..21));
    source.stop();
}

#[test]
fn a_topic_that_was_made_anew_is_read_from_its_beginning() {
    let cluster = Cluster::start(1);
    cluster.write(0, &numbered(0..3));
    let mut config = cluster.config();
    config.auto_offset_reset = AutoOffsetReset::Latest;
    let source = Running::resume(config, vec![position(0, 1_000_000)], None);
    assert_eq!(source.next_lines(3), numbered(0..3));
    source.stop();
    assert_eq!(cluster.committed(0), Some(3));
}

/// The brokers forget with the topic what was committed; there may be more in the new one than was read of the old.
#[test]
fn a_topic_that_was_made_anew_and_has_grown_is_read_from_its_beginning() {
    let cluster = Cluster::start(1);
    cluster.write(0, &numbered(0..10));
    let source = Running::resume(cluster.config(), vec![position(0, 5)], None);
    assert_eq!(source.next_lines(10), numbered(0..10));
    assert_eq!(source.errors(), 0);
    source.stop();
}

#[test]
fn where_it_begins_is_committed_at_once() {
    let cluster = Cluster::start(1);
    let mut config = cluster.config();
    config.commit_interval = Duration::from_secs(3600);
    let source = Running::start(config);
    cluster.expect_committed(0, 0);
    assert_eq!(source.errors(), 0);
    source.stop();
}

#[test]
fn latest_begins_at_what_comes() {
    let cluster = Cluster::start(1);
    cluster.write(0, &numbered(0..3));
    let mut config = cluster.config();
    config.auto_offset_reset = AutoOffsetReset::Latest;
    let source = Running::start(config.clone());
    // Where that is, is remembered, so that a restart passes over nothing.
    let progress = source.next_progress();
    assert_eq!(progress.positions, [position(0, 3)]);
    acknowledge(progress);
    source.stop();
    cluster.write(0, &numbered(3..5));
    let source = Running::start(config);
    assert_eq!(source.next_lines(2), numbered(3..5));
    source.stop();
}

#[test]
fn a_topic_may_come_late() {
    let cluster = Cluster::start(1);
    let mut config = cluster.config();
    config.topics = vec!["^aud.*-late".to_owned(), "later".to_owned()];
    let source = Running::start(config);
    source.attend(Duration::from_secs(2));
    for topic in ["audit-late", "later"] {
        cluster.mock.create_topic(topic, 1, 1).unwrap();
        let record = BaseRecord::<(), _>::to(topic).payload(topic);
        assert!(cluster.producer.send(record).is_ok());
    }
    cluster.producer.flush(PATIENCE).unwrap();
    assert_eq!(source.next_lines(2), ["audit-late", "later"]);
    source.stop();
}

#[test]
fn what_waits_upstream_is_the_lag() {
    let cluster = Cluster::start(1);
    cluster.write(0, &numbered(0..10));
    let source = Running::start(cluster.config());
    let deadline = Instant::now() + PATIENCE;
    while source.counters.lag() != Some(10) {
        // Nothing is acknowledged.
        assert!(Instant::now() < deadline, "{:?}", source.counters.lag());
        thread::sleep(Duration::from_millis(50));
    }
    while source.counters.lag() != Some(0) {
        assert!(Instant::now() < deadline, "{:?}", source.counters.lag());
        source.attend(Duration::from_millis(50));
    }
    source.stop();
}
