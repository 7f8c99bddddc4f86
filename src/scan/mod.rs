//! "Has it ever been touched?": files and archives to the alerts that a live pipeline would have told.
//!
//! ```text
//!  arguments ──find──▶ inputs ──plan──▶ units ──read──▶ blocks ──detect──▶ ordered ──replay──▶ report
//!                    (in one order)   (shared by threads)             (by event time)
//! ```
//!
//! What comes out depends on the bytes and on the order of the arguments: not on the number of threads, nor on the order in
//! which a file system lists a directory, nor on the clock. Paths and what was found lie in temporary databases, so that
//! memory is bounded by the number of threads, whatever there is to read. Large files are looked through where the kernel has
//! them; only lines with a needle among them are copied.

mod find;
mod incidents;
mod inputs;
#[expect(unsafe_code, reason = "memory is mapped, and a signal is handled")]
mod mapped;
mod matching;
mod ordered;
mod plan;
mod read;
mod replay;
mod report;
mod rules;
mod scratch;
mod search;
#[cfg(test)]
mod tests;
mod window;

use std::{fmt, io, path::Path};

use crate::{
    dedupe::Alert,
    detect::Detection,
    format::{json, visible},
    source::Stop,
};

pub use report::{Report, Shown};
pub use rules::{NoDecoys, Rules};
pub use search::{Searched, search};
pub use window::Window;

/// Most characters of a path or a reason that are shown.
const SHOWN: usize = 1024;

/// Why a scan cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}", scratch::reason(.0))]
    Scratch(#[from] rusqlite::Error),
    #[error("what was found cannot be read back: {0}")]
    ReadBack(#[from] json::ReadError),
    #[error("decoy or expected rule with a glob that is none: {0}")]
    Glob(#[from] glob::PatternError),
    #[error("cannot write to standard output: {0}")]
    Output(#[from] io::Error),
}

/// What is to be said of an input. Displayed as one line that can be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    input: String,
    reason: String,
}

impl Remark {
    fn new(path: &Path, reason: impl ToString) -> Self {
        Self::of(&path.display().to_string(), reason)
    }

    fn of(input: &str, reason: impl ToString) -> Self {
        Self {
            input: visible(input, SHOWN).into_owned(),
            reason: visible(&reason.to_string(), SHOWN).into_owned(),
        }
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.input, self.reason)
    }
}

/// Who is told how a search goes, and ends it.
#[derive(Clone, Copy)]
pub struct Watch<'w> {
    /// Every thread calls it.
    pub tell: &'w (dyn Fn(Event) + Sync),
    /// Once it is thrown no more is read, and what was found is given.
    pub stop: &'w Stop,
}

/// What is said of a search while it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The inputs are known, and how many bytes they have together, unless there is a stream among them.
    Begins(Option<u64>),
    /// So many more bytes were read.
    Read(u64),
    /// An input is passed, as it is meant to be.
    Passed(Remark),
    /// An input cannot be read, or not to its end.
    Trouble(Remark),
}

/// What is told of what was found.
#[derive(Clone, Copy, Debug)]
enum Message<'a> {
    Alert(&'a Alert),
    /// With the line of JSON that it is.
    Detection(&'a Detection, &'a [u8]),
}
