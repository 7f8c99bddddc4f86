//! The source `vector` in the program: what Vector sent, by a client of gRPC.

use std::{io::Read, net::SocketAddr, sync::Arc};

use flate2::{Compression, read::GzEncoder};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::{Value as Json, json};

use super::{
    fluent::certificate,
    grpc::{Caller, HEALTH_CHECK, PUSH_EVENTS, frame},
    harness::{Ran, Running, Setting, configuration, decoy, watch},
    inputs::METADATA,
    poster::address,
};
use crate::{msgpack, protobuf::Value, recordings};

/// The configuration of the tests with this source in place of standard input.
fn listening() -> Json {
    let mut configuration = configuration(decoy(true));
    configuration["sources"]["audit"] =
        json!({"type": "vector", "version": "2", "address": "127.0.0.1:0"});
    configuration
}

fn start(setting: &Setting) -> (Running, Caller) {
    let mut running = setting.start_watch(&[]);
    running.close_stdin();
    let caller = Caller::connect(address(&running)).expect("it listens");
    (running, caller)
}

fn end(running: Running) -> Ran {
    running.signal("TERM");
    let ran = running.wait();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran
}

fn recording(folder: &str, name: &str) -> Vec<u8> {
    std::fs::read(recordings::path(folder, name)).expect("the recording is there")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    let mut encoder = GzEncoder::new(bytes, Compression::fast());
    encoder.read_to_end(&mut packed).expect("memory takes all");
    packed
}

