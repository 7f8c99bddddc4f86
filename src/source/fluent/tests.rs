//! Who gets a place when there are too many connections.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    thread::{self, JoinHandle},
    time::Instant,
};

use sha2::{Digest, Sha512};
use tempfile::TempDir;

use super::*;
use crate::{
    config::Secret,
    source::{Counters, Stop, server::testing::Pipeline},
};

const PATIENCE: Duration = Duration::from_secs(20);

const KEY: &str = "open sesame";

/// A message that is acknowledged.
const MESSAGE: &[u8] = b"\x94\xa3tag\x07\x80\x81\xa5chunk\xa1c";
const ACK: &[u8] = b"\x81\xa3ack\xa1c";

/// What who knows `key` says to a HELO.
pub fn ping(helo: &[u8], key: &str) -> Vec<u8> {
    let nonce = &helo[15..][..16];
    let shown = [b"salt", b"node-1".as_slice(), nonce, key.as_bytes()];
    let hash = Sha512::digest(shown.concat());
    let digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut ping = vec![0x96];
    for text in ["PING", "node-1", "salt", &digits, "", ""] {
        reply::text(text, &mut ping);
    }
    ping
}

struct Served {
    directory: TempDir,
    counters: Arc<Counters>,
    stop: Stop,
    thread: JoinHandle<Result<Ended, Error>>,
}

impl Served {
    fn new(connection_limit: usize, shared_key: Option<&str>) -> Self {
        let directory = TempDir::new().unwrap();
        let config = Config {
            address: Address::Unix(socket(directory.path())),
            connection_limit,
            keepalive: PATIENCE,
            receive_buffer_bytes: None,
            permit_origin: Vec::new(),
            tls: Tls::default(),
            security: Security {
                shared_key: shared_key.map(|key| Secret::new(key.to_owned())),
                self_hostname: "baitline".to_owned(),
                users: Default::default(),
            },
            max_message_bytes: 1 << 20,
            max_line_bytes: 1 << 20,
            decoding: Decoding::Audit,
        };
        let stop = Stop::new().unwrap();
        let context = Context::new(stop.clone());
        let counters = Arc::clone(&context.counters);
        let thread = thread::spawn(move || run(&config, &context, &mut Pipeline::default()));
        Self {
            directory,
            counters,
            stop,
            thread,
        }
    }

    fn connect(&self) -> UnixStream {
        let began = Instant::now();
        loop {
            if let Ok(stream) = UnixStream::connect(socket(self.directory.path())) {
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                return stream;
            }
            assert!(began.elapsed() < PATIENCE);
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn end(self) {
        self.stop.trigger();
        self.thread.join().unwrap().unwrap();
    }
}

fn socket(directory: &Path) -> PathBuf {
    directory.join("forward.sock")
}

/// Whether a message is acknowledged.
fn is_heard(stream: &mut UnixStream) -> bool {
    let mut ack = [0; ACK.len()];
    stream.write_all(MESSAGE).is_ok() && stream.read_exact(&mut ack).is_ok() && ack == ACK
}

#[test]
fn half_messages_hold_no_place_that_is_wanted() {
    let served = Served::new(3, None);
    let _held = [(); 3].map(|()| {
        let mut stream = served.connect();
        stream.write_all(&MESSAGE[..7]).unwrap();
        stream
    });
    for _ in 0..2 {
        assert!(is_heard(&mut served.connect()));
    }
    let refused = served
        .counters
        .server()
        .unwrap()
        .refused(Refusal::Connections);
    assert_eq!(refused, 0);
    served.end();
}

#[test]
fn who_has_shown_the_key_keeps_the_place_that_a_stranger_gives_up() {
    let served = Served::new(2, Some(KEY));
    let heard = |stream: &mut UnixStream| {
        let mut bytes = [0; 1000];
        let length = stream.read(&mut bytes).unwrap();
        bytes[..length].to_vec()
    };
    let mut known = served.connect();
    let helo = heard(&mut known);
    known.write_all(&ping(&helo, KEY)).unwrap();
    assert!(heard(&mut known).starts_with(b"\x95\xa4PONG\xc3"));
    // It has been silent for longer than any of these.
    let _strangers = [(); 4].map(|()| {
        let mut stranger = served.connect();
        assert!(heard(&mut stranger).starts_with(b"\x92\xa4HELO"));
        thread::sleep(Duration::from_millis(300));
        stranger
    });
    assert!(is_heard(&mut known));
    served.end();
}
