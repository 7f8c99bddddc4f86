//! The lines of a container's log, cut by its runtime within the names of the decoy.

use serde_json::{Value, json};

use super::{
    fluent::connect,
    harness::{Ran, Running, Setting, configuration, decoy, watch, with_expected},
    inputs::{METADATA, lines, token_use},
    poster::{Poster, address},
    variants::found_by_decoding,
};
use crate::msgpack;

/// The recording as containerd writes it, if it cut each line within each `honeypot` and `backup`; with lines of stderr between.
fn container_log() -> Vec<u8> {
    let mut log = Vec::new();
    for line in lines(&METADATA) {
        let text = String::from_utf8_lossy(line);
        let text = text
            .replace("honeypot", "honey\npot")
            .replace("backup", "bac\nkup");
        let parts: Vec<&str> = text.split('\n').collect();
        for (number, part) in parts.iter().enumerate() {
            let tag = if number + 1 < parts.len() { "P" } else { "F" };
            let time = "2026-11-23T17:21:01.912216789Z";
            log.extend(
                format!("{time} stdout {tag} {part}\n{time} stderr F I1123 audit stdout P\n")
                    .bytes(),
            );
        }
    }
    log
}

#[test]
fn standard_input_joins_them() {
    let told = watch(&with_expected(decoy(true)), &container_log()).told();
    told.check_alerts();
    assert_eq!(told.found(), found_by_decoding(&METADATA));
}

#[test]
fn a_file_that_rotates_between_two_parts_is_read_on_after_a_kill() {
    let mut configuration = with_expected(decoy(true));
    configuration["data_dir"] = json!("state");
    configuration["sources"]["audit"] =
        json!({"type": "file", "include": ["0.log*"], "glob_minimum_cooldown_ms": 20});
    configuration["sinks"]["terminal"] =
        json!({"type": "console", "inputs": ["detections"], "encoding": {"codec": "json"}});
    let setting = Setting::with(&configuration);
    let log = container_log();
    let cut = memchr::memmem::find(&log, b" stdout P ").expect("a part");
    let cut = cut + memchr::memchr(b'\n', &log[cut..]).expect("its end") + 1;
    setting.write("0.log", &log[..cut]);
    let running = setting.start_watch(&[]);
    running.stderr.wait_for("watching");
    drop(running);
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(setting.path("0.log"))
        .expect("it is there");
    std::io::Write::write_all(&mut file, &log[cut..]).expect("the directory is ours");
    std::fs::rename(setting.path("0.log"), setting.path("0.log.20261123"))
        .expect("the directory is ours");
    let wanted = found_by_decoding(&METADATA);
    let running = setting.start_watch(&[]);
    running.stdout.wait_until("all detections", |heard| {
        heard.text().lines().count() >= wanted.len()
    });
    running.signal("TERM");
    let ran = running.wait();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(ran.told().found(), wanted);
}

/// An event of the decoy as a shipper passes it on, cut within its name.
fn cut_event() -> [Value; 2] {
    let text = token_use(1, "10.0.3.7", json!({})).to_string();
    let cut = text.find("eypot").expect("the name");
    let record =
        |tag: &str, text: &str| json!({"stream": "stdout", "logtag": tag, "message": text});
    [record("P", &text[..cut]), record("F", &text[cut..])]
}

/// A program that listens, told of by nothing but what is posted or sent to it.
fn listen(source: Value) -> Running {
    let mut configuration = configuration(decoy(true));
    configuration["sources"]["audit"] = source;
    let mut running = Setting::with(&configuration).start_watch(&[]);
    running.close_stdin();
    running
}

fn techniques(running: Running) -> Vec<String> {
    running.signal("TERM");
    let ran: Ran = running.wait();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let detections = ran.told().detections.into_iter();
    let technique = |detection: Value| detection["technique"].as_str().map(str::to_owned);
    detections.filter_map(technique).collect()
}

#[test]
fn two_requests_by_two_connections_bring_the_parts_of_one_event() {
    let running = listen(json!({"type": "http_server", "address": "127.0.0.1:0"}));
    let address = address(&running);
    for part in cut_event() {
        let mut poster = Poster::connect(address).expect("it listens");
        let body = json!([part]).to_string();
        let answer = poster.post("/", &[], body.as_bytes()).expect("it answers");
        assert_eq!(answer.status, 200);
    }
    assert_eq!(techniques(running), ["token_use"]);
}

#[test]
fn parts_that_forward_brings_are_of_one_event_if_they_have_one_tag() {
    for (tags, wanted) in [
        (["kube.a", "kube.a"], &["token_use"][..]),
        (["kube.a", "kube.b"], &[]),
    ] {
        let running = listen(json!({"type": "fluent", "address": "127.0.0.1:0"}));
        for (part, tag) in cut_event().iter().zip(tags) {
            let mut client = connect(address(&running));
            let entry = msgpack::Value::Array(vec![
                msgpack::Value::time(1_795_455_390, 0),
                msgpack::Value::from(part),
            ]);
            let options = msgpack::Value::map([("chunk", "c".into())]);
            let entries = msgpack::Value::Array(vec![entry]);
            let message = msgpack::Value::Array(vec![tag.into(), entries, options]);
            client.send(&message.bytes());
            assert_eq!(client.ack().as_deref(), Some("c"));
        }
        assert_eq!(techniques(running), wanted);
    }
}

#[test]
fn a_part_that_nothing_follows_is_told_of_at_the_end() {
    let running = listen(json!({"type": "http_server", "address": "127.0.0.1:0"}));
    let mut poster = Poster::connect(address(&running)).expect("it listens");
    let text = token_use(1, "10.0.3.7", json!({})).to_string();
    let part = json!({"logtag": "P", "log": &text[..text.len() - 1]});
    let answer = poster.post("/", &[], part.to_string().as_bytes());
    assert_eq!(answer.expect("it answers").status, 200);
    assert_eq!(techniques(running), ["undecodable"]);
}

#[test]
fn scan_finds_what_was_cut_wherever_a_large_file_is_divided() {
    // Ranges have 16 MiB.
    let noise = format!("{}\n", json!({"message": "x".repeat(1 << 10)}));
    let [first, last] = cut_event().map(|part| format!("{part}\n"));
    let noise = noise.repeat(((16 << 20) - first.len()) / noise.len());
    let filler = (16 << 20) - first.len() - noise.len();
    let filler = format!("{}\n", " ".repeat(filler.max(1) - 1));
    let setting = Setting::with(&configuration(decoy(true)));
    let text = [&*noise, &filler, &first, &last, &noise].concat();
    setting.write("0.ndjson", text.as_bytes());
    let ran = setting.run(&["scan", "--json", "0.ndjson"], b"");
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stdout.contains("token_use"), "{}", ran.stdout);
}
