//! A client that posts to a running program over a real socket, with the headers it is given and no others.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
};

use super::harness::{PATIENCE, Running};

/// Where the source of a running program listens, as it says itself.
pub fn address(running: &Running) -> SocketAddr {
    running.stderr.wait_for("listening");
    let log = running.stderr.text();
    let line = log.lines().find(|line| line.contains("listening"));
    let (_, address) = line
        .and_then(|line| line.split_once("address="))
        .expect("an address");
    let end = address.find(char::is_whitespace).unwrap_or(address.len());
    address[..end].parse().expect("an address and a port")
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// By their names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// A connection that is kept.
pub struct Poster(BufReader<TcpStream>);

impl Poster {
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Posts `body` with `headers`, of which none is the length.
    pub fn post(
        &mut self,
        path: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> io::Result<Answer> {
        let mut head = format!("POST {path} HTTP/1.1\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        let stream = self.0.get_mut();
        stream.write_all(head.as_bytes())?;
        stream.write_all(b"\r\n")?;
        stream.write_all(body)?;
        self.answer()
    }

    /// Posts JSON to `/`.
    pub fn post_json(&mut self, body: impl AsRef<[u8]>) -> io::Result<Answer> {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let headers = [
            header("Host", "x"),
            header("Content-Type", "application/json"),
        ];
        self.post("/", &headers, body.as_ref())
    }

    fn answer(&mut self) -> io::Result<Answer> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let status = line.get(9..12).and_then(|status| status.parse().ok());
        let status = status.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut headers = BTreeMap::new();
        loop {
            line.clear();
            self.0.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let length = headers
            .get("content-length")
            .and_then(|length| length.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.0.read_exact(&mut body)?;
        let body = String::from_utf8(body).map_err(io::Error::other)?;
        Ok(Answer {
            status,
            headers,
            body,
        })
    }
}
