//! From payloads, as messages and requests carry them, to blocks.
//!
//! Most payloads are a record in one line, or one a line: they are put together in one buffer, so that the search runs over
//! many at once. What is large, packed, or spread over lines goes the way that a file's bytes go. A clean message
//! costs a look for newlines and one copy, and no allocation.
//!
//! Garbage is counted, and searched all the same, since an attacker may have made it of an event. It is not decoded
//! for that: garbage is what no record can be in, because it holds no JSON object, whatever might wrap that, or because
//! no text stands where its first object would begin. A tombstone and a payload of white space are only counted.

use std::{fmt::Display, io::Read, sync::atomic::Ordering::Relaxed};

use memchr::memchr;
use tracing::{field::display, warn};

use crate::{
    record::{
        decompress::{self, Decompressor, Magic, recognise},
        foreign::{BEGINNING_BYTES, YAML_START, foreign},
        framing::{Framer, is_spread_over_lines, parts},
        msgpack::{begins_with_entry, entries},
        packing::begins_as_text,
        partial::holds_parts,
        protobuf::{Fault, write_broken},
        read_to_end,
    },
    source::{
        Block, Context, Outlet, Provenance, Shape,
        entries::Search,
        otlp::{Export, begins_export},
    },
    telemetry::Seldom,
};

/// Payloads above this are searched where they lie.
const COPIED_BYTES: usize = 64 << 10;

/// What was sent in one piece.
pub(crate) trait Payload: Sync {
    fn bytes(&self) -> &[u8];

    /// Called only for what becomes a detection, or cannot be unpacked.
    fn provenance(&self) -> Provenance;
}

/// What is said of payloads that cannot be read as they should: each is counted, and now and then one is told of.
#[derive(Default)]
pub(crate) struct Unreadable {
    warning: Seldom,
}

impl Unreadable {
    /// Counts `sent`, and says what is wrong with it, and the `error` that shows it.
    pub(crate) fn tell(
        &self,
        sent: &impl Payload,
        what: &dyn Display,
        error: Option<&dyn Display>,
        context: &Context,
    ) {
        context.counters.errors.fetch_add(1, Relaxed);
        if self.warning.is_due() {
            let position = &*sent.provenance().position;
            let error = error.map(display);
            warn!(source = &*context.id, position, error, "{what}");
        }
    }
}

/// Searches payloads in bursts.
pub(crate) struct Payloads {
    max_line_bytes: usize,
    lines: Vec<u8>,
    /// Where in `lines` which payload begins.
    starts: Vec<(usize, usize)>,
    unreadable: Unreadable,
}

/// What a payload is.
enum Kind {
    /// No byte that is not white space.
    Nothing,
    /// One record a line.
    Lines,
    /// One JSON value or more, over several lines.
    Values,
    /// Lines of a container's log, of which some are to be joined.
    Parts,
    /// Entries of MessagePack.
    MessagePack,
    /// Logs of OpenTelemetry in protobuf.
    Export,
    /// Longer than a record may be.
    Long,
    Packed,
}

impl Kind {
    /// Whether no record can be in `payload`, which is of this kind.
    fn is_garbage(&self, payload: &[u8]) -> bool {
        match self {
            Self::Nothing => true,
            Self::Packed | Self::MessagePack | Self::Export => false,
            Self::Lines | Self::Values | Self::Parts | Self::Long => is_garbage(payload),
        }
    }

    /// Whether `payload` may be packed in a way that nobody here knows.
    fn may_be_packed(&self, payload: &[u8]) -> bool {
        matches!(self, Self::Lines | Self::Values | Self::Parts | Self::Long)
            && !payload.starts_with(b"{\"")
            && !begins_as_text(payload)
    }
}

impl Payloads {
    pub(crate) fn new(max_line_bytes: usize) -> Self {
        Self {
            max_line_bytes,
            lines: Vec::new(),
            starts: Vec::new(),
            unreadable: Unreadable::default(),
        }
    }

