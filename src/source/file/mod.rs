//! Files that grow and rotate.
//!
//! A file is known by device, inode and its first bytes, not by its name, so that it is read once whatever becomes of it:
//!
//! - renamed, with a new file in its place: the old one is read to its end and for `rotate_wait` longer, the new one from its
//!   beginning; under its new name the old one is recognised;
//! - copied and truncated: read on from its beginning; the copy is read from where the original had been read to;
//! - compressed: what is packed in it is recognised, and read from where the original had been read to;
//! - deleted: read to its end.
//!
//! One thread reads all files in turn. A file that rests is looked at every 25 ms, with two system calls.
//! What is read is known by the file's identity and an offset in it, of decoded bytes.

use std::{path::Path, time::Duration};

use super::{Context, Decoding, Ended, Error, Outlet};
use crate::{audit::words, format::visible};

mod copies;
mod discovery;
mod faults;
mod feed;
mod files;
mod fingerprint;
mod follow;
mod past;
mod positions;
mod read_at;
mod tracked;

pub(crate) use read_at::{read_at, read_head};

/// Time between two looks at files that rest: 0.2 % of a core for one file, 0.7 % for a hundred.
const IDLE: Duration = Duration::from_millis(25);

/// Time between two commits of positions while nothing is found.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);

/// How long a file is remembered that is gone: a log that is rotated daily may be compressed with the rotation after.
const FORGET_AFTER: Duration = Duration::from_secs(2 * 24 * 60 * 60);

/// Follows files through rotation.
#[derive(Clone, Debug)]
pub struct Config {
    /// Globs of paths to read. Required, at least one.
    pub include: Vec<String>,
    /// Globs of paths to leave out. Default none.
    pub exclude: Vec<String>,
    /// Where to begin in files that are there at the start. Files that appear later are read from their beginning. Default beginning.
    pub read_from: ReadFrom,
    /// Longer records are searched for decoys and reported, but not decoded. Default 16 MiB.
    pub max_line_bytes: usize,
    /// What the records are. Default audit.
    pub decoding: Decoding,
    /// Time between two looks for new files (`glob_minimum_cooldown_ms`). Default 1 s.
    pub glob_minimum_cooldown: Duration,
    /// How long a file that was renamed or deleted is read on after its end was reached (`rotate_wait_secs`). Default 5 s.
    pub rotate_wait: Duration,
}

impl Config {
    /// Whether no file is there that could be read.
    pub(crate) fn finds_nothing(&self) -> bool {
        let globs = discovery::Globs::new(self);
        globs.is_ok_and(|globs| globs.find(&mut faults::Faults::default()).is_empty())
    }
}

/// Where to begin in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReadFrom {
    Beginning,
    /// At the last line that has no newline yet.
    End,
}

words!(ReadFrom { Beginning = "beginning", End = "end" });

/// Characters of a path that the log shows.
const SHOWN: usize = 1024;

/// A path for the log. Whoever may write into a directory that is watched chooses the names in it.
fn shown(path: &Path) -> String {
    visible(&path.display().to_string(), SHOWN).into_owned()
}

/// Follows files until stopped.
///
/// A record that is still being written is not handed on then, since the next run finds it again; unless its file
/// was rotated away.
///
/// # Errors
/// If a glob is malformed. A file that cannot be read is logged once, and tried again.
pub fn run(config: &Config, context: &Context, outlet: &mut dyn Outlet) -> Result<Ended, Error> {
    let stop = &context.stop;
    let feed = &mut feed::Feed::new(outlet);
    let mut files = files::Files::new(config, context)?;
    files.discover();
    // Where the first start begins is stored before anything is read.
    files.commit(feed);
    while !stop.is_triggered() {
        files.discover_if_due();
        let busy = files.turn(stop, feed);
        files.commit_if_due(feed);
        if !busy {
            stop.sleep(IDLE);
        }
    }
    files.end(feed);
    Ok(Ended::Stopped)
}

#[cfg(test)]
mod tests;
