//! `/health` and `/metrics`, asked while the program runs.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    harness::{PATIENCE, Running, Setting, configuration, decoy, with_expected},
    inputs::{METADATA, joined, lines, token_use},
    poster::{self, Poster},
    receiver::{Manner, Receiver, SECRET},
};

const AUDIT: &str = r#"{component_id="audit",component_kind="source",component_type="stdin"}"#;
const DETECTIONS: &str =
    r#"{component_id="detections",component_kind="transform",component_type="detect"}"#;
const INCIDENTS: &str =
    r#"{component_id="incidents",component_kind="transform",component_type="dedupe"}"#;
const TOLD: &str = r#"{component_id="told",component_kind="sink",component_type="file"}"#;

fn with_api(mut configuration: Value) -> Value {
    configuration["api"] = json!({"enabled": true, "address": "127.0.0.1:0"});
    configuration
}

fn one_hit() -> Vec<u8> {
    joined([token_use(1, "10.0.3.7", json!({})).to_string()])
}

/// Where a running program serves its API, as it says itself.
struct Api(SocketAddr);

impl Api {
    fn of(running: &Running) -> Self {
        running.stderr.wait_for("serving /health and /metrics");
        let log = running.stderr.text();
        let (_, address) = log.split_once("address=").expect("an address");
        let end = address.find(char::is_whitespace).expect("a line");
        Self(address[..end].parse().expect("an address and a port"))
    }

    /// The status and the body of the answer.
    fn ask(&self, method: &str, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.0).expect("it listens");
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n").expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        (head[9..12].parse().expect("a status"), body.to_owned())
    }

    fn health(&self) -> (u16, Value) {
        let (status, body) = self.ask("GET", "/health");
        (status, serde_json::from_str(&body).expect("JSON"))
    }

    /// Every series and its value.
    fn metrics(&self) -> BTreeMap<String, f64> {
        let (status, body) = self.ask("GET", "/metrics");
        assert_eq!(status, 200);
        let mut series = BTreeMap::new();
        for line in body.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').expect("a sample");
            let earlier = series.insert(name.to_owned(), value.parse().expect("a number"));
            assert_eq!(earlier, None, "{name} stands twice");
        }
        series
    }
}

