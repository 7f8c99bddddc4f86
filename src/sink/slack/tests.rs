//! The Slack sink against a receiver that misbehaves.

use std::{fs, time::Duration};

use tempfile::TempDir;
use tokio::time::timeout;

use super::{
    receiver::{OK, Receiver, Reply, SECRET},
    *,
};
use crate::{
    sink::{
        Codec, file,
        tests::{BUFFER, Log, PATIENCE, alert, delivery, detection},
    },
    store::Tally,
};

const FAILED: Reply = Reply::Answer("500 Internal Server Error", "", "rollup_error");
const REFUSED: Reply = Reply::Answer("400 Bad Request", "", "invalid_blocks");

/// As fast as a test needs.
fn config(receiver: &Receiver) -> Config {
    Config {
        webhook_url: Secret::new(receiver.url()),
        request: RequestConfig {
            timeout: Duration::from_secs(10),
            retry_attempts: None,
            retry_initial_backoff: Duration::from_millis(1),
            retry_max_duration: Duration::from_millis(5),
            rate_limit_num: 1_000,
            rate_limit_duration: Duration::from_secs(1),
        },
        buffer: BUFFER,
    }
}

/// What came of delivering some messages.
struct Run {
    report: Report,
    counters: Arc<Counters>,
    log: String,
}

/// Delivers `messages` until the outbox is drained. Nothing that is logged or reported
/// may hold the secret.
async fn deliver(config: Config, messages: Vec<Message>) -> Run {
    let (log, _guard) = Log::capture();
    let (outbox, counters, _, delivery) = delivery();
    for message in messages {
        outbox.push(message);
    }
    outbox.close();
    let report = timeout(PATIENCE, run(config, delivery)).await.unwrap();
    let log = log.text();
    assert!(!log.contains(SECRET), "{log}");
    assert!(!format!("{report:?}").contains(SECRET));
    Run {
        report,
        counters,
        log,
    }
}

