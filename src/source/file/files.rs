//! All files of one source: which there are, whose turn it is, and which of them are copies of others.

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
    time::{Duration, Instant},
};

use super::{
    Config, IDLE, ReadFrom,
    discovery::{FileId, Found, Globs, Stamp, is_copy_name},
    fingerprint::{Fingerprint, Head},
    follow::finish,
    past::{Generation, Past},
    tracked::{Next, Phase, Tracked},
};
use crate::source::{Error, Outlet, Stop};

/// The files of one source.
pub(super) struct Files<'a> {
    config: &'a Config,
    globs: Globs,
    tracked: BTreeMap<FileId, Tracked>,
    past: Past,
    /// No look for new files yet.
    is_start: bool,
    next_discovery: Instant,
    /// When files that rest are looked at again.
    next_look: Instant,
}

/// What a newly found file is.
enum Verdict {
    /// Nothing that is known.
    New,
    /// The copy of a file that is still being read, or too short to tell.
    Wait,
    /// The copy of a file that was read up to here.
    CopyReadTo(u64),
    /// What a file held before.
    Past(Box<Generation>),
}

impl<'a> Files<'a> {
    pub(super) fn new(config: &'a Config) -> Result<Self, Error> {
        let now = Instant::now();
        Ok(Self {
            config,
            globs: Globs::new(config)?,
            tracked: BTreeMap::new(),
            past: Past::default(),
            is_start: true,
            next_discovery: now,
            next_look: now,
        })
    }

    /// Looks for new files if it is time.
    pub(super) fn discover_if_due(&mut self) {
        if Instant::now() >= self.next_discovery {
            self.discover();
        }
    }

    /// Gives each file a turn. True if any of them had something to read.
    pub(super) fn turn(&mut self, stop: &Stop, outlet: &mut dyn Outlet) -> bool {
        let now = Instant::now();
        let looks_at_all = now >= self.next_look;
        if looks_at_all {
            self.next_look = now + IDLE;
        }
        let (mut busy, mut discover) = (false, false);
        let mut gone = Vec::new();
        for (id, file) in &mut self.tracked {
            if stop.is_triggered() {
                break;
            }
            if !looks_at_all && !file.is_busy {
                continue;
            }
            match file.turn(self.config.rotate_wait, self.config.max_line_bytes, outlet) {
                Next::Rest => {}
                Next::More => busy = true,
                Next::Discover => discover = true,
                Next::Truncated(generation) => {
                    self.past.remember(generation);
                    discover = true;
                }
                Next::Gone(generation) => gone.push((*id, generation)),
            }
        }
        for (id, generation) in gone {
            self.tracked.remove(&id);
            if let Some(generation) = generation {
                self.past.remember(generation);
            }
        }
        self.finish_past(self.config.rotate_wait, outlet);
        if discover {
            self.discover();
        }
        busy || discover
    }

    /// Hands on what would be lost if the source ended now: the last records of files that were rotated away.
    pub(super) fn end(&mut self, outlet: &mut dyn Outlet) {
        for file in self.tracked.values_mut() {
            file.end(outlet);
        }
        self.finish_past(Duration::ZERO, outlet);
    }

    /// The other half of a record that a truncation cut in two has not turned up: this half is a record, then.
    fn finish_past(&mut self, wait: Duration, outlet: &mut dyn Outlet) {
        for (path, mut framer) in self.past.unfinished(wait) {
            finish(&mut framer, path, outlet);
        }
    }

    fn discover(&mut self) {
        let found = self.globs.find();
        let here: HashSet<FileId> = found.iter().map(|file| file.id).collect();
        for file in found {
            match self.tracked.get_mut(&file.id) {
                None => self.admit(file),
                Some(known) => {
                    known.found_at(file.path);
                    if matches!(known.phase, Phase::Parked { seen, .. } if seen != file.stamp) {
                        self.reopen(file.id);
                    }
                }
            }
        }
        let past = &mut self.past;
        self.tracked.retain(|id, file| match file.phase {
            Phase::Parked { offset, seen } if !here.contains(id) => {
                past.remember(file.generation(offset, Some(seen)));
                false
            }
            _ => true,
        });
        self.decide();
        self.is_start = false;
        self.next_discovery = Instant::now() + self.config.glob_minimum_cooldown;
    }

    fn admit(&mut self, found: Found) {
        let Some((file, metadata)) = self.globs.open(&found.path) else {
            return;
        };
        // It may have been rotated since it was found.
        let id = FileId::of(&metadata);
        if self.tracked.contains_key(&id) {
            return;
        }
        let phase = Phase::Waiting(file, 0);
        let mut tracked = Tracked::new(id, found.path, phase);
        if self.is_start
            && self.config.read_from == ReadFrom::End
            && let Err(error) = tracked.skip_to_end(self.config.max_line_bytes)
        {
            tracing::warn!(path = %tracked.path.display(), %error, "cannot find the end");
            return;
        }
        self.tracked.insert(id, tracked);
    }

