//! Globs to paths.
//!
//! The `glob` crate's own walk follows links to directories for `**`, which may lead in circles, and passes names that are not
//! UTF-8. Here `**` stands for real directories, and such names can be matched by `*`.

use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use glob::{Pattern, PatternError};

/// Any number of directories.
const RECURSIVE: &str = "**";

/// What stands between two slashes of a pattern.
enum Component {
    /// A name.
    Name(String),
    Pattern(Pattern),
    Recursive,
}

/// Gives each path that fits `pattern` to `each`, and each of which nobody can tell, or that cannot be looked into.
///
/// # Errors
/// If `pattern` is none.
pub(super) fn matching(
    pattern: &str,
    each: &mut dyn FnMut(&Path, io::Result<()>),
) -> Result<(), PatternError> {
    let components = components(pattern)?;
    let root = if pattern.starts_with('/') { "/" } else { "" };
    // Directories in which something may fit the components from this number on.
    let mut open = vec![(PathBuf::from(root), 0)];
    while let Some((path, number)) = open.pop() {
        let rest = &components[number..];
        match rest.first() {
            None => {
                // Whatever has the name, also a link that leads nowhere.
                match fs::symlink_metadata(&path) {
                    Ok(_) => each(&path, Ok(())),
                    Err(error) if is_missing(&error) => {}
                    Err(error) => each(&path, Err(error)),
                }
            }
            Some(Component::Name(name)) => open.push((path.join(name), number + 1)),
            Some(Component::Pattern(pattern)) => {
                let entry = |entry: &fs::DirEntry| {
                    let name = entry.file_name();
                    let is_last = rest.len() == 1;
                    if pattern.matches(&name.to_string_lossy()) && (is_last || leads_on(entry)) {
                        open.push((path.join(name), number + 1));
                    }
                };
                look_into(&path, entry, each);
            }
            Some(Component::Recursive) => {
                open.push((path.clone(), number + 1));
                // A directory is searched with all that is in it.
                if rest.len() > 1 {
                    let entry = |entry: &fs::DirEntry| {
                        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                            open.push((path.join(entry.file_name()), number));
                        }
                    };
                    look_into(&path, entry, each);
                }
            }
        }
    }
    Ok(())
}

fn components(pattern: &str) -> Result<Vec<Component>, PatternError> {
    // Tells of a misplaced `**`, too.
    Pattern::new(pattern)?;
    let mut components = Vec::new();
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        let component = if part == RECURSIVE {
            Component::Recursive
        } else if part.contains(['*', '?', '[']) {
            Component::Pattern(Pattern::new(part)?)
        } else {
            Component::Name(part.to_owned())
        };
        // One after the other they stand for the same.
        let repeats = matches!(
            (&component, components.last()),
            (Component::Recursive, Some(Component::Recursive))
        );
        if !repeats {
            components.push(component);
        }
    }
    Ok(components)
}

/// Whether `entry` is a directory or a link to one, as far as anybody can tell.
fn leads_on(entry: &fs::DirEntry) -> bool {
    match fs::metadata(entry.path()) {
        Ok(metadata) => metadata.is_dir(),
        Err(error) => error.kind() == ErrorKind::PermissionDenied,
    }
}

/// Whether there is no such path.
fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Gives all entries of the directory at `path` to `entry`. What is no directory has none.
fn look_into(
    path: &Path,
    mut entry: impl FnMut(&fs::DirEntry),
    each: &mut dyn FnMut(&Path, io::Result<()>),
) {
    let here = Path::new(".");
    let directory = if path.as_os_str().is_empty() {
        here
    } else {
        path
    };
    let result = fs::read_dir(directory).and_then(|entries| {
        for found in entries {
            entry(&found?);
        }
        Ok(())
    });
    if let Err(error) = result
        && !is_missing(&error)
    {
        each(directory, Err(error));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        ffi::OsStr,
        os::unix::{ffi::OsStrExt, fs::symlink},
    };

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn patterns_are_matched_name_by_name() {
        let folder = TempDir::new().unwrap();
        let root = folder.path();
        for path in [
            "a/b/c.log",
            "a/d.log",
            "a/.hidden/e.log",
            "b/b.log",
            "x[1]/f.log",
            "top.log",
        ] {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        fs::write(root.join("b").join(OsStr::from_bytes(b"\xff.log")), "").unwrap();
        symlink("..", root.join("a/loop")).unwrap();
        symlink("../..", root.join("a/b/loop")).unwrap();
        symlink("nowhere", root.join("b/dangling")).unwrap();
        for (pattern, wanted) in [
            ("*.log", &["top.log"][..]),
            (
                "**/*.log",
                &[
                    "a/.hidden/e.log",
                    "a/b/c.log",
                    "a/d.log",
                    "b/b.log",
                    "b/\u{fffd}.log",
                    "top.log",
                    "x[1]/f.log",
                ],
            ),
            ("**/**/b/*.log", &["a/b/c.log", "b/b.log", "b/\u{fffd}.log"]),
            ("*/loop/*.log", &["a/loop/top.log"]),
            ("*/dangling", &["b/dangling"]),
            ("*/none", &[]),
            ("none/*", &[]),
            ("top.log/*", &[]),
            ("x[[]1]/*", &["x[1]/f.log"]),
            ("a/./[!b]*", &["a/./.hidden", "a/./d.log", "a/./loop"]),
            ("a/**", &["a"]),
            ("b/?.log", &["b/b.log", "b/\u{fffd}.log"]),
        ] {
            let mut found = Vec::new();
            let pattern = format!("{}/{pattern}", Pattern::escape(root.to_str().unwrap()));
            matching(&pattern, &mut |path, looked| {
                looked.unwrap();
                found.push(
                    path.strip_prefix(root)
                        .unwrap()
                        .to_string_lossy()
                        .into_owned(),
                );
            })
            .unwrap();
            found.sort();
            assert_eq!(found, wanted, "{pattern}");
        }
        for pattern in ["a[", "a**", "***"] {
            assert!(matching(pattern, &mut |_, _| {}).is_err(), "{pattern}");
        }
    }
}
