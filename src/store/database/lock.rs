//! One baitline a `data_dir`.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use rustix::fs::{FlockOperation, flock};

use super::Error;

/// Holds the `data_dir` until it is dropped or the process ends, however it ends.
pub(super) struct Lock(#[expect(dead_code, reason = "open for as long as the lock is held")] File);

impl Lock {
    pub(super) fn take(data_dir: &Path) -> Result<Self, Error> {
        let fail = |source| Error::Directory {
            path: data_dir.to_owned(),
            source,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(data_dir.join("lock"))
            .map_err(fail)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(Error::InUse {
                    path: data_dir.to_owned(),
                    owner: owner(&mut file),
                });
            }
            Err(errno) => return Err(fail(errno.into())),
        }
        write_owner(&mut file).map_err(fail)?;
        Ok(Self(file))
    }
}

fn write_owner(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())
}

/// Who holds the lock, as it says itself.
fn owner(file: &mut File) -> String {
    let mut text = String::new();
    let is_read = file.take(32).read_to_string(&mut text).is_ok();
    match text.trim().parse::<u32>() {
        Ok(process) if is_read => format!("process {process}"),
        _ => "another process".into(),
    }
}

/// The directory and those above it, for this user alone where they are made.
pub(super) fn make_directory(path: &Path) -> Result<(), Error> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| Error::Directory {
        path: path.to_owned(),
        source,
    })
}
