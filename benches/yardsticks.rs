//! What `benches/side-by-side` cannot time from a shell: `cargo bench --bench yardsticks -- parse FILE`, `-- latency`,
//! `-- rest` or `-- ready`. Each prints bare numbers.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use simd_json::{Buffers, Tape};
use tempfile::TempDir;

/// How often the program is started.
const STARTS: usize = 20;

/// Lines that are written one by one, and the pause before each.
const LINES: u32 = 2000;
const PAUSE: Duration = Duration::from_millis(2);

fn main() {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["parse", file] => parse(Path::new(file)),
        ["latency"] => latency(),
        ["rest"] => rest(),
        ["ready"] => ready(),
        // `cargo bench` runs it without a word.
        _ => eprintln!("parse FILE | latency | rest | ready; benches/side-by-side asks for each"),
    }
}

/// Seconds to parse each line to simd-json's tape.
fn parse(path: &Path) {
    let mut lines = BufReader::with_capacity(1 << 20, File::open(path).expect("the file is there"));
    let (mut line, mut buffers) = (Vec::new(), Buffers::default());
    let mut tape = Tape(Vec::new());
    let start = Instant::now();
    while lines.read_until(b'\n', &mut line).expect("it can be read") > 0 {
        let mut filled = tape.reset();
        simd_json::fill_tape(&mut line, &mut buffers, &mut filled).expect("a line is JSON");
        tape = filled.reset();
        line.clear();
    }
    println!("{:.3}", start.elapsed().as_secs_f64());
}

/// Milliseconds from a line into the pipe to its line on the console, without `data_dir`: median and 99th percentile.
fn latency() {
    let directory = directory();
    let mut child = start(directory.path());
    let mut input = child.stdin.take().expect("it was piped");
    let mut output = BufReader::new(child.stdout.take().expect("it was piped"));
    let mut times = Vec::new();
    let mut told = String::new();
    for number in 0..LINES {
        thread::sleep(PAUSE);
        let line = hit(number);
        let start = Instant::now();
        input.write_all(line.as_bytes()).expect("it reads");
        told.clear();
        output.read_line(&mut told).expect("it writes");
        times.push(start.elapsed());
        assert!(told.contains(&format!("\"{number}\"")), "{told}");
    }
    drop(input);
    child.wait().expect("it is our child");
    times.sort_unstable();
    let at = |percent: usize| times[times.len() * percent / 100].as_secs_f64() * 1e3;
    println!("{:.2} {:.2}", at(50), at(99));
}

/// Resident MiB of a program that has had one line and waits.
fn rest() {
    let directory = directory();
    let mut child = start(directory.path());
    let mut input = child.stdin.take().expect("it was piped");
    input.write_all(hit(0).as_bytes()).expect("it reads");
    thread::sleep(Duration::from_secs(2));
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it runs");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes =
        resident.and_then(|resident| resident.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    drop(input);
    child.wait().expect("it is our child");
    println!("{:.1}", kilobytes.expect("a number of kB") / 1024.0);
}

/// Milliseconds from the start of the program until it says that it is watching: the median.
fn ready() {
    let directory = directory();
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let begin = Instant::now();
        let mut child = start(directory.path());
        let says = BufReader::new(child.stderr.take().expect("it was piped")).lines();
        let mut says = says.map_while(Result::ok);
        assert!(says.any(|line| line.contains("watching")), "it ended");
        times.push(begin.elapsed());
        drop(child.stdin.take());
        // What it says at the end has room in the pipe.
        child.wait().expect("it is our child");
    }
    times.sort_unstable();
    println!("{:.1}", times[STARTS / 2].as_secs_f64() * 1e3);
}

fn directory() -> TempDir {
    let directory = TempDir::new().expect("a temporary directory");
    let configuration = json!({
        "decoys": [{"service_account": "honeypot/backup-sa"}],
        "sources": {"audit": {"type": "stdin"}},
        "transforms": {"detections": {"type": "detect", "inputs": ["audit"]}},
        "sinks": {"terminal": {"type": "console", "inputs": ["detections"], "encoding": {"codec": "json"}}},
    });
    fs::write(
        directory.path().join("baitline.json"),
        configuration.to_string(),
    )
    .expect("the directory is ours");
    directory
}

fn start(directory: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_baitline"))
        .args(["run", "--config", "baitline.json"])
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

/// A request with the decoy's token.
fn hit(number: u32) -> String {
    let event = json!({
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": number.to_string(),
        "stage": "ResponseComplete", "requestURI": "/api/v1/namespaces", "verb": "list",
        "user": {"username": "system:serviceaccount:honeypot:backup-sa"}, "sourceIPs": ["10.0.0.1"],
        "userAgent": "curl/8.5.0", "objectRef": {"resource": "namespaces", "apiVersion": "v1"},
        "responseStatus": {"code": 403}, "requestReceivedTimestamp": "2026-11-23T17:21:08.000000Z",
    });
    format!("{event}\n")
}
