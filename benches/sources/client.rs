//! The other sides, as plain as they can be, so that they cost little beside the program.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
};

/// One connection by HTTP/1.1.
pub struct Http(BufReader<TcpStream>);

impl Http {
    pub fn connect(address: &str) -> Self {
        Self(BufReader::new(connect(address)))
    }

    /// Posts `body`, again while the program asks for that, until it is taken.
    pub fn post(&mut self, body: &[u8]) {
        while self.answer(body) == 429 {}
    }

    fn answer(&mut self, body: &[u8]) -> u16 {
        let head = format!(
            "POST / HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let stream = self.0.get_mut();
        stream.write_all(head.as_bytes()).expect("it reads");
        stream.write_all(body).expect("it reads");
        let (mut line, mut status, mut length) = (String::new(), 0, 0);
        loop {
            line.clear();
            self.0.read_line(&mut line).expect("it answers");
            let text = line.trim_end();
            if text.is_empty() {
                break;
            }
            if let Some(rest) = text.strip_prefix("HTTP/1.1 ") {
                status = rest[..3].parse().expect("a status");
            } else if let Some((name, value)) = text.split_once(": ")
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.parse().expect("a length");
            }
        }
        let mut rest = vec![0; length];
        self.0.read_exact(&mut rest).expect("it answers");
        assert!(status / 100 == 2 || status == 429, "{status}");
        status
    }
}

/// One connection by Forward.
pub struct Forward(TcpStream);

impl Forward {
    pub fn connect(address: &str) -> Self {
        Self(connect(address))
    }

    /// Sends `entries` as one PackedForward and waits for the acknowledgement.
    pub fn forward(&mut self, entries: &[u8]) {
        // ["audit", bin 32, {"chunk": "c"}]
        let mut head = b"\x93\xa5audit\xc6".to_vec();
        let length = u32::try_from(entries.len()).expect("a chunk is small");
        head.extend_from_slice(&length.to_be_bytes());
        self.0.write_all(&head).expect("it reads");
        self.0.write_all(entries).expect("it reads");
        self.0.write_all(b"\x81\xa5chunk\xa1c").expect("it reads");
        let mut answer = [0; 7];
        self.0.read_exact(&mut answer).expect("it acknowledges");
        assert_eq!(&answer, b"\x81\xa3ack\xa1c");
    }
}

/// As shippers do, without waiting to send what is small.
fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_nodelay(true).expect("it is a socket");
    stream
}
