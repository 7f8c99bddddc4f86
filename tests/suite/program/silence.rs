//! A tripwire that is mute is told: a source from which nothing comes, and a sink that cannot deliver.

use std::{
    fs,
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    harness::{PATIENCE, Setting, configuration, decoy},
    inputs::{joined, token_use},
    receiver::{Manner, Receiver, SECRET},
};

const A_RECORD: &[u8] = b"{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\"}\n";

fn with_silence(secs: f64) -> Value {
    let mut configuration = configuration(decoy(true));
    configuration["cluster"] = "prod-eu".into();
    configuration["sources"]["audit"]["silence_secs"] = secs.into();
    configuration
}

/// The alerts so far in `told.ndjson`, but no line that is half written.
fn alerts(setting: &Setting) -> Vec<Value> {
    let text = fs::read_to_string(setting.path("told.ndjson")).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let lines = whole.lines();
    let messages = lines.map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
    messages
        .filter(|message| message["type"] == "alert")
        .collect()
}

fn kinds(setting: &Setting) -> Vec<String> {
    let alerts = alerts(setting);
    let kinds = alerts.iter().map(|alert| alert["kind"].as_str());
    kinds
        .map(|kind| kind.expect("each has a kind").to_owned())
        .collect()
}

/// Waits until the alerts so far are of these kinds.
fn wait_for(setting: &Setting, wanted: &[&str]) {
    let deadline = Instant::now() + PATIENCE;
    while kinds(setting) != wanted {
        assert!(
            Instant::now() < deadline,
            "waited in vain for {wanted:?}: {:?}",
            kinds(setting)
        );
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_silent_source_is_told_once_and_so_is_the_first_record_after() {
    let setting = Setting::with(&with_silence(2.5));
    let mut running = setting.start_watch(&[]);
    running.write(A_RECORD);
    running.stdout.wait_for("source silent");
    sleep(Duration::from_secs(4));
    running.write(A_RECORD);
    running.stdout.wait_for("source resumed");
    let ran = running.end();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);

    assert_eq!(kinds(&setting), ["source_silent", "source_resumed"]);
    let [silent, resumed] = &alerts(&setting)[..] else {
        panic!("two alerts");
    };
    assert_eq!(
        silent["component"],
        json!({"id": "audit", "kind": "source", "type": "stdin"})
    );
    assert_eq!(
        [&silent["severity"], &silent["cluster"], &silent["decoy"]],
        [&json!("high"), &json!("prod-eu"), &Value::Null]
    );
    assert_eq!(silent["incident_id"], resumed["incident_id"]);
    assert_eq!(
        (&silent["sequence"], &resumed["sequence"]),
        (&1.into(), &2.into())
    );
    assert_eq!(silent["first_seen"], resumed["first_seen"]);
    for text in [&ran.stdout, &ran.file("alert.txt")] {
        assert!(
            text.contains("HIGH source silent: No audit events from source audit for 2 s"),
            "{text}"
        );
        assert!(!text.contains("hits"), "{text}");
    }
}

#[test]
fn an_input_that_has_ended_is_not_silent() {
    let mut configuration = with_silence(0.5);
    configuration["sources"]["logs"] = json!({"type": "file", "include": ["nothing/*.log"]});
    configuration["transforms"]["detections"]["inputs"] = json!(["audit", "logs"]);
    let setting = Setting::with(&configuration);
    let mut running = setting.start_watch(&[]);
    running.close_stdin();
    running.stderr.wait_for("source ended");
    let before = alerts(&setting).len();
    sleep(Duration::from_secs(4));
    running.signal("TERM");
    let ran = running.wait();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(alerts(&setting).len(), before);
}

/// Whichever way the process ends, the store remembers that it was told.
#[test]
fn a_restart_during_silence_tells_nothing_new_and_hears_its_end() {
    for signal in ["TERM", "KILL"] {
        let mut configuration = with_silence(1.0);
        let setting = Setting::empty();
        configuration["data_dir"] = setting.path("data").to_str().expect("a path").into();
        setting.write("baitline.json", configuration.to_string());

        let running = setting.start_watch(&[]);
        wait_for(&setting, &["source_silent"]);
        running.signal(signal);
        running.wait();

        let mut running = setting.start_watch(&[]);
        running.stderr.wait_for("watching");
        sleep(Duration::from_secs(4));
        assert_eq!(kinds(&setting), ["source_silent"], "after {signal}");
        running.write(A_RECORD);
        running.stdout.wait_for("source resumed");
        let ran = running.end();
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let alerts = alerts(&setting);
        assert_eq!(alerts[1]["kind"], "source_resumed");
        assert_eq!(alerts[0]["incident_id"], alerts[1]["incident_id"]);
    }
}

#[test]
fn a_sink_that_cannot_deliver_is_told_by_the_others() {
    let receiver = Receiver::start(Manner::Answers("404 Not Found", "no_service"));
    let mut configuration = configuration(decoy(true));
    configuration["sinks"]["slack"] = json!({
        "type": "slack", "inputs": ["incidents"], "webhook_url": receiver.url(),
        "request": {"retry_max_duration_secs": 0.1, "rate_limit_num": 1000},
    });
    let setting = Setting::with(&configuration);
    let mut running = setting.start_watch(&[]);
    running.write(&joined([token_use(1, "10.0.3.7", json!({})).to_string()]));
    wait_for(&setting, &["opened", "sink_failing"]);
    sleep(Duration::from_secs(2));
    receiver.change(Manner::Takes);
    wait_for(&setting, &["opened", "sink_failing", "sink_recovered"]);
    let ran = running.end();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);

    let alerts = alerts(&setting);
    let failing = &alerts[1];
    assert_eq!(
        failing["component"],
        json!({"id": "slack", "kind": "sink", "type": "slack"})
    );
    let title = failing["title"].as_str().expect("a title");
    assert!(
        title.starts_with("Sink slack cannot deliver: 404 Not Found"),
        "{title}"
    );
    assert!(!ran.file("told.ndjson").contains(SECRET));
    assert_eq!(failing["incident_id"], alerts[2]["incident_id"]);
    assert_eq!(
        ran.stdout.matches("sink failing").count(),
        1,
        "{}",
        ran.stdout
    );
    let bodies = receiver.bodies();
    assert!(bodies.iter().all(|body| !body.contains("sink failing")));
}

