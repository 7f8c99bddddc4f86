//! Against librdkafka's mock cluster: a real consumer, real groups and offsets, brokers in this process.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer},
    message::{Header, OwnedHeaders},
    mocking::{MockCluster, MockCoordinator},
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
};

use super::*;
use crate::{
    kafka::{Mechanism, Sasl, Tls},
    source::{Block, Counters, Position, Progress, Provenance, Shape, Stop},
    telemetry::Status,
};

mod group;
mod offsets;
mod payloads;
mod real;
mod trouble;

const PATIENCE: Duration = Duration::from_secs(60);

const TOPIC: &str = "audit";

/// The least that the mock cluster's groups take: after this long it forgets a member.
const SESSION: Duration = Duration::from_secs(6);

fn config(brokers: &str) -> Config {
    Config {
        connection: Connection {
            bootstrap_servers: brokers.to_owned(),
            sasl: Sasl {
                enabled: false,
                mechanism: Mechanism::ScramSha512,
                username: None,
                password: None,
            },
            tls: Tls {
                enabled: false,
                ca_file: None,
                crt_file: None,
                key_file: None,
                key_pass: None,
                verify_certificate: true,
                verify_hostname: true,
            },
            socket_timeout: Duration::from_secs(60),
            librdkafka_options: [("topic.metadata.refresh.interval.ms", "500")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        },
        group_id: "baitline".to_owned(),
        topics: vec![TOPIC.to_owned()],
        auto_offset_reset: AutoOffsetReset::Earliest,
        session_timeout: SESSION,
        fetch_wait_max: Duration::from_millis(10),
        commit_interval: Duration::from_millis(50),
        max_line_bytes: 1 << 20,
        decoding: Decoding::Audit,
    }
}

/// A cluster, and who writes to it.
struct Cluster {
    mock: MockCluster<'static, DefaultProducerContext>,
    producer: ThreadedProducer<DefaultProducerContext>,
}

impl Cluster {
    /// Of one broker.
    fn start(partitions: i32) -> Self {
        Self::led_by(&vec![1; usize::try_from(partitions).unwrap()])
    }

    /// Of as many brokers as are named: each partition is led by one of them. The first keeps the group.
    fn led_by(leaders: &[i32]) -> Self {
        let mock = MockCluster::new(*leaders.iter().max().unwrap()).unwrap();
        let partitions = i32::try_from(leaders.len()).unwrap();
        mock.create_topic(TOPIC, partitions, 1).unwrap();
        for (partition, leader) in (0..).zip(leaders) {
            let leader = Some(*leader);
            mock.partition_leader(TOPIC, partition, leader).unwrap();
        }
        let group = MockCoordinator::Group("baitline".to_owned());
        mock.coordinator(group, 1).unwrap();
        let producer = ClientConfig::new()
            .set("bootstrap.servers", mock.bootstrap_servers())
            .create()
            .unwrap();
        Self { mock, producer }
    }

    fn config(&self) -> Config {
        config(&self.mock.bootstrap_servers())
    }

    fn write(&self, partition: i32, payloads: &[impl AsRef<[u8]>]) {
        for payload in payloads {
            let record = BaseRecord::<(), _>::to(TOPIC).partition(partition);
            let record = record.payload(payload.as_ref());
            assert!(self.producer.send(record).is_ok());
        }
        self.producer.flush(PATIENCE).unwrap();
    }

    /// What the group has committed.
    fn committed(&self, partition: i32) -> Option<i64> {
        let asker: BaseConsumer<DefaultAsker> = ClientConfig::new()
            .set("bootstrap.servers", self.mock.bootstrap_servers())
            .set("group.id", "baitline")
            .create()
            .unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition(TOPIC, partition);
        let list = asker.committed_offsets(list, PATIENCE).unwrap();
        match list.elements()[0].offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        }
    }

    /// As the group would.
    fn commit(&self, partition: i32, offset: i64) {
        let member: BaseConsumer<DefaultAsker> = ClientConfig::new()
            .set("bootstrap.servers", self.mock.bootstrap_servers())
            .set("group.id", "baitline")
            .create()
            .unwrap();
        let mut list = TopicPartitionList::new();
        let offset = Offset::Offset(offset);
        list.add_partition_offset(TOPIC, partition, offset).unwrap();
        member.commit(&list, CommitMode::Sync).unwrap();
    }

    #[track_caller]
    fn expect_committed(&self, partition: i32, offset: i64) {
        let deadline = Instant::now() + PATIENCE;
        while self.committed(partition) != Some(offset) {
            assert!(
                Instant::now() < deadline,
                "{:?} is committed, not {offset}",
                self.committed(partition)
            );
            thread::sleep(Duration::from_millis(50));
        }
    }
}

type DefaultAsker = rdkafka::consumer::DefaultConsumerContext;

/// What an outlet was told.
enum Told {
    Block(String, Shape, Provenance),
    Progress(Progress),
}

