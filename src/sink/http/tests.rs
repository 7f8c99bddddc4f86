//! The HTTP sink against a receiver that misbehaves.

use std::time::Duration;

use serde_json::Value;
use std::sync::atomic::Ordering::Relaxed;
use tempfile::TempDir;

use tokio::time::{Instant, timeout};

use super::*;
use crate::{
    sink::{
        Counters, Jitter,
        request::receiver::{OK, Receiver, Reply, SECRET},
        tests::{BUFFER, Log, PATIENCE, alert, delivery, detection},
    },
    store::{DeadLetters, Entry, Message},
};

mod alertmanager;
mod refused;
mod tls;

const FAILED: Reply = Reply::Answer("500 Internal Server Error", "", "down");

fn template(text: &str) -> Secret<Template> {
    Secret::new(Template::parse(text).unwrap())
}

/// As fast as a test needs, to `path` of `receiver`.
fn config(receiver: &Receiver, path: &str) -> Config {
    Config {
        uri: template(&format!("http://{}{path}", receiver.address())),
        method: Verb::Post,
        auth: Auth::default(),
        tls: Tls {
            ca_file: None,
            crt_file: None,
            key_file: None,
            verify_certificate: true,
            verify_hostname: true,
        },
        codec: Codec::Json,
        framing: None,
        compression: Compression::None,
        batch: Batch {
            max_events: 1_000,
            max_bytes: 1_000_000,
            timeout: Duration::ZERO,
        },
        repeat: Duration::from_millis(100),
        request: RequestConfig {
            timeout: Duration::from_secs(10),
            retry_attempts: None,
            retry_initial_backoff: Duration::from_millis(1),
            retry_max_duration: Duration::from_millis(5),
            retry_jitter: Jitter::Full,
        },
        headers: vec![],
        rate_limit_num: None,
        rate_limit_duration: Duration::from_secs(1),
        buffer: BUFFER,
    }
}

/// What came of delivering some messages.
struct Run {
    report: Report,
    counters: Arc<Counters>,
    log: String,
    /// Titles and reasons.
    dead: Vec<(String, String)>,
}

/// Delivers `messages` until the outbox is drained. Nothing that is logged may hold the secret.
async fn deliver(config: Config, messages: Vec<Message>) -> Run {
    let (log, _guard) = Log::capture();
    let folder = TempDir::new().unwrap();
    let letters = DeadLetters::new(folder.path(), "under_test".into());
    let (outbox, counters, _, mut delivery) = delivery();
    delivery.dead_letters = Some(letters.clone());
    for message in messages {
        outbox.push(message);
    }
    outbox.close();
    let report = timeout(PATIENCE, run(config, delivery)).await.unwrap();
    let log = log.text();
    assert!(!log.contains(SECRET), "{log}");
    let mut dead = Vec::new();
    letters
        .read(|entry, _| match entry {
            Entry::Letter(letter) => dead.push((title(&letter.message), letter.reason)),
            Entry::Damaged { .. } => panic!("it is whole"),
        })
        .unwrap();
    Run {
        report,
        counters,
        log,
        dead,
    }
}

fn title(message: &Message) -> String {
    match message {
        Message::Alert(alert) => alert.title.clone(),
        Message::Detection(_) => "detection".to_owned(),
    }
}

fn alerts(titles: &[&str]) -> Vec<Message> {
    titles.iter().map(|title| alert(title)).collect()
}

/// The titles in each request.
fn titles(receiver: &Receiver) -> Vec<Vec<String>> {
    let title = |value: &Value| value["title"].as_str().unwrap_or("?").to_owned();
    let requests = receiver.received().into_iter();
    let of = |body: Value| match body {
        Value::Array(list) => list.iter().map(title).collect(),
        one => vec![title(&one)],
    };
    requests.map(|request| of(request.body)).collect()
}