    /// A file that was read to its end and closed has changed.
    fn reopen(&mut self, id: FileId) {
        let Some(mut known) = self.tracked.remove(&id) else {
            return;
        };
        let Phase::Parked { offset, seen } = known.phase else {
            return;
        };
        let Some((file, metadata)) = self.globs.open(&known.path) else {
            self.tracked.insert(id, known);
            return;
        };
        let Ok(head) = Head::of(&file) else {
            self.tracked.insert(id, known);
            return;
        };
        let same = FileId::of(&metadata) == id && head.fingerprint.agrees_with(&known.fingerprint);
        let stamp = Stamp::of(&metadata);
        if same && (head.is_compressed || stamp.size >= offset) {
            known.read_on(file, &head, offset, None, self.config.max_line_bytes);
            known.is_rotated = false;
        } else if same && stamp.size >= seen.size {
            // A copy that has not come as far as its original was read.
            known.phase = Phase::Parked {
                offset,
                seen: stamp,
            };
        } else {
            self.past.remember(known.generation(offset, None));
            known = Tracked::new(FileId::of(&metadata), known.path, Phase::Waiting(file, 0));
        }
        self.tracked.insert(known.id, known);
    }

    /// Decides what becomes of the files that wait; of originals before their copies.
    fn decide(&mut self) {
        let mut waiting: Vec<(usize, FileId)> = self
            .tracked
            .values()
            .filter(|file| matches!(file.phase, Phase::Waiting(..)))
            .map(|file| (file.path.as_os_str().len(), file.id))
            .collect();
        waiting.sort_unstable();
        for (_, id) in waiting {
            if let Some(mut file) = self.tracked.remove(&id) {
                self.decide_on(&mut file);
                self.tracked.insert(id, file);
            }
        }
    }

    fn decide_on(&mut self, waiting: &mut Tracked) {
        let Phase::Waiting(file, size) = &mut waiting.phase else {
            return;
        };
        // In this order: what changes after it was looked at is seen to have changed.
        let (Ok(file), Ok(metadata), Ok(head)) =
            (file.try_clone(), file.metadata(), Head::of(file))
        else {
            return;
        };
        let stamp = Stamp::of(&metadata);
        *size = stamp.size;
        waiting.fingerprint = head.fingerprint.clone();
        let max = self.config.max_line_bytes;
        let verdict = self.judge(waiting.id, &waiting.path, stamp, &head.fingerprint);
        let (offset, generation) = match verdict {
            Verdict::Wait => return,
            Verdict::New => {
                if !head.is_compressed {
                    // It grows with what is read.
                    waiting.fingerprint = Fingerprint::default();
                }
                tracing::debug!(path = %waiting.path.display(), "found");
                waiting.read_on(file, &head, 0, None, max);
                return;
            }
            Verdict::CopyReadTo(offset) => (offset, None),
            Verdict::Past(generation) => (generation.offset, Some(generation)),
        };
        tracing::debug!(path = %waiting.path.display(), offset, "found again");
        if !head.is_compressed && stamp.size < offset {
            waiting.phase = Phase::Parked {
                offset,
                seen: stamp,
            };
            if let Some(generation) = generation {
                self.past.remember(*generation);
            }
            return;
        }
        let framer = generation.and_then(|generation| generation.framer);
        waiting.read_on(file, &head, offset, framer, max);
        waiting.is_rotated = true;
    }

    /// Tells what the file at `path` is, which began with `fingerprint` when it was last looked at.
    fn judge(
        &mut self,
        id: FileId,
        path: &Path,
        stamp: Stamp,
        fingerprint: &Fingerprint,
    ) -> Verdict {
        if fingerprint.is_empty() {
            return Verdict::Wait;
        }
        let mut read_to = None;
        // Its possible originals are looked at after it: one that was truncated before that can no longer be read twice.
        for other in self.tracked.values() {
            if is_copy_name(&other.path, path) && other.agrees_with(fingerprint) {
                match other.phase {
                    Phase::Parked { offset, .. } => read_to = Some(offset),
                    Phase::Waiting(..) | Phase::Reading(_) => return Verdict::Wait,
                }
            }
        }
        if let Some(offset) = read_to {
            return Verdict::CopyReadTo(offset);
        }
        match self.past.recall(path, (id, stamp), fingerprint) {
            Some(generation) => Verdict::Past(Box::new(generation)),
            None => Verdict::New,
        }
    }
}
