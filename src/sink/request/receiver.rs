//! A receiver of HTTP requests that misbehaves as it is told, on an address of this machine.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

/// The secret part of the URL.
pub(in crate::sink) const SECRET: &str = "s3cr3tT0ken";

/// What the receiver does with one request.
#[derive(Clone, Debug)]
pub(in crate::sink) enum Reply {
    /// Answers with this status line, these headers (each ended by CRLF) and this body.
    Answer(&'static str, &'static str, &'static str),
    /// As slow proxies do: a 404 page that repeats the path it was asked for.
    NotFoundPage,
    /// Closes the connection without an answer.
    Close,
    /// Reads and never answers.
    Hang,
    /// Answers 200 before it has read the body, and closes.
    Hasty,
    /// Sends the head of a 200 and then only half of the promised body.
    TornAnswer,
}

pub(in crate::sink) const OK: Reply = Reply::Answer("200 OK", "", "ok");

const DOWN: Reply = Reply::Answer("503 Service Unavailable", "", "");

/// Does as it is told request by request, then answers 200, or 503 while it is down.
pub(in crate::sink) struct Receiver {
    address: SocketAddr,
    pub is_down: Arc<AtomicBool>,
    received: Arc<Mutex<Vec<Request>>>,
}

/// A request that was read whole.
#[derive(Clone, Debug)]
pub(in crate::sink) struct Request {
    pub head: String,
    /// Undone, if it was compressed.
    pub bytes: Vec<u8>,
    /// Null if it is no JSON.
    pub body: Value,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// `POST /path HTTP/1.1`.
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap()
    }
}

impl Receiver {
    pub fn start(replies: Vec<Reply>) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), replies)
    }

    pub fn start_at(address: SocketAddr, replies: Vec<Reply>) -> Self {
        Self::start_as(address, replies, None, None)
    }

    /// One that refuses what has `poison` in it.
    pub fn refusing(poison: &'static str, replies: Vec<Reply>) -> Self {
        Self::start_as("127.0.0.1:0".parse().unwrap(), replies, Some(poison), None)
    }

    /// One that speaks TLS.
    pub fn secured(config: ServerConfig) -> Self {
        let address = "127.0.0.1:0".parse().unwrap();
        Self::start_as(address, vec![], None, Some(Arc::new(config)))
    }

    fn start_as(
        address: SocketAddr,
        replies: Vec<Reply>,
        poison: Option<&'static str>,
        tls: Option<Arc<ServerConfig>>,
    ) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let is_down = Arc::new(AtomicBool::new(false));
        let down = Arc::clone(&is_down);
        let received = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&received);
        thread::spawn(move || {
            let mut replies = replies.into_iter();
            let mut hanging = Vec::new();
            for stream in listener.incoming() {
                let usual = if down.load(Relaxed) { DOWN } else { OK };
                let reply = replies.next().unwrap_or(usual);
                let stream = stream.unwrap();
                let open = match &tls {
                    None => serve(stream, &reply, &list, poison),
                    Some(config) => {
                        let connection = ServerConnection::new(Arc::clone(config)).unwrap();
                        let stream = StreamOwned::new(connection, stream);
                        serve(stream, &reply, &list, poison).map(|stream| stream.sock)
                    }
                };
                hanging.extend(open);
            }
        });
        Self {
            address,
            is_down,
            received,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A webhook's URL.
    pub fn url(&self) -> String {
        url_at(self.address)
    }

    pub fn received(&self) -> Vec<Request> {
        self.received.lock().unwrap().clone()
    }

    /// The titles of the alerts, by the notification line.
    pub fn titles(&self) -> Vec<String> {
        let title = |request: Request| {
            let text = request.body["text"].as_str().unwrap().to_string();
            text.split(' ').nth(2).unwrap().to_string()
        };
        self.received().into_iter().map(title).collect()
    }
}

/// The URL of a webhook at `address`.
pub(in crate::sink) fn url_at(address: SocketAddr) -> String {
    format!("http://{address}/services/T012345/{SECRET}")
}

/// Serves one request; gives the connection back if it is to stay open.
fn serve<S: Read + Write>(
    mut stream: S,
    reply: &Reply,
    received: &Mutex<Vec<Request>>,
    poison: Option<&str>,
) -> Option<S> {
    let mut reader = BufReader::new(&mut stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return None;
        }
    }
    if matches!(reply, Reply::Hasty) {
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
        return None;
    }
    let mut request = Request {
        head,
        bytes: Vec::new(),
        body: Value::Null,
    };
    let length = request.header("content-length").unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    request.bytes = match request.header("content-encoding") {
        Some("gzip") => {
            let mut bytes = Vec::new();
            let mut decoder = flate2::read::MultiGzDecoder::new(&*body);
            decoder.read_to_end(&mut bytes).unwrap();
            bytes
        }
        Some("zstd") => zstd::decode_all(&*body).unwrap(),
        Some(other) => panic!("{other}"),
        None => body,
    };
    request.body = serde_json::from_slice(&request.bytes).unwrap_or_default();
    let text = String::from_utf8_lossy(&request.bytes).into_owned();
    received.lock().unwrap().push(request);

    // Connections are closed after each answer, so that one reply is one connection.
    let page = format!("<p>The URL /services/T012345/{SECRET} was not found\x1b[2J</p>");
    let (status, headers, body) = match reply {
        _ if poison.is_some_and(|poison| text.contains(poison)) => {
            ("422 Unprocessable Content", "", "it is poisoned")
        }
        Reply::Answer(status, headers, body) => (*status, *headers, *body),
        Reply::NotFoundPage => ("404 Not Found", "", page.as_str()),
        Reply::Hang => return Some(stream),
        Reply::TornAnswer => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nok");
            return None;
        }
        Reply::Close | Reply::Hasty => return None,
    };
    let length = body.len();
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    let _ = stream.flush();
    None
}
