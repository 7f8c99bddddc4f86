//! The source `http_server`, posted to by what real shippers sent and by those that want more than a status.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::{Compression, write::GzEncoder};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};

use super::{
    harness::{Running, Setting, configuration, decoy, watch, with_expected},
    inputs::{joined, token_use},
    poster::{Poster, address},
    told::Told,
};
use crate::{
    protobuf::otlp,
    recall::{compare, expected, keys_of_lists},
    recordings::{self, labels, recording},
};

/// `configuration` with an http_server in place of standard input.
fn listening(mut configuration: Value, options: Value) -> Value {
    let mut source = json!({"type": "http_server", "address": "127.0.0.1:0"});
    let fields = source.as_object_mut().expect("an object");
    fields.extend(options.as_object().expect("an object").clone());
    configuration["sources"]["audit"] = source;
    configuration
}

/// A program that listens, and a connection to it.
fn start(configuration: &Value) -> (Running, Poster) {
    let mut running = Setting::with(configuration).start_watch(&[]);
    running.close_stdin();
    let poster = Poster::connect(address(&running)).expect("it listens");
    (running, poster)
}

/// What it has told at its end.
fn end(running: Running) -> Told {
    running.signal("TERM");
    let ran = running.wait();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.told()
}

fn read(folder: &str, file: &str) -> Vec<u8> {
    fs::read(recordings::path(folder, file)).expect("the recording is there")
}

/// What a shipper posted, with the headers that it sent along.
#[test]
fn what_shippers_post_is_what_went_into_them() {
    let plain = watch(
        &configuration(decoy(true)),
        &read("fluent-bit", "input.ndjson"),
    )
    .told();
    assert!(plain.hits() >= 4);
    let recordings = [
        ("fluent-bit", "http-json"),
        ("fluent-bit", "http-json-gzip"),
        ("fluent-bit", "http-json-lines"),
        ("fluent-bit", "http-json-stream"),
        ("fluent-bit", "http-msgpack"),
        ("vector", "http-json-array"),
        ("vector", "http-json-gzip"),
        ("vector", "http-json-zstd"),
        ("vector", "http-ndjson"),
    ];
    for (folder, name) in recordings {
        let sent = read(folder, &format!("{name}.headers.json"));
        let sent: Value = serde_json::from_slice(&sent).expect("JSON");
        let path = sent["path"].as_str().expect("a path");
        let headers = sent["headers"].as_object().expect("headers").iter();
        let headers: Vec<_> = headers
            .filter(|(name, _)| !name.eq_ignore_ascii_case("content-length"))
            .map(|(name, value)| (name.clone(), value.as_str().expect("text").to_owned()))
            .collect();
        let (running, mut poster) = start(&listening(
            configuration(decoy(true)),
            json!({"path": path}),
        ));
        let body = read(folder, &format!("{name}.bin"));
        let answer = poster.post(path, &headers, &body).expect("it answers");
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{name}");
        let told = end(running);
        assert_eq!(told.found(), plain.found(), "{folder}/{name}");
        assert_eq!(told.counts_by_key(), plain.counts_by_key());
        let position = told.detections[0]["origin"]["position"].as_str();
        assert!(position.is_some_and(|at| at.starts_with("http:127.0.0.1:") && at.ends_with("#1")));
    }
}

/// What Promtail and Alloy push: its labels say where it comes from. What is cut off, or says a wrong length, is read as far as
/// it goes.
#[test]
fn a_push_to_loki_is_what_went_into_it_and_its_labels_are_the_origin() {
    let mut setting = configuration(decoy(true));
    setting["cluster"] = "prod".into();
    let plain = watch(&setting, &read("fluent-bit", "input.ndjson")).told();
    let headers = [(
        "Content-Type".to_owned(),
        "application/x-protobuf".to_owned(),
    )];
    let post = |push: &[u8]| {
        let (running, mut poster) = start(&listening(configuration(decoy(true)), json!({})));
        let answer = poster.post("/", &headers, push).expect("it answers");
        assert_eq!(answer.status, 200, "{}", answer.body);
        end(running)
    };
    let push = read("loki", "push-snappy.bin");
    for push in [&push, &read("loki", "push-plain.bin")] {
        let told = post(push);
        assert_eq!(told.found(), plain.found());
        for detection in &told.detections {
            let origin = &detection["origin"];
            let text = |key: &str| origin[key].as_str().unwrap_or_default();
            assert_eq!(text("cluster"), "prod");
            assert_eq!(text("namespace"), "kube-system");
            assert_eq!(text("container"), "kube-apiserver");
            let (pod, node) = (text("pod"), text("node"));
            assert!(pod.starts_with("kube-apiserver-cp-"), "{origin}");
            assert!(node.starts_with("cp-"), "{origin}");
        }
    }
    let lie = [b"\xff\xff\xff\x0f", &push[2..]].concat();
    assert_eq!(post(&lie).found(), plain.found());
    let half = post(&push[..push.len() * 3 / 4]);
    assert!(half.hits() > 1 && half.hits() < plain.hits());
}

