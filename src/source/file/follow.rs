//! Reads one open file as far as it goes.

use std::{fs::File, io, path::Path};

use super::{
    discovery::Stamp,
    feed::Feed,
    fingerprint::{Fingerprint, Head},
    read_at, read_head,
};
use crate::record::{
    decompress::{self, Decompressor},
    framing::{Framer, HEAD_BYTES, READ_BYTES},
};

/// Reads that a file may do before it is the next one's turn: about a megabyte.
const READS_PER_TURN: usize = 4;

/// An open file and how far it has been read.
pub(super) struct Follower {
    file: File,
    framer: Framer,
    packing: Packing,
    /// The file as it was when last looked at to its end.
    seen: Option<Stamp>,
}

enum Packing {
    Plain,
    Compressed {
        decompressor: Box<Decompressor>,
        /// Compressed bytes that were read.
        read: u64,
        /// Decoded bytes that are still to be passed over.
        skip: u64,
    },
}

/// What a turn brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing: the file is read to its end.
    Idle,
    /// A compressed file is read to its end, and complete.
    Complete,
    Progress,
    /// The file is not what it was: nothing was read.
    Truncated,
}

impl Follower {
    /// Reads `file`, which begins as `head` says, from `offset` on; with `framer`, if it has one from before.
    pub(super) fn new(
        file: File,
        head: &Head,
        offset: u64,
        framer: Option<Framer>,
        max_line_bytes: usize,
    ) -> Self {
        let framer = framer.unwrap_or_else(|| match offset {
            0 => Framer::new(max_line_bytes),
            _ => Framer::resume(max_line_bytes, offset, &beginning(&file, head)),
        });
        let packing = if head.is_compressed {
            Packing::Compressed {
                decompressor: Box::default(),
                read: 0,
                skip: framer.offset(),
            }
        } else {
            Packing::Plain
        };
        Self {
            file,
            framer,
            packing,
            seen: None,
        }
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// How far it was read, in decoded bytes.
    pub(super) fn offset(&self) -> u64 {
        self.framer.offset()
    }

    /// Behind the last whole record that was handed on, in decoded bytes.
    pub(super) fn resumable_at(&self) -> u64 {
        self.framer.resumable_at()
    }

    /// The file is not what it was: begins again. Returns the framing of what it had been.
    pub(super) fn restart(&mut self, max_line_bytes: usize) -> Framer {
        if let Packing::Compressed {
            decompressor,
            read,
            skip,
        } = &mut self.packing
        {
            **decompressor = Decompressor::new();
            *read = 0;
            *skip = 0;
        }
        self.seen = None;
        std::mem::replace(&mut self.framer, Framer::new(max_line_bytes))
    }

    /// Reads on, a bounded amount, and less if something was found. `fingerprint` is that of the file as far as it was read, and grows with it.
    ///
    /// # Errors
    /// If the file cannot be read, or not be decoded.
    pub(super) fn turn(
        &mut self,
        stamp: Stamp,
        fingerprint: &mut Fingerprint,
        path: &Path,
        feed: &mut Feed<'_>,
    ) -> Result<Turn, decompress::Error> {
        let turn = match self.packing {
            Packing::Plain => self.turn_plain(stamp, fingerprint, path, feed)?,
            Packing::Compressed { .. } => self.turn_compressed(stamp, path, feed)?,
        };
        if turn == Turn::Idle {
            self.framer.give_back();
        }
        Ok(turn)
    }

    /// The file is let go: its last record counts even without a newline.
    pub(super) fn finish(&mut self, path: &Path, feed: &mut Feed<'_>) {
        feed.finish(&mut self.framer, path);
    }

    fn turn_plain(
        &mut self,
        stamp: Stamp,
        fingerprint: &mut Fingerprint,
        path: &Path,
        feed: &mut Feed<'_>,
    ) -> io::Result<Turn> {
        if stamp.size < self.offset() {
            return Ok(Turn::Truncated);
        }
        if stamp.size == self.offset() {
            // It may have been truncated and written anew to the very same length, also since it was read.
            let is_seen = self.seen == Some(stamp);
            self.seen = Some(stamp);
            let same = is_seen || fingerprint.confirm(&self.file, self.offset(), &[])?;
            return Ok(if same { Turn::Idle } else { Turn::Truncated });
        }
        for _ in 0..READS_PER_TURN {
            let offset = self.framer.offset();
            let wanted = usize::try_from(stamp.size.saturating_sub(offset)).unwrap_or(READ_BYTES);
            if wanted == 0 {
                break;
            }
            let space = self.framer.space(wanted);
            let count = read_at(&self.file, space, offset)?;
            // Looked at after the read: what comes from behind a truncation is thrown away.
            if !fingerprint.confirm(&self.file, offset, &space[..count])? {
                return Ok(Turn::Truncated);
            }
            if count == 0 {
                break;
            }
            self.framer
                .commit(count, &mut |piece| feed.take(&piece, path));
            if feed.holds() {
                break;
            }
        }
        self.seen = None;
        Ok(Turn::Progress)
    }

    fn turn_compressed(
        &mut self,
        stamp: Stamp,
        path: &Path,
        feed: &mut Feed<'_>,
    ) -> Result<Turn, decompress::Error> {
        let Packing::Compressed {
            decompressor,
            read,
            skip,
        } = &mut self.packing
        else {
            return Ok(Turn::Idle);
        };
        if stamp.size < *read {
            return Ok(Turn::Truncated);
        }
        for reads in 0..READS_PER_TURN {
            let space = self.framer.space(READ_BYTES);
            let made = decompressor.read(space, &mut |into| {
                let count = read_at(&self.file, into, *read)?;
                *read += count as u64;
                Ok(count)
            })?;
            if made == 0 && reads == 0 {
                let complete = decompressor.end().is_ok();
                return Ok(if complete { Turn::Complete } else { Turn::Idle });
            }
            let passed = usize::try_from(*skip).map_or(made, |skip| skip.min(made));
            *skip -= passed as u64;
            space.copy_within(passed..made, 0);
            self.framer
                .commit(made - passed, &mut |piece| feed.take(&piece, path));
            if feed.holds() {
                break;
            }
        }
        Ok(Turn::Progress)
    }
}

/// Where the last line of a file of `size` bytes begins, if it has no newline yet; else `size`.
pub(super) fn start_of_last_line(file: &File, size: u64) -> io::Result<u64> {
    let mut bytes = vec![0; 64 << 10];
    let mut end = size;
    while end > 0 {
        let start = end.saturating_sub(bytes.len() as u64);
        // Shorter than the buffer, so it fits.
        let stretch = &mut bytes[..(end - start) as usize];
        let count = read_at(file, stretch, start)?;
        if let Some(newline) = memchr::memrchr(b'\n', &stretch[..count]) {
            return Ok(start + newline as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// How `file` begins, as far as its columns may be named there; of a compressed one, as far as its fingerprint goes.
fn beginning(file: &File, head: &Head) -> Vec<u8> {
    let known = || head.fingerprint.bytes().to_vec();
    match head.is_compressed {
        true => known(),
        // What cannot be read here fails where it is read on.
        false => read_head(file, HEAD_BYTES).unwrap_or_else(|_| known()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;
    use crate::source::Block;

    /// As `copytruncate` leaves it, if the log goes on at once.
    #[test]
    fn a_file_that_is_written_anew_before_a_look_is_begun_again_though_it_is_as_long() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("a.log");
        fs::write(&path, "one\n").unwrap();
        let file = File::open(&path).unwrap();
        let head = Head::of(&file).unwrap();
        let mut fingerprint = head.fingerprint.clone();
        let mut follower = Follower::new(file, &head, 0, None, 1 << 20);
        let mut turn = || {
            let stamp = Stamp::of(&fs::metadata(&path).unwrap());
            let mut nowhere = |_: &Block<'_>| false;
            let feed = &mut Feed::new(&mut nowhere);
            follower.turn(stamp, &mut fingerprint, &path, feed).unwrap()
        };
        assert_eq!(turn(), Turn::Progress);
        assert_eq!(turn(), Turn::Idle);
        fs::write(&path, "two\nsix\n").unwrap();
        assert_eq!(turn(), Turn::Truncated);
        fs::write(&path, "one\nten\n").unwrap();
        assert_eq!(turn(), Turn::Progress);
        fs::write(&path, "two\nsix\n").unwrap();
        assert_eq!(turn(), Turn::Truncated);
    }
}
