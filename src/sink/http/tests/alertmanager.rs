//! What Alertmanager is told, by a receiver in its place.

use jiff::Timestamp;

use super::*;
use crate::{
    audit::IncidentId,
    dedupe::{Alert, AlertKind},
    detect::Severity,
    format::example,
    store::Writer,
};

fn told(incident: &str, sequence: u32, kind: AlertKind) -> Alert {
    Alert {
        incident_id: IncidentId::of(&[incident.as_bytes()]),
        sequence,
        kind,
        title: format!("{incident} {kind}"),
        ..example::opened()
    }
}

fn message(alert: &Alert) -> Message {
    Message::Alert(Arc::new(alert.clone()))
}

fn board(receiver: &Receiver) -> Config {
    Config {
        codec: Codec::Alertmanager,
        ..config(receiver, "/api/v2/alerts")
    }
}

/// One alert of one request.
#[derive(Clone, Debug)]
struct Heard {
    summary: String,
    severity: String,
    ends_at: Timestamp,
}

impl Heard {
    fn of(value: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self {
            summary: text(&value["annotations"]["summary"]),
            severity: text(&value["labels"]["severity"]),
            ends_at: text(&value["endsAt"]).parse().unwrap(),
        }
    }

    /// Whether it went on at `time`.
    fn fires_at(&self, time: Timestamp) -> bool {
        self.ends_at > time
    }
}

/// By request.
fn heard(receiver: &Receiver) -> Vec<Vec<Heard>> {
    let requests = receiver.received().into_iter();
    requests
        .map(|request| {
            let alerts = request.body.as_array().cloned().unwrap();
            alerts.iter().map(Heard::of).collect()
        })
        .collect()
}

async fn until(holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap();
}

/// A sink that runs, and the way to it.
fn started(config: Config, open: Vec<Alert>) -> (Writer, tokio::task::JoinHandle<Report>) {
    let (outbox, _, _, mut delivery) = delivery();
    delivery.incidents.open = open;
    (outbox, tokio::spawn(run(config, delivery)))
}

#[tokio::test]
async fn what_is_open_is_repeated_until_it_is_over() {
    let receiver = Receiver::start(vec![]);
    let (outbox, sink) = started(board(&receiver), vec![]);
    outbox.push(message(&told("a", 1, AlertKind::Opened)));
    until(|| receiver.received().len() >= 4).await;
    let now = Timestamp::now();
    let before = heard(&receiver);
    assert!(before.iter().all(|request| request.len() == 1));
    // Each is good for longer than until the next.
    assert!(
        before
            .windows(2)
            .all(|pair| pair[0][0].ends_at < pair[1][0].ends_at)
    );
    assert!(before.last().unwrap()[0].fires_at(now));

    // It has been heard of for long enough.
    sleep(Duration::from_millis(1_000)).await;
    outbox.push(message(&told("a", 2, AlertKind::Closed)));
    until(|| outbox.waiting().total() == 0).await;
    let last = heard(&receiver).last().unwrap()[0].clone();
    assert_eq!(last.summary, "a closed");
    assert!(!last.fires_at(Timestamp::now()));
    let count = receiver.received().len();
    sleep(Duration::from_millis(300)).await;
    assert_eq!(receiver.received().len(), count, "nothing is repeated");
    outbox.close();
    timeout(PATIENCE, sink).await.unwrap().unwrap();
    let request = &receiver.received()[0];
    assert_eq!(request.line(), "POST /api/v2/alerts HTTP/1.1");
    assert_eq!(request.header("idempotency-key"), None);
}

#[tokio::test]
async fn when_it_becomes_graver_the_old_labels_are_resolved_in_the_same_request() {
    let receiver = Receiver::start(vec![]);
    let mut config = board(&receiver);
    config.repeat = Duration::from_secs(60);
    let opened = Alert {
        severity: Severity::Medium,
        ..told("a", 1, AlertKind::Opened)
    };
    let escalated = told("a", 2, AlertKind::Escalated);
    let digest = told("a", 3, AlertKind::Digest);
    let (outbox, sink) = started(config, vec![]);
    outbox.push(message(&opened));
    outbox.push(message(&escalated));
    outbox.push(message(&digest));
    outbox.close();
    timeout(PATIENCE, sink).await.unwrap().unwrap();
    let now = Timestamp::now();
    let heard: Vec<Vec<(String, bool)>> = heard(&receiver)
        .iter()
        .map(|request| {
            let of = |heard: &Heard| (heard.severity.clone(), heard.fires_at(now));
            request.iter().map(of).collect()
        })
        .collect();
    let one = |severity: &str, fires| (severity.to_owned(), fires);
    assert_eq!(
        heard,
        [
            vec![one("medium", true)],
            vec![one("medium", false), one("critical", true)],
            vec![one("critical", true)]
        ]
    );
}

