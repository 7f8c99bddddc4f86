//! The configuration language, seen from outside: what loads, and what is said about what does not.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use baitline::{
    config::{self, Format, Loaded, SinkConfig, SourceConfig, Text, TransformConfig},
    dedupe::Field,
    detect::{Severity, Technique},
    sink::Codec,
};
use insta::assert_snapshot;

mod api;
mod decoding;
mod faults;
mod fluent_source;
mod hostile;
mod http_sink;
mod kafka_source;

const WEBHOOK: &str = "https://hooks.slack.com/services/T0SECRET/B0SECRET/XSECRET";

fn env(name: &str) -> Option<String> {
    match name {
        "SLACK_WEBHOOK_URL" => Some(WEBHOOK.to_owned()),
        "SECRET" => Some("hunter2".to_owned()),
        "NUMBER" => Some("42".to_owned()),
        "YES" => Some("true".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

fn text(name: &str, text: &str) -> Text {
    let format = match name.rsplit('.').next() {
        Some("toml") => Format::Toml,
        Some("json") => Format::Json,
        _ => Format::Yaml,
    };
    Text {
        name: name.to_owned(),
        format,
        text: text.to_owned(),
    }
}

fn load(texts: &[(&str, &str)]) -> Result<Loaded, config::Faults> {
    let texts: Vec<Text> = texts
        .iter()
        .map(|(name, content)| text(name, content))
        .collect();
    config::parse(&texts, &env)
}

/// The faults of these texts, or the warnings if they load, as they are printed.
fn told(texts: &[(&str, &str)]) -> String {
    match load(texts) {
        Ok(loaded) => {
            let warnings = loaded.warnings.iter().map(ToString::to_string);
            ["loads".to_owned()]
                .into_iter()
                .chain(warnings)
                .collect::<Vec<_>>()
                .join("\n")
        }
        Err(faults) => faults.to_string(),
    }
}

/// A sound pipeline, into which `sinks` (two spaces of indentation) and `decoy` (four) go.
fn pipeline(sinks: &str, decoy: &str) -> String {
    format!(
        "decoys:\n  - service_account: honeypot/backup-sa\n{decoy}\
         sources:\n  audit: {{ type: stdin }}\n\
         transforms:\n  detections: {{ type: detect, inputs: [audit] }}\n  \
         incidents: {{ type: dedupe, inputs: [detections] }}\n\
         sinks:\n{sinks}"
    )
}

/// What is told about a sink that is otherwise in order. It begins on line 9.
fn told_of_sink(sink: &str) -> String {
    told(&[("x.yaml", &pipeline(sink, ""))])
}

const TERMINAL: &str = "  terminal: { type: console, inputs: [incidents] }\n";

/// What is told about further options of the decoy. They begin on line 3.
fn told_of_decoy(decoy: &str) -> String {
    told(&[("x.yaml", &pipeline(TERMINAL, decoy))])
}

const EXAMPLE: &str = r#"decoys:
  - service_account: honeypot/backup-sa       # the identity: exact match, never a substring
    secret: backup-sa-token                   # reading it is the theft itself
    pod: file-backup                          # exec into it is how it is stolen
    whole_namespace: true                     # nothing else lives there
    severity: medium                          # floor for what it raises
    labels: { owner: secops, runbook: "https://wiki/runbook", version: 1.10 }
    expected:                                 # legitimate touches
      - { user: "system:serviceaccount:argocd:*", verbs: [get, patch] }
cluster: prod-eu
sources:
  audit: { type: stdin }
transforms:
  detections: { type: detect, inputs: [audit] }
  incidents: { type: dedupe, inputs: [detections], fields: { match: [token, source_ip] } }
sinks:
  terminal: { type: console, inputs: [incidents], encoding: { codec: text } }
  alert_txt: { type: file, inputs: [incidents], path: alert.txt, encoding: { codec: text } }
  slack: { type: slack, inputs: [incidents], webhook_url: "${SLACK_WEBHOOK_URL}" }
"#;

const EVERY_OPTION_YAML: &str = r#"
decoys:
  - service_account: honeypot/backup-sa
    secret: s
    pod: backup-*
    whole_namespace: true
    severity: high
    labels: { a: b, n: 5, t: true }
    expected: [{ user: "a*", verbs: [get], resources: [pods/log], techniques: [recon] }]
shutdown_timeout_secs: 2.5
data_dir: /var/lib/baitline
retention_days: 7
sources:
  files: { type: file, include: [/var/*.log], exclude: [/var/x.log], read_from: end, max_line_bytes: 1MiB, glob_minimum_cooldown_ms: 250, rotate_wait_secs: 0.5, silence_secs: 90.5 }
transforms:
  detections: { type: detect, inputs: [files], trusted_proxies: [10.0.0.0/8, "::1"], emit_expected: true }
  incidents:
    type: dedupe
    inputs: [detections]
    fields: { match: [username] }
    idle_secs: 10
    digest_secs: 2
    digest_max_secs: 4
    rate_limit: { threshold: 3, window_secs: 6 }
    cache: { num_events: 7 }
sinks:
  out: { type: console, inputs: ["*"], target: stderr, encoding: { codec: json }, buffer: { max_events: 5, when_full: drop_newest } }
  slack:
    type: slack
    inputs: [incidents]
    webhook_url: ${SLACK_WEBHOOK_URL}
    request: { timeout_secs: 1.5, retry_attempts: 0, retry_initial_backoff_secs: 2, retry_max_duration_secs: 3, retry_jitter_mode: None, rate_limit_num: 4, rate_limit_duration_secs: 5 }
"#;

const EVERY_OPTION_TOML: &str = r#"
shutdown_timeout_secs = 2.5
data_dir = "/var/lib/baitline"
retention_days = 7

[[decoys]]
service_account = "honeypot/backup-sa"
secret = "s"
pod = "backup-*"
whole_namespace = true
severity = "high"
labels = { a = "b", n = 5, t = true }
[[decoys.expected]]
user = "a*"
verbs = ["get"]
resources = ["pods/log"]
techniques = ["recon"]

[sources.files]
type = "file"
include = ["/var/*.log"]
exclude = ["/var/x.log"]
read_from = "end"
max_line_bytes = "1MiB"
glob_minimum_cooldown_ms = 250
rotate_wait_secs = 0.5
silence_secs = 90.5

[transforms.detections]
type = "detect"
inputs = ["files"]
trusted_proxies = ["10.0.0.0/8", "::1"]
emit_expected = true

[transforms.incidents]
type = "dedupe"
inputs = ["detections"]
fields.match = ["username"]
idle_secs = 10
digest_secs = 2
digest_max_secs = 4
rate_limit.threshold = 3
rate_limit.window_secs = 6
cache.num_events = 7

[sinks.out]
type = "console"
inputs = ["*"]
target = "stderr"
encoding.codec = "json"
buffer = { max_events = 5, when_full = "drop_newest" }

[sinks.slack]
type = "slack"
inputs = ["incidents"]
webhook_url = "${SLACK_WEBHOOK_URL}"
[sinks.slack.request]
timeout_secs = 1.5
retry_attempts = 0
retry_initial_backoff_secs = 2
retry_max_duration_secs = 3
retry_jitter_mode = "None"
rate_limit_num = 4
rate_limit_duration_secs = 5
"#;

const EVERY_OPTION_JSON: &str = r#"{
  "shutdown_timeout_secs": 2.5,
  "data_dir": "/var/lib/baitline", "retention_days": 7,
  "decoys": [{
    "service_account": "honeypot/backup-sa", "secret": "s", "pod": "backup-*", "whole_namespace": true,
    "severity": "high", "labels": {"a": "b", "n": 5, "t": true},
    "expected": [{"user": "a*", "verbs": ["get"], "resources": ["pods/log"], "techniques": ["recon"]}]
  }],
  "sources": {"files": {
    "type": "file", "include": ["/var/*.log"], "exclude": ["/var/x.log"], "read_from": "end",
    "max_line_bytes": 1048576, "glob_minimum_cooldown_ms": 250, "rotate_wait_secs": 0.5,
    "silence_secs": 90.5
  }},
  "transforms": {
    "detections": {"type": "detect", "inputs": ["files"], "trusted_proxies": ["10.0.0.0/8", "::1"], "emit_expected": true},
    "incidents": {
      "type": "dedupe", "inputs": ["detections"], "fields": {"match": ["username"]},
      "idle_secs": 10, "digest_secs": 2, "digest_max_secs": 4,
      "rate_limit": {"threshold": 3, "window_secs": 6}, "cache": {"num_events": 7}
    }
  },
  "sinks": {
    "out": {"type": "console", "inputs": ["*"], "target": "stderr", "encoding": {"codec": "json"},
            "buffer": {"max_events": 5, "when_full": "drop_newest"}},
    "slack": {"type": "slack", "inputs": ["incidents"], "webhook_url": "${SLACK_WEBHOOK_URL}",
              "request": {"timeout_secs": 1.5, "retry_attempts": 0, "retry_initial_backoff_secs": 2,
                          "retry_max_duration_secs": 3, "retry_jitter_mode": "None", "rate_limit_num": 4, "rate_limit_duration_secs": 5}}
  }
}"#;

#[test]
fn the_example_loads() {
    let Loaded { pipeline, warnings } = load(&[("example.yaml", EXAMPLE)]).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(pipeline.cluster.as_deref(), Some("prod-eu"));
    assert_eq!(pipeline.shutdown_timeout, Duration::from_secs(60));
    assert_eq!(pipeline.data_dir, None);
    assert_eq!(pipeline.retention, Duration::from_secs(90 * 86_400));
    let [decoy] = &pipeline.decoys[..] else {
        panic!("{pipeline:?}")
    };
    assert_eq!(
        (decoy.namespace.as_str(), decoy.service_account.as_str()),
        ("honeypot", "backup-sa")
    );
    assert_eq!(decoy.secret.as_deref(), Some("backup-sa-token"));
    assert_eq!(decoy.pod.as_deref(), Some("file-backup"));
    assert!(decoy.whole_namespace);
    assert_eq!(decoy.severity, Severity::Medium);
    assert_eq!(decoy.labels["version"], "1.10", "as it was written");
    assert_eq!(decoy.expected[0].verbs, ["get", "patch"]);
    assert_eq!(pipeline.sources[0].silence, None);
    let SourceConfig::Stdin(stdin) = &pipeline.sources[0].config else {
        panic!()
    };
    assert_eq!(stdin.max_line_bytes, 16 << 20);
    let TransformConfig::Dedupe(dedupe) = &pipeline.transforms[1].config else {
        panic!()
    };
    assert_eq!(dedupe.fields, [Field::Token, Field::SourceIp]);
    assert_eq!((dedupe.idle_secs, dedupe.threshold), (900, 20));
    assert_eq!(&*pipeline.transforms[1].inputs[0], "detections");
    let SinkConfig::Slack(slack) = &pipeline.sinks[2].config else {
        panic!()
    };
    assert_eq!(
        slack
            .access
            .webhook_url
            .as_ref()
            .map(|url| url.reveal().as_str()),
        Some(WEBHOOK)
    );
    assert_eq!(slack.request.retry_attempts, None);
    assert_eq!(slack.buffer.max_events, None);
}

#[test]
fn yaml_toml_and_json_say_the_same() {
    let yaml = load(&[("x.yaml", EVERY_OPTION_YAML)]).unwrap().pipeline;
    let toml = load(&[("x.toml", EVERY_OPTION_TOML)]).unwrap().pipeline;
    let json = load(&[("x.json", EVERY_OPTION_JSON)]).unwrap().pipeline;
    assert_eq!(format!("{yaml:#?}"), format!("{toml:#?}"));
    assert_eq!(format!("{yaml:#?}"), format!("{json:#?}"));
    assert_snapshot!(format!("{:?}", yaml.sources), @r#"[Source { id: "files", silence: Some(90.5s), config: File(Config { include: ["/var/*.log"], exclude: ["/var/x.log"], read_from: End, max_line_bytes: 1048576, decoding: Audit, glob_minimum_cooldown: 250ms, rotate_wait: 500ms }) }]"#);
    assert_snapshot!(format!("{:?}", yaml.transforms), @r#"[Transform { id: "detections", inputs: ["files"], config: Detect(Config { trusted_proxies: [10.0.0.0/8, ::1/128], emit_expected: true }) }, Transform { id: "incidents", inputs: ["detections"], config: Dedupe(Config { fields: [Username], idle_secs: 10, digest_secs: 2, digest_max_secs: 4, threshold: 3, window_secs: 6, num_events: 7 }) }]"#);
    assert_snapshot!(format!("{:?}", yaml.sinks), @r#"[Sink { id: "out", inputs: ["detections", "incidents"], config: Console(Config { codec: Json, target: Stderr, buffer: BufferConfig { max_events: Some(5), max_size: None, when_full: DropNewest } }) }, Sink { id: "slack", inputs: ["incidents"], config: Slack(Config { access: Access { webhook_url: Some("****"), bot_token: None, channel: None, endpoint: "https://slack.com/api" }, request: RequestConfig { timeout: 1.5s, retry_attempts: Some(0), retry_initial_backoff: 2s, retry_max_duration: 3s, retry_jitter: None }, rate_limit_num: 4, rate_limit_duration: 5s, buffer: BufferConfig { max_events: None, max_size: None, when_full: Block } }) }]"#);
    assert_eq!(yaml.decoys[0].expected[0].techniques, [Technique::Recon]);
    assert_eq!(yaml.shutdown_timeout, Duration::from_millis(2500));
    assert_eq!(
        yaml.data_dir.as_deref(),
        Some(Path::new("/var/lib/baitline"))
    );
    assert_eq!(yaml.retention, Duration::from_secs(7 * 86_400));
}

#[test]
fn wildcards_expand_to_what_can_be_read() {
    let sinks = "  a: { type: console, inputs: [incidents, '*'] }\n  b: { type: console, inputs: ['*s'] }\n";
    let loaded = load(&[("x.yaml", &pipeline(sinks, ""))]).unwrap();
    let inputs: Vec<_> = loaded
        .pipeline
        .sinks
        .iter()
        .map(|sink| sink.inputs.join(" "))
        .collect();
    assert_eq!(inputs, ["incidents detections", "detections incidents"]);
}

#[test]
fn files_merge() {
    let rest = "decoys: [{ service_account: honeypot/second }]\ncluster: prod\n\
                sinks: { file: { type: file, inputs: ['*'], path: a.txt } }";
    let first = pipeline(TERMINAL, "") + "cluster: prod\n";
    let loaded = load(&[("a.yaml", &first), ("b.yaml", rest), ("c.toml", "")]).unwrap();
    assert_eq!(loaded.pipeline.decoys.len(), 2);
    assert_eq!(loaded.pipeline.sinks.len(), 2);
    let SinkConfig::File(file) = &loaded.pipeline.sinks[1].config else {
        panic!()
    };
    assert_eq!((file.path.as_str(), file.codec), ("a.txt", Codec::Text));

    let clash = "decoys: [{ service_account: honeypot/backup-sa }]\ncluster: test\n\
                 sinks: { incidents: { type: console, inputs: [detections] }, terminal: { type: console, inputs: [incidents] } }";
    assert_snapshot!(told(&[("a.yaml", &first), ("b.yaml", clash)]), @r#"
    b.yaml:1:29: decoy "honeypot/backup-sa" already stands at a.yaml:2:22; remove one
    b.yaml:2:10: "cluster" has another value at a.yaml:10:10; remove one
    b.yaml:3:10: the id "incidents" is taken by the transform at a.yaml:7:3; rename one, ids are unique over sources, transforms and sinks
    b.yaml:3:62: the id "terminal" is taken by the sink at a.yaml:9:3; rename one, ids are unique over sources, transforms and sinks
    "#);
}

/// What is told about these paths, with the temporary directory cut off.
fn told_of_paths(directory: &std::path::Path, paths: &[&str]) -> String {
    let paths: Vec<PathBuf> = paths.iter().map(|path| directory.join(path)).collect();
    let told = match config::load(&paths, &env) {
        Ok(loaded) => format!("{} sinks", loaded.pipeline.sinks.len()),
        Err(faults) => faults.to_string(),
    };
    told.replace(directory.to_str().unwrap(), "DIR")
}

#[test]
fn files_and_directories_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let write =
        |name: &str, content: &[u8]| fs::write(directory.path().join(name), content).unwrap();
    fs::create_dir_all(directory.path().join("good/sub.yaml")).unwrap();
    fs::create_dir_all(directory.path().join("empty")).unwrap();
    write(
        "good/b.yaml",
        ("\u{feff}".to_owned() + &pipeline("", "")).as_bytes(),
    );
    write(
        "good/a.toml",
        "\u{feff}[sinks.a]\ntype = 'console'\ninputs = ['incidents']\n".as_bytes(),
    );
    write(
        "good/c.json",
        br#"{"sinks": {"c": {"type": "console", "inputs": ["incidents"]}}}"#,
    );
    write("good/.hidden.yaml", b"[");
    write("good/readme.md", b"[");
    assert_eq!(told_of_paths(directory.path(), &["good"]), "2 sinks");
    assert_eq!(
        told_of_paths(directory.path(), &["good", "good/a.toml"]),
        "2 sinks"
    );

    write("latin1.yaml", b"cluster: x\n# caf\xe9\n");
    write("large.yaml", &vec![b'#'; (4 << 20) + 1]);
    write("x.conf", b"");
    write("good/d.yaml", b"sinks: { c: { type: console } }");
    assert_snapshot!(told_of_paths(directory.path(), &["none.yaml", "good", "empty", "latin1.yaml", "large.yaml", "x.conf"]), @r#"
    DIR/empty: cannot be read: it holds no .yaml, .yml, .toml or .json file
    DIR/good/d.yaml:1:10: the id "c" is taken by the sink at DIR/good/c.json:1:12; rename one, ids are unique over sources, transforms and sinks
    DIR/large.yaml: cannot be read: it is larger than 4 MiB
    DIR/latin1.yaml:2:6: not valid UTF-8 from here on
    DIR/none.yaml: cannot be read: No such file or directory (os error 2)
    DIR/x.conf: cannot be read: its name must end in .yaml, .yml, .toml or .json
    "#);
}

#[test]
fn every_option_is_documented() {
    let mut defaults = HashMap::new();
    for entry in config::reference() {
        assert!(entry.about.ends_with('.'), "{entry:?}");
        for option in &entry.options {
            assert!(
                option.doc.ends_with('.') && !option.kind.is_empty(),
                "{option:?}"
            );
            let role = entry
                .role
                .map_or_else(String::new, |role| format!("{role} "));
            defaults.insert(
                format!("{role}{}.{}", entry.name, option.name),
                option.default.clone(),
            );
        }
    }
    let default = |name: &str| defaults[name].as_deref();
    assert_eq!(default("source stdin.max_line_bytes"), Some("16MiB"));
    assert_eq!(default("source stdin.silence_secs"), Some("never"));
    assert_eq!(default("source file.silence_secs"), Some("never"));
    assert_eq!(default("sink slack.webhook_url"), Some("none"));
    assert_eq!(default("sink slack.buffer.when_full"), Some("block"));
    assert_eq!(
        default("sink slack.request.retry_attempts"),
        Some("no limit")
    );
    assert_eq!(
        default("transform dedupe.fields.match"),
        Some("[token, source_ip]")
    );
    assert_eq!(default("decoys.expected[].verbs"), Some("[]"));
    assert_eq!(default("pipeline.shutdown_timeout_secs"), Some("60"));
}
