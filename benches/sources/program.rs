//! The release program with one source.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Of `/proc/PID/stat`; the same on all systems for long.
const TICKS_A_SECOND: u64 = 100;

pub struct Program {
    child: Child,
    says: Receiver<String>,
    /// What it had used when it was last seen.
    cpu: Duration,
    _directory: TempDir,
}

impl Program {
    pub fn start(source: Value) -> Self {
        Self::with(&json!({"sources": {"audit": source}}))
    }

    /// With these sections of the configuration beside those of every run.
    pub fn with(sections: &Value) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let mut configuration = json!({
            "decoys": [{"service_account": "honeypot/backup-sa", "whole_namespace": true}],
            "transforms": {
                "detections": {"type": "detect", "inputs": ["audit"]},
                "incidents": {"type": "dedupe", "inputs": ["detections"]},
            },
            "sinks": {"out": {"type": "console", "inputs": ["incidents"]}},
        });
        for (name, section) in sections.as_object().into_iter().flatten() {
            configuration[name] = section.clone();
        }
        let path = directory.path().join("baitline.json");
        fs::write(&path, configuration.to_string()).expect("the directory is ours");
        let mut child = Command::new(env!("CARGO_BIN_EXE_baitline"))
            .args(["run", "--config", "baitline.json"])
            .current_dir(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stderr = child.stderr.take().expect("it was piped");
        let (sender, says) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self {
            child,
            says,
            cpu: Duration::ZERO,
            _directory: directory,
        }
    }

    pub fn input(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("it was piped")
    }

    /// Where it listens, once it does.
    pub fn address(&self) -> String {
        loop {
            let line = self.says.recv().expect("it listens before it ends");
            if let Some((_, rest)) = line.split_once("address=")
                && line.contains("listening")
            {
                let address = rest.split_whitespace().next().unwrap_or_default();
                return address.to_owned();
            }
        }
    }

    /// Waits until it has read all of its pipe, if that was closed.
    pub fn settle(&mut self) {
        if self.child.stdin.is_some() {
            return;
        }
        loop {
            self.cpu = self.cpu();
            if self.child.try_wait().expect("it is our child").is_some() {
                return;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// What it has used of processors.
    pub fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let stat = stat.unwrap_or_default();
        // Behind the name, which may hold anything.
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let ticks = |place: usize| {
            fields
                .get(place)
                .and_then(|field| field.parse::<u64>().ok())
        };
        let ticks = ticks(11).unwrap_or(0) + ticks(12).unwrap_or(0);
        Duration::from_millis(ticks * 1000 / TICKS_A_SECOND)
    }

    /// The same, of one that may have ended.
    pub fn cpu_at_end(&self) -> Duration {
        self.cpu.max(self.cpu())
    }

    /// MiB.
    pub fn resident(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
        kilobytes.expect("a number of kB") / 1024.0
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
