//! A clean audit log through the Kafka source, beside `kcat` that reads the same topic.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use flate2::read::MultiGzDecoder;
use rdkafka::{
    ClientConfig,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseProducer, BaseRecord, Producer},
};
use serde_json::json;

use super::program::{Program, transforms, watched};

const BYTES: usize = 1_000_000_000;
const ROUNDS: u32 = 3;

pub fn clean_log(directory: &Path) {
    let Ok(broker) = std::env::var("BAITLINE_TEST_KAFKA") else {
        println!("kafka: NOT MEASURED, BAITLINE_TEST_KAFKA names no broker");
        return;
    };
    if Command::new("kcat").arg("-V").output().is_err() {
        println!("kafka: NOT MEASURED, kcat is not installed");
        return;
    }
    let topic = format!("clean-{}", fastrand::u32(..));
    let messages = fill(&broker, &topic);
    let mut ratios = Vec::new();
    for round in 0..ROUNDS {
        let theirs = kcat(&broker, &topic);
        let (ours, peak) = baitline(&broker, &topic, round, messages, directory);
        println!(
            "  kcat -C {theirs:.2} s, baitline {ours:.2} s, peak {peak} kB, {:.2} x as fast",
            theirs / ours
        );
        ratios.push(theirs / ours);
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "a clean log of {messages} messages, {} MB, through Kafka: {:.2} x kcat -C (median)",
        BYTES / 1_000_000,
        ratios[ratios.len() / 2]
    );
}

/// Recorded lines that touch no decoy, over and over.
fn fill(broker: &str, topic: &str) -> u64 {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/metadata/audit.ndjson.gz"
    );
    let file = File::open(path).expect("the recording is there");
    let lines = BufReader::new(MultiGzDecoder::new(file)).lines();
    let lines: Vec<String> = lines
        .map(|line| line.expect("it is text"))
        .filter(|line| {
            !["honeypot", "backup-sa", "\"proxy", "impersonate-on"]
                .iter()
                .any(|word| line.contains(word))
        })
        .collect();
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", broker)
        .create()
        .expect("a sound configuration");
    let (mut bytes, mut messages) = (0, 0);
    for line in lines.iter().cycle() {
        let mut record = BaseRecord::<(), str>::to(topic).payload(line);
        while let Err((error, again)) = producer.send(record) {
            assert_eq!(
                error,
                KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)
            );
            producer.poll(Duration::from_millis(10));
            record = again;
        }
        (bytes, messages) = (bytes + line.len(), messages + 1);
        if bytes >= BYTES {
            break;
        }
    }
    producer
        .flush(Duration::from_secs(300))
        .expect("all is taken");
    messages
}

fn kcat(broker: &str, topic: &str) -> f64 {
    let start = Instant::now();
    let status = Command::new("kcat")
        .args([
            "-C",
            "-e",
            "-q",
            "-b",
            broker,
            "-t",
            topic,
            "-o",
            "beginning",
        ])
        .stdout(Stdio::null())
        .status()
        .expect("kcat runs");
    assert!(status.success());
    start.elapsed().as_secs_f64()
}

/// Seconds for all messages, without what the joining of a group takes; and the peak in kB.
fn baitline(broker: &str, topic: &str, round: u32, messages: u64, directory: &Path) -> (f64, u64) {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let api = port.expect("a free port").to_string();
    let configuration = json!({
        "decoys": watched(),
        "api": {"enabled": true, "address": api},
        "sources": {"audit": {
            "type": "kafka", "bootstrap_servers": broker, "topics": [topic],
            "group_id": format!("bench-{topic}-{round}"), "auto_offset_reset": "earliest",
        }},
        "transforms": transforms(json!({})),
        "sinks": {"out": {"type": "console", "inputs": ["incidents"]}},
    });
    let mut program = Program::new(directory, &configuration);
    program.start(Stdio::null());
    let mut first = None;
    let seconds = loop {
        let received = received(&api);
        match first {
            None if received > 0 => first = Some((Instant::now(), received)),
            Some((start, already)) if received >= messages => {
                let share = (messages - already) as f64 / messages as f64;
                break start.elapsed().as_secs_f64() / share;
            }
            _ => thread::sleep(Duration::from_millis(10)),
        }
    };
    program.stop();
    (seconds, program.peak_kilobytes)
}

/// Records that the source has received, as its `/metrics` say; 0 while it does not answer.
fn received(api: &str) -> u64 {
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
