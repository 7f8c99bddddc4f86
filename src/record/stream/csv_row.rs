//! Rows of CSV with a column for each field of an event, where nobody knows the names of the columns, so that no row can be decoded:
//! they stand in another line. Where that is the first of the stream, see [`super::header`].
//!
//! What is known of a row is whether it has cells that only an event has together: its stage, and its URI or its id; or, of an entry of
//! GKE's, its method, and what that was done to or who did it.

use std::ops::Range;

use memchr::{memchr, memchr_iter, memmem, memrchr};

use crate::{audit::Event, record::doubt::printed};

/// Events of a line that are looked at, each of which takes a look at all of it.
const MAX_EVENTS: usize = 256;

/// What may stand between cells.
pub const SEPARATORS: [u8; 4] = *b",;\t|";

/// What stands between the columns that psql and mysql print.
const ALIGNED: &[u8] = b" | ";

/// The stages of a request.
const STAGES: [&str; 4] = [
    "RequestReceived",
    "ResponseStarted",
    "ResponseComplete",
    "Panic",
];

/// How many bytes the id of an event has, if its client does not choose another, and how many of them are dashes.
const ID_BYTES: usize = 36;
const ID_DASHES: usize = 4;

/// How the methods of GKE's entries begin, and how many dots at least they have, `io.k8s.core.v1.secrets.list`, but for those of what is
/// no resource: `io.k8s.get`.
const METHOD_HEAD: &str = "io.k8s.";
const METHOD_DOTS: usize = 4;

/// As many columns of times a row has to have.
const LEAST_TIMES: usize = 2;

/// What a cell may be.
type Is = fn(&[u8]) -> bool;

/// What only the cells of an event are together.
const TOGETHER: [[Is; 2]; 2] = [[is_stage, is_place], [is_method, is_of_method]];

/// Whether `line` is the row of an event. A client may choose the id of an event, but its URI always begins with a slash.
pub fn is_row(line: &[u8]) -> bool {
    // Most lines have no such word, and are not cut.
    let mut words = STAGES.into_iter().chain([METHOD_HEAD]);
    words.any(|word| memmem::find(line, word.as_bytes()).is_some())
        && is_row_by(|is| cells(line).any(is))
}

/// Whether `cells` are the row of an event.
pub fn are_of_event<'c, C: Iterator<Item = &'c str>>(cells: impl Fn() -> C) -> bool {
    is_row_by(|is| cells().any(|cell| is(cell.as_bytes())))
}

/// Whether a line is the row of an event, of which `has_cell` tells whether any of its cells is such.
fn is_row_by(has_cell: impl Fn(Is) -> bool) -> bool {
    TOGETHER
        .iter()
        .any(|all| all.iter().all(|is| has_cell(*is)))
}

/// Whether `cell` is the method of an entry of GKE's.
fn is_method(cell: &[u8]) -> bool {
    let is_of_method = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_".contains(byte);
    let dots = || cell.iter().filter(|byte| **byte == b'.').count();
    cell.strip_prefix(METHOD_HEAD.as_bytes())
        .is_some_and(|rest| {
            let is_verb = !rest.is_empty() && rest.iter().all(u8::is_ascii_lowercase);
            is_verb || (dots() >= METHOD_DOTS && cell.iter().all(is_of_method))
        })
}

/// Whether `cell` is what stands beside a method: `core/v1/namespaces/…`, a user of the cluster, or one of Google's.
fn is_of_method(cell: &[u8]) -> bool {
    let mut segments = cell.split(|byte| *byte == b'/').skip(1);
    let is_version = |segment: &[u8]| {
        let version = segment.strip_prefix(b"v").unwrap_or_default();
        version.first().is_some_and(u8::is_ascii_digit)
    };
    segments.next().is_some_and(is_version)
        || cell.starts_with(b"system:")
        || memchr(b'@', cell).is_some()
}

/// Whether `cell` may be a URI or the id of an event.
fn is_place(cell: &[u8]) -> bool {
    cell.starts_with(b"/") || is_id(cell)
}

/// Whether `cell` is the stage of a request.
pub fn is_stage(cell: &[u8]) -> bool {
    STAGES.iter().any(|stage| stage.as_bytes() == cell)
}

/// The rows that hold a whole event, too.
pub struct WholeEvents<'t> {
    text: &'t [u8],
    /// Where the last line that was looked at lies.
    line: Range<usize>,
    /// Whether something printed an event in it.
    is_printed: bool,
    /// How many events of that may still be looked at.
    patience: usize,
    /// Whether the last that was may be told: as good as any behind it.
    may_be_told: bool,
    /// Where the rows begin, in order.
    rows: Vec<usize>,
    /// The lines of which an event may not be told, in order.
    doubtful: Vec<Range<usize>>,
}

