//! Receivers that refuse what they are sent, and who is to blame.

use super::*;

const BAD: Reply = Reply::Answer("400 Bad Request", "", "unknown codec");

#[tokio::test]
async fn who_refuses_one_message_after_the_other_is_to_blame_and_the_rest_is_kept() {
    // Twelve in halves, down to the first three that are given up, and then the fourth again and again.
    let receiver = Receiver::start(vec![BAD; 14]);
    let names: Vec<String> = (0..12).map(|number| number.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let run = deliver(config(&receiver, "/"), alerts(&names)).await;
    let dead: Vec<&str> = run.dead.iter().map(|(title, _)| &**title).collect();
    assert_eq!(dead, ["0", "1", "2"]);
    assert_eq!(run.counters.delivered.load(Relaxed), 9);
    assert!(
        run.log
            .contains("does not take messages, check uri, auth, tls and encoding"),
        "{}",
        run.log
    );
    assert!(run.log.contains("The receiver takes messages again"));
}

#[tokio::test]
async fn who_refuses_everything_is_in_lasting_trouble() {
    let receiver = Receiver::start(vec![BAD; 1_000]);
    let mut config = config(&receiver, "/");
    config.request.retry_max_duration = Duration::from_secs(60);
    let (outbox, counters, give_up, delivery) = delivery();
    let status = delivery.status.clone();
    for message in alerts(&["1", "2", "3", "4", "5"]) {
        outbox.push(message);
    }
    let sink = tokio::spawn(run(config, delivery));
    let waiting = async {
        while status.trouble().is_none() {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap();
    assert!(status.trouble().unwrap().is_lasting);
    give_up.cancel();
    let report = timeout(PATIENCE, sink).await.unwrap().unwrap();
    assert_eq!((report.left.alerts, counters.failed.load(Relaxed)), (2, 3));
}

#[tokio::test]
async fn poisoned_messages_in_a_row_hold_nothing_up_for_good() {
    let receiver = Receiver::refusing("poison", vec![]);
    let mut config = config(&receiver, "/");
    config.batch.max_events = 1;
    let titles = ["poison", "poison", "poison", "poison", "poison", "good"];
    let run = deliver(config, alerts(&titles)).await;
    assert_eq!(run.counters.delivered.load(Relaxed), 1);
    assert_eq!(run.counters.failed.load(Relaxed), 5);
    // Two of them ten times more.
    assert_eq!(receiver.received().len(), 5 + 20 + 1);
}

#[tokio::test]
async fn a_conflict_with_a_try_that_nobody_answered_is_no_refusal() {
    const CONFLICT: Reply = Reply::Answer("409 Conflict", "", "being processed");
    let receiver = Receiver::start(vec![Reply::Close, CONFLICT, CONFLICT, OK, CONFLICT]);
    let mut config = config(&receiver, "/");
    config.batch.max_events = 1;
    let run = deliver(config, alerts(&["one", "two"])).await;
    assert_eq!(run.counters.delivered.load(Relaxed), 1);
    let dead: Vec<&str> = run.dead.iter().map(|(title, _)| &**title).collect();
    assert_eq!(dead, ["two"]);

    let mut endless = vec![Reply::Close];
    endless.extend(vec![CONFLICT; 11]);
    let receiver = Receiver::start(endless);
    let run = deliver(super::config(&receiver, "/"), alerts(&["one"])).await;
    assert_eq!(run.counters.failed.load(Relaxed), 1, "it ends");
    assert_eq!(receiver.received().len(), 12);
}
