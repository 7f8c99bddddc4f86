//! What durability costs, each figure beside a yardstick of the same run:
//! `cargo bench --bench durable [-- hits latency memory]`.

mod program;

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, BufWriter, Write},
    path::Path,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use tempfile::TempDir;

use program::{Program, transforms, watched};

/// Measures and prints, in a directory of its own.
type Measure = fn(&Path);

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .collect();
    let measures: [(&str, Measure); 3] = [("hits", hits), ("latency", latency), ("memory", memory)];
    for (name, measure) in measures {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            let directory = TempDir::new().expect("a temporary directory");
            measure(directory.path());
        }
    }
}

/// A request with the decoy's token, from one of `addresses`.
fn hit(number: u32, addresses: u32) -> String {
    let [_, a, b, c] = (number % addresses).to_be_bytes();
    json!({
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": format!("{number}"),
        "stage": "ResponseComplete", "requestURI": "/api/v1/namespaces", "verb": "list",
        "user": {
            "username": "system:serviceaccount:honeypot:backup-sa",
            "extra": {"authentication.kubernetes.io/credential-id": ["JTI=1"]},
        },
        "sourceIPs": [format!("10.{a}.{b}.{c}")], "userAgent": "curl/8.5.0",
        "objectRef": {"resource": "namespaces", "apiVersion": "v1"}, "responseStatus": {"code": 403},
        "requestReceivedTimestamp": "2026-11-23T17:21:08.000000Z",
        "stageTimestamp": "2026-11-23T17:21:08.000000Z",
    })
    .to_string()
}

fn write_hits(path: &Path, count: u32, addresses: u32) {
    let mut file = BufWriter::new(File::create(path).expect("the directory is ours"));
    for number in 0..count {
        writeln!(file, "{}", hit(number, addresses)).expect("there is room");
    }
    file.flush().expect("there is room");
}

/// Detections a second that are stored, and then on the disk in the file of the sink.
fn hits(directory: &Path) {
    const COUNT: u32 = 200_000;
    let log = directory.join("audit.log");
    write_hits(&log, COUNT, 100);
    let configuration = json!({
        "data_dir": "data", "decoys": watched(), "sources": {"audit": {"type": "stdin"}},
        "transforms": transforms(json!({})),
        "sinks": {
            "evidence": {
                "type": "file", "inputs": ["detections"], "path": "evidence.ndjson",
                "encoding": {"codec": "json"},
            },
            "alerts": {"type": "file", "inputs": ["incidents"], "path": "alert.txt"},
        },
    });
    let mut program = Program::new(directory, &configuration);
    let start = Instant::now();
    program.start(File::open(&log).expect("it was written").into());
    program.wait();
    let seconds = start.elapsed().as_secs_f64();
    let evidence = File::open(directory.join("evidence.ndjson")).expect("it was written");
    let lines = BufReader::new(evidence).lines().count();
    assert_eq!(lines, COUNT as usize);
    println!(
        "durable to a file: {COUNT} detections in {seconds:.2} s, {:.0} a second; peak {} kB",
        f64::from(COUNT) / seconds,
        program.peak_kilobytes,
    );
}

/// From a line into an open pipe to its alert on the console, with a `data_dir`; beside it what one sync costs.
fn latency(directory: &Path) {
    const COUNT: usize = 200;
    let configuration = json!({
        "data_dir": "data", "decoys": watched(), "sources": {"audit": {"type": "stdin"}},
        "transforms": transforms(json!({"rate_limit": {"threshold": 1_000_000}})),
        "sinks": {"out": {
            "type": "console", "inputs": ["incidents"], "encoding": {"codec": "json"},
        }},
    });
    let mut program = Program::new(directory, &configuration);
    program.start(Stdio::piped());
    let (mut input, output) = program.pipes();
    let mut output = BufReader::new(output).lines();
    let mut sync = Sync::new(directory);
    let (mut whole, mut syncs) = (Vec::new(), Vec::new());
    for number in 0..COUNT as u32 {
        thread::sleep(Duration::from_millis(5));
        let line = hit(number, u32::MAX) + "\n";
        let start = Instant::now();
        input.write_all(line.as_bytes()).expect("it reads");
        let told = output.next().expect("it tells").expect("it is text");
        whole.push(start.elapsed());
        assert!(told.contains("\"kind\":\"opened\""), "{told}");
        syncs.push(sync.once());
    }
    drop(input);
    program.wait();
    println!(
        "a lone line to the console, durable: median {:?}, p99 {:?}; one sync: median {:?}, p99 {:?}",
        rank(&mut whole, 50),
        rank(&mut whole, 99),
        rank(&mut syncs, 50),
        rank(&mut syncs, 99),
    );
}

/// Resident memory while a million alerts wait for a receiver that is away.
fn memory(directory: &Path) {
    const INCIDENTS: u32 = 500_000;
    let log = directory.join("audit.log");
    write_hits(&log, INCIDENTS, u32::MAX);
    let configuration = json!({
        "data_dir": "data", "decoys": watched(), "shutdown_timeout_secs": 1,
        "sources": {"audit": {"type": "file", "include": ["audit.log"]}},
        "transforms": transforms(json!({"rate_limit": {"threshold": 1_000_000_000}})),
        "sinks": {"slack": {
            // Nobody listens there.
            "type": "slack", "inputs": ["incidents"], "webhook_url": "http://127.0.0.1:9/",
            "buffer": {"max_events": 10_000_000},
        }},
    });
    let mut program = Program::new(directory, &configuration);
    let start = Instant::now();
    program.start(Stdio::null());
    let wanted = u64::from(INCIDENTS) * 2 - 5_000;
    while program.waiting() < wanted {
        thread::sleep(Duration::from_millis(500));
    }
    let seconds = start.elapsed().as_secs();
    thread::sleep(Duration::from_secs(2));
    let (waiting, resident) = (program.waiting(), program.resident_kilobytes());
    let bytes = fs::metadata(directory.join("data/baitline.db")).map_or(0, |data| data.len());
    program.stop();
    println!(
        "{waiting} alerts wait after {seconds} s: resident {resident} kB, peak {} kB; on disk {} MB",
        program.peak_kilobytes,
        bytes >> 20,
    );
}

/// What one durable write costs on this disk: a page appended and synced, as SQLite does it.
struct Sync(File);

impl Sync {
    fn new(directory: &Path) -> Self {
        Self(File::create(directory.join("sync")).expect("the directory is ours"))
    }

    fn once(&mut self) -> Duration {
        let start = Instant::now();
        self.0.write_all(&[0; 4096]).expect("there is room");
        self.0.sync_data().expect("there is room");
        start.elapsed()
    }
}

fn rank(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}
