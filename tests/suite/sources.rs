//! Several sources in one program.

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
