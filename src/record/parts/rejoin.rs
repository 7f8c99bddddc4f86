//! Joins the parts of a line that a container runtime cut, where a shipper passed each on as a record of its own.
//!
//! What comes in is one record after the other. Of one that holds a part that others follow, the part is taken out and kept;
//! in the record that brings the last, the whole stands in its place, with what the first said beside it. Each part is known
//! by its mark ([`super::part_mark`]), but for the last of those shippers that mark only the others.
//!
//! Parts belong together if all that their records say is the same, but for the text and what each record has of its own, such
//! as its time: see [`Fields::add_to`]. Those of other records may stand between them. What is a whole value by itself is no last
//! part, whatever came before, since the end of a line closes brackets that stand before it: so an event is found even where a
//! stream that cannot be told from its own ends in a part.
//!
//! A part whose last does not come is given back as it is after a while, or if too much is kept. All of it is in memory: parts
//! in one message or request are always joined, others while the process lives.

mod fields;

use std::{
    borrow::Cow,
    cmp::Reverse,
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    mem,
    ops::Range,
};

use fields::{Fields, Text};
use jiff::{SignedDuration, Timestamp};
use memchr::memmem::{self, Finder};
use serde_json::value::RawValue;

use super::part_mark::{MAX_PART_BYTES, Part, may_be_joined};
use crate::record::{
    Provenance,
    text::{extent::value_length, repair::repaired},
};

/// Bytes of the source that may pass until the next part comes: some seconds of a great one.
const PATIENCE_BYTES: u64 = 256 << 20;

/// Time that may pass until the next part comes; Vector waits for half of it.
const PATIENCE: SignedDuration = SignedDuration::from_secs(60);

/// Bytes that all lines may have that are kept. Beyond them the longest goes first if it is long, so that nobody who writes one without an
/// end drives out what others wrote; else the one that waits for the longest, so that nobody who leaves many drives out one whose parts
/// come close to each other.
const MAX_BYTES: usize = 16 << 20;
const LONG_BYTES: usize = MAX_BYTES / 4;

/// What a line counts beside its bytes. It takes less to keep it, but each is compared with all records until its last part comes: 512
/// at most.
const OVERHEAD_BYTES: usize = 32 << 10;

/// Arrays in one another in which records stand: those of a body, and those of time and record.
const MAX_DEPTH: usize = 3;

/// Parts at which a line may begin, at most, among those that seem to be of one.
const MAX_BEGINNINGS: usize = 8;

/// Stands in place of a part.
const NOTHING: &str = "null";

/// The joining state of one source.
#[derive(Default)]
pub struct Rejoiner {
    hasher: RandomState,
    /// By what is the same in all parts of a line.
    open: HashMap<u64, Line>,
    /// What is kept of all of them.
    bytes: usize,
    /// How many parts were kept.
    parts: u64,
    /// What was too much, and is to be given back.
    driven_out: Vec<Given>,
}

/// Where a record stands.
#[derive(Clone, Copy)]
pub struct Place<'p> {
    /// Bytes of the source up to there.
    pub offset: u64,
    pub arrival: Timestamp,
    /// Where it came from.
    pub provenance: &'p dyn Fn() -> Provenance,
}

/// What was kept and is given back, as a record of its own.
pub struct Given {
    pub record: String,
    /// Of its first part.
    pub provenance: Provenance,
}

/// What the parts of one line have in common, and those of no other.
struct Stream {
    /// Of all that tells it from others.
    hash: u64,
    /// The longest word of that, perhaps empty.
    word: String,
}

/// A line of which the last part has not come.
struct Line {
    /// Parts are numbered as they come: the first and the last.
    first: u64,
    last: u64,
    /// It stands in each record of its stream.
    word: Finder<'static>,
    /// The key of its text.
    key: &'static str,
    text: String,
    /// What the first part's record has beside it, as it stands there.
    others: String,
    /// Where in the text another line may begin.
    beginnings: Vec<usize>,
    provenance: Provenance,
    /// Where the last part stood, and when it came.
    offset: u64,
    arrival: Timestamp,
}

impl Rejoiner {
    /// Whether anything is kept.
    pub fn is_waiting(&self) -> bool {
        !self.open.is_empty()
    }

    /// Whether `record` may go on what is kept. Of most that may not, this is all that is looked at, since somebody may write parts
    /// that nothing follows.
    pub fn is_waiting_for(&self, record: &[u8]) -> bool {
        let mut lines = self.open.values();
        lines.any(|line| line.word.find(record).is_some())
    }

