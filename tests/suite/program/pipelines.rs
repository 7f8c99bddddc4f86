//! The configurations under `pipelines/`, each run as its first lines say.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    fluent,
    harness::{PATIENCE, Running, Setting},
    inputs::{METADATA, joined, token_use},
    poster::{Poster, address},
    receiver::{Manner, Receiver, SECRET},
    told::Told,
    vector,
};
use crate::{protobuf::otlp, recordings};

/// The path of a configuration that ships with baitline.
pub fn shipped(name: &str) -> String {
    format!("{}/pipelines/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn all_are_sound() {
    let pipelines = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines");
    let mut count = 0;
    for entry in fs::read_dir(pipelines).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            continue;
        }
        let path = path.to_str().expect("its name is UTF-8").to_owned();
        let setting = Setting::empty();
        setting.write("audit.log", "");
        let mut program = setting.program(&["validate", &path]);
        program
            .env("AUDIT_LOG_DIR", setting.path(""))
            .env(
                "SLACK_WEBHOOK_URL",
                "https://hooks.slack.example/services/x",
            )
            .env("FLUENT_SHARED_KEY", "open sesame")
            .env("TLS_DIR", tls_dir(&setting))
            .env("WEBHOOK_TOKEN", "t0ken")
            .env("EVENT_HUBS_CONNECTION_STRING", "Endpoint=sb://x")
            .env("AGGREGATOR", "https://baitline.example")
            .env("AGGREGATOR_TOKEN", "t0ken");
        let ran = setting.start(&mut program).end();
        assert_eq!(ran.code, Some(0), "{path}: {}", ran.stderr);
        // One process that detects and dedupes behind Kafka is sound while it is alone in its group, and an api that
        // others reach is meant where a container is around it: both are said.
        let is_meant = |line: &str| {
            (path.ends_with("-kafka.yaml") || path.ends_with("-event-hubs.yaml"))
                && (line.contains("a dedupe in this process stands behind source")
                    || line.contains("served on an address that other machines may reach"))
        };
        let others: Vec<&str> = ran.stderr.lines().filter(|line| !is_meant(line)).collect();
        assert!(others.is_empty(), "{path}: {others:?}");
        count += 1;
    }
    assert!(count >= 3);
}

/// A directory with a certificate, its key and the authority, as a Secret is mounted.
fn tls_dir(setting: &Setting) -> PathBuf {
    for (from, to) in [
        ("server.crt", "tls.crt"),
        ("server.key", "tls.key"),
        ("ca.crt", "ca.crt"),
    ] {
        fs::copy(fluent::certificate(from), setting.path(to)).expect("the directory is ours");
    }
    setting.path("")
}

