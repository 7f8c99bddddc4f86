//! Lines of a container runtime behind JSON that is spread over lines: joined as those of any other stream.

use memchr::memchr;

use super::{Framer, Mode, Piece};
use crate::record::{Shape, parts::partial::is_line_of_a_runtime, stream::structural::Cutter};

/// Bytes by which such a line is known, if it is so long.
const HEAD_BYTES: usize = 64;

impl Framer {
    /// A line begins at `start`.
    pub(super) fn begin_behind(&mut self) {
        self.scanned = self.start;
        self.mode = Mode::Behind;
    }

    /// Hands on the line, if it is a runtime's. True if there is more to do.
    pub(super) fn behind(&mut self, emit: &mut dyn FnMut(Piece<'_>)) -> bool {
        let newline = memchr(b'\n', &self.bytes[self.scanned..self.end]);
        let known = newline.map_or(self.end, |at| self.scanned + at + 1);
        let line = &self.bytes[self.start..known];
        if newline.is_none() && line.len() < HEAD_BYTES {
            self.scanned = known;
            return false;
        }
        let head = &line[..line.len().min(HEAD_BYTES)];
        if !is_line_of_a_runtime(head) || line.len() > self.max_line_bytes {
            self.scanned = self.start;
            self.mode = Mode::Json(Cutter::within_line());
            return true;
        }
        self.scanned = known;
        if newline.is_some() {
            self.emit(known, Shape::Lines, emit);
            self.mode = Mode::Json(Cutter::stream());
        }
        newline.is_some()
    }
}
