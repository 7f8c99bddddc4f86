//! From blocks to detections.

mod once;
mod records;

use std::{
    iter, mem,
    ops::Add,
    sync::{Arc, OnceLock},
};

use jiff::Timestamp;
use memchr::{memchr_iter, memrchr};
use once::tell_once;
use records::Record;
use smallvec::SmallVec;

use super::{
    Class, Config, Detection, Technique,
    client::Client,
    decoy::Decoy,
    evidence::{Place, Setting, detection, undecodable},
    expected::is_expected,
    needle::{MessagePack, Needles, PackedNeedles, Protobuf},
    touch::{Compared, is_impersonation_unnamed},
    undecodable::{BrokenText, Names},
};
use crate::{
    audit::{Event, RequestId},
    config,
    record::{
        Block, Envelope, Finding, Provenance, Rejoiner, Shape, Unwrapper, Wrapper, document,
        encoded, msgpack, part_mark, protobuf,
    },
};

/// Working memory above this is given back after a block that needed it.
const KEPT_BYTES: usize = 1 << 20;

/// How many bytes are unpacked for each of base64 in an oversized record, of which nothing but names is wanted: events pack to a tenth.
const MAX_UNPACKED: usize = 16;

/// Bytes of base64 that are looked at of one such value, and that are unpacked of one, and of all in a record.
const MAX_VALUE_BYTES: usize = 1 << 20;
const MAX_UNPACKED_BYTES: usize = 32 << 20;

/// Finds what touches the decoys. One per source, since it remembers an oversized
/// record from one part to the next, and the parts of lines that a container runtime cut.
pub struct Detector {
    decoys: Arc<[Decoy]>,
    needles: Arc<Needles>,
    /// Made when the first entries come.
    packed_needles: Arc<OnceLock<PackedNeedles>>,
    unwrapper: Unwrapper,
    /// Working memory for candidates among entries.
    json: Vec<u8>,
    setting: Setting,
    /// Whose hit was the last.
    client: Client,
    oversized: Oversized,
    rejoiner: Rejoiner,
    counts: Counts,
}

/// What a [`Detector`] has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub bytes: u64,
    /// Records with a needle in them.
    pub candidates: u64,
    /// Audit events in these.
    pub events: u64,
    /// Touches by expected actors.
    pub expected: u64,
    /// Parts of candidates that could not be decoded, whether or not they name a decoy.
    pub undecodable: u64,
    /// Records longer than `max_line_bytes`.
    pub oversized: u64,
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            bytes: self.bytes + other.bytes,
            candidates: self.candidates + other.candidates,
            events: self.events + other.events,
            expected: self.expected + other.expected,
            undecodable: self.undecodable + other.undecodable,
            oversized: self.oversized + other.oversized,
        }
    }
}

/// What the parts so far of an oversized record have shown.
#[derive(Default)]
struct Oversized {
    names: Vec<Names>,
    bears_mark: bool,
    excerpt: Option<String>,
    provenance: Provenance,
    /// A hash over all parts.
    digest: Option<RequestId>,
    /// Bytes that were unpacked of base64.
    unpacked: usize,
}

impl Oversized {
    fn see(&mut self, text: &BrokenText<'_>, decoys: &[Decoy]) {
        self.bears_mark = self.bears_mark || text.bears_mark();
        for (names, decoy) in self.names.iter_mut().zip(decoys) {
            *names = names.and(text.names(decoy));
        }
    }
}

impl Detector {
    /// A detector for what `source` reads.
    ///
    /// # Errors
    /// A glob in a decoy that is none, which [`crate::config`] does not let pass.
    pub fn new(
        config: &Config,
        decoys: &[config::Decoy],
        cluster: Option<Arc<str>>,
        source: Arc<str>,
    ) -> Result<Self, glob::PatternError> {
        let decoys = decoys
            .iter()
            .map(Decoy::compile)
            .collect::<Result<Arc<[_]>, _>>()?;
        Ok(Self {
            needles: Arc::new(Needles::new(&decoys)),
            packed_needles: Arc::default(),
            decoys,
            unwrapper: Unwrapper::default(),
            json: Vec::new(),
            setting: Setting {
                cluster,
                source,
                trusted_proxies: config.trusted_proxies.clone(),
            },
            client: Client::default(),
            oversized: Oversized::default(),
            rejoiner: Rejoiner::default(),
            counts: Counts::default(),
        })
    }

    /// One for another stream of the same source. What takes time to make is shared.
    pub fn another(&self) -> Self {
        Self {
            decoys: Arc::clone(&self.decoys),
            needles: Arc::clone(&self.needles),
            packed_needles: Arc::clone(&self.packed_needles),
            unwrapper: Unwrapper::default(),
            json: Vec::new(),
            setting: self.setting.clone(),
            client: Client::default(),
            oversized: Oversized::default(),
            rejoiner: Rejoiner::default(),
            counts: Counts::default(),
        }
    }

