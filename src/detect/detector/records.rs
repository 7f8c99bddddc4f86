//! From blocks to records: which of them are looked at, and what is searched in place of those in which parts of lines stand.

use std::{ops::Range, sync::Arc};

use jiff::Timestamp;
use memchr::{memchr, memrchr};

use super::{Detector, KEPT_BYTES};
use crate::{
    detect::{
        Class, Detection,
        decoy::Decoy,
        evidence::{Context, Setting, undecodable},
        needle::{Format, PackedNeedles},
        undecodable::BrokenText,
    },
    record::{
        self, Block, Envelope, Given, Header, Provenance, Row, Shape, document, part_mark,
        partial::is_cut,
    },
};

/// A candidate: the bytes of one record, and where they came from.
#[derive(Clone, Copy)]
pub(super) struct Record<'b> {
    pub bytes: &'b [u8],
    /// Its place in the block.
    start: usize,
    block: &'b Block<'b>,
    pub arrival: Timestamp,
}

/// Why a record is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    /// A needle stands in it.
    Needle,
    /// It may go on another.
    Follows,
}

impl<'b> Record<'b> {
    pub(super) fn of(block: &'b Block<'b>, place: Range<usize>, arrival: Timestamp) -> Self {
        Self {
            bytes: &block.bytes[place.clone()],
            start: place.start,
            block,
            arrival,
        }
    }

    pub fn provenance(&self) -> Provenance {
        (self.block.provenance)(self.start)
    }

    /// What is known of it beside its events.
    pub fn context<'s>(&self, setting: &'s Setting, envelope: &Envelope<'_>) -> Context<'s> {
        setting.context(self.provenance(), envelope, self.arrival)
    }
}

/// Where the JSON lies that is spread over lines, in those of `bytes` from `from` on, one of which is `line`. Cells of CSV may have lines
/// that look like some.
fn document(
    block: &Block<'_>,
    bytes: &[u8],
    from: usize,
    line: Range<usize>,
) -> Option<Range<usize>> {
    let is_named = block.header.is_some();
    (!is_named).then(|| document::around(bytes, from, line))?
}

impl Detector {
    pub(super) fn lines(
        &mut self,
        block: &Block<'_>,
        arrival: Timestamp,
        out: &mut Vec<Detection>,
    ) {
        let bytes = block.before_parts();
        let line_end = |start: usize| {
            memchr(b'\n', &bytes[start..]).map_or(bytes.len(), |newline| start + newline)
        };
        let stops_at = |line: &Range<usize>| {
            let first = block.first_part;
            let first = first.filter(|_| is_cut(&bytes[line.clone()]));
            first.is_some_and(|first| first.set(line.start).is_ok())
        };
        // Up to here all was searched.
        let mut from = 0;
        // Searches a line, or the document that it belongs to, and what is behind it while that may go on others. Gives where to search on.
        let mut search = |detector: &mut Self, line: Range<usize>, mut why: Why| {
            let mut line = line;
            loop {
                match document(block, bytes, from, line.clone()) {
                    Some(document) => line = document,
                    None if stops_at(&line) => return bytes.len(),
                    None => {}
                }
                detector.candidate(&Record::of(block, line.clone(), arrival), why, out);
                let next = line.end + 1;
                from = next.min(bytes.len());
                if !detector.rejoiner.is_waiting() || next >= bytes.len() {
                    return next.min(bytes.len());
                }
                (line, why) = (next..line_end(next), Why::Follows);
            }
        };
        let start = match self.rejoiner.is_waiting() && !bytes.is_empty() {
            true => search(self, 0..line_end(0), Why::Follows),
            false => 0,
        };
        let needles = Arc::clone(&self.needles);
        needles.scan(&bytes[start..], |at| {
            let at = start + at;
            let begin = memrchr(b'\n', &bytes[..at]).map_or(0, |newline| newline + 1);
            search(self, begin..line_end(at), Why::Needle) - start
        });
    }

    pub(super) fn value(
        &mut self,
        block: &Block<'_>,
        arrival: Timestamp,
        out: &mut Vec<Detection>,
    ) {
        let record = Record::of(block, 0..block.bytes.len(), arrival);
        if self.rejoiner.is_waiting() {
            return self.candidate(&record, Why::Follows, out);
        }
        let needles = Arc::clone(&self.needles);
        needles.scan(block.bytes, |_| {
            self.candidate(&record, Why::Needle, out);
            block.bytes.len()
        });
    }

