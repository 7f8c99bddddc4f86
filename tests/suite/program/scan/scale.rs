//! Much to read, and much that is found.

use std::{
    fs,
    io::Read,
    process::{Command, Stdio},
};

use serde_json::json;

use super::{
    super::{
        harness::Setting,
        inputs::{joined, lines, log, token_use},
        told::Told,
    },
    incidents, scan, with_budget,
};

#[test]
fn the_same_bytes_give_the_same_output_however_they_are_read() {
    // Three ranges and more, so that threads share it.
    let filler = json!({"kind": "Event", "pad": "x".repeat(3000)}).to_string();
    let filler = joined((0..20).map(|_| &filler));
    let mut bytes = Vec::new();
    for line in lines(log("request-response")) {
        bytes.extend_from_slice(line);
        bytes.push(b'\n');
        if bytes.len() < 34 << 20 {
            bytes.extend(&filler);
        }
    }
    assert!(bytes.len() > 33 << 20, "{}", bytes.len());
    let setting = Setting::with(&with_budget());
    setting.write("log", &bytes);
    let scan = |more: &[&str]| {
        let ran = scan(
            &setting,
            &[&["-q", "--json", "-c", "baitline.json"], more].concat(),
        );
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        ran.stdout
    };
    let one = scan(&["--threads", "1", "log"]);
    for threads in ["2", "5"] {
        let more = scan(&["--threads", threads, "log"]);
        assert!(one == more, "{threads} threads");
    }
    let arguments = ["scan", "-q", "--json", "-c", "baitline.json", "-"];
    let piped = setting.run(&arguments, &bytes);
    assert!(piped.stdout.replace("\"stdin:", "\"log:") == one);
    let (told, live) = (Told::read(&one), setting.watch(&[], &bytes).told());
    assert_eq!(told.found(), live.found());
    assert_eq!(incidents(&told), incidents(&live));
}

/// Hits from so many addresses, as a log.
fn hits(count: u32) -> Vec<u8> {
    let hit = |number: u32| {
        let [_, a, b, c] = number.to_be_bytes();
        let (minute, second) = (number / 1200 % 60, number / 20 % 60);
        let received = format!("2026-11-23T17:{minute:02}:{second:02}.{number:06}Z");
        let changes = json!({"requestReceivedTimestamp": received});
        token_use(number, &format!("10.{a}.{b}.{c}"), changes).to_string()
    };
    joined((0..count).map(hit))
}

/// A scan with these arguments whose scratch files lie in `room` and may not grow beyond some size: a write fails as on a full disk, but for
/// the reason.
fn without_room(setting: &Setting, room: &str, arguments: &str) -> Command {
    let binary = env!("CARGO_BIN_EXE_baitline");
    let script = format!("trap '' XFSZ; ulimit -f 4000; exec {binary} scan --json {arguments}");
    let mut program = Command::new("sh");
    program
        .args(["-c", &script])
        .env("TMPDIR", room)
        .current_dir(setting.path(""))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    program
}

#[test]
fn a_full_disk_is_told_at_once_and_by_where_it_is() {
    let setting = Setting::empty();
    let room = setting.path("room").display().to_string();
    fs::create_dir(&room).expect("the directory is ours");
    let mut program = without_room(&setting, &room, "-");
    program.stdin(Stdio::piped());
    // Its standard input does not end: it stops by itself.
    let mut running = setting.start(&mut program);
    running.write(&hits(10_000));
    let ran = running.wait();
    assert_eq!((ran.code, &*ran.stdout), (Some(1), ""), "{}", ran.stderr);
    assert!(
        ran.stderr.contains(&format!("cannot be kept in {room}: ")),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("TMPDIR"), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("events that touch a decoy were found"),
        "{}",
        ran.stderr
    );
}

#[test]
fn of_several_threads_the_first_tells_why_nothing_more_is_kept() {
    let setting = Setting::empty();
    let room = setting.path("room").display().to_string();
    fs::create_dir(&room).expect("the directory is ours");
    let hits = hits(10_000);
    let names = ["a", "b", "c", "d"];
    names.iter().for_each(|name| setting.write(name, &hits));
    for _ in 0..4 {
        let mut program = without_room(&setting, &room, "--threads 4 a b c d");
        let ran = setting.start(program.stdin(Stdio::null())).wait();
        assert_eq!((ran.code, &*ran.stdout), (Some(1), ""), "{}", ran.stderr);
        assert!(ran.stderr.contains("cannot be kept in"), "{}", ran.stderr);
        assert!(!ran.stderr.contains("malformed"), "{}", ran.stderr);
    }
}

#[test]
fn a_summary_of_a_flood_tells_what_was_done_and_how_it_ended() {
    let setting = Setting::empty();
    setting.write("log", hits(2000));
    let ran = scan(&setting, &["--summary", "log"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(
        ran.stdout.contains(" incidents told as one\n"),
        "{}",
        ran.stdout
    );
    let done = "token_use by system:serviceaccount:honeypot:backup-sa: list namespaces 403 (1,9";
    assert!(ran.stdout.contains(done), "{}", ran.stdout);
    assert!(
        ran.stdout.ends_with(" incidents, 2,000 hits\n"),
        "{}",
        ran.stdout
    );

    // One source that does a thousand things: the first and the last of them are shown.
    let log: Vec<u8> = (0..1000)
        .flat_map(|number| {
            let name = format!("n{number}");
            let received = format!("2026-11-23T17:00:{:02}.{number:06}Z", number / 20);
            let changes = json!({"requestReceivedTimestamp": received, "verb": "get",
                             "objectRef": {"resource": "pods", "namespace": "x", "name": name}});
            joined([token_use(number, "10.0.3.7", changes).to_string()])
        })
        .collect();
    setting.write("log", log);
    let ran = scan(&setting, &["--summary", "log"]);
    for shown in [
        "/n0 403",
        "/n19 403",
        "… 960 more hits",
        "/n980 403",
        "/n999 403",
    ] {
        assert!(ran.stdout.contains(shown), "{shown}: {}", ran.stdout);
    }
    assert!(
        !ran.stdout.contains("/n20 403") && !ran.stdout.contains("/n979 403"),
        "{}",
        ran.stdout
    );
}

/// The most memory that a process has had so far, in KiB; nothing once it has ended.
fn peak_kib(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    peak.trim().strip_suffix(" kB")?.parse().ok()
}

#[test]
fn hits_without_end_fill_no_memory() {
    let setting = Setting::empty();
    let log = hits(20_000);
    setting.write("log", log);
    let mut program = setting.program(&["scan", "-q", "--json", "--threads", "2", "log"]);
    let mut child = program
        .stdin(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut stdout = child.stdout.take().expect("a pipe");
    let (mut said, mut peak) = (Vec::new(), 0);
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = stdout.read(&mut buffer).expect("a pipe is read");
        said.extend_from_slice(&buffer[..count]);
        peak = peak_kib(child.id()).unwrap_or_default().max(peak);
        if count == 0 {
            break;
        }
    }
    assert_eq!(child.wait().expect("it is our child").code(), Some(2));
    let told = Told::read(&String::from_utf8(said).expect("UTF-8"));
    assert_eq!((told.detections.len(), told.count()), (20_000, 20_000));
    assert!((1024..64 << 10).contains(&peak), "{peak} KiB");
}