    /// The same, for a thread that works on the same blocks. Each hit counts references to what detectors share, and processors
    /// that count the same ones wait for each other.
    pub fn another_apart(&self) -> Self {
        Self {
            decoys: self.decoys.iter().map(Decoy::apart).collect(),
            setting: self.setting.apart(),
            ..self.another()
        }
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Adds to `out` what in `block` touches a decoy, in the order of the bytes.
    /// `arrival` stands in for the time of events that tell none.
    pub fn scan(&mut self, block: &Block<'_>, arrival: Timestamp, out: &mut Vec<Detection>) {
        self.counts.bytes += block.bytes.len() as u64;
        match block.shape {
            Shape::Lines => {
                self.lines(block, arrival, out);
                self.counts.bytes -= (block.bytes.len() - block.before_parts().len()) as u64;
            }
            Shape::Value => self.value(block, arrival, out),
            Shape::MessagePack => {
                self.entries::<MessagePack>(block, msgpack::write_entry, arrival, out);
            }
            Shape::PushEvents => {
                self.entries::<Protobuf>(block, protobuf::write_entry, arrival, out);
            }
            Shape::Oversized { first, last } => {
                self.oversized_part(block, first);
                if last {
                    self.end_oversized(arrival, out);
                }
            }
        }
        let given = self.rejoiner.give_back(self.counts.bytes, arrival);
        self.given_back(given, arrival, out);
    }

    /// The source has ended: adds to `out` what touches a decoy among the parts of lines whose last part never came.
    pub fn finish(&mut self, arrival: Timestamp, out: &mut Vec<Detection>) {
        let given = self.rejoiner.finish();
        self.given_back(given, arrival, out);
    }

    /// Whether what `lines` hold may depend on what stood before it, or what follows on it.
    pub fn needs_order(&self, lines: &[u8]) -> bool {
        let mut start = 0;
        let mut ends = memchr_iter(b'\n', lines).chain([lines.len()]);
        let mut line = |end| &lines[mem::replace(&mut start, end + 1)..end];
        self.rejoiner.is_waiting() || ends.any(|end| part_mark::is_open(line(end)))
    }

    /// How many bytes of `lines`, which are whole, nothing can come of: the lines before the first that is a candidate, or a part of one that
    /// a container runtime cut. They then count as searched.
    pub fn passed(&mut self, lines: &[u8]) -> usize {
        if self.rejoiner.is_waiting() {
            return 0;
        }
        let passed = self.needles.find(lines).map_or(lines.len(), |at| {
            let line = memrchr(b'\n', &lines[..at]).map_or(0, |newline| newline + 1);
            document::beginning(lines, 0, line).unwrap_or(line)
        });
        self.counts.bytes += passed as u64;
        passed
    }

    fn record(&mut self, record: &Record<'_>, out: &mut Vec<Detection>) {
        self.counts.candidates += 1;
        let mut unwrapper = std::mem::take(&mut self.unwrapper);
        let (counts, length) = (self.counts, out.len());
        let mut place = Place::before_all(record.bytes);
        let may_hold_copies = unwrapper.unwrap(record.bytes, &mut |finding| {
            self.finding(finding, &mut place, record, out);
        });
        // Nothing that raised nothing is worth another look.
        if may_hold_copies && out.len() > length {
            let copies = unwrapper.copies(record.bytes);
            if !copies.is_empty() {
                out.truncate(length);
                self.counts = counts;
                place.number = 0;
                unwrapper.unwrap_without(&copies, record.bytes, &mut |finding| {
                    self.finding(finding, &mut place, record, out);
                });
            }
        }
        self.unwrapper = unwrapper;
        if out.len() > length + 1 {
            tell_once(out, length, record.arrival);
        }
    }

    /// `place` is that of the last event of the record.
    fn finding(
        &mut self,
        finding: Finding<'_>,
        place: &mut Place<'_>,
        record: &Record<'_>,
        out: &mut Vec<Detection>,
    ) {
        match finding {
            Finding::Event(event, wrapper) => {
                place.number += 1;
                self.event(event, place, record, wrapper, out);
            }
            Finding::Broken(bytes, wrapper) => self.broken(bytes, record, wrapper, out),
            Finding::Doubtful(event, bytes, wrapper) => {
                self.doubtful(event, bytes, record, wrapper, out);
            }
        }
    }

    fn event(
        &mut self,
        event: &Event<'_>,
        place: &Place<'_>,
        record: &Record<'_>,
        wrapper: &dyn Wrapper,
        out: &mut Vec<Detection>,
    ) {
        self.counts.events += 1;
        let compared = Compared::new(event);
        let touched = |decoy| {
            compared
                .technique(decoy)
                .map(|technique| (technique, decoy))
        };
        let touches: SmallVec<[_; 2]> = self.decoys.iter().filter_map(touched).collect();
        if touches.is_empty() && !is_impersonation_unnamed(event) {
            return;
        }
        self.client.become_that_of(event);
        let context = record.context(&self.setting, wrapper.envelope());
        let client = &mut self.client;
        let mut detection = |technique, class, decoy, context| {
            detection(event, place, technique, class, decoy, client, context)
        };
        if touches.is_empty() {
            let (technique, class) = (Technique::ImpersonationUnnamed, Class::Record);
            return out.push(detection(technique, class, None, context));
        }
        let mut expected = 0;
        // The last takes the context as it is: mostly that is the only one.
        let contexts = iter::repeat_n(context, touches.len());
        out.extend(touches.iter().zip(contexts).map(|(touch, context)| {
            let (technique, decoy) = *touch;
            let class = match is_expected(event, technique, decoy) {
                true => Class::Expected,
                false => Class::Detect,
            };
            expected += u64::from(class == Class::Expected);
            detection(technique, class, Some(decoy), context)
        }));
        self.counts.expected += expected;
    }

    /// What may be an event, of which `bytes` are all that is told.
    fn doubtful(
        &mut self,
        event: &Event<'_>,
        bytes: &[u8],
        record: &Record<'_>,
        wrapper: &dyn Wrapper,
        out: &mut Vec<Detection>,
    ) {
        let compared = Compared::new(event);
        let is_touched = |decoy: &&Decoy| {
            let technique = compared.technique(decoy);
            technique.is_some_and(|technique| !is_expected(event, technique, decoy))
        };
        let touched: SmallVec<[_; 2]> = self.decoys.iter().filter(is_touched).collect();
        if touched.is_empty() {
            return;
        }
        self.counts.undecodable += 1;
        let text = BrokenText::new(bytes);
        let context = record.context(&self.setting, wrapper.envelope());
        let touched = touched.into_iter();
        out.extend(touched.map(|decoy| undecodable(bytes, text.excerpt(), decoy, &context)));
    }

    fn broken(
        &mut self,
        bytes: &[u8],
        record: &Record<'_>,
        wrapper: &dyn Wrapper,
        out: &mut Vec<Detection>,
    ) {
        self.counts.undecodable += 1;
        let text = BrokenText::new(bytes);
        if !text.bears_mark() {
            return;
        }
        let context = record.context(&self.setting, wrapper.envelope());
        let named = self
            .decoys
            .iter()
            .filter(|decoy| text.names(decoy).name_decoy(decoy));
        out.extend(named.map(|decoy| undecodable(bytes, text.excerpt(), decoy, &context)));
    }

    fn oversized_part(&mut self, block: &Block<'_>, first: bool) {
        if first {
            self.counts.oversized += 1;
            self.oversized = Oversized {
                names: vec![Names::default(); self.decoys.len()],
                provenance: (block.provenance)(0),
                ..Oversized::default()
            };
        }
        let text = BrokenText::new(block.bytes);
        let state = &mut self.oversized;
        let so_far = state.digest.map(RequestId::to_bytes).unwrap_or_default();
        state.digest = Some(RequestId::of(&[&so_far, block.bytes]));
        if first {
            state.excerpt = text.excerpt();
        }
        state.see(&text, &self.decoys);
        for (_, value) in encoded::base64_values(block.bytes) {
            if state.unpacked > MAX_UNPACKED_BYTES {
                break;
            }
            let value = &value[..value.len().min(MAX_VALUE_BYTES)];
            let most = MAX_VALUE_BYTES.min(MAX_UNPACKED * value.len());
            let plain = encoded::decoded(value, most);
            state.unpacked += plain.made;
            state.see(&BrokenText::new(&plain.bytes), &self.decoys);
        }
    }

    fn end_oversized(&mut self, arrival: Timestamp, out: &mut Vec<Detection>) {
        let Oversized {
            names,
            bears_mark,
            excerpt,
            provenance,
            digest,
            ..
        } = std::mem::take(&mut self.oversized);
        if !bears_mark {
            return;
        }
        let identity = digest.map(RequestId::to_bytes).unwrap_or_default();
        let context = self
            .setting
            .context(provenance, &Envelope::default(), arrival);
        let named = self.decoys.iter().zip(&names);
        out.extend(
            named
                .filter(|(decoy, names)| names.name_decoy(decoy))
                .map(|(decoy, _)| undecodable(&identity, excerpt.clone(), decoy, &context)),
        );
    }
}
