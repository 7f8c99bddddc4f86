//! Reads a unit: its bytes, through decompression and framing, to blocks.

use std::{
    cell::Cell,
    fs::{File, OpenOptions},
    io::{self, ErrorKind},
    os::{
        fd::AsFd,
        unix::fs::{FileExt, OpenOptionsExt},
    },
    path::Path,
};

use jiff::Timestamp;
use memchr::{memchr, memrchr};
use rustix::fs::OFlags;

use super::{
    mapped::{LARGE_PAGE_BYTES, Mapped},
    plan::{Opened, Part, written},
};
use crate::{
    record::{
        decompress::{self, Decompressor},
        document,
        framing::{Framer, Piece, READ_BYTES},
        partial::holds_parts,
        read_to_end,
    },
    source::{Shape, Stop},
};

/// Bytes that are read at once where only the end of a line is wanted.
const LINE_BYTES: usize = 8 << 10;

/// Bytes that are read where a look found what is worth it. What is read for one record, and what the processor's caches hold
/// meanwhile, both ask for few.
const WORTH_BYTES: usize = 64 << 10;

/// So many looks that passed less than is then read may follow one another: then all is read.
const MOST_IN_VAIN: u32 = 8;

/// Who is given what was read.
pub(super) trait Take {
    /// `arrival` stands in for the time of events that tell none.
    fn take(&mut self, piece: &Piece<'_>, arrival: Timestamp);

    /// How many bytes of `lines`, which are whole, nothing is lost by passing: whole lines that come before the first that is worth it, or
    /// that is a part of a line that a container runtime cut. They may change while they are looked at.
    fn passed(&mut self, lines: &[u8]) -> usize;
}

/// A unit that is being read.
pub(super) struct Reader<'r> {
    pub max_line_bytes: usize,
    /// Bytes that are mapped at once, about.
    pub mapped_bytes: usize,
    pub take: &'r mut dyn Take,
    /// Told how many bytes of the input each read gave. If it fails, no more is read.
    pub progress: &'r dyn Fn(u64) -> io::Result<()>,
    /// Nothing more is waited for once it is thrown.
    pub stop: &'r Stop,
}

