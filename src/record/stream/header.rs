//! The first line of an export of CSV, which names the columns: each row behind it is read as the object with these names for keys.
//!
//! A stream is believed to be one only if its first line is nothing but names, of which one is a field of an event or a place where
//! exports have the whole of it. A row that is none by these names is searched as it stands.
//!
//! A cell may hold newlines, so that a line may be text of a client's within one: `GET /api/v1/pods/a%0Ab` has a newline in its name.

use memchr::{memchr, memchr_iter, memrchr};

use super::csv_row::{SEPARATORS, is_stage};
use crate::{
    audit::gke,
    record::{
        parts::partial::is_line_of_a_runtime,
        restored::leads_to_event,
        rewrite,
        unwrap::lifted::{self, field, known},
    },
};

/// Bytes of a first line that are waited for.
pub const MAX_HEADER_BYTES: usize = 64 << 10;

/// Bytes of a name. It is written once for each row.
const MAX_NAME_BYTES: usize = 128;

/// Those between which no cell may have quotes around it.
const BARE: [u8; 2] = [b'\t', b'|'];

/// What stores write into the cells of what is not there: Kibana, MySQL, Python's and JavaScript's libraries. No object can be called so.
const NOTHING: [&str; 6] = ["-", "\\N", "NULL", "None", "NaN", "N/A"];

/// What Azure's portal writes behind the name of a column of times.
const UTC: &str = " [UTC]";

/// The fields of an event in whose texts, and in those of the fields in them, no newline can stand.
const ONE_LINE: [&str; 15] = [
    "kind",
    "apiVersion",
    "level",
    "auditID",
    "stage",
    "requestURI",
    "verb",
    "user",
    "impersonatedUser",
    "sourceIPs",
    "userAgent",
    "requestReceivedTimestamp",
    "stageTimestamp",
    "RequestReceivedTime",
    "StageReceivedTime",
];

const STATUS_CODE: &str = "responseStatus.code";

/// The names of columns.
#[derive(Debug, PartialEq, Eq)]
pub struct Header {
    separator: u8,
    /// Empty where a cell tells nothing.
    names: Vec<String>,
    /// Where the stages of requests stand: who puts files of several exports together has other columns there, further on.
    stage: Option<usize>,
    /// No cell can hold a newline.
    has_one_line_a_row: bool,
    is_of_events: bool,
}

/// A line behind a header.
pub enum Row {
    /// The object that it is, without the cells that are empty.
    Certain(Vec<u8>),
    /// The same of a line that may stand within a cell.
    Doubtful(Vec<u8>),
    /// Something else than a cell for each column.
    Other,
}

impl Header {
    /// The header with which `text` begins; `None` if it begins with something else, or with less than a line. Of one that is longer
    /// than `most` bytes, or 64 KiB, no more is known than that it is one.
    pub fn at_start(text: &[u8], most: usize) -> Option<Self> {
        let text = text.trim_ascii_start();
        if !may_begin_with_one(text) {
            return None;
        }
        let most = most.min(MAX_HEADER_BYTES);
        let line = &text[..memchr(b'\n', text).unwrap_or(text.len())];
        // What a container prints may look like names.
        if is_line_of_a_runtime(line) {
            return None;
        }
        let read = |line, is_whole| {
            let mut separators = SEPARATORS.into_iter();
            separators.find_map(|separator| Self::read(line, separator, is_whole))
        };
        match line.get(..most + 1) {
            None if line.len() == text.len() => None,
            None => read(line, true),
            Some(line) => read(line, false).filter(Self::is_of_events),
        }
    }

    fn read(line: &[u8], separator: u8, is_whole: bool) -> Option<Self> {
        let line = match is_whole {
            true => line,
            false => &line[..memrchr(separator, line)?],
        };
        let mut names = cells(line, separator, usize::MAX).filter(|names| names.len() > 1)?;
        for name in &mut names {
            if let Some(bare) = name.strip_suffix(UTC) {
                name.truncate(bare.len());
            }
            // As Datadog calls the attributes of a log; `@message` and the like are CloudWatch's own.
            if let Some(bare) = name.strip_prefix('@')
                && field(bare).is_some()
            {
                *name = bare.to_owned();
            }
        }
        let last = |name: &String| known(name.rsplit('.').next()?);
        let leads_to_event = |name: &String| leads_to_event(name);
        let is_event = |name: &String| last(name).is_some() || leads_to_event(name);
        let is_stage = |name: &String| last(name) == Some("stage");
        let is_header = names
            .iter()
            .all(|name| is_name(name) || field(name).is_some() || is_of_payload(name))
            && names.iter().any(is_event);
        is_header.then(|| Self {
            separator,
            stage: names.iter().position(is_stage),
            has_one_line_a_row: names.iter().all(|name| {
                let is_one_line = |field| ONE_LINE.contains(&field);
                field(name).is_some_and(is_one_line) || name.ends_with(STATUS_CODE)
            }),
            is_of_events: lifted::are_of_events(names.iter().map(String::as_str))
                || names.iter().any(leads_to_event),
            // What a client chose, and lies too deep to tell of a touch.
            names: names
                .into_iter()
                .filter(|_| is_whole)
                .map(|name| match name.len() {
                    0..=MAX_NAME_BYTES => name,
                    _ => String::new(),
                })
                .collect(),
        })
    }

