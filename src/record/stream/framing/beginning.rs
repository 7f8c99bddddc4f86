//! How a stream begins, which tells what it is.

use memchr::{memchr, memrchr};

use super::{BYTE_ORDER_MARK, Framer, Mode, Piece};
use crate::record::{
    Shape,
    stream::{
        csv_row::SEPARATORS,
        header::{self, Header, MAX_HEADER_BYTES},
        structural::Cutter,
    },
};

/// Bytes after which a first line that is nothing but white space and brackets is taken for a line like any other, and so are those
/// behind lines of text.
pub(super) const START_BYTES: usize = 4096;

/// Bytes of a stream that tell how it begins.
pub const HEAD_BYTES: usize = START_BYTES + MAX_HEADER_BYTES + 1;

/// How the line begins by which spreadsheets are told what separates cells. The separator stands behind it, and nothing else.
const SEPARATOR_LINE: &[u8] = b"sep=";

/// How many bytes of `text`, with which a stream begins, come before all that is told there: a byte-order mark, or a line that tells
/// what separates cells. `None` if that is not known yet.
pub(super) fn preamble(text: &[u8]) -> Option<usize> {
    if !text.is_empty() && text.len() < BYTE_ORDER_MARK.len() && BYTE_ORDER_MARK.starts_with(text) {
        return None;
    }
    let mark = match text.starts_with(BYTE_ORDER_MARK) {
        true => BYTE_ORDER_MARK.len(),
        false => 0,
    };
    let text = &text[mark..];
    let Some(rest) = text.strip_prefix(SEPARATOR_LINE) else {
        let is_open = (mark > 0 || !text.is_empty()) && SEPARATOR_LINE.starts_with(text);
        return (!is_open).then_some(mark);
    };
    match rest {
        [] | [_] | [_, b'\r'] => None,
        [separator, b'\n', ..] | [separator, b'\r', b'\n', ..]
            if SEPARATORS.contains(separator) =>
        {
            let end = memchr(b'\n', text).map_or(text.len(), |newline| newline + 1);
            Some(mark + end)
        }
        _ => Some(mark),
    }
}

/// What the beginning of a stream tells.
pub(super) enum Opening {
    /// A line is nothing but opening brackets, of which the first stands here. Before it are blank lines and lines of text, such as a
    /// warning.
    Json(usize),
    Lines,
    /// Nothing yet: what stands before this are blank lines and lines of text.
    Open(usize),
}

/// What `text` tells, with which a stream begins at `offset`, behind a byte-order mark or blank lines. A line that is nothing but
/// brackets, right behind one of names, is no row: those names are text.
pub(super) fn beginning(
    text: &[u8],
    offset: u64,
    max_line_bytes: usize,
) -> (Option<Header>, Opening) {
    let is_text = |byte: &u8| !byte.is_ascii_whitespace();
    let first = text.iter().position(is_text).unwrap_or(text.len());
    let header = (offset + (first as u64) < START_BYTES as u64)
        .then(|| Header::at_start(text, max_line_bytes))
        .flatten();
    match &header {
        None => return (None, opening(text, offset, max_line_bytes)),
        // What comes behind so long a line is waited for no longer.
        Some(names) if names.is_cut() => return (header, Opening::Lines),
        Some(_) => {}
    }
    let end = memchr(b'\n', &text[first..]).map_or(text.len(), |length| first + length);
    match text[end..].iter().find(|byte| is_text(byte)) {
        None => (header, Opening::Open(0)),
        Some(b'{' | b'[') => match opening(&text[end..], 0, max_line_bytes) {
            Opening::Json(bracket) => (None, Opening::Json(end + bracket)),
            Opening::Open(_) => (header, Opening::Open(0)),
            Opening::Lines => (header, Opening::Lines),
        },
        Some(_) => (header, Opening::Lines),
    }
}

