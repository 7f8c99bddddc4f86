//! All files of one source: which there are, whose turn it is, and which of them are copies of others.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::File,
    mem,
    ops::Bound,
    path::Path,
    time::{Duration, Instant},
};

use super::{
    COMMIT_INTERVAL, Config, FORGET_AFTER, IDLE, ReadFrom,
    copies::is_copy_name,
    discovery::{FileId, Found, Globs, Stamp, open},
    faults::Faults,
    feed::Feed,
    fingerprint::{Fingerprint, Head},
    past::{Generation, Past},
    positions::{self, Changes},
    shown,
    tracked::{Next, Phase, Tracked},
};
use crate::{
    record::foreign::foreign,
    source::{Context, Error, Stop},
};

/// The files of one source.
pub(super) struct Files<'a> {
    config: &'a Config,
    globs: Globs,
    tracked: BTreeMap<FileId, Tracked>,
    past: Past,
    faults: Faults,
    /// What moved since the last commit, beside the files that are tracked.
    changes: Changes,
    /// The source was never started before, and has not looked for files yet.
    is_first_look: bool,
    /// It was, and has not looked yet for what a rotation made meanwhile of the files it followed.
    is_back: bool,
    /// The files that were there at the very first look, if they are read from their end and could not be opened yet.
    old: HashMap<FileId, Stamp>,
    next_commit: Instant,
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
    /// The file that was known before.
    Same(Box<Generation>),
    /// The copy of a file that was read up to here.
    CopyReadTo(u64),
    /// The copy of what a file held before.
    CopyOf(Box<Generation>),
}

impl<'a> Files<'a> {
    /// Nothing is read yet, nor looked for.
    pub(super) fn new(config: &'a Config, context: &Context) -> Result<Self, Error> {
        let now = Instant::now();
        let globs = Globs::new(config)?;
        let mut changes = Changes::default();
        let saved = positions::read(&context.id, &context.positions, &mut changes);
        Ok(Self {
            config,
            globs,
            tracked: BTreeMap::new(),
            past: Past::of(saved.places),
            faults: Faults::new(context),
            changes,
            is_first_look: saved.is_first_start,
            is_back: !saved.is_first_start,
            old: HashMap::new(),
            next_commit: now,
            next_discovery: now,
            next_look: now,
        })
    }

    /// Looks for new files if it is time.
    pub(super) fn discover_if_due(&mut self) {
        if Instant::now() >= self.next_discovery {
            self.faults.next_round();
            self.discover();
        }
    }

    /// Gives each file a turn. True if any of them had something to read.
    pub(super) fn turn(&mut self, stop: &Stop, feed: &mut Feed<'_>) -> bool {
        let now = Instant::now();
        let looks_at_all = now >= self.next_look;
        if looks_at_all {
            self.next_look = now + IDLE;
        }
        let (mut busy, mut discover) = (false, false);
        let mut from = Bound::Unbounded;
        while let Some((id, file)) = self.tracked.range_mut((from, Bound::Unbounded)).next() {
            let id = *id;
            from = Bound::Excluded(id);
            if stop.is_triggered() {
                break;
            }
            if !looks_at_all && !file.is_busy {
                continue;
            }
            match file.turn(self.config, feed, &mut self.faults) {
                Next::Rest => {}
                Next::More => busy = true,
                Next::Discover => discover = true,
                Next::Truncated(generation) => {
                    self.past.remember(generation, &mut self.changes);
                    discover = true;
                }
                Next::Gone(generation) => {
                    file.leave(&mut self.changes);
                    self.tracked.remove(&id);
                    if let Some(generation) = generation {
                        self.past.remember(generation, &mut self.changes);
                    }
                }
            }
            if feed.holds() {
                self.commit(feed);
            }
        }
        self.finish_past(self.config.rotate_wait, feed);
        if feed.holds() {
            self.commit(feed);
        }
        if discover {
            self.discover();
        }
        busy || discover
    }

    /// Commits what was found and what moved, all that is handed on being before that; waits while the pipeline is full.
    pub(super) fn commit(&mut self, feed: &mut Feed<'_>) {
        self.note_moves();
        feed.commit(&mut self.changes);
    }

