//! `baitline scan`: the past, searched as a user searches it.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    os::unix::fs::symlink,
    process::Stdio,
    thread,
};

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use super::{
    harness::{Ran, Setting, decoy, with_expected},
    inputs::{METADATA, joined, lines, log, token_use},
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
    let ran = scan(&setting, &["log"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
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

/// What tells no time counts as written when its file was, whichever way that comes.
#[test]
fn a_file_on_standard_input_tells_when_it_was_written() {
    let setting = Setting::empty();
    let mut event = token_use(1, "10.0.3.7", json!({}));
    for key in ["requestReceivedTimestamp", "stageTimestamp"] {
        event.as_object_mut().expect("an object").remove(key);
    }
    setting.write("log", joined([event.to_string()]));
    let file = fs::File::open(setting.path("log")).expect("it is there");
    let written = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    file.set_modified(written).expect("it is ours");
    let mut program = setting.program(&["scan", "--json", "-"]);
    let ran = setting.start(program.stdin(file)).wait();
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    let told = Told::read(&ran.stdout);
    assert_eq!(told.detections[0]["time"], "2023-11-14T22:13:20.000000Z");
}

#[test]
fn a_directory_is_read_whole_and_in_order() {
    let setting = Setting::empty();
    fs::create_dir_all(setting.path("logs/2026/11")).expect("the directory is ours");
    setting.write("logs/b.log", hit(2, "2026-11-23T17:00:02Z"));
    setting.write("logs/2026/11/.hidden", hit(1, "2026-11-23T17:00:01Z"));
    // The same hit again, as a rotation that was copied has it.
    setting.write("logs/2026/11/z.gz", gzip(&hit(3, "2026-11-23T17:00:03Z")));
    setting.write("logs/a.log", hit(3, "2026-11-23T17:00:03Z"));
    symlink("../b.log", setting.path("logs/2026/link")).expect("the directory is ours");
    symlink("..", setting.path("logs/2026/loop")).expect("the directory is ours");
    let fifo = std::process::Command::new("mkfifo")
        .arg(setting.path("logs/fifo"))
        .status();
    assert!(fifo.expect("there is mkfifo").success());
    let told = told(&setting, &["logs"]);
    let positions: Vec<_> = told
        .detections
        .iter()
        .map(|detection| {
            detection["origin"]["position"]
                .as_str()
                .expect("a position")
        })
        .collect();
    let wanted = [
        "logs/2026/11/.hidden:0",
        "logs/2026/link:0",
        "logs/2026/11/z.gz:0",
        "logs/a.log:0",
    ];
    assert_eq!(positions, wanted);
    assert_eq!(told.count(), 3, "a repetition counts once");
    told.check_alerts();

    let by_glob = scan(&setting, &["logs/*.log"]);
    assert_eq!(by_glob.code, Some(2), "{}", by_glob.stderr);
    let none = scan(&setting, &["logs/*.zst", "logs/a.log"]);
    assert_eq!(none.code, Some(1));
    assert!(
        none.stderr
            .contains("logs/*.zst: there is no such file, and as a pattern it matches nothing"),
        "{}",
        none.stderr
    );
    assert!(
        none.stdout.contains("opened"),
        "the other is searched all the same"
    );
}

#[test]
fn damage_is_told_and_what_stood_before_it_is_found() {
    let setting = Setting::empty();
    let mut log = hit(1, "2026-11-23T17:00:01Z");
    let noise: Vec<u8> = (0..200_000_u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    log.extend(noise);
    for (name, packed, reason) in [
        ("damaged.gz", gzip(&log), "damaged Gzip data"),
        ("damaged.zst", zstd(&log), "damaged Zstd data"),
        ("cut.gz", gzip(&log), "cut off"),
        ("cut.zst", zstd(&log), "cut off"),
    ] {
        let mut packed = packed;
        match name.starts_with("cut") {
            true => packed.truncate(packed.len() - 10_000),
            false => {
                let middle = packed.len() - 200_000;
                packed[middle..middle + 1000].fill(0xff);
                packed.splice(middle..middle, *b"\xff\x00\xff");
            }
        }
        setting.write(name, packed);
        setting.write("later", hit(2, "2026-11-23T17:00:02Z"));
        let ran = scan(&setting, &["--json", name, "later"]);
        assert_eq!(ran.code, Some(1), "{name}: {}", ran.stderr);
        assert!(ran.stderr.contains(&format!("{name}: ")), "{}", ran.stderr);
        if name.starts_with("cut") {
            assert!(ran.stderr.contains(reason), "{}", ran.stderr);
        }
        assert_eq!(Told::read(&ran.stdout).count(), 2, "{name}");
    }
    let ran = setting.run(&["scan", "-q", "--json", "-"], &gzip(&log)[..1000]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("stdin: Gzip data is cut off"),
        "{}",
        ran.stderr
    );
}

/// What is packed in a way that is not undone must not pass for a log without a hit.
#[test]
fn what_is_not_read_is_told_by_what_it_is() {
    let setting = Setting::empty();
    let log = hit(1, "2026-11-23T17:00:01Z");
    let wide = String::from_utf8_lossy(&log)
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let zip = [b"PK\x03\x04".as_slice(), &[0x14; 40]].concat();
    let xz = [b"\xfd7zXZ\0".as_slice(), &vec![0xaa; 17 << 20]].concat();
    for (name, bytes, said) in [
        (
            "log.xz",
            xz.clone(),
            "this is xz data, which is not read: unpack it first, with xz -dc",
        ),
        ("log.xz.gz", gzip(&xz[..1000]), "xz data"),
        ("log.bz2", b"BZh91AY&SY\x1d\xcb".to_vec(), "bzip2 -dc"),
        ("log.zip", zip, "unzip -p"),
        ("log.lz4", b"\x04\x22\x4d\x18\x64\x40".to_vec(), "lz4 -dc"),
        ("log.7z", b"7z\xbc\xaf\x27\x1c\0\x04".to_vec(), "7z archive"),
        ("log.sz", b"\xff\x06\0\0sNaPpY".to_vec(), "snappy"),
        ("log.txt", wide, "UTF-16"),
        ("log.gz.gz.gz", gzip(&gzip(&gzip(&log))), "gzip -dc"),
    ] {
        setting.write(name, &bytes);
        let ran = scan(&setting, &[name]);
        assert_eq!(ran.code, Some(1), "{name}: {}", ran.stderr);
        let told = ran
            .stderr
            .lines()
            .find(|line| line.contains(&format!("{name}: ")));
        assert!(
            told.is_some_and(|told| told.contains(said)),
            "{name}: {}",
            ran.stderr
        );
        let beginning = &bytes[..bytes.len().min(10_000)];
        let piped = setting.run(&["scan", "-"], beginning);
        assert_eq!(piped.code, Some(1), "{name}: {}", piped.stderr);
        assert!(piped.stderr.contains(said), "{name}: {}", piped.stderr);
        let live = setting.run(&["run"], beginning);
        assert_eq!(live.code, Some(0), "{name}: {}", live.stderr);
        assert!(
            live.stderr.contains("WARN") && live.stderr.contains(said),
            "{name}: {}",
            live.stderr
        );
    }
}

#[test]
fn what_was_packed_twice_or_by_several_threads_is_read() {
    let setting = Setting::empty();
    let log = hit(1, "2026-11-23T17:00:01Z");
    // As pzstd writes it: in front of each frame one that tells its length.
    let frame = zstd(&log);
    let length = (frame.len() as u32).to_le_bytes();
    let parallel = [b"\x50\x2a\x4d\x18\x04\0\0\0".as_slice(), &length, &frame].concat();
    for (name, packed) in [
        ("log.gz.gz", gzip(&gzip(&log))),
        ("log.gz.zst", zstd(&gzip(&log))),
        ("log.zst", parallel),
    ] {
        setting.write(name, packed);
        assert_eq!(told(&setting, &[name]).count(), 1, "{name}");
    }
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("memory takes all");
    encoder.window_log(28).expect("the library can do more");
    encoder.write_all(&log).expect("memory takes all");
    setting.write("wide.zst", encoder.finish().expect("memory takes all"));
    let ran = scan(&setting, &["wide.zst"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("zstd -dc --long=31") && !ran.stderr.contains("damaged"),
        "{}",
        ran.stderr
    );
}

/// The files of a tar archive are searched as one text, with the headers between them.
#[test]
fn a_tar_archive_is_told_and_searched_as_it_is() {
    let setting = Setting::empty();
    setting.write("a.log", hit(1, "2026-11-23T17:00:01Z"));
    setting.write("b.log", hit(2, "2026-11-23T17:00:02Z"));
    for (options, name) in [("-cf", "logs.tar"), ("-czf", "logs.tar.gz")] {
        let made = std::process::Command::new("tar")
            .current_dir(setting.path(""))
            .args([options, name, "a.log", "b.log"])
            .status();
        assert!(made.expect("there is tar").success());
        let ran = scan(&setting, &["--json", name]);
        assert_eq!(ran.code, Some(1), "{}", ran.stderr);
        assert!(ran.stderr.contains("tar -xO"), "{}", ran.stderr);
        assert_eq!(Told::read(&ran.stdout).count(), 2, "{name}: {}", ran.stdout);
    }
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

#[test]
fn a_fifo_that_is_named_is_a_stream() {
    let setting = Setting::empty();
    let path = setting.path("fifo");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.expect("there is mkfifo").success());
    let writer = thread::spawn(move || fs::write(path, gzip(&hit(1, "2026-11-23T17:00:00Z"))));
    let told = told(&setting, &["fifo"]);
    writer.join().expect("no panic").expect("the program reads");
    assert_eq!(told.count(), 1);
}

fn make_fifo(setting: &Setting, name: &str) {
    let made = std::process::Command::new("mkfifo")
        .arg(setting.path(name))
        .status();
    assert!(made.expect("there is mkfifo").success());
}

#[test]
fn a_glob_ends_and_waits_for_nobody() {
    let setting = Setting::empty();
    fs::create_dir_all(setting.path("logs/a/b")).expect("the directory is ours");
    setting.write("logs/a/b/hit.log", hit(1, "2026-11-23T17:00:00Z"));
    for loop_name in ["logs/loop", "logs/a/loop", "logs/a/b/loop"] {
        symlink("..", setting.path(loop_name)).expect("the directory is ours");
    }
    symlink("nowhere", setting.path("logs/dangling.log")).expect("the directory is ours");
    make_fifo(&setting, "logs/fifo.log");
    let ran = scan(&setting, &["logs/**/*.log"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stdout.contains("opened"), "{}", ran.stdout);
    assert!(
        ran.stderr.contains("ERROR logs/dangling.log: No such file"),
        "{}",
        ran.stderr
    );
    let passed = "INFO logs/fifo.log: passed: neither a file nor a directory";
    assert!(ran.stderr.contains(passed), "{}", ran.stderr);
    let listed = scan(&setting, &["logs"]);
    assert!(listed.stderr.contains(passed), "{}", listed.stderr);
    assert!(
        listed
            .stderr
            .contains("ERROR logs/dangling.log: No such file"),
        "{}",
        listed.stderr
    );
}

#[test]
fn a_stream_that_is_named_twice_is_read_once() {
    let setting = Setting::empty();
    make_fifo(&setting, "fifo");
    let path = setting.path("fifo");
    let writer = thread::spawn(move || fs::write(path, hit(1, "2026-11-23T17:00:00Z")));
    let ran = scan(&setting, &["--json", "fifo", "./fifo"]);
    writer.join().expect("no panic").expect("the program reads");
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert_eq!(Told::read(&ran.stdout).count(), 1);
    assert!(
        ran.stderr
            .contains("INFO ./fifo: named twice, and read once"),
        "{}",
        ran.stderr
    );

    let ran = setting.run(
        &["scan", "--json", "-", "-"],
        &hit(1, "2026-11-23T17:00:00Z"),
    );
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("INFO -: named twice, and read once"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("inputs=1"), "{}", ran.stderr);
}

#[test]
fn names_of_files_do_nothing_to_a_terminal() {
    let setting = Setting::empty();
    let hostile = "\u{1b}[31m\u{9b}1m\u{202e}\r\nERROR x";
    let name = |what: &str| format!("{hostile}/{what}{hostile}");
    fs::create_dir_all(setting.path(name("folder"))).expect("the directory is ours");
    setting.write(&name("hit"), hit(1, "2026-11-23T17:00:00Z"));
    setting.write(&name("cut"), &hit(2, "2026-11-23T17:00:00Z")[..400]);
    setting.write(&name("damaged"), &gzip(&[b'x'; 1000])[..20]);
    symlink("nowhere", setting.path(name("dangling"))).expect("the directory is ours");
    symlink(".", setting.path(name("link"))).expect("the directory is ours");
    make_fifo(&setting, &name("fifo"));
    let missing = name("missing");
    let pattern = name("*missing*");
    for shown in [
        &["--json"][..],
        &["--summary"],
        &["--log-format", "json"],
        &[],
    ] {
        let ran = scan(&setting, &[shown, &[hostile, &missing, &pattern]].concat());
        assert_eq!(ran.code, Some(1), "{}", ran.stderr);
        for (stream, text) in [("out", &ran.stdout), ("err", &ran.stderr)] {
            let acts = |char: char| char.is_control() && char != '\n' || char == '\u{202e}';
            assert!(!text.contains(acts), "{shown:?} {stream}: {text:?}");
            assert!(!text.contains("\nERROR x"), "{shown:?} {stream}: {text:?}");
        }
        assert!(ran.stderr.contains("neither a file nor"), "{}", ran.stderr);
    }
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

#[test]
fn a_full_disk_is_told_at_once_and_by_where_it_is() {
    let setting = Setting::empty();
    let room = setting.path("room").display().to_string();
    fs::create_dir(&room).expect("the directory is ours");
    let binary = env!("CARGO_BIN_EXE_baitline");
    // A file may not grow beyond this; the write fails as on a full disk, but for the reason.
    let script = format!("trap '' XFSZ; ulimit -f 4000; exec {binary} scan --json -");
    let mut program = std::process::Command::new("sh");
    program.args(["-c", &script]).env("TMPDIR", &room);
    program
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
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
