//! Several members, and a pipeline that is full.

use std::collections::BTreeSet;

use super::*;

/// Members that join and leave take seconds, since the mock cluster waits for those that it has not heard of.
const SETTLED: Duration = Duration::from_secs(30);

/// Reads until all of `wanted` were seen by one of `sources`; gives how many lines that took.
#[track_caller]
pub(super) fn read_all(sources: &[&Running], wanted: &[String]) -> usize {
    let mut missing: BTreeSet<&str> = wanted.iter().map(String::as_str).collect();
    let deadline = Instant::now() + 2 * PATIENCE;
    let mut read = 0;
    while !missing.is_empty() {
        assert!(Instant::now() < deadline, "{} are missing", missing.len());
        for source in sources {
            for line in source.attend(Duration::from_millis(20)) {
                missing.remove(line.as_str());
                read += 1;
            }
        }
    }
    read
}

#[test]
fn a_full_pipeline_costs_no_membership() {
    let cluster = Cluster::start(2);
    cluster.write(0, &numbered(0..10));
    let mut config = cluster.config();
    let options = &mut config.connection.librdkafka_options;
    options.insert("max.poll.interval.ms".into(), "6000".into());
    let source = Running::start(config);
    assert_eq!(source.next_lines(10), numbered(0..10));
    source.full.store(true, SeqCst);
    cluster.write(0, &numbered(10..500));
    cluster.write(1, &numbered(500..1000));
    // Longer than a member may go without a poll.
    let mut lines = source.attend(Duration::from_secs(9));
    assert!(lines.len() < 990, "it must not read on");
    source.full.store(false, SeqCst);
    // Each record once: nobody else was given the partitions, nor the source anew.
    lines.extend((0..990 - lines.len()).map(|_| source.next_line().0));
    lines.extend(source.stop());
    lines.sort();
    assert_eq!(lines, numbered(10..1000));
    assert_eq!(
        (cluster.committed(0), cluster.committed(1)),
        (Some(500), Some(500))
    );
}

#[test]
fn two_share_a_topic_and_one_takes_over() {
    let cluster = Cluster::start(4);
    let first = Running::start(cluster.config());
    let write = |range: std::ops::Range<usize>| {
        let records = numbered(range);
        for (partition, records) in (0..).zip(records.chunks(records.len() / 4)) {
            cluster.write(partition, records);
        }
        records
    };
    read_all(&[&first], &write(0..400));
    let second = Running::start(cluster.config());
    // Until both have some.
    let deadline = Instant::now() + SETTLED + PATIENCE;
    let mut from = 400;
    loop {
        assert!(Instant::now() < deadline, "the second is given nothing");
        let records = write(from..from + 4);
        from += 4;
        let lines = second.attend(Duration::from_millis(200));
        let seen = lines.len();
        let left: Vec<String> = records
            .into_iter()
            .filter(|record| !lines.contains(record))
            .collect();
        read_all(&[&first, &second], &left);
        if seen > 0 && seen < 4 {
            break;
        }
    }
    read_all(&[&first, &second], &write(from..from + 400));
    first.stop();
    let last = write(from + 400..from + 800);
    read_all(&[&second], &last);
    second.stop();
    let committed: i64 = (0..4)
        .filter_map(|partition| cluster.committed(partition))
        .sum();
    assert_eq!(committed, i64::try_from(from + 800).unwrap());
}

#[test]
fn who_must_be_alone_stops_when_another_holds_partitions() {
    let cluster = Cluster::start(2);
    let settled = Duration::from_secs(6);
    let mut lone = Running::resume(cluster.config(), Vec::new(), Some(settled));
    cluster.write(0, &numbered(0..10));
    assert_eq!(lone.next_lines(10), numbered(0..10));
    lone.attend(2 * settled);
    assert!(!lone.thread.as_ref().unwrap().is_finished(), "it is alone");
    let other = Running::start(cluster.config());
    let deadline = Instant::now() + SETTLED + PATIENCE;
    while !lone.thread.as_ref().unwrap().is_finished() {
        assert!(Instant::now() < deadline, "it goes on");
        lone.attend(Duration::from_millis(100));
        other.attend(Duration::from_millis(100));
    }
    let error = lone.join().unwrap_err();
    insta::assert_snapshot!(error, @r#"a dedupe behind this source must see every partition of its topics, but other members of the group "baitline" hold some (this one has 1 of the 2 partitions of audit); let the instances detect only and write what they find to a topic, with key_field "{{ cluster }}", and put the dedupe behind a kafka source of that topic, with decoding.codec: detection"#);
    other.stop();
}