impl<'t> WholeEvents<'t> {
    pub fn new(text: &'t [u8]) -> Self {
        Self {
            text,
            line: 0..0,
            is_printed: false,
            patience: 0,
            may_be_told: true,
            rows: Vec::new(),
            doubtful: Vec::new(),
        }
    }

    /// Takes note of an event that was found in the value at `place`, in the last line or one behind it; `rest` is the text without the
    /// values before that. If the row has the times of it, which no client knows beforehand, it is what the row tells. Whether it may be
    /// told: not if the row tells of an event without it, or another stands around it. Then the line is one of the
    /// [`doubtful`](Self::doubtful).
    pub fn note(&mut self, event: &Event<'_>, place: &Range<usize>, rest: &[u8]) -> bool {
        if !self.line.contains(&place.start) {
            let text = self.text;
            let start = memrchr(b'\n', &text[..place.start]).map_or(0, |newline| newline + 1);
            // A value may go on in the next.
            let length = memchr(b'\n', &text[place.end..]);
            self.line = start..length.map_or(text.len(), |length| place.end + length);
            self.is_printed = printed::has_keys_around(
                &rest[self.line.start..place.start],
                &text[place.end..self.line.end],
            );
            self.patience = MAX_EVENTS;
        }
        if self.patience > 0 {
            self.patience -= 1;
            self.may_be_told = self.judge(event, place.start, rest);
        }
        if !self.may_be_told && self.doubtful.last() != Some(&self.line) {
            self.doubtful.push(self.line.clone());
        }
        self.may_be_told
    }

    /// As [`note`](Self::note), of an event in the last line.
    fn judge(&mut self, event: &Event<'_>, place: usize, rest: &[u8]) -> bool {
        if self.is_printed {
            return false;
        }
        let (start, line) = (self.line.start, &self.text[self.line.clone()]);
        let Some(separators) = separators(line, place - start) else {
            // Without quotes around it a client's text may have any cells.
            return !is_row(&rest[start..place]);
        };
        let is_any = |is: &dyn Fn(&[u8]) -> bool| {
            let mut separators = separators.iter();
            separators.any(|separator| whole_cells(line, *separator).any(is))
        };
        let times = [event.received, event.stage_time];
        let is_whole = separators.iter().any(|separator| {
            let cells = whole_cells(line, *separator);
            has_times_of(times.into_iter().flatten(), cells)
        });
        if is_whole && self.rows.last() != Some(&start) {
            self.rows.push(start);
        }
        is_whole || !is_row_by(|is| is_any(&is))
    }

    /// Whether `line` of the text is such a row.
    pub fn holds(&self, line: &[u8]) -> bool {
        let start = line.as_ptr().addr() - self.text.as_ptr().addr();
        self.rows.binary_search(&start).is_ok()
    }

    /// The lines of which an event may not be told, though it may be what the API server wrote: something else has to be told of each.
    pub fn doubtful(&self) -> impl Iterator<Item = &'t [u8]> {
        let text = self.text;
        self.doubtful.iter().map(move |line| &text[line.clone()])
    }
}

/// What may separate the cells of `line`, if `place` lies in one that stands in quotes, as all do in which a value stands.
fn separators(line: &[u8], place: usize) -> Option<&[u8]> {
    let (mut start, mut end) = (None, None);
    for at in memchr_iter(b'"', line.get(..place)?) {
        match start {
            // Two quotes are one of the text.
            None if end.is_some_and(|(_, end)| end + 1 == at) => {
                start = end.take().map(|(start, _)| start);
            }
            None => start = Some(at),
            Some(begun) => (start, end) = (None, Some((begun, at))),
        }
    }
    match start? {
        0 => Some(&SEPARATORS),
        start => Some(&line[start - 1..start]).filter(|before| SEPARATORS.contains(&before[0])),
    }
}

/// Whether `cells` hold the times of an event, and no others that are written as they are. A client may choose one or two of them, but
/// not those of its own event.
fn has_times_of<'e, 'c>(
    times: impl Iterator<Item = &'e str> + Clone,
    cells: impl Iterator<Item = &'c [u8]>,
) -> bool {
    let is_written_as = |cell: &[u8], time: &[u8]| {
        let mut pairs = cell.iter().zip(time);
        cell.len() == time.len()
            && pairs.all(|(byte, wanted)| {
                byte == wanted || [byte, wanted].iter().all(|byte| byte.is_ascii_digit())
            })
    };
    let is_time = |cell: &&[u8]| {
        times
            .clone()
            .any(|time| is_written_as(cell, time.as_bytes()))
    };
    let (mut found, mut count) = (cells.filter(is_time), 0);
    found.all(|cell| {
        count += 1;
        times.clone().any(|time| time.as_bytes() == cell)
    }) && count >= LEAST_TIMES
}

