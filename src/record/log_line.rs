//! The beginnings of log lines that have JSON behind them.

use jiff::Timestamp;

use crate::audit::parse_time;

/// Bytes in which the beginning of a line is looked for.
const MAX_BYTES: usize = 512;

/// What stands before the JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head<'v> {
    pub time: Option<Timestamp>,
    /// Syslog's HOSTNAME.
    pub host: Option<&'v str>,
}

impl<'v> Head<'v> {
    /// Reads syslog of RFC 5424 (`<134>1 TIME HOST …`) and RFC 3164 (`<134>Nov 23 17:21:08 HOST …`, without a year, so
    /// without a time), and any line that begins with a time. What is neither tells nothing.
    pub fn read(line: &'v [u8]) -> Self {
        let line = &line[..line.len().min(MAX_BYTES)];
        let end = line
            .iter()
            .position(|byte| *byte == b'{')
            .unwrap_or(line.len());
        let head = line[..end]
            .utf8_chunks()
            .next()
            .map_or("", |chunk| chunk.valid());
        match behind_priority(head) {
            Some(rest) => Self::syslog(rest),
            None => Self {
                time: head.split_ascii_whitespace().next().and_then(parse_time),
                host: None,
            },
        }
    }

    fn syslog(text: &'v str) -> Self {
        let words: Vec<&str> = text.split_ascii_whitespace().take(4).collect();
        let (time, host) = match words.as_slice() {
            ["1", time, host, ..] => (*time, Some(*host)),
            // As newer daemons write the older form.
            [time, host, ..] if parse_time(time).is_some() => (*time, Some(*host)),
            [_, _, time, host] if time.contains(':') => ("", Some(*host)),
            _ => return Self::default(),
        };
        Self {
            time: parse_time(time),
            host: host.filter(|host| *host != "-"),
        }
    }
}

/// What follows syslog's `<PRI>`.
fn behind_priority(text: &str) -> Option<&str> {
    let (priority, rest) = text.trim_start().strip_prefix('<')?.split_once('>')?;
    let is_number =
        (1..=3).contains(&priority.len()) && priority.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(line: &str) -> (Option<String>, Option<&str>) {
        let head = Head::read(line.as_bytes());
        (head.time.map(|time| time.to_string()), head.host)
    }

    #[test]
    fn syslog_tells_its_host_and_a_line_its_time() {
        let time = Some("2026-11-23T17:21:08.5Z".to_owned());
        for (line, expected) in [
            (
                r#"<134>1 2026-11-23T17:21:08.5Z cp-1 kube 7 - [a@1 b="c"] {"#,
                (time.clone(), Some("cp-1")),
            ),
            (
                r#"<134>1 2026-11-23T17:21:08.5Z - - - - - {"#,
                (time.clone(), None),
            ),
            (
                r#"<134>Nov  3 17:21:08 cp-1 audit[7]: {"#,
                (None, Some("cp-1")),
            ),
            (
                r#"<134>2026-11-23T17:21:08.5Z cp-1 audit: {"#,
                (time.clone(), Some("cp-1")),
            ),
            (r#"2026-11-23T17:21:08.5Z stdout F {"#, (time.clone(), None)),
            (r#"2026-11-23T17:21:08.5Z {"#, (time, None)),
            (r#"<9999>1 x y z {"#, (None, None)),
            (r#"{"<1>1 2026-11-23T17:21:08Z host": 1}"#, (None, None)),
            ("", (None, None)),
        ] {
            assert_eq!(read(line), expected, "{line}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(line in proptest::collection::vec(any::<u8>(), 0..600)) {
            Head::read(&line);
        }
    }
}
