//! Any body of a request, announced as packed in anything: nothing panics, no more comes of it than is allowed, and text that
//! is not packed comes out whole.
//!
//! `cargo +nightly fuzz run http_body`

#![no_main]

use std::sync::LazyLock;

use baitline::source::{
    Block, Decoding, OVERLAP, Shape,
    http_server::{Config, Encoding, Method, search},
    server::{Auth, Tls},
};
use libfuzzer_sys::fuzz_target;

static CONFIG: LazyLock<Config> = LazyLock::new(|| Config {
    address: ([127, 0, 0, 1], 0).into(),
    path: "/".to_owned(),
    strict_path: true,
    method: Method::Post,
    auth: Auth {
        strategy: None,
        username: None,
        password: None,
        token: None,
    },
    tls: Tls::default(),
    encoding: Encoding::Json,
    response_code: 200,
    max_body_bytes: 1 << 20,
    max_decompression_ratio: 1000,
    connection_limit: 1,
    max_line_bytes: 8192,
    decoding: Decoding::Audit,
});

/// How a request of OpenTelemetry begins: with a resource that says nothing, and the records of one scope, however many follow.
const EXPORT: &[u8] = b"\x0a\xff\xff\x03\x0a\x00\x12\xff\xff\x03";

fuzz_target!(|input: (u8, bool, &[u8])| {
    let (coding, is_export, body) = input;
    let export = [EXPORT, body].concat();
    let body = if is_export { &*export } else { body };
    let codings = [
        "",
        "gzip",
        "zstd",
        "deflate",
        "br",
        "snappy",
        "gzip, zstd",
        "deflate,deflate,gzip",
    ];
    let coding = codings[usize::from(coding) % codings.len()];
    let mut searched = 0;
    // What nothing is found in is searched in other ways as well.
    let is_found = body.first().is_some_and(|first| first % 2 == 0);
    let is_taken = search(&CONFIG, body, coding, &mut |block: &Block<'_>| {
        let repeated = match block.shape {
            Shape::Oversized { first: false, .. } => OVERLAP,
            _ => 0,
        };
        searched += block.bytes.len() - repeated;
        // UTF-16 may become half as long again, and what is pushed to Loki several times as long, as JSON with labels.
        assert!(block.bytes.len() <= 10 * (CONFIG.max_body_bytes + body.len() + 1));
        is_found
    });
    // What is damaged is searched as it is, too, at each of a few layers.
    assert!(searched <= 40 * (CONFIG.max_body_bytes + body.len() + 1));
    let is_line =
        body.starts_with(b"{\"") && !body.contains(&b'\n') && body.len() <= CONFIG.max_line_bytes;
    // What shows itself when it is packed is not taken for packed when it is not.
    let shows = ["", "gzip", "zstd", "gzip, zstd"].contains(&coding);
    assert!(!is_line || !shows || (is_taken && searched >= body.len()));
});
