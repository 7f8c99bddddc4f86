//! The lines in which container runtimes write what a container prints.
//!
//! CRI (containerd, CRI-O): `2026-11-23T17:21:01.912216789Z stdout F text`. The tag is `P` for a part that goes on, and flags
//! may follow it behind colons. Docker's `json-file`: `{"log":"text\n","stream":"stdout","time":"…"}`, where a part that goes on
//! lacks the `\n`.

use memchr::memmem;

use crate::record::{
    parts::part_mark::{DOCKER_PART_BYTES, DOCKER_TAIL, TIME_BYTES, is_time},
    text::{escape::ends_in_newline, extent::value_length},
};

const DOCKER_HEAD: &[u8] = b"{\"log\":\"";

/// Between two texts. It cannot stand within one: there each quote is behind a backslash.
const TEXT_END: &[u8] = b"\",\"";

/// What may stand behind the stream, and what stands last.
const DOCKER_ATTRIBUTES: &[u8] = b",\"attrs\":{";
const DOCKER_TIME: &[u8] = b",\"time\":\"";

/// One line of a container's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub format: Format,
    pub stream: Stream,
    /// It is to be continued.
    pub is_partial: bool,
    /// What stands before the text.
    pub head: &'a [u8],
    /// What the container wrote; Docker's as it stands in a JSON string.
    pub text: &'a [u8],
    /// What stands behind it, without the newline.
    pub tail: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Cri,
    Docker,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

impl<'a> Line<'a> {
    /// Reads a line, with or without its newline. `None` if it is no runtime's.
    pub fn read(line: &'a [u8]) -> Option<Self> {
        match line.first()? {
            b'0'..=b'9' => Self::read_cri(line),
            b'{' => Self::read_docker(line),
            _ => None,
        }
    }

    fn read_cri(line: &'a [u8]) -> Option<Self> {
        let start = &line[..line.len().min(TIME_BYTES.end() + 1)];
        let time = memchr::memchr(b' ', start)?;
        if !is_time(&line[..time]) {
            return None;
        }
        let (stream, tags) = [(Stream::Stdout, b" stdout "), (Stream::Stderr, b" stderr ")]
            .into_iter()
            .find_map(|(stream, name)| Some((stream, line[time..].strip_prefix(name)?)))?;
        let is_partial = match tags.first()? {
            b'P' => true,
            b'F' => false,
            _ => return None,
        };
        let rest = match tags.get(1) {
            None | Some(b'\r' | b'\n') => &tags[1..],
            Some(b' ') => &tags[2..],
            Some(b':') => {
                let end = memchr::memchr2(b' ', b'\n', tags)?;
                &tags[end + usize::from(tags[end] == b' ')..]
            }
            Some(_) => return None,
        };
        let without_newline = rest.strip_suffix(b"\n").unwrap_or(rest);
        // On the way through other systems lines get ends of two bytes, which would stand in the middle of a name.
        let text = without_newline.strip_suffix(b"\r");
        let text = text.unwrap_or(without_newline);
        Some(Self {
            format: Format::Cri,
            stream,
            is_partial,
            head: &line[..line.len() - rest.len()],
            text,
            tail: &without_newline[text.len()..],
        })
    }

    fn read_docker(line: &'a [u8]) -> Option<Self> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let rest = line.strip_prefix(DOCKER_HEAD)?;
        let (text, tail) = rest.split_at(memmem::find(rest, DOCKER_TAIL)?);
        if memmem::find(text, TEXT_END).is_some() {
            return None;
        }
        let behind = &tail[DOCKER_TAIL.len()..];
        let (stream, rest) = [(Stream::Stdout, &b"out\""[..]), (Stream::Stderr, b"err\"")]
            .into_iter()
            .find_map(|(stream, name)| Some((stream, behind.strip_prefix(name)?)))?;
        is_end_of_docker(rest).then_some(Self {
            format: Format::Docker,
            stream,
            is_partial: !ends_in_newline(text),
            head: DOCKER_HEAD,
            text,
            tail,
        })
    }