#[tokio::test]
async fn what_waits_goes_together_in_order_as_an_array() {
    let receiver = Receiver::start(vec![]);
    let messages = vec![detection(), alert("one"), alert("two")];
    let mut config = config(&receiver, "/ingest?key=v4lue99");
    config.method = Verb::Put;
    config.headers = vec![
        ("x-cluster".parse().unwrap(), template("{{ cluster }}/a")),
        (
            "content-type".parse().unwrap(),
            template("application/vnd.siem"),
        ),
    ];
    let run = deliver(config, messages).await;
    assert_eq!(run.report.ending, Ending::Drained);
    assert_eq!(run.counters.delivered.load(Relaxed), 3);
    assert_eq!(titles(&receiver), [["one", "two", "?"]]);
    let request = &receiver.received()[0];
    assert_eq!(request.line(), "PUT /ingest?key=v4lue99 HTTP/1.1");
    assert_eq!(request.header("content-type"), Some("application/vnd.siem"));
    assert_eq!(request.header("x-cluster"), Some("prod-eu/a"));
    assert_eq!(request.header("content-encoding"), None);
    assert_eq!(request.header("idempotency-key").unwrap().len(), 32);
}

#[tokio::test]
async fn one_message_goes_under_its_own_id_also_when_it_is_repeated() {
    let receiver = Receiver::start(vec![FAILED, Reply::Close]);
    let mut config = config(&receiver, "/");
    config.framing = Some(Framing::Bytes);
    let run = deliver(config, alerts(&["one", "two"])).await;
    assert_eq!(titles(&receiver), [["one"], ["one"], ["one"], ["two"]]);
    assert_eq!(run.counters.retried.load(Relaxed), 2);
    for request in receiver.received() {
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert_eq!(
            request.header("idempotency-key"),
            request.body["alert_id"].as_str()
        );
    }
}

#[tokio::test]
async fn lines_are_whole_and_compressed_as_told() {
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let receiver = Receiver::start(vec![]);
        let mut config = config(&receiver, "/");
        config.framing = Some(Framing::NewlineDelimited);
        config.compression = compression;
        deliver(config, alerts(&["one", "two"])).await;
        let request = &receiver.received()[0];
        assert_eq!(request.header("content-type"), Some("application/x-ndjson"));
        let text = String::from_utf8(request.bytes.clone()).unwrap();
        assert!(text.ends_with("}\n"));
        let titles: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["title"].clone())
            .collect();
        assert_eq!(titles, ["one", "two"]);
    }
}

