//! Finds the files that the globs name.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use glob::Pattern;
use jiff::Timestamp;
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

use super::{Config, copies::is_copy_name, faults::Faults};
use crate::source::Error;

/// A file whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FileId {
    pub(super) device: u64,
    pub(super) inode: u64,
}

impl FileId {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

/// What shows that a file has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    pub(super) size: u64,
    modified: Timestamp,
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        // Nanoseconds are always within a second; a file system may hold years beyond what is a time here.
        let modified = Timestamp::new(metadata.mtime(), metadata.mtime_nsec() as i32);
        Self {
            size: metadata.size(),
            modified: modified.unwrap_or_default(),
        }
    }
}

/// A file that a glob names.
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) id: FileId,
    pub(super) stamp: Stamp,
}

/// The globs.
pub(super) struct Globs {
    include: Vec<String>,
    exclude: Vec<Pattern>,
}

impl Globs {
    pub(super) fn new(config: &Config) -> Result<Self, Error> {
        let pattern = |text: &String| {
            Pattern::new(text).map_err(|source| Error::Glob {
                glob: text.clone(),
                source,
            })
        };
        for text in &config.include {
            pattern(text)?;
        }
        let exclude = config
            .exclude
            .iter()
            .map(pattern)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            include: config.include.clone(),
            exclude,
        })
    }

    /// All files that there are now, each once, even if it has several paths. The name of a copy is longer than that of
    /// its original, and comes behind it.
    pub(super) fn find(&self, faults: &mut Faults) -> Vec<Found> {
        let mut paths = Vec::new();
        for text in &self.include {
            // A directory that is not there yet is no error to `glob`.
            for entry in glob::glob(text).into_iter().flatten() {
                match entry {
                    Ok(path) => paths.push(path),
                    Err(error) => tell(faults, error.path(), error.error()),
                }
            }
        }
        self.files(paths, faults)
    }

    /// What a rotation may have made of the files at `known`, beside them, also what no glob names. In the order of
    /// [`find`](Self::find).
    pub(super) fn beside<'p>(
        &self,
        known: impl Iterator<Item = &'p Path>,
        faults: &mut Faults,
    ) -> Vec<Found> {
        let mut folders: BTreeMap<&Path, Vec<&Path>> = BTreeMap::new();
        for path in known {
            if let Some(folder) = path.parent() {
                folders.entry(folder).or_default().push(path);
            }
        }
        let mut paths = Vec::new();
        for (folder, known) in folders {
            // One that is gone, or that nobody may list, has nothing to read.
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            let copies = entries.map(|entry| entry.path());
            paths.extend(copies.filter(|copy| known.iter().any(|path| is_copy_name(path, copy))));
        }
        self.files(paths, faults)
    }

    fn files(&self, mut paths: Vec<PathBuf>, faults: &mut Faults) -> Vec<Found> {
        paths.retain(|path| !self.exclude.iter().any(|glob| glob.matches_path(path)));
        paths.sort_by_cached_key(|path| (path.as_os_str().len(), path.clone()));
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        for path in paths {
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_file() => {
                    let id = FileId::of(&metadata);
                    if seen.insert(id) {
                        found.push(Found {
                            path,
                            id,
                            stamp: Stamp::of(&metadata),
                        });
                    }
                }
                Ok(_) => {}
                Err(error) => tell(faults, &path, &error),
            }
        }
        found
    }
}

/// Opens a file; `None` if that fails.
pub(super) fn open(path: &Path, faults: &mut Faults) -> Option<(File, Metadata)> {
    try_open(path)
        .inspect_err(|error| tell(faults, path, error))
        .ok()
}

fn try_open(path: &Path) -> io::Result<(File, Metadata)> {
    // Should it have become a FIFO meanwhile, opening it must not block.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    Ok((file, metadata))
}

fn tell(faults: &mut Faults, path: &Path, error: &io::Error) {
    // Rotated away between two steps: that is no fault.
    if error.kind() != io::ErrorKind::NotFound {
        faults.cannot_read(path, error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_told_and_tried_again() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("a.log");
        std::os::unix::fs::symlink(&path, &path).unwrap();
        let globs = Globs {
            include: vec![folder.path().join("*.log").display().to_string()],
            exclude: Vec::new(),
        };
        let mut faults = Faults::default();
        assert!(globs.find(&mut faults).is_empty() && globs.find(&mut faults).is_empty());
        assert_eq!(faults.paths(), [&path], "a link to itself");
        fs::remove_file(&path).unwrap();
        fs::write(&path, "text").unwrap();
        faults.next_round();
        assert_eq!(globs.find(&mut faults).len(), 1);
        assert!(open(&path, &mut faults).is_some() && faults.paths().is_empty());
    }
}
