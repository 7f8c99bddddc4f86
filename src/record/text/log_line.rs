//! The beginnings of log lines that have JSON behind them.

use jiff::Timestamp;

use super::escape::first_quote;
use crate::audit::parse_time;

/// Bytes in which the beginning of a line is looked for.
const MAX_BYTES: usize = 512;

/// Words of the longest time: `2026-11-23 17:21:08.912 +0000 UTC`.
const MAX_TIME_WORDS: usize = 4;

/// Words that are looked at: a time and a host.
const MAX_WORDS: usize = MAX_TIME_WORDS + 1;

/// How EKS names the streams of audit logs.
const STREAM_HEAD: &str = "kube-apiserver-audit-";

/// What stands before the JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head<'v> {
    pub time: Option<Timestamp>,
    /// Syslog's HOSTNAME.
    pub host: Option<&'v str>,
    /// EKS's, between the time and the JSON, as `aws logs tail` writes it.
    pub stream: Option<&'v str>,
    /// Loki's, between the same, as `logcli` writes them: `{cluster="prod", pod="x"}`, from the first one's name on, and what follows.
    labels: &'v str,
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
        let is_syslog = behind_priority(head);
        let words: Vec<&str> = is_syslog
            .unwrap_or(head)
            .split_ascii_whitespace()
            .take(MAX_WORDS)
            .collect();
        if is_syslog.is_some() {
            return Self::syslog(&words);
        }
        let Some((time, count)) = leading_time(&words) else {
            return Self::default();
        };
        let stream = match &words[count..] {
            [word] if word.len() > STREAM_HEAD.len() => Some(*word),
            _ => None,
        };
        let behind = line.get(end + 1..).filter(|_| words.len() == count);
        Self {
            time: Some(time),
            stream: stream.filter(|word| word.starts_with(STREAM_HEAD)),
            labels: behind
                .and_then(|behind| behind.utf8_chunks().next())
                .map_or("", |chunk| chunk.valid()),
            host: None,
        }
    }

    /// Loki's label `wanted`, if it needs no escape.
    pub fn label(&self, wanted: &str) -> Option<&'v str> {
        let mut rest = self.labels;
        loop {
            let (name, behind) = rest.split_once("=\"")?;
            if !name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            {
                return None;
            }
            let end = first_quote(behind.as_bytes(), b'"')?;
            let value = &behind[..end];
            if name == wanted {
                return (!value.contains('\\')).then_some(value);
            }
            rest = behind[end + 1..].strip_prefix(',')?.trim_start();
        }
    }

    fn syslog(words: &[&'v str]) -> Self {
        let (time, host) = match (words, leading_time(words)) {
            (["1", time, host, ..], _) => (parse_time(time), Some(*host)),
            // As newer daemons write the older form.
            (words, Some((time, count))) => (Some(time), words.get(count).copied()),
            ([_, _, time, host, ..], None) if time.contains(':') => (None, Some(*host)),
            _ => return Self::default(),
        };
        Self {
            time,
            host: host.filter(|host| *host != "-"),
            ..Self::default()
        }
    }
}

/// The time with which `words` begin, which may have spaces in it, and how many of them it takes.
fn leading_time(words: &[&str]) -> Option<(Timestamp, usize)> {
    let mut counts = (1..=words.len().min(MAX_TIME_WORDS)).rev();
    counts.find_map(|count| Some((delimited_time(&words[..count].join(" "))?, count)))
}

/// Reads a time in quotes or brackets, before a colon, or in the first column of a row: a comma in its last word may be its own
/// or stand behind it.
fn delimited_time(text: &str) -> Option<Timestamp> {
    let last_word = text.rfind(' ').map_or(0, |space| space + 1);
    let commas = [text[last_word..].rfind(','), text[last_word..].find(',')];
    let ends = commas.into_iter().flatten().map(|at| last_word + at);
    let is_around = |character: char| character.is_ascii_punctuation();
    std::iter::once(text.len())
        .chain(ends)
        .find_map(|end| parse_time(text[..end].trim_matches(is_around)))
}

/// What follows syslog's `<PRI>`, before which its length may stand (RFC 6587).
fn behind_priority(text: &str) -> Option<&str> {
    let behind_length = text
        .trim_start()
        .trim_start_matches(|character: char| character.is_ascii_digit());
    let (priority, rest) = behind_length
        .trim_start()
        .strip_prefix('<')?
        .split_once('>')?;
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
            (
                r#"163 <134>1 2026-11-23T17:21:08.5Z cp-1 kube 7 - - {"#,
                (time.clone(), Some("cp-1")),
            ),
            (
                r#"x 163 <134>1 2026-11-23T17:21:08.5Z cp-1 {"#,
                (None, None),
            ),
            (r#"2026-11-23T17:21:08.5Z stdout F {"#, (time.clone(), None)),
            (r#"2026-11-23T17:21:08.5Z {"#, (time.clone(), None)),
            (r#"2026-11-23 17:21:08.5 {"#, (time.clone(), None)),
            (
                r#"2026-11-23 17:21:08,500 INFO audit: {"#,
                (time.clone(), None),
            ),
            (r#"2026-11-23 17:21:08.5 UTC {"#, (time.clone(), None)),
            (
                r#"2026-11-23 17:21:08.5 +0000 UTC audit {"#,
                (time.clone(), None),
            ),
            (r#"2026-11-23 19:21:08.5 +02:00 {"#, (time.clone(), None)),
            (r#"[2026-11-23 17:21:08.5] {"#, (time.clone(), None)),
            (r#"2026-11-23 17:21:08.5,"{""#, (time.clone(), None)),
            (r#"2026-11-23 17:21:08,500,"{""#, (time.clone(), None)),
            (r#""2026-11-23 17:21:08.5 UTC","{""#, (time.clone(), None)),
            (
                r#"2026-11-23 17:21:08.5,123456789012,"{""#,
                (time.clone(), None),
            ),
            (r#"1795454468.5 {"#, (time.clone(), None)),
            (r#"1795454468500: {"#, (time.clone(), None)),
            (
                r#"<134>2026-11-23 17:21:08.5 cp-1 audit: {"#,
                (time, Some("cp-1")),
            ),
            (r#"2026-11-23 {"#, (None, None)),
            (r#"2026-11-23 audit {"#, (None, None)),
            (r#"12 {"#, (None, None)),
            (r#"123456789012,"{""#, (None, None)),
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
