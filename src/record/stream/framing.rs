//! Cuts a stream of bytes into records, whichever way its reads fall, and joins what a container runtime cut.
//!
//! The bytes are read into one buffer and handed on from there: no copy, no allocation for a block. All complete
//! lines of a read go out as one piece, as soon as they are there; the line that is still being written moves to the
//! front of the buffer and waits, and so do the lines of JSON that is spread over lines, until all of it is there. Every byte is looked at once, however slowly a long line arrives, and the
//! memory is bounded by `max_line_bytes` whatever the stream holds; that of what is joined, by twice as much again.

mod beginning;
mod behind;

use std::sync::OnceLock;

pub use beginning::{HEAD_BYTES, is_one_record_a_line, is_spread_over_lines};
use beginning::{Opening, beginning, preamble};
use memchr::{memchr, memrchr};

use super::{
    document,
    header::Header,
    structural::{Cut, Cutter},
};
use crate::record::{OVERLAP, Shape, parts::partial::Joiner};

/// Bytes that are asked for in one read, which is the size of a block at full flow. Clean lines are as fast through a pipe with
/// 64 KiB as with 1 MiB. Two threads share a block full of hits and meet at its end: with 256 KiB twice as often, which takes 3 %
/// longer; with 1 MiB a flood takes 12 MiB more.
pub const READ_BYTES: usize = 512 << 10; // 512 KiB

/// Bytes of a part of an oversized record, after its first.
pub(in crate::record) const PART_BYTES: usize = 1 << 20;

/// Bytes of JSON that is spread over lines, among others, which are waited for.
const HELD_BYTES: usize = 256 << 10;

/// A buffer that grew beyond this is given back once what made it grow is gone.
const KEEP_BYTES: usize = 1 << 20;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A run of whole records, or a part of an oversized one.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    pub bytes: &'a [u8],
    pub shape: Shape,
    /// Of lines: see [`Block::header`](crate::record::Block::header).
    pub header: Option<&'a Header>,
    /// Of lines: see [`Block::first_part`](crate::record::Block::first_part).
    pub first_part: Option<&'a OnceLock<usize>>,
    /// Where `bytes` begins in the stream.
    pub offset: u64,
}

/// The framing state of one stream.
///
/// Read into [`space`](Self::space), then [`commit`](Self::commit) what was read; bytes that are not committed
/// are forgotten. At the end of the stream, [`finish`](Self::finish).
pub struct Framer {
    bytes: Vec<u8>,
    /// What is not handed on yet lies in `start..end`.
    start: usize,
    /// Up to here the bytes were looked at; `start <= scanned <= end`.
    scanned: usize,
    end: usize,
    /// Where `bytes[0]` lies in the stream.
    base: u64,
    max_line_bytes: usize,
    mode: Mode,
    /// The first line of the stream, if it is one.
    header: Option<Header>,
    /// The record at `start` is oversized, and its first part was handed on: where it begins in the stream.
    in_parts: Option<u64>,
    /// Where in the stream the last object begins that was looked at for lists of records, since it is too long.
    widened: Option<u64>,
    /// The line that is being read is too long: where it begins in the stream.
    long_line: Option<u64>,
    /// Bytes of the complete lines at `start` that wait for others.
    held: usize,
    joiner: Joiner,
}

enum Mode {
    /// Nothing has shown yet what the stream is.
    Start,
    /// Nor have lines of text, the first of which names no columns.
    Text,
    Lines,
    /// Within a line that is too long.
    LongLine,
    /// JSON that is not one value a line: the whole stream, or one line that is too long.
    Json(Cutter),
    /// Within such a stream, at a line that may be a container runtime's.
    Behind,
}

impl Framer {
    /// A stream from its beginning. Records longer than `max_line_bytes` are handed on in parts.
    pub fn new(max_line_bytes: usize) -> Self {
        // No real limit is this large; sums of it stay in range.
        let max_line_bytes = max_line_bytes.min(usize::MAX / 4);
        Self {
            bytes: Vec::new(),
            start: 0,
            scanned: 0,
            end: 0,
            base: 0,
            max_line_bytes,
            mode: Mode::Start,
            header: None,
            in_parts: None,
            widened: None,
            long_line: None,
            held: 0,
            joiner: Joiner::new(max_line_bytes),
        }
    }

