//! Joins the parts in which a container runtime wrote a long line, so that no padding cuts a name in two.
//!
//! What comes in and goes out are runs of whole lines. Lines that are no parts go on as they lie. The parts of a record are
//! put together, those of stdout and stderr apart, and go on as the one line that the runtime would have written, with the
//! place of the first. A run is walked line by line only if it is short or shows a runtime's line at one of the places that are
//! probed. Any other goes on as it lies, and whoever searches it stops before the first part: among what is looked for are the
//! marks of parts, so that a log without any pays for a few probes, which cannot be measured.

mod line;
mod unfinished;

use std::sync::OnceLock;

use line::Line;
use memchr::{memchr, memchr_iter, memrchr};
use unfinished::Unfinished;

use super::part_mark::Part;
use crate::record::stream::{framing::Piece, header::Header};

/// Bytes from one probe to the next: CRI-O cuts after 8 KiB, containerd and Docker after 16.
const PROBE_BYTES: usize = 8 << 10;

/// Bytes of the stream that may pass until the next part of a record. Then it is handed on as it is, or a start would have to
/// read all of them again.
const PATIENCE_BYTES: u64 = 16 << 20;

/// The joining state of one stream of lines.
pub(in crate::record) struct Joiner {
    max_line_bytes: usize,
    /// The last run held lines of a runtime.
    is_runtime_log: bool,
    /// What is not complete, of stdout and of stderr.
    unfinished: [Option<Box<Unfinished>>; 2],
}

impl Joiner {
    /// Joined records longer than `max_line_bytes` are handed on in parts.
    pub fn new(max_line_bytes: usize) -> Self {
        Self {
            max_line_bytes,
            is_runtime_log: false,
            unfinished: [None, None],
        }
    }

    /// Where the first part lies that was not handed on, or not with all of its record.
    pub fn resumable_at(&self) -> Option<u64> {
        let records = self.unfinished.iter().flatten();
        records.map(|record| record.offset()).min()
    }

