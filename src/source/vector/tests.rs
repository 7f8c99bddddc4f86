//! Real sockets, and a client of gRPC by hyper.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    sync::{Arc, atomic::Ordering::SeqCst},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use self::grpc::{Answer, Caller, HEALTH_CHECK, PUSH_EVENTS, frame};
use super::*;
use crate::source::{
    Counters, Shape, Stop,
    server::{Refusal, testing::Pipeline},
};

// The tests of the whole program have it too.
mod calls;
#[path = "../../../tests/suite/program/grpc.rs"]
mod grpc;
mod limits;
mod peers;

/// How long anything may take on a machine that has other things to do.
const LONG: Duration = Duration::from_secs(60);

fn config() -> Config {
    Config {
        address: ([127, 0, 0, 1], 0).into(),
        version: Version::Two,
        tls: Tls::default(),
        max_body_bytes: 2 << 20,
        max_decompression_ratio: 1000,
        connection_limit: 100,
        max_line_bytes: 1 << 20,
        decoding: Decoding::Audit,
    }
}

/// A field that is a message or text.
fn field(number: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut length = body.len();
    while length > 0x7f {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    [&bytes, body].concat()
}

/// A log whose message is `text`, as one of the events of a request.
fn log(text: &str) -> Vec<u8> {
    let value = field(1, text.as_bytes());
    let pair = [field(1, b"message"), field(2, &value)].concat();
    field(1, &field(1, &field(1, &pair)))
}

/// What is found, and what is not.
fn found() -> Vec<u8> {
    log("decoy")
}

fn clean() -> Vec<u8> {
    log("jane")
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
        let context = crate::source::Context::new(stop.clone());
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

    fn refused(&self, why: Refusal) -> u64 {
        self.counters.server().unwrap().refused(why)
    }

    fn caller(&self) -> Caller {
        Caller::connect(self.address).unwrap()
    }

    /// What comes back of `bytes`, behind which perhaps no more can come, until the connection ends.
    fn exchange(&self, bytes: &[u8], is_end: bool) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        let _ = stream.write_all(bytes);
        if is_end {
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard);
        String::from_utf8_lossy(&heard).into_owned()
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

fn zstd_of(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}