/// An outlet that tells all to the test, in which everything is found, and which is full when the test says so.
struct Pipe {
    told: Sender<Told>,
    full: Arc<AtomicBool>,
}

impl Outlet for Pipe {
    fn take(&mut self, block: &Block<'_>) -> bool {
        let text = String::from_utf8_lossy(block.bytes);
        let mut start = 0;
        let lines = match block.shape {
            Shape::Lines => text.split_inclusive('\n').collect(),
            _ => vec![&*text],
        };
        for line in lines {
            let provenance = (block.provenance)(start);
            start += line.len();
            let told = Told::Block(line.to_owned(), block.shape, provenance);
            let _ = self.told.send(told);
        }
        true
    }

    fn commit(&mut self, progress: Progress) {
        let _ = self.told.send(Told::Progress(progress));
    }

    fn try_commit(&mut self, progress: Progress) -> Result<(), Progress> {
        if self.full.load(SeqCst) {
            return Err(progress);
        }
        self.commit(progress);
        Ok(())
    }
}

/// A source on a thread of its own.
struct Running {
    stop: Stop,
    full: Arc<AtomicBool>,
    counters: Arc<Counters>,
    status: Status,
    told: Receiver<Told>,
    thread: Option<JoinHandle<Result<Ended, Error>>>,
}

impl Running {
    fn start(config: Config) -> Self {
        Self::resume(config, Vec::new(), None)
    }

    /// With what was stored before; alone, if `settled` says within which time.
    fn resume(config: Config, positions: Vec<Position>, settled: Option<Duration>) -> Self {
        let stop = Stop::new().unwrap();
        let (sender, told) = channel();
        let full = Arc::new(AtomicBool::new(false));
        let mut context = Context::new(stop.clone());
        context.positions = positions;
        let (counters, status) = (context.counters.clone(), context.status.clone());
        let mut pipe = Pipe {
            told: sender,
            full: full.clone(),
        };
        let thread = thread::spawn(move || {
            let lone = settled.map(|settled| Lone::new(&config, settled));
            read(&config, lone, &context, &mut pipe)
        });
        Self {
            stop,
            full,
            counters,
            status,
            told,
            thread: Some(thread),
        }
    }

    #[track_caller]
    fn next(&self) -> Told {
        self.told.recv_timeout(PATIENCE).expect("something")
    }

    /// The next line, and where it was; acknowledges on the way.
    #[track_caller]
    fn next_line(&self) -> (String, String) {
        loop {
            match self.next() {
                Told::Block(text, _, provenance) => {
                    return (text.trim_end().to_owned(), provenance.position.into());
                }
                Told::Progress(progress) => acknowledge(progress),
            }
        }
    }

    /// The next lines, sorted.
    #[track_caller]
    fn next_lines(&self, count: usize) -> Vec<String> {
        let mut lines: Vec<String> = (0..count).map(|_| self.next_line().0).collect();
        lines.sort();
        lines
    }

    /// The next note of how far it has come.
    #[track_caller]
    fn next_progress(&self) -> Progress {
        loop {
            if let Told::Progress(progress) = self.next() {
                return progress;
            }
        }
    }

    /// Acknowledges whatever comes for `time`; gives the lines.
    fn attend(&self, time: Duration) -> Vec<String> {
        let deadline = Instant::now() + time;
        let mut lines = Vec::new();
        loop {
            match self
                .told
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(Told::Block(text, ..)) => lines.push(text.trim_end().to_owned()),
                Ok(Told::Progress(progress)) => acknowledge(progress),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return lines,
            }
        }
    }

    fn errors(&self) -> u64 {
        self.counters.errors.load(SeqCst)
    }

    /// Waits until its trouble is one that names `what`, or is over.
    #[track_caller]
    fn wait_for_trouble(&self, what: Option<&str>) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let reason = self.status.trouble().map(|trouble| trouble.reason);
            let is_it = match (&reason, what) {
                (Some(reason), Some(what)) => reason.contains(what),
                (reason, what) => reason.is_none() && what.is_none(),
            };
            if is_it {
                return;
            }
            assert!(Instant::now() < deadline, "{reason:?} is not {what:?}");
            self.attend(Duration::from_millis(50));
        }
    }

    /// Stops it, acknowledging what it hands on.
    fn stop(mut self) -> Vec<String> {
        self.stop.trigger();
        let lines = self.attend(PATIENCE);
        assert_eq!(self.join().unwrap(), Ended::Stopped);
        lines
    }

    fn join(&mut self) -> Result<Ended, Error> {
        self.thread.take().unwrap().join().unwrap()
    }
}

fn acknowledge(progress: Progress) {
    if let Some(acknowledge) = progress.acknowledge {
        acknowledge();
    }
}

fn position(partition: i32, offset: i64) -> Position {
    Position {
        key: format!("{TOPIC}/{partition}"),
        value: Some(offset.to_string()),
    }
}

fn numbered(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("record {number:05}")).collect()
}
