//! What there is to read, in an order that no file system decides.
//!
//! Inputs stand in the order of the arguments that name them, and those of one directory or glob in the order of their
//! paths' bytes. They lie in a [scratch database](super::scratch): a directory may hold any number of files.

use std::{
    ffi::OsStr,
    fs::Metadata,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::scratch;

const SCHEMA: &str = "
    CREATE TABLE input (argument INTEGER, path BLOB, kind INTEGER, PRIMARY KEY (argument, path)) WITHOUT ROWID;
    CREATE TABLE folder (path BLOB);
    CREATE TABLE named (device INTEGER, inode INTEGER, length INTEGER, PRIMARY KEY (device, inode)) WITHOUT ROWID;
    CREATE TABLE read (device INTEGER, inode INTEGER, PRIMARY KEY (device, inode)) WITHOUT ROWID;
";

/// How an input came to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Standard input; its path is `-`.
    Stdin,
    /// Somebody named it: read whatever it is, also a FIFO or a device.
    Named,
    /// Found in a directory: read if it is a regular file.
    Listed,
}

impl Kind {
    /// Each at its place: the number by which the database knows it.
    const ALL: [Self; 3] = [Self::Stdin, Self::Named, Self::Listed];
}

/// One thing to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Input {
    pub path: PathBuf,
    pub kind: Kind,
}

/// All inputs.
pub(super) struct Inputs {
    database: Connection,
    /// When they began to be found, in seconds since 1970.
    began: i64,
    /// The argument and the path of the last that was taken.
    last: (i64, Vec<u8>),
}

impl Inputs {
    pub fn new() -> rusqlite::Result<Self> {
        Ok(Self {
            database: scratch::open(SCHEMA)?,
            began: Timestamp::now().as_second(),
            last: (-1, Vec::new()),
        })
    }

    /// Adds an input that the argument of this number names.
    pub fn add(&self, argument: i64, path: &Path, kind: Kind) -> rusqlite::Result<()> {
        let sql = "INSERT OR IGNORE INTO input VALUES (?1, ?2, ?3)";
        let mut statement = self.database.prepare_cached(sql)?;
        statement.execute(params![argument, bytes(path), kind as i64])?;
        Ok(())
    }

    /// Remembers a directory that is still to be looked into.
    pub fn add_folder(&self, path: &Path) -> rusqlite::Result<()> {
        let sql = "INSERT INTO folder VALUES (?1)";
        let mut statement = self.database.prepare_cached(sql)?;
        statement.execute([bytes(path)])?;
        Ok(())
    }

    /// The directory to look into next.
    pub fn next_folder(&self) -> rusqlite::Result<Option<PathBuf>> {
        let sql = "DELETE FROM folder WHERE rowid = (SELECT max(rowid) FROM folder) RETURNING path";
        let mut statement = self.database.prepare_cached(sql)?;
        let folder: Option<Vec<u8>> = statement.query_row([], |row| row.get(0)).optional()?;
        Ok(folder.map(|bytes| path(&bytes)))
    }

    /// The next input.
    pub fn next(&mut self) -> rusqlite::Result<Option<Input>> {
        let sql = "SELECT argument, path, kind FROM input WHERE (argument, path) > (?1, ?2)
                   ORDER BY argument, path LIMIT 1";
        let read = |row: &Row<'_>| Ok(((row.get(0)?, row.get(1)?), row.get(2)?));
        let next: Option<((i64, Vec<u8>), usize)> = self
            .database
            .prepare_cached(sql)?
            .query_row(params![self.last.0, self.last.1], read)
            .optional()?;
        Ok(next.map(|(last, kind)| {
            self.last = last;
            Input {
                path: path(&self.last.1),
                kind: Kind::ALL[kind],
            }
        }))
    }

    /// Whether the file with this `metadata` was not named before; it is from now on.
    pub fn is_first_name(&self, metadata: &Metadata) -> rusqlite::Result<bool> {
        let sql = "INSERT OR IGNORE INTO named VALUES (?1, ?2, ?3)";
        let mut statement = self.database.prepare_cached(sql)?;
        let numbers = [metadata.dev(), metadata.ino(), metadata.len()];
        Ok(statement.execute(numbers.map(u64::cast_signed))? > 0)
    }

    /// How long the file with this `metadata` was when it was named; 0 if it never was.
    pub fn length_when_named(&self, metadata: &Metadata) -> rusqlite::Result<u64> {
        let sql = "SELECT length FROM named WHERE device = ?1 AND inode = ?2";
        let mut statement = self.database.prepare_cached(sql)?;
        let numbers = [metadata.dev(), metadata.ino()].map(u64::cast_signed);
        let length: Option<i64> = statement.query_row(numbers, |row| row.get(0)).optional()?;
        Ok(length.unwrap_or(0).cast_unsigned())
    }

    /// Whether the file with this `metadata` came to its place after those there were named. By its number alone that cannot be told: file
    /// systems in user space may give a file another one each time.
    pub fn is_new_in_its_place(&self, metadata: &Metadata) -> rusqlite::Result<bool> {
        if metadata.ctime() < self.began {
            return Ok(false);
        }
        let sql = "SELECT 1 FROM named WHERE device = ?1 AND inode = ?2";
        let mut statement = self.database.prepare_cached(sql)?;
        let numbers = [metadata.dev(), metadata.ino()];
        Ok(!statement.exists(numbers.map(u64::cast_signed))?)
    }

    /// Whether the file with these numbers was not taken under another name before; it is from now on.
    pub fn is_first(&self, device: u64, inode: u64) -> rusqlite::Result<bool> {
        let sql = "INSERT OR IGNORE INTO read VALUES (?1, ?2)";
        let mut statement = self.database.prepare_cached(sql)?;
        Ok(statement.execute([device.cast_signed(), inode.cast_signed()])? > 0)
    }
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

fn path(bytes: &[u8]) -> PathBuf {
    OsStr::from_bytes(bytes).into()
}
