//! `baitline scan`: the past, searched as a user searches it.

mod packed;
mod paths;
mod scale;
mod stopped;
mod terminal;

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    process::Stdio,
    thread,
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use super::{
    harness::{Ran, Setting, decoy, with_expected},
    inputs::{METADATA, joined, token_use},
    told::Told,
};
use crate::recordings::recording;

/// A clean log, a hit and another clean one.
fn clean() -> Vec<u8> {
    joined([json!({"kind": "Event", "verb": "get"}).to_string()])
}

/// One use of the decoy's token, as a line.
fn hit(number: u32, received: &str) -> Vec<u8> {
    let changes = json!({"requestReceivedTimestamp": received});
    joined([token_use(number, "10.0.3.7", changes).to_string()])
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("memory takes all")
}

/// `baitline scan` with further `arguments`; nothing of it may be a crash.
fn scan(setting: &Setting, arguments: &[&str]) -> Ran {
    let ran = setting.run(&[&["scan"], arguments].concat(), b"");
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    ran
}

/// As [`scan`], with what it told as JSON.
fn told(setting: &Setting, arguments: &[&str]) -> Told {
    let ran = scan(setting, &[&["--json"], arguments].concat());
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    Told::read(&ran.stdout)
}

/// The hits of each incident, by its id.
fn incidents(told: &Told) -> BTreeMap<String, u64> {
    let mut incidents = BTreeMap::new();
    for alert in &told.alerts {
        let id = alert["incident_id"].as_str().expect("an id");
        *incidents.entry(id.to_owned()).or_default() += alert["count"].as_u64().expect("a count");
    }
    incidents
}

#[test]
fn the_exit_code_says_whether_there_was_a_hit() {
    let setting = Setting::empty();
    setting.write("clean", clean());
    setting.write("hit", hit(1, "2026-11-23T17:21:08.912184Z"));
    let expected = json!({
        "user": {"username": "system:kube-controller-manager"}, "verb": "get",
        "objectRef": {"resource": "secrets", "namespace": "honeypot", "name": "backup-sa-token"},
        "responseStatus": {"code": 200},
    });
    setting.write(
        "expected",
        joined([token_use(2, "10.0.3.7", expected).to_string()]),
    );
    for (arguments, code) in [
        (["clean"].as_slice(), 0),
        (&["expected"], 0),
        (&["hit"], 2),
        (&["clean", "hit", "expected"], 2),
        (&["clean", "missing"], 1),
        (&["hit", "missing"], 1),
        (&["hit", "--decoy", "shop/till"], 0),
    ] {
        let ran = scan(&setting, arguments);
        assert_eq!(ran.code, Some(code), "{arguments:?}: {}", ran.stderr);
        let is_told = ran
            .stdout
            .contains("CRITICAL opened: Token of decoy honeypot/backup-sa used");
        let is_hit = arguments.contains(&"hit") && arguments.len() < 4 && code != 0;
        assert_eq!(is_told, is_hit, "{arguments:?}: {}", ran.stdout);
    }
    assert!(!setting.path("alert.txt").exists(), "nothing is written");
}

/// Files are mapped, so that this signal may be one of theirs. It is not when somebody sends it: as in any program in Rust, the first
/// puts the default back, and the second ends it.
#[test]
fn a_bus_error_that_is_not_of_a_file_ends_the_program() {
    let setting = Setting::empty();
    // Longer than what is read in one go without being mapped.
    setting.write("log", clean().repeat(600_000));
    setting.write("broken.gz", &gzip(&clean())[..20]);
    let arguments = ["scan", "--threads", "1", "log", "broken.gz", "-"];
    let mut running = setting.start(setting.program(&arguments).stdin(Stdio::piped()));
    running.stderr.wait_for("broken.gz");
    running.write(b"{}\n");
    // One that comes before the last was taken is lost.
    for _ in 0..10 {
        running.signal("BUS");
        thread::sleep(Duration::from_millis(20));
    }
    let ran = running.wait();
    assert_eq!(ran.code, None, "{}", ran.stderr);
}

