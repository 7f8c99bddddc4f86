//! The source `fluent` in the program: what shippers sent, by TCP and TLS.

use std::{
    io::{Read, Write},
    iter,
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, pem::PemObject},
};
use serde_json::{Value as Json, json};

use super::{
    harness::{PATIENCE, Ran, Running, Setting, configuration, decoy, watch},
    inputs::{noise, token_use},
};
use crate::{
    forward::{Client, Mode, ping},
    msgpack::Value,
    recordings,
};

/// The configuration of the tests with this source in place of standard input.
fn listening(source: Json) -> Json {
    let mut configuration = configuration(decoy(true));
    configuration["sources"]["audit"] = source;
    configuration
}

/// The program, and where it listens.
fn start(setting: &Setting) -> (Running, SocketAddr) {
    let mut running = setting.start_watch(&[]);
    running.close_stdin();
    let address = address(&running);
    (running, address)
}

/// Where the program listens.
pub fn address(running: &Running) -> SocketAddr {
    running.stderr.wait_for("listening");
    let text = running.stderr.text();
    let (_, address) = text.split_once("address=").expect("an address");
    let address = address.split_whitespace().next();
    address
        .and_then(|address| address.parse().ok())
        .expect("an address")
}

/// The path of a file of the certificates for tests.
pub fn certificate(name: &str) -> PathBuf {
    recordings::path("tls", name)
}

pub fn connect(address: SocketAddr) -> Client<TcpStream> {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_nodelay(true).expect("an option");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    Client::new(stream)
}

fn end(running: Running) -> Ran {
    running.signal("TERM");
    let ran = running.wait();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran
}

fn message(number: u32, mode: Mode) -> Vec<u8> {
    let record = Value::from(&token_use(number, "10.0.3.7", json!({})));
    let entry = Value::Array(vec![Value::time(1_795_455_390, 0), record]);
    mode.messages(&[entry], Some("chunk"), &mut iter::repeat(0))
}

#[test]
fn what_fluent_bit_sends_is_what_went_into_it() {
    let input = std::fs::read(recordings::path("fluent-bit", "input.ndjson"));
    let plain = watch(
        &configuration(decoy(true)),
        &input.expect("the recording is there"),
    )
    .told();
    assert!(plain.hits() >= 4);
    let source = json!({"type": "fluent", "address": "127.0.0.1:0"});
    for name in [
        "forward-parsed-json",
        "forward-raw-log-field",
        "forward-no-metadata",
        "forward-message-mode",
        "forward-packed-gzip",
        "forward-ack-chunk",
    ] {
        let setting = Setting::with(&listening(source.clone()));
        let (running, address) = start(&setting);
        let path = recordings::path("fluent-bit", &format!("{name}.bin"));
        let mut client = connect(address);
        client.send(&std::fs::read(path).expect("the recording is there"));
        client.settle();
        let told = end(running).told();
        told.check_alerts();
        assert_eq!(told.found(), plain.found(), "{name}");
        assert_eq!(told.counts_by_key(), plain.counts_by_key(), "{name}");
        assert_eq!(told.detections[0]["origin"]["headers"]["tag"], "kube.audit");
    }
}

/// A client that has shaken hands, by TLS and with the shared key.
pub fn enter(
    address: SocketAddr,
    key: &str,
    user: (&str, &str),
) -> Client<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(certificate("ca.crt")).expect("a certificate");
    roots.add(authority).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut client = Client::new(StreamOwned::new(connection, connect(address).stream));
    let helo = client.hear().expect("HELO");
    client.send(&ping(&helo, key, user));
    client.hear().expect("PONG");
    client
}

#[test]
fn by_tls_and_with_a_shared_key() {
    let setting = Setting::with(&listening(json!({
        "type": "fluent", "address": "127.0.0.1:0", "shared_key": "open sesame",
        "users": {"ann": "her secret"},
        "tls": {
            "enabled": true, "crt_file": certificate("server.crt"), "key_file": certificate("server.key"),
        },
    })));
    let (running, address) = start(&setting);
    let mut client = enter(address, "open sesame", ("ann", "her secret"));
    client.send(&message(1, Mode::Zstd));
    assert_eq!(client.ack().as_deref(), Some("chunk"));
    let ran = end(running);
    assert_eq!(ran.told().detections.len(), 1);
    for secret in ["open sesame", "her secret"] {
        assert!(!ran.stderr.contains(secret) && !ran.stdout.contains(secret));
    }
}