    /// Searches `payloads`, in order. True if anything was found.
    pub(crate) fn search<P: Payload>(
        &mut self,
        payloads: &[P],
        context: &Context,
        outlet: &mut dyn Outlet,
    ) -> bool {
        let mut found = false;
        for (place, sent) in payloads.iter().enumerate() {
            let payload = sent.bytes();
            let kind = self.kind(payload);
            let is_garbage = u64::from(kind.is_garbage(payload));
            context.counters.discarded.fetch_add(is_garbage, Relaxed);
            let may_be_packed = kind.may_be_packed(payload);
            if may_be_packed || payload.starts_with(YAML_START) {
                self.tell_foreign(sent, context);
            }
            match kind {
                Kind::Nothing => {}
                Kind::Lines if payload.len() <= COPIED_BYTES && !may_be_packed => {
                    self.add_lines(place, payload);
                }
                kind => {
                    found |= self.flush(payloads, outlet);
                    found |= self.alone(kind, may_be_packed, sent, context, outlet);
                }
            }
        }
        found | self.flush(payloads, outlet)
    }

    /// Searches what does not go with others. True if anything was found.
    fn alone(
        &mut self,
        kind: Kind,
        may_be_packed: bool,
        sent: &impl Payload,
        context: &Context,
        outlet: &mut dyn Outlet,
    ) -> bool {
        let payload = sent.bytes();
        let framer = match kind {
            Kind::Nothing => return false,
            Kind::Lines => {
                return take(payload, Shape::Lines, sent, outlet)
                    || may_be_packed && self.take_as_binary(sent, outlet);
            }
            Kind::MessagePack => {
                return take(payload, Shape::MessagePack, sent, outlet)
                    || entries(payload).any(|entry| entry.is_err())
                        && self.take_as_broken(sent, outlet);
            }
            Kind::Export => {
                let (found, outcome) = self.export(sent, outlet);
                if let Err(error) = outcome {
                    let what = "a payload is no OTLP to its end";
                    self.unreadable.tell(sent, &what, Some(&error), context);
                }
                return found;
            }
            Kind::Values => Framer::of_values(self.max_line_bytes),
            Kind::Parts | Kind::Long | Kind::Packed => Framer::new(self.max_line_bytes),
        };
        let (mut found, outcome) = frame(framer, sent, outlet);
        found |= may_be_packed && self.take_as_binary(sent, outlet);
        if let Err(error) = outcome {
            // Packed or not, what can be read of it is.
            found |= take(payload, Shape::Lines, sent, outlet);
            let what = "a payload cannot be unpacked";
            self.unreadable.tell(sent, &what, Some(&error), context);
        }
        found
    }

    /// Keeps lines to be searched together with those of other payloads.
    fn add_lines(&mut self, place: usize, payload: &[u8]) {
        self.starts.push((self.lines.len(), place));
        self.lines.extend_from_slice(payload);
        if !payload.ends_with(b"\n") {
            self.lines.push(b'\n');
        }
    }

    fn tell_foreign(&mut self, sent: &impl Payload, context: &Context) {
        let payload = sent.bytes();
        if let Some(foreign) = foreign(&payload[..payload.len().min(BEGINNING_BYTES)]) {
            self.unreadable.tell(sent, &foreign, None, context);
        }
    }

    /// Whether `payload` is of a form that is read, as far as that can be seen.
    pub(crate) fn may_read(&self, payload: &[u8]) -> bool {
        !self.kind(payload).is_garbage(payload)
    }

    fn export(&self, sent: &impl Payload, outlet: &mut dyn Outlet) -> (bool, Result<(), Fault>) {
        let mut found = false;
        let mut export = Export {
            max_line_bytes: self.max_line_bytes,
            take: &mut |bytes, shape| {
                let here = take(bytes, shape, sent, outlet);
                found |= here;
                here
            },
        };
        let outcome = export.search(sent.bytes());
        (found, outcome)
    }

