//! A bot against a receiver in Slack's place.

use super::*;
use crate::{audit::IncidentId, dedupe::AlertKind, format::example};

const POSTED: Reply = Reply::Answer(
    "200 OK",
    "",
    r#"{"ok":true,"channel":"C1","ts":"1764.0001","message":{"text":"x"}}"#,
);
const AGAIN: Reply = Reply::Answer(
    "200 OK",
    "",
    r#"{"ok":true,"channel":"C1","ts":"1764.0002"}"#,
);
const DONE: Reply = Reply::Answer("200 OK", "", r#"{"ok":true}"#);

fn error(body: &'static str) -> Reply {
    Reply::Answer("200 OK", "", body)
}

fn bot(receiver: &Receiver) -> Config {
    Config {
        access: Access {
            webhook_url: None,
            bot_token: Some(Secret::new(SECRET.into())),
            channel: Some("#alerts".into()),
            endpoint: format!("http://{}/api", receiver.address()),
        },
        ..config(receiver)
    }
}

fn of(incident: &str, kind: AlertKind) -> Message {
    let mut alert = example::opened();
    alert.incident_id = IncidentId::of(&[incident.as_bytes()]);
    alert.kind = kind;
    alert.title = format!("{incident}-{kind}");
    Message::Alert(Arc::new(alert))
}

/// Of each request the method, and what it says of channel, thread and text.
fn calls(receiver: &Receiver) -> Vec<String> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
    let requests = receiver.received().into_iter();
    let call = requests.map(|request| {
        assert_eq!(
            request.header("authorization").unwrap(),
            format!("Bearer {SECRET}")
        );
        let body = &request.body;
        let method = request.line().split(' ').nth(1).unwrap().to_owned();
        let shown = text(&body["text"]).split(' ').nth(2).unwrap().to_owned();
        let at = [&body["channel"], &body["ts"], &body["thread_ts"]].map(text);
        let is_shown_to_all = body["reply_broadcast"].as_bool().unwrap_or_default();
        let end = if is_shown_to_all { " !" } else { "" };
        format!(
            "{} {} {shown}{end}",
            method.trim_start_matches("/api/chat."),
            at.join(" ")
        )
    });
    call.collect()
}

#[tokio::test]
async fn an_incident_is_one_message_with_a_thread() {
    let receiver = Receiver::start(vec![
        POSTED, DONE, AGAIN, DONE, AGAIN, DONE, AGAIN, POSTED, POSTED,
    ]);
    let messages = vec![
        of("a", AlertKind::Opened),
        of("a", AlertKind::Escalated),
        of("a", AlertKind::Digest),
        of("a", AlertKind::Closed),
        of("a", AlertKind::Digest),
        detection(),
    ];
    let run = deliver(bot(&receiver), messages).await;
    assert_eq!(run.counters.delivered.load(Relaxed), 6);
    assert_eq!(
        calls(&receiver)[..8],
        [
            "postMessage #alerts - - a-opened",
            "update C1 1764.0001 - a-escalated",
            "postMessage #alerts - 1764.0001 a-escalated !",
            "update C1 1764.0001 - a-digest",
            "postMessage #alerts - 1764.0001 a-digest",
            "update C1 1764.0001 - a-closed",
            "postMessage #alerts - 1764.0001 a-closed",
            // What is over is forgotten.
            "postMessage #alerts - - a-digest",
        ]
    );
    let edited = &receiver.received()[1].body;
    assert_eq!(edited["blocks"][0]["type"], "header");
}

#[tokio::test]
async fn a_thread_goes_on_after_a_restart() {
    let folder = TempDir::new().unwrap();
    for (replies, message, wanted) in [
        (
            vec![POSTED],
            of("a", AlertKind::Opened),
            vec!["postMessage #alerts - - a-opened"],
        ),
        (
            vec![DONE, AGAIN],
            of("a", AlertKind::Digest),
            vec![
                "update C1 1764.0001 - a-digest",
                "postMessage #alerts - 1764.0001 a-digest",
            ],
        ),
        (
            vec![DONE, AGAIN],
            of("a", AlertKind::Closed),
            vec![
                "update C1 1764.0001 - a-closed",
                "postMessage #alerts - 1764.0001 a-closed",
            ],
        ),
    ] {
        let receiver = Receiver::start(replies);
        let (outbox, _, _, mut delivery) = delivery();
        delivery.data_dir = Some(folder.path().to_owned());
        outbox.push(message);
        outbox.close();
        timeout(PATIENCE, run(bot(&receiver), delivery))
            .await
            .unwrap();
        assert_eq!(calls(&receiver), wanted);
    }
    let kept = fs::read_to_string(folder.path().join("slack/under_test.json")).unwrap();
    assert_eq!(kept, "[]");

    fs::write(folder.path().join("slack/under_test.json"), "damaged").unwrap();
    let receiver = Receiver::start(vec![POSTED]);
    let (outbox, counters, _, mut delivery) = delivery();
    delivery.data_dir = Some(folder.path().to_owned());
    outbox.push(of("a", AlertKind::Digest));
    outbox.close();
    timeout(PATIENCE, run(bot(&receiver), delivery))
        .await
        .unwrap();
    assert_eq!(
        counters.delivered.load(Relaxed),
        1,
        "it is told all the same"
    );
}