    /// What is to be searched in place of `record`, if a part stands in it. It may be nothing but white space and null.
    pub fn rejoin(&mut self, record: &[u8], place: Place<'_>) -> Option<String> {
        let text = String::from_utf8_lossy(record);
        if let Some(edits) = self.edits(&text, place) {
            return edited(&text, edits);
        }
        let mended = String::from_utf8(repaired(record)).ok()?;
        edited(&mended, self.edits(&mended, place)?)
    }

    /// Gives back what has waited too long at `offset` of the source, and what was too much.
    pub fn give_back(&mut self, offset: u64, arrival: Timestamp) -> Vec<Given> {
        let mut given = mem::take(&mut self.driven_out);
        if self.open.is_empty() {
            return given;
        }
        let is_late = |line: &Line| {
            offset.saturating_sub(line.offset) > PATIENCE_BYTES
                || arrival.duration_since(line.arrival) > PATIENCE
        };
        let late = self.open.iter().filter(|(_, line)| is_late(line));
        let late: Vec<u64> = late.map(|(stream, _)| *stream).collect();
        given.extend(self.take(late));
        given
    }

    /// What is too much no longer waits.
    fn drive_out(&mut self) {
        while self.bytes > MAX_BYTES {
            let lines = self.open.iter();
            let next = lines.max_by_key(|(_, line)| (line.long_bytes(), Reverse(line.last)));
            let next = next.map(|(stream, _)| *stream);
            let given = self.take(next);
            self.driven_out.extend(given);
        }
    }

    /// Gives back all that is kept: the source has ended.
    pub fn finish(&mut self) -> Vec<Given> {
        let mut given = mem::take(&mut self.driven_out);
        let all: Vec<u64> = self.open.keys().copied().collect();
        given.extend(self.take(all));
        given
    }

    /// In the order in which they came.
    fn take(&mut self, streams: impl IntoIterator<Item = u64>) -> Vec<Given> {
        let taken = streams
            .into_iter()
            .filter_map(|stream| self.open.remove(&stream));
        let mut lines: Vec<Line> = taken.collect();
        lines.sort_by_key(|line| line.first);
        let given = lines.into_iter().map(|line| {
            self.bytes -= line.bytes();
            Given {
                record: line.open(&line.text),
                provenance: line.provenance,
            }
        });
        given.collect()
    }

    /// What is to stand in place of parts of `text`, whose values these are; `None` if it is not JSON.
    fn edits(&mut self, text: &str, place: Place<'_>) -> Option<Vec<(Range<usize>, String)>> {
        let values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
        let values = values.collect::<Result<Vec<_>, _>>().ok()?;
        let mut objects = Vec::new();
        for value in values {
            add_objects(value, 0, &mut objects);
        }
        let mut edits = Vec::new();
        for object in objects {
            if let Some(edit) = self.object(object, place) {
                let start = object.as_ptr() as usize - text.as_ptr() as usize;
                edits.push((start..start + object.len(), edit));
            }
        }
        Some(edits)
    }

    /// What is to be searched in place of `object`, if it is a part.
    fn object(&mut self, object: &str, place: Place<'_>) -> Option<String> {
        let fields = Fields::read(object)?;
        let part = fields.part();
        let goes_on = part.is_some_and(Part::goes_on);
        if !goes_on && !self.is_waiting() {
            return None;
        }
        let text = fields.text()?;
        let length = text.plain.len();
        let is_value = || part != Some(Part::Cut) && is_whole(&text.plain);
        if (!goes_on || length > MAX_PART_BYTES) && is_value() {
            return None;
        }
        let provenance = (place.provenance)();
        let Stream { hash, word } = self.stream(&fields, &text, &provenance);
        // Behind a part it may be one from the middle of a body, which a containerd cut that was told to cut there.
        if !self.open.contains_key(&hash) && may_be_joined(length) && is_value() {
            return None;
        }
        if goes_on {
            self.parts += 1;
            let line = self.open.entry(hash).or_insert_with(|| {
                let line = Line::new(self.parts, &word, &fields, &text, provenance);
                self.bytes += line.bytes();
                line
            });
            line.append(&text.plain, place);
            line.last = self.parts;
            self.bytes += text.plain.len();
            self.drive_out();
            return Some(NOTHING.into());
        }
        let mut line = self.open.remove(&hash)?;
        self.bytes -= line.bytes();
        line.append(&text.plain, place);
        Some(line.whole())
    }