    fn kind(&self, payload: &[u8]) -> Kind {
        match payload.first() {
            Some(0x1f | 0x28 | 0x50..=0x5f)
                if matches!(recognise(payload), Magic::Compressed(_)) =>
            {
                return Kind::Packed;
            }
            Some(0x80..=0x9f | 0xdc..=0xdf) if begins_with_entry(payload) => {
                return Kind::MessagePack;
            }
            Some(0x0a) if begins_export(payload) => return Kind::Export,
            None => return Kind::Nothing,
            Some(byte) if byte.is_ascii_whitespace() && payload.trim_ascii().is_empty() => {
                return Kind::Nothing;
            }
            Some(_) => {}
        }
        let newline = memchr(b'\n', payload);
        let has_lines = newline.is_some_and(|at| at + 1 < payload.len());
        if has_lines && is_spread_over_lines(payload) {
            Kind::Values
        } else if has_lines && holds_parts(payload) {
            Kind::Parts
        } else if payload.len() > self.max_line_bytes {
            Kind::Long
        } else {
            Kind::Lines
        }
    }

    /// Searches what is no text, and in which nothing was found as such, as entries of MessagePack, wherever they begin in it, and then
    /// as what is left of some protobuf.
    pub(crate) fn take_as_binary(&self, sent: &impl Payload, outlet: &mut dyn Outlet) -> bool {
        let mut search = Search {
            max_line_bytes: self.max_line_bytes,
            provenance: &|| sent.provenance(),
            outlet,
            found: false,
        };
        // What cannot be read was searched as well.
        let _ = search.entries(sent.bytes());
        search.found || self.take_as_broken(sent, outlet)
    }

    /// Searches the texts that can be seen in what cannot be read.
    fn take_as_broken(&self, sent: &impl Payload, outlet: &mut dyn Outlet) -> bool {
        let mut texts = Vec::new();
        write_broken(sent.bytes(), &mut texts);
        if texts.len() <= self.max_line_bytes {
            return take(&texts, Shape::Lines, sent, outlet);
        }
        let mut found = false;
        for (part, shape) in parts(&texts) {
            found |= take(part, shape, sent, outlet);
        }
        found
    }

    /// Searches what was put together.
    fn flush<P: Payload>(&mut self, payloads: &[P], outlet: &mut dyn Outlet) -> bool {
        if self.lines.is_empty() {
            return false;
        }
        let starts = &self.starts;
        let found = outlet.take(&Block {
            bytes: &self.lines,
            shape: Shape::Lines,
            header: None,
            first_part: None,
            provenance: &|at| {
                let behind = starts.partition_point(|(start, _)| *start <= at);
                let place = behind.checked_sub(1).map_or(0, |before| starts[before].1);
                payloads[place].provenance()
            },
        });
        self.lines.clear();
        self.starts.clear();
        found
    }
}

/// Whether no record can be in `payload`. Of most records it looks at two bytes.
pub(crate) fn is_garbage(payload: &[u8]) -> bool {
    let Some(start) = memchr(b'{', payload) else {
        return true;
    };
    let object = &payload[start..];
    !object.starts_with(b"{\"") && !begins_as_text(object)
}

/// Searches `bytes` of `sent`. True if anything was found.
pub(crate) fn take(
    bytes: &[u8],
    shape: Shape,
    sent: &impl Payload,
    outlet: &mut dyn Outlet,
) -> bool {
    outlet.take(&Block {
        bytes,
        shape,
        header: None,
        first_part: None,
        provenance: &|_| sent.provenance(),
    })
}

/// Unpacks a payload, if it is packed, and cuts it into records.
fn frame(
    framer: Framer,
    sent: &impl Payload,
    outlet: &mut dyn Outlet,
) -> (bool, Result<(), decompress::Error>) {
    let mut found = false;
    let mut emit = |piece: crate::record::framing::Piece<'_>| {
        found |= outlet.take(&Block {
            bytes: piece.bytes,
            shape: piece.shape,
            header: None,
            first_part: piece.first_part,
            provenance: &|_| sent.provenance(),
        });
    };
    let mut rest = sent.bytes();
    let fill = |into: &mut [u8]| rest.read(into);
    let outcome = read_to_end(&mut Decompressor::of_record(), framer, fill, &mut emit);
    (found, outcome)
}
