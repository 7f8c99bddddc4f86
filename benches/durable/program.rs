//! The release program, run as a user runs it.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// The decoy that the generated hits touch.
pub fn watched() -> Value {
    json!([{"service_account": "honeypot/backup-sa", "whole_namespace": true}])
}

/// `detect` behind the source `audit`, and `dedupe` with these options.
pub fn transforms(mut dedupe: Value) -> Value {
    dedupe["type"] = "dedupe".into();
    dedupe["inputs"] = json!(["detections"]);
    json!({"detections": {"type": "detect", "inputs": ["audit"]}, "incidents": dedupe})
}

pub struct Program {
    directory: PathBuf,
    child: Option<Child>,
    /// The most memory that it ever had, known once it has ended.
    pub peak_kilobytes: u64,
}

impl Program {
    pub fn new(directory: &Path, configuration: &Value) -> Self {
        fs::write(directory.join("baitline.json"), configuration.to_string())
            .expect("the directory is ours");
        Self {
            directory: directory.to_owned(),
            child: None,
            peak_kilobytes: 0,
        }
    }

    pub fn start(&mut self, input: Stdio) {
        let child = Command::new(env!("CARGO_BIN_EXE_baitline"))
            .args(["-q", "run", "--config", "baitline.json"])
            .current_dir(&self.directory)
            .stdin(input)
            .stdout(Stdio::piped())
            .spawn();
        self.child = Some(child.expect("the program starts"));
    }

    pub fn pipes(&mut self) -> (ChildStdin, ChildStdout) {
        let child = self.child();
        let pipes = (child.stdin.take(), child.stdout.take());
        (
            pipes.0.expect("it was piped"),
            pipes.1.expect("it was piped"),
        )
    }

    /// Waits for its end.
    pub fn wait(&mut self) {
        loop {
            self.peak_kilobytes = self.peak_kilobytes.max(self.status("VmHWM:"));
            if let Some(status) = self.child().try_wait().expect("it is our child") {
                assert!(status.success(), "{status}");
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends it, as SIGTERM does, whatever it has left.
    pub fn stop(&mut self) {
        self.peak_kilobytes = self.status("VmHWM:");
        let pid = Pid::from_child(self.child());
        kill_process(pid, Signal::TERM).expect("it is our child");
        self.child().wait().expect("it is our child");
    }

    pub fn resident_kilobytes(&mut self) -> u64 {
        self.status("VmRSS:")
    }

    /// Messages that wait in its store.
    pub fn waiting(&self) -> u64 {
        let path = self.directory.join("data/baitline.db");
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .and_then(|database| {
                database.query_row("SELECT count(*) FROM delivery", [], |row| row.get(0))
            })
            .unwrap_or(0)
    }

    fn child(&mut self) -> &mut Child {
        self.child.as_mut().expect("it was started")
    }

    fn status(&mut self, line: &str) -> u64 {
        let mut text = String::new();
        let path = format!("/proc/{}/status", self.child().id());
        let _ = fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text));
        let value = text.lines().find_map(|found| found.strip_prefix(line));
        let value = value.and_then(|value| value.split_whitespace().next()?.parse().ok());
        value.unwrap_or(0)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
