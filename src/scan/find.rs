//! Arguments to inputs: files, directories, globs and `-`.

use std::{
    fs::{self, DirEntry},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use tracing::info;

use super::{
    Trouble,
    inputs::{Inputs, Kind},
};

/// The argument that stands for standard input.
const STDIN: &str = "-";

/// What was found.
pub(super) struct Found {
    pub inputs: Inputs,
    /// The bytes of all files; `None` if a stream is among the inputs, which tells no length.
    pub bytes: Option<u64>,
}

/// What `arguments` name. What cannot be found is told to `trouble`, and passed.
///
/// # Errors
/// If the scratch database fails.
pub(super) fn find(
    arguments: &[PathBuf],
    trouble: &mut dyn FnMut(Trouble),
) -> rusqlite::Result<Found> {
    let mut finder = Finder {
        found: Found {
            inputs: Inputs::new()?,
            bytes: Some(0),
        },
        argument: 0,
        trouble,
    };
    for argument in arguments {
        finder.argument(argument)?;
        finder.argument += 1;
    }
    Ok(finder.found)
}

struct Finder<'t> {
    found: Found,
    /// The number of the argument.
    argument: i64,
    trouble: &'t mut dyn FnMut(Trouble),
}

impl Finder<'_> {
    fn argument(&mut self, argument: &Path) -> rusqlite::Result<()> {
        if argument == Path::new(STDIN) {
            self.found.bytes = None;
            return self.add(argument, Kind::Stdin);
        }
        let is_missing =
            || fs::metadata(argument).is_err_and(|error| error.kind() == ErrorKind::NotFound);
        match argument.to_str() {
            Some(pattern) if pattern.contains(['*', '?', '[']) && is_missing() => {
                self.glob(pattern)
            }
            _ => self.named(argument),
        }
    }

    /// What fits a pattern that the shell has left as it is.
    fn glob(&mut self, pattern: &str) -> rusqlite::Result<()> {
        let paths = match glob::glob(pattern) {
            Ok(paths) => paths,
            Err(error) => {
                self.tell(Path::new(pattern), error);
                return Ok(());
            }
        };
        let mut is_empty = true;
        for path in paths {
            is_empty = false;
            match path {
                Ok(path) => self.named(&path)?,
                Err(error) => self.tell(error.path(), error.error()),
            }
        }
        if is_empty {
            self.tell(Path::new(pattern), "no file fits");
        }
        Ok(())
    }

    /// A file, or the files in a directory.
    fn named(&mut self, path: &Path) -> rusqlite::Result<()> {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.directory(path)?,
            Ok(metadata) => {
                let bytes = self.found.bytes.filter(|_| metadata.is_file());
                self.found.bytes = bytes.map(|bytes| bytes + metadata.len());
                self.add(path, Kind::Named)?;
            }
            Err(error) => self.tell(path, error),
        }
        Ok(())
    }

    /// All regular files under `directory`, hidden ones too. Links to files are followed; links to directories are not,
    /// since they may lead in a circle.
    fn directory(&mut self, directory: &Path) -> rusqlite::Result<()> {
        let mut is_empty = true;
        let mut next = Some(directory.to_owned());
        while let Some(folder) = next {
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => Some(entries),
                Err(error) => {
                    self.tell(&folder, error);
                    None
                }
            };
            for entry in entries.into_iter().flatten() {
                match entry.and_then(|entry| kind(&entry)) {
                    Ok((path, Entry::Folder)) => self.found.inputs.add_folder(&path)?,
                    Ok((path, Entry::File(bytes))) => {
                        is_empty = false;
                        self.found.bytes = self.found.bytes.map(|sum| sum + bytes);
                        self.add(&path, Kind::Listed)?;
                    }
                    Ok((path, Entry::LinkToFolder)) => {
                        info!(path = %path.display(), "not followed: a link to a directory");
                    }
                    Ok((_, Entry::Other)) => {}
                    Err(error) => self.tell(&folder, error),
                }
            }
            next = self.found.inputs.next_folder()?;
        }
        if is_empty {
            self.tell(directory, "there is no file in it");
        }
        Ok(())
    }

    fn add(&mut self, path: &Path, kind: Kind) -> rusqlite::Result<()> {
        self.found.inputs.add(self.argument, path, kind)
    }

    fn tell(&mut self, path: &Path, reason: impl ToString) {
        (self.trouble)(Trouble::new(path, reason));
    }
}

/// What lies in a directory.
enum Entry {
    /// With its length in bytes.
    File(u64),
    Folder,
    LinkToFolder,
    /// A FIFO, a socket or a device.
    Other,
}

fn kind(entry: &DirEntry) -> io::Result<(PathBuf, Entry)> {
    let path = entry.path();
    let itself = entry.file_type()?;
    let metadata = match itself.is_symlink() {
        // A link that leads nowhere is told by its own name: the file that was meant is missing.
        true => fs::metadata(&path).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        })?,
        false => entry.metadata()?,
    };
    let kind = if metadata.is_file() {
        Entry::File(metadata.len())
    } else if !metadata.is_dir() {
        Entry::Other
    } else if itself.is_symlink() {
        Entry::LinkToFolder
    } else {
        Entry::Folder
    };
    Ok((path, kind))
}
