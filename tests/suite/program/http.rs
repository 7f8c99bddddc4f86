//! The `http` sink: what it keeps to itself, and what becomes of what nobody takes.

use serde_json::{Value, json};

use super::{
    harness::{PATIENCE, Setting, configuration, decoy},
    inputs::{joined, token_use},
    receiver::{Manner, Receiver, SECRET},
};

/// Standard input to a receiver at `uri`, with a `data_dir`, and with everything that can hold a secret.
fn to(setting: &Setting, uri: &str) -> Value {
    let mut configuration = configuration(decoy(true));
    configuration["data_dir"] = setting.path("data").to_str().into();
    configuration["api"] = json!({"enabled": true, "address": "127.0.0.1:0"});
    configuration["sinks"] = json!({
        "siem": {
            "type": "http", "inputs": ["incidents"], "uri": format!("{uri}/hook/{SECRET}?key={SECRET}"),
            "auth": {"strategy": "basic", "user": "siem", "password": SECRET},
            "framing": {"method": "bytes"},
            "request": {
                "retry_max_duration_secs": 0.05, "retry_initial_backoff_secs": 0.01, "headers": {"X-Key": SECRET},
            },
        },
    });
    configuration
}

fn hit(number: u32) -> Vec<u8> {
    joined([token_use(number, "10.0.3.7", json!({})).to_string()])
}

fn wait_for(receiver: &Receiver, requests: usize) {
    let began = std::time::Instant::now();
    while receiver.bodies().len() < requests {
        assert!(began.elapsed() < PATIENCE, "{:?}", receiver.bodies());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn no_secret_of_the_configuration_is_shown() {
    let echo = "GET s3cr3tT0kenOfTheHook, Basic c2llbTpzM2NyM3RUMGtlbk9mVGhlSG9vaw==";
    let receiver = Receiver::start(Manner::Answers("401 Unauthorized", echo));
    let setting = Setting::empty();
    setting.write("x.json", to(&setting, &receiver.origin()).to_string());
    for verb in [
        &["validate", "x.json"][..],
        &["graph", "--config", "x.json"],
    ] {
        let ran = setting.run(verb, b"");
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains(SECRET));
    }
    let mut running = setting.start(&mut setting.program(&["run", "-vv", "--config", "x.json"]));
    running.write(&hit(1));
    wait_for(&receiver, 3);
    receiver.change(Manner::Takes);
    let ran = running.end();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("401 Unauthorized: GET ****, Basic ****")
    );
    for secret in [SECRET, "c2llbTpzM2NyM3RUMGtlbk9mVGhlSG9vaw"] {
        assert!(!ran.stderr.contains(secret), "{}", ran.stderr);
    }
}

#[test]
fn what_is_refused_for_good_is_a_dead_letter_and_can_be_replayed() {
    let receiver = Receiver::start(Manner::Answers("400 Bad Request", "no such index"));
    let setting = Setting::empty();
    setting.write("x.json", to(&setting, &receiver.origin()).to_string());
    let ran = setting.run(&["run", "--config", "x.json"], &hit(1));
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let alert: Value = serde_json::from_str(&receiver.bodies()[0]).expect("one object");
    let list = setting.run(&["dead-letters", "list", "--data-dir", "data"], b"");
    assert!(list.stdout.contains("no such index"), "{}", list.stdout);

    receiver.change(Manner::Takes);
    let replay = setting.run(
        &[
            "dead-letters",
            "replay",
            "--data-dir",
            "data",
            "--sink",
            "siem",
        ],
        b"",
    );
    assert_eq!(replay.code, Some(0), "{}", replay.stderr);
    let ran = setting.run(&["run", "--config", "x.json"], b"");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let again: Value = serde_json::from_str(&receiver.bodies()[1]).expect("one object");
    assert_eq!(again["alert_id"], alert["alert_id"]);
}

#[test]
fn detections_go_on_to_another_baitline_with_what_it_needs() {
    let receiver = Receiver::start(Manner::Takes);
    let setting = Setting::empty();
    let mut configuration = configuration(decoy(true));
    configuration["transforms"] = json!({"detections": {"type": "detect", "inputs": ["audit"]}});
    configuration["sinks"] = json!({
        "aggregator": {
            "type": "http", "inputs": ["detections"], "uri": receiver.origin(), "framing": {"method": "newline_delimited"},
        },
    });
    setting.write("agent.json", configuration.to_string());
    let ran = setting.run(&["run", "--config", "agent.json"], &super::inputs::METADATA);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let detections = receiver.bodies().concat();
    // An expected request for a token explains a later use of it, and goes on although nobody asked for it.
    assert!(detections.contains(r#""class":"expected""#));

    let configuration = json!({
        "sources": {"agents": {"type": "stdin", "decoding": {"codec": "detection"}}},
        "transforms": {"incidents": {"type": "dedupe", "inputs": ["agents"]}},
        "sinks": {"told": {
            "type": "file", "inputs": ["incidents"], "path": "told.ndjson", "encoding": {"codec": "json"},
        }},
    });
    setting.write("aggregator.json", configuration.to_string());
    let ran = setting.run(
        &["run", "--config", "aggregator.json"],
        detections.as_bytes(),
    );
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let told = ran.told();
    let local = super::harness::watch(
        &super::harness::configuration(decoy(true)),
        &super::inputs::METADATA,
    );
    let opened = |alerts: &[Value]| -> Vec<Value> {
        let opened = alerts.iter().filter(|alert| alert["kind"] == "opened");
        opened.map(|alert| alert["incident_id"].clone()).collect()
    };
    assert_eq!(opened(&told.alerts), opened(&local.told().alerts));
}
