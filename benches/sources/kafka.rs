//! A topic of a real broker, named by `BAITLINE_TEST_KAFKA` (`.ci/kafka` starts one).

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseProducer, BaseRecord, Producer},
};
use serde_json::json;

use super::{Took, load::Load, program::Program};

/// A topic that holds a load, an event a message.
pub struct Topic {
    broker: String,
    name: String,
    messages: usize,
}

impl Topic {
    /// `None` if there is no broker.
    pub fn fill(load: &Load) -> Option<Self> {
        let broker = std::env::var("BAITLINE_TEST_KAFKA").ok()?;
        let name = format!("clean-{}", fastrand::u32(..));
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", &broker)
            .create()
            .expect("a sound configuration");
        for line in load.lines() {
            let mut record = BaseRecord::<(), str>::to(&name).payload(line);
            while let Err((error, again)) = producer.send(record) {
                assert_eq!(
                    error,
                    KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)
                );
                producer.poll(Duration::from_millis(10));
                record = again;
            }
        }
        producer
            .flush(Duration::from_secs(300))
            .expect("all is taken");
        Some(Self {
            broker,
            name,
            messages: load.events(),
        })
    }

    /// All messages through the source, without what the joining of a group takes.
    pub fn consumed(&self) -> Took {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let api = port.expect("a free port").to_string();
        let program = Program::with(&json!({
            "api": {"enabled": true, "address": api},
            "sources": {"audit": {
                "type": "kafka", "bootstrap_servers": self.broker, "topics": [self.name],
                "group_id": self.name, "auto_offset_reset": "earliest",
            }},
        }));
        let mut first = None;
        loop {
            let received = received(&api);
            match first {
                None if received > 0 => first = Some((Instant::now(), program.cpu(), received)),
                Some((start, cpu, already)) if received >= self.messages => {
                    let share = (self.messages - already) as f64 / self.messages as f64;
                    return Took {
                        wall: start.elapsed().div_f64(share),
                        cpu: Some(program.cpu().saturating_sub(cpu).div_f64(share)),
                    };
                }
                _ => thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    /// The same by `kcat`, which throws them away; `None` if it is not installed.
    pub fn thrown_away(&self) -> Option<Duration> {
        let start = Instant::now();
        let status = Command::new("kcat")
            .args(["-C", "-e", "-q", "-o", "beginning"])
            .args(["-b", &self.broker, "-t", &self.name])
            .stdout(Stdio::null())
            .status()
            .ok()?;
        assert!(status.success());
        Some(start.elapsed())
    }
}

/// Records that the source has received, as its `/metrics` say; 0 while it does not answer.
fn received(api: &str) -> usize {
    let mut answer = String::new();
    let asked = TcpStream::connect(api).and_then(|mut stream| {
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")?;
        stream.read_to_string(&mut answer)
    });
    let name = "component_received_events_total{component_id=\"audit\"";
    let line = answer.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
    asked.ok().and(value).unwrap_or(0)
}
