//! Records as they are handed on to be searched.

use std::{collections::BTreeMap, sync::OnceLock};

use compact_str::CompactString;

use super::Header;

/// A run of whole records in one buffer, and where it was read.
pub struct Block<'a> {
    pub bytes: &'a [u8],
    pub shape: Shape,
    /// Of lines: the names of their columns, where the stream began with them.
    pub header: Option<&'a Header>,
    /// Of lines among which parts of longer ones may stand that a container runtime cut: whoever searches them stops before the first
    /// part, and says here where it begins. It comes again, joined.
    pub first_part: Option<&'a OnceLock<usize>>,
    /// Where the byte at an offset into the block came from. Called only for what becomes a detection, and by more than one thread.
    pub provenance: &'a (dyn Fn(usize) -> Provenance + Sync),
}

impl<'a> Block<'a> {
    /// The bytes before the first part, once it is known.
    pub fn before_parts(&self) -> &'a [u8] {
        let first = self.first_part.and_then(OnceLock::get);
        &self.bytes[..first.map_or(self.bytes.len(), |first| *first)]
    }
}

/// Where a record came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// In the source's own words: a path and a byte offset, as in `/var/log/audit.log:1048576`.
    pub position: CompactString,
    /// The key that a message bus had it under.
    pub key: Option<String>,
    /// What a message bus said beside it. Bounded by the source.
    pub headers: BTreeMap<String, String>,
}

impl From<CompactString> for Provenance {
    /// A position, and nothing else.
    fn from(position: CompactString) -> Self {
        Self {
            position,
            ..Self::default()
        }
    }
}

impl From<String> for Provenance {
    fn from(position: String) -> Self {
        CompactString::from(position).into()
    }
}

/// How records lie in a [`Block`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One record a line. The last may lack its newline.
    Lines,
    /// One record; newlines in it are white space.
    Value,
    /// Entries of MessagePack, one after the other: see [`super::msgpack`].
    MessagePack,
    /// Events in a `PushEventsRequest` of Vector, one after the other: see [`super::protobuf`].
    PushEvents,
    /// A part of one record that is longer than `max_line_bytes`. Each part repeats the
    /// last [`OVERLAP`] bytes of the one before, so that no name is cut in two.
    Oversized { first: bool, last: bool },
}

/// Bytes that two neighbouring parts of an oversized record share.
pub const OVERLAP: usize = 4096;