/// What the Collector posts: the attributes of its resource say where it comes from.
#[test]
fn an_export_of_opentelemetry_is_what_went_into_it() {
    let mut setting = configuration(decoy(true));
    setting["cluster"] = "prod".into();
    let input = read("fluent-bit", "input.ndjson");
    let plain = watch(&setting, &input).told();
    let text = String::from_utf8(input).expect("it is text");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let written = encoder.write_all(&otlp::of_texts(text.lines()));
    let packed = written.and_then(|()| encoder.finish());
    let (running, mut poster) = start(&listening(
        configuration(decoy(true)),
        json!({"path": "/v1/logs"}),
    ));
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let headers = [
        header("Host", "x"),
        header("Content-Type", "application/x-protobuf"),
        header("Content-Encoding", "gzip"),
    ];
    let packed = packed.expect("memory takes all");
    let answer = poster.post("/v1/logs", &headers, &packed);
    let answer = answer.expect("it answers");
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    assert_eq!(answer.headers["content-type"], "application/x-protobuf");
    let told = end(running);
    assert_eq!(told.found(), plain.found());
    for detection in &told.detections {
        assert_eq!(detection["origin"]["cluster"], "prod");
        assert_eq!(detection["origin"]["node"], "cp-1");
    }
}

/// The webhook backend's own bodies, up to 400 events each, by four connections at a time.
#[test]
fn the_webhook_of_the_api_server() {
    let bytes = recording("metadata", "eventlist.ndjson.gz");
    let bodies: Vec<&[u8]> = bytes
        .split(|byte| *byte == b'\n')
        .filter(|body| !body.is_empty())
        .collect();
    let (running, _) = start(&listening(with_expected(decoy(true)), json!({})));
    let address = address(&running);
    thread::scope(|scope| {
        for part in bodies.chunks(bodies.len().div_ceil(4)) {
            scope.spawn(move || {
                let mut poster = Poster::connect(address).expect("it listens");
                for body in part {
                    let answer = poster.post_json(body).expect("it answers");
                    assert_eq!(answer.status, 200, "{}", answer.body);
                }
            });
        }
    });
    let told = end(running);
    let recorded = keys_of_lists(&bytes);
    let wanted = expected(&labels("metadata", "labels.ndjson"), |key| {
        recorded.contains(key)
    });
    assert!(wanted.len() > 100);
    compare(&told.requests(), &wanted);
    told.check_alerts();
}