#[tokio::test]
async fn what_opened_and_closed_while_nobody_listened_is_heard_of() {
    let receiver = Receiver::start(vec![FAILED]);
    let mut config = board(&receiver);
    config.repeat = Duration::from_secs(1);
    let (outbox, sink) = started(config, vec![]);
    outbox.push(message(&told("a", 1, AlertKind::Opened)));
    outbox.push(message(&told("b", 1, AlertKind::Opened)));
    outbox.push(message(&told("a", 2, AlertKind::Closed)));
    outbox.close();
    timeout(PATIENCE, sink).await.unwrap().unwrap();
    let heard = heard(&receiver);
    let summaries: Vec<Vec<&str>> = heard
        .iter()
        .map(|request| request.iter().map(|heard| &*heard.summary).collect())
        .collect();
    assert_eq!(
        summaries,
        [
            vec!["a opened", "b opened"],
            vec!["a opened", "b opened"],
            vec!["a closed"]
        ]
    );
    // Ten times a second from when it was first heard of.
    let closed = &heard[2][0];
    let left = closed.ends_at.as_second() - Timestamp::now().as_second();
    assert!((8..=10).contains(&left), "{left} s");
}

#[tokio::test]
async fn what_was_open_before_a_restart_is_repeated_at_once() {
    let receiver = Receiver::start(vec![]);
    let open = vec![
        told("a", 3, AlertKind::Digest),
        told("b", 1, AlertKind::Opened),
    ];
    let (outbox, sink) = started(board(&receiver), open);
    until(|| !receiver.received().is_empty()).await;
    let mut summaries: Vec<String> = heard(&receiver)[0]
        .iter()
        .map(|heard| heard.summary.clone())
        .collect();
    summaries.sort();
    assert_eq!(summaries, ["a digest", "b opened"]);
    outbox.push(message(&told("a", 4, AlertKind::Closed)));
    until(|| outbox.waiting().total() == 0).await;
    let count = receiver.received().len();
    until(|| receiver.received().len() > count).await;
    let last = heard(&receiver).last().unwrap().clone();
    assert_eq!(last.len(), 1);
    assert_eq!(last[0].summary, "b opened");
    outbox.close();
    timeout(PATIENCE, sink).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_repetition_that_fails_is_made_up_for_and_holds_nothing_up() {
    let receiver = Receiver::start(vec![OK, FAILED, FAILED, Reply::Close]);
    let (outbox, sink) = started(board(&receiver), vec![]);
    outbox.push(message(&told("a", 1, AlertKind::Opened)));
    until(|| receiver.received().len() >= 6).await;
    outbox.close();
    timeout(PATIENCE, sink).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_alertmanager_refuses_takes_no_other_along() {
    let receiver = Receiver::refusing("poison", vec![]);
    let messages = ["a", "b", "poison", "d"]
        .map(|incident| message(&told(incident, 1, AlertKind::Opened)))
        .to_vec();
    let mut config = board(&receiver);
    config.repeat = Duration::from_secs(60);
    let run = deliver(config, messages).await;
    assert_eq!(run.counters.delivered.load(Relaxed), 3);
    assert_eq!(run.dead.len(), 1);
    assert_eq!(run.dead[0].0, "poison opened");
}

#[tokio::test]
async fn a_detection_that_strays_here_is_a_dead_letter() {
    let receiver = Receiver::start(vec![]);
    let messages = vec![detection(), message(&told("a", 1, AlertKind::Opened))];
    let run = deliver(board(&receiver), messages).await;
    assert_eq!(run.counters.delivered.load(Relaxed), 1);
    let reason = "Alertmanager is told of incidents alone".to_owned();
    assert_eq!(run.dead, [("detection".to_owned(), reason)]);
}

#[tokio::test]
async fn what_is_replayed_opens_nothing_again_and_makes_nothing_less_grave() {
    let receiver = Receiver::start(vec![]);
    let mut config = board(&receiver);
    config.repeat = Duration::from_secs(60);
    let messages = [
        Alert {
            severity: Severity::Medium,
            ..told("a", 1, AlertKind::Opened)
        },
        told("a", 2, AlertKind::Escalated),
        Alert {
            severity: Severity::Medium,
            ..told("a", 1, AlertKind::Opened)
        },
        told("a", 3, AlertKind::Closed),
        told("a", 1, AlertKind::Opened),
    ];
    let (outbox, sink) = started(config, vec![]);
    for alert in &messages {
        outbox.push(message(alert));
    }
    until(|| outbox.waiting().total() == 0).await;
    let severities: Vec<Vec<String>> = heard(&receiver)
        .into_iter()
        .map(|request| request.into_iter().map(|heard| heard.severity).collect())
        .collect();
    assert_eq!(
        severities,
        [
            vec!["medium"],
            vec!["medium", "critical"],
            vec!["critical"],
            vec!["critical"],
            vec!["critical"]
        ]
    );
    outbox.close();
    timeout(PATIENCE, sink).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_is_over_and_opens_again_is_repeated_only_until_it_is_heard_of() {
    let receiver = Receiver::start(vec![]);
    let (outbox, _, _, mut delivery) = delivery();
    delivery.incidents.over = vec![IncidentId::of(&[b"a"])];
    let sink = tokio::spawn(run(board(&receiver), delivery));
    outbox.push(message(&told("a", 1, AlertKind::Opened)));
    outbox.push(message(&told("b", 1, AlertKind::Opened)));
    outbox.push(message(&told("b", 2, AlertKind::Closed)));
    // As from the dead letters.
    outbox.push(message(&told("b", 1, AlertKind::Opened)));
    until(|| receiver.received().len() >= 6).await;
    // Ten times a tenth of a second.
    sleep(Duration::from_millis(1_500)).await;
    let count = receiver.received().len();
    assert!(count <= 16, "{count}");
    sleep(Duration::from_millis(300)).await;
    assert_eq!(receiver.received().len(), count, "nothing is repeated");
    outbox.close();
    timeout(PATIENCE, sink).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_end_that_is_given_up_is_not_repeated_as_open() {
    let receiver = Receiver::start(vec![OK, FAILED, FAILED]);
    let mut config = board(&receiver);
    config.request.retry_attempts = Some(1);
    let (outbox, sink) = started(config, vec![]);
    outbox.push(message(&told("a", 1, AlertKind::Opened)));
    outbox.push(message(&told("a", 2, AlertKind::Closed)));
    until(|| outbox.waiting().total() == 0).await;
    sleep(Duration::from_millis(300)).await;
    assert_eq!(receiver.received().len(), 3);
    outbox.close();
    timeout(PATIENCE, sink).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_is_beyond_what_is_remembered_is_told_once_for_a_day() {
    let receiver = Receiver::start(vec![]);
    let mut config = board(&receiver);
    config.repeat = Duration::from_secs(60);
    let open = (0..5_000).map(|number| told(&number.to_string(), 1, AlertKind::Opened));
    let (outbox, sink) = started(config, open.collect());
    until(|| receiver.received().len() >= 5).await;
    outbox.push(message(&told("beyond", 1, AlertKind::Opened)));
    outbox.push(message(&told("beyond", 2, AlertKind::Closed)));
    outbox.close();
    timeout(PATIENCE, sink).await.unwrap().unwrap();
    let heard = heard(&receiver);
    let told: usize = heard[..5].iter().map(Vec::len).sum();
    assert_eq!(told, 5_000);
    let left = |heard: &Heard| heard.ends_at.as_second() - Timestamp::now().as_second();
    assert!((86_390..=86_400).contains(&left(&heard[5][0])));
    assert!(left(&heard[6][0]) <= 0);
}

#[tokio::test]
async fn what_opened_unheard_is_repeated_all_the_same_and_goes_on_for_a_while_when_it_is_over() {
    let receiver = Receiver::start(vec![FAILED, FAILED]);
    let mut config = board(&receiver);
    config.request.retry_attempts = Some(1);
    config.repeat = Duration::from_secs(1);
    let (outbox, sink) = started(config.clone(), vec![]);
    outbox.push(message(&told("a", 1, AlertKind::Opened)));
    until(|| receiver.received().len() >= 3).await;
    assert_eq!(heard(&receiver)[2][0].summary, "a opened");
    outbox.close();
    timeout(PATIENCE, sink).await.unwrap().unwrap();

    let receiver = Receiver::start(vec![FAILED, FAILED]);
    let config = Config {
        uri: board(&receiver).uri,
        ..config
    };
    let run = deliver(
        config,
        vec![
            message(&told("a", 1, AlertKind::Opened)),
            message(&told("a", 2, AlertKind::Closed)),
        ],
    )
    .await;
    assert_eq!(run.dead.len(), 1);
    let closed = heard(&receiver).pop().unwrap().pop().unwrap();
    assert_eq!(closed.summary, "a closed");
    let left = closed.ends_at.as_second() - Timestamp::now().as_second();
    assert!((8..=10).contains(&left), "{left} s");
}

#[tokio::test]
async fn a_repetition_that_is_refused_is_not_the_last() {
    const REFUSED: Reply = Reply::Answer("400 Bad Request", "", "overloaded");
    let receiver = Receiver::start(vec![OK, REFUSED, REFUSED]);
    let (outbox, sink) = started(board(&receiver), vec![]);
    outbox.push(message(&told("a", 1, AlertKind::Opened)));
    until(|| receiver.received().len() >= 5).await;
    outbox.close();
    timeout(PATIENCE, sink).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_end_of_what_is_long_over_is_an_end() {
    let receiver = Receiver::start(vec![]);
    let (outbox, _, _, mut delivery) = delivery();
    delivery.incidents.over = vec![IncidentId::of(&[b"a"])];
    outbox.push(message(&told("a", 2, AlertKind::Closed)));
    outbox.close();
    timeout(PATIENCE, run(board(&receiver), delivery))
        .await
        .unwrap();
    assert!(!heard(&receiver)[0][0].fires_at(Timestamp::now()));
}
