//! The `kafka` source: what loads, what is refused, and what is unwise.

use std::time::Duration;

use baitline::{
    config::SourceConfig,
    source::{Decoding, kafka},
};
use insta::assert_snapshot;

use super::{load, told};

/// A sound pipeline whose source has further options, in YAML's flow style.
fn pipeline(options: &str) -> String {
    format!(
        "decoys: [{{ service_account: honeypot/backup-sa }}]\n\
         sources: {{ audit: {{ type: kafka, {options} }} }}\n\
         transforms: {{ detections: {{ type: detect, inputs: [audit] }} }}\n\
         sinks: {{ out: {{ type: console, inputs: [detections] }} }}\n"
    )
}

fn told_of(options: &str) -> String {
    told(&[("x.yaml", &pipeline(options))])
}

fn config(options: &str) -> kafka::Config {
    let loaded = load(&[("x.yaml", &pipeline(options))]).unwrap();
    match &loaded.pipeline.sources[0].config {
        SourceConfig::Kafka(config) => (**config).clone(),
        other => panic!("{other:?}"),
    }
}

const LEAST: &str = "bootstrap_servers: 'kafka:9092', group_id: baitline, topics: [audit]";

#[test]
fn what_is_not_said_is_as_documented() {
    let config = config(LEAST);
    assert_eq!(config.topics, ["audit"]);
    assert_eq!(config.auto_offset_reset, kafka::AutoOffsetReset::Earliest);
    assert_eq!(config.session_timeout, Duration::from_secs(10));
    assert_eq!(config.fetch_wait_max, Duration::from_millis(100));
    assert_eq!(config.commit_interval, Duration::from_secs(5));
    assert_eq!(config.decoding, Decoding::Audit);
}