/// As each cloud wraps what it posts; each is answered in its own words.
#[test]
fn clouds_that_push() {
    let event = |number| token_use(number, "10.0.3.7", json!({})).to_string();
    let subscription = json!({
        "messageType": "DATA_MESSAGE", "owner": "1", "logGroup": "/aws/eks/prod/cluster", "logStream": "kube-apiserver-audit-1",
        "subscriptionFilters": ["all"],
        "logEvents": [{"id": "1", "timestamp": 1_763_918_468_912_i64, "message": event(2)}],
    });
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let written = encoder.write_all(subscription.to_string().as_bytes());
    let packed = written
        .and_then(|()| encoder.finish())
        .expect("memory takes all");
    let push = json!({"message": {"data": STANDARD.encode(event(1)), "messageId": "1", "publishTime": "2026-11-23T17:21:09Z"}, "subscription": "projects/p/subscriptions/s"});
    let firehose = json!({"requestId": "ed4acda5", "timestamp": 1_763_918_469_000_i64, "records": [{"data": STANDARD.encode(&packed)}]});
    let grid = json!([{
        "id": "1", "topic": "/subscriptions/x", "subject": "", "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "data": {"validationCode": "512d38b6"}, "eventTime": "2026-11-23T17:21:09Z",
    }]);
    let (running, mut poster) = start(&listening(configuration(decoy(true)), json!({})));
    let mut post = |header: Option<(&str, &str)>, body: &Value| {
        let mut headers = vec![("Host".to_owned(), "x".to_owned())];
        headers.extend(header.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let answer = poster
            .post("/", &headers, body.to_string().as_bytes())
            .expect("it answers");
        assert_eq!(answer.status, 200);
        answer.body
    };
    assert_eq!(post(None, &push), "");
    let answer = post(Some(("X-Amz-Firehose-Request-Id", "ed4acda5")), &firehose);
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!(answer["requestId"], "ed4acda5");
    assert!(answer["timestamp"].is_number());
    let answer = post(Some(("aeg-event-type", "SubscriptionValidation")), &grid);
    assert_eq!(answer, r#"{"validationResponse":"512d38b6"}"#);
    let told = end(running);
    let mut found: Vec<_> = told
        .detections
        .iter()
        .map(|detection| detection["request"]["audit_id"].as_str())
        .collect();
    found.sort_unstable();
    assert_eq!(found, [Some("request-1"), Some("request-2")]);
}

/// What was answered 200 is told after a kill at any instant; what was not is posted again.
#[test]
fn what_was_answered_outlives_a_kill() {
    let mut configuration = listening(configuration(decoy(true)), json!({}));
    configuration["data_dir"] = "data".into();
    let setting = Setting::with(&configuration);
    let mut answered = Vec::new();
    let mut number = 0;
    for _ in 0..3 {
        let mut running = setting.start_watch(&[]);
        running.close_stdin();
        let address = address(&running);
        let posting = thread::spawn(move || {
            let mut answered = Vec::new();
            let Ok(mut poster) = Poster::connect(address) else {
                return (answered, number);
            };
            loop {
                number += 1;
                let event = token_use(
                    number,
                    &format!("10.0.{}.{}", number / 250, number % 250),
                    json!({}),
                );
                match poster.post_json(event.to_string()) {
                    Ok(answer) if answer.status == 200 => {
                        answered.push(format!("request-{number}"))
                    }
                    _ => return (answered, number),
                }
            }
        });
        thread::sleep(Duration::from_millis(300));
        running.signal("KILL");
        let (some, last) = posting.join().expect("the poster does not panic");
        answered.extend(some);
        number = last;
        drop(running);
    }
    assert!(answered.len() > 10, "{}", answered.len());
    let mut running = setting.start_watch(&[]);
    running.close_stdin();
    address(&running);
    running.signal("TERM");
    let ran = running.wait();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let told = ran.file("told.ndjson");
    for request in answered {
        assert!(
            told.contains(&format!("\"{request}\"")),
            "{request} was answered and is not told"
        );
    }
}

#[test]
fn secrets_and_refusals_are_in_metrics_by_number_and_nowhere_by_name() {
    let mut configuration = listening(
        configuration(decoy(true)),
        json!({"auth": {"strategy": "basic", "username": "apiserver", "password": "s3cretOfTheSource"}}),
    );
    configuration["api"] = json!({"enabled": true, "address": "127.0.0.1:0"});
    let (running, mut poster) = start(&configuration);
    let event = joined([token_use(1, "10.0.3.7", json!({})).to_string()]);
    let answer = poster.post_json(&event).expect("it answers");
    assert_eq!(answer.status, 401);
    assert!(answer.headers["www-authenticate"].starts_with("Basic "));
    let mut poster = Poster::connect(address(&running)).expect("it listens");
    let headers = [
        ("Host".to_owned(), "x".to_owned()),
        (
            "Authorization".to_owned(),
            format!("Basic {}", STANDARD.encode("apiserver:s3cretOfTheSource")),
        ),
    ];
    assert_eq!(
        poster
            .post("/", &headers, &event)
            .expect("it answers")
            .status,
        200
    );

    let log = running.stderr.text();
    let api = log
        .lines()
        .find(|line| line.contains("serving /health"))
        .expect("it serves");
    let (_, at) = api.split_once("address=").expect("an address");
    let mut stream = TcpStream::connect(at.trim()).expect("it listens");
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").expect("it reads");
    let mut metrics = String::new();
    stream.read_to_string(&mut metrics).expect("it answers");
    let labels = r#"component_id="audit",component_kind="source",component_type="http_server""#;
    for line in [
        format!("baitline_source_refused_total{{{labels},reason=\"auth\"}} 1"),
        format!("baitline_source_refused_total{{{labels},reason=\"overload\"}} 0"),
        format!("component_received_events_total{{{labels}}} 1"),
        format!("connection_established_total{{{labels}}} 2"),
    ] {
        assert!(metrics.contains(&line), "{line} is not in\n{metrics}");
    }
    assert!(metrics.contains(&format!("open_connections{{{labels}}} ")));
    running.signal("TERM");
    let ran = running.wait();
    assert!(!ran.stderr.contains("s3cretOfTheSource") && !metrics.contains("s3cretOfTheSource"));
    assert_eq!(ran.told().hits(), 1);
}

#[test]
fn a_form_that_is_not_read_is_named_in_the_log() {
    let (running, mut poster) = start(&listening(configuration(decoy(true)), json!({})));
    let xz = b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4\x46";
    assert_eq!(poster.post_json(xz).expect("it answers").status, 200);
    running
        .stderr
        .wait_for("this is xz data, which is not read: unpack it first, with xz -dc");
    assert_eq!(end(running).count(), 0);
}

#[test]
fn an_address_that_is_taken_is_said_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let configuration = listening(configuration(decoy(true)), json!({"address": address}));
    let ran = Setting::with(&configuration).start_watch(&[]).end();
    assert_eq!(ran.code, Some(1));
    let wanted = format!(
        "cannot listen at {address}: Address already in use (os error 98); write another address, or stop who listens there"
    );
    assert!(ran.stderr.contains(&wanted), "{}", ran.stderr);
}

#[test]
fn validate_warns_of_a_listener_that_others_reach() {
    let validate = |options: Value| {
        let configuration = listening(configuration(decoy(true)), options);
        let setting = Setting::with(&configuration);
        let ran = setting.run(&["validate", "baitline.json"], b"");
        (ran.code, ran.stderr)
    };
    assert_eq!(validate(json!({})), (Some(0), String::new()));
    let (code, open) = validate(json!({"address": "0.0.0.0:8080"}));
    assert_eq!(code, Some(0));
    assert!(open.contains("source \"audit\" (http_server) listens on an address that other machines may reach, and neither encrypts"), "{open}");
    let tls = |name: &str| {
        recordings::path("tls", name)
            .to_str()
            .expect("UTF-8")
            .to_owned()
    };
    let identity =
        json!({"enabled": true, "crt_file": tls("server.crt"), "key_file": tls("server.key")});
    let (_, anybody) = validate(json!({"address": "[::]:8080", "tls": identity}));
    assert!(
        anybody.contains("and asks nobody who they are; write auth"),
        "{anybody}"
    );
    let auth = json!({"strategy": "bearer", "token": "t0ken"});
    let (_, plain) = validate(json!({"address": "10.0.0.1:8080", "auth": auth}));
    assert!(plain.contains("and does not encrypt; write tls"), "{plain}");
    let both = json!({"address": "0.0.0.0:8080", "tls": identity, "auth": auth});
    assert_eq!(validate(both), (Some(0), String::new()));
    let mut forward = configuration(decoy(true));
    forward["sources"]["audit"] = json!({"type": "fluent", "address": "0.0.0.0:24224"});
    let ran = Setting::with(&forward).run(&["validate", "baitline.json"], b"");
    assert_eq!(ran.code, Some(0));
    let wanted = "source \"audit\" (fluent) listens on an address that other machines may reach, and neither encrypts nor asks anybody who they are; write tls: { enabled: true, crt_file: …, key_file: … } and shared_key, or let it listen on 127.0.0.1";
    assert!(ran.stderr.contains(wanted), "{}", ran.stderr);
    let missing = json!({"tls": {"enabled": true, "crt_file": "/nowhere/tls.crt", "key_file": "/nowhere/tls.key"}});
    let (code, missing) = validate(missing);
    assert_eq!(code, Some(0));
    assert!(
        missing.contains("/nowhere/tls.crt cannot be read")
            && missing.contains("it must be there when baitline runs"),
        "{missing}"
    );
    let mut others = identity.clone();
    others["key_file"] = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls/client.key").into();
    let (code, others) = validate(json!({"tls": others}));
    assert_eq!(code, Some(78));
    assert!(others.contains("another certificate's"), "{others}");

    for (options, wanted) in [
        (
            json!({"tls": {"enabled": true}}),
            "tls.enabled needs tls.crt_file and tls.key_file",
        ),
        (
            json!({"tls": {"crt_file": "a", "key_file": "b"}}),
            "nothing is encrypted without tls.enabled: true",
        ),
        (
            json!({"auth": {"strategy": "basic", "username": "x"}}),
            "auth.strategy basic needs auth.username and auth.password",
        ),
        (
            json!({"auth": {"token": "t0ken"}}),
            "nobody is asked for anything without auth.strategy",
        ),
        (
            json!({"auth": {"strategy": "oauth"}}),
            "must be \\\"basic\\\" or \\\"bearer\\\"",
        ),
        (
            json!({"path": "audit"}),
            "must be a path that begins with /",
        ),
        (
            json!({"response_code": 404}),
            "must be a whole number from 200 to 299",
        ),
        (
            json!({"max_body_bytes": "3GiB"}),
            "max_body_bytes (3221225472) must not be above 2GiB",
        ),
        (
            json!({"max_body_bytes": "1MiB"}),
            "max_body_bytes (1048576) must not be below max_line_bytes (16777216)",
        ),
        (json!({"method": "post"}), "did you mean \\\"POST\\\"?"),
    ] {
        let (code, said) = validate(options);
        assert_eq!(code, Some(78));
        assert!(
            said.contains(&wanted.replace("\\\"", "\"")),
            "{wanted}: {said}"
        );
        assert!(!said.contains("t0ken"));
    }
}

/// Idle connections keep nobody out though they hold every file that the process may open.
#[test]
fn who_is_idle_makes_room_where_the_system_has_none() {
    let configuration = listening(configuration(decoy(true)), json!({}));
    let setting = Setting::with(&configuration);
    let run = format!(
        "ulimit -n 100; exec {} run --config baitline.json",
        env!("CARGO_BIN_EXE_baitline")
    );
    let mut program = Command::new("sh");
    program
        .args(["-c", &run])
        .current_dir(setting.path(""))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let running = setting.start(&mut program);
    let address = address(&running);
    let connect = |_| TcpStream::connect(address).expect("it listens");
    let _idle: Vec<TcpStream> = (0..150).map(connect).collect();
    let mut poster = Poster::connect(address).expect("it listens");
    let event = token_use(1, "10.0.3.7", json!({})).to_string();
    let answer = poster.post_json(event);
    assert!(
        answer.as_ref().is_ok_and(|answer| answer.status == 200),
        "{answer:?}\n{}",
        running.stderr.text()
    );
    assert_eq!(end(running).hits(), 1);
}

/// Half of them are silent, and half have begun a request.
#[test]
fn five_thousand_idle_connections_hold_up_nobody_and_little_memory() {
    const IDLE: u64 = 5000;
    let limit = getrlimit(Resource::Nofile);
    if limit.maximum.is_some_and(|most| most < 2 * IDLE) {
        println!("NOT RUN: needs {} files that may be open", 2 * IDLE);
        return;
    }
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).expect("it may be raised so far");
    let options = json!({"connection_limit": IDLE + 100});
    let (running, mut poster) = start(&listening(configuration(decoy(true)), options));
    let event = |number| token_use(number, "10.0.3.7", json!({})).to_string();
    let is_taken = |poster: &mut Poster, number| {
        let answer = poster.post_json(event(number));
        answer.is_ok_and(|answer| answer.status == 200)
    };
    assert!(is_taken(&mut poster, 0));
    let (before, address) = (running.peak_kib(), address(&running));
    let open = |number| {
        let mut stream = TcpStream::connect(address).expect("it listens");
        if number % 2 == 0 {
            let begun = stream.write_all(b"POST / HTTP/1.1\r\nHo");
            begun.expect("it is taken");
        }
        stream
    };
    let idle: Vec<TcpStream> = (0..IDLE).map(open).collect();
    let mut late = Poster::connect(address).expect("it listens");
    assert!(is_taken(&mut late, 1));
    assert!(is_taken(&mut poster, 2), "it kept its place");
    let grown = running.peak_kib() - before;
    assert!(grown < 32 * IDLE, "{grown} KiB for {IDLE} connections");
    drop(idle);
    assert_eq!(end(running).hits(), 3);
}
