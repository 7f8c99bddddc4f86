use std::time::Duration;

use insta::assert_snapshot;
use prometheus_client::metrics::histogram::Histogram;

use super::{
    super::snapshot::{AlertCount, DetectionCount, Kind, example},
    *,
};

fn busy() -> Snapshot {
    let commit_seconds = Histogram::new([0.001, 0.1]);
    commit_seconds.observe(0.01);
    let mut snapshot = Snapshot {
        uptime: Duration::from_millis(61_500),
        detections: vec![DetectionCount {
            decoy: "honeypot/backup-sa".into(),
            technique: "token_use",
            class: "detect",
            count: 12,
        }],
        alerts: vec![AlertCount {
            kind: "opened",
            severity: "critical",
            count: 3,
        }],
        commit_seconds: Some(commit_seconds),
        ..example::running()
    };
    let [source, detect, dedupe, sink, store] = &mut snapshot.components[..] else {
        unreachable!("the example has five");
    };
    source.figures = Figures {
        received_events: Some(1000),
        received_bytes: Some(500_000),
        sent_events: Some(1000),
        errors: Some(0),
        discarded_events: Some(2),
        undecodable: Some(1),
        lag_records: Some(7),
        seconds_since_last_event: Some(0.25),
        ..Figures::default()
    };
    detect.figures = Figures {
        received_events: Some(1000),
        sent_events: Some(12),
        ..Figures::default()
    };
    dedupe.figures = Figures {
        received_events: Some(12),
        sent_events: Some(3),
        open_incidents: Some(1),
        suppressed: Some(5),
        evicted: Some(0),
        ..Figures::default()
    };
    sink.trouble = Some(example::trouble("the disk is full", false));
    sink.figures = Figures {
        sent_events: Some(1),
        errors: Some(4),
        discarded_events: Some(0),
        retried: Some(4),
        buffer_events: Some(2),
        buffer_bytes: Some(2048),
        buffer_max_bytes: Some(1 << 30),
        buffer_discarded_events: Some(0),
        ..Figures::default()
    };
    assert_eq!(store.kind, Kind::Store);
    snapshot
}