/// An agent without `dedupe` hands it on with its detections, and the aggregator passes it.
#[test]
fn an_aggregator_passes_what_its_agents_tell_of_themselves() {
    let mut agent = with_silence(1.0);
    agent["transforms"] = json!({"detections": {"type": "detect", "inputs": ["audit"]}});
    agent["sinks"] = json!({"told": {
        "type": "file", "inputs": ["detections"], "path": "told.ndjson", "encoding": {"codec": "json"},
    }});
    let setting = Setting::with(&agent);
    let mut running = setting.start_watch(&[]);
    wait_for(&setting, &["source_silent"]);
    running.write(&joined([token_use(1, "10.0.3.7", json!({})).to_string()]));
    wait_for(&setting, &["source_silent", "source_resumed"]);
    let said = running.end().file("told.ndjson");

    let mut aggregator = configuration(decoy(true));
    aggregator["sources"] =
        json!({"agents": {"type": "stdin", "decoding": {"codec": "detection"}}});
    aggregator["transforms"] = json!({"incidents": {"type": "dedupe", "inputs": ["agents"]}});
    aggregator["sinks"]["told"]["inputs"] = json!(["agents", "incidents"]);
    let ran = super::harness::watch(&aggregator, said.as_bytes());
    assert_eq!(ran.told().count(), 1);
    let ended = ran
        .stderr
        .lines()
        .find(|line| line.contains("source ended"));
    let ended = ended.expect("the end is told with its counters");
    for counted in ["detections=1", "alerts=2", "faulty=0"] {
        assert!(ended.contains(counted), "{ended}");
    }
}
