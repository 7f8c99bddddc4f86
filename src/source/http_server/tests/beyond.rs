//! What stands behind the limit.

use flate2::{Compression, read::GzEncoder};

use super::*;

/// A source whose limit is soon reached, and that limit.
fn with_low_limit() -> (Served, usize) {
    let mut config = config();
    config.max_body_bytes = 1 << 20;
    (Served::new(&config), config.max_body_bytes)
}

fn gzip_at(level: u32, bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    let mut encoder = GzEncoder::new(bytes, Compression::new(level));
    encoder.read_to_end(&mut packed).unwrap();
    packed
}

/// Who can make one event large puts another behind the limit.
#[tokio::test(flavor = "multi_thread")]
async fn what_stands_behind_the_limit_is_searched_before_it_is_refused() {
    let (served, most) = with_low_limit();
    let client = client();
    for times in [1, 3] {
        let lines = format!("{CLEAN}\n").repeat(times * most / CLEAN.len());
        let body = [&*lines, "\n", FOUND, "\n"].concat().into_bytes();
        let packed = gzip_at(1, &body);
        let twice = zstd::encode_all(&packed[..], 1).unwrap();
        // It does not get smaller.
        let stored = gzip_at(0, &body);
        assert!(stored.len() > most);
        let bodies = match times {
            1 => vec![body, packed, twice, stored],
            _ => vec![body],
        };
        for body in bodies {
            served.pipeline.state().blocks.clear();
            assert_eq!(status(post(&client, &served, body)).await, 413);
            let blocks = served.pipeline.state().blocks.clone();
            let found = |shape: &Shape| *shape == Shape::Lines;
            let found = blocks
                .iter()
                .filter(|(text, shape, _)| found(shape) && text.contains(FOUND));
            assert_eq!(found.count(), 1, "{times}");
            let positions = blocks.iter().map(|(_, _, position)| position);
            let requests = positions.collect::<std::collections::HashSet<_>>();
            assert_eq!(requests.len(), 1, "all of it is one request's");
        }
    }
    assert_eq!(served.refused(Refusal::TooLarge), 5);
    let errors = served
        .counters
        .errors
        .load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(errors, 0);
    served.end();
}

/// One that is packed costs who sends it nothing, and so there is an end to it.
#[tokio::test(flavor = "multi_thread")]
async fn there_is_an_end_to_what_is_searched_behind_the_limit_and_it_is_counted() {
    let (served, most) = with_low_limit();
    let bomb = zstd::encode_all(&vec![b' '; 20 * most][..], 1).unwrap();
    assert_eq!(status(post(&client(), &served, bomb)).await, 413);
    let searched: usize = served
        .pipeline
        .state()
        .blocks
        .iter()
        .map(|block| block.0.len())
        .sum();
    assert!(searched < 3 * most, "{searched}");
    let errors = served
        .counters
        .errors
        .load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(errors, 1);
    let mut endless = served.connect();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        100 * most
    );
    endless.write_all(head.as_bytes()).unwrap();
    let line = format!("{CLEAN}\n").repeat(10_000);
    let mut sent = 0;
    while sent < 100 * most && endless.write_all(line.as_bytes()).is_ok() {
        sent += line.len();
    }
    assert!(sent < 40 * most, "{sent}");
    let errors = served
        .counters
        .errors
        .load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(errors, 2);
    assert_eq!(served.refused(Refusal::TooLarge), 2);
    served.end();
}