/// Looks until `look` gives something.
fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn metrics_count_what_was_read_found_and_told() {
    let mut running = Setting::with(&with_api(with_expected(decoy(true)))).start_watch(&[]);
    running.write(&METADATA);
    let api = Api::of(&running);
    let records = lines(&METADATA).len() as f64;
    let metrics = wait("the end of the work", || {
        let metrics = api.metrics();
        let of = |name: &str, labels: &str| metrics[&format!("{name}{labels}")];
        let is_read = of("component_received_events_total", AUDIT) == records
            && of("component_received_events_total", DETECTIONS) == records;
        let found = of("component_sent_events_total", DETECTIONS);
        let alerts = of("component_sent_events_total", INCIDENTS);
        let is_done = is_read
            && of("component_received_events_total", INCIDENTS) == found
            && of("component_sent_events_total", TOLD) == found + alerts
            && of("buffer_events", TOLD) == 0.0;
        is_done.then_some(metrics)
    });
    let told = running.end().told();
    let of = |name: &str, labels: &str| metrics[&format!("{name}{labels}")];
    assert_eq!(
        of("component_received_bytes_total", AUDIT),
        METADATA.len() as f64
    );
    assert_eq!(of("component_errors_total", TOLD), 0.0);
    assert!(of("baitline_source_seconds_since_last_event", AUDIT) < PATIENCE.as_secs_f64());
    assert_eq!(
        of("component_sent_events_total", DETECTIONS),
        told.detections.len() as f64
    );

    let mut detections: BTreeMap<String, f64> = BTreeMap::new();
    for detection in &told.detections {
        let [decoy, technique, class] = ["decoy", "technique", "class"]
            .map(|key| detection[key].as_str().unwrap_or("none").to_owned());
        let labels = format!(r#"{{decoy="{decoy}",technique="{technique}",class="{class}"}}"#);
        *detections
            .entry(format!("baitline_detections_total{labels}"))
            .or_default() += 1.0;
    }
    let counted = metrics
        .iter()
        .filter(|(name, _)| name.starts_with("baitline_detections"));
    let counted: BTreeMap<String, f64> = counted
        .map(|(name, count)| (name.clone(), *count))
        .collect();
    assert_eq!(counted, detections);

    // Nothing is closed before the end of input.
    let before_the_end = |alert: &&Value| alert["kind"] != "closed";
    let mut alerts: BTreeMap<String, f64> = BTreeMap::new();
    for alert in told.alerts.iter().filter(before_the_end) {
        let (kind, severity) = (&alert["kind"], &alert["severity"]);
        let name = format!("baitline_alerts_total{{kind={kind},severity={severity}}}");
        *alerts.entry(name).or_default() += 1.0;
    }
    let counted = metrics
        .iter()
        .filter(|(name, count)| name.starts_with("baitline_alerts_total") && **count > 0.0);
    let counted: BTreeMap<String, f64> = counted
        .map(|(name, count)| (name.clone(), *count))
        .collect();
    assert_eq!(counted, alerts);
    let closed = told.alerts.iter().filter(|alert| alert["kind"] == "closed");
    assert_eq!(
        of("baitline_open_incidents", INCIDENTS),
        closed.count() as f64
    );
}

#[test]
fn a_receiver_that_is_down_degrades_the_health_until_it_is_back() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = free.local_addr().expect("it is bound");
    drop(free);
    let mut configuration = with_api(configuration(decoy(true)));
    configuration["sinks"]["slack"] = json!({
        "type": "slack", "inputs": ["incidents"],
        "webhook_url": format!("http://{address}/services/T012345/{SECRET}"),
        "request": {"retry_initial_backoff_secs": 0.1, "retry_max_duration_secs": 0.5},
    });
    let mut running = Setting::with(&configuration).start_watch(&[]);
    let api = Api::of(&running);
    wait("a good start", || {
        (api.health().1["status"] == "ok").then_some(())
    });
    running.write(&one_hit());
    let health = wait("trouble", || {
        let (status, health) = api.health();
        assert_eq!((status, &health["ready"]), (200, &json!(true)), "{health}");
        (health["status"] == "degraded").then_some(health)
    });
    let components = health["components"].as_array().expect("a list");
    let slack = components
        .iter()
        .find(|component| component["id"] == "slack")
        .expect("it is listed");
    assert_eq!(
        (&slack["status"], &slack["kind"], &slack["type"]),
        (&json!("degraded"), &json!("sink"), &json!("slack"))
    );
    let reason = slack["reason"].as_str().expect("a reason");
    assert!(
        health["reason"]
            .as_str()
            .is_some_and(|whole| whole.contains(reason)),
        "{health}"
    );
    assert!(slack["since"].is_string(), "{health}");
    assert!(!health.to_string().contains(SECRET), "{health}");
    let (_, metrics) = api.ask("GET", "/metrics");
    assert!(!metrics.contains(SECRET), "{metrics}");
    let labels = r#"{component_id="slack",component_kind="sink",component_type="slack"}"#;
    assert_eq!(
        api.metrics()[&format!("baitline_component_healthy{labels}")],
        0.0
    );
    assert!(api.metrics()[&format!("baitline_requests_retried_total{labels}")] > 0.0);
    assert_eq!(api.metrics()[&format!("buffer_events{labels}")], 1.0);

    let _receiver = Receiver::start_at(address, Manner::Takes);
    let health = wait("recovery", || {
        let (_, health) = api.health();
        (health["status"] == "ok").then_some(health)
    });
    assert_eq!(health["reason"], Value::Null);
    assert_eq!(running.end().code, Some(0));
}

#[test]
fn what_a_closed_console_did_not_show_is_counted() {
    const CONSOLE: &str =
        r#"{component_id="terminal",component_kind="sink",component_type="console"}"#;
    let mut configuration = with_api(configuration(decoy(true)));
    configuration["sinks"]["terminal"] = json!({"type": "console", "inputs": ["detections"]});
    let setting = Setting::with(&configuration);
    let mut program = setting.program(&["run", "--config", "baitline.json"]);
    let (reader, stdout) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut running = setting.start(program.stdout(stdout));
    drop(program);
    let api = Api::of(&running);
    running.write(&one_hit());
    running.stderr.wait_for("the other end was closed");
    running.write(&one_hit());
    wait("both to be counted", || {
        let metrics = api.metrics();
        let dropped = metrics[&format!("buffer_discarded_events_total{CONSOLE}")];
        (dropped == 2.0).then_some(())
    });
    assert_eq!(running.end().code, Some(1));
}