    /// A stream of JSON values that may spread over lines.
    pub fn of_values(max_line_bytes: usize) -> Self {
        Self {
            mode: Mode::Json(Cutter::stream()),
            ..Self::new(max_line_bytes)
        }
    }

    /// A stream from `offset` on, where a record begins; `head` is how the stream began.
    pub fn resume(max_line_bytes: usize, offset: u64, head: &[u8]) -> Self {
        let mut framer = Self::new(max_line_bytes);
        framer.base = offset;
        if offset > 0 {
            let before = preamble(head).unwrap_or(0);
            let (header, opening) =
                beginning(&head[before..], before as u64, framer.max_line_bytes);
            framer.header = header;
            framer.mode = match opening {
                _ if framer.header.is_some() => Mode::Lines,
                Opening::Json(_) => Mode::Json(Cutter::stream()),
                Opening::Open(_) => Mode::Text,
                Opening::Lines => Mode::Lines,
            };
        }
        framer
    }

    /// Where the next byte to be read lies in the stream.
    pub fn offset(&self) -> u64 {
        self.base + self.end as u64
    }

    /// Up to where the stream was handed on: the beginning of the record that is still being read, or of its next part.
    pub fn handed_on(&self) -> u64 {
        self.base + self.start as u64
    }

    /// From where the stream may be read again with [`resume`](Self::resume): all before was handed on, in whole records. Never
    /// within a line of which only parts were handed on, nor behind a part of a record that is not complete.
    pub fn resumable_at(&self) -> u64 {
        let framed = self
            .long_line
            .or(self.in_parts)
            .unwrap_or_else(|| self.handed_on());
        self.joiner
            .resumable_at()
            .map_or(framed, |joined| joined.min(framed))
    }

    /// Room to read into: `wanted` bytes, or somewhat more or fewer, but never none, and about
    /// [`READ_BYTES`] at most.
    pub fn space(&mut self, wanted: usize) -> &mut [u8] {
        self.compact();
        let wanted = wanted.clamp(1, READ_BYTES);
        let room = self.bytes.len() - self.end;
        if room < wanted && room < READ_BYTES / 2 {
            // Doubling keeps the copies linear in the length of the line, the limit keeps memory near what is needed.
            let doubled =
                (2 * self.bytes.len()).min(first_part_bytes(self.max_line_bytes) + READ_BYTES);
            let length = doubled.max(self.end + wanted);
            self.bytes.reserve_exact(length - self.bytes.len());
            self.bytes.resize(length, 0);
        }
        let until = self.bytes.len().min(self.end + READ_BYTES);
        &mut self.bytes[self.end..until]
    }