/// What `text` tells, which lies at `offset` in the stream.
fn opening(text: &[u8], offset: u64, max_line_bytes: usize) -> Opening {
    let mut start = 0;
    loop {
        let is_blank = |byte: &u8| byte.is_ascii_whitespace();
        let Some(first) = text[start..].iter().position(|byte| !is_blank(byte)) else {
            return open(text);
        };
        let first = start + first;
        if matches!(text[first], b'{' | b'[') {
            let mut rest = text[first..].iter();
            return match rest.find(|byte| !matches!(byte, b'{' | b'[' | b' ' | b'\t' | b'\r')) {
                None => open(text),
                Some(b'\n') => Opening::Json(first),
                Some(_) => Opening::Lines,
            };
        }
        let line = memrchr(b'\n', &text[..first]).map_or(0, |newline| newline + 1);
        if offset + line as u64 >= START_BYTES as u64 {
            return Opening::Lines;
        }
        let Some(length) = memchr(b'\n', &text[line..]) else {
            return open(text);
        };
        if length > max_line_bytes {
            return Opening::Lines;
        }
        start = line + length + 1;
    }
}

/// Only the last line of `text` is not complete.
fn open(text: &[u8]) -> Opening {
    Opening::Open(memrchr(b'\n', text).map_or(0, |newline| newline + 1))
}

/// Whether a stream that begins with `head` is surely one record a line, so that one begins behind every newline.
pub fn is_one_record_a_line(head: &[u8]) -> bool {
    let text = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head);
    matches!(opening(text, 0, usize::MAX), Opening::Lines)
}

/// Whether `record`, which has newlines in it, begins with a JSON value that goes on behind its first line, perhaps behind lines of
/// text. If not, each line is a record of its own.
pub fn is_spread_over_lines(record: &[u8]) -> bool {
    let record = record.strip_prefix(BYTE_ORDER_MARK).unwrap_or(record);
    let text = record.trim_ascii_start();
    if !matches!(text.first(), Some(b'{' | b'[')) {
        return matches!(opening(text, 0, usize::MAX), Opening::Json(_));
    }
    let mut line = &text[..memchr(b'\n', text).unwrap_or(text.len())];
    let mut cutter = Cutter::stream();
    while !line.is_empty() {
        let (looked_at, _) = cutter.next(line);
        line = &line[looked_at..];
    }
    cutter.is_nested()
}

impl Framer {
    /// Decides what the stream is by the first line that begins with a bracket, if it is not far from its beginning. True if there is
    /// more to do.
    pub(super) fn begin(&mut self, emit: &mut dyn FnMut(Piece<'_>)) -> bool {
        if self.handed_on() == 0 {
            let text = &self.bytes[self.start..self.end];
            let Some(before) = preamble(text) else {
                return false;
            };
            if before > 0 {
                self.start += before;
                self.scanned = self.start;
            }
        }
        let text = &self.bytes[self.start..self.end];
        let is_first = matches!(self.mode, Mode::Start);
        let (offset, max_line_bytes) = (self.handed_on(), self.max_line_bytes);
        let (header, opening) = match is_first {
            true => beginning(text, offset, max_line_bytes),
            false => (None, opening(text, offset, max_line_bytes)),
        };
        self.header = header;
        let (lines, mode) = match opening {
            Opening::Json(bracket) => (bracket, Some(Mode::Json(Cutter::stream()))),
            Opening::Lines => (0, Some(Mode::Lines)),
            Opening::Open(lines) => {
                let is_first = is_first && text[..lines].trim_ascii().is_empty();
                let open = text[lines..].trim_ascii_start();
                let before = (text.len() - open.len()) as u64;
                let may_be_header = is_first
                    && !open.is_empty()
                    && header::may_begin_with_one(open)
                    && offset + before < START_BYTES as u64;
                let is_long = match may_be_header {
                    true => open.len() > MAX_HEADER_BYTES.min(max_line_bytes),
                    false => text.len() - lines > START_BYTES.min(max_line_bytes),
                };
                (lines, is_long.then_some(Mode::Lines))
            }
        };
        let is_text = !text[..lines].trim_ascii().is_empty();
        let start = self.start + lines;
        if is_text || mode.is_none() {
            self.emit(start, Shape::Lines, emit);
        }
        if !matches!(mode, Some(Mode::Lines)) {
            (self.start, self.scanned) = (start, start);
        }
        let is_decided = mode.is_some();
        if let Some(mode) = mode.or(is_text.then_some(Mode::Text)) {
            self.mode = mode;
        }
        is_decided
    }
}
