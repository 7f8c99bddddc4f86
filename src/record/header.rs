//! The first line of an export of CSV, which names the columns: each row behind it is read as the object with these names for keys.
//!
//! A stream is believed to be one only if its first line is nothing but names, of which one is a field of an event or a place where
//! exports have the whole of it. A row that is none by these names is searched as it stands.

use memchr::memchr;

use super::{csv_row::is_stage, lifted::Place, rewrite};

/// Bytes of a first line that are waited for.
pub const MAX_HEADER_BYTES: usize = 16 << 10;

/// Bytes of a name. It is written once for each row.
const MAX_NAME_BYTES: usize = 128;

const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];

/// What Azure's portal writes behind the name of a column of times.
const UTC: &str = " [UTC]";

/// The names of columns.
#[derive(Debug, PartialEq, Eq)]
pub struct Header {
    separator: u8,
    names: Vec<String>,
    /// Where the stages of requests stand: who puts files of several exports together has other columns there, further on.
    stage: Option<usize>,
}

impl Header {
    /// The header with which `text` begins; `None` if it begins with something else, or with less than a line.
    pub fn at_start(text: &[u8]) -> Option<Self> {
        let text = text.trim_ascii_start();
        let line = &text[..memchr(b'\n', text)?];
        if line.len() > MAX_HEADER_BYTES || !may_begin_with_one(text) {
            return None;
        }
        SEPARATORS
            .into_iter()
            .find_map(|separator| Self::read(line, separator))
    }

    fn read(line: &[u8], separator: u8) -> Option<Self> {
        let mut names = cells(line, separator).filter(|names| names.len() > 1)?;
        for name in &mut names {
            if let Some(bare) = name.strip_suffix(UTC) {
                name.truncate(bare.len());
            }
        }
        let is_event = |name: &String| key(name).is_some_and(|key| Place::of(key) != Place::Other);
        let is_header = names.iter().all(|name| is_name(name)) && names.iter().any(is_event);
        let is_stage =
            |name: &String| key(name).is_some_and(|key| key.eq_ignore_ascii_case("stage"));
        is_header.then(|| Self {
            stage: names.iter().position(is_stage),
            separator,
            names,
        })
    }

    /// The object that `row` is, without the cells that are empty; `None` if it has something else than a cell for each column.
    pub fn object(&self, row: &[u8]) -> Option<Vec<u8>> {
        let cells = cells(row, self.separator)?;
        let has_stage = |stage: usize| cells[stage].is_empty() || is_stage(cells[stage].as_bytes());
        if cells.len() != self.names.len() || !self.stage.is_none_or(has_stage) {
            return None;
        }
        let mut object = Vec::new();
        let fields = self.names.iter().zip(&cells);
        let fields = fields.filter(|(name, cell)| !name.is_empty() && !cell.is_empty());
        rewrite::fields(fields, &mut object, |(name, cell), object| {
            rewrite::name(name, object);
            rewrite::text(cell, object);
        });
        Some(object)
    }
}

/// Whether `text` may begin with a header: not with JSON, as nearly all streams do.
pub fn may_begin_with_one(text: &[u8]) -> bool {
    !matches!(text.first(), Some(b'{' | b'['))
}

/// The last of the keys that were joined in `name`, in which alone the case may have been changed.
fn key(name: &str) -> Option<&'static str> {
    let last = name.rsplit('.').next()?;
    Place::KNOWN
        .into_iter()
        .flatten()
        .copied()
        .find(|known| known.eq_ignore_ascii_case(last))
}

/// An index has none.
fn is_name(cell: &str) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b" ._-@/:()[]{}#$".contains(&byte);
    cell.len() <= MAX_NAME_BYTES && !cell.starts_with(['{', '[']) && cell.bytes().all(is_of_name)
}

/// The cells of `line`, without their quotes; `None` if one has no end, or something behind it.
fn cells(line: &[u8], separator: u8) -> Option<Vec<String>> {
    let mut rest = line.strip_suffix(b"\n").unwrap_or(line);
    rest = rest.strip_suffix(b"\r").unwrap_or(rest);
    let mut cells = Vec::new();
    loop {
        let (cell, length) = match rest.strip_prefix(b"\"") {
            Some(quoted) => {
                let (cell, length) = unquoted(quoted)?;
                (cell, 1 + length)
            }
            None => {
                let length = memchr(separator, rest).unwrap_or(rest.len());
                (rest[..length].to_vec(), length)
            }
        };
        cells.push(String::from_utf8_lossy(&cell).into_owned());
        match rest.get(length) {
            None => return Some(cells),
            Some(byte) if *byte == separator => rest = &rest[length + 1..],
            Some(_) => return None,
        }
    }
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
                Header::at_start(line.as_bytes()).is_some(),
                wanted,
                "{line}"
            );
        }
        let long = format!("log,{}\n", "x,".repeat(MAX_HEADER_BYTES / 2));
        assert_eq!(Header::at_start(long.as_bytes()), None);
    }

    #[test]
    fn a_row_is_an_object_with_these_names() {
        let header = Header::at_start(b"stage,user,,b,TimeGenerated [UTC]\n").unwrap();
        let read = |row: &str| {
            header
                .object(row.as_bytes())
                .map(|json| String::from_utf8(json).unwrap())
        };
        for (row, wanted) in [
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
            prop_assert_eq!(cells(quoted.join(";").as_bytes(), b';'), Some(all));
        }
    }
}
