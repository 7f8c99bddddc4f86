//! Arguments to inputs: files, directories, globs and `-`.

use std::{
    fs::{self, DirEntry, Metadata},
    io::ErrorKind,
    path::{Path, PathBuf},
};

use super::{
    Event, Remark, Watch,
    inputs::{Inputs, Kind},
    matching::matching,
};

/// The argument that stands for standard input.
const STDIN: &str = "-";

const EMPTY: &str = "there is no file in it";

const NEITHER: &str = "passed: neither a file nor a directory";

/// What was found.
pub(super) struct Found {
    pub inputs: Inputs,
    /// The bytes of all files; `None` if a stream is among the inputs, which tells no length.
    pub bytes: Option<u64>,
}

/// What `arguments` name, or what was found of it until `watch` had enough. What cannot be found is told, and passed.
///
/// # Errors
/// If the scratch database fails.
pub(super) fn find(arguments: &[PathBuf], watch: Watch<'_>) -> rusqlite::Result<Found> {
    let mut finder = Finder {
        found: Found {
            inputs: Inputs::new()?,
            bytes: Some(0),
        },
        argument: 0,
        has_stdin: false,
        watch,
    };
    for argument in arguments {
        finder.argument(argument)?;
        finder.argument += 1;
    }
    Ok(finder.found)
}

struct Finder<'w> {
    found: Found,
    /// The number of the argument.
    argument: i64,
    has_stdin: bool,
    watch: Watch<'w>,
}

impl Finder<'_> {
    fn argument(&mut self, argument: &Path) -> rusqlite::Result<()> {
        if argument == Path::new(STDIN) {
            return self.stdin(argument);
        }
        // Whatever has that very name is what is meant, also a link that leads nowhere.
        let is_missing = || {
            fs::symlink_metadata(argument).is_err_and(|error| error.kind() == ErrorKind::NotFound)
        };
        match argument.to_str() {
            Some(pattern) if pattern.contains(['*', '?', '[']) && is_missing() => {
                self.glob(pattern)
            }
            _ => self.named(argument, Kind::Named).map(|_| ()),
        }
    }

    fn stdin(&mut self, argument: &Path) -> rusqlite::Result<()> {
        if self.has_stdin {
            self.passed(argument, "named twice, and read once");
            return Ok(());
        }
        self.has_stdin = true;
        self.found.bytes = None;
        self.add(argument, Kind::Stdin)
    }

    /// What fits a pattern that the shell has left as it is.
    fn glob(&mut self, pattern: &str) -> rusqlite::Result<()> {
        let (mut is_empty, mut has_passed) = (true, false);
        let mut result = Ok(());
        let is_pattern = matching(pattern, &mut |path, looked_into| match looked_into {
            Err(error) => {
                is_empty = false;
                self.trouble(path, error);
            }
            Ok(()) => match self.named(path, Kind::Listed) {
                Ok(is_passed) => {
                    has_passed |= is_passed;
                    is_empty &= is_passed;
                }
                Err(error) => result = Err(error),
            },
        });
        result?;
        let reason = match has_passed {
            true => "as a pattern it matches no file",
            false => "there is no such file, and as a pattern it matches nothing",
        };
        if is_pattern.is_err() || is_empty {
            self.trouble(Path::new(pattern), reason);
        }
        Ok(())
    }

    /// A file, or the files in a directory. True if it is neither, or a directory without any that a glob fits, and is passed.
    fn named(&mut self, path: &Path, kind: Kind) -> rusqlite::Result<bool> {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => return self.directory(path, kind),
            Ok(metadata) if metadata.is_file() => self.file(path, &metadata, kind)?,
            Ok(_) if kind == Kind::Named => {
                self.found.bytes = None;
                self.add(path, kind)?;
            }
            Ok(_) => {
                self.passed(path, NEITHER);
                return Ok(true);
            }
            Err(error) => self.trouble(path, error),
        }
        Ok(false)
    }

    fn file(&mut self, path: &Path, metadata: &Metadata, kind: Kind) -> rusqlite::Result<()> {
        let (inputs, bytes) = (&self.found.inputs, &mut self.found.bytes);
        if inputs.is_first_name(metadata)? {
            *bytes = bytes.map(|sum| sum + metadata.len());
        }
        self.add(path, kind)
    }

    /// All regular files under `directory`, hidden ones too. Links to files are followed; links to directories are not,
    /// since they may lead in a circle. True if there is none, and nobody has named it.
    fn directory(&mut self, directory: &Path, kind: Kind) -> rusqlite::Result<bool> {
        let mut is_empty = true;
        let mut next = Some(directory.to_owned());
        while let Some(folder) = next {
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => Some(entries),
                Err(error) => {
                    // What is in it is not known.
                    is_empty = false;
                    self.trouble(&folder, error);
                    None
                }
            };
            for entry in entries.into_iter().flatten() {
                if self.watch.stop.is_triggered() {
                    return Ok(false);
                }
                match entry {
                    Ok(entry) => is_empty &= !self.entry(&entry)?,
                    Err(error) => self.trouble(&folder, error),
                }
            }
            next = self.found.inputs.next_folder()?;
        }
        match (is_empty, kind) {
            (false, _) => return Ok(false),
            (true, Kind::Named) => self.trouble(directory, EMPTY),
            (true, _) => self.passed(directory, EMPTY),
        }
        Ok(kind != Kind::Named)
    }

    /// True if it is a file, or nobody knows.
    fn entry(&mut self, entry: &DirEntry) -> rusqlite::Result<bool> {
        let path = entry.path();
        let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => {
                self.file(&path, &metadata, Kind::Listed)?;
                return Ok(true);
            }
            Ok(metadata) if metadata.is_dir() && is_link => {
                self.passed(&path, "passed: a link to a directory");
            }
            Ok(metadata) if metadata.is_dir() => self.found.inputs.add_folder(&path)?,
            Ok(_) => self.passed(&path, NEITHER),
            // A link that leads nowhere is told by its own name: the file that was meant is missing.
            Err(error) => {
                self.trouble(&path, error);
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn add(&mut self, path: &Path, kind: Kind) -> rusqlite::Result<()> {
        self.found.inputs.add(self.argument, path, kind)
    }

    fn trouble(&mut self, path: &Path, reason: impl ToString) {
        (self.watch.tell)(Event::Trouble(Remark::new(path, reason)));
    }

    fn passed(&mut self, path: &Path, reason: &str) {
        (self.watch.tell)(Event::Passed(Remark::new(path, reason)));
    }
}
