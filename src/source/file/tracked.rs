//! One file that is known, from its discovery until it is forgotten.

use std::{
    fs::{self, File},
    io,
    path::PathBuf,
    time::{Duration, Instant},
};

use super::{
    Config,
    discovery::{FileId, Stamp},
    faults::Faults,
    feed::Feed,
    fingerprint::{Fingerprint, Head},
    follow::{Follower, Turn, start_of_last_line},
    past::{Beginning, Generation},
    positions::{Changes, Key, Place},
    shown,
};
use crate::record::framing::Framer;

/// A file that is known.
pub(super) struct Tracked {
    pub(super) id: FileId,
    /// Where it was seen last.
    pub(super) path: PathBuf,
    /// How it began as far as it was read; for a file that waits, how it began when looked at.
    pub(super) fingerprint: Fingerprint,
    pub(super) phase: Phase,
    /// A glob names it; else it is followed only if it is what a rotation made of a file that was.
    pub(super) is_named: bool,
    /// Where it stood before it was rotated away, as long as nothing has taken that place.
    vacant: Option<PathBuf>,
    /// It was renamed or deleted, or is the copy that a rotation made: it will be let go.
    pub(super) is_rotated: bool,
    /// There may be more to read right away.
    pub(super) is_busy: bool,
    /// When it was last seen to grow.
    last_growth: Instant,
    /// How often it became another file to whoever knows it by name and beginning.
    changed: u32,
    /// What stands in its stored position, or is about to; `None` if it has none.
    noted: Option<Mark>,
}

/// What of a file shows that its position has to be stored anew.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Mark {
    offset: u64,
    fingerprint: usize,
    is_rotated: bool,
    seen: Option<Stamp>,
    changed: u32,
}

/// What is being done with a file.
pub(super) enum Phase {
    /// It is empty, or the copy of a file that is still being read. With the size at which that was found.
    Waiting(File, u64),
    Reading(Box<Follower>),
    /// It was read to its end, to this offset, and closed.
    Parked {
        offset: u64,
        seen: Stamp,
    },
}

/// What a turn of a file calls for.
pub(super) enum Next {
    /// Nothing.
    Rest,
    /// Another turn, soon.
    More,
    /// A look for new files: this one has left its place, or its place was taken.
    Discover,
    /// The file was truncated: this is what it had been. It is read on from its beginning.
    Truncated(Generation),
    /// It is to be forgotten, except for this.
    Gone(Option<Generation>),
}

impl Tracked {
    pub(super) fn new(id: FileId, path: PathBuf, phase: Phase) -> Self {
        Self {
            id,
            path,
            fingerprint: Fingerprint::default(),
            phase,
            is_named: true,
            vacant: None,
            is_rotated: false,
            is_busy: true,
            last_growth: Instant::now(),
            changed: 0,
            noted: None,
        }
    }

    /// Passes over what was in the file when it was `seen` so. Not for one that is empty.
    pub(super) fn skip_to_end(&mut self, seen: Stamp, max_line_bytes: usize) -> io::Result<()> {
        let Phase::Waiting(file, _) = &self.phase else {
            return Ok(());
        };
        let head = Head::of(file)?;
        if head.is_compressed {
            self.phase = Phase::Parked {
                offset: u64::MAX,
                seen,
            };
        } else if !head.fingerprint.is_empty() {
            let offset = start_of_last_line(file, seen.size)?;
            let file = file.try_clone()?;
            self.read_on(file, &head, offset, None, max_line_bytes);
        }
        self.fingerprint = head.fingerprint;
        Ok(())
    }

    /// Begins to read `file`, which begins as `head` says, at `offset`.
    pub(super) fn read_on(
        &mut self,
        file: File,
        head: &Head,
        offset: u64,
        framer: Option<Framer>,
        max_line_bytes: usize,
    ) {
        let follower = Follower::new(file, head, offset, framer, max_line_bytes);
        self.phase = Phase::Reading(Box::new(follower));
        self.is_busy = true;
    }

