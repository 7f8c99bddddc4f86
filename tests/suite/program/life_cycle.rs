//! Starting, stopping, and who is held up by whom.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};

use super::{
    harness::{Ran, Setting, configuration, decoy, watch},
    inputs::{METADATA, joined, lines, token_use},
    receiver::{Manner, Receiver, SECRET},
};

/// Two requests of one incident.
fn two_hits() -> Vec<u8> {
    joined([1, 2].map(|number| token_use(number, "10.0.3.7", json!({})).to_string()))
}

/// A configuration whose Slack never answers.
fn with_hanging_slack(receiver: &Receiver, shutdown_timeout_secs: u64) -> Value {
    let mut configuration = configuration(decoy(true));
    configuration["shutdown_timeout_secs"] = shutdown_timeout_secs.into();
    configuration["sinks"]["slack"] =
        json!({"type": "slack", "inputs": ["incidents"], "webhook_url": receiver.url()});
    configuration
}

#[test]
fn the_end_of_input_drains_the_last_line_without_a_newline_too() {
    let hits = two_hits();
    let ran = watch(&configuration(decoy(true)), hits.trim_ascii_end());
    let told = ran.told();
    told.check_alerts();
    assert_eq!(told.count(), 2);
    assert_eq!(told.alerts.last().expect("alerts")["kind"], "closed");
}

#[test]
fn no_standard_input_is_an_end_of_input() {
    let setting = Setting::with(&configuration(decoy(true)));
    let mut program = setting.program(&["run", "--config", "baitline.json"]);
    let ran = setting.start(program.stdin(Stdio::null())).wait();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

/// Has programs that are started hear what `nohup`, or a shell that runs this one in the background, has this one and so them ignore: what
/// is caught here is as usual there.
pub fn undo_nohup() {
    let runtime = Builder::new_current_thread().enable_io().build();
    let runtime = runtime.expect("a runtime");
    let _entered = runtime.enter();
    // They are caught as long as the process lives.
    for kind in [SignalKind::hangup(), SignalKind::interrupt()] {
        let heard = signal(kind);
        assert!(heard.is_ok(), "{heard:?}");
    }
}

#[test]
fn a_signal_drains() {
    undo_nohup();
    for signal in ["TERM", "INT", "HUP"] {
        let mut running = Setting::with(&configuration(decoy(true))).start_watch(&[]);
        running.write(&two_hits());
        running.stdout.wait_for("opened");
        running.signal(signal);
        let ran = running.wait();
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let told = ran.told();
        told.check_alerts();
        let last = told.alerts.last().expect("alerts");
        assert_eq!(
            (&last["kind"], &last["total"]),
            (&json!("closed"), &json!(2))
        );
        assert!(ran.stdout.contains("closed"), "{}", ran.stdout);
        let named = format!("SIG{signal}: stopping");
        assert!(ran.stderr.contains(&named), "{}", ran.stderr);
    }
}

#[test]
fn what_cannot_be_read_or_written_yet_is_warned_of_and_what_never_can_be_is_refused() {
    let mut configuration = configuration(decoy(true));
    configuration["data_dir"] = "note.txt/data".into();
    configuration["sources"]["audit"] = json!({"type": "file", "include": ["logs/audit.log"]});
    configuration["sinks"]["alert_txt"]["path"] = "note.txt/alert.txt".into();
    let setting = Setting::with(&configuration);
    setting.write("note.txt", "");
    let validate = || setting.run(&["validate", "baitline.json"], b"");
    let ran = validate();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for warning in [
        "\"data_dir\": note.txt/data cannot be written: Not a directory",
        "source \"audit\" (file): there is no file yet that include names",
        "sink \"alert_txt\" (file): note.txt/alert.txt cannot be written: Not a directory",
    ] {
        assert!(ran.stderr.contains(warning), "{warning}\n{}", ran.stderr);
    }
    configuration["data_dir"] = "note.txt".into();
    configuration["sinks"]["alert_txt"]["path"] = "logs".into();
    fs::create_dir(setting.path("logs")).expect("the directory is ours");
    setting.write("logs/audit.log", "");
    setting.write("baitline.json", configuration.to_string());
    let ran = validate();
    assert_eq!(ran.code, Some(78), "{}", ran.stderr);
    for fault in ["note.txt is no directory", "logs is a directory"] {
        assert!(ran.stderr.contains(fault), "{fault}\n{}", ran.stderr);
    }
    assert!(!ran.stderr.contains("include"), "{}", ran.stderr);
}

#[test]
fn too_few_files_are_told_of() {
    let setting = Setting::with(&configuration(decoy(true)));
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "ulimit -n 6; exec \"$0\" run --config baitline.json"])
        .arg(env!("CARGO_BIN_EXE_baitline"))
        .current_dir(setting.path(""))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let ran = setting.start(&mut shell).wait();
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("ulimit -n"), "{}", ran.stderr);
}