    /// Whether it is too long to be read.
    pub fn is_cut(&self) -> bool {
        self.names.is_empty()
    }

    /// Whether the rows are events.
    pub fn is_of_events(&self) -> bool {
        self.is_of_events
    }

    /// Whether `line` may stand in cells, as what somebody else writes into the same stream as JSON does not: there each quote of a
    /// text is two, or has a backslash, and those that are not begin a cell, or end one.
    pub fn may_be_of_cells(&self, line: &[u8]) -> bool {
        let line = without_end(line);
        let is_edge =
            |byte: Option<&u8>| byte.is_none_or(|byte| [self.separator, b'\\'].contains(byte));
        let mut at = 0;
        while let Some(offset) = memchr(b'"', &line[at..]) {
            let start = at + offset;
            let quotes = line[start..].iter().take_while(|byte| **byte == b'"');
            at = start + quotes.count();
            let is_single = (at - start) % 2 == 1;
            if is_single && !is_edge(line[..start].last()) && !is_edge(line.get(at)) {
                return false;
            }
        }
        true
    }

    pub fn row(&self, line: &[u8]) -> Row {
        let cells = cells(line, self.separator, self.names.len());
        let cells = cells.filter(|cells| self.fits(line, cells));
        let Some(cells) = cells else {
            return Row::Other;
        };
        let mut object = Vec::new();
        let fields = self.names.iter().zip(&cells);
        let is_told = |cell: &str| !cell.is_empty() && !NOTHING.contains(&cell);
        let fields = fields.filter(|(name, cell)| !name.is_empty() && is_told(cell));
        rewrite::fields(fields, &mut object, |(name, cell), object| {
            rewrite::name(name, object);
            rewrite::text(cell, object);
        });
        match self.has_one_line_a_row || begins_outside(line, self.separator) {
            true => Row::Certain(object),
            false => Row::Doubtful(object),
        }
    }

    /// Whether `cells` of `line` are one for each column. A line that begins with an object that goes on behind a separator is none.
    fn fits(&self, line: &[u8], cells: &[String]) -> bool {
        let has_stage = |stage: usize| cells[stage].is_empty() || is_stage(cells[stage].as_bytes());
        let count = |brackets: [char; 2]| cells[0].matches(brackets).count();
        cells.len() == self.names.len()
            && self.stage.is_none_or(has_stage)
            && (line.starts_with(b"\"") || count(['{', '[']) <= count(['}', ']']))
    }
}

/// Whether `text` may begin with a header: not with JSON, as nearly all streams do.
pub fn may_begin_with_one(text: &[u8]) -> bool {
    !matches!(text.first(), Some(b'{' | b'['))
}

/// Whether `name` is that of a field of one of Google's payloads, in which a client chose the keys of the body.
fn is_of_payload(name: &str) -> bool {
    let mut payloads = gke::PAYLOADS.iter().chain(&gke::RESPELLED_PAYLOADS);
    payloads.any(|payload| name.starts_with(payload))
}

/// An index has none.
fn is_name(cell: &str) -> bool {
    let is_of_name = |byte: u8| {
        !byte.is_ascii() || byte.is_ascii_alphanumeric() || b" ._-@/:()[]{}#$".contains(&byte)
    };
    cell.len() <= MAX_NAME_BYTES && !cell.starts_with(['{', '[']) && cell.bytes().all(is_of_name)
}

/// The cells of `line`, without their quotes; `None` if one has no end, or something behind it, or a quote and none around it, as none
/// has but in text with tabs or bars where no cell has quotes around it; or if there are more than `most`.
fn cells(line: &[u8], separator: u8, most: usize) -> Option<Vec<String>> {
    let line = without_end(line);
    let begins_quoted = |at: usize| line.get(at) == Some(&b'"');
    let is_unquoted = BARE.contains(&separator)
        && !begins_quoted(0)
        && !memchr_iter(separator, line).any(|at| begins_quoted(at + 1));
    let (mut cells, mut rest) = (Vec::new(), line);
    while cells.len() < most {
        let (cell, length) = match rest.strip_prefix(b"\"") {
            Some(quoted) => {
                let (cell, length) = unquoted(quoted)?;
                (cell, 1 + length)
            }
            None => {
                let length = memchr(separator, rest).unwrap_or(rest.len());
                let cell = &rest[..length];
                if !is_unquoted && memchr(b'"', cell).is_some() {
                    return None;
                }
                (cell.to_vec(), length)
            }
        };
        cells.push(String::from_utf8_lossy(&cell).into_owned());
        match rest.get(length) {
            None => return Some(cells),
            Some(byte) if *byte == separator => rest = &rest[length + 1..],
            Some(_) => return None,
        }
    }
    None
}

