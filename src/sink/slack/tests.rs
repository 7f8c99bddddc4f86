//! The Slack sink against a receiver that misbehaves.

use std::{fs, time::Duration};

use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::{
    sink::{
        Codec, Counters, Jitter, file,
        request::receiver::{OK, Receiver, Reply, SECRET, url_at},
        tests::{BUFFER, Log, PATIENCE, alert, delivery, detection},
    },
    store::{DeadLetters, Entry, Tally},
};

mod bot;

const FAILED: Reply = Reply::Answer("500 Internal Server Error", "", "rollup_error");
const REFUSED: Reply = Reply::Answer("400 Bad Request", "", "invalid_blocks");

fn by_webhook(url: String) -> Access {
    Access {
        webhook_url: Some(Secret::new(url)),
        ..Access::default()
    }
}

/// As fast as a test needs.
fn config(receiver: &Receiver) -> Config {
    Config {
        access: by_webhook(receiver.url()),
        request: RequestConfig {
            timeout: Duration::from_secs(10),
            retry_attempts: None,
            retry_initial_backoff: Duration::from_millis(1),
            retry_max_duration: Duration::from_millis(5),
            retry_jitter: Jitter::Full,
        },
        rate_limit_num: 1_000,
        rate_limit_duration: Duration::from_secs(1),
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
    config.access = by_webhook(format!("http://{nobody}/services/{SECRET}"));
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
    config.rate_limit_num = 1;
    config.rate_limit_duration = Duration::from_millis(200);
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
    for scheme in ["slack:/", "", "file:///", "http://["] {
        let mut config = config(&receiver);
        config.access = by_webhook(format!("{scheme}{SECRET}"));
        let run = deliver(config, vec![alert("one")]).await;
        let reason = "webhook_url is not an http or https URL".to_owned();
        assert_eq!(run.report.ending, Ending::Failed(reason));
        assert_eq!(run.report.left.alerts, 1);
    }
}

/// What lies in the file of dead letters of the sink under test.
fn dead_letters(folder: &TempDir) -> (DeadLetters, impl Fn() -> Vec<(Message, String)>) {
    let letters = DeadLetters::new(folder.path(), "under_test".into());
    let read = letters.clone();
    let list = move || {
        let mut list = Vec::new();
        let see = |entry, _: &[u8]| match entry {
            Entry::Letter(letter) => list.push((letter.message, letter.reason)),
            Entry::Damaged { .. } => panic!("it is whole"),
        };
        read.read(see).unwrap();
        list
    };
    (letters, list)
}

async fn until(holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap();
}

#[tokio::test]
async fn what_slack_refuses_twice_is_a_dead_letter_and_slack_is_well() {
    let receiver = Receiver::start(vec![FAILED, REFUSED, REFUSED]);
    let folder = TempDir::new().unwrap();
    let (letters, list) = dead_letters(&folder);
    let (outbox, counters, _, mut delivery) = delivery();
    delivery.dead_letters = Some(letters);
    let status = delivery.status.clone();
    let sink = tokio::spawn(run(config(&receiver), delivery));
    outbox.push(alert("one"));
    until(|| outbox.waiting().total() == 0).await;
    assert_eq!(status.trouble(), None);
    outbox.push(alert("two"));
    outbox.close();
    timeout(PATIENCE, sink).await.unwrap().unwrap();
    assert_eq!(receiver.titles(), ["one", "one", "one", "two"]);
    let reason = "Slack refuses it: 400 Bad Request: invalid_blocks".to_owned();
    assert_eq!(list(), [(alert("one"), reason)]);
    assert_eq!(counters.failed.load(Relaxed), 1);
    assert_eq!(counters.delivered.load(Relaxed), 1);
}

#[tokio::test]
async fn what_runs_out_of_retries_is_a_dead_letter() {
    let receiver = Receiver::start(vec![FAILED, FAILED]);
    let mut config = config(&receiver);
    config.request.retry_attempts = Some(1);
    let folder = TempDir::new().unwrap();
    let (letters, list) = dead_letters(&folder);
    let (outbox, _, _, mut delivery) = delivery();
    delivery.dead_letters = Some(letters);
    outbox.push(alert("one"));
    outbox.push(alert("two"));
    outbox.close();
    timeout(PATIENCE, run(config, delivery)).await.unwrap();
    assert_eq!(receiver.titles(), ["one", "one", "two"]);
    let reason = "no retries are left: 500 Internal Server Error: rollup_error".to_owned();
    assert_eq!(list(), [(alert("one"), reason)]);
}

#[tokio::test]
async fn a_dead_letter_that_cannot_be_written_stays_in_the_outbox() {
    let receiver = Receiver::start(vec![REFUSED, REFUSED]);
    let folder = TempDir::new().unwrap();
    let in_the_way = folder.path().join("dead-letters");
    fs::write(&in_the_way, "").unwrap();
    let (letters, list) = dead_letters(&folder);
    let (outbox, counters, _, mut delivery) = delivery();
    delivery.dead_letters = Some(letters);
    let status = delivery.status.clone();
    outbox.push(alert("one"));
    let sink = tokio::spawn(run(config(&receiver), delivery));
    until(|| status.trouble().is_some()).await;
    let trouble = status.trouble().unwrap();
    assert!(
        trouble.reason.starts_with("cannot write a dead letter"),
        "{trouble:?}"
    );
    assert_eq!(
        (outbox.waiting().alerts, counters.failed.load(Relaxed)),
        (1, 0)
    );
    fs::remove_file(&in_the_way).unwrap();
    until(|| outbox.waiting().alerts == 0).await;
    assert_eq!((list().len(), counters.failed.load(Relaxed)), (1, 1));
    assert_eq!(status.trouble(), None);
    outbox.close();
    sink.await.unwrap();
}

#[tokio::test]
async fn what_is_wrong_with_the_webhook_is_lasting_and_costs_no_retry() {
    let restricted = Reply::Answer("403 Forbidden", "", "action_prohibited");
    let nobody = Reply::Answer("400 Bad Request", "", "user_not_found");
    let receiver = Receiver::start(vec![restricted, nobody.clone(), nobody]);
    let mut quick = config(&receiver);
    quick.request.retry_attempts = Some(0);
    let run_quick = deliver(quick, vec![alert("one")]).await;
    assert_eq!(receiver.titles(), ["one", "one", "one", "one"]);
    assert!(
        receiver.received()[3].body.get("blocks").is_some(),
        "it is sent whole"
    );
    assert_eq!(run_quick.counters.failed.load(Relaxed), 0);

    for (reply, is_lasting) in [
        (Reply::NotFoundPage, true),
        (FAILED, false),
        (Reply::Close, false),
    ] {
        let receiver = Receiver::start(vec![reply]);
        let mut slow = config(&receiver);
        slow.request.retry_initial_backoff = Duration::from_secs(3600);
        slow.request.retry_max_duration = Duration::from_secs(3600);
        slow.request.retry_jitter = Jitter::None;
        let (outbox, _, give_up, delivery) = delivery();
        let status = delivery.status.clone();
        outbox.push(alert("one"));
        let sink = tokio::spawn(run(slow, delivery));
        until(|| status.trouble().is_some()).await;
        assert_eq!(status.trouble().unwrap().is_lasting, is_lasting);
        assert!(!status.trouble().unwrap().reason.contains(SECRET));
        give_up.cancel();
        assert_eq!(sink.await.unwrap().left.alerts, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn ten_minutes_without_slack_lose_nothing_and_are_told_within_the_rate_limit() {
    const ALERTS: usize = 60;
    let second = Duration::from_secs(1);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let config = Config {
        access: by_webhook(url_at(address)),
        request: RequestConfig {
            timeout: 60 * second,
            retry_attempts: None,
            retry_initial_backoff: second,
            retry_max_duration: 30 * second,
            retry_jitter: Jitter::Full,
        },
        rate_limit_num: 1,
        rate_limit_duration: second,
        buffer: BUFFER,
    };
    let (outbox, counters, _, delivery) = delivery();
    let status = delivery.status.clone();
    let sink = tokio::spawn(run(config, delivery));
    // Five minutes nobody listens, and five more Slack is in trouble.
    let titles: Vec<String> = (0..ALERTS)
        .map(|number| format!("number{number}"))
        .collect();
    let mut receiver = None;
    for (number, title) in titles.iter().enumerate() {
        if number == ALERTS / 2 {
            receiver = Some(Receiver::start_at(address, vec![]));
            receiver.as_ref().unwrap().is_down.store(true, Relaxed);
        }
        outbox.push(alert(title));
        sleep(10 * second).await;
    }
    let receiver = receiver.unwrap();
    assert_eq!(counters.delivered.load(Relaxed), 0);
    assert!(counters.retried.load(Relaxed) > 20, "it kept trying");
    assert_eq!(outbox.waiting().alerts, ALERTS as u64);
    assert!(status.trouble().is_some_and(|trouble| !trouble.is_lasting));

    let refused = receiver.received().len();
    receiver.is_down.store(false, Relaxed);
    let back = Instant::now();
    let mut most = 0;
    while outbox.waiting().total() > 0 {
        let before = counters.delivered.load(Relaxed);
        sleep(second).await;
        most = most.max(counters.delivered.load(Relaxed) - before);
    }
    let took = back.elapsed();
    outbox.close();
    sink.await.unwrap();
    // A window of a second may end within one of ours.
    assert!(most <= 2, "{most} in a second");
    let least = (ALERTS as u32 - 1) * second;
    assert!(took >= least && took <= least + 35 * second, "{took:?}");
    assert_eq!(receiver.titles()[refused..], titles);
    let mut all = receiver.titles();
    all.dedup();
    assert_eq!(all, titles, "in order, and none was passed");
    assert_eq!(status.trouble(), None);
}

#[tokio::test]
async fn a_slack_that_refuses_whatever_it_is_sent_keeps_it() {
    // Three twice each, and then the fourth three times.
    let receiver = Receiver::start(vec![REFUSED; 12]);
    let messages = ["one", "two", "three", "four", "five"].map(alert).to_vec();
    let run = deliver(config(&receiver), messages).await;
    assert_eq!(run.counters.failed.load(Relaxed), 3);
    assert_eq!(run.counters.delivered.load(Relaxed), 2);
    assert!(run.log.contains("check webhook_url"), "{}", run.log);
}
