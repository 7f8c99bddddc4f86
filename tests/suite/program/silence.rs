//! A tripwire that is mute is told: a source from which nothing comes, and a sink that cannot deliver.

use std::{
    collections::HashSet,
    fs,
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    harness::{PATIENCE, Running, Setting, configuration, decoy},
    inputs::{joined, token_use},
    poster::{Poster, address},
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

/// The same, each id once: a sink that is killed between its write and the store's word of it writes again.
fn distinct_alerts(setting: &Setting) -> Vec<Value> {
    let mut alerts = alerts(setting);
    let mut seen = HashSet::new();
    alerts.retain(|alert| seen.insert(alert["alert_id"].to_string()));
    alerts
}

fn kinds(setting: &Setting) -> Vec<String> {
    kinds_of(&alerts(setting))
}

fn kinds_of(alerts: &[Value]) -> Vec<String> {
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
        let before = kinds_of(&distinct_alerts(&setting));
        assert_eq!(before, ["source_silent"], "after {signal}");
        running.write(A_RECORD);
        running.stdout.wait_for("source resumed");
        let ran = running.end();
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let alerts = distinct_alerts(&setting);
        assert_eq!(kinds_of(&alerts), ["source_silent", "source_resumed"]);
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

/// What an agent without `dedupe` tells in a file: that it was blind, that it is not any more, and what it saw then.
fn told_by_an_agent() -> String {
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
    running.end().file("told.ndjson")
}

/// Of `source`, which gives detections; its sinks take alerts, and one of them detections too.
fn aggregator(source: Value) -> Value {
    let mut aggregator = configuration(decoy(true));
    aggregator["sources"] = json!({"agents": source});
    aggregator["transforms"] = json!({"incidents": {"type": "dedupe", "inputs": ["agents"]}});
    aggregator["sinks"]["told"]["inputs"] = json!(["agents", "incidents"]);
    aggregator
}

#[test]
fn an_aggregator_passes_what_its_agents_tell_of_themselves() {
    let said = told_by_an_agent();
    let of_agent: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
        .filter(|message: &Value| message["type"] == "alert")
        .collect();
    let source = json!({"type": "stdin", "decoding": {"codec": "detection"}});
    let setting = Setting::with(&aggregator(source));
    // Whoever sends at least once sends twice.
    let ran = setting.watch(&[], said.repeat(2).as_bytes());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let passed: Vec<Value> = alerts(&setting)
        .into_iter()
        .filter(|alert| !alert["component"].is_null())
        .collect();
    assert_eq!(passed, of_agent, "as they were told, once each");
    for text in [&ran.stdout, &ran.file("alert.txt")] {
        assert_eq!(text.matches("source silent").count(), 1, "{text}");
        assert_eq!(text.matches("source resumed").count(), 1, "{text}");
        assert!(text.contains("prod-eu"), "{text}");
    }
    let ended = ran
        .stderr
        .lines()
        .find(|line| line.contains("source ended"));
    let ended = ended.expect("the end is told with its counters");
    for counted in ["detections=2", "alerts=4", "faulty=0"] {
        assert!(ended.contains(counted), "{ended}");
    }
}

/// An agent's own `dedupe` told these, and the aggregator's tells of the same detections.
#[test]
fn incidents_that_an_agent_told_are_not_told_again() {
    let hit = joined([token_use(1, "10.0.3.7", json!({})).to_string()]);
    let said = super::harness::watch(&configuration(decoy(true)), &hit).file("told.ndjson");
    let source = json!({"type": "stdin", "decoding": {"codec": "detection"}});
    let setting = Setting::with(&aggregator(source));
    let ran = setting.watch(&[], said.as_bytes());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(kinds(&setting), ["opened", "closed"]);
}

/// What was answered is told whichever way the process ends, and a sender that did not hear the answer sends it again.
#[test]
fn what_an_agent_tells_of_itself_outlives_the_aggregator() {
    let said = told_by_an_agent();
    for signal in ["TERM", "KILL"] {
        let mut aggregator = aggregator(json!({
            "type": "http_server", "address": "127.0.0.1:0", "decoding": {"codec": "detection"},
        }));
        let setting = Setting::empty();
        aggregator["data_dir"] = setting.path("data").to_str().expect("a path").into();
        setting.write("baitline.json", aggregator.to_string());
        let post = |running: &Running| {
            let mut poster = Poster::connect(address(running)).expect("it listens");
            let answer = poster.post_json(&said).expect("it answers");
            assert_eq!(answer.status, 200, "{answer:?}");
        };
        let running = setting.start_watch(&[]);
        post(&running);
        running.signal(signal);
        running.wait();

        let running = setting.start_watch(&[]);
        post(&running);
        let all = ["source_silent", "source_resumed", "opened"];
        let is_there = |kind: &&str| kinds(&setting).iter().any(|told| told == kind);
        let deadline = Instant::now() + PATIENCE;
        while !all.iter().all(is_there) {
            assert!(Instant::now() < deadline, "{:?}", kinds(&setting));
            sleep(Duration::from_millis(20));
        }
        running.signal("TERM");
        assert_eq!(running.wait().code, Some(0));
        // A sink that is killed may repeat its last batch.
        if signal == "TERM" {
            let mut kinds = kinds(&setting);
            kinds.sort();
            assert_eq!(kinds, ["opened", "source_resumed", "source_silent"]);
        }
    }
}
