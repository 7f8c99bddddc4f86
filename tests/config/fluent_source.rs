//! The `fluent` source: what loads, what is refused, and what is unwise.

use std::time::Duration;

use baitline::{
    config::SourceConfig,
    source::{Decoding, fluent, server::Address},
};
use insta::assert_snapshot;

use super::{load, told};

/// A sound pipeline whose source has further options, in YAML's flow style.
fn pipeline(options: &str) -> String {
    format!(
        "decoys: [{{ service_account: honeypot/backup-sa }}]\n\
         sources: {{ audit: {{ type: fluent, {options} }} }}\n\
         transforms: {{ detections: {{ type: detect, inputs: [audit] }} }}\n\
         sinks: {{ out: {{ type: console, inputs: [detections] }} }}\n"
    )
}

fn told_of(options: &str) -> String {
    told(&[("x.yaml", &pipeline(options))])
}

fn config(options: &str) -> fluent::Config {
    let loaded = load(&[("x.yaml", &pipeline(options))]).unwrap();
    match &loaded.pipeline.sources[0].config {
        SourceConfig::Fluent(config) => (**config).clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_not_said_is_as_documented() {
    let config = config("address: '127.0.0.1:24224'");
    let address = "127.0.0.1:24224".parse().unwrap();
    assert_eq!(config.address, Address::Socket(address));
    assert_eq!(config.connection_limit, 1024);
    assert_eq!(config.keepalive, Duration::from_secs(60));
    assert_eq!(config.receive_buffer_bytes, None);
    assert!(config.permit_origin.is_empty() && config.security.users.is_empty());
    assert!(config.security.shared_key.is_none() && !config.tls.enabled);
    assert_eq!(config.max_message_bytes, 64 << 20);
    assert_eq!(config.max_line_bytes, 16 << 20);
    assert_eq!(config.decoding, Decoding::Audit);
}

#[test]
fn vectors_words_and_fluentds_are_taken() {
    let tcp = config(
        "mode: tcp, address: '127.0.0.1:24224', connection_limit: 7, keepalive: { time_secs: 5 }, receive_buffer_bytes: 65536,
        permit_origin: [10.0.0.0/8], shared_key: hunter2, self_hostname: trap, users: { ann: hunter3 }",
    );
    assert_eq!(tcp.connection_limit, 7);
    assert_eq!(tcp.receive_buffer_bytes, Some(65536));
    assert_eq!(tcp.security.self_hostname, "trap");
    assert_eq!(tcp.security.users["ann"].reveal(), "hunter3");
    assert!(!format!("{tcp:?}").contains("hunter"));
    let unix = config("mode: unix, path: /run/baitline.sock");
    assert_eq!(unix.address, Address::Unix("/run/baitline.sock".into()));
}

#[test]
fn what_does_not_go_together_is_refused() {
    let faults = [
        "max_line_bytes: 1MiB",
        "mode: unix, address: '127.0.0.1:24224'",
        "address: '127.0.0.1:24224', path: /run/x.sock",
        "mode: udp, address: '127.0.0.1:24224'",
        "address: '127.0.0.1:24224', users: { ann: hunter2 }",
        "address: '127.0.0.1:24224', shared_key: k, users: { ann: [hunter2] }",
        "address: '127.0.0.1:24224', max_message_bytes: 1MiB",
        "address: '127.0.0.1:24224', max_message_bytes: 3GiB",
        "mode: unix, path: /run/x.sock, tls: { enabled: true, crt_file: /c, key_file: /k }",
        "mode: unix, path: /run/x.sock, permit_origin: [10.0.0.0/8]",
        "address: '127.0.0.1:24224', tls: { enabled: true }",
        "address: '127.0.0.1:24224', sharedkey: hunter2",
    ];
    let faults: Vec<String> = faults.into_iter().map(told_of).collect();
    let faults = faults.join("\n");
    assert!(!faults.contains("hunter"));
    assert_snapshot!(faults, @r#"
    x.yaml:2:12: source "audit" (fluent): mode tcp needs address, such as 0.0.0.0:24224
    x.yaml:2:56: source "audit" (fluent): mode unix needs path
    x.yaml:2:69: source "audit" (fluent): path is for mode unix
    x.yaml:2:41: "mode" of source "audit" (fluent) must be "tcp" or "unix", found the string "udp"
    x.yaml:2:70: source "audit" (fluent): users need shared_key as well
    x.yaml:2:92: user "ann" in "users" of source "audit" (fluent) must be a string that is not empty (its value is not shown)
    x.yaml:2:82: source "audit" (fluent): max_message_bytes (1048576) must not be below max_line_bytes (16777216)
    x.yaml:2:82: source "audit" (fluent): max_message_bytes (3221225472) must not be above 2GiB
    x.yaml:2:82: source "audit" (fluent): a Unix socket has no TLS
    x.yaml:2:81: source "audit" (fluent): permit_origin is for mode tcp
    x.yaml:2:79: source "audit" (fluent): tls.enabled needs tls.crt_file and tls.key_file
    x.yaml:2:63: unknown option "sharedkey" for source "audit" (fluent); did you mean "shared_key"?
    "#);
}

#[test]
fn who_listens_to_everybody_is_warned() {
    let told = |options: &str| told_of(&format!("address: '0.0.0.0:24224', {options}"));
    assert_snapshot!(told("keepalive: { time_secs: 60 }"), @r#"
    loads
    x.yaml:2:12: source "audit" (fluent) listens on an address that other machines may reach, and neither encrypts nor asks anybody who they are; write tls: { enabled: true, crt_file: …, key_file: … } and shared_key, or let it listen on 127.0.0.1
    "#);
    assert!(told("shared_key: k").contains("does not encrypt"));
}
