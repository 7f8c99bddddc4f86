//! Dead letters that are to be sent again.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
};

use super::{DeadLetters, Entry, Letter, each_line, entry, folder, sync_directory};
use crate::store::{Message, database};

/// Letters that are put into the outbox in one transaction.
const BATCH: usize = 1000;

/// What came of a replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Letters that are in the outbox again, and no longer dead.
    pub replayed: u64,
    /// Letters that were not wanted.
    pub left: u64,
    /// Lines that cannot be read.
    pub damaged: u64,
}

/// Why letters cannot be sent again. Some may be in the outbox all the same: all are still among
/// the dead letters, so that nothing is lost.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("{}: {source}", path.display())]
    Letters { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Store(#[from] database::Error),
}

impl DeadLetters {
    /// Puts the letters that are wanted back into the sink's outbox, then takes them out of the
    /// file. If the process ends in between they are in both, under the same ids. May block.
    ///
    /// # Errors
    /// If the file or the store cannot be read or written.
    pub fn replay(
        &self,
        mut is_wanted: impl FnMut(&Letter) -> bool,
    ) -> Result<Replayed, ReplayError> {
        if !self.path().exists() {
            return Ok(Replayed::default());
        }
        let fail = |source| ReplayError::Letters {
            path: self.path(),
            source,
        };
        let _lock = self.lock().map_err(fail)?;
        let file = match File::open(self.path()) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Replayed::default()),
            Err(error) => return Err(fail(error)),
        };
        let mut rest = Rest::create(self).map_err(fail)?;
        let mut outbox = Outbox {
            letters: self,
            batch: Vec::new(),
            error: None,
        };
        let mut came_to = Replayed::default();
        let read = each_line(file, |number, line| {
            let bytes = line.strip_suffix(b"\n").unwrap_or(line);
            match entry(number, bytes) {
                Entry::Letter(letter) if is_wanted(&letter) => {
                    came_to.replayed += 1;
                    return outbox.put(letter.message);
                }
                Entry::Letter(_) => came_to.left += 1,
                Entry::Damaged { .. } => came_to.damaged += 1,
            }
            rest.keep(line)
        });
        let outcome = read.and_then(|()| outbox.flush());
        if let Some(error) = outbox.error {
            return Err(error.into());
        }
        outcome.map_err(fail)?;
        if came_to.replayed > 0 {
            rest.replace(self).map_err(fail)?;
        }
        Ok(came_to)
    }
}

/// The way into the sink's outbox.
struct Outbox<'a> {
    letters: &'a DeadLetters,
    batch: Vec<Message>,
    /// Why nothing more can be put there.
    error: Option<database::Error>,
}

impl Outbox<'_> {
    fn put(&mut self, message: Message) -> io::Result<()> {
        self.batch.push(message);
        if self.batch.len() < BATCH {
            return Ok(());
        }
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        let DeadLetters { data_dir, sink } = self.letters;
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() {
            return Ok(());
        }
        database::replay(data_dir, sink, &batch).map_err(|error| {
            self.error = Some(error);
            io::Error::other("the store cannot be written")
        })
    }
}

/// What stays dead, in a file of its own until that takes the place of the old one.
struct Rest {
    path: PathBuf,
    file: BufWriter<File>,
    is_empty: bool,
}

impl Rest {
    fn create(letters: &DeadLetters) -> io::Result<Self> {
        let path = letters.file("ndjson.new");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)?;
        Ok(Self {
            path,
            file: BufWriter::new(file),
            is_empty: true,
        })
    }

    fn keep(&mut self, line: &[u8]) -> io::Result<()> {
        self.is_empty = false;
        self.file.write_all(line)
    }

    fn replace(mut self, letters: &DeadLetters) -> io::Result<()> {
        if self.is_empty {
            fs::remove_file(letters.path())?;
        } else {
            self.file.flush()?;
            self.file.get_ref().sync_all()?;
            fs::rename(&self.path, letters.path())?;
        }
        sync_directory(&folder(&letters.data_dir))
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        // It is gone already where it has taken the place of the old one.
        let _ = fs::remove_file(&self.path);
    }
}