#[test]
fn what_is_no_command_is_told_how_to_write_one() {
    let setting = Setting::empty();
    setting.write("log", clean());
    for (arguments, said) in [
        (["scan"].as_slice(), "<PATH>"),
        (&["scan", "log", "--threads", "0"], "--threads"),
        (&["scan", "log", "--from", "yesterday"], "2h, 7d"),
        (
            &["scan", "log", "--from", "2026-11-02", "--to", "2026-11-02"],
            "is not before",
        ),
        (
            &["scan", "log", "--json", "--summary"],
            "cannot be used with",
        ),
        (&["scan", "log", "--decoy", "till"], "namespace/name"),
        (&["scan", "log", "--config", "none.yaml"], "none.yaml"),
    ] {
        let ran = setting.run(arguments, b"");
        assert_eq!((ran.code, &*ran.stdout), (Some(78), ""), "{arguments:?}");
        assert!(ran.stderr.contains(said), "{arguments:?}: {}", ran.stderr);
    }
    let common = setting.run(&["scan", "log", "--decoy", "kube-system/default"], b"");
    assert!(
        common.stderr.contains("WARN --decoy: decoy"),
        "{}",
        common.stderr
    );
    setting.write(
        "aggregator.yaml",
        "sources: { bus: { type: stdin, decoding: { codec: detection } } }\n\
         sinks: { terminal: { type: console, inputs: [bus] } }\n",
    );
    let ran = setting.run(&["scan", "log", "-c", "aggregator.yaml"], b"");
    assert_eq!(ran.code, Some(78));
    assert!(ran.stderr.contains("no decoys"), "{}", ran.stderr);
}

/// Budgets that no recording exceeds: a live run has its whole past in one moment, a scan has it in its own time.
fn with_budget() -> Value {
    let mut configuration = with_expected(decoy(true));
    configuration["transforms"]["incidents"]["rate_limit"] = json!({"threshold": 1_000_000});
    configuration
}

/// Both stages bear the time at which the request was received.
#[test]
fn the_stages_of_a_request_may_lie_in_two_files_that_are_named_in_any_order() {
    let setting = Setting::empty();
    let stage = |name: &str, time: &str, code: Value| {
        let changes = json!({"stage": name, "stageTimestamp": time, "responseStatus": code,
            "requestReceivedTimestamp": "2026-11-23T17:21:08.912184Z"});
        joined([token_use(1, "10.0.3.7", changes).to_string()])
    };
    setting.write(
        "a",
        stage(
            "RequestReceived",
            "2026-11-23T17:21:08.912184Z",
            json!(null),
        ),
    );
    setting.write(
        "b",
        stage(
            "ResponseComplete",
            "2026-11-23T17:21:08.914002Z",
            json!({"code": 403}),
        ),
    );
    let [forth, back] = [["a", "b"], ["b", "a"]].map(|files| scan(&setting, &files).stdout);
    assert_eq!(forth, back);
}

#[test]
fn recordings_give_what_run_gives_however_they_are_packed() {
    for folder in ["metadata", "request-response"] {
        for file in ["audit.ndjson.gz", "eventlist.ndjson.gz"] {
            let bytes = recording(folder, file);
            let setting = Setting::with(&with_budget());
            let live = setting.watch(&[], &bytes).told();
            let members = bytes.chunks(1 << 20).flat_map(gzip).collect();
            let frames = [
                zstd(&bytes[..bytes.len() / 2]),
                zstd(&bytes[bytes.len() / 2..]),
            ]
            .concat();
            for (name, packed) in [("log", bytes), ("log.gz", members), ("log.zst", frames)] {
                setting.write(name, packed);
                let told = told(&setting, &["--config", "baitline.json", name]);
                told.check_alerts();
                assert_eq!(told.found(), live.found(), "{folder} {file} {name}");
                assert_eq!(incidents(&told), incidents(&live), "{folder} {file} {name}");
                let position = told.detections[0]["origin"]["position"].as_str();
                assert!(position.is_some_and(|at| at.starts_with(&format!("{name}:"))));
            }
        }
    }
}

