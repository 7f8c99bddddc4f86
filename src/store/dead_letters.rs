//! Messages that a receiver refuses for good, kept for a person to look at and to send again.
//!
//! Each sink has a file of them, one JSON object a line: `time`, `sink`, `reason`, and the
//! `message` as `encoding.codec: json` writes it. Whoever changes the file holds its lock: while
//! one process takes letters out to send them again, another may want to add some.

use std::{
    borrow::Cow,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, BufRead, BufReader, ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tracing::warn;

use super::{
    Message, database,
    last_line::{read_between, start_of_last_line},
};
use crate::audit::wire_time;

mod replay;
#[cfg(test)]
mod tests;

pub use replay::{ReplayError, Replayed};

/// From here on the log tells each time that a sink's letters have come to twice as much.
const WORTH_TELLING: u64 = 16 << 20; // 16 MiB

/// The dead letters of one sink: `data_dir/dead-letters/<sink>.ndjson`.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    data_dir: PathBuf,
    sink: Arc<str>,
}

/// A message that was refused, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Letter {
    /// When it was given up.
    pub time: Timestamp,
    /// In words for a person; neutralised.
    pub reason: String,
    pub message: Message,
}

/// What stands in one line of a file of dead letters.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    Letter(Box<Letter>),
    /// Something else, which is passed over and left where it is. The text may be anybody's, and is
    /// not neutralised.
    Damaged {
        line: u64,
        reason: String,
    },
}

#[derive(Serialize, Deserialize)]
struct Line<'a> {
    time: Timestamp,
    #[serde(borrow)]
    sink: Cow<'a, str>,
    #[serde(borrow)]
    reason: Cow<'a, str>,
    #[serde(borrow)]
    message: &'a RawValue,
}

impl DeadLetters {
    /// Those of `sink` in `data_dir`.
    pub fn new(data_dir: &Path, sink: Arc<str>) -> Self {
        let data_dir = data_dir.to_owned();
        Self { data_dir, sink }
    }

    /// Those of every sink in `data_dir` that has any, by the names of the sinks.
    ///
    /// # Errors
    /// If there is no baitline's database in `data_dir`, or it cannot be read.
    pub fn all(data_dir: &Path) -> Result<Vec<Self>, database::Error> {
        database::expect(data_dir)?;
        let fail = |source| database::Error::Directory {
            path: folder(data_dir),
            source,
        };
        let files = match fs::read_dir(folder(data_dir)) {
            Ok(files) => files,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(fail(error)),
        };
        let mut sinks = Vec::new();
        for file in files {
            let name = file.map_err(fail)?.file_name();
            let sink = name.to_str().and_then(|name| name.strip_suffix(".ndjson"));
            sinks.extend(sink.map(Arc::from));
        }
        sinks.sort();
        let letters = sinks.into_iter().map(|sink| Self::new(data_dir, sink));
        Ok(letters.collect())
    }

    /// Whose they are.
    pub fn sink(&self) -> &str {
        &self.sink
    }

    /// The file in which they lie.
    pub fn path(&self) -> PathBuf {
        self.file("ndjson")
    }

    /// Appends `message` with `reason` and the time, and returns once that is on the disk. May block.
    ///
    /// # Errors
    /// If it cannot be written: then the message is not safe, and is to be kept in the outbox.
    pub fn bury(&self, message: &Message, reason: &str) -> io::Result<()> {
        let line = self.line(message, reason)?;
        let _lock = self.lock()?;
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(self.path())?;
        let length = self.mend(&mut file)?;
        let written = file.write_all(&line).and_then(|()| file.sync_all());
        if let Err(error) = written {
            // What cannot be taken back now is mended by the next.
            let _ = file.set_len(length);
            return Err(error);
        }
        if length == 0 {
            sync_directory(&folder(&self.data_dir))?;
        }
        self.tell_growth(length, length + line.len() as u64);
        Ok(())
    }

    /// Calls `see` with each line, in order, and its bytes without the newline. It may be read
    /// while others write.
    ///
    /// # Errors
    /// If it cannot be read. That there is no file is none.
    pub fn read(&self, mut see: impl FnMut(Entry, &[u8])) -> io::Result<()> {
        let file = match File::open(self.path()) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        each_line(file, |line, bytes| {
            let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
            see(entry(line, bytes), bytes);
            Ok(())
        })
    }

    fn line(&self, message: &Message, reason: &str) -> io::Result<Vec<u8>> {
        let mut json = Vec::new();
        message.write_json(&mut json);
        let mut line = serde_json::to_vec(&Line {
            // As precise as every other time on the wire.
            time: wire_time(Timestamp::now())
                .parse()
                .map_err(io::Error::other)?,
            sink: Cow::Borrowed(&self.sink),
            reason: Cow::Borrowed(reason),
            message: serde_json::from_slice(&json)?,
        })?;
        line.push(b'\n');
        Ok(line)
    }

    /// Ends `file` with a whole line, and gives its length. What a crash left of a letter is cut
    /// off: its message is still in the outbox.
    fn mend(&self, file: &mut File) -> io::Result<u64> {
        let length = file.metadata()?.len();
        let whole = start_of_last_line(file, length)?;
        if whole == length {
            return Ok(length);
        }
        if letter(&read_between(file, whole, length)?).is_ok() {
            file.write_all(b"\n")?;
            return Ok(length + 1);
        }
        file.set_len(whole)?;
        warn!(
            sink = &*self.sink,
            "cut {} bytes off {}: a dead letter that was half written",
            length - whole,
            self.path().display()
        );
        Ok(whole)
    }

    fn tell_growth(&self, before: u64, after: u64) {
        if after >= WORTH_TELLING && before.max(1).ilog2() != after.ilog2() {
            warn!(
                sink = &*self.sink,
                "dead letters have come to {} MiB in {}: look at them by baitline dead-letters",
                after >> 20,
                self.path().display()
            );
        }
    }

    /// Keeps others from changing the file until what is given back is dropped.
    fn lock(&self) -> io::Result<File> {
        make_folder(&self.data_dir)?;
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.file("lock"))?;
        flock(&file, FlockOperation::LockExclusive)?;
        Ok(file)
    }

    fn file(&self, ending: &str) -> PathBuf {
        folder(&self.data_dir).join(format!("{}.{ending}", self.sink))
    }
}

fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("dead-letters")
}

fn make_folder(data_dir: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder(data_dir)) {
        Ok(()) => sync_directory(data_dir),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes what was created, renamed or removed in `path` outlive the machine.
fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Calls `see` with the number of each line, from 1, and its bytes with the newline, which the
/// last may lack.
fn each_line(file: File, mut see: impl FnMut(u64, &[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut reader = BufReader::new(file);
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        if reader.read_until(b'\n', &mut bytes)? == 0 {
            break;
        }
        see(line, &bytes)?;
    }
    Ok(())
}

fn entry(line: u64, bytes: &[u8]) -> Entry {
    match letter(bytes) {
        Ok(letter) => Entry::Letter(Box::new(letter)),
        Err(reason) => Entry::Damaged { line, reason },
    }
}

fn letter(bytes: &[u8]) -> Result<Letter, String> {
    let line: Line<'_> = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let message = Message::read_json(line.message.get().as_bytes());
    Ok(Letter {
        time: line.time,
        reason: line.reason.into_owned(),
        message: message.map_err(|error| error.to_string())?,
    })
}
