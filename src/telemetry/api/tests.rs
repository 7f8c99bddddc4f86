use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{super::snapshot::example, *};
use crate::sink::tests::PATIENCE;

async fn ask(api: &Api, request: &str) -> String {
    let mut stream = TcpStream::connect(api.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer));
    read.await.expect("the connection is closed").unwrap();
    answer
}

async fn get(api: &Api, path: &str) -> String {
    ask(api, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await
}

async fn start(snapshot: Snapshot) -> Api {
    let address = "127.0.0.1:0".parse().unwrap();
    serve(address, move || snapshot.clone()).await.unwrap()
}

#[tokio::test]
async fn health_answers_by_its_status() {
    let api = start(example::running()).await;
    for path in ["/health", "/health/ready", "/health/live"] {
        let answer = get(&api, path).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(
            answer.contains("content-type: application/json\r\n"),
            "{answer}"
        );
        assert!(
            answer.contains(r#"{"status":"ok","live":true,"ready":true,"#),
            "{answer}"
        );
    }
    let mut starting = example::running();
    starting.trouble = Some(example::trouble("the pipeline starts", false));
    let api = start(starting).await;
    for (path, status) in [
        ("/health", 503),
        ("/health/ready", 503),
        ("/health/live", 200),
    ] {
        let answer = get(&api, path).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{path}: {answer}"
        );
        assert!(answer.contains(r#""ready":false"#), "{answer}");
    }
}

#[tokio::test]
async fn metrics_say_in_which_format_they_are() {
    let api = start(example::running()).await;
    let answer = get(&api, "/metrics").await;
    let header = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n";
    assert!(answer.contains(header), "{answer}");
    assert!(answer.ends_with("# EOF\n"), "{answer}");
}

#[tokio::test]
async fn nothing_else_is_served() {
    let api = start(example::running()).await;
    for path in ["/", "/health/", "/metrics/x", "/../health"] {
        let answer = get(&api, path).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let request = format!("{method} /health HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
        let answer = ask(&api, &request).await;
        assert!(answer.starts_with("HTTP/1.1 405 "), "{method}: {answer}");
    }
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(100_000));
    let answer = ask(&api, &long).await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
}

#[tokio::test]
async fn an_address_in_use_is_an_error_and_one_given_up_is_free() {
    let api = start(example::running()).await;
    let address = api.address();
    let second = serve(address, Snapshot::default).await;
    assert_eq!(
        second.err().map(|error| error.kind()),
        Some(io::ErrorKind::AddrInUse)
    );
    drop(api);
    let again = async {
        while serve(address, Snapshot::default).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.unwrap();
}
