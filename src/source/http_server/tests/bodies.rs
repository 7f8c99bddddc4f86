//! What a body may be, and what becomes of it.

use std::io::Read;

use flate2::{
    Compression,
    read::{DeflateEncoder, GzEncoder, ZlibEncoder},
};

use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    let mut encoder = GzEncoder::new(bytes, Compression::fast());
    encoder.read_to_end(&mut packed).unwrap();
    packed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_searched_as_it_lies_and_says_where_it_came_from() {
    let served = Served::new(&config());
    let client = client();
    for _ in 0..2 {
        assert_eq!(status(post(&client, &served, CLEAN)).await, 200);
    }
    let blocks = served.pipeline.state().blocks.clone();
    let (text, shape, position) = &blocks[1];
    assert_eq!((text.trim_end(), *shape), (CLEAN, Shape::Lines));
    assert!(position.starts_with("http:127.0.0.1:"), "{position}");
    assert!(position.ends_with("#2"), "{position}");
    served.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn any_content_is_read_for_what_it_is_whatever_its_type_says() {
    let served = Served::new(&config());
    let client = client();
    let pretty = "{\n \"kind\": \"Event\"\n}\n{\n \"kind\": \"Event\"\n}";
    let cases = [
        ("{\"a\":1}\n{\"a\":2}\n", "application/json", 1),
        ("{\"a\":1}{\"a\":2}", "application/x-ndjson", 1),
        ("[{\"a\":1},{\"a\":2}]", "text/plain", 1),
        (pretty, "application/octet-stream", 2),
        ("[\n{\"a\":1},\n{\"a\":2}\n]", "image/png", 2),
    ];
    for (body, content_type, blocks) in cases {
        served.pipeline.state().blocks.clear();
        let request = post(&client, &served, body).header("Content-Type", content_type);
        assert_eq!(status(request).await, 200);
        assert_eq!(served.pipeline.state().blocks.len(), blocks, "{body}");
    }
    let map = b"\x81\xa4kind\xa5Event".to_vec();
    for content_type in ["application/msgpack", "application/json"] {
        served.pipeline.state().blocks.clear();
        let request = post(&client, &served, map.clone()).header("Content-Type", content_type);
        assert_eq!(status(request).await, 200);
        assert_eq!(served.pipeline.state().blocks[0].1, Shape::MessagePack);
    }
    assert_eq!(
        served
            .counters
            .discarded
            .load(std::sync::atomic::Ordering::SeqCst),
        0
    );
    served.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn text_of_two_bytes_a_character_is_text() {
    let served = Served::new(&config());
    let wide: Vec<u8> = FOUND.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(status(post(&client(), &served, gzip(&wide))).await, 200);
    assert!(served.pipeline.text().contains(FOUND));
    served.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_packs_better_than_any_ratio_allows_is_taken_unless_it_is_large() {
    let mut config = config();
    config.max_body_bytes = 64 << 20;
    config.max_line_bytes = 32 << 20;
    let served = Served::new(&config);
    let client = client();
    let event = |letters: usize| {
        let uri = "y".repeat(letters);
        let event = format!("{{\"requestURI\":\"{uri}\",\"user\":\"decoy\"}}");
        zstd::encode_all(event.as_bytes(), 1).unwrap()
    };
    let packed = event(30 << 20);
    assert!(packed.len() * 1000 < 30 << 20, "{}", packed.len());
    assert_eq!(status(post(&client, &served, packed)).await, 200);
    assert!(served.pipeline.text().contains("decoy"));
    let response = post(&client, &served, event(49 << 20))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 413);
    let why = response.text().await.unwrap();
    assert!(why.contains("max_decompression_ratio"), "{why}");
    served.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_and_garbage_are_taken_and_garbage_is_counted() {
    let served = Served::new(&config());
    let client = client();
    assert_eq!(status(post(&client, &served, "")).await, 200);
    assert!(served.pipeline.text().is_empty());
    for garbage in [
        &b"not json"[..],
        b"\xff\x00\x01",
        b" \n ",
        b"\x92\xc1",
        b"<xml/>",
    ] {
        assert_eq!(status(post(&client, &served, garbage.to_vec())).await, 200);
    }
    assert_eq!(
        served
            .counters
            .discarded
            .load(std::sync::atomic::Ordering::SeqCst),
        5
    );
    assert!(
        served.pipeline.text().contains("<xml/>"),
        "it is searched all the same"
    );
    served.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_packed_is_unpacked_whatever_the_header_says() {
    let served = Served::new(&config());
    let client = client();
    let text = CLEAN.as_bytes();
    let mut zlib = Vec::new();
    ZlibEncoder::new(text, Compression::fast())
        .read_to_end(&mut zlib)
        .unwrap();
    let mut raw = Vec::new();
    DeflateEncoder::new(text, Compression::fast())
        .read_to_end(&mut raw)
        .unwrap();
    let snappy = snap::raw::Encoder::new().compress_vec(text).unwrap();
    let mut frames = Vec::new();
    snap::read::FrameEncoder::new(text)
        .read_to_end(&mut frames)
        .unwrap();
    let zstd = zstd::encode_all(text, 1).unwrap();
    let twice = zstd::encode_all(&gzip(text)[..], 1).unwrap();
    let cases = [
        (gzip(text), "gzip"),
        (gzip(text), "x-gzip"),
        (gzip(text), ""),
        (gzip(text), "zstd"),
        (zstd, "ZSTD"),
        (zlib, "deflate"),
        (raw, "deflate"),
        (twice, "gzip, zstd"),
        (snappy.clone(), "snappy"),
        (snappy, ""),
        (frames.clone(), "snappy"),
        (frames, ""),
        (text.to_vec(), "gzip"),
        (text.to_vec(), "br"),
    ];
    for (body, coding) in cases {
        served.pipeline.state().blocks.clear();
        let request = post(&client, &served, body).header("Content-Encoding", coding);
        assert_eq!(status(request).await, 200, "{coding}");
        assert_eq!(served.pipeline.text().trim_end(), CLEAN, "{coding}");
    }
    served.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_can_unpack_is_not_said_to_be_safe() {
    let served = Served::new(&config());
    let request = post(
        &client(),
        &served,
        &b"\x1b\x0a\x00\x00\xa4\xb0\xb2\xea\x81\x47"[..],
    );
    let response = request
        .header("Content-Encoding", "br")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 415);
    assert_eq!(
        header(&response, "accept-encoding"),
        Some("gzip, deflate, zstd, snappy")
    );
    assert_eq!(served.refused(Refusal::Coding), 1);
    served.end();
}

/// As gzip it would be taken for garbage, and nobody would hear that the source is blind.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_packed_as_it_says_is_refused_if_nothing_of_it_can_be_read() {
    let served = Served::new(&config());
    let mut raw = Vec::new();
    DeflateEncoder::new(CLEAN.as_bytes(), Compression::fast())
        .read_to_end(&mut raw)
        .unwrap();
    let brotli = b"\x1b\x0a\x00\x00\xa4\xb0\xb2\xea\x81\x47".to_vec();
    let xz = b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4\x46".to_vec();
    let client = client();
    for coding in ["gzip", "zstd", "snappy, gzip"] {
        for body in [&raw, &brotli, &xz] {
            let request = post(&client, &served, body.clone()).header("Content-Encoding", coding);
            assert_eq!(status(request).await, 415, "{coding} {body:?}");
        }
    }
    assert_eq!(served.refused(Refusal::Coding), 9);
    // What can be read is, and so is what was found where nothing was expected.
    let map = b"\x81\xa4kind\xa5Event".to_vec();
    let hidden = [b"\x01\x02", FOUND.as_bytes()].concat();
    for body in [map, hidden] {
        let request = post(&client, &served, body).header("Content-Encoding", "gzip");
        assert_eq!(status(request).await, 200);
    }
    served.end();
}

/// Nothing says how it is packed: it is garbage, which is taken, but people are told what it is.
#[tokio::test(flavor = "multi_thread")]
async fn what_shows_a_form_that_is_not_read_is_counted_as_a_fault() {
    let served = Served::new(&config());
    let forms = [
        &b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4\x46"[..],
        b"BZh91AY&SY\x01\x02\x03",
        b"---\nprotoPayload:\n  a: b\n",
    ];
    for form in forms {
        assert_eq!(status(post(&client(), &served, form.to_vec())).await, 200);
    }
    let errors = &served.counters.errors;
    assert_eq!(errors.load(std::sync::atomic::Ordering::SeqCst), 3);
    served.end();
}

/// It comes no better if it is sent again: so it is taken, and all that can be read of it is searched.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_is_taken_and_counted() {
    let served = Served::new(&config());
    let mut packed = gzip(&[FOUND, "\n"].concat().repeat(2000).into_bytes());
    packed.truncate(packed.len() - 6);
    assert_eq!(status(post(&client(), &served, packed)).await, 200);
    assert!(served.pipeline.text().contains(FOUND));
    assert_eq!(
        served
            .counters
            .errors
            .load(std::sync::atomic::Ordering::SeqCst),
        1
    );
    served.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_list_of_400_is_one_body() {
    let served = Served::new(&config());
    let items = vec![CLEAN; 399].join(",");
    let list = format!("{{\"kind\":\"EventList\",\"items\":[{items},{FOUND}]}}\n");
    let request = client()
        .post(served.url("/?timeout=30s"))
        .body(list.clone());
    assert_eq!(status(request).await, 200);
    assert_eq!(served.pipeline.text(), list);
    served.end();
}

/// By one connection, one after the other, in chunks, and without waiting for answers.
#[test]
fn requests_follow_each_other_on_a_connection() {
    let served = Served::new(&config());
    let length = CLEAN.len();
    let (first, second) = CLEAN.split_at(7);
    let request = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{CLEAN}\
         POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
         7\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n\
         POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{CLEAN}",
        second.len()
    );
    let answers = served.exchange(request);
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 3, "{answers}");
    assert_eq!(served.pipeline.text(), format!("{CLEAN}\n").repeat(3));
    served.end();
}

#[test]
fn a_body_comes_in_any_pieces() {
    let served = Served::new(&config());
    let mut stream = served.connect();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        FOUND.len()
    );
    for byte in (head + FOUND).bytes() {
        stream.write_all(&[byte]).unwrap();
    }
    assert!(heard(&mut stream).starts_with("HTTP/1.1 200 OK"));
    assert_eq!(served.pipeline.text().trim_end(), FOUND);
    served.end();
}
