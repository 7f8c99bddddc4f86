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

/// A sink that hangs fills its outbox and holds up the sources, but not the other sinks;
/// what it could not deliver is told to the last message.
#[test]
fn a_sink_that_hangs_costs_the_others_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let evidence = folder.path().join("evidence.ndjson");
    let run = |max_events: u64, stdout: Stdio| {
        let _ = std::fs::remove_file(&evidence);
        let configuration = serde_json::json!({
            "shutdown_timeout_secs": 2,
            "decoys": [{"service_account": "honeypot/backup-sa", "whole_namespace": true}],
            "sources": {"pipe": {"type": "stdin"}},
            "transforms": {
                "detections": {"type": "detect", "inputs": ["pipe"]},
                "incidents": {"type": "dedupe", "inputs": ["detections"]},
            },
            "sinks": {
                "terminal": {
                    "type": "console", "inputs": ["*"], "encoding": {"codec": "json"},
                    "buffer": {"max_events": max_events},
                },
                "evidence": {"type": "file", "inputs": ["*"], "path": evidence, "encoding": {"codec": "json"}},
            },
        });
        let path = folder.path().join("baitline.json");
        std::fs::write(&path, configuration.to_string()).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_baitline"))
            .args(["run", "--config"])
            .arg(&path)
            .stdin(std::fs::File::open("tests/data/fluent-bit/input.ndjson").unwrap())
            .stdout(stdout)
            .output()
            .unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        let lines = std::fs::read_to_string(&evidence).unwrap().lines().count();
        (output.status.code(), log, lines)
    };
    let (code, log, wanted) = run(1000, Stdio::null());
    assert_eq!(code, Some(0), "{log}");
    let (_never_read, stdout) = still_pipe();
    let (code, log, lines) = run(1, stdout.into());
    assert_eq!(lines, wanted);
    assert_eq!(code, Some(1), "{log}");
    assert!(
        log.contains("the outbox is full, the sources wait"),
        "{log}"
    );
    assert!(log.contains("left undelivered"), "{log}");
    assert!(!log.contains("dropped"), "{log}");
}

/// A pipe that is full and that nobody reads.
fn still_pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    let (reader, writer) = std::io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    while rustix::io::write(&writer, &[b'x'; 4096]).is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false).unwrap();
    (reader, writer)
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
