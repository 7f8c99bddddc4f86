//! A receiver of Slack messages on an address of this machine.

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
    /// Says that there is no such webhook.
    IsGone,
}

pub struct Receiver {
    address: SocketAddr,
    manner: Arc<Mutex<Manner>>,
    bodies: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    pub fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
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
                let manner = *present.lock().expect("nobody panicked");
                match manner {
                    Manner::Takes => answer(stream, "200 OK", "ok"),
                    Manner::IsGone => answer(stream, "404 Not Found", "no_service"),
                    Manner::Hangs => open.push(stream),
                }
            }
        });
        Self {
            address,
            manner,
            bodies,
        }
    }

    /// What it does with messages from now on.
    pub fn set(&self, manner: Manner) {
        *self.manner.lock().expect("nobody panicked") = manner;
    }

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