#[test]
fn a_flood_of_garbage_is_told_seldom_and_others_are_served_on() {
    let setting = Setting::with(&listening(json!({
        "type": "fluent", "address": "127.0.0.1:0", "max_message_bytes": "16MiB",
    })));
    let (running, address) = start(&setting);
    let mut good = connect(address);
    let noise = noise(100_000);
    for seed in 0..200 {
        use std::io::Write;
        let mut client = connect(address);
        // It may be closed before all is written.
        let _ = client.stream.write_all(&noise[seed * 400..]);
        if seed % 20 == 0 {
            good.send(&message(seed as u32, Mode::Gzip));
            assert_eq!(good.ack().as_deref(), Some("chunk"));
        }
    }
    assert!(running.peak_kib() < 150_000, "{} KiB", running.peak_kib());
    let ran = end(running);
    assert_eq!(ran.told().detections.len(), 10);
    let warnings = ran.stderr.matches("connection closed").count();
    assert!((1..10).contains(&warnings), "{}", ran.stderr);
}

/// Parsed, and as text, as they stood in the file that was read.
#[test]
fn detections_of_another_baitline_come_as_maps_or_as_text() {
    let found = watch(
        &configuration(decoy(true)),
        format!("{}\n", token_use(7, "10.0.3.7", json!({}))).as_bytes(),
    );
    let detection = &found.told().detections[0];
    let line = |key| Value::map([(key, detection.to_string().as_str().into())]);
    let mut configuration = listening(json!({
        "type": "fluent", "address": "127.0.0.1:0", "decoding": {"codec": "detection"},
    }));
    configuration["transforms"] = json!({"incidents": {"type": "dedupe", "inputs": ["audit"]}});
    configuration["sinks"] = json!({"told": {
        "type": "file", "inputs": ["incidents"], "path": "told.ndjson", "encoding": {"codec": "json"},
    }});
    for record in [Value::from(detection), line("log"), line("message")] {
        let setting = Setting::with(&configuration);
        let (running, address) = start(&setting);
        let mut client = connect(address);
        let entry = Value::Array(vec![Value::time(1_795_455_390, 0), record]);
        client.send(&Mode::Packed.messages(&[entry], Some("chunk"), &mut iter::repeat(0)));
        assert_eq!(client.ack().as_deref(), Some("chunk"));
        let told = end(running).told();
        assert_eq!(told.count(), 1);
    }
}

/// As Go's client sends with `MarshalAsJSON`, and as Fluentd takes it.
#[test]
fn messages_of_json_are_taken_and_acknowledged_as_json() {
    let source = json!({"type": "fluent", "address": "127.0.0.1:0"});
    let setting = Setting::with(&listening(source));
    let (running, address) = start(&setting);
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let event = |number| token_use(number, "10.0.3.7", json!({}));
    let one = json!(["kube.audit", 1_795_455_390, event(1), {"chunk": "one"}]);
    let entries =
        json!([[1_795_455_390, {"log": event(2).to_string()}], [1_795_455_391, event(3)]]);
    let many = json!(["kube.audit", entries, {"chunk": "many"}]);
    let quiet = json!(["kube.audit", 1_795_455_390, event(4), {}]);
    let sent = format!("{quiet}{one}\n{many}");
    stream.write_all(sent.as_bytes()).expect("it reads");
    let wanted = br#"{"ack":"one"}{"ack":"many"}"#;
    let mut acks = vec![0; wanted.len()];
    stream.read_exact(&mut acks).expect("it answers");
    assert_eq!(acks, wanted);
    // What is cut off is searched, and what is no message ends the connection.
    let half = json!(["kube.audit", 1, event(5), {"chunk": "half"}]).to_string();
    let mut other = TcpStream::connect(address).expect("it listens");
    other
        .write_all(&half.as_bytes()[..half.len() - 30])
        .expect("it reads");
    drop(other);
    stream.write_all(b"{\"no\":\"message\"}").expect("it reads");
    assert_eq!(stream.read(&mut [0]).expect("it ends"), 0);
    let told = end(running).told();
    let tags = told
        .detections
        .iter()
        .map(|told| &told["origin"]["headers"]["tag"]);
    assert_eq!(tags.filter(|tag| *tag == "kube.audit").count(), 4);
    assert_eq!(told.hits(), 5, "{:?}", told.found());
}