impl Reader<'_> {
    /// Reads `part` to its end.
    ///
    /// # Errors
    /// If it cannot be read to its end, is compressed and damaged, or became shorter meanwhile. What stood before was taken.
    pub fn read(&mut self, part: &Part) -> Result<(), decompress::Error> {
        match part {
            Part::Stdin => {
                let stdin = File::from(rustix::stdio::stdin().try_clone_to_owned()?);
                let metadata = stdin.metadata().ok();
                // `< file` tells when it was written, a pipe does not.
                let file = metadata.filter(|metadata| metadata.is_file());
                self.whole(&stdin, file.as_ref().map_or_else(Timestamp::now, written))
            }
            Part::Stream(path) => self.whole(&open(path)?, Timestamp::now()),
            Part::Whole(opened) => {
                self.whole(&opened.file, opened.written)?;
                Ok(opened.check_length()?)
            }
            Part::Range { file, start, end } => {
                self.range(file, *start, *end)?;
                Ok(file.check_length()?)
            }
        }
    }

    fn whole(&mut self, file: &File, arrival: Timestamp) -> Result<(), decompress::Error> {
        let framer = Framer::new(self.max_line_bytes);
        let mut decompressor = Decompressor::new();
        let is_stopped = Cell::new(false);
        let fill = |into: &mut [u8]| {
            let read = self.stop.read(file.as_fd(), into)?;
            let count = read.ok_or_else(|| ErrorKind::Interrupted.into());
            let count = count.and_then(|count| (self.progress)(count as u64).map(|()| count));
            is_stopped.set(count.is_err());
            count
        };
        let take = &mut |piece: Piece<'_>| {
            if let Some(piece) = whole_records(piece, is_stopped.get()) {
                self.take.take(&piece, arrival);
            }
        };
        read_to_end(&mut decompressor, framer, fill, take)?;
        decompressor
            .foreign()
            .map_or(Ok(()), |foreign| Err(foreign.into()))
    }

    /// The records that begin in `start..end`.
    fn range(&mut self, opened: &Opened, start: u64, end: u64) -> io::Result<()> {
        match first_record(&opened.file, start, end)? {
            Some(first) => {
                let rest = self.look(opened, first, end)?;
                self.records(opened, rest, end)
            }
            None => Ok(()),
        }
    }

    /// Looks through the records from `start` to `end` where they lie, and reads those among which something may be worth it: most
    /// of what a scan costs is to copy what is not. Gives the place of the record from which on all must be read.
    fn look(&mut self, opened: &Opened, start: u64, end: u64) -> io::Result<u64> {
        let end = end.min(opened.file.metadata()?.len());
        let longest = self.mapped_bytes.min(self.max_line_bytes);
        let mut in_vain = 0;
        let mut at = start;
        while at < end {
            let length = mapped_bytes(at, end, longest);
            let Ok(mapped) = Mapped::new(&opened.file, at, length) else {
                break;
            };
            let before = at;
            let mut lines = whole_documents(mapped.bytes(), before + length as u64 == end);
            while !lines.is_empty() {
                let passed = self.take.passed(lines);
                if mapped.is_broken() {
                    return Ok(at);
                }
                (self.progress)(passed as u64)?;
                at += passed as u64;
                lines = &lines[passed..];
                let Some(worth) = whole_lines(lines, WORTH_BYTES) else {
                    in_vain = 0;
                    break;
                };
                let worth = &lines[..document::end_from(lines, worth.len())];
                in_vain = if passed < worth.len() { in_vain + 1 } else { 0 };
                if in_vain > MOST_IN_VAIN || holds_parts(worth) {
                    return Ok(at);
                }
                let next = at + worth.len() as u64;
                self.records(opened, at, next)?;
                at = next;
                lines = &lines[worth.len()..];
            }
            if at == before || before + length as u64 == end {
                break;
            }
        }
        Ok(at)
    }

    /// The records from `start`, where one begins, up to the last that begins before `end`.
    fn records(&mut self, opened: &Opened, start: u64, end: u64) -> io::Result<()> {
        let mut framer = Framer::resume(self.max_line_bytes, start, &opened.head);
        let is_stopped = Cell::new(false);
        let take = &mut |piece: Piece<'_>| {
            if let Some(piece) = whole_records(piece, is_stopped.get()) {
                self.take.take(&piece, opened.written);
            }
        };
        let length = opened.file.metadata()?.len();
        let mut is_line_open = false;
        let result = loop {
            let at = framer.offset();
            if at >= end && !is_line_open {
                break Ok(());
            }
            let left = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
            let is_behind = left == 0;
            // Behind the end of the file is what was written meanwhile: most often nothing, and room for it is not free.
            let wanted = if is_behind || at >= length {
                LINE_BYTES
            } else {
                READ_BYTES.min(left)
            };
            let space = framer.space(wanted);
            let length = space.len().min(if is_behind { LINE_BYTES } else { left });
            let read = match read_at(&opened.file, &mut space[..length], at) {
                Ok(0) => break Ok(()),
                Ok(count) => &space[..count],
                Err(error) => break Err(error),
            };
            // The record that goes on behind the range still belongs to it.
            let newline = if is_behind { memchr(b'\n', read) } else { None };
            is_line_open = newline.is_none() && read.last() != Some(&b'\n');
            let count = newline.map_or(read.len(), |newline| newline + 1);
            if let Err(error) = (self.progress)(count as u64) {
                is_stopped.set(true);
                break Err(error);
            }
            framer.commit(count, take);
        };
        framer.finish(take);
        result
    }
}

