//! The lines of a container's log, cut by its runtime within the names of the decoy.

use serde_json::json;

use super::{
    harness::{Setting, decoy, watch, with_expected},
    inputs::{METADATA, lines},
    variants::found_by_decoding,
};

/// The recording as containerd writes it, if it cut each line within each `honeypot` and `backup`; with lines of stderr between.
fn container_log() -> Vec<u8> {
    let mut log = Vec::new();
    for line in lines(&METADATA) {
        let text = String::from_utf8_lossy(line);
        let text = text
            .replace("honeypot", "honey\npot")
            .replace("backup", "bac\nkup");
        let parts: Vec<&str> = text.split('\n').collect();
        for (number, part) in parts.iter().enumerate() {
            let tag = if number + 1 < parts.len() { "P" } else { "F" };
            let time = "2026-11-23T17:21:01.912216789Z";
            log.extend(
                format!("{time} stdout {tag} {part}\n{time} stderr F I1123 audit stdout P\n")
                    .bytes(),
            );
        }
    }
    log
}

#[test]
fn standard_input_joins_them() {
    let told = watch(&with_expected(decoy(true)), &container_log()).told();
    told.check_alerts();
    assert_eq!(told.found(), found_by_decoding(&METADATA));
}

#[test]
fn a_file_that_rotates_between_two_parts_is_read_on_after_a_kill() {
    let mut configuration = with_expected(decoy(true));
    configuration["data_dir"] = json!("state");
    configuration["sources"]["audit"] =
        json!({"type": "file", "include": ["0.log*"], "glob_minimum_cooldown_ms": 20});
    configuration["sinks"]["terminal"] =
        json!({"type": "console", "inputs": ["detections"], "encoding": {"codec": "json"}});
    let setting = Setting::with(&configuration);
    let log = container_log();
    let cut = memchr::memmem::find(&log, b" stdout P ").expect("a part");
    let cut = cut + memchr::memchr(b'\n', &log[cut..]).expect("its end") + 1;
    setting.write("0.log", &log[..cut]);
    let running = setting.start_watch(&[]);
    running.stderr.wait_for("watching");
    drop(running);
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(setting.path("0.log"))
        .expect("it is there");
    std::io::Write::write_all(&mut file, &log[cut..]).expect("the directory is ours");
    std::fs::rename(setting.path("0.log"), setting.path("0.log.20261123"))
        .expect("the directory is ours");
    let wanted = found_by_decoding(&METADATA);
    let running = setting.start_watch(&[]);
    running.stdout.wait_until("all detections", |heard| {
        heard.text().lines().count() >= wanted.len()
    });
    running.signal("TERM");
    let ran = running.wait();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(ran.told().found(), wanted);
}