#[test]
fn a_source_that_has_failed_is_not_ready_but_lives() {
    let mut configuration = with_api(configuration(decoy(true)));
    configuration["sources"]["files"] = json!({"type": "file", "include": ["*.log"]});
    configuration["transforms"]["detections"]["inputs"] = json!(["audit", "files"]);
    let mut running = Setting::with(&configuration).start_watch(&[]);
    let api = Api::of(&running);
    wait("a good start", || (api.health().0 == 200).then_some(()));
    running.write(b"\x1f\x8b\x08\x00 this is no gzip");
    running.close_stdin();
    let health = wait("the end of the source", || {
        let (status, health) = api.health();
        (status == 503).then_some(health)
    });
    assert_eq!(
        (&health["status"], &health["live"]),
        (&json!("failing"), &json!(true))
    );
    let reason = health["reason"].as_str().expect("a reason");
    assert!(
        reason.starts_with(r#"source "audit": cannot read"#),
        "{reason}"
    );
    assert_eq!(api.ask("GET", "/health/ready").0, 503);
    assert_eq!(api.ask("GET", "/health/live").0, 200);
    running.signal("TERM");
    assert_eq!(running.wait().code, Some(1));
}

#[test]
fn the_store_is_a_component() {
    let mut configuration = with_api(configuration(decoy(true)));
    configuration["data_dir"] = "state".into();
    let mut running = Setting::with(&configuration).start_watch(&[]);
    running.write(&one_hit());
    let api = Api::of(&running);
    let metrics = wait("a delivery", || {
        let metrics = api.metrics();
        let delivered = metrics.get(&format!("component_sent_events_total{TOLD}"));
        (delivered == Some(&2.0)).then_some(metrics)
    });
    assert!(metrics["baitline_store_commit_seconds_count"] >= 1.0);
    assert!(metrics.contains_key(&format!("buffer_byte_size{TOLD}")));
    assert_eq!(
        metrics[&format!("buffer_max_byte_size{TOLD}")],
        f64::from(1 << 30)
    );
    let (status, health) = api.health();
    assert_eq!(status, 200, "{health}");
    let components = health["components"].as_array().expect("a list");
    let kinds: Vec<_> = components
        .iter()
        .map(|component| component["kind"].as_str().expect("a kind"))
        .collect();
    assert_eq!(
        kinds,
        [
            "source",
            "transform",
            "transform",
            "sink",
            "sink",
            "sink",
            "store"
        ]
    );
    assert_eq!(running.end().code, Some(0));
}

#[test]
fn nothing_can_be_done_by_it_and_nothing_else_read() {
    let running = Setting::with(&with_api(configuration(decoy(true)))).start_watch(&[]);
    let api = Api::of(&running);
    for path in ["/", "/healthz", "/config", "/metrics/../etc/passwd"] {
        assert_eq!(api.ask("GET", path).0, 404, "{path}");
    }
    for method in ["POST", "DELETE"] {
        assert_eq!(api.ask(method, "/health").0, 405, "{method}");
        assert_eq!(api.ask(method, "/metrics").0, 405, "{method}");
    }
    assert_eq!(running.end().code, Some(0));
}

#[test]
fn an_address_that_is_taken_is_told_at_the_start() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound");
    let mut configuration = configuration(decoy(true));
    configuration["api"] = json!({"enabled": true, "address": address.to_string()});
    let ran = Setting::with(&configuration).watch(&[], &one_hit());
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let says = format!("cannot start: cannot serve the api at {address}: Address already in use");
    assert!(ran.stderr.contains(&says), "{}", ran.stderr);
    assert_eq!(ran.stdout, "", "it has not begun to watch");
}

#[test]
fn it_is_not_there_unless_it_is_wanted() {
    let mut configuration = configuration(decoy(true));
    configuration["api"] = json!({"address": "127.0.0.1:0"});
    let ran = Setting::with(&configuration).watch(&[], &one_hit());
    assert_eq!(ran.code, Some(0));
    assert!(!ran.stderr.contains("/health"), "{}", ran.stderr);
}