    /// It is what was known as `known`: goes on from there.
    pub(super) fn go_on(
        &mut self,
        known: Generation,
        file: File,
        head: &Head,
        stamp: Stamp,
        max_line_bytes: usize,
    ) {
        let offset = known.offset;
        tracing::debug!(path = %shown(&self.path), offset, "found again");
        // A stored path is text.
        let is_renamed = known.path.to_string_lossy() != self.path.to_string_lossy();
        self.is_rotated = known.is_rotated || is_renamed;
        if known.seen == Some(stamp) {
            self.phase = Phase::Parked {
                offset,
                seen: stamp,
            };
        } else {
            self.read_on(file, head, offset, known.framer, max_line_bytes);
        }
    }

    /// It was found at `path`.
    pub(super) fn found_at(&mut self, path: PathBuf) {
        if self.path != path {
            let left = std::mem::replace(&mut self.path, path);
            self.changed += 1;
            self.rotated(left);
        }
    }

    /// Looks at the file and reads on.
    pub(super) fn turn(
        &mut self,
        config: &Config,
        feed: &mut Feed<'_>,
        faults: &mut Faults,
    ) -> Next {
        match &mut self.phase {
            Phase::Parked { .. } => return Next::Rest,
            Phase::Waiting(file, size) => {
                let changed = file
                    .metadata()
                    .is_ok_and(|metadata| metadata.len() != *size);
                if changed {
                    return Next::Discover;
                }
                let let_go = self.is_rotated && self.rests_for(config.rotate_wait);
                if let_go && !self.is_at_its_path() {
                    return Next::Gone(None);
                }
            }
            Phase::Reading(_) => {
                let next = self.read(config, feed, faults);
                self.is_busy = matches!(next, Next::More | Next::Truncated(_));
                if !matches!(next, Next::Rest) {
                    return next;
                }
            }
        }
        if self.place_has_changed() {
            Next::Discover
        } else {
            Next::Rest
        }
    }

    fn read(&mut self, config: &Config, feed: &mut Feed<'_>, faults: &mut Faults) -> Next {
        let Phase::Reading(follower) = &mut self.phase else {
            return Next::Rest;
        };
        // What comes after this look has changed the file.
        let mut seen = None;
        let turn = match follower.file().metadata() {
            Ok(metadata) => {
                let stamp = *seen.insert(Stamp::of(&metadata));
                follower.turn(stamp, &mut self.fingerprint, &self.path, feed)
            }
            Err(error) => Err(error.into()),
        };
        match turn {
            Ok(Turn::Progress) => {
                self.last_growth = Instant::now();
                Next::More
            }
            Ok(Turn::Truncated) => self.truncated(config.max_line_bytes),
            Ok(Turn::Complete) => self.park(seen, feed),
            Ok(Turn::Idle) if self.is_rotated && self.rests_for(config.rotate_wait) => {
                self.park(seen, feed)
            }
            Ok(Turn::Idle) => Next::Rest,
            Err(error) => {
                faults.cannot_read(&self.path, &error);
                // It may pass, as on a network's file system.
                let let_go = self.is_rotated && self.rests_for(config.rotate_wait);
                match let_go && !self.is_at_its_path() {
                    true => self.park(seen, feed),
                    false => Next::Rest,
                }
            }
        }
    }

    /// Closes the file, which was `seen` so before its end was found. What is known of it is kept as long as it has a name.
    fn park(&mut self, seen: Option<Stamp>, feed: &mut Feed<'_>) -> Next {
        let Phase::Reading(follower) = &mut self.phase else {
            return Next::Rest;
        };
        follower.finish(&self.path, feed);
        let offset = follower.offset();
        match seen {
            Some(seen) if self.is_at_its_path() => {
                self.phase = Phase::Parked { offset, seen };
                Next::Rest
            }
            seen => Next::Gone(Some(self.generation(offset, seen))),
        }
    }

