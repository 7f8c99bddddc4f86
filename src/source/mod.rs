//! Bytes in. A source hands on [`Block`]s and knows nothing of what becomes of them.
//!
//! A source runs on a thread of its own until its input ends or it is told to [`Stop`]. It calls its [`Outlet`] with
//! each block and reads on when that returns, so that a block is searched while it is in the cache, and a slow
//! pipeline slows its source.

use crate::record::decompress;

pub mod file;
pub mod stdin;
mod stop;

pub use stop::Stop;

/// A run of whole records in one buffer, and where it was read.
pub struct Block<'a> {
    pub bytes: &'a [u8],
    pub shape: Shape,
    /// Where the byte at an offset into the block was read, in the source's own words: a path and a byte offset,
    /// as in `/var/log/audit.log:1048576`. Called only for what becomes a detection.
    pub position: &'a dyn Fn(usize) -> String,
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

/// Why a source returned without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The input is at its end, and all of it was handed on.
    EndOfInput,
    /// It was told to.
    Stopped,
}

/// Why a source cannot go on. What it had read before was handed on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read standard input: {0}")]
    Stdin(#[source] decompress::Error),
    #[error("bad glob {glob:?}: {source}")]
    Glob {
        glob: String,
        source: glob::PatternError,
    },
}