/// Whether `line`, which has the cells of a row, does not begin within a cell. There each quote of a text is two, and those that are
/// not end a cell, or begin one to those who take the end of the one before for its beginning: so no single quote has something else
/// behind it than a separator.
fn begins_outside(line: &[u8], separator: u8) -> bool {
    let line = without_end(line);
    let mut quotes = memchr_iter(b'"', line);
    quotes.any(|at| {
        let is_single = at == 0 || line[at - 1] != b'"';
        let next = line.get(at + 1);
        is_single && next.is_some_and(|next| *next != b'"' && *next != separator)
    })
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// What stands before the quote that ends a cell, and where that ends. Two quotes are one.
fn unquoted(quoted: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut cell, mut at) = (Vec::new(), 0);
    loop {
        let quote = at + memchr(b'"', &quoted[at..])?;
        cell.extend_from_slice(&quoted[at..quote]);
        if quoted.get(quote + 1) != Some(&b'"') {
            return Some((cell, quote + 1));
        }
        cell.push(b'"');
        at = quote + 2;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_header_is_nothing_but_names_of_which_one_is_of_an_event() {
        for (line, wanted) in [
            ("@timestamp,@message,@logStream,@log\n", true),
            (
                "\"TimeGenerated [UTC]\",AuditId,\"RequestUri\"\r\n{\n",
                true,
            ),
            ("_time;host;_raw\n", true),
            (
                ",kubernetes.audit.auditID,kubernetes.audit.user.username\n",
                true,
            ),
            ("AUDITID\tUSER\n", true),
            ("auditID|verb|user\n", true),
            ("\n\nid,log\n", true),
            ("@message\n", false),
            ("a,b\n", false),
            ("message,it's\n", false),
            ("log,{\"a\":1}\n", false),
            ("{,log\n", false),
            ("{\"log\",\"verb\"}\n", false),
            ("I1123 17:21:08, verb, user\n", false),
            ("log,\"verb\n", false),
            ("log,verb", false),
        ] {
            assert_eq!(
                Header::at_start(line.as_bytes(), usize::MAX).is_some(),
                wanted,
                "{line}"
            );
        }
        let row = |start: &str| {
            let text = format!("{start}{}\n", "x,".repeat(MAX_HEADER_BYTES / 2));
            let header = Header::at_start(text.as_bytes(), usize::MAX)?;
            Some(matches!(header.row(text.as_bytes()), Row::Other))
        };
        assert_eq!(row("log,"), None);
        assert_eq!(row("verb,user,requestURI,"), Some(true));
    }

    #[test]
    fn a_row_is_an_object_with_these_names() {
        let header = Header::at_start(b"stage,user,,b,TimeGenerated [UTC]\n", usize::MAX).unwrap();
        let read = |row: &str| match header.row(row.as_bytes()) {
            Row::Certain(json) | Row::Doubtful(json) => Some(String::from_utf8(json).unwrap()),
            Row::Other => None,
        };
        for (row, wanted) in [
            (
                "ResponseComplete,-,1,NULL,2026",
                Some(r#"{"stage":"ResponseComplete","TimeGenerated":"2026"}"#),
            ),
            (
                "ResponseComplete,\"{\"\"a\"\":\"\"x, \\\"\"y\"\"}\",1,,2026\r",
                Some(
                    r#"{"stage":"ResponseComplete","user":"{\"a\":\"x, \\\"y\"}","TimeGenerated":"2026"}"#,
                ),
            ),
            (",,,,", Some("{}")),
            ("get,a,b,c,d", None),
            (",,,", None),
            (",,,,,", None),
            (",\"a,b,c,d", None),
            (",\"a\"b,c,d,e", None),
        ] {
            assert_eq!(read(row).as_deref(), wanted, "{row}");
        }
    }

    proptest! {
        #[test]
        fn cells_come_back(all in proptest::collection::vec("[a\",;{\\\\]{0,5}", 1..5)) {
            let quoted: Vec<_> = all.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect();
            let line = quoted.join(";");
            prop_assert_eq!(cells(line.as_bytes(), b';', all.len() - 1), None);
            prop_assert_eq!(cells(line.as_bytes(), b';', all.len()), Some(all));
        }
    }
}