#[test]
fn without_a_configuration_it_is_the_example() {
    let setting = Setting::empty();
    setting.write("log", &*METADATA);
    // What `run` would write nobody asks of a search.
    fs::create_dir(setting.path("alert.txt")).expect("the directory is ours");
    let ran = scan(&setting, &["log"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(!ran.stderr.contains("alert.txt"), "{}", ran.stderr);
    assert!(
        ran.stdout
            .contains("CRITICAL opened: Token of decoy honeypot/backup-sa used")
    );
    assert!(!ran.stdout.contains('\u{1b}'), "no colour in a pipe");
    assert!(
        !ran.stderr.contains('\r') && !ran.stderr.contains('\u{1b}'),
        "no bar in a pipe"
    );
    assert!(ran.stderr.contains("searched"), "{}", ran.stderr);
    let quiet = scan(&setting, &["-q", "log"]);
    assert_eq!((quiet.stderr.as_str(), quiet.stdout), ("", ran.stdout));
}

/// Whoever looks back has not what the pipeline needs where it runs.
#[test]
fn a_configuration_needs_no_more_than_a_search_takes_of_it() {
    let setting = Setting::empty();
    setting.write("log", hit(1, "2026-11-23T17:00:00Z"));
    let decoys = "decoys: [{ service_account: \"${DECOY:-honeypot/backup-sa}\" }]\ncluster: prod\n\
                  transforms:\n  found: { type: detect, inputs: [bus] }\n  told: { type: dedupe, inputs: [found], idle_secs: 7 }\n";
    let elsewhere = "data_dir: \"${STATE_DIRECTORY}\"\napi: { enabled: true, address: \"${NOWHERE}\" }\n\
                     sources:\n  bus: { type: kafka, bootstrap_servers: \"${BROKERS}\", group_id: x, topics: [a],\n    \
                     sasl: { enabled: true, mechanism: PLAIN, username: x, password: \"${KAFKA_PASSWORD:?from the vault}\" } }\n\
                     sinks:\n  slack: { type: slack, inputs: [told], webhook_url: \"${SLACK_WEBHOOK_URL}\" }\n";
    setting.write("all.yaml", format!("{decoys}{elsewhere}"));
    setting.write("plain.yaml", format!("{decoys}sources: {{ bus: {{ type: stdin }} }}\nsinks: {{ t: {{ type: console, inputs: [told] }} }}\n"));
    let ran = scan(&setting, &["--json", "-c", "all.yaml", "log"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    let plain = scan(&setting, &["--json", "-c", "plain.yaml", "log"]);
    assert_eq!(ran.stdout, plain.stdout);
    assert!(
        ran.stdout.contains("\"cluster\":\"prod\""),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("\"source\":\"bus\""), "{}", ran.stdout);
    assert_eq!(setting.run(&["validate", "all.yaml"], b"").code, Some(78));
    // What it does take has to be sound.
    for (from, to, said) in [
        (
            "${DECOY:-honeypot/backup-sa}",
            "${DECOY}",
            "DECOY is not set",
        ),
        ("idle_secs: 7", "idle_sec: 7", "idle_secs"),
        ("type: dedupe", "type: \"${DEDUPE}\"", "DEDUPE is not set"),
    ] {
        setting.write("all.yaml", format!("{decoys}{elsewhere}").replace(from, to));
        let ran = scan(&setting, &["-c", "all.yaml", "log"]);
        assert_eq!(ran.code, Some(78), "{to}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "{to}: {}", ran.stderr);
    }
}

#[test]
fn from_and_to_bound_event_time_half_open() {
    let setting = Setting::empty();
    let times = [
        "2026-11-22T23:59:59.999999Z",
        "2026-11-23T00:00:00Z",
        "2026-11-23T12:00:00Z",
        "2026-11-24T00:00:00Z",
    ];
    let log: Vec<u8> = (1..)
        .zip(times)
        .flat_map(|(number, time)| hit(number, time))
        .collect();
    setting.write("log", log);
    for (arguments, wanted) in [
        (["--from", "2026-11-23"].as_slice(), &times[1..]),
        (&["--to", "2026-11-24"], &times[..3]),
        (
            &["--from", "2026-11-23", "--to", "2026-11-24"],
            &times[1..3],
        ),
        (
            &[
                "--from",
                "2026-11-23T12:00:00Z",
                "--to",
                "2026-11-23T12:00:00.000001Z",
            ],
            &times[2..3],
        ),
        (&["--from", "100y"], &times[..]),
        (&["--from", "-100y"], &times[..]),
    ] {
        let told = told(&setting, &[&["log"], arguments].concat());
        assert_eq!(told.detections.len(), wanted.len(), "{arguments:?}");
        assert_eq!(told.count(), wanted.len() as u64, "{arguments:?}");
    }
    let none = scan(&setting, &["log", "--from", "2027-01-01"]);
    assert_eq!((none.code, &*none.stdout), (Some(0), ""), "{}", none.stderr);
}

/// Hits in files and lines that are in no order, a day apart, and one more an hour after the first.
#[test]
fn event_time_is_the_clock() {
    let setting = Setting::empty();
    setting.write("a", hit(3, "2026-11-24T17:00:00Z"));
    setting.write(
        "b",
        [
            hit(2, "2026-11-23T17:05:00Z"),
            hit(1, "2026-11-23T17:00:00Z"),
        ]
        .concat(),
    );
    let told = told(&setting, &["a", "b"]);
    let alerts: Vec<_> = told
        .alerts
        .iter()
        .map(|alert| {
            let word = |key: &str| alert[key].as_str().expect("a word").to_owned();
            (word("kind"), word("first_seen"), alert["total"].as_u64())
        })
        .collect();
    let first = "2026-11-23T17:00:00.000000Z";
    let second = "2026-11-24T17:00:00.000000Z";
    let alert = |kind: &str, seen: &str, total| (kind.to_owned(), seen.to_owned(), Some(total));
    assert_eq!(
        alerts,
        [
            alert("opened", first, 1),
            alert("digest", first, 2),
            alert("closed", first, 2),
            alert("opened", second, 1),
            alert("closed", second, 1),
        ]
    );
    assert!(
        told.alerts.iter().all(|alert| alert["late_secs"].is_null()),
        "nothing is late"
    );
}

#[test]
fn a_summary_is_a_timeline_of_each_incident() {
    let setting = Setting::empty();
    let hostile = "\u{1b}[31m\n  severity low \u{202e}\"";
    let changes = json!({"userAgent": hostile, "requestURI": hostile, "requestReceivedTimestamp": "2026-11-23T17:05:00Z",
        "verb": hostile, "objectRef": {"resource": hostile, "namespace": hostile, "name": hostile}});
    let log = [
        joined([token_use(2, "10.0.3.7", changes).to_string()]),
        hit(1, "2026-11-23T17:00:00Z"),
        joined([token_use(3, "10.9.9.9", json!({})).to_string()]),
    ]
    .concat();
    setting.write("log", log);
    let ran = scan(&setting, &["--summary", "log"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    let text = &ran.stdout;
    assert!(!text.contains(['\u{1b}', '\u{202e}', '"']), "{text}");
    let headlines: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("CRITICAL "))
        .collect();
    let used = "CRITICAL Token of decoy honeypot/backup-sa used from";
    assert_eq!(headlines.len(), 2, "{text}");
    assert!(
        headlines[0].starts_with(&format!("{used} 10.0.3.7")),
        "{text}"
    );
    assert!(
        headlines[1].starts_with(&format!("{used} 10.9.9.9")),
        "{text}"
    );
    let who = "token_use by system:serviceaccount:honeypot:backup-sa from 10.0.3.7";
    assert!(
        text.contains(&format!("timeline   17:00:00 {who}: list namespaces 403\n")),
        "{text}"
    );
    assert!(
        text.contains(&format!("17:05:00 {who}: \\u{{1b}}[31m")),
        "{text}"
    );
    assert!(
        text.contains("seen       2026-11-23 17:00:00 to 17:05:00 UTC (5 min)\n"),
        "{text}"
    );
    assert!(text.ends_with("2 incidents, 3 hits\n"), "{text}");

    setting.write("clean", clean());
    let none = scan(&setting, &["--summary", "clean"]);
    assert_eq!(
        (none.code, &*none.stdout),
        (Some(0), "0 incidents, 0 hits\n")
    );
}

#[test]
fn a_reader_that_leaves_is_no_crash() {
    let setting = Setting::empty();
    let log: Vec<u8> = (0..5000)
        .flat_map(|number| hit(number, "2026-11-23T17:00:00Z"))
        .collect();
    setting.write("log", log);
    let mut program = setting.program(&["scan", "-q", "--json", "log"]);
    let mut child = program
        .stdin(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut first = [0; 10];
    let mut stdout = child.stdout.take().expect("a pipe");
    stdout.read_exact(&mut first).expect("the first bytes");
    drop(stdout);
    let output = child.wait_with_output().expect("it is our child");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
