//! Too much, too slow, too many; and when an answer is given.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::*;

/// Nobody waits long.
const HASTY: Patience = Patience {
    body: Duration::from_millis(300),
    whole: Duration::from_secs(20),
    crowded: Duration::from_secs(20),
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
    let mut long = format!("{FOUND}\n").into_bytes();
    long.resize(most + 1, b' ');
    let length = long.len();
    let chunk = format!("{length:x}\r\n");
    let announced = (format!("Content-Length: {length}\r\n"), "", "");
    let chunked = "Transfer-Encoding: chunked\r\n".to_owned();
    for (header, before, behind) in [announced, (chunked, &*chunk, "\r\n0\r\n\r\n")] {
        served.pipeline.state().blocks.clear();
        let head = format!("POST / HTTP/1.1\r\nHost: x\r\n{header}\r\n{before}");
        let answer = served.exchange([head.as_bytes(), &long, behind.as_bytes()].concat());
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        let text = served.pipeline.text();
        assert!(text.contains(FOUND), "what was read is searched: {header}");
    }
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

/// What came fast at first earns no time, and what comes just fast enough does not last for ever.
#[test]
fn a_body_that_slows_down_or_does_not_end_is_too_slow() {
    let endless = Patience {
        whole: Duration::from_millis(900),
        ..HASTY
    };
    for (patience, at_first, at_once) in [(HASTY, 3 << 20, 1), (endless, 0, 1000)] {
        let served = Served::with(&config(), patience);
        let mut stream = served.connect();
        let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&vec![b' '; at_first]).unwrap();
        let began = Instant::now();
        let mut writer = stream.try_clone().unwrap();
        thread::spawn(move || {
            while writer.write_all(&vec![b' '; at_once]).is_ok() {
                thread::sleep(Duration::from_millis(20));
            }
        });
        let answer = heard(&mut stream);
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(began.elapsed() < Duration::from_secs(10));
        served.end();
    }
}

/// Two bodies hold all the room there is, and do not get on.
#[test]
fn who_holds_room_for_long_gives_it_up_when_it_is_wanted() {
    let patience = Patience {
        body: LONG,
        whole: LONG,
        crowded: Duration::from_millis(200),
        room: Duration::from_secs(30),
        answer: LONG,
    };
    let served = Served::with(&config(), patience);
    let most = config().max_body_bytes;
    let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {most}\r\n\r\n");
    let hold = || {
        let mut stream = served.connect();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&vec![b' '; most - 1]).unwrap();
        stream
    };
    let _holders = [hold(), hold()];
    let began = Instant::now();
    // The first may come before all room is taken.
    while served.refused(Refusal::Timeout) == 0 {
        assert!(began.elapsed() < LONG / 2, "nobody gives way");
        let answer = served.exchange(posted(CLEAN));
        // While it waits for room it may be asked to give way itself.
        let is_served = ["HTTP/1.1 200 ", "HTTP/1.1 408 "];
        let is_served = is_served.iter().any(|status| answer.starts_with(status));
        assert!(is_served, "{answer}");
    }
    assert!(served.exchange(posted(CLEAN)).starts_with("HTTP/1.1 200 "));
    served.end();
}

/// Whoever floods the source from one address.
#[tokio::test(flavor = "multi_thread")]
async fn who_comes_from_elsewhere_is_served_while_one_address_holds_all_it_can() {
    let patience = Patience {
        body: LONG,
        whole: LONG,
        crowded: LONG,
        room: LONG,
        answer: LONG,
    };
    let served = Served::with(&config(), patience);
    let most = config().max_body_bytes;
    let connect = async |from: [u8; 4]| {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        socket.connect(served.address).await.unwrap()
    };
    let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {most}\r\n\r\n");
    for _ in 0..2 {
        let mut holder = connect([127, 0, 0, 1]).await;
        holder.write_all(head.as_bytes()).await.unwrap();
        tokio::spawn(async move {
            holder.write_all(&vec![b' '; most - 1]).await.unwrap();
            std::future::pending::<()>().await;
        });
    }
    let mut others = Vec::new();
    for from in [[127, 0, 0, 1], [127, 0, 0, 2]] {
        // Until nothing more is taken in of what the first two send.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let mut stream = connect(from).await;
        stream.write_all(posted(CLEAN).as_bytes()).await.unwrap();
        others.push(stream);
    }
    let mut answer = [0; 13];
    timeout(LONG, others[1].read_exact(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 ");
    let waits = timeout(
        Duration::from_millis(100),
        others[0].read_exact(&mut answer),
    )
    .await;
    assert!(waits.is_err(), "the address of the flood has no room left");
    served.end();
}

/// Every place is held by a body that does not get on.
#[test]
fn who_does_not_get_on_makes_room_for_who_comes() {
    let mut config = config();
    config.connection_limit = 3;
    let served = Served::new(&config);
    let half = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{";
    let _held = [(); 3].map(|()| {
        let mut stream = served.connect();
        stream.write_all(half.as_bytes()).unwrap();
        stream
    });
    for _ in 0..2 {
        assert!(served.exchange(posted(CLEAN)).starts_with("HTTP/1.1 200 "));
    }
    assert_eq!(served.refused(Refusal::Connections), 0);
    served.end();
}

/// Five times as many as there are places send half of what stands before a body.
#[test]
fn strangers_hold_nobody_up() {
    let mut config = config();
    config.connection_limit = 20;
    let served = Served::new(&config);
    let began = Instant::now();
    let _held: Vec<_> = (0..100)
        .map(|_| {
            let mut stream = served.connect();
            stream.write_all(b"POST / HTTP/1.1\r\nHo").unwrap();
            stream
        })
        .collect();
    assert!(served.exchange(posted(CLEAN)).starts_with("HTTP/1.1 200 "));
    assert!(began.elapsed() < Duration::from_secs(10));
    served.end();
}

#[test]
fn who_waits_to_be_asked_for_a_body_is_not_asked_in_vain() {
    let mut config = config();
    config.auth.strategy = Some(Strategy::Bearer);
    config.auth.token = Some(Secret::new("t0ken".to_owned()));
    let served = Served::new(&config);
    let ask = |token: &str, length: usize| {
        served.exchange(format!(
            "POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
        ))
    };
    let stranger = ask("no", 1000);
    assert!(stranger.starts_with("HTTP/1.1 401 "), "{stranger}");
    let large = ask("t0ken", 16 * config.max_body_bytes + 1);
    assert!(large.starts_with("HTTP/1.1 413 "), "{large}");
    served.end();
}

/// A request that asks for an end behind its answer.
fn posted(body: &str) -> String {
    let length = body.len();
    format!(
        "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
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
    assert_eq!(served.refused(Refusal::BrokenOff), 2);
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

/// Some begin with so many before they hear how many may be, and are refused those beyond.
#[test]
fn a_connection_of_http_2_takes_a_hundred_requests_at_a_time() {
    let served = Served::new(&config());
    let mut stream = served.connect();
    let settings = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
    stream.write_all(settings).unwrap();
    let mut head = [0; 9];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(head[3], 4, "its own settings come first");
    let mut settings = vec![0; usize::from(head[2])];
    stream.read_exact(&mut settings).unwrap();
    let concurrent = settings.chunks(6).find(|setting| setting[..2] == [0, 3]);
    assert_eq!(concurrent.unwrap()[2..], 100_u32.to_be_bytes());
    drop(stream);
    served.end();
}
