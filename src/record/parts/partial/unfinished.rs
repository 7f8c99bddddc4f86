//! A record of which the last part has not come.

use memchr::memmem;

use super::line::{Format, Line};
use crate::record::{
    OVERLAP, Shape,
    stream::framing::{PART_BYTES, Piece, first_part_bytes},
    text::pieces::bears_mark,
};

/// The parts that have come, put together.
pub(super) struct Unfinished {
    format: Format,
    /// Where its first part begins in the stream.
    offset: u64,
    /// Where its last part ended.
    end: u64,
    /// A line of the runtime without its newline; of an oversized record what was not handed on.
    line: Vec<u8>,
    /// How much of `line` stands before the text.
    head: usize,
    /// The end of the text in `line`.
    text_end: usize,
    /// The last part was shorter than those that the runtime cuts off.
    is_short: bool,
    max_line_bytes: usize,
    size: Size,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Size {
    Fits,
    /// It is the rest of an oversized record that another one interrupted, and goes on as one of its own.
    Rest,
    /// A part of this oversized record was handed on.
    GoesOn,
}

impl Unfinished {
    /// A record that begins with `line`, which lies at `offset` and is still to be appended.
    pub fn new(line: &Line<'_>, offset: u64, max_line_bytes: usize) -> Self {
        Self {
            format: line.format,
            offset,
            end: offset,
            line: line.head.to_vec(),
            head: line.head.len(),
            text_end: line.head.len(),
            is_short: false,
            max_line_bytes,
            size: Size::Fits,
        }
    }

    pub fn offset(&self) -> u64 {
        self.offset
    }

    pub fn end(&self) -> u64 {
        self.end
    }

    /// Whether `line`, of the same stream, belongs to it. Behind what is too short to be cut off by the runtime, an audit event
    /// that is whole does not: a container ended there, or newlines were stripped.
    pub fn goes_on_in(&self, line: &Line<'_>) -> bool {
        let is_event = || line.is_whole_object() && bears_mark(line.text);
        line.format == self.format && !(self.is_short && is_event())
    }

    /// Adds `line`, which ends at `end`.
    pub fn append(&mut self, line: &Line<'_>, end: u64) {
        self.line.truncate(self.text_end);
        self.make_room(line.text.len() + line.tail.len());
        self.line.extend_from_slice(line.text);
        self.text_end = self.line.len();
        self.line.extend_from_slice(line.tail);
        self.end = end;
        self.is_short = line.is_short();
    }

    /// The next thing that is handed on is the first part of an oversized record.
    pub fn begins_to_be_oversized(&self) -> bool {
        match self.size {
            Size::Fits => self.line.len() > self.max_line_bytes,
            Size::Rest => true,
            Size::GoesOn => false,
        }
    }

    /// Hands on the parts of an oversized record that are full, whose bounds depend on nothing but the record.
    pub fn hand_on_parts(&mut self, emit: &mut dyn FnMut(Piece<'_>)) {
        loop {
            let first = self.size != Size::GoesOn;
            let limit = match first {
                true => first_part_bytes(self.max_line_bytes),
                false => PART_BYTES,
            };
            if self.text_end <= limit {
                return;
            }
            emit(Piece {
                bytes: &self.line[..limit],
                shape: Shape::Oversized { first, last: false },
                header: None,
                first_part: None,
                offset: self.offset,
            });
            self.size = Size::GoesOn;
            self.forget(limit - OVERLAP);
        }
    }

    /// It counts as a record that the runtime did not cut.
    pub fn set_complete(&mut self) {
        if self.format == Format::Cri
            && self.size == Size::Fits
            && let Some(space) = memmem::find(&self.line[..self.head], b" P")
        {
            self.line[space + 1] = b'F';
        }
    }

    /// Hands on all of it, or what was not handed on yet.
    pub fn hand_on(mut self, emit: &mut dyn FnMut(Piece<'_>)) {
        let shape = if self.size == Size::Fits && self.line.len() <= self.max_line_bytes {
            Shape::Lines
        } else {
            let first = self.size != Size::GoesOn;
            Shape::Oversized { first, last: true }
        };
        self.line.push(b'\n');
        emit(Piece {
            bytes: &self.line,
            shape,
            header: None,
            first_part: None,
            offset: self.offset,
        });
    }

    /// Ends the oversized record here. What goes on repeats its last bytes, so that no name is cut in two.
    pub fn interrupt(&mut self, emit: &mut dyn FnMut(Piece<'_>)) {
        if self.size == Size::GoesOn {
            emit(Piece {
                bytes: &self.line[..self.text_end],
                shape: Shape::Oversized {
                    first: false,
                    last: true,
                },
                header: None,
                first_part: None,
                offset: self.offset,
            });
            self.size = Size::Rest;
            self.forget(self.text_end - OVERLAP);
        }
    }

    /// Drops the first `count` bytes, which were handed on.
    fn forget(&mut self, count: usize) {
        self.line.drain(..count);
        self.text_end -= count;
    }

    /// Doubling keeps the copies linear in the length of the record, the limit keeps memory near what is needed.
    fn make_room(&mut self, bytes: usize) {
        let needed = self.line.len() + bytes;
        if needed > self.line.capacity() {
            let limit = first_part_bytes(self.max_line_bytes);
            let wanted = needed.max((2 * needed).min(limit));
            self.line.reserve_exact(wanted - self.line.len());
        }
    }
}