    /// Hands on a run of whole lines, without the parts of records that are not complete.
    pub fn lines(&mut self, run: Piece<'_>, emit: &mut dyn FnMut(Piece<'_>)) {
        // A cell of a client's may look like the beginning of a runtime's line.
        if run.header.is_some_and(Header::is_of_events) {
            return emit(run);
        }
        if self.is_runtime_log || is_worth_a_walk(run.bytes) {
            return self.walk(run, emit);
        }
        let first_part = OnceLock::new();
        emit(Piece {
            first_part: Some(&first_part),
            ..run
        });
        if let Some(at) = first_part.get() {
            let rest = Piece {
                bytes: &run.bytes[*at..],
                offset: run.offset + *at as u64,
                ..run
            };
            self.walk(rest, emit);
        }
    }

    /// The stream has ended: what is not complete is handed on as it is.
    pub fn finish(&mut self, emit: &mut dyn FnMut(Piece<'_>)) {
        self.unfinished
            .sort_by_key(|record| record.as_ref().map(|record| record.offset()));
        for place in 0..self.unfinished.len() {
            self.hand_on(place, emit);
        }
        self.is_runtime_log = false;
    }

    /// Before an oversized record begins: whoever takes the parts of one takes no other's in between.
    pub fn interrupt(&mut self, emit: &mut dyn FnMut(Piece<'_>)) {
        for record in self.unfinished.iter_mut().flatten() {
            record.interrupt(emit);
        }
    }

    fn walk(&mut self, run: Piece<'_>, emit: &mut dyn FnMut(Piece<'_>)) {
        let place = |at: usize| run.offset + at as u64;
        let pass = |from: usize, to: usize, emit: &mut dyn FnMut(Piece<'_>)| {
            if from < to {
                emit(Piece {
                    bytes: &run.bytes[from..to],
                    shape: run.shape,
                    header: run.header,
                    first_part: None,
                    offset: place(from),
                });
            }
        };
        self.is_runtime_log = false;
        // From `passed` to `at` stand lines that go on as they lie.
        let (mut passed, mut at) = (0, 0);
        while at < run.bytes.len() {
            let newline = memchr(b'\n', &run.bytes[at..]);
            let end = newline.map_or(run.bytes.len(), |newline| at + newline + 1);
            if let Some(line) = Line::read(&run.bytes[at..end]) {
                self.is_runtime_log = true;
                if line.is_partial || self.unfinished[line.stream as usize].is_some() {
                    pass(passed, at, emit);
                    passed = at;
                    if self.join(&line, place(at)..place(end), emit) {
                        passed = end;
                    }
                }
            }
            at = end;
        }
        pass(passed, at, emit);
        self.let_go(place(at), emit);
        self.is_runtime_log |= self.unfinished.iter().any(Option::is_some);
    }

    /// Takes `line` for a part of a record; false if it is none.
    fn join(
        &mut self,
        line: &Line<'_>,
        place: std::ops::Range<u64>,
        emit: &mut dyn FnMut(Piece<'_>),
    ) -> bool {
        let stream = line.stream as usize;
        if let Some(record) = &self.unfinished[stream]
            && !record.goes_on_in(line)
        {
            self.hand_on(stream, emit);
        }
        if self.unfinished[stream].is_none() && !line.begins_record() {
            return false;
        }
        let record = self.unfinished[stream].get_or_insert_with(|| {
            Box::new(Unfinished::new(line, place.start, self.max_line_bytes))
        });
        record.append(line, place.end);
        if record.begins_to_be_oversized() {
            self.interrupt(emit);
        }
        if let Some(record) = &mut self.unfinished[stream] {
            record.hand_on_parts(emit);
        }
        if !line.is_partial {
            self.complete(stream, emit);
        }
        true
    }

    fn complete(&mut self, stream: usize, emit: &mut dyn FnMut(Piece<'_>)) {
        if let Some(record) = &mut self.unfinished[stream] {
            record.set_complete();
        }
        self.hand_on(stream, emit);
    }

    /// Hands on a record as it is.
    fn hand_on(&mut self, stream: usize, emit: &mut dyn FnMut(Piece<'_>)) {
        if let Some(record) = self.unfinished[stream].take() {
            if record.begins_to_be_oversized() {
                self.interrupt(emit);
            }
            record.hand_on(emit);
        }
    }

    /// Hands on the records that nothing was added to for long.
    fn let_go(&mut self, now: u64, emit: &mut dyn FnMut(Piece<'_>)) {
        for stream in 0..self.unfinished.len() {
            if let Some(record) = &self.unfinished[stream]
                && now - record.end() > PATIENCE_BYTES
            {
                self.hand_on(stream, emit);
            }
        }
    }
}

/// The text of a line of CRI that goes on in others, which were not joined to it.
pub fn open_part(line: &[u8]) -> Option<&[u8]> {
    let line = Line::read(line).filter(|line| line.format == line::Format::Cri)?;
    line.is_partial.then_some(line.text)
}

/// The text of a line of CRI that does not go on in others.
pub fn whole_text(line: &[u8]) -> Option<&[u8]> {
    let line = Line::read(line).filter(|line| line.format == line::Format::Cri)?;
    (!line.is_partial).then_some(line.text)
}

/// A line of CRI as it is, which a shipper kept whole in a field of its own.
pub struct Kept<'l> {
    pub text: &'l str,
    pub part: Part,
    /// Whether stdout or stderr it is, as the runtime calls it.
    pub stream: &'static str,
}

impl<'l> Kept<'l> {
    /// `None` if `line` is none of CRI's, or more than one.
    pub fn read(line: &'l str) -> Option<Self> {
        let read = Line::read(line.as_bytes()).filter(|read| read.format == line::Format::Cri)?;
        let (start, length) = (read.head.len(), read.text.len());
        let text = line.get(start..start + length)?;
        let part = match read.is_partial {
            true => Part::Open,
            false => Part::Last,
        };
        let stream = match read.stream {
            line::Stream::Stdout => "stdout",
            line::Stream::Stderr => "stderr",
        };
        (!text.contains('\n')).then_some(Self { text, part, stream })
    }
}

/// Whether others follow `line` that a runtime cut from it.
pub fn is_cut(line: &[u8]) -> bool {
    Line::read(line).is_some_and(|line| line.is_partial && !line.is_short())
}

/// Whether any of `lines` is a part of a longer one.
pub fn holds_parts(lines: &[u8]) -> bool {
    let newlines = memchr_iter(b'\n', lines).map(|newline| newline + 1);
    let rests = std::iter::once(0)
        .chain(newlines)
        .map(|start| &lines[start..]);
    rests.filter(|rest| Line::looks_like_one(rest)).any(|rest| {
        let line = &rest[..memchr(b'\n', rest).unwrap_or(rest.len())];
        Line::read(line).is_some_and(|line| line.begins_record())
    })
}

/// Whether one of the lines that begin behind a newline in `window` looks like a runtime's.
pub fn holds_lines_of_a_runtime(window: &[u8]) -> bool {
    memchr_iter(b'\n', window).any(|newline| Line::looks_like_one(&window[newline + 1..]))
}

/// Whether a line that begins with `start`, which may hold more than that line, looks like a runtime's.
pub fn is_line_of_a_runtime(start: &[u8]) -> bool {
    Line::looks_like_one(start)
}

/// Whether `run` may hold parts, or is so short that it can be walked at once.
fn is_worth_a_walk(run: &[u8]) -> bool {
    if run.len() <= PROBE_BYTES || Line::looks_like_one(run) {
        return true;
    }
    let stretches = run.chunks(PROBE_BYTES).enumerate();
    stretches
        .filter_map(|(number, stretch)| {
            let newline = memrchr(b'\n', stretch)?;
            Some(number * PROBE_BYTES + newline + 1)
        })
        .any(|line| Line::looks_like_one(&run[line..]))
}

#[cfg(test)]
mod tests;
