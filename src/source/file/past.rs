//! What became of files that are gone: how far they had been read, for when a copy of them turns up.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{
    discovery::{FileId, Stamp, is_copy_name},
    fingerprint::Fingerprint,
};
use crate::record::framing::Framer;

/// How many are remembered; each takes about a kilobyte.
const REMEMBERED: usize = 1000;

/// What a file held until it was truncated, or let go.
pub(super) struct Generation {
    pub(super) path: PathBuf,
    /// The file that still has this content, unless its stamp has changed: it may come back under another name.
    pub(super) identity: Option<(FileId, Stamp)>,
    pub(super) fingerprint: Fingerprint,
    /// How far it was read, in decoded bytes.
    pub(super) offset: u64,
    /// A record may have been cut in two by the truncation: its other half may be in the copy.
    pub(super) framer: Option<Framer>,
    pub(super) since: Instant,
}

/// The generations that are gone, oldest first.
#[derive(Default)]
pub(super) struct Past(VecDeque<Generation>);

impl Past {
    pub(super) fn remember(&mut self, generation: Generation) {
        if generation.fingerprint.is_empty() {
            return;
        }
        if self.0.len() >= REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(generation);
    }

    /// Takes out the generation that the file at `path` holds: because it is that very file, or a copy of it.
    pub(super) fn recall(
        &mut self,
        path: &Path,
        identity: (FileId, Stamp),
        fingerprint: &Fingerprint,
    ) -> Option<Generation> {
        let index = self.0.iter().rposition(|generation| {
            let is_it = generation.identity == Some(identity);
            (is_it || is_copy_name(&generation.path, path))
                && generation.fingerprint.agrees_with(fingerprint)
        })?;
        self.0.remove(index)
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
}
