//! What a configuration names on this machine: whether it can be used, as far as is seen without writing.

use std::{
    fs,
    io::{self, ErrorKind},
    path::Path,
};

use rustix::fs::{Access, access};

use crate::format::visible;

/// Characters of a path that are shown.
const SHOWN: usize = 200;

/// What a pipeline needs of the machine that it runs on, and does not have.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lack {
    /// It may be there when baitline runs: a configuration is checked on other machines, and by other users.
    Yet(String),
    /// What is there cannot be meant.
    Never(String),
}

/// What stands against appending to the file at `path`, or to one that is made there with its folders.
pub(super) fn against_file(path: &Path) -> Option<Lack> {
    match fs::metadata(path) {
        Ok(there) if there.is_dir() => Some(Lack::Never(format!(
            "{} is a directory; write the path of a file in it",
            shown(path)
        ))),
        Ok(_) => allows(path, Access::WRITE_OK).map(|error| cannot_write(path, &error)),
        Err(error) => against_new(path, &error),
    }
}

/// What stands against keeping files in the directory at `path`, or in one that is made there.
pub(super) fn against_directory(path: &Path) -> Option<Lack> {
    match fs::metadata(path) {
        Ok(there) if !there.is_dir() => {
            Some(Lack::Never(format!("{} is no directory", shown(path))))
        }
        Ok(_) => {
            allows(path, Access::WRITE_OK | Access::EXEC_OK).map(|error| cannot_write(path, &error))
        }
        Err(error) => against_new(path, &error),
    }
}

/// `path` is not there, for a reason: what stands against making it.
fn against_new(path: &Path, reason: &io::Error) -> Option<Lack> {
    if reason.kind() != ErrorKind::NotFound {
        return Some(cannot_write(path, reason));
    }
    let above = path.ancestors().skip(1).map(|folder| match folder {
        folder if folder.as_os_str().is_empty() => Path::new("."),
        folder => folder,
    });
    let there = above.into_iter().find(|folder| folder.exists())?;
    allows(there, Access::WRITE_OK | Access::EXEC_OK).map(|error| cannot_write(path, &error))
}

/// Why `path` does not allow it.
fn allows(path: &Path, wanted: Access) -> Option<io::Error> {
    access(path, wanted).err().map(io::Error::from)
}

fn cannot_write(path: &Path, error: &io::Error) -> Lack {
    let path = shown(path);
    Lack::Yet(format!(
        "{path} cannot be written: {error}; it must be possible when baitline runs"
    ))
}

fn shown(path: &Path) -> String {
    visible(&path.display().to_string(), SHOWN).into_owned()
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_directory_is_no_file_and_a_file_no_directory() {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("a.txt");
        fs::write(&file, "").unwrap();
        assert!(matches!(against_file(folder.path()), Some(Lack::Never(_))));
        assert!(matches!(against_directory(&file), Some(Lack::Never(_))));
        assert_eq!(against_file(&file), None);
        assert_eq!(against_directory(folder.path()), None);
    }

    #[test]
    fn what_is_missing_is_made_where_that_can_be() {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("a.txt");
        fs::write(&file, "").unwrap();
        for against in [against_file, against_directory] {
            assert_eq!(against(&folder.path().join("b/c/d")), None);
            assert_eq!(against(Path::new("no-such-folder/b")), None);
            assert!(matches!(against(&file.join("b/c")), Some(Lack::Yet(_))));
        }
    }
}
