//! What the program says of a source that fails and of a sink that hangs.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

/// Whoever watches the log must not wait for a stop that may be months away.
#[test]
fn a_source_that_fails_is_told_while_another_runs_on() {
    let folder = tempfile::tempdir().unwrap();
    let configuration = serde_json::json!({
        "decoys": [{"service_account": "honeypot/backup-sa"}],
        "sources": {
            "pipe": {"type": "stdin"},
            "logs": {"type": "file", "include": [folder.path().join("*.log")]},
        },
        "transforms": {"detections": {"type": "detect", "inputs": ["*"]}},
        "sinks": {"terminal": {"type": "console", "inputs": ["detections"]}},
    });
    let path = folder.path().join("baitline.json");
    std::fs::write(&path, configuration.to_string()).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_baitline"))
        .args(["run", "--config"])
        .arg(&path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let gzip_that_is_cut_off = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03";
    let mut input = program.stdin.take().unwrap();
    input.write_all(gzip_that_is_cut_off).unwrap();
    drop(input);

    let log = BufReader::new(program.stderr.take().unwrap()).lines();
    let (lines, told) = mpsc::channel();
    let reader = thread::spawn(move || {
        log.map_while(Result::ok)
            .filter(|line| line.contains("cut off"))
            .for_each(|line| lines.send(line).unwrap_or_default());
    });
    let told = told.recv_timeout(Duration::from_secs(20));
    let runs_on = program.try_wait().unwrap().is_none();
    program.kill().unwrap();
    program.wait().unwrap();
    reader.join().unwrap();
    assert!(runs_on, "the other source runs on");
    let told = told.expect("the failure is in the log at once");
    assert!(told.contains("ERROR") && told.contains("pipe"), "{told}");
}

/// What the engine still held when the time was up is as lost as what lay in the outbox.
#[test]
fn what_a_sink_that_hangs_had_no_room_for_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let configuration = serde_json::json!({
        "shutdown_timeout_secs": 1,
        "decoys": [{"service_account": "honeypot/backup-sa", "whole_namespace": true}],
        "sources": {"pipe": {"type": "stdin"}},
        "transforms": {"detections": {"type": "detect", "inputs": ["pipe"]}},
        "sinks": {"terminal": {
            "type": "console", "inputs": ["detections"], "encoding": {"codec": "json"},
            "buffer": {"max_events": 200},
        }},
    });
    let path = folder.path().join("baitline.json");
    std::fs::write(&path, configuration.to_string()).unwrap();
    let recording = std::fs::File::open("tests/data/metadata/audit.ndjson.gz").unwrap();
    let (_never_read, stdout) = std::io::pipe().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_baitline"))
        .args(["run", "--config"])
        .arg(&path)
        .stdin(recording)
        .stdout(stdout)
        .output()
        .unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(log.contains("left undelivered"), "{log}");
    assert!(log.contains("dropped 0 alerts and"), "{log}");
}

#[test]
fn a_message_that_is_given_up_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/services", nobody.local_addr().unwrap());
    drop(nobody);
    let configuration = serde_json::json!({
        "decoys": [{"service_account": "honeypot/backup-sa"}],
        "sources": {"pipe": {"type": "stdin"}},
        "transforms": {
            "detections": {"type": "detect", "inputs": ["pipe"]},
            "incidents": {"type": "dedupe", "inputs": ["detections"]},
        },
        "sinks": {"slack": {
            "type": "slack", "inputs": ["incidents"], "webhook_url": url,
            "request": {"retry_attempts": 0, "rate_limit_num": 1000},
        }},
    });
    let path = folder.path().join("baitline.json");
    std::fs::write(&path, configuration.to_string()).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_baitline"))
        .args(["run", "--config"])
        .arg(&path)
        .env("NO_PROXY", "127.0.0.1")
        .stdin(std::fs::File::open("tests/data/metadata/audit.ndjson.gz").unwrap())
        .output()
        .unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains("given up"), "{log}");
    assert_eq!(output.status.code(), Some(1), "{log}");
}