/// What of `piece` may be told: where the search was stopped, the record in which that happened is none, since what follows of it was
/// not read.
fn whole_records(piece: Piece<'_>, is_stopped: bool) -> Option<Piece<'_>> {
    if !is_stopped {
        return Some(piece);
    }
    let lines = memrchr(b'\n', piece.bytes)?;
    let bytes = &piece.bytes[..=lines];
    (piece.shape == Shape::Lines).then_some(Piece { bytes, ..piece })
}

/// Where the first record begins in `start..end`; `None` if none does.
pub(super) fn first_record(file: &File, start: u64, end: u64) -> io::Result<Option<u64>> {
    // One that begins right at the start is known by the newline before it.
    let Some(mut at) = start.checked_sub(1) else {
        return Ok(Some(start));
    };
    let mut bytes = vec![0; LINE_BYTES];
    while at + 1 < end {
        let read = match read_at(file, &mut bytes, at)? {
            0 => return Ok(None),
            count => &bytes[..count],
        };
        if let Some(newline) = memchr(b'\n', read) {
            let begin = at + newline as u64 + 1;
            return Ok(Some(begin).filter(|begin| *begin < end));
        }
        at += read.len() as u64;
    }
    Ok(None)
}

/// How many bytes to map from `at` on: about `most`, up to where a large page ends.
fn mapped_bytes(at: u64, end: u64, most: usize) -> usize {
    let furthest = at + most as u64;
    let nearest = (furthest + LARGE_PAGE_BYTES / 2) / LARGE_PAGE_BYTES * LARGE_PAGE_BYTES;
    let is_page_worth_it = most as u64 >= 2 * LARGE_PAGE_BYTES;
    let until = if is_page_worth_it { nearest } else { furthest };
    // No more than `most` and half a page.
    (until.min(end) - at) as usize
}

/// Lines from the beginning of `bytes`, of about `most` bytes together; `None` if none ends there.
fn whole_lines(bytes: &[u8], most: usize) -> Option<&[u8]> {
    let first = &bytes[..bytes.len().min(most)];
    let newline = memrchr(b'\n', first).or_else(|| memchr(b'\n', bytes))?;
    Some(&bytes[..=newline])
}

/// The lines of `bytes` behind which no JSON that is spread over lines goes on; `is_end` tells whether what stands behind `bytes` belongs
/// to others.
fn whole_documents(bytes: &[u8], is_end: bool) -> &[u8] {
    let mut lines = memrchr(b'\n', bytes).map_or(0, |newline| newline + 1);
    while lines > 0 && goes_on(&bytes[lines..], is_end) {
        lines = memrchr(b'\n', &bytes[..lines - 1]).map_or(0, |newline| newline + 1);
    }
    &bytes[..lines]
}

/// Whether `next`, of which nothing may be known yet, may go on what stands before it.
fn goes_on(next: &[u8], is_end: bool) -> bool {
    match next {
        [] => !is_end,
        next => document::may_go_on(next),
    }
}

/// Opens what may be a FIFO, also one that came into a file's place; it does not wait for a writer: [`Stop::read`] does.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let nonblocking = OFlags::NONBLOCK.bits() as i32;
    OpenOptions::new()
        .read(true)
        .custom_flags(nonblocking)
        .open(path)
}

fn read_at(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
    loop {
        match file.read_at(into, at) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mapped_ends_with_a_large_page() {
        let (page, most) = (LARGE_PAGE_BYTES, 16 << 20);
        for (at, pages) in [(0, 8), (1, 8), (page - 1, 9), (page, 9), (7 * page + 5, 15)] {
            let bytes = mapped_bytes(at, 1 << 40, most);
            assert_eq!(at + bytes as u64, pages * page, "{at}");
        }
        assert_eq!(mapped_bytes(5, page + 7, most), page as usize + 2);
        assert_eq!(mapped_bytes(page - 1, 1 << 40, 1 << 20), 1 << 20);
    }
}