    /// Commits what moved if it is time, unless the pipeline is full.
    pub(super) fn commit_if_due(&mut self, feed: &mut Feed<'_>) {
        if Instant::now() >= self.next_commit {
            self.note_moves();
            feed.try_commit(&mut self.changes);
        }
    }

    fn note_moves(&mut self) {
        for file in self.tracked.values_mut() {
            file.note(&mut self.changes);
        }
        self.next_commit = Instant::now() + COMMIT_INTERVAL;
    }

    /// Hands on what would be lost if the source ended now: the last records of files that are gone. Commits for the last time.
    pub(super) fn end(&mut self, feed: &mut Feed<'_>) {
        for file in self.tracked.values_mut() {
            file.end(feed);
        }
        self.finish_past(Duration::ZERO, feed);
        self.commit(feed);
    }

    /// The other half of a record that a truncation cut in two has not turned up: this half is a record, then.
    fn finish_past(&mut self, wait: Duration, feed: &mut Feed<'_>) {
        for (path, mut framer) in self.past.unfinished(wait) {
            feed.finish(&mut framer, path);
        }
    }

    /// Looks for new files.
    pub(super) fn discover(&mut self) {
        let found = self.globs.find(&mut self.faults);
        self.faults.found(!found.is_empty());
        let here: HashSet<FileId> = found.iter().map(|file| file.id).collect();
        for file in found {
            match self.tracked.get_mut(&file.id) {
                None => self.admit(file, true),
                Some(known) => {
                    known.found_at(file.path);
                    if matches!(known.phase, Phase::Parked { seen, .. } if seen != file.stamp) {
                        self.reopen(file.id);
                    }
                }
            }
        }
        if self.is_back {
            for file in self.globs.beside(self.past.paths(), &mut self.faults) {
                if !here.contains(&file.id) {
                    self.admit(file, false);
                }
            }
        }
        let (past, changes) = (&mut self.past, &mut self.changes);
        self.tracked.retain(|id, file| match file.phase {
            Phase::Parked { offset, seen } if !here.contains(id) => {
                file.leave(changes);
                past.remember(file.generation(offset, Some(seen)), changes);
                false
            }
            _ => true,
        });
        self.decide();
        if mem::take(&mut self.is_back) {
            self.past.tell_missing();
        }
        self.past.forget(FORGET_AFTER, &mut self.changes);
        self.is_first_look = false;
        self.next_discovery = Instant::now() + self.config.glob_minimum_cooldown;
    }

    fn admit(&mut self, found: Found, is_named: bool) {
        if self.is_first_look && self.config.read_from == ReadFrom::End {
            self.old.insert(found.id, found.stamp);
        }
        let Some((file, metadata)) = open(&found.path, &mut self.faults) else {
            return;
        };
        // It may have been rotated since it was found.
        let id = FileId::of(&metadata);
        if self.tracked.contains_key(&id) {
            return;
        }
        let phase = Phase::Waiting(file, 0);
        let mut tracked = Tracked::new(id, found.path, phase);
        tracked.is_named = is_named;
        if let Some(seen) = self.old.get(&id)
            && let Err(error) = tracked.skip_to_end(*seen, self.config.max_line_bytes)
        {
            self.faults.cannot_read(&tracked.path, &error);
            return;
        }
        self.old.remove(&id);
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
        let Some((file, metadata)) = open(&known.path, &mut self.faults) else {
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
            known.leave(&mut self.changes);
            let generation = known.generation(offset, None);
            self.past.remember(generation, &mut self.changes);
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
            if let Some(mut file) = self.tracked.remove(&id)
                && self.decide_on(&mut file)
            {
                self.tracked.insert(id, file);
            }
        }
    }

