//! Clean events through the sources that listen, beside the same through a pipe and through Kafka:
//! `cargo bench --bench sources [-- MEGABYTES]`. Kafka needs a broker, named by `BAITLINE_TEST_KAFKA` (`.ci/kafka` starts one).
//!
//! Prints for each source how long the program took and how much of a processor, and the ratio to the pipe in the same run. Then
//! the memory that connections cost.

mod client;
// The tests' own.
#[path = "../../tests/suite/program/grpc.rs"]
#[expect(dead_code, reason = "the tests look at more of an answer")]
mod grpc;
mod kafka;
mod load;
mod program;

use std::time::{Duration, Instant};

use client::{Forward, Http};
use grpc::Caller;
use kafka::Topic;
use load::{Load, Unit};
use program::Program;
use serde_json::json;

/// Connections that post at a time.
const CONNECTIONS: usize = 2;

/// Connections of which the memory is measured.
const IDLE: usize = 1000;

fn main() {
    let megabytes = std::env::args()
        .skip(1)
        .find_map(|word| word.parse().ok())
        .unwrap_or(500);
    let load = Load::recorded(megabytes * 1_000_000);
    let (bytes, events) = (load.bytes(), load.events());
    println!("{events} events, {} MB of JSON", bytes / 1_000_000);
    println!("| source | events a second | MB/s | MB per second of CPU | to stdin |");
    println!("| --- | --- | --- | --- | --- |");
    let mut yardstick = None;
    let mut row = |name: &str, took: Took| {
        let rate = bytes as f64 / 1e6 / took.wall.as_secs_f64();
        let stdin = *yardstick.get_or_insert(rate);
        let per_cpu = took.cpu.map_or(String::new(), |cpu| {
            format!("{:.0}", bytes as f64 / 1e6 / cpu.as_secs_f64())
        });
        println!(
            "| {name} | {:.0} | {rate:.0} | {per_cpu} | {:.2} |",
            events as f64 / took.wall.as_secs_f64(),
            rate / stdin
        );
    };
    row("stdin, one event a line", through_a_pipe(&load));
    row(
        "http_server, EventLists of 400",
        posted(&load, Unit::EventList(400), CONNECTIONS),
    );
    row(
        "http_server, EventLists of 400, one connection",
        posted(&load, Unit::EventList(400), 1),
    );
    row(
        "http_server, NDJSON of 1 MB",
        posted(&load, Unit::Lines(1 << 20), CONNECTIONS),
    );
    row(
        "fluent, PackedForward of 1 MB, text under log",
        forwarded(&load, CONNECTIONS),
    );
    row(
        "vector, requests of 1 MB, text under message",
        pushed(&load, CONNECTIONS),
    );
    match Topic::fill(&load) {
        None => println!("kafka: NOT MEASURED, BAITLINE_TEST_KAFKA names no broker"),
        Some(topic) => {
            row("kafka, one event a message", topic.consumed());
            if let Some(wall) = topic.thrown_away() {
                row("kcat, which throws them away", Took { wall, cpu: None });
            }
        }
    }
    row("the pipe again", through_a_pipe(&load));
    connections();
}

/// What a run took.
struct Took {
    wall: Duration,
    /// Of the program alone, if that was looked at.
    cpu: Option<Duration>,
}

fn through_a_pipe(load: &Load) -> Took {
    let mut program = Program::start(json!({"type": "stdin"}));
    let mut input = program.input();
    measured(&mut program, || {
        load.write_lines(&mut input);
        drop(input);
    })
}

fn posted(load: &Load, unit: Unit, connections: usize) -> Took {
    let mut program = Program::start(json!({"type": "http_server", "address": "127.0.0.1:0"}));
    let address = program.address();
    measured(&mut program, || {
        load.share(connections, |part| {
            let mut client = Http::connect(&address);
            part.each(unit, &mut |body| client.post(body));
        });
    })
}

fn forwarded(load: &Load, connections: usize) -> Took {
    let mut program = Program::start(json!({"type": "fluent", "address": "127.0.0.1:0"}));
    let address = program.address();
    measured(&mut program, || {
        load.share(connections, |part| {
            let mut client = Forward::connect(&address);
            part.each(Unit::Entries(1 << 20), &mut |entries| {
                client.forward(entries)
            });
        });
    })
}

fn pushed(load: &Load, connections: usize) -> Took {
    let mut program = Program::start(json!({"type": "vector", "address": "127.0.0.1:0"}));
    let address = program.address().parse().expect("a socket");
    measured(&mut program, || {
        load.share(connections, |part| {
            let caller = Caller::connect(address).expect("it listens");
            // UNAVAILABLE asks for the same again.
            part.each(Unit::Events(1 << 20), &mut |events| {
                while caller.push(events) != Some(0) {}
            });
        });
    })
}

/// All that is fed is answered once it was searched; a pipe's end is its answer.
fn measured(program: &mut Program, feed: impl FnOnce()) -> Took {
    let (start, cpu) = (Instant::now(), program.cpu());
    feed();
    program.settle();
    Took {
        wall: start.elapsed(),
        cpu: Some(program.cpu_at_end().saturating_sub(cpu)),
    }
}

/// Resident memory with connections that have posted an event each and stay.
fn connections() {
    let program = Program::start(
        json!({"type": "http_server", "address": "127.0.0.1:0", "connection_limit": 2 * IDLE}),
    );
    let address = program.address();
    let before = program.resident();
    let clients: Vec<Http> = (0..IDLE)
        .map(|_| {
            let mut client = Http::connect(&address);
            client.post(b"{\"kind\":\"Event\"}");
            client
        })
        .collect();
    println!(
        "http_server: {:.1} MiB resident, with {} connections {:.1} MiB",
        before,
        clients.len(),
        program.resident()
    );
}
