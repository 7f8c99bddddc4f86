//! Events that something printed in a notation of its own: a map of Java (`{auditID=…, user={username=…}}`) or Go (`map[auditID:… ]`),
//! logfmt (`auditID=… user.username=…`), percent-encoded JSON, or a row of CSV, or Python, and it was cut off; or JSON over many lines, of
//! which something made records of their own.
//!
//! None of them says where a value ends, so that none can be decoded for certain. What is known of a line is whether it
//! has the keys of an event, outside of all JSON in it.

use std::{ops::Range, sync::LazyLock};

use memchr::{
    memchr,
    memmem::{self, Finder},
};

use crate::record::{
    stream::csv_row,
    text::{
        escape::is_escaped,
        extent::{MAX_OPEN, doubled_end, entities_end, value_end_in_string},
        legacy, own, python,
    },
};

/// Keys that only an audit event has, and what Go calls them in the structure. One alone may stand in any log that tells of requests.
const KEYS: [&str; 11] = [
    "auditID",
    "auditid",
    "AUDITID",
    "AuditId",
    "AuditID",
    "requestURI",
    "RequestURI",
    "requestReceivedTimestamp",
    "RequestReceivedTimestamp",
    "stageTimestamp",
    "StageTimestamp",
];

static FINDERS: LazyLock<[Finder<'static>; 11]> = LazyLock::new(|| KEYS.map(Finder::new));

/// Those under which a decoy is named by one text, the quotes around a text, in JSON, in a cell of CSV and in XML, and what stands between
/// a key and a text in JSON that is spread over lines.
const SPREAD: [&str; 4] = ["username", "requestURI", "principalEmail", "resourceName"];
const QUOTES: [&str; 5] = ["\"", "\"\"", "&quot;", "&#34;", "&#x22;"];
const BETWEEN_TEXTS: &str = ": ";

/// What the value of an event's `apiVersion` begins with.
const VERSION: &str = "audit.k8s.io/v1";

/// As many of them a line has to have.
const ENOUGH: usize = 2;

/// Bytes in which the beginning of a query is looked for.
const MAX_QUERY_BYTES: usize = 1024;

/// What stands behind a key in other notations, or between cells.
const NOT_BEFORE_OWN: &[u8] = b"=|;\t";

/// Percent-encoded quotes, and what may stand between a key and its value.
const QUOTE: &[u8] = b"%22";
const BETWEEN: [&[u8]; 4] = [b"=", b":", b"%3A", b"%3a"];

/// As Python has it. In JSON without spaces, of which baitline shows excerpts with single quotes, there is no space.
const BEHIND_KEY_OF_PYTHON: &str = "': ";

/// Whether `text` has the keys of an event, in whatever notation has no quotes, or a row of its values, or a line of one that is spread
/// over lines.
pub fn bears_marks(text: &[u8]) -> bool {
    let is_line = |line: &[u8]| csv_row::is_row(line) || is_spread(line);
    has_keys(text) || legacy::may_be_in(text) || text.split(|byte| *byte == b'\n').any(is_line)
}

/// Whether a line of an event that is spread over lines may stand in `text`.
pub fn may_be_spread(text: &[u8]) -> bool {
    let is_between = |at: usize| {
        let [before, behind] = [&text[..at], &text[at + BETWEEN_TEXTS.len()..]];
        (before.ends_with(b"\"") && behind.starts_with(b"\""))
            || (before.ends_with(b";") && behind.starts_with(b"&"))
    };
    memmem::find_iter(text, BETWEEN_TEXTS).any(is_between)
}

/// Whether `line` is one of those of an event that is spread over lines by which a decoy is named: with whatever stands before each line
/// of it, and is no JSON. The others may be records of their own.
fn is_spread(line: &[u8]) -> bool {
    let is_one = |key: &str, quote: &str| {
        let key = format!("{quote}{key}{quote}{BETWEEN_TEXTS}{quote}");
        let rest = memmem::find(line, key.as_bytes())
            .filter(|at| memchr(b'"', &line[..*at]).is_none())
            .map(|at| &line[at + key.len()..]);
        // A plus goes on in the next line of a table of psql's, a bar ends a cell of one of Snowflake's.
        let is_end = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b',' | b'+' | b'|');
        rest.is_some_and(|rest| {
            // A client's own quotes are escaped.
            let mut ends = memmem::find_iter(rest, quote.as_bytes());
            let end = ends.find(|end| !is_escaped(&rest[..*end]));
            end.is_some_and(|end| rest[end + quote.len()..].iter().all(is_end))
        })
    };
    let is_any = |key: &&str| QUOTES.iter().any(|quote| is_one(key, quote));
    may_be_spread(line) && SPREAD.iter().any(is_any)
}

/// Whether `text` has the keys of an event, in whatever notation has no quotes, or in that of Python.
pub fn has_keys(text: &[u8]) -> bool {
    has_bare_keys(text) || has_enough(text, is_key_of_python, |before| before.ends_with(b": '"))
}

