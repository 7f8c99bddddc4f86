//! What is read in one go, by one thread: a whole input, or the part of a large file.
//!
//! A plain file of one record a line is cut into ranges, so that several threads share it. A range has the records that
//! *begin* in it; where it is cut depends on nothing but the file, so that the number of threads changes nothing. The log of
//! a container is not cut, since its lines may be parts of one record, nor is a file near the record of a shipper that says the same.

use std::{
    fs::{self, File, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use jiff::Timestamp;
use memchr::{memchr, memrchr};
use rustix::{fs::fstat, stdio::stdin};

use super::{
    Event, Remark,
    inputs::{Input, Inputs, Kind},
    mapped::LARGE_PAGE_BYTES,
    read::{first_record, open},
};
use crate::{
    record::{
        decompress::{Magic, recognise},
        document,
        foreign::{SAMPLE_BYTES, foreign, packed_behind},
        framing::{HEAD_BYTES, is_one_record_a_line},
        part_mark,
        partial::{holds_lines_of_a_runtime, is_line_of_a_runtime},
    },
    source::file::{read_at, read_head},
};

/// The length of the ranges of a file, until but a few are left.
const RANGE_BYTES: u64 = 64 << 20; // 64 MiB

/// A file that is no longer than this part of a range is read whole.
const UNDIVIDED_PART: u64 = 4;

/// From there on each is this part of what is left, so that no thread waits long for another's last one.
const PART_OF_REST: u64 = 4;

/// However little is left. Ranges are so many times that long, so that none ends within a page of the largest size in which a
/// file is commonly mapped.
const LEAST_RANGE_BYTES: u64 = LARGE_PAGE_BYTES;

/// Around a place where a file might be cut, what is looked at for lines of a container runtime: most cut after 16 KiB.
const WINDOW_BYTES: u64 = 64 << 10;

/// How far the beginning of a line is looked for that goes over such a place.
const LOOK_BACK_BYTES: u64 = 16 << 20;

/// Enough of a line to tell whether a runtime wrote it.
const LINE_HEAD_BYTES: usize = 256;

/// What is read in one go.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    /// Units are numbered in the order of their bytes.
    pub number: u64,
    /// The path; `stdin` for standard input.
    pub name: Arc<str>,
    pub part: Part,
}

#[derive(Clone, Debug)]
pub(super) enum Part {
    /// Standard input to its end.
    Stdin,
    /// A FIFO or a device to its end. Opening it may take for ever.
    Stream(PathBuf),
    /// A regular file to its end.
    Whole(Opened),
    /// The records that begin in `start..end`.
    Range { file: Opened, start: u64, end: u64 },
}

/// A regular file.
#[derive(Clone, Debug)]
pub(super) struct Opened {
    pub file: Arc<File>,
    /// How long it was then, or before.
    length: u64,
    /// It was told that it became shorter.
    is_told: Arc<AtomicBool>,
    /// When it was written last: stands in for the time of events that tell none.
    pub written: Timestamp,
    /// How it begins.
    pub head: Arc<[u8]>,
}

impl Opened {
    pub fn new(file: File, metadata: &Metadata) -> io::Result<Self> {
        Ok(Self {
            head: read_head(&file, HEAD_BYTES)?.into(),
            length: metadata.len(),
            is_told: Arc::default(),
            file: file.into(),
            written: written(metadata),
        })
    }

    /// # Errors
    /// If it is shorter now: what was not read by then is lost. Once for all that read it.
    pub fn check_length(&self) -> io::Result<()> {
        match self.file.metadata()?.len() < self.length && !self.is_told.swap(true, Relaxed) {
            true => Err(io::Error::other(
                "became shorter while it was searched; what stood there is not known",
            )),
            false => Ok(()),
        }
    }
}

/// All units, in order.
pub(super) struct Plan {
    inputs: Inputs,
    next_number: u64,
    divided: Option<Divided>,
    range_bytes: u64,
    is_stopped: bool,
    /// How many inputs were taken up.
    pub taken: u64,
}

/// A file of which ranges are left.
struct Divided {
    name: Arc<str>,
    file: Opened,
    next: u64,
    length: u64,
}

impl Plan {
    pub fn new(inputs: Inputs) -> Self {
        Self {
            inputs,
            next_number: 0,
            divided: None,
            range_bytes: RANGE_BYTES,
            is_stopped: false,
            taken: 0,
        }
    }

    /// As [`Plan::new`], with shorter ranges.
    #[cfg(test)]
    pub fn with_ranges(inputs: Inputs, range_bytes: u64) -> Self {
        Self {
            range_bytes,
            ..Self::new(inputs)
        }
    }

    /// From now on there are no more units.
    pub fn stop(&mut self) {
        self.is_stopped = true;
    }

    /// The next unit. An input that cannot be opened is told to `tell`, and passed.
    ///
    /// # Errors
    /// If the scratch database fails.
    pub fn next(&mut self, tell: &mut dyn FnMut(Event)) -> rusqlite::Result<Option<Unit>> {
        while !self.is_stopped {
            if let Some(unit) = self.next_range() {
                return Ok(Some(unit));
            }
            let Some(input) = self.inputs.next()? else {
                return Ok(None);
            };
            match self.take(&input, tell) {
                Ok(Some(part)) => {
                    let name = match input.kind {
                        Kind::Stdin => "stdin".into(),
                        _ => name(&input.path),
                    };
                    self.taken += 1;
                    return Ok(Some(self.unit(name, part)));
                }
                Ok(None) => {}
                Err(Failure::Open(error)) => {
                    tell(Event::Trouble(Remark::new(&input.path, error)));
                }
                Err(Failure::Scratch(error)) => return Err(error),
            }
        }
        Ok(None)
    }

    /// The first part of `input`; `None` if nothing of it is to be read on its own.
    fn take(
        &mut self,
        input: &Input,
        tell: &mut dyn FnMut(Event),
    ) -> Result<Option<Part>, Failure> {
        if input.kind == Kind::Stdin {
            return self.stdin(input, tell);
        }
        let metadata = fs::metadata(&input.path)?;
        if !metadata.is_file() {
            return self.stream(input, &metadata, tell);
        }
        let file = open(&input.path)?;
        let metadata = file.metadata()?;
        if self.inputs.is_new_in_its_place(&metadata)? {
            tell(Event::Trouble(Remark::new(
                &input.path,
                "is not the file that was there at the start; search that one again, which was moved or removed",
            )));
        }
        if !metadata.is_file() {
            return Ok(None);
        }
        if !self.inputs.is_first(metadata.dev(), metadata.ino())? {
            return Ok(None);
        }
        let opened = Opened {
            length: self
                .inputs
                .length_when_named(&metadata)?
                .max(metadata.len()),
            ..Opened::new(file, &metadata)?
        };
        if metadata.len() <= self.range_bytes / UNDIVIDED_PART
            || !can_be_divided(&opened.head)
            || ends_packed(&opened, metadata.len())
        {
            return Ok(Some(Part::Whole(opened)));
        }
        self.taken += 1;
        self.divided = Some(Divided {
            name: name(&input.path),
            file: opened,
            next: 0,
            length: metadata.len(),
        });
        Ok(None)
    }

    /// A FIFO is read once: whoever opens it again waits for a writer that may not come.
    fn stream(
        &mut self,
        input: &Input,
        metadata: &Metadata,
        tell: &mut dyn FnMut(Event),
    ) -> Result<Option<Part>, Failure> {
        if input.kind != Kind::Named {
            tell(Event::Trouble(Remark::new(
                &input.path,
                "is no file any more; search again the one that was there at the start",
            )));
            return Ok(None);
        }
        let is_first = self.is_first_stream(input, (metadata.dev(), metadata.ino()), tell)?;
        Ok(is_first.then(|| Part::Stream(input.path.clone())))
    }

    fn stdin(
        &mut self,
        input: &Input,
        tell: &mut dyn FnMut(Event),
    ) -> Result<Option<Part>, Failure> {
        let status = fstat(stdin()).map_err(io::Error::from)?;
        let is_first = self.is_first_stream(input, (status.st_dev, status.st_ino), tell)?;
        Ok(is_first.then_some(Part::Stdin))
    }

    /// Whether the stream with these numbers is taken for the first time.
    fn is_first_stream(
        &mut self,
        input: &Input,
        (device, inode): (u64, u64),
        tell: &mut dyn FnMut(Event),
    ) -> rusqlite::Result<bool> {
        let is_first = self.inputs.is_first(device, inode)?;
        if !is_first {
            tell(Event::Passed(Remark::new(
                &input.path,
                "named twice, and read once",
            )));
        }
        Ok(is_first)
    }

    fn next_range(&mut self) -> Option<Unit> {
        let divided = self.divided.as_mut()?;
        let start = divided.next;
        let part_of_rest = divided.length.saturating_sub(start) / PART_OF_REST;
        let whole_pages = part_of_rest - part_of_rest % LEAST_RANGE_BYTES;
        let end = start + whole_pages.max(LEAST_RANGE_BYTES).min(self.range_bytes);
        let is_last = end >= divided.length || may_be_joined_over(&divided.file.file, end);
        divided.next = end;
        let (name, file) = (divided.name.clone(), divided.file.clone());
        if is_last {
            self.divided = None;
        }
        // What is written to the file meanwhile belongs to the last.
        let end = if is_last { u64::MAX } else { end };
        Some(self.unit(name, Part::Range { file, start, end }))
    }

    fn unit(&mut self, name: Arc<str>, part: Part) -> Unit {
        let number = self.next_number;
        self.next_number += 1;
        Unit { number, name, part }
    }
}

enum Failure {
    Open(io::Error),
    Scratch(rusqlite::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Open(error)
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Scratch(error)
    }
}

fn name(path: &Path) -> Arc<str> {
    path.display().to_string().into()
}

/// When a file was written last. Some file systems do not tell.
pub(super) fn written(metadata: &Metadata) -> Timestamp {
    let modified = metadata.modified().ok();
    modified
        .and_then(|time| Timestamp::try_from(time).ok())
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Whether a record begins behind every newline of a file that begins with `head`, but for those of a container runtime further on.
fn can_be_divided(head: &[u8]) -> bool {
    recognise(head) == Magic::Plain
        && foreign(head).is_none()
        && is_one_record_a_line(head)
        && !is_line_of_a_runtime(head)
        && !holds_lines_of_a_runtime(head)
}

/// Whether packed data ends the text of a file of `length` bytes. Where it is read whole, that is told.
fn ends_packed(opened: &Opened, length: u64) -> bool {
    let mut tail = [0; SAMPLE_BYTES];
    let start = length.saturating_sub(SAMPLE_BYTES as u64);
    read_at(&opened.file, &mut tail, start)
        .is_ok_and(|read| packed_behind(&opened.head, &tail[..read]).is_some())
}

/// Whether a record that a container runtime cut, or that is spread over lines, may have a part before `place` and another behind it.
fn may_be_joined_over(file: &File, place: u64) -> bool {
    let start = place.saturating_sub(WINDOW_BYTES);
    let mut window = vec![0; 2 * WINDOW_BYTES as usize];
    // What cannot be read here fails where it is searched.
    let Ok(length) = read_at(file, &mut window, start) else {
        return false;
    };
    let window = &window[..length];
    let before = &window[..length.min(WINDOW_BYTES as usize)];
    holds_lines_of_a_runtime(window)
        || part_mark::holds_open(window)
        || memchr(b'\n', before).is_none() && goes_on_a_runtimes_line(file, start)
        || goes_on_a_document(file, place)
}

/// Whether the first line behind `place` may go on JSON that is spread over lines, or begins too far away.
fn goes_on_a_document(file: &File, place: u64) -> bool {
    match first_record(file, place, place + LOOK_BACK_BYTES) {
        Ok(Some(line)) => begins(file, line, document::may_go_on),
        Ok(None) => true,
        Err(_) => false,
    }
}

/// Whether a runtime wrote the line that `place` lies in, or may have, if its beginning is too far away.
fn goes_on_a_runtimes_line(file: &File, place: u64) -> bool {
    let mut bytes = vec![0; WINDOW_BYTES as usize];
    let (least, mut end) = (place.saturating_sub(LOOK_BACK_BYTES), place);
    while end > least {
        let start = end.saturating_sub(WINDOW_BYTES).max(least);
        // Not longer than the buffer.
        let stretch = &mut bytes[..(end - start) as usize];
        let Ok(length) = read_at(file, stretch, start) else {
            return false;
        };
        if let Some(newline) = memrchr(b'\n', &stretch[..length]) {
            return begins_a_runtimes_line(file, start + newline as u64 + 1);
        }
        end = start;
    }
    least > 0 || begins_a_runtimes_line(file, 0)
}

fn begins_a_runtimes_line(file: &File, place: u64) -> bool {
    begins(file, place, is_line_of_a_runtime)
}

/// Whether the line at `place` begins as `is_one` says.
fn begins(file: &File, place: u64, is_one: fn(&[u8]) -> bool) -> bool {
    let mut head = [0; LINE_HEAD_BYTES];
    read_at(file, &mut head, place).is_ok_and(|length| is_one(&head[..length]))
}
