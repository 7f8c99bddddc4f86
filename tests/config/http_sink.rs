//! The `http` sink: what loads, and what is refused.

use std::time::Duration;

use baitline::{
    config::SinkConfig,
    sink::http::{Codec, Compression, Config, Framing, Strategy, Verb},
};
use insta::assert_snapshot;

use super::{load, told};

/// A sound pipeline whose sink has further options, in YAML's flow style.
fn pipeline(inputs: &str, options: &str) -> String {
    format!(
        "decoys: [{{ service_account: honeypot/backup-sa }}]\n\
         sources: {{ audit: {{ type: stdin }} }}\n\
         transforms: {{ found: {{ type: detect, inputs: [audit] }}, told: {{ type: dedupe, inputs: [found] }} }}\n\
         sinks: {{ siem: {{ type: http, inputs: [{inputs}], {options} }} }}\n"
    )
}

fn told_of(options: &str) -> String {
    told(&[("x.yaml", &pipeline("'*'", options))])
}

fn config(options: &str) -> Config {
    let loaded = load(&[("x.yaml", &pipeline("'*'", options))]).unwrap();
    match &loaded.pipeline.sinks[0].config {
        SinkConfig::Http(config) => (**config).clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_not_said_is_as_documented() {
    let config = config("uri: 'https://siem.example'");
    assert_eq!((config.method, config.codec), (Verb::Post, Codec::Json));
    assert_eq!(
        (config.framing, config.compression),
        (None, Compression::None)
    );
    assert_eq!(
        (config.batch.max_events, config.batch.max_bytes),
        (1_000, 1_000_000)
    );
    assert_eq!(config.batch.timeout, Duration::ZERO);
    assert_eq!(config.rate_limit_num, None);
    assert_eq!(config.repeat, Duration::from_secs(60));
    assert!(config.tls.verify_certificate && config.tls.verify_hostname);
}

#[test]
fn vectors_words_are_taken_and_no_secret_is_printed() {
    let config = config(
        r#"uri: "https://siem.example/hunter2/{{ cluster }}?decoy={{ decoy }}", method: put, compression: zstd,
        framing: { method: newline_delimited }, encoding: { codec: json },
        auth: { strategy: basic, user: me, password: "${SECRET}" },
        batch: { max_events: 10, max_bytes: 1MiB, timeout_secs: 0.5 },
        request: { headers: { X-Key: "${SECRET}", X-Cluster: "{{ cluster }}" }, rate_limit_num: 5, timeout_secs: 3 },
        tls: { ca_file: /ca.pem, crt_file: /crt.pem, key_file: /key.pem, verify_hostname: false }"#,
    );
    assert_eq!(config.method, Verb::Put);
    assert_eq!(config.framing, Some(Framing::NewlineDelimited));
    assert_eq!(config.auth.strategy, Some(Strategy::Basic));
    assert_eq!(config.headers.len(), 2);
    assert_eq!(config.rate_limit_num, Some(5));
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn a_uri_is_one_of_one_host_whatever_its_fields_hold() {
    for uri in [
        "siem.example/hunter2",
        "ftp://siem.example/hunter2",
        "https://{{ cluster }}.example/hunter2",
        "https://siem.example:{{ severity }}/hunter2",
        "{{ type }}://siem.example/hunter2",
        "https://{{ decoy }}@siem.example/hunter2",
    ] {
        let told = told_of(&format!("uri: '{uri}'"));
        let what = "must be an http or https URL with a host, in whose path and query fields may stand \
                    (its value is not shown)";
        assert!(told.contains(what) && !told.contains("hunter2"), "{told}");
    }
    assert_snapshot!(told_of("uri: 'https://siem.example/{{ clustr }}'"), @r#"x.yaml:4:50: "uri" of sink "siem" (http) has no field "clustr"; did you mean "cluster"?"#);
}

#[test]
fn options_go_together() {
    let uri = "uri: 'https://siem.example'";
    let of = |options: &str| told_of(&format!("{uri}, {options}"));
    assert_snapshot!(of("auth: { user: me, password: x }"), @r#"x.yaml:4:102: sink "siem" (http): auth needs auth.strategy: basic"#);
    assert_snapshot!(of("auth: { token: x }"), @r#"x.yaml:4:89: sink "siem" (http): auth needs auth.strategy: bearer"#);
    assert_snapshot!(of("auth: { strategy: basic, user: me }"), @r#"x.yaml:4:105: sink "siem" (http): auth.strategy: basic takes auth.user and auth.password"#);
    assert_snapshot!(of("auth: { strategy: bearer, token: x, user: me }"), @r#"x.yaml:4:107: sink "siem" (http): auth.strategy: bearer takes auth.token"#);
    assert_snapshot!(of(r#"auth: { strategy: bearer, token: "hunter2\n" }"#), @r#"x.yaml:4:107: sink "siem" (http): auth.token has characters that no header can have (its value is not shown)"#);
    for (uri, options) in [
        (
            "https://siem.example",
            "auth: { strategy: bearer, token: hunter2 }, request: { headers: { authorization: hunter2 } }",
        ),
        (
            "https://me:hunter2@siem.example",
            "auth: { strategy: bearer, token: hunter2 }",
        ),
        (
            "https://me:hunter2@siem.example",
            "request: { headers: { Authorization: hunter2 } }",
        ),
    ] {
        let told = told_of(&format!("uri: '{uri}', {options}"));
        let what = "say who baitline is in one way: auth, a header Authorization, or a user in uri";
        assert!(told.contains(what) && !told.contains("hunter2"), "{told}");
    }
    assert_snapshot!(of("tls: { crt_file: /a }, encoding: { codec: falco }, compression: gzip"), @r#"
    x.yaml:4:91: sink "siem" (http): tls.crt_file and tls.key_file go together
    x.yaml:4:138: sink "siem" (http): who takes the codec falco takes no compressed body
    "#);
    assert_snapshot!(of("tls: { verify_hostname: false }, encoding: { codec: falco }, framing: { method: bytes }"), @r#"
    x.yaml:4:98: sink "siem" (http): tls.verify_hostname: false needs tls.ca_file
    x.yaml:4:154: sink "siem" (http): framing goes with the codecs json and text, not with falco
    "#);
    assert_snapshot!(of(r#"request: { headers: { "a b": x, Content-Length: "1", X-Y: "hunter2\n", X-Z: "{{ no }}", X-Q: 1 } }"#), @r#"
    x.yaml:4:103: header "a b" in "request.headers" of sink "siem" (http) is no header, or one that baitline sets itself
    x.yaml:4:122: header "Content-Length" in "request.headers" of sink "siem" (http) is no header, or one that baitline sets itself
    x.yaml:4:132: header "X-Y" in "request.headers" of sink "siem" (http) has characters that no header can have (its value is not shown)
    x.yaml:4:150: header "X-Z" in "request.headers" of sink "siem" (http) has no field "no"; known: "cluster", "decoy", "incident_key", "severity", "source_ip", "type"
    x.yaml:4:167: header "X-Q" in "request.headers" of sink "siem" (http) must be a string, found a number; write it in quotes
    "#);
    assert_snapshot!(of("headers: { X-Y: x }"), @r#"x.yaml:4:74: unknown option "headers" for sink "siem" (http); write request: { headers: … }"#);
    assert_snapshot!(told_of("uri: 'https://a.example/{{ cluster }}', encoding: { codec: alertmanager }"), @r#"x.yaml:4:50: sink "siem" (http): with codec alertmanager, uri and headers can have no fields in them"#);
}

#[test]
fn alertmanager_takes_incidents_alone() {
    let options = "uri: 'https://a.example/api/v2/alerts', encoding: { codec: alertmanager }";
    let told_of = |inputs| told(&[("x.yaml", &pipeline(inputs, options))]);
    assert_snapshot!(told_of("found, told"), @r#"x.yaml:4:39: sink "siem" (http) cannot read transform "found" (detect): it takes the output of a dedupe transform: Alertmanager is told of incidents"#);
    assert_eq!(told_of("told"), "loads");
    let loaded = load(&[("x.yaml", &pipeline("'*'", options))]).unwrap();
    let inputs: Vec<&str> = loaded.pipeline.sinks[0]
        .inputs
        .iter()
        .map(|id| &**id)
        .collect();
    assert_eq!(inputs, ["told"]);
}
