//! Messages as JSON, which Fluentd takes as well: Go's client sends them with `MarshalAsJSON`.
//!
//! They are shaped as those of MessagePack, follow each other with or without space between, and are acknowledged as JSON.

use std::io::Write;

use serde::Deserialize;
use serde_json::{from_str, value::RawValue};

use super::message::{Error, MAX_CHUNK_BYTES};

/// Whether a message of JSON may begin with `byte`, or what stands before one.
pub(super) fn may_begin(byte: u8) -> bool {
    matches!(byte, b'[' | b'{') || byte.is_ascii_whitespace()
}

/// Looks for the end of a message, as its bytes come.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// How far was looked.
    at: usize,
    depth: usize,
    is_within_string: bool,
    is_escaped: bool,
}

impl Walk {
    /// Where the message ends that stands at the beginning of `bytes`, of which there may be more than the last time; `None` if it
    /// has not come to its end.
    pub(super) fn on(&mut self, bytes: &[u8]) -> Option<usize> {
        while let Some(byte) = bytes.get(self.at) {
            self.at += 1;
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' if self.is_within_string => self.is_escaped = true,
                b'"' => self.is_within_string = !self.is_within_string,
                _ if self.is_within_string => {}
                b'[' | b'{' => self.depth += 1,
                b']' | b'}' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(self.at);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

/// One message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    pub tag: String,
    /// Each event in a line, `["1795455390",{…}]`, as wrappers write that name a time.
    pub lines: Vec<u8>,
    /// What an acknowledgement gives back.
    pub chunk: Option<String>,
}

#[derive(Deserialize)]
struct Options {
    chunk: Option<String>,
}

impl Message {
    /// # Errors
    /// If `bytes` are none.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Error> {
        let items: Vec<&RawValue> = serde_json::from_slice(bytes).map_err(|_| Error::Shape)?;
        let [tag, events, rest @ ..] = &*items else {
            return Err(Error::Shape);
        };
        let mut message = Self {
            tag: from_str(tag.get()).map_err(|_| Error::Tag)?,
            ..Self::default()
        };
        let options = match from_str::<Vec<&RawValue>>(events.get()) {
            Ok(entries) => {
                for entry in entries {
                    let (time, record) = from_str(entry.get()).map_err(|_| Error::Events)?;
                    message.add(time, record);
                }
                rest
            }
            Err(_) => {
                let (record, options) = rest.split_first().ok_or(Error::Events)?;
                message.add(events, record);
                options
            }
        };
        let options = match options {
            [] => None,
            [options] => from_str::<Option<Options>>(options.get()).map_err(|_| Error::Options)?,
            _ => return Err(Error::Shape),
        };
        message.chunk = options.and_then(|options| options.chunk);
        match &message.chunk {
            Some(chunk) if chunk.len() > MAX_CHUNK_BYTES => Err(Error::Chunk),
            _ => Ok(message),
        }
    }

    fn add(&mut self, time: &RawValue, record: &RawValue) {
        let start = self.lines.len();
        let time = time.get().trim_matches('"');
        // Memory takes all.
        let _ = write!(self.lines, "[\"{time}\",{}]", record.get());
        for byte in &mut self.lines[start..] {
            // White space: in a string it would be escaped.
            if *byte == b'\n' || *byte == b'\r' {
                *byte = b' ';
            }
        }
        self.lines.push(b'\n');
    }
}

/// Appends the acknowledgement of `chunk`.
pub(super) fn ack(chunk: &str, into: &mut Vec<u8>) {
    // Memory takes all.
    let _ = serde_json::to_writer(into, &serde_json::json!({ "ack": chunk }));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(message: &str) -> Result<String, Error> {
        let message = Message::read(message.as_bytes())?;
        Ok(String::from_utf8(message.lines).unwrap())
    }

    #[test]
    fn each_mode_is_read_and_each_event_is_a_line() {
        assert_eq!(
            lines(r#"["tag",7,{"a": 1}]"#).unwrap(),
            "[\"7\",{\"a\": 1}]\n"
        );
        assert_eq!(
            lines("[\"tag\",7.5,{\"a\":\r\n1},null]").unwrap(),
            "[\"7.5\",{\"a\":  1}]\n"
        );
        let two = lines(r#"["tag",[[7,{"a":1}],["2026-11-23T17:21:08Z",{"b":2}]],{"chunk":"c"}]"#);
        assert_eq!(
            two.unwrap(),
            "[\"7\",{\"a\":1}]\n[\"2026-11-23T17:21:08Z\",{\"b\":2}]\n"
        );
        let message = Message::read(br#" ["t\u0061g",7,{},{"size":1,"chunk":"c\"k"}]"#).unwrap();
        assert_eq!(
            (&*message.tag, message.chunk.as_deref()),
            ("tag", Some("c\"k"))
        );
        let mut acks = Vec::new();
        ack("c\"k", &mut acks);
        assert_eq!(acks, br#"{"ack":"c\"k"}"#);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let long = format!(
            "[\"t\",7,{{}},{{\"chunk\":\"{}\"}}]",
            "x".repeat(MAX_CHUNK_BYTES + 1)
        );
        for (text, error) in [
            ("{}", Error::Shape),
            ("[\"t\"]", Error::Shape),
            ("[\"t\" 7]", Error::Shape),
            ("[\"t\",7,{},{},{}]", Error::Shape),
            ("[7,7,{}]", Error::Tag),
            ("[\"t\",7]", Error::Events),
            ("[\"t\",[{}]]", Error::Events),
            ("[\"t\",7,{},7]", Error::Options),
            (&long, Error::Chunk),
        ] {
            assert_eq!(lines(text), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_end_is_found_however_it_comes(
            tag in "[ -~\n\\[{\"\\\\]{0,20}", behind in "[ -~]{0,9}", pieces in 1..9_usize,
        ) {
            let message = serde_json::json!([tag, 7, {"a": [tag, {"b": tag}]}]).to_string();
            let bytes = [" \n", &message, &behind].concat().into_bytes();
            let mut walk = Walk::default();
            let mut end = None;
            for piece in 1..=pieces {
                end = walk.on(&bytes[..bytes.len() * piece / pieces]);
                if end.is_some() {
                    break;
                }
            }
            prop_assert_eq!(end, Some(2 + message.len()));
            prop_assert!(Message::read(&bytes[..2 + message.len()]).is_ok());
        }

        #[test]
        fn any_bytes_will_do(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            Walk::default().on(&bytes);
            let _ = Message::read(&bytes);
        }
    }
}
