//! What became of files that are gone: how far they had been read, for when a copy of them turns up. At a start
//! this is everything that was stored, until its files are found.

use std::{
    collections::VecDeque,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{
    copies::is_copy_name,
    discovery::{FileId, Stamp},
    fingerprint::{Digest, Fingerprint, Head},
    positions::{Changes, Key, Place},
    shown,
};
use crate::record::framing::Framer;

/// How many are remembered beside the files that are looked for since the start; each takes about a kilobyte.
const REMEMBERED: usize = 1000;

/// What a file held until it was truncated, or let go.
pub(super) struct Generation {
    pub(super) path: PathBuf,
    pub(super) key: Key,
    /// The file of the key still has this content, unless its stamp has changed: it may come back under another name.
    pub(super) seen: Option<Stamp>,
    pub(super) beginning: Beginning,
    /// From where it is to be read on, in decoded bytes: a record begins there.
    pub(super) offset: u64,
    /// A record may have been cut in two by the truncation, and begins at `offset`: its other half may be in the copy.
    pub(super) framer: Option<Framer>,
    /// Nobody wrote to it any more.
    pub(super) is_rotated: bool,
    pub(super) since: Instant,
}

/// How a content began.
pub(super) enum Beginning {
    Known(Fingerprint),
    Stored(Digest),
}

impl Generation {
    pub(super) fn stored(key: Key, place: Place) -> Self {
        Self {
            path: place.path(),
            key,
            seen: place.seen,
            offset: place.offset,
            is_rotated: place.rotated,
            beginning: Beginning::Stored(place.fingerprint),
            framer: None,
            since: Instant::now(),
        }
    }

    /// How far it was read.
    pub(super) fn read_to(&self) -> u64 {
        self.framer.as_ref().map_or(self.offset, Framer::offset)
    }

    /// What is stored of it; nothing if it is to be read from its beginning anyway.
    fn place(&self) -> Option<Place> {
        let fingerprint = match &self.beginning {
            Beginning::Known(fingerprint) => fingerprint.digest(),
            Beginning::Stored(digest) => digest.clone(),
        };
        (self.offset > 0).then(|| Place {
            rotated: self.is_rotated,
            seen: self.seen,
            ..Place::new(&self.path, self.offset, fingerprint)
        })
    }

    /// The file `id` at `path` still holds it, or what has grown out of it since the last start.
    fn is_in(&self, path: &Path, id: FileId, stamp: Stamp, head: &Head) -> bool {
        let same_file = self.key.id == id
            // A device may have another number after the machine was started anew.
            || (self.key.id.inode == id.inode && self.path == path);
        let is_unchanged = self.seen == Some(stamp);
        let may_have_grown =
            self.key.past == 0 && (head.is_compressed || stamp.size >= self.offset);
        same_file && (is_unchanged || may_have_grown) && self.begins(&head.fingerprint)
    }

    fn begins(&self, fingerprint: &Fingerprint) -> bool {
        match &self.beginning {
            Beginning::Known(known) => known.agrees_with(fingerprint),
            Beginning::Stored(digest) => digest.agrees_with(fingerprint),
        }
    }
}

/// The generations that are gone, oldest first.
#[derive(Default)]
pub(super) struct Past(VecDeque<Generation>);

impl Past {
    /// What was stored when the source last ran.
    pub(super) fn of(places: Vec<(Key, Place)>) -> Self {
        let generation = |(key, place)| Generation::stored(key, place);
        Self(places.into_iter().map(generation).collect())
    }

    /// Where what is remembered stood.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|generation| generation.path.as_path())
    }

    /// Tells of the files that were followed when the source last ran, and of which nothing is found.
    pub(super) fn tell_missing(&self) {
        let is_missing =
            |generation: &&Generation| generation.key.past == 0 && !generation.is_rotated;
        let mut missing = self.0.iter().filter(is_missing);
        if let Some(first) = missing.next() {
            tracing::warn!(
                path = %shown(&first.path),
                read_to = first.offset,
                others = missing.count(),
                "gone since the last start: what was written to it behind that is not read"
            );
        }
    }

    pub(super) fn remember(&mut self, mut generation: Generation, changes: &mut Changes) {
        if matches!(&generation.beginning, Beginning::Known(known) if known.is_empty()) {
            return;
        }
        let is_over = |generation: &Generation| generation.key.past > 0;
        if self.0.len() >= REMEMBERED
            && let Some(oldest) = self.0.iter().position(is_over)
        {
            self.take(oldest, changes);
        }
        generation.key = self.free_key(generation.key.id);
        if let Some(place) = generation.place() {
            changes.set(generation.key, Some(&place));
        }
        self.0.push_back(generation);
    }

    /// Takes out what was stored of the very file at `path`, if it still holds that.
    pub(super) fn recall_file(
        &mut self,
        path: &Path,
        (id, stamp): (FileId, Stamp),
        head: &Head,
        changes: &mut Changes,
    ) -> Option<Generation> {
        let is_it = |generation: &Generation| generation.is_in(path, id, stamp, head);
        let index = self.0.iter().rposition(is_it)?;
        self.take(index, changes)
    }

    /// Takes out the generation of which the file at `path` is a copy.
    pub(super) fn recall_copy(
        &mut self,
        path: &Path,
        fingerprint: &Fingerprint,
        changes: &mut Changes,
    ) -> Option<Generation> {
        let index = self.0.iter().rposition(|generation| {
            is_copy_name(&generation.path, path) && generation.begins(fingerprint)
        })?;
        self.take(index, changes)
    }

    /// What is stored of the file `id` is not what it holds: the key is wanted for that.
    pub(super) fn make_way(&mut self, id: FileId, changes: &mut Changes) {
        let key = Key { id, past: 0 };
        if let Some(index) = self.0.iter().position(|generation| generation.key == key)
            && let Some(mut generation) = self.take(index, changes)
        {
            generation.seen = None;
            self.remember(generation, changes);
        }
    }

    /// Those whose unfinished record has waited for `wait`, with that.
    pub(super) fn unfinished(
        &mut self,
        wait: Duration,
    ) -> impl Iterator<Item = (&Path, Framer)> + '_ {
        self.0.iter_mut().filter_map(move |generation| {
            let framer = generation
                .framer
                .take_if(|_| generation.since.elapsed() >= wait)?;
            Some((generation.path.as_path(), framer))
        })
    }

    /// Forgets what was gone for `wait`; but not as long as nobody can tell whether it is gone.
    pub(super) fn forget(&mut self, wait: Duration, changes: &mut Changes) {
        for index in (0..self.0.len()).rev() {
            let generation = &mut self.0[index];
            if generation.since.elapsed() < wait {
                continue;
            }
            match fs::symlink_metadata(&generation.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    generation.since = Instant::now();
                }
                _ => drop(self.take(index, changes)),
            }
        }
    }

    fn take(&mut self, index: usize, changes: &mut Changes) -> Option<Generation> {
        let generation = self.0.remove(index)?;
        changes.set(generation.key, None);
        Some(generation)
    }

    fn free_key(&self, id: FileId) -> Key {
        let is_free = |key: &Key| self.0.iter().all(|generation| generation.key != *key);
        let keys = (1..).map(|past| Key { id, past });
        // There are more numbers than generations.
        keys.take(self.0.len() + 1)
            .find(is_free)
            .unwrap_or(Key { id, past: u32::MAX })
    }
}