/// `text` without what depends on when it was told.
fn timeless(text: &str) -> String {
    let is_timeless = |line: &&str| !line.starts_with("  late ");
    text.lines()
        .filter(is_timeless)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn quickstart_is_what_runs_without_a_configuration() {
    let quickstart =
        Setting::empty().run(&["run", "--config", &shipped("quickstart.yaml")], &METADATA);
    assert_eq!(quickstart.code, Some(0), "{}", quickstart.stderr);
    assert!(
        quickstart
            .stdout
            .contains("CRITICAL opened: Token of decoy honeypot/backup-sa used")
    );
    assert_eq!(quickstart.stdout, quickstart.file("alert.txt"));
    let built_in = Setting::empty().run(&["run"], &METADATA);
    assert_eq!(timeless(&quickstart.stdout), timeless(&built_in.stdout));
}

#[test]
fn pipe_tells_slack_what_a_shipper_prints() {
    let receiver = Receiver::start(Manner::Takes);
    let setting = Setting::empty();
    let mut program = setting.program(&["run", "--config", &shipped("pipe.yaml")]);
    program
        .env("SLACK_WEBHOOK_URL", receiver.url())
        .env("CLUSTER", "prod-eu");
    let mut running = setting.start(&mut program);
    let path = recordings::path("fluent-bit", "stdout-json-lines-raw-log.ndjson");
    running.write(&fs::read(path).expect("the recording is there"));
    let ran = running.end();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(!ran.stderr.contains(SECRET));

    let names = fs::read_dir(setting.path("")).expect("the directory is ours");
    let evidence: Vec<_> = names
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .collect();
    assert_eq!(evidence.len(), 1, "{evidence:?}");
    assert!(evidence[0].starts_with("baitline-20") && evidence[0].ends_with(".ndjson"));
    let told = Told::read(&ran.file(&evidence[0]));
    told.check_alerts();
    assert!(told.count() >= 4);
    assert_eq!(told.alerts[0]["cluster"], "prod-eu");
    assert_eq!(told.alerts[0]["labels"]["owner"], "secops");

    let bodies = receiver.bodies();
    assert_eq!(bodies.len(), told.alerts.len());
    let first: Value = serde_json::from_str(&bodies[0]).expect("Slack is sent JSON");
    assert!(
        first["text"]
            .as_str()
            .is_some_and(|text| text.contains("honeypot"))
    );
    assert!(bodies[0].contains("runbooks/stolen-token"));
}

#[test]
fn falcosidekick_is_told_in_falcos_words() {
    let receiver = Receiver::start(Manner::Takes);
    let setting = Setting::empty();
    let mut program = setting.program(&["run", "--config", &shipped("falcosidekick.yaml")]);
    program.env("FALCOSIDEKICK", receiver.origin());
    let mut running = setting.start(&mut program);
    running.write(&METADATA);
    let ran = running.end();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let events: Vec<Value> = receiver
        .bodies()
        .iter()
        .map(|body| serde_json::from_str(body).expect("one object"))
        .collect();
    assert!(events.len() > 3);
    let opened = |event: &&Value| event["output_fields"]["baitline.kind"] == "opened";
    let stolen = |event: &&Value| event["rule"] == "Kubernetes decoy token_use";
    let stolen = events
        .iter()
        .filter(opened)
        .find(stolen)
        .expect("it is used");
    assert_eq!(stolen["priority"], "Critical");
    assert_eq!(stolen["source"], "k8s_audit");
    let user = "system:serviceaccount:honeypot:backup-sa";
    assert_eq!(stolen["output_fields"]["ka.user.name"], user);
}

#[test]
fn alertmanager_is_told_what_is_open_and_what_is_over() {
    let receiver = Receiver::start(Manner::Takes);
    let setting = Setting::empty();
    fs::write(setting.path("audit.log"), &*METADATA).expect("the directory is ours");
    let mut program = setting.program(&["run", "--config", &shipped("alertmanager.yaml")]);
    program
        .env("ALERTMANAGER", receiver.origin())
        .env("AUDIT_LOG_DIR", setting.path(""))
        .env("DATA_DIR", setting.path("data"));
    let running = setting.start(&mut program);
    let began = std::time::Instant::now();
    let told = || -> Vec<Value> {
        let bodies = receiver.bodies();
        let read = |body: &String| serde_json::from_str::<Vec<Value>>(body).expect("an array");
        bodies.iter().flat_map(read).collect()
    };
    let is_critical = |alert: &Value| {
        alert["labels"]["alertname"] == "BaitlineDecoyTouched"
            && alert["labels"]["severity"] == "critical"
            && alert["labels"]["owner"] == "secops"
            && alert["annotations"]["runbook_url"].is_string()
    };
    while !told().iter().any(is_critical) {
        assert!(began.elapsed() < PATIENCE, "{}", running.stderr.text());
        std::thread::sleep(Duration::from_millis(20));
    }
    end(running);
}

#[test]
fn pipe_says_that_it_needs_slack() {
    let ran = Setting::empty().run(&["run", "--config", &shipped("pipe.yaml")], b"");
    assert_eq!(ran.code, Some(78));
    assert!(
        ran.stderr.contains("create an incoming webhook in Slack"),
        "{}",
        ran.stderr
    );
}

fn append(path: &Path, number: u32) {
    let line = joined([token_use(number, "10.0.3.7", json!({})).to_string()]);
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.and_then(|mut file| file.write_all(&line))
        .expect("the directory is ours");
}

/// Waits until the request is told, as a detection, on standard output.
fn wait_for_request(running: &Running, number: u32) {
    let line = format!("\"audit_id\":\"request-{number}\"");
    running.stdout.wait_for(&line);
}

/// Starts the sidecar on the log in `setting`, and keeps its state there too.
fn start_sidecar(setting: &Setting) -> Running {
    let mut program = setting.program(&["run", "--config", &shipped("sidecar.yaml")]);
    program
        .env("AUDIT_LOG_DIR", setting.path(""))
        .env("DATA_DIR", setting.path("data"));
    let mut running = setting.start(&mut program);
    running.close_stdin();
    running
}

fn end(running: Running) -> Told {
    running.signal("TERM");
    let ran = running.wait();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    Told::read(&ran.stdout)
}

#[test]
fn sidecar_follows_the_file_of_the_api_server_and_goes_on_after_a_restart() {
    let setting = Setting::empty();
    let log = setting.path("audit.log");
    // History, which `read_from: end` leaves out.
    append(&log, 1);
    let running = start_sidecar(&setting);
    // When the file was found cannot be seen from outside: one request is written again and again until it is told.
    let began = std::time::Instant::now();
    while !running.stdout.text().contains("request-2") {
        assert!(began.elapsed() < PATIENCE, "{}", running.stderr.text());
        append(&log, 2);
        std::thread::sleep(Duration::from_millis(20));
    }
    // As the API server's own rotation does: renamed, and a new one in its place.
    fs::rename(&log, setting.path("audit-2026-11-23T18-00-00.000.log"))
        .expect("the directory is ours");
    append(&log, 3);
    wait_for_request(&running, 3);
    append(&log, 4);
    wait_for_request(&running, 4);
    // As logrotate's copytruncate does.
    fs::copy(&log, setting.path("audit.log.1")).expect("the directory is ours");
    fs::write(&log, "").expect("the directory is ours");
    append(&log, 5);
    wait_for_request(&running, 5);
    let first = end(running);

    append(&log, 6);
    let running = start_sidecar(&setting);
    wait_for_request(&running, 6);
    let second = end(running);

    for number in 3..=6 {
        let audit_id = format!("request-{number}");
        let is_it = |detection: &&Value| detection["request"]["audit_id"] == *audit_id;
        let told = first.detections.iter().chain(&second.detections);
        assert_eq!(told.filter(is_it).count(), 1, "{audit_id} is read once");
    }
    let data_dir = setting.path("data");
    let data_dir = data_dir.to_str().expect("its name is UTF-8");
    let list = setting.run(
        &["incidents", "list", "--json", "--data-dir", data_dir],
        b"",
    );
    let incident: Value = serde_json::from_str(&list.stdout).expect("one incident");
    assert_eq!(incident["total"], 5, "request 2 to 6: {incident}");
    let opened = |told: &Told| {
        told.alerts
            .iter()
            .filter(|alert| alert["kind"] == "opened")
            .count()
    };
    assert_eq!((opened(&first), opened(&second)), (1, 0));
}

#[test]
fn fluent_tells_slack_what_fluent_bit_sends() {
    let receiver = Receiver::start(Manner::Takes);
    let setting = Setting::empty();
    let mut program = setting.program(&["run", "--config", &shipped("fluent.yaml")]);
    program
        .env("SLACK_WEBHOOK_URL", receiver.url())
        .env("FLUENT_SHARED_KEY", "open sesame")
        .env("LISTEN", "127.0.0.1:0")
        .env("TLS_DIR", tls_dir(&setting))
        .env("DATA_DIR", setting.path("data"))
        .env("EVIDENCE_DIR", setting.path("evidence"));
    fs::create_dir(setting.path("evidence")).expect("the directory is ours");
    let mut running = setting.start(&mut program);
    running.close_stdin();
    let mut client = fluent::enter(fluent::address(&running), "open sesame", ("", ""));
    let path = recordings::path("fluent-bit", "forward-packed-gzip.bin");
    client.send(&fs::read(path).expect("the recording is there"));
    client.settle();
    running.signal("TERM");
    let ran = running.wait();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(!ran.stderr.contains("open sesame") && !ran.stderr.contains(SECRET));
    let mut evidence = fs::read_dir(setting.path("evidence")).expect("the directory is ours");
    let evidence = evidence.next().expect("a file").expect("an entry").path();
    let told = Told::read(&fs::read_to_string(evidence).expect("it is text"));
    assert!(told.hits() >= 4 && !told.alerts.is_empty());
    assert_eq!(receiver.bodies().len(), told.alerts.len());
}

/// A program that is posted to, with a token, and tells `receiver`.
fn posted_to(pipeline: &str, setting: &Setting, receiver: &Receiver) -> Command {
    let mut program = setting.program(&["run", "--config", &shipped(pipeline)]);
    program
        .env("SLACK_WEBHOOK_URL", receiver.url())
        .env("WEBHOOK_TOKEN", "t0kenOfTheWebhook")
        .env("LISTEN", "127.0.0.1:0")
        .env("DATA_DIR", setting.path("data"));
    program
}

/// What the API server posts, with the token of its kubeconfig, by its first connection and by another after a restart.
#[test]
fn webhook_takes_what_the_api_server_posts() {
    let receiver = Receiver::start(Manner::Takes);
    let setting = Setting::empty();
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let list = |number| {
        let mut event = token_use(number, "10.0.3.7", json!({}));
        let fields = event.as_object_mut().expect("an object");
        fields.retain(|key, _| key != "kind" && key != "apiVersion");
        json!({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": [event]}).to_string()
    };
    for number in 1..=2 {
        let mut program = posted_to("webhook.yaml", &setting, &receiver);
        let mut running = setting.start(&mut program);
        running.close_stdin();
        let mut poster = Poster::connect(address(&running)).expect("it listens");
        let headers = [
            header("Host", "127.0.0.1"),
            header("Content-Type", "application/json"),
            header("Authorization", "Bearer t0kenOfTheWebhook"),
        ];
        let path = "/audit?timeout=30s";
        let answer = poster.post(path, &headers, list(number).as_bytes());
        assert_eq!(answer.expect("it answers").status, 200);
        running.signal("TERM");
        let ran = running.wait();
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert!(!ran.stderr.contains("t0ken"));
    }
    let bodies = receiver.bodies();
    assert_eq!(bodies.len(), 1, "one incident, opened once: {bodies:?}");
    assert!(bodies[0].contains("honeypot/backup-sa"));
    let data_dir = setting.path("data");
    let data_dir = data_dir.to_str().expect("its name is UTF-8");
    let list = ["incidents", "list", "--json", "--data-dir", data_dir];
    let incident: Value = serde_json::from_str(&setting.run(&list, b"").stdout).expect("one");
    assert_eq!(incident["total"], 2);
}

/// What the Collector posts, as its file says, at the path and with the token of ours.
#[test]
fn webhook_takes_what_the_collector_posts() {
    let receiver = Receiver::start(Manner::Takes);
    let setting = Setting::empty();
    let mut program = posted_to("webhook.yaml", &setting, &receiver);
    let mut running = setting.start(&mut program);
    running.close_stdin();
    let mut poster = Poster::connect(address(&running)).expect("it listens");
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let headers = [
        header("Host", "127.0.0.1"),
        header("Content-Type", "application/x-protobuf"),
        header("Authorization", "Bearer t0kenOfTheWebhook"),
    ];
    let event = token_use(1, "10.0.3.7", json!({})).to_string();
    let export = otlp::of_texts([event.as_str()].into_iter());
    let answer = poster.post("/audit", &headers, &export);
    let answer = answer.expect("it answers");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["content-type"], "application/x-protobuf");
    running.signal("TERM");
    let ran = running.wait();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let bodies = receiver.bodies();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    assert!(bodies[0].contains("honeypot/backup-sa"));
}

/// The Collector's own defaults lose what baitline is too busy for, and what waits in memory.
#[test]
fn the_collector_waits_and_does_not_give_up() {
    let text = fs::read_to_string(shipped("shippers/otel-collector.yaml")).expect("it is there");
    for option in [
        "storage: file_storage",
        "wait_for_result: true",
        "block_on_overflow: true",
        "logs_endpoint: http://127.0.0.1:9443/audit",
    ] {
        assert!(text.contains(option), "{option}");
    }
    assert_eq!(text.matches("max_elapsed_time: 0 }").count(), 2);
    let batch = text.lines().find_map(|line| line.split_once("max_size: "));
    let batch = batch.and_then(|(_, rest)| rest.split(',').next()?.parse::<u64>().ok());
    assert!(batch.is_some_and(|bytes| bytes < 64 << 20));
}

/// By plain HTTP the API server shows its token to nobody.
#[test]
fn kube_apiserver_serves_by_tls_alone() {
    let receiver = Receiver::start(Manner::Takes);
    let setting = Setting::empty();
    let mut program = posted_to("kube-apiserver.yaml", &setting, &receiver);
    program.env("TLS_DIR", tls_dir(&setting));
    let mut running = setting.start(&mut program);
    running.close_stdin();
    let address = address(&running);
    // Another test of this process may have done so.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let authority = fs::read(fluent::certificate("ca.crt")).expect("it is there");
    let client = reqwest::Client::builder()
        .add_root_certificate(reqwest::Certificate::from_pem(&authority).expect("a certificate"))
        .build()
        .expect("a client");
    let post = async |scheme: &str| {
        let request = client
            .post(format!("{scheme}://localhost:{}/audit", address.port()))
            .bearer_auth("t0kenOfTheWebhook")
            .body(token_use(1, "10.0.3.7", json!({})).to_string());
        request.send().await.map(|answer| answer.status())
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        assert!(post("http").await.is_err());
        assert_eq!(post("https").await.expect("it answers"), 200);
    });
    running.signal("TERM");
    let ran = running.wait();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(receiver.bodies().len(), 1);
}

/// Both sides name the same path and port, and the shippers the same token.
#[test]
fn the_other_sides_of_webhook_fit() {
    let read = |name: &str| fs::read_to_string(shipped(name)).expect("it is there");
    let ours = read("webhook.yaml");
    assert!(ours.contains("${LISTEN:-127.0.0.1:9443}") && ours.contains("path: /audit"));
    let of_api_server = read("kube-apiserver.yaml");
    assert!(of_api_server.contains("${LISTEN:-127.0.0.1:9443}"));
    for (name, (file, ours)) in [
        (
            "kube-apiserver-webhook.yaml",
            ("kube-apiserver.yaml", &of_api_server),
        ),
        ("fluent-bit-http.yaml", ("webhook.yaml", &ours)),
        ("fluentd-http.conf", ("webhook.yaml", &ours)),
        ("vector-http.yaml", ("webhook.yaml", &ours)),
        ("otel-collector.yaml", ("webhook.yaml", &ours)),
    ] {
        let theirs = read(&format!("shippers/{name}"));
        assert!(ours.contains(&format!("shippers/{name}")));
        for text in [
            "9443",
            "/audit",
            "WEBHOOK_TOKEN",
            &format!("../{file}"),
            "What is lost",
        ] {
            assert!(theirs.contains(text), "{name}: {text}");
        }
    }
    let vector = read("shippers/vector-http.yaml");
    assert!(
        !vector.contains("${WEBHOOK_TOKEN}"),
        "Vector would send it as it stands"
    );
    let api_server = read("shippers/kube-apiserver-webhook.yaml");
    for text in [
        "server: https://127.0.0.1:9443/audit",
        "      certificate-authority: ",
    ] {
        assert!(api_server.contains(text), "without TLS it shows no token");
    }
    let flag = |name: &str| {
        let flag = api_server.lines().find_map(|line| line.split_once(name));
        let value = flag.expect("it is there").1.trim_start_matches('=');
        value
            .split(' ')
            .next()
            .and_then(|value| value.parse::<u64>().ok())
    };
    let batch = flag("--audit-webhook-batch-max-size").zip(flag("truncate-max-event-size"));
    assert!(batch.is_some_and(|(events, bytes)| events * bytes <= 64 << 20));
    let policy = read("shippers/audit-policy.yaml");
    let levels: Vec<&str> = policy
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- level: "))
        .collect();
    assert_eq!(levels, ["RequestResponse", "Request", "Metadata"]);
    assert!(
        !policy.contains("secrets"),
        "their contents would be in the log"
    );
}

#[test]
fn vector_tells_slack_what_vector_sends_and_lets_in_nobody_without_a_certificate() {
    let receiver = Receiver::start(Manner::Takes);
    let setting = Setting::empty();
    let mut program = setting.program(&["run", "--config", &shipped("vector.yaml")]);
    program
        .env("SLACK_WEBHOOK_URL", receiver.url())
        .env("LISTEN", "127.0.0.1:0")
        .env("TLS_DIR", tls_dir(&setting))
        .env("DATA_DIR", setting.path("data"))
        .env("EVIDENCE_DIR", setting.path("evidence"));
    fs::create_dir(setting.path("evidence")).expect("the directory is ours");
    let mut running = setting.start(&mut program);
    running.close_stdin();
    let path = recordings::path("vector", "push-events-raw-message.bin");
    let request = fs::read(path).expect("the recording is there");
    let address = address(&running);
    assert!(vector::push_by_tls(address, false, &request).is_none());
    assert_eq!(vector::push_by_tls(address, true, &request), Some(0));
    running.signal("TERM");
    let ran = running.wait();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(!ran.stderr.contains(SECRET));
    let mut evidence = fs::read_dir(setting.path("evidence")).expect("the directory is ours");
    let evidence = evidence.next().expect("a file").expect("an entry").path();
    let told = Told::read(&fs::read_to_string(evidence).expect("it is text"));
    assert!(told.hits() >= 4 && !told.alerts.is_empty());
    assert_eq!(receiver.bodies().len(), told.alerts.len());
}

/// Both sides name the same port.
#[test]
fn the_other_side_of_vector_fits() {
    let read = |name: &str| fs::read_to_string(shipped(name)).expect("it is there");
    let (ours, theirs) = (read("vector.yaml"), read("shippers/vector.yaml"));
    assert!(ours.contains("shippers/vector.yaml") && ours.contains("${LISTEN:-127.0.0.1:6000}"));
    for text in [
        "../vector.yaml",
        ":6000",
        "What is lost",
        "acknowledgements",
        "max_line_bytes: 33554432",
    ] {
        assert!(theirs.contains(text), "{text}");
    }
}

/// Every other side says what is lost, names the side of ours that fits, and stands in the README.
#[test]
fn every_shipper_has_its_other_side() {
    let folder = shipped("shippers");
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"));
    let readme = readme.expect("there is a README");
    let mut count = 0;
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.expect("its name is UTF-8");
        assert!(
            readme.contains(&format!("(pipelines/shippers/{name})")),
            "{name}"
        );
        if name == "audit-policy.yaml" {
            continue;
        }
        let text = fs::read_to_string(&path).expect("it is text");
        assert!(text.contains("# What is lost"), "{name}");
        let ours = [
            "kube-apiserver",
            "webhook",
            "fluent",
            "siem-kafka",
            "aks-event-hubs",
            "vector",
        ]
        .iter()
        .filter(|ours| {
            text.contains(&format!("../{ours}.yaml"))
                || text.contains(&format!("pipelines/{ours}.yaml"))
        });
        let ours: Vec<_> = ours.collect();
        assert!(!ours.is_empty(), "{name}");
        for ours in ours {
            assert!(
                Path::new(&shipped(&format!("{ours}.yaml"))).exists(),
                "{name}: {ours}"
            );
        }
        count += 1;
    }
    assert!(count >= 8);
}

