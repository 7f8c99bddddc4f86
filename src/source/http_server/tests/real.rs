//! Against a client that nobody here wrote: `curl`, where `BAITLINE_TEST_CURL` names it.

use std::process::Command;

use super::*;

/// What `curl` is answered for `arguments`: the status and the version of HTTP.
fn curl(curl: &str, arguments: &[&str]) -> String {
    let output = Command::new(curl)
        .args([
            "--silent",
            "--show-error",
            "--noproxy",
            "*",
            "--output",
            "/dev/null",
        ])
        .args([
            "--write-out",
            "%{http_code} by %{http_version}",
            "--max-time",
            "60",
        ])
        .args(arguments)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn curl_posts_by_either_http_plain_and_by_tls() {
    let Ok(program) = std::env::var("BAITLINE_TEST_CURL") else {
        println!("NOT RUN: needs curl, named by BAITLINE_TEST_CURL");
        return;
    };
    let recording = |name: &str| {
        let root = env!("CARGO_MANIFEST_DIR");
        format!("@{root}/tests/data/fluent-bit/{name}")
    };
    let mut config = config();
    let bodies = |config: &Config, protocol: &[&str], wanted: &str| {
        let served = Served::new(config);
        let scheme = if config.tls.enabled { "https" } else { "http" };
        let url = format!("{scheme}://localhost:{}/", served.address.port());
        let resolve = format!("localhost:{}:127.0.0.1", served.address.port());
        let post = |arguments: &[&str]| {
            let all = [protocol, &["--resolve", &resolve, &url], arguments].concat();
            assert_eq!(curl(&program, &all), wanted, "{arguments:?}");
        };
        post(&["--data-binary", &recording("http-json.bin")]);
        post(&["--data-binary", &recording("http-msgpack.bin")]);
        let packed = recording("http-json-gzip.bin");
        post(&[
            "--header",
            "Content-Encoding: gzip",
            "--data-binary",
            &packed,
        ]);
        post(&[
            "--header",
            "Transfer-Encoding: chunked",
            "--data-binary",
            &packed,
        ]);
        post(&["--header", "Expect: 100-continue", "--data-binary", &packed]);
        assert!(
            served
                .pipeline
                .text()
                .contains("system:serviceaccount:honeypot:backup-sa")
        );
        served.end();
    };
    bodies(&config, &["--http1.1"], "200 by 1.1");
    bodies(&config, &["--http2-prior-knowledge"], "200 by 2");
    // It asks to be upgraded, and is served as it asked.
    bodies(&config, &["--http2"], "200 by 1.1");
    config.tls = Tls {
        enabled: true,
        crt_file: Some(file("server.crt")),
        key_file: Some(file("server.key")),
        ca_file: Some(file("ca.crt")),
        verify_certificate: true,
    };
    let [ca, crt, key] =
        ["ca.crt", "client.crt", "client.key"].map(|name| file(name).display().to_string());
    let tls = ["--cacert", &*ca, "--cert", &*crt, "--key", &*key];
    bodies(&config, &[&tls[..], &["--http1.1"]].concat(), "200 by 1.1");
    bodies(&config, &[&tls[..], &["--http2"]].concat(), "200 by 2");
}
