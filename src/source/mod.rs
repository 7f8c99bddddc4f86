//! Bytes in. A source hands on [`Block`]s and knows nothing of what becomes of them.

pub mod file;
pub mod stdin;

/// A run of whole records in one buffer, and where it was read.
pub struct Block<'a> {
    pub bytes: &'a [u8],
    pub shape: Shape,
    /// Where the block begins, in the source's own words: `/var/log/audit.log:1048576`, or a byte offset.
    /// Called only when a record of the block becomes a detection.
    pub position: &'a dyn Fn() -> String,
}

/// How records lie in a [`Block`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One record a line. The last may lack its newline.
    Lines,
    /// One record; newlines in it are white space.
    Value,
    /// A part of one record that is longer than `max_line_bytes`. Each part repeats the
    /// last [`OVERLAP`] bytes of the one before, so that no name is cut in two.
    Oversized { first: bool, last: bool },
}

/// Bytes that two neighbouring parts of an oversized record share.
pub const OVERLAP: usize = 4096;

/// Takes blocks; returns once they are dealt with, so that a slow pipeline slows its source.
pub type Outlet<'a> = dyn FnMut(Block<'_>) + 'a;