#[tokio::test]
async fn text_and_falcos_events() {
    let receiver = Receiver::start(vec![]);
    let mut as_text = config(&receiver, "/");
    as_text.codec = Codec::Text;
    deliver(as_text, alerts(&["one", "two"])).await;
    let request = &receiver.received()[0];
    assert_eq!(
        request.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    let text = String::from_utf8(request.bytes.clone()).unwrap();
    assert!(text.starts_with("CRITICAL opened: one ") && text.contains("\nCRITICAL opened: two "));

    let receiver = Receiver::start(vec![]);
    let mut as_falco = config(&receiver, "/");
    as_falco.codec = Codec::Falco;
    deliver(as_falco, vec![alert("one"), alert("two"), detection()]).await;
    let received = receiver.received();
    assert_eq!(received.len(), 3);
    assert!(
        received[1].body["output"]
            .as_str()
            .unwrap()
            .ends_with("opened: two")
    );
    assert_eq!(received[2].body["source"], "k8s_audit");
}

#[tokio::test]
async fn a_batch_has_no_more_than_its_limits() {
    let receiver = Receiver::start(vec![]);
    let mut few = config(&receiver, "/");
    few.batch.max_events = 2;
    deliver(few, alerts(&["one", "two", "three"])).await;
    assert_eq!(titles(&receiver), [vec!["one", "two"], vec!["three"]]);

    let receiver = Receiver::start(vec![]);
    let mut small = config(&receiver, "/");
    let mut size = Vec::new();
    alert("one").write_json(&mut size);
    small.batch.max_bytes = size.len() * 5 / 2;
    let long = "x".repeat(size.len() * 3);
    deliver(small, alerts(&["one", "two", "three", &long, "four"])).await;
    assert_eq!(
        titles(&receiver),
        [vec!["one", "two"], vec!["three"], vec![&long], vec!["four"]]
    );
}

#[tokio::test]
async fn a_batch_waits_for_more_only_if_told_to() {
    let receiver = Receiver::start(vec![]);
    let mut patient = config(&receiver, "/");
    patient.batch.timeout = Duration::from_millis(400);
    patient.batch.max_events = 3;
    let (outbox, _, _, delivery) = delivery();
    let began = Instant::now();
    let sink = tokio::spawn(run(patient, delivery));
    outbox.push(alert("one"));
    sleep(Duration::from_millis(50)).await;
    assert!(receiver.received().is_empty());
    outbox.push(alert("two"));
    outbox.push(alert("three"));
    outbox.push(alert("four"));
    outbox.close();
    timeout(PATIENCE, sink).await.unwrap().unwrap();
    assert_eq!(
        titles(&receiver),
        [vec!["one", "two", "three"], vec!["four"]]
    );
    assert!(
        began.elapsed() < Duration::from_millis(400),
        "nothing more would come"
    );
}

#[tokio::test]
async fn messages_of_several_addresses_go_apart_and_in_order() {
    let in_cluster = |cluster: &str, title: &str| {
        let mut alert = crate::format::example::opened();
        alert.title = title.into();
        alert.cluster = Some(cluster.into());
        Message::Alert(Arc::new(alert))
    };
    let receiver = Receiver::start(vec![]);
    let messages = vec![
        in_cluster("a", "one"),
        in_cluster("a", "two"),
        in_cluster("b/c", "three"),
        in_cluster("a", "four"),
    ];
    deliver(config(&receiver, "/{{ cluster }}"), messages).await;
    let lines: Vec<String> = receiver
        .received()
        .iter()
        .map(|r| r.line().to_owned())
        .collect();
    assert_eq!(
        lines,
        [
            "POST /a HTTP/1.1",
            "POST /b%2Fc HTTP/1.1",
            "POST /a HTTP/1.1"
        ]
    );
    assert_eq!(
        titles(&receiver),
        [vec!["one", "two"], vec!["three"], vec!["four"]]
    );
}

#[tokio::test]
async fn a_poisoned_message_takes_none_of_its_batch_along() {
    let receiver = Receiver::refusing("poison", vec![]);
    let titles = ["one", "two", "poison", "four", "five", "poisoned", "seven"];
    let run = deliver(config(&receiver, "/"), alerts(&titles)).await;
    assert_eq!(run.report.ending, Ending::Drained);
    assert_eq!(run.counters.delivered.load(Relaxed), 5);
    assert_eq!(run.counters.failed.load(Relaxed), 2);
    let reason = "The receiver refuses it: 422 Unprocessable Entity: it is poisoned".to_owned();
    assert_eq!(
        run.dead,
        [
            ("poison".to_owned(), reason.clone()),
            ("poisoned".to_owned(), reason)
        ]
    );
    let taken: Vec<String> = super::tests::titles(&receiver)
        .into_iter()
        .filter(|batch| !batch.iter().any(|title| title.contains("poison")))
        .flatten()
        .collect();
    assert_eq!(taken, ["one", "two", "four", "five", "seven"], "in order");
}

#[tokio::test]
async fn outages_of_every_kind_lose_nothing_and_keep_the_order() {
    let receiver = Receiver::start(vec![
        FAILED,
        Reply::Close,
        Reply::Answer("503 Service Unavailable", "retry-after: 0\r\n", ""),
        Reply::Answer("429 Too Many Requests", "retry-after: 1\r\n", "slow down"),
        OK,
        Reply::Answer("408 Request Timeout", "", ""),
        Reply::TornAnswer,
        Reply::Hasty,
    ]);
    let mut config = config(&receiver, "/");
    config.batch.max_events = 1;
    let began = Instant::now();
    let run = deliver(config, alerts(&["one", "two", "three", "four"])).await;
    assert!(
        began.elapsed() >= Duration::from_secs(1),
        "it was asked to wait"
    );
    let order: Vec<String> = titles(&receiver).concat();
    // The hasty one is not read: it is three.
    assert_eq!(
        order,
        ["one", "one", "one", "one", "one", "two", "two", "four"]
    );
    assert_eq!(run.counters.delivered.load(Relaxed), 4);
    assert_eq!(run.counters.failed.load(Relaxed), 0);
    assert!(run.log.contains("The receiver takes messages again"));
}

#[tokio::test]
async fn a_slow_answer_is_a_timeout_and_retries_may_be_limited() {
    let receiver = Receiver::start(vec![Reply::Hang, FAILED]);
    let mut config = config(&receiver, "/");
    config.request.timeout = Duration::from_millis(200);
    config.request.retry_attempts = Some(1);
    config.batch.max_events = 2;
    let run = deliver(config, alerts(&["one", "two", "three"])).await;
    assert!(run.log.contains("timed out"), "{}", run.log);
    let reason = "no retries are left: 500 Internal Server Error: down".to_owned();
    assert_eq!(
        run.dead,
        [
            ("one".to_owned(), reason.clone()),
            ("two".to_owned(), reason)
        ]
    );
    assert_eq!(titles(&receiver).last().unwrap(), &["three"]);
}

#[tokio::test]
async fn who_refuses_everything_keeps_it_waiting_and_hears_no_secret_again() {
    let echo = "no route for Bearer s3cr3tT0ken, key=s3cr3tT0ken at /hooks/s3cr3tT0ken";
    let elsewhere = Reply::Answer("302 Found", "location: http://127.0.0.1:1/\r\n", "");
    let receiver = Receiver::start(vec![
        Reply::Answer("401 Unauthorized", "", echo),
        Reply::NotFoundPage,
        Reply::Answer("415 Unsupported Media Type", "", ""),
        elsewhere,
        FAILED,
    ]);
    let mut config = config(&receiver, &format!("/hooks/{SECRET}?key={SECRET}"));
    config.request.retry_attempts = Some(1);
    config.auth = Auth {
        strategy: Some(Strategy::Bearer),
        token: Some(Secret::new(SECRET.into())),
        ..Auth::default()
    };
    config.headers = vec![("x-api-key".parse().unwrap(), template(SECRET))];
    assert!(!format!("{config:?}").contains(SECRET));
    let run = deliver(config, alerts(&["one"])).await;
    assert_eq!(run.counters.delivered.load(Relaxed), 1);
    assert_eq!(receiver.received().len(), 6);
    let said = "401 Unauthorized: no route for Bearer ****, **** at ****";
    assert!(run.log.contains(said), "{}", run.log);
    assert!(run.log.contains("check uri, auth, tls and encoding") && run.log.contains("302 Found"));
    let request = &receiver.received()[0];
    assert_eq!(
        request.header("authorization").unwrap(),
        format!("Bearer {SECRET}")
    );
    assert_eq!(request.header("x-api-key"), Some(SECRET));
}

#[tokio::test]
async fn a_receiver_that_hangs_is_left_when_the_time_is_over() {
    let receiver = Receiver::start(vec![Reply::Hang]);
    let (outbox, counters, give_up, delivery) = delivery();
    let sink = tokio::spawn(run(config(&receiver, "/"), delivery));
    outbox.push(alert("one"));
    outbox.push(alert("two"));
    sleep(Duration::from_millis(50)).await;
    give_up.cancel();
    let report = timeout(PATIENCE, sink).await.unwrap().unwrap();
    assert_eq!((report.ending, report.left.alerts), (Ending::GaveUp, 2));
    assert_eq!(counters.delivered.load(Relaxed), 0);
}

#[tokio::test]
async fn no_more_requests_than_the_rate_limit_allows() {
    let receiver = Receiver::start(vec![]);
    let mut config = config(&receiver, "/");
    config.batch.max_events = 1;
    config.rate_limit_num = Some(2);
    config.rate_limit_duration = Duration::from_millis(200);
    let began = Instant::now();
    deliver(config, alerts(&["1", "2", "3", "4", "5"])).await;
    assert!(began.elapsed() >= Duration::from_millis(400));
}

#[tokio::test]
async fn who_asks_for_no_wait_is_not_overrun() {
    let throttled = Reply::Answer("429 Too Many Requests", "retry-after: 0\r\n", "");
    let receiver = Receiver::start(vec![throttled; 3]);
    let mut config = config(&receiver, "/");
    config.request.retry_jitter = Jitter::None;
    config.request.retry_initial_backoff = Duration::from_millis(50);
    config.request.retry_max_duration = Duration::from_millis(100);
    let began = Instant::now();
    let run = deliver(config, alerts(&["one"])).await;
    assert!(began.elapsed() >= Duration::from_millis(250));
    assert_eq!(run.counters.delivered.load(Relaxed), 1);
}