    /// Whether a line that begins with `start`, which may hold more than that line, looks like a runtime's.
    pub fn looks_like_one(start: &'a [u8]) -> bool {
        match start.first() {
            Some(b'{') => start.starts_with(DOCKER_HEAD),
            Some(b'0'..=b'9') => Self::read_cri(start).is_some(),
            _ => false,
        }
    }

    /// Whether a record begins here that goes on in other lines. Docker's has to be no object that is closed, and one that is not if it is
    /// shorter than it cuts: else a shipper may have stripped the newline.
    pub fn begins_record(&self) -> bool {
        let is_open = || {
            let may_be = !self.is_short() || self.text.first() == Some(&b'{');
            may_be && !self.is_whole_object()
        };
        self.is_partial && (self.format == Format::Cri || is_open())
    }

    /// Shorter than the parts that the runtime cuts off: if its newline is missing, it is the last of a container that ended, or went
    /// through a shipper that strips newlines.
    pub fn is_short(&self) -> bool {
        self.format == Format::Docker && self.text.len() < DOCKER_PART_BYTES
    }

    /// The text, which is Docker's, is one JSON object, from its first byte to its last.
    pub fn is_whole_object(&self) -> bool {
        is_object(unescaped(self.text))
    }
}

/// Whether `rest` is what Docker writes behind the stream: perhaps attributes, and the time. Shippers add fields of their own, by
/// which streams are told apart that are one here.
fn is_end_of_docker(rest: &[u8]) -> bool {
    let Some(rest) = rest.trim_ascii_end().strip_suffix(b"\"}") else {
        return false;
    };
    let time = memmem::rfind(rest, DOCKER_TIME).map(|at| rest.split_at(at));
    time.is_some_and(|(attributes, time)| {
        let is_object = attributes.starts_with(DOCKER_ATTRIBUTES) && attributes.ends_with(b"}");
        (attributes.is_empty() || is_object)
            && memchr::memchr(b'"', &time[DOCKER_TIME.len()..]).is_none()
    })
}

/// The bytes of a JSON string, as far as they matter to brackets and quotes.
fn unescaped(text: &[u8]) -> impl Iterator<Item = u8> {
    let mut bytes = text.iter().copied();
    std::iter::from_fn(move || match bytes.next()? {
        b'\\' => {
            let escaped = bytes.next();
            escaped
                .filter(|byte| matches!(byte, b'"' | b'\\'))
                .or(Some(b' '))
        }
        byte => Some(byte),
    })
}

