//! A client of Forward.

use std::{
    io::{Read, Write},
    slice,
    time::{SystemTime, UNIX_EPOCH},
};

use baitline::record::msgpack::{Step, Token, Walk};
use flate2::{Compression, write::GzEncoder};

use crate::msgpack::Value;

/// How events are put into a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Message,
    Forward,
    Packed,
    PackedInString,
    Gzip,
    GzipMembers,
    Zstd,
}

impl Mode {
    pub const ALL: [Self; 7] = [
        Self::Message,
        Self::Forward,
        Self::Packed,
        Self::PackedInString,
        Self::Gzip,
        Self::GzipMembers,
        Self::Zstd,
    ];

    /// The messages that bring `entries`, each an array of a time and a record.
    pub fn messages(
        self,
        entries: &[Value],
        chunk: Option<&str>,
        dice: &mut dyn Iterator<Item = u8>,
    ) -> Vec<u8> {
        let compressed = match self {
            Self::Gzip | Self::GzipMembers => Some(("compressed".into(), "gzip".into())),
            Self::Zstd => Some(("compressed".into(), "zstd".into())),
            _ => None,
        };
        let chunk = chunk.map(|chunk| ("chunk".into(), chunk.into()));
        let size = ("size".into(), Value::Integer(entries.len() as i128));
        let options: Vec<_> = [Some(size)]
            .into_iter()
            .chain([chunk, compressed])
            .flatten()
            .collect();
        let options = Value::Map(options);
        let tag = || Value::from("kube.audit");
        let mut packed = |entry: &Value| entry.encoded(dice);
        let events = match self {
            Self::Message => {
                let messages = entries.iter().map(|entry| {
                    let Value::Array(entry) = entry else {
                        panic!("an entry is an array");
                    };
                    let values = [&[tag()], entry.as_slice(), slice::from_ref(&options)].concat();
                    Value::Array(values).bytes()
                });
                return messages.flatten().collect();
            }
            Self::Forward => Value::Array(entries.to_vec()),
            Self::Packed => Value::Bin(entries.iter().flat_map(packed).collect()),
            Self::PackedInString => Value::Str(entries.iter().flat_map(packed).collect()),
            Self::Gzip => Value::Bin(gzip(&entries.iter().flat_map(packed).collect::<Vec<u8>>())),
            Self::GzipMembers => Value::Bin(
                entries
                    .iter()
                    .flat_map(|entry| gzip(&packed(entry)))
                    .collect(),
            ),
            Self::Zstd => {
                let bytes: Vec<u8> = entries.iter().flat_map(&mut packed).collect();
                Value::Bin(zstd::encode_all(bytes.as_slice(), 1).expect("memory takes all"))
            }
        };
        Value::Array(vec![tag(), events, options]).encoded(dice)
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

/// One end of a connection.
pub struct Client<S> {
    pub stream: S,
    heard: Vec<u8>,
}

impl<S: Read + Write> Client<S> {
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            heard: Vec::new(),
        }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the source reads");
        self.stream.flush().expect("the source reads");
    }

    /// The next value that the source says; `None` if it closes the connection.
    pub fn hear(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Ok(Step::End(end)) = Walk::default().on(&self.heard) {
                let rest = self.heard.split_off(end);
                return Some(std::mem::replace(&mut self.heard, rest));
            }
            let mut more = [0; 4096];
            match self.stream.read(&mut more) {
                Ok(0) => return None,
                Ok(count) => self.heard.extend(&more[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    panic!("nothing is said")
                }
                Err(_) => return None,
            }
        }
    }

    /// The chunk that the source acknowledges next.
    pub fn ack(&mut self) -> Option<String> {
        let ack = self.hear()?;
        let mut values = strings(&ack);
        assert_eq!(values.remove(0), "ack");
        Some(values.remove(0))
    }

    /// Waits until all that was sent before is safe.
    pub fn settle(&mut self) {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("it is later");
        let end = format!("end-{}", now.as_nanos());
        let entry = Value::Array(vec![Value::Integer(1_795_455_390), Value::Map(Vec::new())]);
        self.send(&Mode::Message.messages(&[entry], Some(&end), &mut std::iter::repeat(0)));
        while self.ack().expect("an acknowledgement") != end {}
    }
}

/// The strings in a value.
pub fn strings(value: &[u8]) -> Vec<String> {
    let (mut rest, mut strings) = (value, Vec::new());
    while let Ok((token, length)) = Token::read(rest) {
        if let Token::Str(text) | Token::Bin(text) = token {
            strings.push(String::from_utf8_lossy(text).into_owned());
        }
        rest = &rest[length..];
    }
    strings
}
