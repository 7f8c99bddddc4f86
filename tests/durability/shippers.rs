//! Shippers that send again whatever was not acknowledged, a program that is killed: every hit is told, once.

use std::{
    io::{self, BufRead, BufReader, ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::json;
use tempfile::TempDir;

use super::{
    files::{check, configuration},
    instance::Instance,
    kills,
    receiver::Receiver,
    stream::{Stream, labelled_hits},
};

/// How long a shipper waits for its acknowledgement.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends lines, and returns once they are acknowledged.
type Deliver = fn(SocketAddr, &[String]) -> io::Result<()>;

/// Somebody who sends events until it is enough.
struct Shipper {
    enough: Arc<AtomicBool>,
    /// Gives the hits that were sent, and how often something was sent again.
    thread: JoinHandle<(u64, u64)>,
}

impl Shipper {
    /// Sends `recorded` and hits of `stream` to `address`.
    fn start(
        deliver: Deliver,
        address: SocketAddr,
        stream: &Arc<Mutex<Stream>>,
        recorded: Vec<String>,
    ) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let thread = {
            let (enough, stream) = (Arc::clone(&enough), Arc::clone(stream));
            thread::spawn(move || {
                let (mut hits, mut again) = (0, 0);
                let mut recorded = recorded.chunks(40);
                loop {
                    let mut lines = recorded.next().unwrap_or_default().to_vec();
                    let is_last = lines.is_empty() && enough.load(Relaxed);
                    {
                        let mut stream = stream.lock().expect("no shipper panicked");
                        lines.extend((0..10).map(|_| stream.clean()));
                        lines.push(stream.hit());
                    }
                    hits += 1;
                    while deliver(address, &lines).is_err() {
                        again += 1;
                        thread::sleep(Duration::from_millis(20));
                    }
                    if is_last {
                        return (hits, again);
                    }
                    thread::sleep(Duration::from_millis(5));
                }
            })
        };
        Self { enough, thread }
    }

    fn end(self) -> (u64, u64) {
        self.enough.store(true, Relaxed);
        self.thread.join().expect("it does not panic")
    }
}

#[test]
fn what_shippers_were_acknowledged_is_told_though_the_program_is_killed() {
    let directory = TempDir::new().expect("a temporary directory");
    let slack = Receiver::start(true);
    let (webhook, forward) = (free_address(), free_address());
    let mut configuration = configuration(&slack.url());
    configuration["sources"] = json!({
        "webhook": {"type": "http_server", "address": webhook},
        "forward": {"type": "fluent", "address": forward},
    });
    configuration["transforms"]["detections"]["inputs"] = json!(["webhook", "forward"]);
    let mut baitline = Instance::new(directory.path(), &configuration);
    let stream = Stream::new();
    let recorded = stream.recorded().to_vec();
    let (one, other) = recorded.split_at(recorded.len() / 2);
    let stream = Arc::new(Mutex::new(stream));
    let shippers = [
        Shipper::start(post, webhook, &stream, one.to_vec()),
        Shipper::start(send_forward, forward, &stream, other.to_vec()),
    ];
    for _ in 0..kills() {
        baitline.start();
        thread::sleep(Duration::from_millis(fastrand::u64(20..1500)));
        baitline.kill();
    }
    baitline.start();
    let sent: Vec<(u64, u64)> = shippers.into_iter().map(Shipper::end).collect();
    println!("hits sent, and deliveries that failed: {sent:?}");
    let hits: u64 = sent.iter().map(|(hits, _)| hits).sum();
    check(&mut baitline, &slack, hits + labelled_hits().len() as u64);
}

/// One on which nobody listens.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound")
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn post(address: SocketAddr, lines: &[String]) -> io::Result<()> {
    let mut stream = connect(address)?;
    let body = lines.join("\n");
    let head = format!(
        "POST / HTTP/1.1\r\nhost: audit\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    let mut status = String::new();
    BufReader::new(stream).read_line(&mut status)?;
    match status.starts_with("HTTP/1.1 200 ") {
        true => Ok(()),
        false => Err(ErrorKind::ConnectionReset.into()),
    }
}

/// As Forward's `Forward` mode, with an acknowledgement asked for.
fn send_forward(address: SocketAddr, lines: &[String]) -> io::Result<()> {
    let mut stream = connect(address)?;
    let length = |text: &str| u32::try_from(text.len()).expect("lines are short");
    let mut message = b"\x93\xa5audit\xdd".to_vec();
    message.extend(u32::try_from(lines.len()).expect("a few").to_be_bytes());
    for line in lines {
        message.extend_from_slice(b"\x92\xce\x65\x00\x00\x00\x81\xa3log\xdb");
        message.extend(length(line).to_be_bytes());
        message.extend_from_slice(line.as_bytes());
    }
    let chunk = format!("{:016x}", fastrand::u64(..));
    message.extend_from_slice(b"\x81\xa5chunk\xb0");
    message.extend_from_slice(chunk.as_bytes());
    stream.write_all(&message)?;
    let wanted = [b"\x81\xa3ack\xb0", chunk.as_bytes()].concat();
    let mut acknowledged = vec![0; wanted.len()];
    stream.read_exact(&mut acknowledged)?;
    assert_eq!(acknowledged, wanted);
    Ok(())
}
