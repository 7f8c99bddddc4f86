//! Baitlines that feed a baitline, as `pipelines/agent.yaml` and `pipelines/aggregator.yaml` set them up.

use std::{fs, net::TcpListener, thread, time::Instant};

use serde_json::{Value, json};

use super::{
    harness::{PATIENCE, Running, Setting, configuration, decoy, watch},
    inputs::{joined, token_use},
    pipelines::shipped,
    receiver::{Manner, Receiver},
    told::Told,
};

const TOKEN: &str = "t0kenOfTheAgents";

/// An agent beside an API server that logs two requests, the second of which another API server saw too.
fn start_agent(setting: &Setting, number: u32, aggregator: &str) -> Running {
    let hit = |number| token_use(number, "10.0.3.7", json!({})).to_string();
    fs::write(setting.path("audit.log"), joined([hit(number), hit(9)])).expect("it is ours");
    start(setting, aggregator, "300")
}

/// An agent that reads what `setting` has of logs.
fn start(setting: &Setting, aggregator: &str, silence_secs: &str) -> Running {
    let mut program = setting.program(&["run", "--config", &shipped("agent.yaml")]);
    program
        .env("AGGREGATOR", format!("http://{aggregator}"))
        .env("AGGREGATOR_TOKEN", TOKEN)
        .env("CLUSTER", "prod-eu")
        .env("AUDIT_LOG_DIR", setting.path(""))
        .env("SILENCE_SECS", silence_secs)
        .env("DATA_DIR", setting.path("data"));
    let mut running = setting.start(&mut program);
    running.close_stdin();
    running
}

fn free_address() -> String {
    let address = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    address.expect("a free port").to_string()
}

fn start_aggregator(setting: &Setting, address: &str, slack: &Receiver) -> Running {
    let mut program = setting.program(&["run", "--config", &shipped("aggregator.yaml")]);
    program
        .env("SLACK_WEBHOOK_URL", slack.url())
        .env("AGGREGATOR_TOKEN", TOKEN)
        .env("LISTEN", address)
        .env("DATA_DIR", setting.path("data"));
    let mut running = setting.start(&mut program);
    running.close_stdin();
    running.stderr.wait_for("listening");
    running
}

fn incidents(setting: &Setting) -> Vec<Value> {
    let data_dir = setting.path("data");
    let data_dir = data_dir.to_str().expect("its name is UTF-8");
    let list = ["incidents", "list", "--json", "--data-dir", data_dir];
    let listed = setting.run(&list, b"").stdout;
    let read = |line| serde_json::from_str(line).expect("an incident is JSON");
    listed.lines().map(read).collect()
}

fn end(running: Running) {
    running.signal("TERM");
    let ran = running.wait();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(!ran.stderr.contains(TOKEN), "{}", ran.stderr);
}

#[test]
fn three_agents_and_an_aggregator_tell_one_incident_once() {
    let receiver = Receiver::start(Manner::Takes);
    let address = free_address();
    let settings: Vec<Setting> = (0..3).map(|_| Setting::empty()).collect();
    let agents: Vec<Running> = (1..)
        .zip(&settings)
        .map(|(number, setting)| start_agent(setting, number, &address))
        .collect();
    // Nobody listens yet: agents keep what they found.
    agents[0].stderr.wait_for("messages are kept");

    let setting = Setting::empty();
    let aggregator = start_aggregator(&setting, &address, &receiver);

    let began = Instant::now();
    let total = || incidents(&setting).first().map(|one| one["total"].clone());
    while total() != Some(json!(4)) {
        assert!(began.elapsed() < PATIENCE, "{}", aggregator.stderr.text());
        thread::sleep(std::time::Duration::from_millis(50));
    }
    agents.into_iter().for_each(end);
    end(aggregator);
    let all = incidents(&setting);
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(all[0]["total"], 4);
    assert_eq!(all[0]["cluster"], "prod-eu");
    let bodies = receiver.bodies();
    assert_eq!(bodies.len(), 1, "one message: {bodies:?}");
    assert!(bodies[0].contains("honeypot/backup-sa"));
}