/// The status of a request that is pushed by TLS, with or without a certificate; nothing, if the client is not let in.
pub fn push_by_tls(address: SocketAddr, with_certificate: bool, request: &[u8]) -> Option<u16> {
    let pem = |name: &str| CertificateDer::from_pem_file(certificate(name)).expect("a certificate");
    let mut roots = RootCertStore::empty();
    roots.add(pem("ca.crt")).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_root_certificates(roots);
    let mut config = if with_certificate {
        let key = PrivateKeyDer::from_pem_file(certificate("client.key")).expect("a key");
        let config = builder.with_client_auth_cert(vec![pem("client.crt")], key);
        config.expect("they belong together")
    } else {
        builder.with_no_client_auth()
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let caller = Caller::connect_by_tls(address, Arc::new(config)).ok()?;
    let call = caller.begin(PUSH_EVENTS, &[], frame(false, request), false);
    caller.end(call).ok()?.status
}

#[test]
fn what_vector_sends_is_what_went_into_it() {
    let input = recording("fluent-bit", "input.ndjson");
    let plain = watch(&configuration(decoy(true)), &input).told();
    assert!(plain.hits() >= 4);
    for name in ["push-events-parsed.bin", "push-events-raw-message.bin"] {
        let bytes = recording("vector", name);
        let zstd = zstd::encode_all(&bytes[..], 3).expect("memory takes all");
        for (encoding, is_compressed, message) in [
            ("identity", false, bytes.clone()),
            ("gzip", true, gzip(&bytes)),
            ("zstd", true, zstd),
        ] {
            let (running, caller) = start(&Setting::with(&listening()));
            let health = caller.call(HEALTH_CHECK, &[], frame(false, b""));
            assert_eq!((health.http, health.status), (200, Some(0)));
            assert_eq!(health.headers["content-type"], "application/grpc");
            assert_eq!(health.body, frame(false, b""), "SERVING is 0");
            let headers = [("grpc-encoding", encoding)];
            let answer = caller.call(PUSH_EVENTS, &headers, frame(is_compressed, &message));
            assert_eq!(answer.status, Some(0), "{name}, {encoding}");
            let told = end(running).told();
            told.check_alerts();
            assert_eq!(told.found(), plain.found(), "{name}, {encoding}");
            assert_eq!(
                told.counts_by_key(),
                plain.counts_by_key(),
                "{name}, {encoding}"
            );
            let position = told.detections[0]["origin"]["position"].as_str();
            assert!(position.is_some_and(|position| {
                position.starts_with("vector:127.0.0.1:") && position.ends_with("#1")
            }));
        }
    }
}

/// Agents may send what they found through Vector too, parsed or as the text that stood in a file.
#[test]
fn detections_of_another_baitline_are_read() {
    let told = watch(&configuration(decoy(true)), &METADATA).told();
    let request: Vec<u8> = told
        .detections
        .iter()
        .zip(0..)
        .flat_map(|(detection, number)| {
            let value = match number % 2 {
                0 => Value::from(&msgpack::Value::from(detection)),
                _ => Value::map([("message", Value::Bytes(detection.to_string().into_bytes()))]),
            };
            value.entry(&mut std::iter::repeat(0))
        })
        .collect();
    let mut configuration = listening();
    configuration["sources"]["audit"]["decoding"] = json!({"codec": "detection"});
    configuration["transforms"] = json!({"incidents": {"type": "dedupe", "inputs": ["audit"]}});
    configuration["sinks"]["told"]["inputs"] = json!(["incidents"]);
    let (running, caller) = start(&Setting::with(&configuration));
    assert_eq!(caller.push(&request), Some(0));
    let again = end(running).told();
    let hits = |alerts: &[Json]| -> u64 {
        let counts = alerts.iter().filter_map(|alert| alert["count"].as_u64());
        counts.sum()
    };
    assert!(hits(&told.alerts) > 100);
    assert_eq!(hits(&again.alerts), hits(&told.alerts));
}

/// What is meant to take memory or to break something does neither, and others are served on.
#[test]
fn hostile_requests_take_no_memory_and_others_are_served() {
    let bomb = |byte: u8| {
        let endless = std::io::repeat(byte).take(1 << 25);
        zstd::encode_all(endless, 1).expect("memory takes all")
    };
    let zstd = [("grpc-encoding", "zstd")];
    let log = |message: &[u8]| {
        let value = Value::map([("message", Value::Bytes(message.to_vec()))]);
        value.entry(&mut std::iter::repeat(0))
    };
    // As tight as may be, and control characters, which JSON writes six times as long.
    let mut dice = fastrand::Rng::with_seed(7);
    let mut control = vec![1; 12 << 20];
    control
        .iter_mut()
        .step_by(300)
        .for_each(|byte| *byte = dice.u8(1..20));
    let long = zstd::encode_all(&log(&control)[..], 1).expect("memory takes all");
    let deep = [
        b"\x0a\xff\x7f".repeat(100_000),
        b"\x3a\xff\xff\xff\xff\x0f".repeat(100_000),
    ]
    .concat();
    let mut huge = frame(false, &log(b"x"));
    huge[1..5].copy_from_slice(&u32::MAX.to_be_bytes());
    let requests = [
        (frame(true, &bomb(0)), 8),
        // Empty events without end.
        (frame(true, &bomb(b'\n')), 8),
        (frame(true, &long), 0),
        (frame(false, &deep), 3),
        (frame(false, b"\x0a\xff\xff\xff\xff\x0f"), 3),
        (huge, 13),
        (frame(false, &b"\x9d\x07 no protobuf \xff".repeat(1000)), 3),
    ];
    let mut configuration = listening();
    configuration["sources"]["audit"]["max_body_bytes"] = "16MiB".into();
    configuration["sources"]["audit"]["max_line_bytes"] = "1MiB".into();
    let (running, caller) = start(&Setting::with(&configuration));
    for (body, status) in requests {
        let answer = caller.call(PUSH_EVENTS, &zstd, body);
        assert_eq!(answer.status, Some(status));
    }
    let peak = running.peak_kib();
    assert!(peak < 200 << 10, "{peak} KiB");
    let recorded = recording("vector", "push-events-parsed.bin");
    assert_eq!(caller.push(&recorded), Some(0));
    assert!(end(running).told().hits() >= 4);
}

#[test]
fn validate_warns_of_a_listener_that_others_reach() {
    let validate = |options: Json| {
        let mut configuration = listening();
        let source = &mut configuration["sources"]["audit"];
        for (name, value) in options.as_object().expect("a map") {
            source[name] = value.clone();
        }
        let ran = Setting::with(&configuration).run(&["validate", "baitline.json"], b"");
        (ran.code, ran.stderr)
    };
    assert_eq!(validate(json!({})), (Some(0), String::new()));
    let path = |name: &str| certificate(name).to_str().expect("UTF-8").to_owned();
    let tls =
        json!({"enabled": true, "crt_file": path("server.crt"), "key_file": path("server.key")});
    let (_, open) = validate(json!({"address": "0.0.0.0:6000"}));
    assert!(
        open.contains(
            "(vector) listens on an address that other machines may reach, and neither encrypts"
        ),
        "{open}"
    );
    let (_, anybody) = validate(json!({"address": "[::]:6000", "tls": tls}));
    assert!(
        anybody.contains("asks nobody who they are; write tls.verify_certificate"),
        "{anybody}"
    );
    let mut mutual = tls.clone();
    mutual["ca_file"] = path("ca.crt").into();
    mutual["verify_certificate"] = true.into();
    assert_eq!(
        validate(json!({"address": "[::]:6000", "tls": mutual})),
        (Some(0), String::new())
    );
    let (code, version) = validate(json!({"version": "1"}));
    assert_eq!(code, Some(78));
    assert!(version.contains("must be \"2\", found"), "{version}");
}
