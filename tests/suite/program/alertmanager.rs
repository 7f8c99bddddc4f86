//! Incidents in Alertmanager: over restarts, and in a real one.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{
    harness::{PATIENCE, Running, Setting, configuration, decoy},
    inputs::{joined, token_use},
    receiver::{Manner, Receiver},
};

mod real;

/// Standard input to Alertmanager at `origin`, with a `data_dir`. All times are short.
fn to(setting: &Setting, origin: &str, idle_secs: u64) -> Value {
    let mut configuration = configuration(decoy(true));
    configuration["cluster"] = "prod-eu".into();
    configuration["data_dir"] = setting.path("data").to_str().into();
    configuration["transforms"]["incidents"]["idle_secs"] = idle_secs.into();
    configuration["sinks"] = json!({
        "alertmanager": {
            "type": "http", "inputs": ["incidents"], "uri": format!("{origin}/api/v2/alerts"),
            "encoding": {"codec": "alertmanager"}, "alertmanager": {"repeat_secs": 0.4},
        },
    });
    configuration
}

fn hit(number: u32) -> Vec<u8> {
    joined([token_use(number, "10.0.3.7", json!({})).to_string()])
}

fn wait(what: &str, running: &Running, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        let said = running.stderr.text();
        assert!(
            began.elapsed() < PATIENCE,
            "waited in vain for {what}: {said}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The alerts of each request.
fn heard(receiver: &Receiver) -> Vec<Vec<Value>> {
    let bodies = receiver.bodies();
    let read = |body: &String| serde_json::from_str(body).expect("an array");
    bodies.iter().map(read).collect()
}

#[test]
fn what_is_open_goes_on_over_a_restart_without_a_further_hit() {
    let receiver = Receiver::start(Manner::Takes);
    let setting = Setting::empty();
    setting.write("x.json", to(&setting, &receiver.origin(), 900).to_string());
    let start = || setting.start(&mut setting.program(&["run", "--config", "x.json"]));
    let mut running = start();
    running.write(&hit(1));
    wait("it to be told", &running, || !heard(&receiver).is_empty());
    // However it ends.
    running.signal("KILL");
    running.wait();
    let before = heard(&receiver);
    let opened = &before[0][0];
    assert_eq!(opened["labels"]["decoy"], "honeypot/backup-sa");
    assert_eq!(opened["labels"]["severity"], "critical");

    let running = start();
    wait("it to be told again", &running, || {
        heard(&receiver).len() > before.len() + 2
    });
    let after = &heard(&receiver)[before.len()..];
    for request in after {
        assert_eq!(request.len(), 1);
        assert_eq!(request[0]["labels"], opened["labels"]);
        assert_eq!(request[0]["startsAt"], opened["startsAt"]);
    }
    let ends = |alert: &Value| alert["endsAt"].as_str().map(str::to_owned);
    assert!(ends(&after[1][0]) > ends(&after[0][0]));
    let ran = running.end();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

#[test]
fn detections_cannot_go_there() {
    let setting = Setting::empty();
    let mut configuration = to(&setting, "http://127.0.0.1:9093", 900);
    configuration["sinks"]["alertmanager"]["inputs"] = json!(["detections", "incidents"]);
    setting.write("x.json", configuration.to_string());
    let ran = setting.run(&["validate", "x.json"], b"");
    assert_eq!(ran.code, Some(78));
    assert!(
        ran.stderr
            .contains("it takes the output of a dedupe transform"),
        "{}",
        ran.stderr
    );
}
