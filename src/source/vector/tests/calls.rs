//! What is called, and what becomes of it.

use flate2::{
    Compression,
    read::{GzEncoder, ZlibEncoder},
};

use super::*;

fn read(mut encoder: impl Read) -> Vec<u8> {
    let mut packed = Vec::new();
    encoder.read_to_end(&mut packed).unwrap();
    packed
}

#[test]
fn events_are_searched_as_they_lie_and_say_where_they_came_from() {
    let served = Served::new(&config());
    let caller = served.caller();
    assert_eq!(caller.push(&clean()), Some(0));
    let request = [clean(), found(), clean()].concat();
    let answer = caller.call(PUSH_EVENTS, &[], frame(false, &request));
    assert_eq!((answer.http, answer.status), (200, Some(0)));
    assert_eq!(answer.body, [0; 5], "an empty message");
    assert_eq!(answer.headers["content-type"], "application/grpc");
    assert_eq!(
        answer.headers["grpc-accept-encoding"],
        "identity, deflate, gzip, zstd"
    );
    let blocks = served.pipeline.state().blocks.clone();
    let (text, shape, position) = &blocks[1];
    assert_eq!(*text, String::from_utf8(request).unwrap());
    assert_eq!((blocks.len(), *shape), (2, Shape::PushEvents));
    assert!(position.starts_with("vector:127.0.0.1:"), "{position}");
    assert!(position.ends_with("#2"), "{position}");
    assert_eq!(caller.push(b""), Some(0));
    assert_eq!(served.pipeline.state().blocks.len(), 2);
    served.end();
}

#[test]
fn it_says_that_it_serves() {
    let served = Served::new(&config());
    let answer = served.caller().call(HEALTH_CHECK, &[], frame(false, b""));
    assert_eq!((answer.http, answer.status), (200, Some(0)));
    assert_eq!(answer.body, [0; 5], "SERVING is 0");
    // As a probe of Kubernetes asks.
    let health = "/grpc.health.v1.Health/Check";
    let answer = served.caller().call(health, &[], frame(false, b""));
    assert_eq!((answer.http, answer.status), (200, Some(0)));
    assert_eq!(answer.body, frame(false, b"\x08\x01"), "SERVING is 1");
    assert_eq!(served.pipeline.text(), "");
    served.end();
}

#[test]
fn each_encoding_is_undone() {
    let served = Served::new(&config());
    let caller = served.caller();
    let push = |encoding: &str, is_compressed: bool, message: &[u8]| {
        let headers = [("grpc-encoding", encoding)];
        caller.call(PUSH_EVENTS, &headers, frame(is_compressed, message))
    };
    let request = found();
    let text = String::from_utf8(request.clone()).unwrap();
    for (encoding, message) in [
        (
            "gzip",
            read(GzEncoder::new(&request[..], Compression::fast())),
        ),
        (
            "deflate",
            read(ZlibEncoder::new(&request[..], Compression::fast())),
        ),
        ("zstd", zstd_of(&request)),
    ] {
        assert_eq!(push(encoding, true, &message).status, Some(0), "{encoding}");
        // A message that does not pay is sent as it is.
        assert_eq!(push(encoding, false, &request).status, Some(0));
    }
    assert_eq!(push("snappy", false, &request).status, Some(0));
    assert_eq!(served.pipeline.text(), text.repeat(7));

    let unknown = push("snappy", true, &request);
    assert_eq!((unknown.http, unknown.status), (200, Some(12)));
    assert!(
        unknown.headers["grpc-accept-encoding"]
            .to_str()
            .unwrap()
            .contains("zstd")
    );
    assert_eq!(served.refused(Refusal::Coding), 1);
    assert_eq!(push("identity", true, &request).status, Some(13));
    let unsaid = caller.call(PUSH_EVENTS, &[], frame(true, &request));
    assert_eq!(unsaid.status, Some(13));
    served.end();
}

