//! The source `fluent`, fed by real sockets.

mod acknowledged;
mod client;
mod handshake;
mod hostile;
mod odd;
mod packed;

pub use client::{Client, Mode};
pub use handshake::ping;

use std::{
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{Arc, Mutex, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use baitline::{
    detect::{Config as Detect, Detection, Detector},
    source::{
        Block, Context, Counters, Decoding, Ended, Outlet, Progress, Stop,
        fluent::{self, Config, Security},
        server::{Address, Refusal},
    },
    telemetry::Status,
};
use jiff::Timestamp;
use tempfile::TempDir;

use crate::recordings::decoy;

const PATIENCE: Duration = Duration::from_secs(30);

type Acknowledge = Box<dyn FnOnce() + Send>;

/// A source that runs in this process.
struct Source {
    directory: TempDir,
    counters: Arc<Counters>,
    found: Arc<Mutex<Vec<Detection>>>,
    /// What is to be called once the commits are safe; nobody calls it unless `is_safe`.
    commits: mpsc::Receiver<Acknowledge>,
    stop: Stop,
    thread: Option<JoinHandle<Result<Ended, baitline::source::Error>>>,
}

struct Pipeline {
    detector: Detector,
    found: Arc<Mutex<Vec<Detection>>>,
    is_safe: bool,
    commits: mpsc::Sender<Acknowledge>,
}

impl Outlet for Pipeline {
    fn take(&mut self, block: &Block<'_>) -> bool {
        let mut found = Vec::new();
        self.detector.scan(block, Timestamp::UNIX_EPOCH, &mut found);
        let finds = !found.is_empty();
        self.found.lock().expect("no panic").extend(found);
        finds
    }

    fn commit(&mut self, progress: Progress) {
        let Some(acknowledge) = progress.acknowledge else {
            return;
        };
        if self.is_safe {
            acknowledge();
        } else {
            self.commits.send(acknowledge).expect("the test waits");
        }
    }

    fn try_commit(&mut self, progress: Progress) -> Result<(), Progress> {
        self.commit(progress);
        Ok(())
    }
}

impl Source {
    /// One where all is safe at once.
    fn start(change: impl FnOnce(&mut Config)) -> Self {
        Self::with(true, change)
    }

    fn with(is_safe: bool, change: impl FnOnce(&mut Config)) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let mut config = Config {
            address: Address::Unix(directory.path().join("forward.sock")),
            connection_limit: 100,
            keepalive: Duration::from_secs(60),
            receive_buffer_bytes: None,
            permit_origin: Vec::new(),
            tls: Default::default(),
            security: Security {
                shared_key: None,
                self_hostname: "baitline".to_owned(),
                users: Default::default(),
            },
            max_message_bytes: 4 << 20,
            max_line_bytes: 1 << 20,
            decoding: Decoding::Audit,
        };
        change(&mut config);
        let (commits, received) = mpsc::channel();
        let found = Arc::new(Mutex::default());
        let decoys = [decoy("honeypot", "backup-sa", true)];
        let mut pipeline = Pipeline {
            detector: Detector::new(&Detect::default(), &decoys, None, "audit".into())
                .expect("no glob"),
            found: Arc::clone(&found),
            is_safe,
            commits,
        };
        let stop = Stop::new().expect("a pipe");
        let counters = Arc::new(Counters::new(true));
        let context = Context {
            id: "audit".into(),
            stop: stop.clone(),
            positions: Vec::new(),
            counters: Arc::clone(&counters),
            status: Status::default(),
        };
        let thread = thread::spawn(move || fluent::run(&config, &context, &mut pipeline));
        Self {
            directory,
            counters,
            found,
            commits: received,
            stop,
            thread: Some(thread),
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("forward.sock")
    }

    fn connect(&self) -> Client<UnixStream> {
        let began = Instant::now();
        let stream = loop {
            match UnixStream::connect(self.path()) {
                Ok(stream) => break stream,
                Err(error) => assert!(began.elapsed() < PATIENCE, "{error}"),
            }
            thread::sleep(Duration::from_millis(2));
        };
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Client::new(stream)
    }

    fn found(&self) -> Vec<Detection> {
        self.found.lock().expect("no panic").clone()
    }

    fn audit_ids(&self) -> Vec<String> {
        let found = self.found();
        let id = |found: &Detection| {
            found
                .request
                .audit_id
                .as_deref()
                .unwrap_or_default()
                .to_owned()
        };
        found.iter().map(id).collect()
    }

    fn refused(&self, why: Refusal) -> u64 {
        self.counters
            .server()
            .map_or(0, |counters| counters.refused(why))
    }

    /// Waits until so many were refused.
    fn wait_refused(&self, why: Refusal, times: u64) {
        let began = Instant::now();
        while self.refused(why) < times {
            assert!(began.elapsed() < PATIENCE, "{why:?}");
            thread::sleep(Duration::from_millis(2));
        }
        assert_eq!(self.refused(why), times, "{why:?}");
    }

    fn end(mut self) {
        self.stop.trigger();
        let ended = self.thread.take().expect("it runs").join();
        assert_eq!(ended.expect("no panic").expect("no error"), Ended::Stopped);
    }
}