/// Whether the object that begins with the first byte ends with the last, but for white space.
fn is_object(text: impl Iterator<Item = u8>) -> bool {
    let mut text = text.peekable();
    matches!(text.peek(), Some(b'{' | b'['))
        && value_length(text.by_ref()).is_some()
        && text.all(|byte| byte.is_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::parts::part_mark;

    const TIME: &str = "2026-11-23T17:21:01.912216789Z";

    fn read(line: &str) -> Option<(Stream, bool, String)> {
        let read = Line::read(line.as_bytes())?;
        let newline = if line.ends_with('\n') { "\n" } else { "" };
        let again = [read.head, read.text, read.tail, newline.as_bytes()].concat();
        assert_eq!(String::from_utf8_lossy(&again), line);
        let text = String::from_utf8_lossy(read.text).into_owned();
        Some((read.stream, read.is_partial, text))
    }

    proptest! {
        #[test]
        fn each_part_bears_a_mark(
            time in "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\\.[0-9]{1,9})?Z",
            name in prop_oneof![Just("stdout"), Just("stderr")],
            tag in "[PF](:[a-z]{0,3})?",
            text in "[a-z\\\\\"{}n]{0,20}",
        ) {
            let docker = serde_json::json!({"log": text, "stream": name, "time": time});
            for line in [format!("{time} {name} {tag} {text}"), docker.to_string()] {
                let is_partial = Line::read(line.as_bytes()).is_some_and(|line| line.is_partial);
                let mut marks = part_mark::CRI.into_iter().chain([part_mark::DOCKER_TAIL]);
                prop_assert!(!is_partial || marks.any(|mark| memmem::find(line.as_bytes(), mark).is_some()), "{line}");
            }
        }
    }

    #[test]
    fn cri_lines_are_read() {
        use Stream::{Stderr, Stdout};
        for (line, wanted) in [
            (format!("{TIME} stdout F a b\n"), (Stdout, false, "a b")),
            (format!("{TIME} stderr P  a "), (Stderr, true, " a ")),
            (format!("{TIME} stdout P:x:y a"), (Stdout, true, "a")),
            (format!("{TIME} stdout F:x a"), (Stdout, false, "a")),
            (format!("{TIME} stdout F\n"), (Stdout, false, "")),
            (format!("{TIME} stdout P:x\n"), (Stdout, true, "")),
            (format!("{TIME} stdout P "), (Stdout, true, "")),
            (
                "2026-11-23T17:21:01+01:00 stdout P a".into(),
                (Stdout, true, "a"),
            ),
        ] {
            let (stream, is_partial, text) = wanted;
            assert_eq!(
                read(&line),
                Some((stream, is_partial, text.into())),
                "{line}"
            );
        }
    }

    #[test]
    fn a_tag_counts_only_at_its_place() {
        for line in [
            "",
            "\n",
            "2026",
            "x stdout P a",
            "1 stdout P a",
            "2026-11-23 17:21:01.912216789Z stdout P a",
            "{\"a\":\"2026-11-23T17:21:01Z stdout P \"}",
            &format!("{TIME} stdin P a"),
            &format!("{TIME} stdout X a"),
            &format!("{TIME} stdout PF a"),
            &format!("{TIME} stdout"),
            &format!("{TIME} stdout "),
            &format!("{TIME}  stdout P a"),
        ] {
            assert_eq!(read(line), None, "{line}");
        }
        let quoted = format!("{TIME} stdout F a stdout P b {TIME} stdout P c");
        assert!(!read(&quoted).unwrap().1);
    }

    fn docker(text: &str, attributes: &str) -> String {
        format!(r#"{{"log":"{text}","stream":"stdout"{attributes},"time":"{TIME}"}}"#)
    }

    #[test]
    fn docker_lines_are_read() {
        for attributes in [
            "",
            r#","attrs":{"a":"b","stream":"stderr"}"#,
            r#","attrs":{"stream":"stderr","time":"}"}"#,
        ] {
            for (text, is_partial) in [
                (r"a", true),
                (r"a\n", false),
                (r"a\\n", true),
                (r"a\\\n", false),
                (r"\n", false),
                (r"n", true),
                ("", true),
                (r#"\",\"stream\":\"stderr\""#, true),
                (r"a\\", true),
            ] {
                let line = docker(text, attributes);
                let wanted = (Stream::Stdout, is_partial, text.to_owned());
                assert_eq!(read(&line), Some(wanted), "{line}");
            }
        }
        for line in [
            r#"{"log":"a","time":""}"#,
            r#"{"log":"a","stream":"stdin"}"#,
            r#"{"log":"a","stream":"stdout","ti"#,
            r#"{"log":"a"#,
            r#"{"log":{"a":"b","stream":"stdout"}}"#,
            r#"{"log":"a","stream":"stdout"}"#,
            r#"{"log":"a","logtag":"P","stream":"stdout","time":""}"#,
            r#"{"log":"a","stream":"stdout","time":"","pod":"a"}"#,
            r#"{"log":"a","stream":"stdout","pod":"a","time":""}"#,
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }

    #[test]
    fn an_object_is_whole_if_its_last_byte_closes_it() {
        for (text, whole) in [
            (r#"{"a":"}"}"#, true),
            (r#"{"a":["\"}"]} "#, true),
            ("{}", true),
            ("", false),
            ("{", false),
            (r#"{"a":1}}"#, false),
            (r#"{"a":1}{}"#, false),
            (r#""a":1}"#, false),
            (r#"{"a":"{}"#, false),
            ("x{}", false),
        ] {
            let escaped = serde_json::to_string(text).unwrap();
            let line = docker(&escaped[1..escaped.len() - 1], "");
            let read = Line::read(line.as_bytes()).unwrap();
            assert_eq!(read.is_whole_object(), whole, "{text}");
        }
    }
}
