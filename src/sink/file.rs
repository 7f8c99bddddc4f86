//! A file that is appended to.
//!
//! Lines are written whole, a batch in one write, and the outbox moves on when they are on the
//! disk. A file that was renamed, deleted or truncated under the sink is opened anew, and a write that fails
//! is tried again until it succeeds: nothing is lost to a full disk. What a crash left half
//! written is cut off at the start, since it is delivered again as a whole.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::{Timestamp, fmt::strtime};
use tracing::warn;

use self::torn::Torn;
use super::{
    Codec, Delivery, Ending, Report,
    lines::{self, Batch, Fault, Target},
};
use crate::{format::text::Style, store::BufferConfig};

mod torn;

/// Appends to a file.
#[derive(Clone, Debug)]
pub struct Config {
    /// With strftime specifiers in UTC (`alerts-%Y-%m-%d.txt`). Required.
    pub path: String,
    /// `encoding.codec`. Default text.
    pub codec: Codec,
    pub buffer: BufferConfig,
}

/// Delivers to the file until the outbox is drained or the time is up.
pub async fn run(config: Config, delivery: Delivery) -> Report {
    if let Err(error) = path_at(&config.path, Timestamp::now()) {
        return delivery.end(Ending::Failed(format!("path {:?}: {error}", config.path)));
    }
    let appender = Appender {
        id: Arc::clone(&delivery.id),
        path: config.path,
        // What is not done comes again from the store, and only from there.
        may_cut: delivery.dead_letters.is_some().then_some(config.codec),
        file: None,
    };
    lines::run(delivery, config.codec, Style::Plain, appender).await
}

/// The path that `template` stands for at `time`, in UTC. An error if it holds what is no
/// strftime specifier.
pub fn path_at(template: &str, time: Timestamp) -> Result<PathBuf, jiff::Error> {
    let path = strtime::format(template, time)?;
    Ok(path.into())
}

/// Appends to whatever file its path stands for at the moment.
struct Appender {
    id: Arc<str>,
    /// With strftime specifiers.
    path: String,
    /// How messages are written, if a half of one may be cut off.
    may_cut: Option<Codec>,
    file: Option<Opened>,
}

impl Target for Appender {
    fn write(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        let path = path_at(&self.path, Timestamp::now())
            .map_err(|error| Fault::Passing(format!("path {:?}: {error}", self.path)))?;
        self.append(&path, batch)
            .map_err(|error| Fault::Passing(format!("{}: {error}", path.display())))
    }
}

impl Appender {
    fn append(&mut self, path: &Path, batch: &mut Batch) -> io::Result<()> {
        if let Some(file) = &mut self.file
            && !file.is_still_at(path)?
        {
            match file.sync(batch) {
                Ok(()) => batch.restart_message(),
                // All of the batch goes to the next one.
                Err(error) => warn!(sink = &*self.id, "{}: {error}", file.path.display()),
            }
            self.file = None;
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(Opened::at(path, self.may_cut, &self.id)?),
        };
        while !batch.rest().is_empty() {
            match file.file.write(batch.rest()) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => {
                    batch.advance(count);
                    file.length += count as u64;
                    file.is_dirty = true;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        file.sync(batch)
    }
}

/// An open file, and which one it is.
struct Opened {
    path: PathBuf,
    file: File,
    device: u64,
    inode: u64,
    /// It is kept on a disk: no pipe and no device.
    is_regular: bool,
    /// What it has at least, if it is regular and nobody truncated it.
    length: u64,
    /// Something was written that may not be on the disk.
    is_dirty: bool,
}

impl Opened {
    /// Opens `path` to append to, with its folders, readable by its owner alone if it is
    /// new. A last line that was left without its end is mended.
    fn at(path: &Path, may_cut: Option<Codec>, sink: &str) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o600);
        let file = match options.open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                create_folders(path)?;
                options.open(path)?
            }
            opened => opened?,
        };
        let metadata = file.metadata()?;
        let mut opened = Self {
            path: path.into(),
            file,
            device: metadata.dev(),
            inode: metadata.ino(),
            is_regular: metadata.is_file(),
            length: 0,
            is_dirty: false,
        };
        if opened.is_regular {
            opened.mend(&metadata, may_cut, sink)?;
            if metadata.len() == 0 {
                sync_directory(path.parent())?;
            }
            opened.length = opened.file.metadata()?.len();
        }
        Ok(opened)
    }

    /// A file that may be written but not read is taken as it is.
    fn mend(&mut self, metadata: &Metadata, may_cut: Option<Codec>, sink: &str) -> io::Result<()> {
        let Ok(readable) = File::open(&self.path) else {
            return Ok(());
        };
        let length = metadata.len();
        let path = self.path.display();
        match torn::look(&readable, length, may_cut)? {
            Torn::Nothing => Ok(()),
            Torn::Message { start } => {
                self.file.set_len(start)?;
                self.is_dirty = true;
                let cut = length - start;
                warn!(
                    sink,
                    "cut {cut} bytes off {path}: a message that was half written, and is written again"
                );
                Ok(())
            }
            Torn::LineEnd => {
                warn!(sink, "the last line of {path} had no end, and is ended");
                self.file.write_all(b"\n")?;
                self.is_dirty = true;
                Ok(())
            }
            Torn::Foreign => {
                warn!(
                    sink,
                    "the last line of {path} had no end, and is ended; it is not baitline's: does another program write there?"
                );
                self.file.write_all(b"\n")?;
                self.is_dirty = true;
                Ok(())
            }
        }
    }

    /// Returns when everything that was written is on the disk. If that fails, what the disk has
    /// of `batch` cannot be known, and it is to be written anew.
    fn sync(&mut self, batch: &mut Batch) -> io::Result<()> {
        if !self.is_regular || !self.is_dirty {
            return Ok(());
        }
        match self.file.sync_data() {
            Err(error) if !is_unsupported(&error) => {
                batch.restart();
                Err(error)
            }
            _ => {
                self.is_dirty = false;
                Ok(())
            }
        }
    }

    /// False if the file was renamed, deleted or truncated, or another one is meant by now.
    fn is_still_at(&self, path: &Path) -> io::Result<bool> {
        if self.path != path {
            return Ok(false);
        }
        match fs::metadata(path) {
            Ok(there) => {
                let is_same = (there.dev(), there.ino()) == (self.device, self.inode);
                Ok(is_same && !(self.is_regular && there.len() < self.length))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Makes the folders that `path` lacks, and returns when they are on the disk.
fn create_folders(path: &Path) -> io::Result<()> {
    let Some(folder) = path.parent() else {
        return Ok(());
    };
    let missing = folder
        .ancestors()
        .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
    let missing: Vec<&Path> = missing.collect();
    fs::create_dir_all(folder)?;
    for made in missing {
        sync_directory(made.parent())?;
    }
    Ok(())
}

/// Makes what was created in a folder outlive the machine. One that may not be read cannot be
/// synced; an empty path is the working directory.
fn sync_directory(folder: Option<&Path>) -> io::Result<()> {
    let folder = match folder {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    match File::open(folder).map(|folder| folder.sync_all()) {
        Ok(Err(error)) if !is_unsupported(&error) => Err(error),
        _ => Ok(()),
    }
}

/// Some file systems know no sync: there nothing more can be done.
fn is_unsupported(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::InvalidInput | ErrorKind::Unsupported
    )
}

#[cfg(test)]
mod tests;