#[tokio::test]
async fn one_request_for_each_message_in_order_alerts_first() {
    let receiver = Receiver::start(vec![]);
    let messages = vec![detection(), alert("one"), alert("two"), alert("three")];
    let run = deliver(config(&receiver), messages).await;
    assert_eq!(run.report.ending, Ending::Drained);
    assert_eq!(run.counters.delivered.load(Relaxed), 4);
    assert_eq!(receiver.titles()[..3], ["one", "two", "three"]);

    let first = &receiver.received()[0];
    let head = first.head.to_lowercase();
    assert!(head.starts_with("post /services/t012345/"), "{head}");
    assert!(head.contains("content-type: application/json"));
    assert!(head.contains(concat!("user-agent: baitline/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(first.body["blocks"][0]["type"], "header");
}

#[tokio::test]
async fn outages_of_every_kind_lose_nothing_and_keep_the_order() {
    let receiver = Receiver::start(vec![
        FAILED,
        Reply::Close,
        Reply::Answer("503 Service Unavailable", "", ""),
        OK,
        Reply::Answer("408 Request Timeout", "", ""),
    ]);
    let run = deliver(config(&receiver), vec![alert("one"), alert("two")]).await;
    assert_eq!(
        receiver.titles(),
        ["one", "one", "one", "one", "two", "two"]
    );
    assert_eq!(run.counters.delivered.load(Relaxed), 2);
    assert_eq!(run.counters.retried.load(Relaxed), 4);
    assert!(
        run.log.contains("500 Internal Server Error: rollup_error"),
        "{}",
        run.log
    );
    assert!(run.log.contains("Slack takes messages again"));
}

#[tokio::test]
async fn a_receiver_that_is_not_there_is_tried_until_it_is_given_up() {
    let receiver = Receiver::start(vec![]);
    let mut config = config(&receiver);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    config.webhook_url = Secret::new(format!("http://{nobody}/services/{SECRET}"));
    config.request.retry_attempts = Some(2);
    let run = deliver(config, vec![alert("one"), alert("two")]).await;
    assert_eq!(run.report.ending, Ending::Drained);
    assert_eq!(run.counters.failed.load(Relaxed), 2);
    assert_eq!(run.counters.retried.load(Relaxed), 4);
    assert!(run.log.contains("no retries are left") && run.log.contains("alert_id "));
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let throttled = Reply::Answer("429 Too Many Requests", "retry-after: 1\r\n", "ratelimited");
    let receiver = Receiver::start(vec![throttled]);
    let mut config = config(&receiver);
    config.request.retry_attempts = Some(0);
    let began = Instant::now();
    let run = deliver(config, vec![alert("one"), alert("two")]).await;
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert_eq!(receiver.titles(), ["one", "one", "two"]);
    assert_eq!(
        run.counters.failed.load(Relaxed),
        0,
        "patience costs no retry"
    );
}

#[tokio::test]
async fn what_slack_refuses_is_sent_once_more_as_plain_text() {
    let receiver = Receiver::start(vec![REFUSED]);
    let run = deliver(config(&receiver), vec![alert("one"), alert("two")]).await;
    assert_eq!(receiver.titles(), ["one", "one", "two"]);
    assert_eq!(receiver.received()[1].body.get("blocks"), None);
    assert_eq!(run.counters.delivered.load(Relaxed), 2);
    assert!(
        run.log.contains("400 Bad Request: invalid_blocks"),
        "{}",
        run.log
    );
}

#[tokio::test]
async fn what_slack_refuses_twice_is_given_up_counted_and_named() {
    let too_large = Reply::Answer("413 Payload Too Large", "", "<\x1b[2J>");
    let receiver = Receiver::start(vec![REFUSED, FAILED, too_large]);
    let run = deliver(config(&receiver), vec![alert("one"), alert("two")]).await;
    assert_eq!(receiver.titles(), ["one", "one", "one", "two"]);
    assert_eq!(run.counters.failed.load(Relaxed), 1);
    assert_eq!(run.counters.delivered.load(Relaxed), 1);
    assert!(run.log.contains("a message is given up") && run.log.contains("alert_id "));
    assert!(
        run.log.contains(r"<\u{1b}[2J>") || run.log.contains(r"<\\u{1b}[2J>"),
        "{}",
        run.log
    );
}

#[tokio::test]
async fn a_webhook_that_was_withdrawn_keeps_its_messages_and_says_so_once() {
    let gone = Reply::Answer("410 Gone", "", "channel_is_archived");
    let receiver = Receiver::start(vec![
        Reply::NotFoundPage,
        Reply::NotFoundPage,
        Reply::NotFoundPage,
        gone,
    ]);
    let run = deliver(config(&receiver), vec![alert("one"), alert("two")]).await;
    assert_eq!(
        receiver.titles(),
        ["one", "one", "one", "one", "one", "two"]
    );
    assert_eq!(run.counters.delivered.load(Relaxed), 2);
    assert_eq!(
        run.log.matches("check webhook_url").count(),
        2,
        "{}",
        run.log
    );
    assert!(
        run.log
            .contains("404 Not Found: <p>The URL **** was not found"),
        "{}",
        run.log
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let receiver = Receiver::start(vec![]);
    let elsewhere = Reply::Answer("302 Found", "location: http://127.0.0.1:1/\r\n", "");
    let redirecting = Receiver::start(vec![elsewhere.clone(), elsewhere]);
    let run = deliver(config(&redirecting), vec![alert("one")]).await;
    assert_eq!(redirecting.titles(), ["one", "one", "one"]);
    assert!(receiver.received().is_empty());
    assert!(run.log.contains("302 Found"));
}

#[tokio::test]
async fn an_answer_that_comes_early_or_breaks_off_is_an_answer() {
    let receiver = Receiver::start(vec![Reply::TornAnswer, Reply::Hasty]);
    let run = deliver(config(&receiver), vec![alert("one"), alert("two")]).await;
    assert_eq!(run.counters.delivered.load(Relaxed), 2);
    assert_eq!(receiver.titles()[0], "one");
}

#[tokio::test]
async fn no_more_requests_than_the_rate_limit_allows() {
    let receiver = Receiver::start(vec![FAILED]);
    let mut config = config(&receiver);
    config.request.rate_limit_num = 1;
    config.request.rate_limit_duration = Duration::from_millis(200);
    let began = Instant::now();
    deliver(config, vec![alert("one"), alert("two"), alert("three")]).await;
    assert_eq!(receiver.received().len(), 4);
    assert!(
        began.elapsed() >= Duration::from_millis(600),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_slow_answer_is_a_timeout() {
    let receiver = Receiver::start(vec![Reply::Hang]);
    let mut config = config(&receiver);
    config.request.timeout = Duration::from_millis(200);
    let run = deliver(config, vec![alert("one")]).await;
    assert_eq!(receiver.titles(), ["one", "one"]);
    assert!(run.log.contains("timed out"), "{}", run.log);
}

#[tokio::test]
async fn a_slack_that_hangs_holds_no_other_sink_up_and_says_what_is_left() {
    let (log, _guard) = Log::capture();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("alert.txt");
    let receiver = Receiver::start(vec![Reply::Hang]);
    let (to_slack, counters, give_up, for_slack) = delivery();
    let (to_file, _, _, for_file) = delivery();
    let slack = tokio::spawn(run(config(&receiver), for_slack));
    let beside = file::Config {
        path: path.to_str().unwrap().into(),
        codec: Codec::Text,
        buffer: BUFFER,
    };
    let file = tokio::spawn(file::run(beside, for_file));
    for message in [alert("one"), alert("two"), detection()] {
        to_slack.push(message.clone());
        to_file.push(message);
    }
    to_slack.close();
    to_file.close();
    timeout(PATIENCE, file).await.unwrap().unwrap();
    assert!(
        fs::read_to_string(&path)
            .unwrap()
            .contains("CRITICAL opened: two ")
    );

    give_up.cancel();
    let report = timeout(PATIENCE, slack).await.unwrap().unwrap();
    assert_eq!(report.ending, Ending::GaveUp);
    assert_eq!(
        report.left,
        Tally {
            alerts: 2,
            detections: 1
        }
    );
    assert_eq!(counters.dropped.load(Relaxed), 3);
    let log = log.text();
    assert!(
        log.contains("2 alerts and 1 detection left undelivered") && log.contains("under_test")
    );
    assert!(!log.contains(SECRET), "{log}");
}

#[tokio::test]
async fn a_url_that_is_none_fails_the_sink_without_naming_it() {
    let receiver = Receiver::start(vec![]);
    let mut config = config(&receiver);
    config.webhook_url = Secret::new(format!("slack:/{SECRET}"));
    let run = deliver(config, vec![alert("one")]).await;
    assert!(matches!(run.report.ending, Ending::Failed(_)));
    assert_eq!(run.report.left.alerts, 1);
}