#[test]
fn every_metric_is_told_once_with_its_help_and_type() {
    let text = text(busy()).replace(env!("CARGO_PKG_VERSION"), "VERSION");
    assert_snapshot!(text, @r#"
    # HELP baitline_build_info Always 1; which baitline this is.
    # TYPE baitline_build_info gauge
    baitline_build_info{version="VERSION"} 1
    # HELP baitline_uptime_seconds Seconds since the start.
    # TYPE baitline_uptime_seconds gauge
    baitline_uptime_seconds 61.5
    # HELP component_received_events Records that a source read, or records and detections that a transform took in.
    # TYPE component_received_events counter
    component_received_events_total{component_id="audit",component_kind="source",component_type="file"} 1000
    component_received_events_total{component_id="detections",component_kind="transform",component_type="file"} 1000
    component_received_events_total{component_id="incidents",component_kind="transform",component_type="file"} 12
    # HELP component_received_bytes Bytes of the records that a source read, after decompression.
    # TYPE component_received_bytes counter
    component_received_bytes_total{component_id="audit",component_kind="source",component_type="file"} 500000
    # HELP component_sent_events What a component handed on: records of a source, detections or alerts of a transform, messages that a sink's receiver took.
    # TYPE component_sent_events counter
    component_sent_events_total{component_id="audit",component_kind="source",component_type="file"} 1000
    component_sent_events_total{component_id="detections",component_kind="transform",component_type="file"} 12
    component_sent_events_total{component_id="incidents",component_kind="transform",component_type="file"} 3
    component_sent_events_total{component_id="alert_txt",component_kind="sink",component_type="file"} 1
    # HELP component_errors Faults on the way in or out, each try counted.
    # TYPE component_errors counter
    component_errors_total{component_id="audit",component_kind="source",component_type="file"} 0
    component_errors_total{component_id="alert_txt",component_kind="sink",component_type="file"} 4
    # HELP component_discarded_events Records that a source passed because nothing can be in them, or messages that a sink gave up.
    # TYPE component_discarded_events counter
    component_discarded_events_total{component_id="audit",component_kind="source",component_type="file"} 2
    component_discarded_events_total{component_id="alert_txt",component_kind="sink",component_type="file"} 0
    # HELP baitline_component_healthy 1 if the component works, 0 if it is in trouble; /health says why.
    # TYPE baitline_component_healthy gauge
    baitline_component_healthy{component_id="audit",component_kind="source",component_type="file"} 1
    baitline_component_healthy{component_id="detections",component_kind="transform",component_type="file"} 1
    baitline_component_healthy{component_id="incidents",component_kind="transform",component_type="file"} 1
    baitline_component_healthy{component_id="alert_txt",component_kind="sink",component_type="file"} 0
    baitline_component_healthy{component_id="store",component_kind="store",component_type="file"} 1
    # HELP baitline_undecodable What might concern a decoy and could not be decoded, or is no detection, or not understood in full, where one is expected.
    # TYPE baitline_undecodable counter
    baitline_undecodable_total{component_id="audit",component_kind="source",component_type="file"} 1
    # HELP baitline_source_seconds_since_last_event Seconds since the source read its last record; before the first, since the start.
    # TYPE baitline_source_seconds_since_last_event gauge
    baitline_source_seconds_since_last_event{component_id="audit",component_kind="source",component_type="file"} 0.25
    # HELP baitline_source_lag_records Records that wait upstream of the source, where it can tell.
    # TYPE baitline_source_lag_records gauge
    baitline_source_lag_records{component_id="audit",component_kind="source",component_type="file"} 7
    # HELP baitline_open_incidents Incidents that go on, floods included.
    # TYPE baitline_open_incidents gauge
    baitline_open_incidents{component_id="incidents",component_kind="transform",component_type="file"} 1
    # HELP baitline_alerts_suppressed Hits that were counted in a flood and not told as incidents of their own.
    # TYPE baitline_alerts_suppressed counter
    baitline_alerts_suppressed_total{component_id="incidents",component_kind="transform",component_type="file"} 5
    # HELP baitline_incidents_evicted Incidents that were closed early because more are open than cache.num_events.
    # TYPE baitline_incidents_evicted counter
    baitline_incidents_evicted_total{component_id="incidents",component_kind="transform",component_type="file"} 0
    # HELP baitline_requests_retried Tries of a sink that failed and were repeated.
    # TYPE baitline_requests_retried counter
    baitline_requests_retried_total{component_id="alert_txt",component_kind="sink",component_type="file"} 4
    # HELP buffer_events Messages that wait for the sink.
    # TYPE buffer_events gauge
    buffer_events{component_id="alert_txt",component_kind="sink",component_type="file"} 2
    # HELP buffer_byte_size Bytes of these messages, as JSON; where nothing is stored, only if buffer.max_size is set.
    # TYPE buffer_byte_size gauge
    buffer_byte_size{component_id="alert_txt",component_kind="sink",component_type="file"} 2048
    # HELP buffer_max_byte_size How many bytes of messages may wait for the sink, if that is limited.
    # TYPE buffer_max_byte_size gauge
    buffer_max_byte_size{component_id="alert_txt",component_kind="sink",component_type="file"} 1073741824
    # HELP buffer_discarded_events Messages that the sink never gets, because its buffer was full or it had ended.
    # TYPE buffer_discarded_events counter
    buffer_discarded_events_total{component_id="alert_txt",component_kind="sink",component_type="file"} 0
    # HELP baitline_detections Audit events that touch a decoy, found here or sent by agents.
    # TYPE baitline_detections counter
    baitline_detections_total{decoy="honeypot/backup-sa",technique="token_use",class="detect"} 12
    # HELP baitline_alerts Alerts that were given to the sinks, each counted once however many take it.
    # TYPE baitline_alerts counter
    baitline_alerts_total{kind="opened",severity="critical"} 3
    # HELP baitline_store_commit_seconds How long a transaction of the store took.
    # TYPE baitline_store_commit_seconds histogram
    baitline_store_commit_seconds_sum 0.01
    baitline_store_commit_seconds_count 1
    baitline_store_commit_seconds_bucket{le="0.001"} 0
    baitline_store_commit_seconds_bucket{le="0.1"} 1
    baitline_store_commit_seconds_bucket{le="+Inf"} 1
    # EOF
    "#);
}

#[test]
fn the_readme_names_every_metric() {
    let readme = include_str!("../../../README.md");
    let mut snapshot = busy();
    snapshot.components[0].figures.open_connections = Some(1);
    snapshot.components[0].figures.established_connections = Some(1);
    snapshot.components[3].figures.buffer_max_events = Some(1);
    let text = text(snapshot);
    let metrics = text.lines().filter_map(|line| line.strip_prefix("# HELP "));
    let names: Vec<&str> = metrics.filter_map(|line| line.split(' ').next()).collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        assert!(readme.contains(&format!("`{name}")), "{name}");
    }
}

#[test]
fn what_no_component_has_is_left_out() {
    let text = text(Snapshot::default());
    assert!(!text.contains("component_"), "{text}");
    assert!(!text.contains("commit_seconds"), "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[test]
fn labels_are_escaped() {
    let mut snapshot = busy();
    snapshot.detections[0].decoy = "a\"b\\c\nd".into();
    let text = text(snapshot);
    assert!(text.contains(r#"decoy="a\"b\\c\nd""#), "{text}");
}