/// Whether the keys of an event stand in a notation without quotes around a value: in `before`, which has no JSON in it any more, and outside
/// of that in `behind`.
pub fn has_keys_around(before: &[u8], behind: &[u8]) -> bool {
    let around = |behind: &[u8]| [before, b" ", behind].concat();
    has_bare_keys(&around(behind)) && has_bare_keys(&around(&without_json(behind)))
}

/// `text` with spaces for what is JSON in it, or in Python's notation.
fn without_json(text: &[u8]) -> Vec<u8> {
    let (mut rest, mut at, mut open) = (text.to_vec(), 0, 0);
    while let Some(offset) = memchr(b'{', &text[at..]).filter(|_| open < MAX_OPEN) {
        let start = at + offset;
        let value = &text[start..];
        let of_json = || {
            let is_json = matches!(value.get(1), Some(b'"' | b'\\'));
            is_json.then(|| value_end_in_string(value)).flatten()
        };
        let length = doubled_end(value)
            .or_else(|| entities_end(value))
            .or_else(|| Some(python::json(value)?.1))
            .or_else(of_json);
        at = start + length.unwrap_or(1);
        open += usize::from(length.is_none());
        rest[start..start + length.unwrap_or(0)].fill(b' ');
    }
    rest
}

fn has_bare_keys(text: &[u8]) -> bool {
    let is_before_version = |before: &[u8]| {
        let before = before.strip_suffix(QUOTE).unwrap_or(before);
        BETWEEN.iter().any(|between| before.ends_with(between))
    };
    has_enough(text, is_key, is_before_version)
}

/// Whether enough keys stand in `text`; `is_key` tells by what stands before and behind one, `is_before_version` by what stands
/// before a value.
fn has_enough(
    text: &[u8],
    is_key: fn(&[u8], &[u8]) -> bool,
    is_before_version: impl Fn(&[u8]) -> bool,
) -> bool {
    let keys = FINDERS.iter().filter(|key| {
        let mut places = key.find_iter(text);
        places.any(|at| is_key(&text[..at], &text[at + key.needle().len()..]))
    });
    let has_version = || memmem::find_iter(text, VERSION).any(|at| is_before_version(&text[..at]));
    let count = keys.take(ENOUGH).count();
    count == ENOUGH || (count + 1 == ENOUGH && has_version())
}

/// The lines of `text` that are such events; `rest` is `text` without the JSON in it. What stands in a line of baitline's own does not
/// count.
pub fn lines<'t>(text: &'t [u8], rest: &[u8]) -> Vec<&'t [u8]> {
    let mut at = 0;
    let lines = text.split(|byte| *byte == b'\n').map(|line| {
        let start = at;
        at += line.len() + 1;
        (line, &rest[start..start + line.len()])
    });
    lines
        .filter(|(line, rest)| match own_place(line) {
            None => bears_marks(rest),
            Some(own) => bears_marks(&rest[..own.start]) || bears_marks(&rest[own.end..]),
        })
        .map(|(line, _)| line)
        .collect()
}

/// Where a line of baitline's own stands in `line`, with nothing but its wrapper before it. A client may write such a beginning into an
/// event, to hide what is printed behind it.
fn own_place(line: &[u8]) -> Option<Range<usize>> {
    own::place(line).filter(|own| {
        let before = &line[..own.start];
        !before.iter().any(|byte| NOT_BEFORE_OWN.contains(byte))
            && memmem::find(before, b"map[").is_none()
    })
}

/// Whether a key that stands between these is one.
fn is_key(before: &[u8], after: &[u8]) -> bool {
    let is_quoted = before.ends_with(QUOTE);
    let is_of_word = before.last().is_some_and(u8::is_ascii_alphanumeric);
    let begins = is_quoted || !(is_of_word || is_of_query(before));
    let after = match is_quoted {
        true => after.strip_prefix(QUOTE).unwrap_or(after),
        false => after,
    };
    begins && BETWEEN.iter().any(|between| after.starts_with(between))
}

/// Whether `before` ends within the query of a URI, as in a line of a web server's log, where a parameter begins.
fn is_of_query(before: &[u8]) -> bool {
    let is_of_uri = |byte: &&u8| !byte.is_ascii_whitespace() && **byte != b'"';
    let query = before.iter().rev().take(MAX_QUERY_BYTES);
    let mut uri = query.take_while(is_of_uri);
    match before.last() {
        Some(b'?') => true,
        Some(b'&') => uri.any(|byte| *byte == b'?'),
        _ => false,
    }
}

fn is_key_of_python(before: &[u8], after: &[u8]) -> bool {
    before.ends_with(b"'") && after.starts_with(BEHIND_KEY_OF_PYTHON.as_bytes())
}

/// `text` with a space behind each such key, so that it bears no marks of Python.
pub fn without_keys_of_python(mut text: String) -> String {
    for key in KEYS {
        let marked = format!("{key}{BEHIND_KEY_OF_PYTHON}");
        if text.contains(&marked) {
            text = text.replace(&marked, &format!("{key} {BEHIND_KEY_OF_PYTHON}"));
        }
    }
    text
}

