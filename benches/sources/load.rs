//! Recorded events that touch no decoy, over and over, in whatever way a source takes them.

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    thread,
};

use flate2::read::MultiGzDecoder;

/// What a record must not have in it, to be clean.
const TOUCHES: [&str; 4] = ["honeypot", "backup-sa", "\"proxy", "impersonate-on"];

/// Events, one after the other.
pub struct Load {
    lines: Vec<String>,
    count: usize,
}

/// What is sent at a time.
#[derive(Clone, Copy)]
pub enum Unit {
    /// So many events as the API server's webhook posts them.
    EventList(usize),
    /// So many bytes of lines.
    Lines(usize),
    /// So many bytes of Forward's entries, each event a text under `log`.
    Entries(usize),
    /// So many bytes of Vector's events, each a text under `message`.
    Events(usize),
}

/// The events of one connection.
pub struct Part<'l> {
    load: &'l Load,
    first: usize,
    last: usize,
}

impl Load {
    pub fn recorded(bytes: usize) -> Self {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/data/metadata/audit.ndjson.gz"
        );
        let file = File::open(path).expect("the recording is there");
        let lines = BufReader::new(MultiGzDecoder::new(file)).lines();
        let lines: Vec<String> = lines
            .map(|line| line.expect("it is text"))
            .filter(|line| !TOUCHES.iter().any(|word| line.contains(word)))
            .collect();
        let once: usize = lines.iter().map(String::len).sum();
        let count = bytes * lines.len() / once;
        Self { lines, count }
    }

    pub fn events(&self) -> usize {
        self.count
    }

    pub fn bytes(&self) -> usize {
        self.lines().map(|line| line.len() + 1).sum()
    }

    pub fn write_lines(&self, out: &mut impl Write) {
        let mut block = Vec::new();
        for line in self.lines() {
            block.extend_from_slice(line.as_bytes());
            block.push(b'\n');
            if block.len() > 1 << 20 {
                out.write_all(&block).expect("it reads");
                block.clear();
            }
        }
        out.write_all(&block).expect("it reads");
    }

    /// Calls `send` on so many threads, each with its part.
    pub fn share(&self, threads: usize, send: impl Fn(Part<'_>) + Sync) {
        let share = self.count.div_ceil(threads);
        thread::scope(|scope| {
            for thread in 0..threads {
                let part = Part {
                    load: self,
                    first: thread * share,
                    last: ((thread + 1) * share).min(self.count),
                };
                scope.spawn(|| send(part));
            }
        });
    }

    pub fn lines(&self) -> impl Iterator<Item = &str> {
        let lines = self.lines.iter().map(String::as_str);
        lines.cycle().take(self.count)
    }
}

impl Part<'_> {
    pub fn each(&self, unit: Unit, send: &mut dyn FnMut(&[u8])) {
        let mut bytes = Vec::new();
        let mut events = 0;
        for number in self.first..self.last {
            let line = &self.load.lines[number % self.load.lines.len()];
            unit.add(line, events, &mut bytes);
            events += 1;
            if unit.is_full(&bytes, events) || number + 1 == self.last {
                unit.end(&mut bytes);
                send(&bytes);
                bytes.clear();
                events = 0;
            }
        }
    }
}

impl Unit {
    fn add(self, line: &str, before: usize, bytes: &mut Vec<u8>) {
        match self {
            Self::EventList(_) if before == 0 => bytes.extend_from_slice(
                b"{\"kind\":\"EventList\",\"apiVersion\":\"audit.k8s.io/v1\",\"metadata\":{},\"items\":[",
            ),
            Self::EventList(_) => bytes.push(b','),
            Self::Lines(_) => {}
            Self::Entries(_) => {
                // [EventTime, {"log": str 32}]
                bytes.extend_from_slice(b"\x92\xd7\x00\x65\x00\x00\x00\x00\x00\x00\x00\x81\xa3log\xdb");
                let length = u32::try_from(line.len()).expect("lines are short");
                bytes.extend_from_slice(&length.to_be_bytes());
            }
            Self::Events(_) => return bytes.extend(event(line)),
        }
        bytes.extend_from_slice(line.as_bytes());
        if let Self::Lines(_) = self {
            bytes.push(b'\n');
        }
    }

    fn is_full(self, bytes: &[u8], events: usize) -> bool {
        match self {
            Self::EventList(most) => events == most,
            Self::Lines(most) | Self::Entries(most) | Self::Events(most) => bytes.len() >= most,
        }
    }

    fn end(self, bytes: &mut Vec<u8>) {
        if let Self::EventList(_) = self {
            bytes.extend_from_slice(b"]}\n");
        }
    }
}

/// `line` as Vector has it: a log with a pair of `message` and raw bytes, in a wrapper, which is one of the events.
fn event(line: &str) -> Vec<u8> {
    let value = field(1, line.as_bytes());
    let pair = [field(1, b"message"), field(2, &value)].concat();
    let log = field(1, &pair);
    field(1, &field(1, &log))
}

/// A field of protobuf that is a message or text.
fn field(number: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut length = body.len();
    while length > 0x7f {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend_from_slice(body);
    bytes
}