/// Whoever posts with a wrong token, or without the TLS that is asked for, hears it; who runs the source sees it.
#[test]
fn a_source_that_refuses_all_that_comes_is_not_well() {
    let mut configuration = with_api(configuration(decoy(true)));
    configuration["sources"]["audit"] = json!({
        "type": "http_server", "address": "127.0.0.1:0", "auth": {"strategy": "bearer", "token": "t0ken"},
    });
    let mut running = Setting::with(&configuration).start_watch(&[]);
    running.close_stdin();
    let api = Api::of(&running);
    let source = poster::address(&running);
    let post = |token: &str| {
        let mut poster = Poster::connect(source).expect("it listens");
        let headers = [("Authorization".to_owned(), format!("Bearer {token}"))];
        poster
            .post("/", &headers, b"{}")
            .expect("it answers")
            .status
    };
    let health = || {
        let (status, health) = api.health();
        assert_eq!((status, &health["ready"]), (200, &json!(true)), "{health}");
        (health["status"].clone(), health["reason"].to_string())
    };
    wait("a good start", || {
        (api.health().1["status"] == "ok").then_some(())
    });
    let mut probe = TcpStream::connect(source).expect("it listens");
    let written = probe.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    written.expect("it reads");
    let mut answer = String::new();
    probe.read_to_string(&mut answer).expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    assert_eq!(health().0, "ok", "a probe is nothing to speak of");
    assert_eq!(post("wrong"), 401);
    let (status, reason) = health();
    assert_eq!(status, "degraded");
    assert!(
        reason.contains("credentials are missing or wrong"),
        "{reason}"
    );
    assert_eq!(post("t0ken"), 200);
    assert_eq!(health().0, "ok");
    assert_eq!(post("wrong"), 401);
    assert_eq!(health().0, "ok", "somebody is served");
    let mut hello = TcpStream::connect(source).expect("it listens");
    let written = hello.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    written.expect("it reads");
    running
        .stderr
        .wait_for("it speaks TLS, and this port has none");
    running.signal("TERM");
    assert_eq!(running.wait().code, Some(0));
}

#[test]
fn a_source_that_finds_no_file_says_so_until_there_is_one() {
    let mut configuration = with_api(configuration(decoy(true)));
    configuration["sources"]["audit"] = json!({
        "type": "file", "include": ["audit.log"], "glob_minimum_cooldown_ms": 20,
    });
    let setting = Setting::with(&configuration);
    let running = setting.start_watch(&[]);
    let api = Api::of(&running);
    let health = wait("trouble", || {
        let (_, health) = api.health();
        (health["status"] == "degraded").then_some(health)
    });
    let reason = health["reason"].to_string();
    assert!(reason.contains("no file that include names"), "{reason}");
    let well = || {
        let is_well = || (api.health().1["status"] == "ok").then_some(());
        wait("all well", is_well);
    };
    setting.write("audit.log", "");
    well();
    std::fs::remove_file(setting.path("audit.log")).expect("it is there");
    std::thread::sleep(std::time::Duration::from_millis(200));
    well();
    running.signal("TERM");
    let ran = running.wait();
    assert_eq!(ran.code, Some(0));
    let warned = ran.stderr.matches("no file yet that include names").count();
    assert_eq!(warned, 1, "{}", ran.stderr);
}

#[test]
fn who_speaks_no_tls_where_it_is_asked_for_is_told_of() {
    let mut configuration = with_api(configuration(decoy(true)));
    let file = |name: &str| format!("{}/tests/data/tls/{name}", env!("CARGO_MANIFEST_DIR"));
    configuration["sources"]["audit"] = json!({
        "type": "http_server", "address": "127.0.0.1:0",
        "tls": {"enabled": true, "crt_file": file("server.crt"), "key_file": file("server.key")},
    });
    let mut running = Setting::with(&configuration).start_watch(&[]);
    running.close_stdin();
    let api = Api::of(&running);
    let mut plain = TcpStream::connect(poster::address(&running)).expect("it listens");
    let written = plain.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}");
    written.expect("it reads");
    running
        .stderr
        .wait_for("it speaks none, and this port wants it");
    wait("trouble", || {
        let (_, health) = api.health();
        (health["status"] == "degraded").then_some(())
    });
    running.signal("TERM");
    assert_eq!(running.wait().code, Some(0));
}