    /// The file is not what it was. It goes on from its beginning.
    fn truncated(&mut self, max_line_bytes: usize) -> Next {
        let Phase::Reading(follower) = &mut self.phase else {
            return Next::Rest;
        };
        let offset = follower.resumable_at();
        let framer = follower.restart(max_line_bytes);
        self.changed += 1;
        tracing::debug!(path = %shown(&self.path), offset, "truncated");
        let generation = Generation {
            framer: Some(framer),
            ..self.generation(offset, None)
        };
        Next::Truncated(generation)
    }

    /// What is to be remembered of it: how far it was read, and how it can be known again under another name.
    pub(super) fn generation(&mut self, offset: u64, seen: Option<Stamp>) -> Generation {
        Generation {
            path: self.path.clone(),
            key: self.key(),
            seen,
            beginning: Beginning::Known(std::mem::take(&mut self.fingerprint)),
            offset,
            framer: None,
            is_rotated: self.is_rotated,
            since: Instant::now(),
        }
    }

    /// True once after the file has left its place, and once more when something has taken it.
    fn place_has_changed(&mut self) -> bool {
        if let Some(place) = &self.vacant {
            let is_taken = place.exists();
            if is_taken {
                self.vacant = None;
            }
            return is_taken;
        }
        if self.is_rotated || self.is_at_its_path() {
            return false;
        }
        self.rotated(self.path.clone());
        true
    }

    pub(super) fn is_at_its_path(&self) -> bool {
        match fs::metadata(&self.path) {
            Ok(metadata) => FileId::of(&metadata) == self.id,
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }

    /// It is no longer at `left`, where something else will stand soon.
    fn rotated(&mut self, left: PathBuf) {
        tracing::debug!(path = %shown(&left), "rotated");
        self.is_rotated = true;
        self.vacant = Some(left);
        self.last_growth = Instant::now();
    }

    fn rests_for(&self, time: Duration) -> bool {
        self.last_growth.elapsed() >= time
    }

    /// All that is left of it is handed on if the next run will not find the file.
    pub(super) fn end(&mut self, feed: &mut Feed<'_>) {
        let is_lost = self.is_rotated && !self.is_at_its_path();
        if let Phase::Reading(follower) = &mut self.phase
            && is_lost
        {
            follower.finish(&self.path, feed);
        }
    }

    /// Adds its position to `changes` if it has moved.
    pub(super) fn note(&mut self, changes: &mut Changes) {
        let mark = self.mark();
        if mark != self.noted {
            self.noted = mark;
            changes.set(self.key(), mark.map(|mark| self.place(mark)).as_ref());
        }
    }

    /// It is let go, and has no position any more.
    pub(super) fn leave(&mut self, changes: &mut Changes) {
        if self.noted.take().is_some() {
            changes.set(self.key(), None);
        }
    }

    fn key(&self) -> Key {
        Key {
            id: self.id,
            past: 0,
        }
    }

    /// `None` while it is to be read from its beginning anyway.
    fn mark(&self) -> Option<Mark> {
        let (offset, seen) = match &self.phase {
            Phase::Waiting(..) => return None,
            Phase::Reading(follower) => (follower.resumable_at(), None),
            Phase::Parked { offset, seen } => (*offset, Some(*seen)),
        };
        let is_known = offset > 0 && !self.fingerprint.is_empty();
        is_known.then(|| Mark {
            offset,
            fingerprint: self.fingerprint.length(),
            is_rotated: self.is_rotated,
            seen,
            changed: self.changed,
        })
    }

    fn place(&self, mark: Mark) -> Place {
        Place {
            rotated: mark.is_rotated,
            seen: mark.seen,
            ..Place::new(&self.path, mark.offset, self.fingerprint.digest())
        }
    }
}