#[tokio::test]
async fn a_thread_that_takes_no_replies_begins_anew() {
    for said in [
        r#"{"ok":false,"error":"restricted_action_thread_locked"}"#,
        r#"{"ok":false,"error":"restricted_action_non_threadable_channel"}"#,
    ] {
        let receiver = Receiver::start(vec![POSTED, DONE, error(said), AGAIN, DONE, AGAIN]);
        let kinds = [AlertKind::Opened, AlertKind::Digest, AlertKind::Digest];
        deliver(bot(&receiver), kinds.map(|kind| of("a", kind)).into()).await;
        assert_eq!(
            calls(&receiver)[3..],
            [
                "postMessage #alerts - - a-digest",
                "update C1 1764.0002 - a-digest",
                "postMessage #alerts - 1764.0002 a-digest",
            ]
        );
    }
}

#[tokio::test]
async fn a_first_message_that_is_gone_is_replaced() {
    let gone = error(r#"{"ok":false,"error":"message_not_found"}"#);
    let receiver = Receiver::start(vec![POSTED, gone, AGAIN, DONE, AGAIN]);
    let messages = vec![
        of("a", AlertKind::Opened),
        of("a", AlertKind::Escalated),
        of("a", AlertKind::Digest),
    ];
    deliver(bot(&receiver), messages).await;
    assert_eq!(
        calls(&receiver),
        [
            "postMessage #alerts - - a-opened",
            "update C1 1764.0001 - a-escalated",
            "postMessage #alerts - - a-escalated",
            "update C1 1764.0002 - a-digest",
            "postMessage #alerts - 1764.0002 a-digest",
        ]
    );
}

#[tokio::test]
async fn what_slack_says_with_a_200_is_what_counts() {
    let receiver = Receiver::start(vec![
        error(r#"{"ok":false,"error":"not_in_channel"}"#),
        error(r#"{"ok":false,"error":"invalid_auth"}"#),
        error(r#"{"ok":false,"error":"update_failed"}"#),
        error("<html>a proxy</html>"),
        Reply::Answer("429 Too Many Requests", "retry-after: 0\r\n", ""),
        error(r#"{"ok":false,"error":"invalid_blocks"}"#),
        POSTED,
        error(r#"{"ok":false,"error":"msg_too_long"}"#),
        error(r#"{"ok":false,"error":"msg_too_long"}"#),
    ]);
    let messages = vec![of("a", AlertKind::Opened), of("b", AlertKind::Opened)];
    let run = deliver(bot(&receiver), messages).await;
    assert_eq!(run.counters.delivered.load(Relaxed), 1);
    assert_eq!(run.counters.failed.load(Relaxed), 1);
    assert_eq!(calls(&receiver).len(), 9);
    let blocks = |number: usize| receiver.received()[number].body.get("blocks").is_some();
    assert!(blocks(5) && !blocks(6), "then it is plain text");
    assert!(
        run.log.contains("check bot_token and channel"),
        "{}",
        run.log
    );
    assert!(run.log.contains("not_in_channel"));
}

#[tokio::test]
async fn a_thread_whose_channel_is_gone_begins_anew_in_the_configured_one() {
    for said in [
        r#"{"ok":false,"error":"channel_not_found"}"#,
        r#"{"ok":false,"error":"is_archived"}"#,
        r#"{"ok":false,"error":"not_in_channel"}"#,
    ] {
        let receiver = Receiver::start(vec![POSTED, error(said), AGAIN]);
        let messages = vec![of("a", AlertKind::Opened), of("a", AlertKind::Digest)];
        let run = deliver(bot(&receiver), messages).await;
        assert_eq!(run.counters.delivered.load(Relaxed), 2);
        assert_eq!(
            calls(&receiver)[1..],
            [
                "update C1 1764.0001 - a-digest",
                "postMessage #alerts - - a-digest"
            ]
        );
    }
}

#[tokio::test]
async fn threads_of_another_channel_are_left_there() {
    let folder = TempDir::new().unwrap();
    for (channel, wanted) in [
        ("#alerts", "postMessage #alerts - - a-digest"),
        ("#secops", "postMessage #secops - - a-digest"),
        ("#secops", "update C1 1764.0001 - a-digest"),
    ] {
        let receiver = Receiver::start(vec![POSTED]);
        let mut config = bot(&receiver);
        config.access.channel = Some(channel.into());
        let (outbox, _, give_up, mut delivery) = delivery();
        delivery.data_dir = Some(folder.path().to_owned());
        let sink = tokio::spawn(run(config, delivery));
        outbox.push(of("a", AlertKind::Digest));
        until(|| !receiver.received().is_empty()).await;
        assert_eq!(calls(&receiver)[0], wanted);
        until(|| outbox.waiting().total() == 0 || receiver.received().len() > 1).await;
        give_up.cancel();
        timeout(PATIENCE, sink).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn plain_text_takes_the_place_of_blocks_that_were_edited_in_vain() {
    let refused = error(r#"{"ok":false,"error":"invalid_blocks"}"#);
    let receiver = Receiver::start(vec![POSTED, refused, DONE, AGAIN]);
    let messages = vec![of("a", AlertKind::Opened), of("a", AlertKind::Digest)];
    let run = deliver(bot(&receiver), messages).await;
    assert_eq!(run.counters.delivered.load(Relaxed), 2);
    assert_eq!(receiver.received()[2].body["blocks"], serde_json::json!([]));
}
