//! Audit logs read from files: what is found is what standard input would give.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use serde_json::json;

use super::{
    harness::{Setting, decoy, with_expected},
    inputs::{METADATA, joined, lines},
    told::Told,
    variants::found_by_decoding,
};

#[test]
fn old_ones_compressed_and_the_one_that_is_written() {
    let lines = lines(&METADATA);
    let (old, new) = lines.split_at(lines.len() * 2 / 3);
    let mut configuration = with_expected(decoy(true));
    configuration["sources"]["audit"] = json!({
        "type": "file", "include": ["logs/*"], "exclude": ["logs/*.txt"], "glob_minimum_cooldown_ms": 20,
    });
    configuration["sinks"]["terminal"] =
        json!({"type": "console", "inputs": ["detections"], "encoding": {"codec": "json"}});
    let setting = Setting::with(&configuration);
    std::fs::create_dir(setting.path("logs")).expect("the directory is ours");
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&joined(old)).expect("memory takes all");
    setting.write(
        "logs/audit-1.log.gz",
        gzip.finish().expect("memory takes all"),
    );
    setting.write("logs/notes.txt", METADATA.as_slice());
    let running = setting.start_watch(&[]);
    running.stderr.wait_for("watching");
    setting.write("logs/audit.log", joined(new));

    let wanted = found_by_decoding(&METADATA);
    let is_all = |text: String| text.lines().count() >= wanted.len();
    running
        .stdout
        .wait_until("all detections", |heard| is_all(heard.text()));
    running.signal("TERM");
    let ran = running.wait();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let told = ran.told();
    told.check_alerts();
    assert_eq!(told.found(), wanted);
    assert_eq!(told.detections.len(), wanted.len(), "none is told twice");
    assert_eq!(Told::read(&ran.stdout).found(), wanted);
}

#[test]
fn what_is_not_read_is_said_whatever_its_name() {
    let mut configuration = with_expected(decoy(true));
    configuration["sources"]["audit"] = json!({"type": "file", "include": ["logs/*"]});
    let setting = Setting::with(&configuration);
    std::fs::create_dir(setting.path("logs")).expect("the directory is ours");
    setting.write(
        "logs/\u{1b}[31m\nERROR \u{202e}.xz",
        b"\xfd7zXZ\0\0\x04 and so on",
    );
    let running = setting.start_watch(&["-v"]);
    running.stderr.wait_for("DEBUG found");
    let said = running.stderr.text();
    let acts = |char: char| char.is_control() && char != '\n' || char == '\u{202e}';
    assert!(!said.contains(acts), "{said:?}");
    assert!(!said.contains("\nERROR"), "{said:?}");
}

#[test]
fn a_file_that_is_gone_at_a_start_is_told_of() {
    let mut configuration = with_expected(decoy(true));
    configuration["data_dir"] = "data".into();
    configuration["sources"]["audit"] = json!({"type": "file", "include": ["audit.log"]});
    let setting = Setting::with(&configuration);
    setting.write("audit.log", METADATA.as_slice());
    let running = setting.start_watch(&[]);
    running.stdout.wait_for("incident");
    running.signal("TERM");
    assert!(!running.wait().stderr.contains("gone since"));
    std::fs::remove_file(setting.path("audit.log")).expect("it is ours");
    let running = setting.start_watch(&[]);
    running.stderr.wait_for("gone since the last start");
    running.stderr.wait_for("path=audit.log");
    running.signal("TERM");
    running.wait();
}