#[test]
fn vectors_words_are_taken() {
    let config = config(
        r#"bootstrap_servers: "a:1, b:2", group_id: g, topics: ["^k8s-[a-z]{1,20}$", x.y_z-1], auto_offset_reset: largest,
        session_timeout_ms: 6000, fetch_wait_max_ms: 50, commit_interval_ms: 100, socket_timeout_ms: 3000,
        sasl: { enabled: true, username: u, password: "${SECRET}", mechanism: PLAIN },
        tls: { enabled: true, ca_file: /ca.pem, verify_hostname: false }, decoding: { codec: audit },
        librdkafka_options: { queued.min.messages: 1000 }"#,
    );
    assert_eq!(config.auto_offset_reset, kafka::AutoOffsetReset::Latest);
    assert_eq!(config.decoding, Decoding::Audit);
    assert_eq!(config.topics, ["^k8s-[a-z]{1,20}$", "x.y_z-1"]);
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn faults_are_told_together() {
    assert_snapshot!(told_of("topics: []"), @r#"
    x.yaml:2:12: source "audit" (kafka) lacks "bootstrap_servers"; write host:port, or several with commas between them
    x.yaml:2:12: source "audit" (kafka) lacks "group_id"; write a string
    x.yaml:2:42: "topics" of source "audit" (kafka) is an empty list; write at least one entry
    "#);
    assert_snapshot!(
        told_of(r#"bootstrap_servers: kafka, group_id: "", topics: [a b, "", ".."], auto_offset_reset: latst"#),
        @r#"
    x.yaml:2:70: "group_id" of source "audit" (kafka) is empty; write a value, or remove it
    x.yaml:2:83: an entry of "topics" of source "audit" (kafka) must be the name of a topic, or a regular expression that begins with ^, found the string "a b"
    x.yaml:2:88: an entry of "topics" of source "audit" (kafka) is empty; write a value, or remove it
    x.yaml:2:92: an entry of "topics" of source "audit" (kafka) must be the name of a topic, or a regular expression that begins with ^, found the string ".."
    x.yaml:2:118: "auto_offset_reset" of source "audit" (kafka) must be "earliest" or "latest", found the string "latst"; did you mean "latest"?
    "#
    );
    assert_snapshot!(
        told_of(&format!(
            "{LEAST}, librdkafka_options: {{ group.protocol: consumer, enable.auto.commit: 'false', fetch.wait.max.ms: 1 }}"
        )),
        @r#"
    x.yaml:2:124: "librdkafka_options" of source "audit" (kafka) must not have "enable.auto.commit": baitline commits what it has stored, and nothing else
    x.yaml:2:124: "librdkafka_options" of source "audit" (kafka) must not have "fetch.wait.max.ms": write fetch_wait_max_ms
    x.yaml:2:124: "librdkafka_options" of source "audit" (kafka) must not have "group.protocol": baitline's members must all use cooperative-sticky
    "#
    );
}

#[test]
fn a_malformed_regular_expression_is_a_fault() {
    for topic in ["^(", "^[", "^a{2", "^a{1,2"] {
        let told = told_of(&LEAST.replace("audit", &format!("'{topic}'")));
        let begins = format!(
            "x.yaml:2:96: an entry of \"topics\" of source \"audit\" (kafka) must be a regular expression, found the string \"{topic}\": "
        );
        // The reason is in the words of the C library.
        assert!(
            told.starts_with(&begins) && told.len() > begins.len() + 5,
            "{told}"
        );
    }
}

#[test]
fn a_dedupe_in_the_same_process_must_see_all() {
    let dedupe = "transforms: { incidents: { type: dedupe, inputs: [detections] },";
    let text = pipeline(LEAST).replace("transforms: {", dedupe);
    let text = text.replace("[detections] } }\n", "['*'] } }\n");
    assert_snapshot!(told(&[("x.yaml", &text)]), @r#"
    loads
    x.yaml:2:12: a dedupe in this process stands behind source "audit" (kafka), so that it must be the only instance that reads these topics in its group: it stops when it is not. For several, let each detect only and write to a topic by a kafka sink with key_field: "{{ cluster }}", and put the dedupe behind a kafka source of that topic with decoding.codec: detection
    "#);
    assert_eq!(told_of(LEAST), "loads");
    let aggregator = format!(
        "sources: {{ bus: {{ type: kafka, {LEAST}, decoding: {{ codec: detection }} }} }}\n\
         transforms: {{ incidents: {{ type: dedupe, inputs: [bus] }} }}\n\
         sinks: {{ out: {{ type: console, inputs: [incidents] }} }}\n"
    );
    assert_eq!(told(&[("x.yaml", &aggregator)]), "loads");
}

#[test]
fn settings_that_do_not_go_together_are_faults() {
    let of = |options: &str| told_of(&format!("{LEAST}, {options}"));
    assert_snapshot!(of("librdkafka_options: { max.poll.interval.ms: '1000' }"), @r#"x.yaml:2:124: source "audit" (kafka): librdkafka refuses the settings: `max.poll.interval.ms`must be >= `session.timeout.ms`"#);
    assert_snapshot!(of("session_timeout_ms: 400000"), @r#"x.yaml:2:124: source "audit" (kafka): librdkafka refuses the settings: `max.poll.interval.ms`must be >= `session.timeout.ms`"#);
    assert_snapshot!(of("sasl: { enabled: true }"), @r#"x.yaml:2:121: source "audit" (kafka): sasl.enabled needs sasl.username and sasl.password"#);
    // What is known of the cluster is not asked for, and a certificate is not needed.
    assert!(of("tls: { enabled: true, ca_file: /nowhere/ca.pem }, sasl: { enabled: true, username: u, password: p }").starts_with("loads"));
}

#[test]
fn a_certificate_that_is_missing_is_a_warning() {
    assert_snapshot!(told_of(&format!("{LEAST}, tls: {{ enabled: true, ca_file: /nowhere/ca.pem }}")), @r#"
    loads
    x.yaml:2:12: source "audit" (kafka): tls.ca_file cannot be read: /nowhere/ca.pem: No such file or directory (os error 2); it must be there when baitline runs
    "#);
}
