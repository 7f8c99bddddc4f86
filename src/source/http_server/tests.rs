//! Real sockets, real clients: `reqwest` where it will do, bare bytes where a client misbehaves.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use reqwest::{Client, ClientBuilder, RequestBuilder, Response};

use super::*;
use crate::{
    config::Secret,
    source::{
        Counters, Shape, Stop,
        server::{Refusal, Strategy, testing::Pipeline},
    },
};

mod beyond;
mod bodies;
mod limits;
mod otlp;
mod peers;
mod real;

/// How long anything may take on a machine that has other things to do.
const LONG: Duration = Duration::from_secs(60);

/// What is found: it holds `decoy`.
const FOUND: &str = r#"{"kind":"Event","user":"decoy"}"#;
const CLEAN: &str = r#"{"kind":"Event","user":"jane"}"#;

fn config() -> Config {
    Config {
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
        max_body_bytes: 4 << 20,
        max_decompression_ratio: 1000,
        connection_limit: 100,
        max_line_bytes: 1 << 20,
        decoding: Decoding::Audit,
    }
}

/// A running source.
struct Served {
    address: SocketAddr,
    counters: Arc<Counters>,
    stop: Stop,
    pipeline: Pipeline,
    thread: Option<JoinHandle<Result<Ended, Error>>>,
}

impl Served {
    fn new(config: &Config) -> Self {
        Self::with(config, PATIENCE)
    }

    fn with(config: &Config, patience: Patience) -> Self {
        let stop = Stop::new().unwrap();
        let context = Context::new(stop.clone());
        let server = bind(config, &context).unwrap();
        let Address::Socket(address) = *server.address() else {
            panic!("it listens at a socket");
        };
        let pipeline = Pipeline::default();
        let counters = Arc::clone(&context.counters);
        let (config, mut outlet) = (config.clone(), pipeline.clone());
        let thread = thread::spawn(move || serve(server, &config, patience, &context, &mut outlet));
        Self {
            address,
            counters,
            stop,
            pipeline,
            thread: Some(thread),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn refused(&self, why: Refusal) -> u64 {
        self.counters.server().unwrap().refused(why)
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream
    }

    /// A request, as bytes, and all that comes back until the connection ends.
    fn exchange(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_ref()).unwrap();
        heard(&mut stream)
    }

    fn wait_for(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !holds(self) {
            assert!(began.elapsed() < LONG, "waited in vain for {what}");
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn end(mut self) {
        self.stop.trigger();
        let ended = self.thread.take().unwrap().join().unwrap();
        assert_eq!(ended.unwrap(), Ended::Stopped);
    }
}

/// What comes until the end, or until the peer breaks off.
fn heard(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn clients() -> ClientBuilder {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().timeout(LONG)
}

fn client() -> Client {
    clients().build().unwrap()
}

fn post(client: &Client, served: &Served, body: impl Into<reqwest::Body>) -> RequestBuilder {
    client.post(served.url("/")).body(body)
}

async fn status(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

fn header<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    response.headers().get(name)?.to_str().ok()
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/tls")
        .join(name)
}

fn authority() -> reqwest::Certificate {
    reqwest::Certificate::from_pem(&std::fs::read(file("ca.crt")).unwrap()).unwrap()
}
