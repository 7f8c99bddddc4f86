//! Too much, too slow, too many; and when an answer is given.

use tokio::time::timeout;

use super::*;

/// Nobody waits long.
const HASTY: Patience = Patience {
    body: Duration::from_millis(300),
    room: Duration::from_millis(100),
    answer: Duration::from_millis(500),
};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_found_is_answered_once_it_is_safe_and_what_is_clean_at_once() {
    let served = Served::new(&config());
    let client = client();
    served.pipeline.slow();
    let found = tokio::spawn(post(&client, &served, FOUND).send());
    served.wait_for("the commit", |served| {
        !served.pipeline.state().kept.is_empty()
    });
    assert_eq!(status(post(&client, &served, CLEAN)).await, 200);
    assert!(!found.is_finished());
    served.pipeline.acknowledge();
    assert_eq!(found.await.unwrap().unwrap().status(), 200);
    served.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_become_safe_in_time_is_to_be_sent_again() {
    let served = Served::with(&config(), HASTY);
    served.pipeline.slow();
    let response = post(&client(), &served, FOUND).send().await.unwrap();
    assert_eq!(response.status(), 429);
    assert_eq!(header(&response, "retry-after"), Some("1"));
    assert_eq!(served.refused(Refusal::Overload), 1);
    served.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_pipeline_refuses_for_now_and_takes_everything_later() {
    let served = Served::with(&config(), HASTY);
    let client = client();
    let full = Arc::clone(&served.pipeline.state().full);
    let requests: Vec<_> = {
        let _full = full.lock().unwrap();
        let requests: Vec<_> = (0..80)
            .map(|_| tokio::spawn(post(&client, &served, FOUND).send()))
            .collect();
        served.wait_for("the first to be refused", |served| {
            served.refused(Refusal::Overload) > 0
        });
        requests
    };
    let mut refused = 0;
    for request in requests {
        let response = request.await.unwrap().unwrap();
        if response.status() == 429 {
            assert_eq!(header(&response, "retry-after"), Some("1"));
            refused += 1;
        } else {
            assert_eq!(response.status(), 200);
        }
    }
    assert_eq!(refused, served.refused(Refusal::Overload));
    assert_eq!(status(post(&client, &served, FOUND)).await, 200);
    served.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_refused_announced_or_not_and_packed_or_not() {
    let served = Served::new(&config());
    let most = config().max_body_bytes;
    let client = client();
    assert_eq!(status(post(&client, &served, vec![b' '; most])).await, 200);
    let announced = served.exchange(format!(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        most + 1
    ));
    assert!(announced.starts_with("HTTP/1.1 413 "), "{announced}");
    let chunk = vec![b' '; most + 1];
    let chunked = [
        format!(
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n",
            chunk.len()
        )
        .as_bytes(),
        &chunk,
    ]
    .concat();
    let mut stream = served.connect();
    // It may break off while this is written.
    let _ = stream.write_all(&chunked);
    let chunked = heard(&mut stream);
    assert!(
        chunked.is_empty() || chunked.starts_with("HTTP/1.1 413 "),
        "{chunked}"
    );
    assert_eq!(served.refused(Refusal::TooLarge), 2);

    let mut text = format!("{FOUND}\n").into_bytes();
    text.resize(most + 1, b' ');
    let bomb = zstd::encode_all(&text[..], 1).unwrap();
    assert!(bomb.len() < 10_000);
    assert_eq!(status(post(&client, &served, bomb)).await, 413);
    assert!(
        served.pipeline.text().contains(FOUND),
        "what came before is told"
    );
    assert_eq!(served.refused(Refusal::TooLarge), 3);
    served.end();
}

#[test]
fn a_client_that_is_too_slow_is_told_so_and_others_are_served() {
    let served = Served::with(&config(), HASTY);
    let mut slow = served.connect();
    slow.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        .unwrap();
    let mut silent = served.connect();
    silent.write_all(b"POST / HTTP/1.1\r\nHo").unwrap();
    let request = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{CLEAN}",
        CLEAN.len()
    );
    assert!(served.exchange(request).starts_with("HTTP/1.1 200 "));
    let answer = heard(&mut slow);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert_eq!(served.refused(Refusal::Timeout), 1);
    served.end();
}

/// One that sends a byte now and then is as slow, though it is never silent.
#[test]
fn a_trickle_is_too_slow() {
    let served = Served::with(&config(), HASTY);
    let mut stream = served.connect();
    stream
        .write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
        .unwrap();
    let began = Instant::now();
    let mut writer = stream.try_clone().unwrap();
    thread::spawn(move || {
        while writer.write_all(b" ").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let answer = heard(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(began.elapsed() < Duration::from_secs(10));
    served.end();
}

#[test]
fn half_a_body_is_no_body_and_half_a_request_no_request() {
    let served = Served::new(&config());
    for text in [
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{\"decoy\":",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{\"decoy\":",
        "POST / HT",
        "",
    ] {
        let mut stream = served.connect();
        stream.write_all(text.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let answer = heard(&mut stream);
        assert!(!answer.contains(" 200 "), "{answer}");
    }
    assert_eq!(served.pipeline.text(), "");
    served.end();
}

#[test]
fn no_garbage_on_the_wire_disturbs_others() {
    let served = Served::new(&config());
    let huge = format!("POST / HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(200_000));
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\x00\x00\x00\x00\x00\x00";
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\x00\x01\x02 garbage\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        huge.as_bytes(),
        preface,
    ] {
        let mut stream = served.connect();
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        heard(&mut stream);
    }
    let request = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{CLEAN}",
        CLEAN.len()
    );
    assert!(served.exchange(request).starts_with("HTTP/1.1 200 "));
    assert!(served.refused(Refusal::Malformed) > 0);
    served.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_flight_when_it_stops_is_answered() {
    let served = Served::new(&config());
    served.pipeline.slow();
    let found = tokio::spawn(post(&client(), &served, FOUND).send());
    served.wait_for("the commit", |served| {
        !served.pipeline.state().kept.is_empty()
    });
    served.stop.trigger();
    served.wait_for("the listener to close", |served| {
        TcpStream::connect(served.address).is_err()
    });
    served.pipeline.acknowledge();
    let response = timeout(LONG, found).await.unwrap().unwrap().unwrap();
    assert_eq!(response.status(), 200);
    served.end();
}