#[test]
fn an_agent_that_sees_nothing_is_told_once_by_the_aggregator() {
    let receiver = Receiver::start(Manner::Takes);
    let address = free_address();
    let (blind, setting) = (Setting::empty(), Setting::empty());
    let aggregator = start_aggregator(&setting, &address, &receiver);
    let agent = start(&blind, &address, "1");
    let began = Instant::now();
    while receiver.bodies().is_empty() {
        assert!(began.elapsed() < PATIENCE, "{}", aggregator.stderr.text());
        thread::sleep(std::time::Duration::from_millis(50));
    }
    end(agent);
    end(aggregator);
    let bodies = receiver.bodies();
    assert_eq!(bodies.len(), 1, "one message: {bodies:?}");
    let said = "No audit events from source audit for 1 s: nothing would be seen";
    assert!(bodies[0].contains(said), "{bodies:?}");
    assert!(bodies[0].contains("prod-eu"), "{bodies:?}");
}

/// What `dedupe` tells of `sent` by agents, and what comes of it as evidence.
fn aggregated(sent: &str) -> Told {
    let mut aggregator = configuration(decoy(true));
    aggregator["sources"]["audit"]["decoding"] = json!({"codec": "detection"});
    aggregator["transforms"] = json!({"incidents": {"type": "dedupe", "inputs": ["audit"]}});
    aggregator["sinks"]["told"]["inputs"] = json!(["audit", "incidents"]);
    watch(&aggregator, sent.as_bytes()).told()
}

/// One that is not known makes nobody deaf to it: agents may be newer than who hears them.
#[test]
fn each_word_that_a_newer_agent_may_say_is_told_of() {
    let agent = watch(
        &configuration(decoy(true)),
        &joined([token_use(1, "10.0.3.7", json!({})).to_string()]),
    );
    let found = agent.told().detections.remove(0);
    let said = [
        ("tool", json!("trufflehog")),
        ("technique", json!("container_escape")),
        ("severity", json!("emergency")),
        ("schema", json!(2)),
        ("granted", Value::Null),
        ("time", json!("9999-12-31T23:59:59Z")),
        ("decoy", Value::Null),
        ("actor", json!([])),
    ];
    for (field, word) in said {
        let mut newer = found.clone();
        newer[field] = word;
        let told = aggregated(&format!("{newer}\n"));
        assert_eq!(told.detections.len(), 1, "{newer}");
        let opened = &told.alerts[0];
        assert_eq!(opened["kind"], "opened", "{newer}");
        assert_eq!(told.count(), 1, "{newer}");
        let expected = match field {
            "technique" => "undecodable",
            _ => "token_use",
        };
        assert_eq!(opened["techniques"], json!([expected]));
        if field == "technique" {
            assert_eq!(opened["excerpt"], "technique 'container_escape'");
        }
        if field != "decoy" {
            assert_eq!(opened["decoy"], "honeypot/backup-sa");
        }
        assert_eq!(opened["severity"], "critical");
        assert_eq!(opened["source_ip"], "10.0.3.7");
    }
}

/// Each decoy has a budget of its own, but decoys that nobody has have none.
#[test]
fn decoys_that_are_made_up_flood_nobody_and_every_hit_is_counted() {
    let agent = watch(
        &configuration(decoy(true)),
        &joined([token_use(1, "10.0.3.7", json!({})).to_string()]),
    );
    let found = agent.told().detections.remove(0);
    let id = |number: u32| json!(format!("{number:032x}"));
    let made_up = (0..2000).map(|number| {
        let mut detection = found.clone();
        for (field, value) in [
            ("decoy", json!(format!("made-up/{number}"))),
            ("cluster", json!(format!("made-up-{}", number % 7))),
            ("detection_id", id(number)),
            ("request_id", id(number)),
            ("incident_key", id(number)),
        ] {
            detection[field] = value;
        }
        format!("{detection}\n")
    });
    let told = aggregated(&made_up.collect::<String>());
    assert_eq!((told.detections.len(), told.count()), (2000, 2000));
    assert!(told.alerts.len() < 700, "{}", told.alerts.len());
    let of_others = |alert: &&Value| alert["decoy"] == "other";
    let flood = told
        .alerts
        .iter()
        .filter(of_others)
        .find(|alert| !alert["flood"].is_null());
    assert!(flood.is_some(), "{:?}", told.alerts.last());
    assert!(
        told.detections
            .iter()
            .all(|detection| detection["decoy"] != "other")
    );
}
