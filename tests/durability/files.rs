//! A file that is written and rotated, a program that is killed: every hit is told, once.

use std::{
    fs,
    io::Write,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    books::Books,
    instance::{Instance, append},
    kills,
    receiver::{Name, Receiver},
    stream::{Stream, labelled_hits},
};

/// Lines after which the log is rotated.
const ROTATE_AFTER: usize = 400;

/// Follows `audit*.log` into two files, Slack, and a receiver of batches beside it; incidents are over soon.
pub fn configuration(slack: &str) -> Value {
    json!({
        "data_dir": "data",
        "shutdown_timeout_secs": 5,
        "decoys": [{
            "service_account": "honeypot/backup-sa", "secret": "backup-sa-token",
            "pod": "file-backup", "whole_namespace": true,
        }],
        "sources": {"audit": {
            "type": "file", "include": ["audit.log", "audit.log.*"],
            "glob_minimum_cooldown_ms": 100, "rotate_wait_secs": 1,
        }},
        "transforms": {
            "detections": {"type": "detect", "inputs": ["audit"]},
            "incidents": {
                "type": "dedupe", "inputs": ["detections"], "idle_secs": 6, "digest_secs": 1,
                "digest_max_secs": 2, "rate_limit": {"threshold": 1000, "window_secs": 1},
            },
        },
        "sinks": {
            "evidence": {
                "type": "file", "inputs": ["detections"], "path": "evidence.ndjson",
                "encoding": {"codec": "json"},
            },
            "told": {
                "type": "file", "inputs": ["incidents"], "path": "told.ndjson",
                "encoding": {"codec": "json"},
            },
            "slack": {
                "type": "slack", "inputs": ["incidents"], "webhook_url": slack,
                "request": {
                    "timeout_secs": 1, "rate_limit_num": 10_000, "retry_initial_backoff_secs": 0.05,
                    "retry_max_duration_secs": 0.5,
                },
            },
            "http": {
                "type": "http", "inputs": ["incidents"], "uri": format!("{slack}/batches"),
                "framing": {"method": "newline_delimited"}, "batch": {"max_events": 20},
                "request": {
                    "timeout_secs": 1, "retry_initial_backoff_secs": 0.05, "retry_max_duration_secs": 0.5,
                },
            },
        },
    })
}

/// Somebody who writes a log and rotates it by renaming, as the API server does.
pub struct Writer {
    enough: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Writer {
    pub fn start(directory: &Path) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let thread = {
            let (enough, path) = (Arc::clone(&enough), directory.join("audit.log"));
            thread::spawn(move || write(&path, &enough))
        };
        Self { enough, thread }
    }

    /// Stops it; gives the hits it wrote beside the recorded ones.
    pub fn end(self) -> u64 {
        self.enough.store(true, Relaxed);
        self.thread.join().expect("it does not panic")
    }
}

/// Writes until it is enough, and the whole recording at least.
fn write(path: &Path, enough: &AtomicBool) -> u64 {
    let mut stream = Stream::new();
    let recorded = stream.recorded().to_vec();
    let mut recorded = recorded.iter();
    let (mut hits, mut lines, mut rotations) = (0, 0, 0);
    let mut log = append(path);
    loop {
        for _ in 0..20 {
            let Some(line) = recorded.next() else { break };
            writeln!(log, "{line}").expect("there is room");
            lines += 1;
        }
        for _ in 0..10 {
            writeln!(log, "{}", stream.clean()).expect("there is room");
        }
        writeln!(log, "{}", stream.hit()).expect("there is room");
        (hits, lines) = (hits + 1, lines + 11);
        if lines >= ROTATE_AFTER {
            (lines, rotations) = (0, rotations + 1);
            fs::rename(path, path.with_extension(format!("log.{rotations}")))
                .expect("the directory is ours");
            log = append(path);
        }
        if enough.load(Relaxed) && recorded.len() == 0 {
            return hits;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_file_source_that_is_killed_loses_nothing_and_tells_nothing_twice() {
    let directory = TempDir::new().expect("a temporary directory");
    let slack = Receiver::start(true);
    let mut baitline = Instance::new(directory.path(), &configuration(&slack.url()));
    let writer = Writer::start(directory.path());
    for _ in 0..kills() {
        baitline.start();
        thread::sleep(Duration::from_millis(fastrand::u64(20..1500)));
        baitline.kill();
    }
    baitline.start();
    let expected = writer.end() + labelled_hits().len() as u64;
    check(&mut baitline, &slack, expected);
}

/// Waits until all is told, ends `baitline`, and compares what the sinks hold with the `expected` hits.
pub fn check(baitline: &mut Instance, slack: &Receiver, expected: u64) {
    let (told, evidence) = (
        baitline.directory.join("told.ndjson"),
        baitline.directory.join("evidence.ndjson"),
    );
    let all = usize::try_from(expected).expect("it is a count");
    baitline.wait_for_all("every hit", all, || Books::so_far(&told).count() as usize);
    baitline.wait_until("the end of every incident", || {
        Books::so_far(&told).all_closed()
    });
    let names = |books: &Books| -> Vec<Name> {
        let name = |alert: &Value| {
            let id = alert["incident_id"].as_str().expect("an id");
            (
                id[..8].to_owned(),
                alert["sequence"].as_u64().expect("a number"),
            )
        };
        let mut names: Vec<Name> = books.alerts.values().map(name).collect();
        names.sort_unstable();
        names
    };
    let wanted = names(&Books::of_file(&told));
    baitline.wait_for_all("Slack", wanted.len(), || slack.taken().len());
    baitline.wait_for_all("the batches", wanted.len(), || slack.batches().alerts.len());
    assert_eq!(baitline.end(), Some(0), "{}", baitline.log());

    let (told, evidence) = (Books::of_file(&told), Books::of_file(&evidence));
    told.check_incidents("told.ndjson");
    assert_eq!(told.count(), expected, "hits are counted once");
    let hits = evidence.hits();
    assert_eq!(
        hits.len() as u64,
        expected,
        "and each stands in the evidence"
    );
    let missing: Vec<_> = labelled_hits().difference(&hits).cloned().collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(slack.taken().into_keys().collect::<Vec<_>>(), names(&told));
    let batches = slack.batches();
    batches.check_incidents("the batches");
    assert!(
        batches.alerts == told.alerts,
        "by HTTP the same is told as in the file"
    );
    println!(
        "{expected} hits, {} alerts; repeated by id: {} alerts, {} detections, {} Slack messages, {} by HTTP",
        told.alerts.len(),
        told.repeats,
        evidence.repeats,
        slack.taken().values().map(|times| times - 1).sum::<u32>(),
        batches.repeats,
    );
}