#[test]
fn a_hangup_that_is_ignored_stays_so() {
    let setting = Setting::with(&configuration(decoy(true)));
    let mut shell = Command::new("sh");
    // As nohup does it.
    shell
        .args(["-c", "trap '' HUP; exec \"$0\" run --config baitline.json"])
        .arg(env!("CARGO_BIN_EXE_baitline"))
        .current_dir(setting.path(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut running = setting.start(&mut shell);
    running.stderr.wait_for("watching");
    running.signal("HUP");
    running.write(&two_hits());
    let ran = running.end();
    assert_eq!(ran.told().count(), 2, "{}", ran.stderr);
    assert!(!ran.stderr.contains("SIGHUP"), "{}", ran.stderr);
}

#[test]
fn a_stop_ends_in_time_though_nothing_can_be_stored() {
    let mut configuration = configuration(decoy(true));
    configuration["data_dir"] = "data".into();
    configuration["shutdown_timeout_secs"] = 2.into();
    configuration["sources"]["audit"] =
        json!({"type": "file", "include": ["audit.log"], "glob_minimum_cooldown_ms": 20});
    let setting = Setting::with(&configuration);
    let running = setting.start_watch(&[]);
    running.stderr.wait_for("watching");
    // As a disk that is full: no transaction comes through.
    let database = rusqlite::Connection::open(setting.path("data/baitline.db"));
    let database = database.expect("the database is there");
    database
        .execute_batch("BEGIN IMMEDIATE")
        .expect("nobody else writes");
    let hits = (0..20_000).map(|number| token_use(number, "10.0.3.7", json!({})).to_string());
    setting.write("audit.log", joined(hits));
    running.stderr.wait_for("cannot write to the store");
    running.signal("TERM");
    let ran = running.wait();
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("was not acknowledged"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_second_signal_leaves_at_once_though_a_sink_hangs() {
    undo_nohup();
    let receiver = Receiver::start(Manner::Hangs);
    let configuration = with_hanging_slack(&receiver, 3600);
    let mut running = Setting::with(&configuration).start_watch(&[]);
    running.write(&two_hits());
    running.stdout.wait_for("opened");
    running.signal("TERM");
    running.stderr.wait_for("draining");
    // What tells a child and its group tells it twice.
    running.signal("TERM");
    thread::sleep(Duration::from_millis(1200));
    running.signal("INT");
    let ran = running.wait();
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let second = "SIGINT: told to stop a second time";
    assert!(ran.stderr.contains(second), "{}", ran.stderr);
}

#[test]
fn a_sink_that_hangs_holds_nobody_up_and_what_it_did_not_take_is_told() {
    let receiver = Receiver::start(Manner::Hangs);
    let ran = Setting::with(&with_hanging_slack(&receiver, 3)).watch(&["-vv"], &METADATA);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(!receiver.bodies().is_empty());
    let told = ran.told();
    told.check_alerts();
    assert_eq!(ran.stdout, ran.file("alert.txt"));
    assert_eq!(
        ran.stdout.matches("\n  incident").count(),
        told.alerts.len()
    );
    let undelivered = format!("{} alerts", told.alerts.len());
    let says_so = |line: &str| line.contains("slack") && line.contains(&undelivered);
    assert!(ran.stderr.lines().any(says_so), "{}", ran.stderr);
    assert!(!ran.stderr.contains(SECRET) && !ran.stderr.contains("/services/"));
}

#[test]
fn a_reader_of_standard_output_may_leave() {
    let setting = Setting::with(&configuration(decoy(true)));
    let mut program = setting.program(&["run", "--config", "baitline.json"]);
    let mut child = program.spawn().expect("the program starts");
    let stdout = child.stdout.take().expect("it is piped");
    let mut head = BufReader::new(stdout).lines();
    let feeder = std::thread::spawn({
        let mut stdin = child.stdin.take().expect("it is piped");
        move || std::io::Write::write_all(&mut stdin, &METADATA).is_ok()
    });
    let first = head.next().expect("a line").expect("it can be read");
    assert!(first.contains("opened"), "{first}");
    drop(head);
    let output = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8(output.stderr).expect("all output is UTF-8");
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(feeder.join().expect("no panic"), "all input was read");
    let text = std::fs::read_to_string(setting.path("told.ndjson")).expect("it was written");
    let told = super::told::Told::read(&text);
    told.check_alerts();
    assert!(told.count() > 100);
}

#[test]
fn it_stops_when_nobody_is_left_to_be_told() {
    let mut configuration = configuration(decoy(true));
    let sinks = configuration["sinks"].as_object_mut().expect("an object");
    sinks.retain(|id, _| id == "terminal");
    let setting = Setting::with(&configuration);
    let mut program = setting.program(&["run", "--config", "baitline.json"]);
    let (reader, stdout) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut running = setting.start(program.stdout(stdout));
    // The command would hold the other end of standard output open.
    drop(program);
    running.write(&two_hits());
    let ran = running.wait();
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("no sink is left"), "{}", ran.stderr);
}

#[test]
fn what_a_closed_console_did_not_show_is_kept_where_there_is_a_data_dir() {
    let mut configuration = configuration(decoy(true));
    configuration["data_dir"] = "data".into();
    configuration["sinks"]["terminal"] =
        json!({"type": "console", "inputs": ["detections"], "encoding": {"codec": "json"}});
    let setting = Setting::with(&configuration);
    let mut program = setting.program(&["run", "--config", "baitline.json"]);
    let (reader, stdout) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut running = setting.start(program.stdout(stdout));
    drop(program);
    let hit = |number| joined([token_use(number, "10.0.3.7", json!({})).to_string()]);
    running.write(&hit(1));
    running.stderr.wait_for("the other end was closed");
    running.write(&[hit(2), hit(3)].concat());
    let ran = running.end();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let shown = setting.watch(&[], b"");
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    assert_eq!(shown.stdout.lines().count(), 3, "{}", shown.stdout);
}

#[test]
fn a_file_that_cannot_be_written_is_told_and_holds_nobody_up() {
    let mut configuration = configuration(decoy(true));
    configuration["shutdown_timeout_secs"] = 3.into();
    configuration["sinks"]["lost"] =
        json!({"type": "file", "inputs": ["incidents"], "path": "baitline.json/alert.txt"});
    let ran = Setting::with(&configuration).watch(&[], &two_hits());
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let told = ran.told();
    told.check_alerts();
    let undelivered = format!("{} alerts", told.alerts.len());
    let says_so = |line: &str| line.contains("lost") && line.contains(&undelivered);
    assert!(ran.stderr.lines().any(says_so), "{}", ran.stderr);
}

#[test]
fn an_alert_is_there_while_the_pipe_stays_open() {
    let mut running = Setting::with(&configuration(decoy(true))).start_watch(&[]);
    running.stderr.wait_for("watching");
    // The first costs page faults and lazy tables; any later one is as if the pipe had been idle.
    for number in 1..=3 {
        let line = joined([token_use(number, &format!("10.0.3.{number}"), json!({})).to_string()]);
        let written = Instant::now();
        running.write(&line);
        running.stdout.wait_for(&format!("from 10.0.3.{number}"));
        assert!(written.elapsed() < Duration::from_secs(2));
    }
    assert_eq!(running.end().code, Some(0));
}

/// A run with all there is to say: an alert, a warning and the start and the end.
fn talkative(arguments: &[&str]) -> Ran {
    let cut = lines(&METADATA)
        .into_iter()
        .find(|line| memchr::memmem::find(line, b"honeypot").is_some())
        .map(|line| &line[..line.len() - 20])
        .expect("the recording has hits");
    let input = [two_hits().as_slice(), cut].concat();
    let ran = Setting::with(&configuration(decoy(true))).watch(arguments, &input);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("opened"));
    for word in ["INFO", "WARN", "DEBUG", "watching"] {
        assert!(
            !ran.stdout.contains(word),
            "the log is not for standard output"
        );
    }
    ran
}

#[test]
fn the_log_says_as_much_as_it_is_told_to() {
    let has = |ran: &Ran, levels: [bool; 3]| {
        let found = [" INFO ", " WARN ", " DEBUG "].map(|level| ran.stderr.contains(level));
        assert_eq!(found, levels, "{}", ran.stderr);
    };
    has(&talkative(&[]), [true, true, false]);
    has(&talkative(&["-v"]), [true, true, true]);
    has(&talkative(&["-q"]), [false, false, false]);
    assert_eq!(talkative(&["-qq"]).stderr, "");
}

#[test]
fn the_log_may_be_json() {
    let ran = talkative(&["-vv", "--log-format", "json"]);
    let lines: Vec<Value> = ran
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line of the log is JSON"))
        .collect();
    let ended = lines.iter().find(|line| line["message"] == "source ended");
    let ended = ended.expect("the end is told with its counters");
    assert_eq!(ended["level"], "INFO");
    assert_eq!(ended["undecodable"], 1);
}
