//! What Slack refuses for good: kept, shown and sent again.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    harness::{PATIENCE, Ran, Running, Setting, configuration, decoy},
    inputs::{joined, token_use},
    receiver::{Manner, Receiver, SECRET},
};

const REFUSES: Manner = Manner::Answers("400 Bad Request", "invalid_blocks");

/// A `data_dir`, and a Slack at `receiver` that is asked again soon.
fn with_slack(receiver: &Receiver) -> Setting {
    let mut configuration = configuration(decoy(true));
    configuration["data_dir"] = "data".into();
    configuration["shutdown_timeout_secs"] = 3.into();
    configuration["sinks"]["slack"] = json!({
        "type": "slack", "inputs": ["incidents"], "webhook_url": receiver.url(),
        "request": {"rate_limit_num": 1000, "retry_initial_backoff_secs": 0.05, "retry_max_duration_secs": 0.1},
    });
    Setting::with(&configuration)
}

fn hit(number: u32) -> Vec<u8> {
    joined([token_use(number, &format!("10.0.3.{number}"), json!({})).to_string()])
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn dead_letters(setting: &Setting, arguments: &[&str]) -> Ran {
    let arguments = [&["dead-letters"], arguments].concat();
    let ran = setting.run(&arguments, b"");
    assert!(!ran.stderr.contains(SECRET) && !ran.stdout.contains(SECRET));
    ran
}

fn list(setting: &Setting) -> Vec<Value> {
    let ran = dead_letters(setting, &["list", "--data-dir", "data", "--json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let parse = |line| serde_json::from_str(line).expect("a line is JSON");
    ran.stdout.lines().map(parse).collect()
}

fn replay(setting: &Setting, arguments: &[&str]) -> Ran {
    let arguments = [&["replay", "--data-dir", "data"], arguments].concat();
    dead_letters(setting, &arguments)
}

/// Runs until Slack has refused the alert of `number`, with blocks and without.
fn refuse(setting: &Setting, number: u32) -> Running {
    let mut running = setting.start_watch(&[]);
    running.write(&hit(number));
    running.stderr.wait_for("kept as a dead letter");
    running
}

#[test]
fn what_slack_refuses_twice_is_listed_and_replayed_while_it_runs() {
    let receiver = Receiver::start(REFUSES);
    let setting = with_slack(&receiver);
    let running = refuse(&setting, 1);
    assert_eq!(
        receiver.bodies().len(),
        2,
        "once with blocks and once without"
    );

    let letters = list(&setting);
    assert_eq!(letters.len(), 1);
    let id = letters[0]["message"]["alert_id"].as_str().expect("an id");
    assert_eq!(letters[0]["sink"], "slack");
    assert_eq!(letters[0]["message"]["kind"], "opened");
    let reason = letters[0]["reason"].as_str().expect("a reason");
    assert!(
        reason.contains("400 Bad Request: invalid_blocks"),
        "{reason}"
    );

    let table = dead_letters(
        &setting,
        &["list", "--config", "baitline.json", "--sink", "slack"],
    );
    assert_eq!(table.code, Some(0), "{}", table.stderr);
    assert_eq!(table.stdout.lines().count(), 1, "{}", table.stdout);
    for text in [
        "slack",
        "opened",
        "critical",
        id,
        "10.0.3.1",
        "invalid_blocks",
    ] {
        assert!(table.stdout.contains(text), "{text}: {}", table.stdout);
    }
    let other = dead_letters(&setting, &["list", "--data-dir", "data", "--sink", "told"]);
    assert_eq!((other.code, other.stdout.as_str()), (Some(0), ""));

    receiver.change(Manner::Takes);
    let unknown = replay(&setting, &["--id", "0123"]);
    assert_eq!(unknown.code, Some(1));
    assert!(
        unknown.stderr.contains("no dead letter has the id 0123"),
        "{}",
        unknown.stderr
    );
    let replayed = replay(&setting, &["--id", id]);
    assert_eq!(replayed.code, Some(0), "{}", replayed.stderr);
    until("the alert at Slack", || receiver.bodies().len() == 3);
    let first = receiver.bodies()[2].clone();
    assert!(
        first.contains("10.0.3.1") && first.contains("blocks"),
        "{first}"
    );
    assert!(list(&setting).is_empty());
    let ran = running.end();
    assert_eq!(ran.code, Some(1), "something was given up: {}", ran.stderr);
}

#[test]
fn what_is_replayed_while_nothing_runs_is_delivered_by_the_next_run() {
    let receiver = Receiver::start(REFUSES);
    let setting = with_slack(&receiver);
    let ran = refuse(&setting, 1).end();
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let letters = list(&setting).len();
    let replayed = replay(&setting, &["--all"]);
    assert_eq!(replayed.code, Some(0), "{}", replayed.stderr);
    assert!(list(&setting).is_empty());

    receiver.change(Manner::Takes);
    let before = receiver.bodies().len();
    let ran = setting.watch(&[], b"");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(receiver.bodies().len(), before + letters);
}

#[test]
fn a_webhook_that_was_withdrawn_keeps_its_alerts_over_a_restart() {
    let receiver = Receiver::start(Manner::Answers("404 Not Found", "no_service"));
    let setting = with_slack(&receiver);
    let mut running = setting.start_watch(&[]);
    running.write(&hit(1));
    running.stderr.wait_for("check webhook_url");
    let tries = receiver.bodies().len();
    until("more tries", || receiver.bodies().len() > tries);
    let ran = running.end();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("kept for the next start"),
        "{}",
        ran.stderr
    );
    assert!(list(&setting).is_empty(), "nothing is given up");
    receiver.change(Manner::Takes);
    let before = receiver.bodies().len();
    let ran = setting.watch(&[], b"");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(receiver.bodies().len() > before);
    assert!(receiver.bodies()[before].contains("10.0.3.1"));
}

#[test]
fn damaged_lines_are_told_by_number_and_passed() {
    let receiver = Receiver::start(REFUSES);
    let setting = with_slack(&receiver);
    refuse(&setting, 1).end();
    let file = "data/dead-letters/slack.ndjson";
    let whole = std::fs::read_to_string(setting.path(file)).expect("it was written");
    setting.write(file, format!("{{\"time\": \"\x1b[2J\"}}\n{whole}"));
    let ran = dead_letters(&setting, &["list", "--data-dir", "data"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert_eq!(ran.stdout.lines().count(), whole.lines().count());
    assert!(
        ran.stderr.contains("slack.ndjson:1: not a dead letter"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains('\x1b'));
    let replayed = replay(&setting, &["--sink", "slack"]);
    assert_eq!(replayed.code, Some(0), "{}", replayed.stderr);
    let left = std::fs::read_to_string(setting.path(file)).expect("it is kept");
    assert_eq!(left.lines().count(), 1, "{left}");
}

#[test]
fn the_command_line_says_what_is_missing() {
    let setting = Setting::with(&configuration(decoy(true)));
    for (arguments, code, said) in [
        (&["list"][..], 78, "--data-dir"),
        (&["replay", "--data-dir", "."], 78, "--all"),
        (
            &["list", "--data-dir", "nowhere"],
            1,
            "no baitline database",
        ),
        (
            &["replay", "--data-dir", "nowhere", "--all"],
            1,
            "no baitline database",
        ),
        (
            &["list", "--config", "baitline.json"],
            78,
            "has no data_dir",
        ),
        (&["list", "--config", "missing.json"], 78, "missing.json"),
    ] {
        let ran = dead_letters(&setting, arguments);
        assert_eq!(ran.code, Some(code), "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "{arguments:?}: {}", ran.stderr);
    }
}