    fn stream(&self, fields: &Fields<'_>, text: &Text<'_>, provenance: &Provenance) -> Stream {
        let (mut hash, mut longest) = (0_u64, String::new());
        // A sum, since some write their fields in any order.
        let mut add = |field: (&str, &str, &str)| {
            hash = hash.wrapping_add(self.hasher.hash_one(field));
            if let Some(word) = longest_word(field.2).filter(|word| word.len() > longest.len()) {
                longest = word.to_owned();
            }
        };
        fields.add_to(text, &mut add);
        if let Some(tag) = provenance.headers.get("tag") {
            hash = hash.wrapping_add(self.hasher.hash_one(tag));
        }
        Stream {
            hash,
            word: longest,
        }
    }
}

impl Line {
    /// With nothing of its text yet.
    fn new(
        first: u64,
        word: &str,
        fields: &Fields<'_>,
        text: &Text<'_>,
        provenance: Provenance,
    ) -> Self {
        Self {
            first,
            last: first,
            word: Finder::new(word).into_owned(),
            key: text.key,
            text: String::new(),
            others: fields.others(text),
            beginnings: Vec::new(),
            provenance,
            offset: 0,
            arrival: Timestamp::UNIX_EPOCH,
        }
    }

    fn bytes(&self) -> usize {
        self.text.len() + self.others.len() + OVERHEAD_BYTES
    }

    /// The same of a line that is long, else nothing.
    fn long_bytes(&self) -> usize {
        match self.bytes() {
            bytes if bytes > LONG_BYTES => bytes,
            _ => 0,
        }
    }

    fn append(&mut self, text: &str, place: Place<'_>) {
        if text.starts_with('{') && !self.text.is_empty() {
            self.beginnings.push(self.text.len());
        }
        self.text.push_str(text);
        self.offset = place.offset;
        self.arrival = place.arrival;
    }

    /// The record of which all parts are there. If the last of a line that was begun before never came, that is one of its own,
    /// unless its parts were sent twice.
    fn whole(&self) -> String {
        let latest = self.beginnings.iter().rev().take(MAX_BEGINNINGS);
        let mut starts = std::iter::once(&0).chain(latest);
        match starts.find(|start| is_whole(&self.text[**start..])) {
            None | Some(0) => self.record(&self.text, "F"),
            Some(start) => {
                let (before, text) = self.text.split_at(*start);
                let whole = self.record(text, "F");
                match text.starts_with(before) {
                    true => whole,
                    false => format!("[{},{whole}]", self.open(before)),
                }
            }
        }
    }

    /// The record as one that others should follow. It may begin in the middle of a body, so that it must not be one value.
    fn open(&self, text: &str) -> String {
        match is_whole(text) {
            true => self.record(&format!("{text}{{"), "P"),
            false => self.record(text, "P"),
        }
    }

    fn record(&self, text: &str, tag: &str) -> String {
        let Self { key, others, .. } = self;
        // A string can always be written.
        let text = serde_json::to_string(text).unwrap_or_default();
        format!(r#"{{"logtag":"{tag}","{key}":{text}{others}}}"#)
    }
}

/// The longest run in `text` of characters that nobody escapes.
fn longest_word(text: &str) -> Option<&str> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-');
    words.max_by_key(|word| word.len())
}

/// The objects that stand in `value` as records do, as they stand there.
fn add_objects<'r>(value: &'r RawValue, depth: usize, objects: &mut Vec<&'r str>) {
    let text = value.get();
    match text.as_bytes().first() {
        Some(b'{') => objects.push(text),
        Some(b'[') if depth < MAX_DEPTH => {
            let items: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
            for item in items {
                add_objects(item, depth + 1, objects);
            }
        }
        _ => {}
    }
}

/// `text` with `edits`, which are in order; `None` if there are none.
fn edited(text: &str, edits: Vec<(Range<usize>, String)>) -> Option<String> {
    if edits.is_empty() {
        return None;
    }
    let (mut out, mut at) = (String::new(), 0);
    for (place, new) in edits {
        out.push_str(&text[at..place.start]);
        out.push_str(&new);
        at = place.end;
    }
    out.push_str(&text[at..]);
    Some(out)
}

/// Whether what stands in `text` from its beginning, or from an object in it, to its end is one value of JSON.
fn is_whole(text: &str) -> bool {
    let text = text.trim().as_bytes();
    let starts = [Some(0), memmem::find(text, b"{\"")];
    starts.into_iter().flatten().any(|start| {
        let value = &text[start..];
        matches!(value.first(), Some(b'{' | b'['))
            && value_length(value.iter().copied()) == Some(value.len())
    })
}

/// A string of JSON as it reads.
fn unquoted(json: &str) -> Option<Cow<'_, str>> {
    match json.strip_prefix('"')?.strip_suffix('"')? {
        plain if !plain.contains('\\') => Some(Cow::Borrowed(plain)),
        _ => serde_json::from_str(json).ok().map(Cow::Owned),
    }
}

#[cfg(test)]
mod tests;