#[test]
fn logs_alone_are_searched_and_the_rest_is_counted_and_taken() {
    let served = Served::new(&config());
    let (metric, trace) = (field(1, &field(2, b"decoy")), field(1, &field(3, b"decoy")));
    let request = [&metric, &clean()[..], &clean(), &trace, &metric, &clean()].concat();
    assert_eq!(served.caller().push(&request), Some(0));
    let blocks = served.pipeline.state().blocks.clone();
    let texts: Vec<&[u8]> = blocks.iter().map(|(text, ..)| text.as_bytes()).collect();
    assert_eq!(texts, [&clean().repeat(2)[..], &clean()]);
    assert_eq!(served.counters.discarded.load(SeqCst), 3);
    // What is new in Vector is passed.
    assert_eq!(served.caller().push(&field(7, b"new")), Some(0));
    assert_eq!(served.counters.errors.load(SeqCst), 0);
    served.end();
}

#[test]
fn what_is_not_called_is_refused() {
    let served = Served::new(&config());
    let caller = served.caller();
    let body = || frame(false, &found());
    for path in [
        "/",
        "/vector.Vector/PushEventz",
        "/vector.Vector",
        "/grpc.health.v1.Health/Watch",
    ] {
        let answer = caller.call(path, &[], body());
        assert_eq!((answer.http, answer.status), (200, Some(12)), "{path}");
        assert!(answer.body.is_empty());
    }
    assert_eq!(served.refused(Refusal::Route), 4);
    let request = |method: &str, content_type: &str| {
        let request = hyper::Request::builder()
            .method(method)
            .uri(PUSH_EVENTS)
            .header("content-type", content_type);
        caller
            .end(caller.begin_request(request, body(), false))
            .unwrap()
    };
    let get = request("GET", "application/grpc");
    assert_eq!((get.http, get.status), (405, None));
    assert_eq!(get.headers["allow"], "POST");
    for content_type in [
        "application/json",
        "application/grpc-web",
        "application/grpc+json",
    ] {
        let answer = request("POST", content_type);
        assert_eq!((answer.http, answer.status), (415, None), "{content_type}");
    }
    assert_eq!(served.pipeline.text(), "", "nobody's data is read");
    assert_eq!(request("POST", "application/grpc+proto").status, Some(0));
    let old = format!(
        "POST {PUSH_EVENTS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/grpc\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    );
    let answer = served.exchange(old.as_bytes(), false);
    assert!(answer.starts_with("HTTP/1.1 505 "), "{answer}");
    assert!(answer.ends_with("gRPC, by HTTP/2\n"), "{answer}");
    served.end();
}

#[test]
fn what_is_no_message_is_to_be_sent_again_and_what_is_no_protobuf_is_not() {
    let served = Served::new(&config());
    let caller = served.caller();
    let whole = frame(false, &found());
    let mut two = whole.clone();
    two.extend(&whole);
    let mut huge = whole.clone();
    huge[1..5].copy_from_slice(&[0xff; 4]);
    for body in [
        Vec::new(),
        whole[..4].to_vec(),
        whole[..whole.len() - 1].to_vec(),
        huge,
        two,
        [b"\x07", &whole[1..]].concat(),
    ] {
        assert_eq!(caller.call(PUSH_EVENTS, &[], body).status, Some(13));
    }
    assert_eq!(served.refused(Refusal::Malformed), 6);
    assert_eq!(served.pipeline.text(), "");

    // Protobuf that ends too early, and what is none: what can be seen of it is told.
    let cut = [clean(), found()[..found().len() - 1].to_vec()].concat();
    for (message, blocks) in [(&cut[..], 2), (b"{\"user\":\"decoy\"}", 1), (b"\x0b", 1)] {
        served.pipeline.state().blocks.clear();
        assert_eq!(caller.push(message), Some(3));
        assert_eq!(served.pipeline.state().blocks.len(), blocks);
        assert_eq!(served.pipeline.text().as_bytes(), message);
    }
    assert_eq!(served.counters.errors.load(SeqCst), 3);
    // Within an event it concerns that event alone.
    assert_eq!(caller.push(&field(1, &field(1, b"\xff\xff"))), Some(0));
    served.end();
}