/// The cells of `line`. What is in the cell of a client is no cell of its own.
fn whole_cells(line: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut in_quotes = false;
    let is_end = move |byte: &u8| {
        in_quotes ^= *byte == b'"';
        !in_quotes && *byte == separator
    };
    line.split(is_end).map(unquoted)
}

/// The cells of `line`, and the parts of those in which a separator stands; also those of a table with aligned columns, ` a | b `.
fn cells(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_aligned = memmem::find(line, ALIGNED).is_some();
    let aligned = line.split(|byte| *byte == b'|').filter(move |_| is_aligned);
    let aligned = aligned.map(|cell| cell.strip_prefix(b" ").unwrap_or(cell));
    let cells = line.split(|byte| SEPARATORS.contains(byte));
    cells.chain(aligned).map(unquoted)
}

fn unquoted(cell: &[u8]) -> &[u8] {
    let cell = cell.trim_ascii_end();
    let cell = cell.strip_prefix(b"\"").unwrap_or(cell);
    cell.strip_suffix(b"\"").unwrap_or(cell)
}

fn is_id(cell: &[u8]) -> bool {
    let dashes = cell.iter().filter(|byte| **byte == b'-').count();
    let is_of_id = |byte: &u8| byte.is_ascii_hexdigit() || *byte == b'-';
    cell.len() == ID_BYTES && dashes == ID_DASHES && cell.iter().all(is_of_id)
}

/// `text` with spaces before each such stage or method, so that no line of it is a row.
pub fn without_rows(mut text: String) -> String {
    for stage in STAGES.into_iter().chain([METHOD_HEAD]) {
        // One space may be that of an aligned column.
        for before in [",", ";", "\t", "|", "\"", "| "] {
            let cell = format!("{before}{stage}");
            if text.contains(&cell) {
                text = text.replace(&cell, &format!("{before}  {stage}"));
            }
        }
        // A line may begin with it.
        let begins = ["", " "].map(|space| format!("{space}{stage}"));
        if begins
            .iter()
            .any(|begin| text.starts_with(begin) || text.contains(&format!("\n{begin}")))
        {
            text = text.replace(stage, &format!("  {stage}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "8e3bf0f8-b495-450d-a404-cfdf2b51bc67";

    #[test]
    fn a_row_has_a_stage_and_an_id_or_a_path() {
        for (line, wanted) in [
            (format!("x,{ID},ResponseComplete,get"), true),
            (format!("\"{ID}\",\"ResponseStarted\"\r"), true),
            ("RequestReceived\t/api/v1\tget".to_owned(), true),
            ("RequestReceived|/api/v1|get".to_owned(), true),
            (" 1   | RequestReceived | /api/v1 | get".to_owned(), true),
            ("| RequestReceived |   2 | /api/v1 |".to_owned(), true),
            (" RequestReceived | /api/v1".to_owned(), true),
            (" 1   |  RequestReceived | /api/v1 | get".to_owned(), false),
            ("1;\"/api?x=1,2\";ResponseComplete".to_owned(), true),
            ("H1,system:a,io.k8s.core.v1.secrets.list".to_owned(), true),
            (
                "\"io.k8s.apps.v1.deployments.status.patch\",\"apps/v1/namespaces/a\"".to_owned(),
                true,
            ),
            ("a@b.c\tio.k8s.core.v1.pods.get\t".to_owned(), true),
            ("H1,io.k8s.core.v1.secrets.list,k8s.io".to_owned(), false),
            ("system:a,io.k8s.api.Pod,core/v1/pods".to_owned(), false),
            ("system:a, io.k8s.core.v1.pods.get".to_owned(), false),
            ("ResponseComplete,get".to_owned(), false),
            (format!("{ID},ResponseCompleted"), false),
            (format!("{ID} ResponseComplete,/"), false),
            (format!("{ID}, ResponseComplete,get"), false),
            (format!("{ID}0,ResponseComplete"), false),
        ] {
            assert_eq!(is_row(line.as_bytes()), wanted, "{line}");
            assert!(
                !without_rows(line.clone())
                    .lines()
                    .any(|line| is_row(line.as_bytes())),
                "{line}"
            );
        }
    }
}
