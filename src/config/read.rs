//! Files and directories to texts, and texts to trees.

use std::{
    collections::HashSet,
    fs, io,
    io::Read,
    path::{Path, PathBuf},
};

use super::{
    fault::{Fault, Place, harmless},
    json, toml,
    tree::{Lines, Node},
    yaml,
};

/// Larger files are refused: no configuration is as large, and a wrong path may lead anywhere.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// The languages a configuration can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Yaml,
    Toml,
    Json,
}

impl Format {
    /// By the ending of the file's name: `.yaml`, `.yml`, `.toml`, `.json`.
    fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "yaml" | "yml" => Some(Self::Yaml),
            "toml" => Some(Self::Toml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// One text of a configuration.
#[derive(Clone, Debug)]
pub struct Text {
    /// What faults call it: a path, or for a built-in text what it is.
    pub name: String,
    pub format: Format,
    pub text: String,
}

impl Text {
    /// The place of the text as a whole.
    pub(super) fn place(&self) -> Place {
        Place {
            file: harmless(&self.name).into(),
            position: None,
        }
    }

    /// Its tree, or `None` with a fault.
    pub(super) fn tree(&self, faults: &mut Vec<Fault>) -> Option<Node> {
        // A byte-order mark says nothing in UTF-8.
        let text = self.text.strip_prefix('\u{feff}').unwrap_or(&self.text);
        let place = self.place();
        let lines = Lines::new(&place, text);
        match self.format {
            Format::Yaml => yaml::parse(text, &lines, faults),
            Format::Toml => toml::parse(text, &lines, faults),
            Format::Json => json::parse(text, &lines, faults),
        }
    }
}

/// Reads all `paths`, each file once. What cannot be read is a fault.
pub(super) fn files(paths: &[PathBuf], faults: &mut Vec<Fault>) -> Vec<Text> {
    let mut seen = HashSet::new();
    let mut texts = Vec::new();
    for path in paths {
        let files = match fs::metadata(path).and_then(|metadata| match metadata.is_dir() {
            true => directory(path),
            false => Ok(vec![path.clone()]),
        }) {
            Ok(files) => files,
            Err(error) => {
                faults.push(unreadable(path, &error.to_string()));
                continue;
            }
        };
        if files.is_empty() {
            faults.push(unreadable(
                path,
                "it holds no .yaml, .yml, .toml or .json file",
            ));
        }
        for file in files {
            let once = fs::canonicalize(&file).unwrap_or_else(|_| file.clone());
            if seen.insert(once) {
                texts.extend(text(&file, faults));
            }
        }
    }
    texts
}

/// The configuration files in a directory, sorted.
fn directory(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        let file = entry.path();
        if !hidden && Format::of(&file).is_some() && !file.is_dir() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn text(path: &Path, faults: &mut Vec<Fault>) -> Option<Text> {
    let Some(format) = Format::of(path) else {
        let reason = "its name must end in .yaml, .yml, .toml or .json";
        faults.push(unreadable(path, reason));
        return None;
    };
    let mut bytes = Vec::new();
    let read =
        fs::File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        faults.push(unreadable(path, &error.to_string()));
        return None;
    }
    if bytes.len() as u64 > MAX_FILE_BYTES {
        faults.push(unreadable(path, "it is larger than 4 MiB"));
        return None;
    }
    match String::from_utf8(bytes) {
        Ok(text) => Some(Text {
            name: path.display().to_string(),
            format,
            text,
        }),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let bytes = error.into_bytes();
            let file = Place {
                file: harmless(&path.display().to_string()).into(),
                position: None,
            };
            let sound = String::from_utf8_lossy(&bytes[..valid]);
            let place = Lines::new(&file, &sound).place(valid);
            faults.push(Fault::at(&place, "not valid UTF-8 from here on"));
            None
        }
    }
}

fn unreadable(path: &Path, reason: &str) -> Fault {
    let file = Place {
        file: harmless(&path.display().to_string()).into(),
        position: None,
    };
    Fault::at(&file, format!("cannot be read: {}", harmless(reason)))
}