/// Both sides name the same port and the same key, and ask for acknowledgements.
#[test]
fn the_other_sides_of_fluent_fit() {
    let read = |name: &str| fs::read_to_string(shipped(name)).expect("it is there");
    let ours = read("fluent.yaml");
    assert!(ours.contains("${LISTEN:-127.0.0.1:24224}"));
    for name in ["fluent-bit-forward.yaml", "fluentd.conf"] {
        let theirs = read(&format!("shippers/{name}"));
        assert!(ours.contains(&format!("shippers/{name}")));
        for text in [
            "24224",
            "shared_key",
            "FLUENT_SHARED_KEY",
            "require_ack_response",
            "pipelines/fluent.yaml",
            "What is lost",
        ] {
            assert!(theirs.contains(text), "{name}: {text}");
        }
    }
}

/// Every shipper reads the longest event that an API server writes, which is of 30 MiB, and hands it on: who holds the token
/// chooses how long it is, and what a shipper drops is not seen.
#[test]
fn no_shipper_drops_what_an_event_may_be_long() {
    let longest = 30 << 20;
    let limit = |name: &str, option: &str| -> u64 {
        let text = fs::read_to_string(shipped(&format!("shippers/{name}"))).expect("it is there");
        let value = text.lines().find_map(|line| {
            let line = line.trim_start().strip_prefix(option)?;
            line.trim_start_matches([':', ' ']).split(' ').next()
        });
        let value = value.unwrap_or_else(|| panic!("{name} has no {option}"));
        let number = value.trim_end_matches(['M', 'm']);
        let unit = if number == value { 1 } else { 1 << 20 };
        number.parse::<u64>().expect("it is a number") * unit
    };
    for (name, option) in [
        ("filebeat-kafka.yaml", "message_max_bytes"),
        ("filebeat-kafka.yaml", "max_message_bytes"),
        ("fluent-bit-forward.yaml", "buffer_max_size"),
        ("fluent-bit-http.yaml", "buffer_max_size"),
        ("fluentd-http.conf", "chunk_limit_size"),
        ("fluentd.conf", "chunk_limit_size"),
        ("otel-collector.yaml", "max_log_size"),
        ("vector-http.yaml", "max_line_bytes"),
        ("vector.yaml", "max_line_bytes"),
    ] {
        let bytes = limit(name, option);
        assert!((longest..64 << 20).contains(&bytes), "{name}: {bytes}");
    }
    let filebeat = |option| limit("filebeat-kafka.yaml", option);
    assert!(filebeat("max_message_bytes") > filebeat("message_max_bytes"));
    let filebeat =
        fs::read_to_string(shipped("shippers/filebeat-kafka.yaml")).expect("it is there");
    assert!(
        !filebeat.contains("compression: zstd"),
        "Filebeat 7 does not start with it"
    );
}

/// What Fluentd does by its defaults and must not: read a rotated file twice, wait ever longer, and give up at a 429.
#[test]
fn fluentd_reads_once_and_tries_again() {
    for name in ["fluentd.conf", "fluentd-http.conf"] {
        let text = fs::read_to_string(shipped(&format!("shippers/{name}"))).expect("it is there");
        for option in [
            "follow_inodes true",
            "refresh_interval 5s",
            "retry_forever true",
            "retry_max_interval 5s",
        ] {
            assert!(text.contains(option), "{name}: {option}");
        }
        let again = text
            .lines()
            .find(|line| line.contains("retryable_response_codes"));
        assert_eq!(again.is_some(), name == "fluentd-http.conf");
        for code in ["401", "404", "408", "413", "429", "503"] {
            assert!(again.is_none_or(|codes| codes.contains(code)), "{code}");
        }
    }
}
