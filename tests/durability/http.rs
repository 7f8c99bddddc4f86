//! A sender that posts until it is answered 200, a program that is killed: every hit that was answered is told, once.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use serde_json::json;
use tempfile::TempDir;

use super::{
    files::{check, configuration},
    instance::{Instance, PATIENCE},
    kills,
    receiver::Receiver,
    stream::{Stream, labelled_hits},
};

/// An address that nobody has, and that the program gets again after each kill.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound")
}

/// What a body is answered.
fn post(address: SocketAddr, body: &str) -> io::Result<u16> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let length = body.len();
    write!(
        stream,
        "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.get(9..12).and_then(|status| status.parse().ok());
    status.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// Posts until it is enough, and the whole recording at least, each body until it is taken. Gives the hits beside the recorded
/// ones, and how often something was posted again.
fn feed(address: SocketAddr, enough: &AtomicBool) -> (u64, u64) {
    let mut stream = Stream::new();
    let recorded = stream.recorded().to_vec();
    let mut recorded = recorded.iter();
    let (mut hits, mut again) = (0, 0);
    while !enough.load(Relaxed) || recorded.len() > 0 {
        let mut lines: Vec<String> = recorded.by_ref().take(40).cloned().collect();
        lines.extend((0..10).map(|_| stream.clean()));
        lines.push(stream.hit());
        hits += 1;
        let body = lines.join("\n");
        while post(address, &body).ok() != Some(200) {
            again += 1;
            thread::sleep(Duration::from_millis(10));
        }
    }
    (hits, again)
}

#[test]
fn an_http_server_that_is_killed_tells_all_that_it_answered_and_nothing_twice() {
    let directory = TempDir::new().expect("a temporary directory");
    let slack = Receiver::start(true);
    let address = free_address();
    let mut configuration = configuration(&slack.url());
    configuration["sources"] =
        json!({"audit": {"type": "http_server", "address": address.to_string()}});
    let mut baitline = Instance::new(directory.path(), &configuration);
    let enough = Arc::new(AtomicBool::new(false));
    let feeder = thread::spawn({
        let enough = Arc::clone(&enough);
        move || feed(address, &enough)
    });
    for _ in 0..kills() {
        baitline.start();
        thread::sleep(Duration::from_millis(fastrand::u64(20..1000)));
        baitline.kill();
    }
    baitline.start();
    enough.store(true, Relaxed);
    let (hits, again) = feeder.join().expect("it does not panic");
    println!("posted again: {again}");
    assert!(again > 0, "nobody was interrupted");
    check(&mut baitline, &slack, hits + labelled_hits().len() as u64);
}