    /// Takes the first `read` bytes of the last [`space`](Self::space) as read, and hands on what they complete.
    pub fn commit(&mut self, read: usize, emit: &mut dyn FnMut(Piece<'_>)) {
        self.end = (self.end + read).min(self.bytes.len());
        while match self.mode {
            Mode::Start | Mode::Text => self.begin(emit),
            Mode::Lines => self.lines(emit),
            Mode::LongLine => self.long_line(emit),
            Mode::Json(_) => self.json(emit),
            Mode::Behind => self.behind(emit),
        } {}
    }

    /// The stream has ended: what is left is a record too. What is read after that is taken for new lines.
    pub fn finish(&mut self, emit: &mut dyn FnMut(Piece<'_>)) {
        match &self.mode {
            Mode::Start | Mode::Text | Mode::Lines | Mode::Behind => {
                self.emit(self.end, Shape::Lines, emit)
            }
            Mode::LongLine => self.parts(self.end, true, emit),
            Mode::Json(_) => self.last_value(emit),
        }
        self.joiner.finish(emit);
        self.mode = Mode::Lines;
        self.held = 0;
        self.in_parts = None;
        self.long_line = None;
        self.scanned = self.end;
        self.give_back();
    }

    /// Gives back the memory that the unfinished record does not need, for a stream that pauses.
    pub fn give_back(&mut self) {
        self.compact();
        let slack = self.bytes.len() - self.end;
        // A long line that grows slowly keeps its room, or each little read would copy it.
        if slack > self.end.max(4096) {
            self.bytes.truncate(self.end);
            self.bytes.shrink_to_fit();
        }
    }

    /// Moves what is not handed on to the front. It is shorter than the last read, or was moved before.
    fn compact(&mut self) {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.base += self.start as u64;
            self.scanned -= self.start;
            self.end -= self.start;
            self.start = 0;
        }
        if self.bytes.len() > KEEP_BYTES.max(2 * (self.end + READ_BYTES)) {
            self.bytes.truncate(self.end + READ_BYTES);
            self.bytes.shrink_to_fit();
        }
    }

    /// Hands on all lines that are complete.
    fn lines(&mut self, emit: &mut dyn FnMut(Piece<'_>)) -> bool {
        let newline = memrchr(b'\n', &self.bytes[self.scanned..self.end]);
        let lines_end = newline.map_or(self.start + self.held, |at| self.scanned + at + 1);
        self.scanned = self.end;
        if let Some(long) = self.too_long(lines_end) {
            self.held = 0;
            self.emit(long, Shape::Lines, emit);
            self.scanned = long;
            self.begin_long_line();
            return true;
        }
        let ready = self.ready(lines_end);
        self.held = lines_end - ready;
        self.emit(ready, Shape::Lines, emit);
        if self.end - self.start > self.max_line_bytes {
            self.begin_long_line();
            return true;
        }
        false
    }

    /// Up to where the lines from `start` to `lines_end` need no others. What is held is never so long that it could pass for a line that
    /// is too long.
    fn ready(&self, lines_end: usize) -> usize {
        let longest = HELD_BYTES.min(self.max_line_bytes);
        let from = self.start.max(self.end.saturating_sub(longest));
        let lines = &self.bytes[self.start..lines_end];
        let open = match self.header {
            None if from < lines_end => document::open(lines, from - self.start, self.held),
            _ => None,
        };
        open.map_or(lines_end, |open| self.start + open)
    }

    /// Where the first line begins that is too long, among the lines from `start` to `lines_end`.
    ///
    /// Looks for a newline from the far end of each stretch that one line may fill, so that with a usual limit, far
    /// beyond the size of a block, this costs nothing.
    fn too_long(&self, lines_end: usize) -> Option<usize> {
        let mut line = self.start;
        while lines_end - line > self.max_line_bytes + 1 {
            let stretch = &self.bytes[line..=line + self.max_line_bytes];
            match memrchr(b'\n', stretch) {
                Some(newline) => line += newline + 1,
                None => return Some(line),
            }
        }
        None
    }

    /// The line at `start` is too long.
    fn begin_long_line(&mut self) {
        self.long_line = Some(self.handed_on());
        let line = &self.bytes[self.start..self.end];
        let first = line.iter().find(|byte| !byte.is_ascii_whitespace());
        self.mode = if matches!(first, Some(b'{' | b'[')) {
            self.scanned = self.start;
            Mode::Json(Cutter::line())
        } else {
            Mode::LongLine
        };
    }

    fn long_line(&mut self, emit: &mut dyn FnMut(Piece<'_>)) -> bool {
        let newline = memchr(b'\n', &self.bytes[self.scanned..self.end]);
        self.scanned = newline.map_or(self.end, |at| self.scanned + at + 1);
        self.parts(self.scanned, newline.is_some(), emit);
        if newline.is_some() {
            self.mode = Mode::Lines;
            self.long_line = None;
        }
        newline.is_some()
    }

    /// Hands on the JSON values that are complete.
    fn json(&mut self, emit: &mut dyn FnMut(Piece<'_>)) -> bool {
        loop {
            let Mode::Json(cutter) = &mut self.mode else {
                return true;
            };
            let (looked_at, cut) = cutter.next(&self.bytes[self.scanned..self.end]);
            self.scanned += looked_at;
            let open = cutter.is_open();
            match cut {
                Some(Cut::Open) => self.start = self.scanned - 1,
                Some(Cut::Close { back }) if self.widen(self.scanned - back) => continue,
                Some(Cut::LineEnd { open: true }) if self.widen(self.scanned) => continue,
                Some(Cut::Close { back }) => self.value(self.scanned - back, emit),
                Some(Cut::LineEnd { open }) => {
                    if open {
                        self.value(self.scanned, emit);
                    }
                    self.start = self.scanned;
                    self.mode = Mode::Lines;
                    self.long_line = None;
                    return true;
                }
                None if !open => {
                    self.start = self.scanned;
                    return false;
                }
                None if self.widen(self.end) => {}
                None => {
                    if self.end - self.start > self.max_line_bytes {
                        self.parts(self.end, false, emit);
                    }
                    return false;
                }
            }
            if matches!(&self.mode, Mode::Json(cutter) if cutter.is_at_digit()) {
                self.begin_behind();
                return true;
            }
        }
    }

    /// If the object from `start` to `end` is too long, looks at it once more for lists of records in it. False if that was done, or it
    /// is none.
    fn widen(&mut self, end: usize) -> bool {
        let start = Some(self.handed_on());
        let is_long = self.in_parts.is_none() && end - self.start > self.max_line_bytes;
        let is_new = is_long && self.widened != start && self.bytes[self.start] == b'{';
        let widened = match &self.mode {
            Mode::Json(cutter) if is_new => cutter.widened(),
            _ => None,
        };
        if let Some(cutter) = widened {
            self.mode = Mode::Json(cutter);
            self.scanned = self.start;
            self.widened = start;
        }
        is_new && self.widened == start
    }

    /// Hands on what is left at the end of a stream of JSON.
    fn last_value(&mut self, emit: &mut dyn FnMut(Piece<'_>)) {
        let is_open = |mode: &Mode| matches!(mode, Mode::Json(cutter) if cutter.is_open());
        if is_open(&self.mode) && self.widen(self.end) {
            self.json(emit);
        }
        match is_open(&self.mode) {
            true => self.value(self.end, emit),
            false => self.start = self.end,
        }
    }

    /// Hands on the JSON value from `start` to `end`.
    fn value(&mut self, end: usize, emit: &mut dyn FnMut(Piece<'_>)) {
        if self.in_parts.is_some() || end - self.start > self.max_line_bytes {
            self.parts(end, true, emit);
            return;
        }
        let text = self.bytes[self.start..end].trim_ascii_end();
        if !text.is_empty() {
            emit(Piece {
                bytes: text,
                shape: Shape::Value,
                header: None,
                first_part: None,
                offset: self.handed_on(),
            });
        }
        self.start = end;
    }

    /// Hands on the oversized record at `start` as far as `known`, in parts whose bounds depend on nothing but the
    /// record; `complete` if it ends there.
    fn parts(&mut self, known: usize, complete: bool, emit: &mut dyn FnMut(Piece<'_>)) {
        loop {
            let first = self.in_parts.is_none();
            let limit = if first {
                first_part_bytes(self.max_line_bytes)
            } else {
                PART_BYTES
            };
            if known - self.start <= limit {
                break;
            }
            let part_end = self.start + limit;
            self.in_parts.get_or_insert(self.base + self.start as u64);
            self.emit(part_end, Shape::Oversized { first, last: false }, emit);
            self.start = part_end - OVERLAP;
        }
        if complete {
            let first = self.in_parts.is_none();
            self.emit(known, Shape::Oversized { first, last: true }, emit);
            self.in_parts = None;
        }
    }

    fn emit(&mut self, end: usize, shape: Shape, emit: &mut dyn FnMut(Piece<'_>)) {
        if end > self.start {
            let piece = Piece {
                bytes: &self.bytes[self.start..end],
                shape,
                header: self.header.as_ref(),
                first_part: None,
                offset: self.handed_on(),
            };
            match shape {
                Shape::Lines => self.joiner.lines(piece, emit),
                Shape::Oversized { first: true, .. } => {
                    self.joiner.interrupt(emit);
                    emit(piece);
                }
                _ => emit(piece),
            }
            self.start = end;
        }
    }
}

/// Bytes of the first part of an oversized record.
pub(in crate::record) fn first_part_bytes(max_line_bytes: usize) -> usize {
    max_line_bytes.max(2 * OVERLAP)
}

/// The parts of a record that is held whole, and longer than records may be.
pub fn parts(record: &[u8]) -> impl Iterator<Item = (&[u8], Shape)> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let (first, end) = (start == 0, (start + PART_BYTES).min(record.len()));
        let last = end == record.len();
        let part = record.get(start..end).filter(|part| !part.is_empty())?;
        start = if last { end } else { end - OVERLAP };
        Some((part, Shape::Oversized { first, last }))
    })
}

#[cfg(test)]
mod tests;
