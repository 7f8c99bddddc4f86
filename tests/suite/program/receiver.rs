//! A receiver of messages by HTTP on an address of this machine.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// The part of the URL that nobody may see.
pub const SECRET: &str = "s3cr3tT0kenOfTheHook";

/// What it does with a message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Takes,
    /// Reads, and never answers.
    Hangs,
    /// Answers with this status line and body.
    Answers(&'static str, &'static str),
}

pub struct Receiver {
    address: SocketAddr,
    manner: Arc<Mutex<Manner>>,
    bodies: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    pub fn start(manner: Manner) -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into(), manner)
    }

    pub fn start_at(address: SocketAddr, manner: Manner) -> Self {
        let listener = TcpListener::bind(address).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&bodies);
        let manner = Arc::new(Mutex::new(manner));
        let present = Arc::clone(&manner);
        thread::spawn(move || {
            let mut open = Vec::new();
            for stream in listener.incoming().flatten() {
                let Some(body) = read_body(&stream) else {
                    continue;
                };
                list.lock().expect("no reader panicked").push(body);
                match *present.lock().expect("no test panicked") {
                    Manner::Takes => answer(stream, "200 OK", "ok"),
                    Manner::Hangs => open.push(stream),
                    Manner::Answers(status, body) => answer(stream, status, body),
                }
            }
        });
        Self {
            address,
            manner,
            bodies,
        }
    }

    /// From now on it does otherwise.
    pub fn change(&self, manner: Manner) {
        *self.manner.lock().expect("no receiver panicked") = manner;
    }

    /// Where it is, without a path.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The URL of a webhook of Slack's.
    pub fn url(&self) -> String {
        format!("http://{}/services/T012345/{SECRET}", self.address)
    }

    /// The messages so far, as they came.
    pub fn bodies(&self) -> Vec<String> {
        self.bodies.lock().expect("no writer panicked").clone()
    }
}

fn read_body(stream: &TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    String::from_utf8(body).ok()
}

fn answer(mut stream: TcpStream, status: &str, body: &str) {
    let length = body.len();
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
}
