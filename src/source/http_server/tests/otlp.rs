//! OpenTelemetry, which wants answers in the form of its own, and throws away what it hears most refusals of.

use super::*;

/// An `ExportLogsServiceRequest` with one record, whose body is `text`, of less than 100 bytes.
fn export(text: &str) -> Vec<u8> {
    let field = |number: u8, body: &[u8]| [&[number << 3 | 2, body.len() as u8], body].concat();
    let record = field(2, &field(5, &field(1, text.as_bytes())));
    field(1, &[field(1, b""), field(2, &record)].concat())
}

fn export_of_json(text: &str) -> Vec<u8> {
    let record = serde_json::json!({"body": {"stringValue": text}});
    serde_json::json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]})
        .to_string()
        .into_bytes()
}

fn served(patience: Patience) -> Served {
    let mut config = config();
    config.path = "/v1/logs".to_owned();
    config.auth = Auth {
        strategy: Some(Strategy::Bearer),
        username: None,
        password: None,
        token: Some(Secret::new("t0ken".to_owned())),
    };
    Served::with(&config, patience)
}

fn send(served: &Served, content_type: &str, body: Vec<u8>, token: &str) -> RequestBuilder {
    let request = client().post(served.url("/v1/logs")).body(body);
    request
        .header("Content-Type", content_type)
        .bearer_auth(token)
}

const HASTY: Patience = Patience {
    body: Duration::from_millis(300),
    whole: Duration::from_secs(20),
    crowded: Duration::from_secs(20),
    room: Duration::from_millis(100),
    answer: Duration::from_millis(300),
};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_is_answered_by_an_empty_message_of_the_same_form() {
    let served = served(PATIENCE);
    let protobuf = "application/x-protobuf";
    for (content_type, body, form, answer) in [
        (protobuf, export(FOUND), protobuf, ""),
        (protobuf, Vec::new(), protobuf, ""),
        (
            "application/json; charset=utf-8",
            export_of_json(FOUND),
            "application/json",
            "{}",
        ),
    ] {
        let is_found = !body.is_empty();
        served.pipeline.state().blocks.clear();
        let response = send(&served, content_type, body, "t0ken").send();
        let response = response.await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(header(&response, "content-type"), Some(form));
        assert_eq!(response.text().await.unwrap(), answer);
        let text = serde_json::to_string(FOUND).unwrap();
        assert_eq!(served.pipeline.text().contains(&text), is_found);
    }
    served.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_answered_by_a_status_that_says_whether_to_try_again() {
    let served = served(HASTY);
    let reason = "credentials are missing or wrong";
    let refused = send(&served, "application/x-protobuf", export(FOUND), "wrong").send();
    let refused = refused.await.unwrap();
    assert_eq!(refused.status(), 401);
    assert_eq!(
        header(&refused, "content-type"),
        Some("application/x-protobuf")
    );
    let message = [&[0x12, reason.len() as u8], reason.as_bytes()].concat();
    assert_eq!(refused.bytes().await.unwrap(), message);

    let refused = send(&served, "application/json", export_of_json(FOUND), "wrong").send();
    let refused = refused.await.unwrap();
    assert_eq!(refused.status(), 401);
    let message = serde_json::json!({"message": reason}).to_string();
    assert_eq!(refused.text().await.unwrap(), message);

    served.pipeline.slow();
    let busy = send(&served, "application/x-protobuf", export(FOUND), "t0ken").send();
    let busy = busy.await.unwrap();
    assert_eq!(busy.status(), 429);
    assert_eq!(header(&busy, "retry-after"), Some("1"));
    served.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_is_taken_and_counted() {
    let served = served(PATIENCE);
    let mut body = export(FOUND);
    body.pop();
    let response = send(&served, "application/x-protobuf", body, "t0ken").send();
    assert_eq!(response.await.unwrap().status(), 200);
    let errors = &served.counters.errors;
    assert_eq!(errors.load(std::sync::atomic::Ordering::SeqCst), 1);
    assert!(served.pipeline.text().contains("decoy"));
    served.end();
}

/// They, and Promtail, throw away what they hear 408 of.
#[test]
fn who_is_slow_may_try_again() {
    let served = served(HASTY);
    for content_type in ["application/x-protobuf", "application/json"] {
        let heard = served.exchange(format!(
            "POST /v1/logs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer t0ken\r\nContent-Type: {content_type}\r\nContent-Length: 100\r\n\r\n\n"
        ));
        assert!(heard.starts_with("HTTP/1.1 503 "), "{heard}");
        assert!(heard.contains("retry-after: 1\r\n"), "{heard}");
    }
    served.end();
}