/// `text` with a space behind each such key, so that it bears no marks. baitline's own texts hold those of clients, and may be fed
/// back in.
pub fn without_marks(mut text: String) -> String {
    for key in KEYS {
        for next in ["=", ":", "%"] {
            let marked = format!("{key}{next}");
            if text.contains(&marked) {
                text = text.replace(&marked, &format!("{key} {next}"));
            }
        }
    }
    for (key, quote) in SPREAD
        .into_iter()
        .flat_map(|key| QUOTES.map(|quote| (key, quote)))
    {
        let marked = format!("{key}{quote}{BETWEEN_TEXTS}{quote}");
        if text.contains(&marked) {
            text = text.replace(&marked, &format!("{key}{quote} {BETWEEN_TEXTS}{quote}"));
        }
    }
    legacy::without_marks(csv_row::without_rows(without_keys_of_python(text)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn marks_are_keys_and_two_of_them() {
        for (line, wanted) in [
            ("{kind=Event, apiVersion=audit.k8s.io/v1, auditID=1}", true),
            ("map[apiVersion:audit.k8s.io/v1 auditID:1]", true),
            ("audit.auditID=1 a.requestURI=/x", true),
            ("auditID=1 stageTimestamp=2026", true),
            ("msg=\"auditID=1 requestURI=/\"", true),
            ("&Event{Level:Metadata,AuditID:1,RequestURI:/x}", true),
            (
                "x=%7B%22auditID%22%3A%221%22%2C%22requestURI%22%3A%22/%22",
                true,
            ),
            (
                "%22apiVersion%22%3a%22audit.k8s.io/v1%22%2c%22AuditId%22%3a",
                true,
            ),
            ("auditID=1 auditID=2", false),
            ("theauditID=1 requestURI=/x", false),
            ("auditID requestURI", false),
            ("'auditID':1 'requestURI':2", false),
            ("GET /x?auditID=1&requestURI=2 HTTP/1.1", false),
            ("\"GET /x?a&auditID=1&requestURI=2\" requestURI=/x", false),
            ("GET /x?auditID=1 auditID=1 requestURI=2", true),
            ("requestURI=/x?a,auditID=1", true),
            ("verb=get&auditID=1&requestURI=2", true),
            ("/x? auditID=1&requestURI=2", true),
            ("{ 'auditID': '1', 'requestURI': '/", true),
            ("'}, 'auditID': '1', 'requestURI': '/'}", true),
            ("{ 'auditID':'1','requestURI':'/'", false),
            ("{ 'auditID ': '1', 'requestURI ': '/'", false),
            ("{'auditID': '1', 'user", false),
            ("x {'auditID': '1', 'requestURI': '/", true),
            (
                "{'kind': 'Event', 'apiVersion': 'audit.k8s.io/v1', 'auditID': ",
                true,
            ),
            ("apiVersion: audit.k8s.io/v1 kind=Policy", false),
            ("  \"username\": \"a\",", true),
            ("  \"\"username\"\": \"\"a\"\",", true),
            ("  \"\"username\"\": \"\"a\",", false),
            ("  \"\"username\"\": \"\"a\"\",x", false),
            ("[pod/a/b]    \"requestURI\": \"/a\"\r", true),
            ("   \"principalEmail\": \"a\", +", true),
            ("  \"username\": \"a\", \"b\": 1", false),
            ("{\"a\": 1, \"username\": \"a\"", false),
            ("  \"userName\": \"a\"", false),
            ("  \"username\": \"a", false),
        ] {
            assert_eq!(bears_marks(line.as_bytes()), wanted, "{line}");
        }
    }

    #[test]
    fn lines_count_one_by_one() {
        let text = b"auditID=1\nrequestURI=2\nauditID=1 requestURI=2\n";
        assert_eq!(lines(text, text), [b"auditID=1 requestURI=2"]);
        assert_eq!(lines(text, &vec![b' '; text.len()]).len(), 0);
        let id = "0".repeat(32);
        let own = format!(
            r#"x {{\"type\":\"alert\",\"schema\":1,\"alert_id\":\"{id}\",\"incident_id\":\"{id}\",\"a\":\"auditID=1 requestURI=2"#
        );
        let own = own.as_bytes();
        assert_eq!(lines(own, own).len(), 0);
        for before in [
            &b"userAgent="[..],
            b"map[userAgent:",
            b"auditID=1 requestURI=2 ",
        ] {
            let forged = [before, own].concat();
            assert_eq!(lines(&forged, &forged), [&forged]);
        }
    }

    proptest! {
        #[test]
        fn marks_can_be_taken_away(text in "((auditID|AuditId|requestURI|stageTimestamp)|ResponseComplete|RequestReceived|io.k8s.core.v1.pods.get|system:a| AUDIT: id=|\"username\": \"|\"\"username\"\": \"\"|[=:{ ,;|\"\n\t/]|%22|%3A|audit.k8s.io/v1){0,9}") {
            prop_assert!(!bears_marks(without_marks(text).as_bytes()));
        }
    }
}