    /// False if the file is nothing to this source.
    fn decide_on(&mut self, waiting: &mut Tracked) -> bool {
        let Phase::Waiting(file, size) = &mut waiting.phase else {
            return true;
        };
        // In this order: what changes after it was looked at is seen to have changed.
        let (Ok(file), Ok(metadata), Ok(head)) =
            (file.try_clone(), file.metadata(), Head::of(file))
        else {
            return true;
        };
        let stamp = Stamp::of(&metadata);
        *size = stamp.size;
        waiting.fingerprint = head.fingerprint.clone();
        let max = self.config.max_line_bytes;
        let verdict = self.judge(waiting.id, &waiting.path, stamp, (&file, &head));
        match verdict {
            Verdict::Wait => return true,
            Verdict::New if !waiting.is_named => return false,
            _ => {}
        }
        self.past.make_way(waiting.id, &mut self.changes);
        let (read_to, generation) = match verdict {
            Verdict::Wait => return true,
            Verdict::Same(known) => {
                waiting.go_on(*known, file, &head, stamp, max);
                return true;
            }
            Verdict::New => {
                if let Some(foreign) = foreign(head.fingerprint.bytes()) {
                    tracing::warn!(path = %shown(&waiting.path), "{foreign}");
                }
                if !head.is_compressed {
                    // It grows with what is read.
                    waiting.fingerprint = Fingerprint::default();
                }
                tracing::debug!(path = %shown(&waiting.path), "found");
                waiting.read_on(file, &head, 0, None, max);
                return true;
            }
            Verdict::CopyReadTo(offset) => (offset, None),
            Verdict::CopyOf(generation) => (generation.read_to(), Some(generation)),
        };
        tracing::debug!(path = %shown(&waiting.path), read_to, "a copy");
        if !head.is_compressed && stamp.size < read_to {
            waiting.phase = Phase::Parked {
                offset: read_to,
                seen: stamp,
            };
            if let Some(generation) = generation {
                self.past.remember(*generation, &mut self.changes);
            }
            return true;
        }
        let offset = generation
            .as_ref()
            .map_or(read_to, |generation| generation.offset);
        let framer = generation.and_then(|generation| generation.framer);
        waiting.read_on(file, &head, offset, framer, max);
        waiting.is_rotated = true;
        true
    }

    /// Tells what the file at `path` is, which began as `head` says when it was last looked at.
    fn judge(
        &mut self,
        id: FileId,
        path: &Path,
        stamp: Stamp,
        (file, head): (&File, &Head),
    ) -> Verdict {
        let fingerprint = &head.fingerprint;
        if fingerprint.is_empty() {
            return Verdict::Wait;
        }
        let changes = &mut self.changes;
        if let Some(known) = self.past.recall_file(path, (id, stamp), head, changes) {
            return Verdict::Same(Box::new(known));
        }
        let mut read_to = None;
        // Its possible originals are looked at after it: one that was truncated before that can no longer be read twice.
        for other in self.tracked.values() {
            if is_copy_name(&other.path, path) && other.may_be_copied_to(file, head) {
                match other.phase {
                    Phase::Parked { offset, .. } => read_to = Some(offset),
                    Phase::Waiting(..) | Phase::Reading(_) => return Verdict::Wait,
                }
            }
        }
        if let Some(offset) = read_to {
            return Verdict::CopyReadTo(offset);
        }
        match self.past.recall_copy(path, fingerprint, changes) {
            Some(generation) => Verdict::CopyOf(Box::new(generation)),
            None => Verdict::New,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::source::Decoding;

    /// As whose permissions are mended later.
    #[test]
    fn a_file_that_cannot_be_opened_at_the_very_first_look_is_read_from_where_it_ended_then() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("a.log");
        fs::write(&path, "old\n").unwrap();
        let config = Config {
            include: Vec::new(),
            exclude: Vec::new(),
            read_from: ReadFrom::End,
            max_line_bytes: 1 << 20,
            decoding: Decoding::Audit,
            glob_minimum_cooldown: Duration::from_secs(1),
            rotate_wait: Duration::from_secs(1),
        };
        let mut files = Files::new(&config, &Context::new(Stop::new().unwrap())).unwrap();
        let metadata = fs::metadata(&path).unwrap();
        let found = |path: &Path| Found {
            path: path.to_owned(),
            id: FileId::of(&metadata),
            stamp: Stamp::of(&metadata),
        };
        files.admit(found(&folder.path().join("nowhere")), true);
        assert!(files.tracked.is_empty());
        files.discover();
        fs::write(&path, "old\nnew\n").unwrap();
        files.admit(found(&path), true);
        match &files.tracked[&FileId::of(&metadata)].phase {
            Phase::Reading(follower) => assert_eq!(follower.offset(), 4),
            _ => panic!("it is read"),
        }
    }
}
