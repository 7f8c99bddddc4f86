//! Receivers that are slower than what comes, and files that a crash left torn.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    harness::{PATIENCE, Setting, configuration, decoy},
    inputs::{joined, token_use},
    receiver::{Manner, Receiver},
    told::Told,
};

const HITS: u32 = 4000;

/// So many hits, each of an incident of its own but for what the budget folds.
fn hits() -> Vec<u8> {
    joined((0..HITS).map(|number| {
        let address = format!("10.{}.{}.7", number / 250, number % 250);
        token_use(number, &address, json!({})).to_string()
    }))
}

/// A log file read with a `data_dir`, and a Slack that takes evidence and never answers.
fn with_slow_slack(receiver: &Receiver, buffer: Value) -> Setting {
    let setting = Setting::with(&slow_slack(receiver, buffer));
    setting.write("audit.log", hits());
    setting
}

fn slow_slack(receiver: &Receiver, buffer: Value) -> Value {
    let mut configuration = configuration(decoy(true));
    configuration["data_dir"] = "data".into();
    configuration["shutdown_timeout_secs"] = 1.into();
    configuration["sources"]["audit"] =
        json!({"type": "file", "include": ["audit.log"], "glob_minimum_cooldown_ms": 20});
    configuration["sinks"]["slack"] = json!({
        "type": "slack", "inputs": ["detections", "incidents"], "webhook_url": receiver.url(),
        "request": {"rate_limit_num": 1_000_000}, "buffer": buffer,
    });
    configuration
}

fn detections(setting: &Setting) -> usize {
    let told = fs::read_to_string(setting.path("told.ndjson")).unwrap_or_default();
    let is_detection = |line: &&str| line.starts_with(r#"{"type":"detection""#);
    told.lines().filter(is_detection).count()
}

/// Waits until what is counted has not changed for a while.
fn settled(count: impl Fn() -> usize) -> usize {
    let deadline = Instant::now() + PATIENCE;
    let mut last = count();
    loop {
        thread::sleep(Duration::from_secs(2));
        let now = count();
        if now == last && now > 0 {
            return now;
        }
        assert!(Instant::now() < deadline, "it never settles: {now}");
        last = now;
    }
}

#[test]
fn a_full_buffer_that_blocks_holds_the_source_up_and_loses_nothing() {
    let receiver = Receiver::start(Manner::Hangs);
    let setting = with_slow_slack(&receiver, json!({"max_size": 2000}));
    let running = setting.start_watch(&[]);
    running
        .stderr
        .wait_for("the outbox is full, the sources wait");
    let read = settled(|| detections(&setting));
    assert!(
        read < HITS as usize,
        "all {read} were read though the outbox is full"
    );
    running.signal("KILL");
    running.wait();

    let mended = slow_slack(&receiver, json!({}));
    setting.write("baitline.json", mended.to_string());
    let running = setting.start_watch(&[]);
    let all = || detections(&setting) >= HITS as usize;
    let deadline = Instant::now() + PATIENCE;
    while !all() {
        assert!(Instant::now() < deadline, "{} read", detections(&setting));
        thread::sleep(Duration::from_millis(50));
    }
    running.signal("TERM");
    let ran = running.wait();
    let told = Told::read(&ran.file("told.ndjson"));
    assert_eq!(
        told.hits(),
        u64::from(HITS),
        "whatever was not acknowledged was read again"
    );
}

#[test]
fn a_full_buffer_that_drops_drops_detections_first_and_counts_them() {
    let receiver = Receiver::start(Manner::Hangs);
    let buffer = json!({"max_events": 100, "when_full": "drop_newest"});
    let setting = with_slow_slack(&receiver, buffer);
    let running = setting.start_watch(&[]);
    let deadline = Instant::now() + PATIENCE;
    while detections(&setting) < HITS as usize {
        assert!(Instant::now() < deadline, "the source is held up");
        thread::sleep(Duration::from_millis(50));
    }
    running.signal("TERM");
    let ran = running.wait();
    let said = ran.stderr.lines().rfind(|line| line.contains("dropped"));
    let said = said.expect("what was dropped is said");
    assert!(
        said.contains("0 alerts and ") && said.contains("slack"),
        "{said}"
    );
}

#[test]
fn half_a_message_that_a_crash_left_is_written_again_whole() {
    let mut configuration = configuration(decoy(true));
    configuration["data_dir"] = "data".into();
    let setting = Setting::with(&configuration);
    let line = |number: u32| {
        joined([token_use(number, &format!("10.0.3.{number}"), json!({})).to_string()])
    };
    let ran = setting.watch(&[], &line(1));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let (told, text) = (ran.file("told.ndjson"), ran.file("alert.txt"));
    setting.write("told.ndjson", format!("{told}{}", &told[..told.len() / 3]));
    setting.write("alert.txt", format!("{text}{}", &text[..text.len() / 2]));

    let ran = setting.watch(&[], &line(2));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    Told::read(&ran.file("told.ndjson")).check_alerts();
    assert!(ran.file("told.ndjson").starts_with(&told));
    let new = ran.file("alert.txt");
    let rest = new.strip_prefix(&text).expect("whole alerts stay");
    assert!(rest.starts_with("CRITICAL opened"), "{rest}");
    assert_eq!(
        ran.stderr.matches(" bytes off ").count(),
        2,
        "{}",
        ran.stderr
    );
}