    /// Only entries with a needle in them are written as JSON, and those that may go on others.
    pub(super) fn entries<F: Format>(
        &mut self,
        block: &Block<'_>,
        write: fn(&[u8], &mut Vec<u8>),
        arrival: Timestamp,
        out: &mut Vec<Detection>,
    ) {
        let bytes = block.bytes;
        let mut json = std::mem::take(&mut self.json);
        // As of lines.
        let mut search = |detector: &mut Self, entry: Range<usize>, mut why: Why| {
            let mut entry = entry;
            loop {
                json.clear();
                write(&bytes[entry.clone()], &mut json);
                let record = Record {
                    bytes: &json,
                    ..Record::of(block, entry.clone(), arrival)
                };
                detector.candidate(&record, why, out);
                let next = entry.end;
                if !detector.rejoiner.is_waiting() || next >= bytes.len() {
                    return next;
                }
                (entry, why) = (next..next + F::length(&bytes[next..]), Why::Follows);
            }
        };
        let start = match self.rejoiner.is_waiting() && !bytes.is_empty() {
            true => search(self, 0..F::length(bytes), Why::Follows),
            false => 0,
        };
        let needles = Arc::clone(&self.packed_needles);
        let needles = needles.get_or_init(|| PackedNeedles::new(&self.decoys));
        needles.scan::<F>(&bytes[start..], |entry| {
            search(self, start + entry.start..start + entry.end, Why::Needle) - start
        });
        if json.capacity() <= KEPT_BYTES {
            self.json = json;
        }
    }

    /// As [`Detector::scan`] of lines, but decodes every record: the yardstick for the
    /// needle scan, which must find the same.
    pub fn decode_all(&mut self, block: &Block<'_>, arrival: Timestamp, out: &mut Vec<Detection>) {
        let (bytes, mut start) = (block.bytes, 0);
        while start <= bytes.len() {
            let length = memchr(b'\n', &bytes[start..]).unwrap_or(bytes.len() - start);
            let line = start..start + length;
            let place = document(block, bytes, start, line.clone()).unwrap_or(line);
            start = place.end + 1;
            self.candidate(&Record::of(block, place, arrival), Why::Needle, out);
        }
    }

    /// Searches a record, or what is to be searched in its place if a part of a line stands in it.
    fn candidate(&mut self, record: &Record<'_>, why: Why, out: &mut Vec<Detection>) {
        let bytes = record.bytes;
        // A cell of a client's may look like the beginning of a runtime's line.
        let is_row = record.block.header.is_some_and(Header::is_of_events);
        let may_be_part =
            !is_row && (self.rejoiner.is_waiting_for(bytes) || part_mark::is_open(bytes));
        let rejoined = may_be_part.then(|| {
            let place = record::Place {
                offset: self.counts.bytes,
                arrival: record.arrival,
                provenance: &|| record.provenance(),
            };
            self.rejoiner.rejoin(record.bytes, place)
        });
        match rejoined.flatten() {
            Some(text) => {
                let bytes = text.as_bytes();
                self.record(&Record { bytes, ..*record }, out);
            }
            None if why == Why::Needle || self.needles.stand_in(record.bytes) => {
                self.as_named(record, out);
            }
            None => {}
        }
    }

    /// Searches a record by the names of its columns if it has such, and as it stands if no event stands in it so, or nobody knows
    /// whether it is a row.
    fn as_named(&mut self, record: &Record<'_>, out: &mut Vec<Detection>) {
        let Some(header) = record.block.header else {
            return self.record(record, out);
        };
        let (counts, length) = (self.counts, out.len());
        let mut named = Vec::new();
        let row = header.row(record.bytes);
        let mut has_event = false;
        if let Row::Certain(object) | Row::Doubtful(object) = &row {
            let bytes = object;
            self.record(&Record { bytes, ..*record }, &mut named);
            has_event = self.counts.events > counts.events;
            match row {
                Row::Certain(_) if has_event => return out.append(&mut named),
                _ if has_event => named.retain(|one| one.class == Class::Detect),
                _ => {}
            }
        }
        self.counts = counts;
        self.record(record, out);
        let is_of_cells = match row {
            Row::Other => header.is_of_events() && header.may_be_of_cells(record.bytes),
            _ => header.is_of_events() || !has_event,
        };
        if is_of_cells {
            let told = out.drain(length..);
            named.extend(told.filter(|one| one.class == Class::Detect));
            self.counts.undecodable = counts.undecodable;
        }
        if out.len() > length {
            return;
        }
        let is_event = self.counts.events > counts.events;
        let other = matches!(row, Row::Other if header.is_of_events() && !is_event)
            .then(|| BrokenText::new(record.bytes));
        let is_named = |decoy: &&Decoy| {
            let mut named = named.iter();
            named.any(|one| one.decoy.as_ref() == Some(&decoy.name))
                || other
                    .as_ref()
                    .is_some_and(|text| text.names(decoy).name_decoy(decoy))
        };
        let told = self.decoys.iter().filter(is_named);
        out.extend(told.map(|decoy| {
            let context = record.context(&self.setting, &Envelope::default());
            undecodable(record.bytes, None, decoy, &context)
        }));
        self.counts.undecodable += u64::from(out.len() > length);
    }

    /// Searches parts of lines whose last part never came.
    pub(super) fn given_back(
        &mut self,
        given: Vec<Given>,
        arrival: Timestamp,
        out: &mut Vec<Detection>,
    ) {
        for Given { record, provenance } in given {
            let block = Block {
                bytes: record.as_bytes(),
                shape: Shape::Value,
                header: None,
                first_part: None,
                provenance: &|_| provenance.clone(),
            };
            self.record(&Record::of(&block, 0..record.len(), arrival), out);
        }
    }
}
