//! How far each file was read, as it is stored.
//!
//! A position is one row, which a person can read: under `DEVICE:INODE` the path, the offset behind the last whole record
//! that was handed on, and the fingerprint. What is remembered of a content that is not in its file any more, for when a copy of it
//! turns up, stands under `DEVICE:INODE/1`, `/2` and so on.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    discovery::{FileId, Stamp},
    fingerprint::Digest,
};
use crate::{
    format::visible,
    source::{Position, Progress},
};

/// The key under which stands when the source was first started: from then on every file counts from its beginning.
const STARTED: &str = "started";

/// Characters of a position that are shown when it cannot be read.
const SHOWN: usize = 200;

/// The key of a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) id: FileId,
    /// 0 for what the file holds; else it held this, or is gone, and this tells several of these apart.
    pub(super) past: u32,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, past } = self;
        write!(f, "{}:{}", id.device, id.inode)?;
        if *past > 0 {
            write!(f, "/{past}")?;
        }
        Ok(())
    }
}

impl FromStr for Key {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (file, past) = text.split_once('/').unwrap_or((text, "0"));
        // Without a colon the inode is empty, which is no number.
        let (device, inode) = file.split_once(':').unwrap_or((file, ""));
        Ok(Self {
            id: FileId {
                device: device.parse()?,
                inode: inode.parse()?,
            },
            past: past.parse()?,
        })
    }
}

/// The value of a position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// Bytes that are no text are replaced.
    pub(super) path: String,
    /// Behind the last whole record that was handed on, in decoded bytes.
    pub(super) offset: u64,
    pub(super) fingerprint: Digest,
    /// It was renamed, or is the copy that a rotation made: nobody writes to it any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) rotated: bool,
    /// The file as it was when it had been read to its end and was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) seen: Option<Stamp>,
}

impl Place {
    pub(super) fn new(path: &Path, offset: u64, fingerprint: Digest) -> Self {
        Self {
            path: path.to_string_lossy().into_owned(),
            offset,
            fingerprint,
            rotated: false,
            seen: None,
        }
    }

    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(&self.path)
    }
}

/// What is to be stored with the next commit.
#[derive(Default)]
pub(super) struct Changes(BTreeMap<String, Option<String>>);

impl Changes {
    pub(super) fn set(&mut self, key: Key, place: Option<&Place>) {
        // A place is text and numbers, which always make JSON.
        let value = place.and_then(|place| serde_json::to_string(place).ok());
        self.0.insert(key.to_string(), value);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes everything out.
    pub(super) fn take(&mut self) -> Progress {
        let changes = std::mem::take(&mut self.0).into_iter();
        Progress {
            positions: changes
                .map(|(key, value)| Position { key, value })
                .collect(),
            acknowledge: None,
        }
    }

    /// What was taken out last could not be committed.
    pub(super) fn put_back(&mut self, progress: Progress) {
        let positions = progress.positions.into_iter();
        self.0
            .extend(positions.map(|position| (position.key, position.value)));
    }
}

/// What a start finds stored.
pub(super) struct Saved {
    /// Nothing: the source was never started before.
    pub(super) is_first_start: bool,
    pub(super) places: Vec<(Key, Place)>,
}

/// Reads what was stored before. What cannot be read is said, and forgotten in `changes`: its file is read from its beginning.
pub(super) fn read(source: &str, stored: &[Position], changes: &mut Changes) -> Saved {
    let mut places = Vec::new();
    for Position { key, value } in stored {
        if key == STARTED {
            continue;
        }
        match value.as_deref().and_then(|value| parse(key, value)) {
            Some(place) => places.push(place),
            None => {
                let value = value.as_deref().unwrap_or_default();
                tracing::warn!(
                    source,
                    key = &*visible(key, SHOWN),
                    value = &*visible(value, SHOWN),
                    "the stored position of a file cannot be read: the file is read from its beginning"
                );
                changes.0.insert(key.clone(), None);
            }
        }
    }
    if stored.iter().all(|position| position.key != STARTED) {
        let now = Timestamp::now().to_string();
        changes.0.insert(STARTED.into(), Some(now));
    }
    Saved {
        is_first_start: stored.is_empty(),
        places,
    }
}

fn parse(key: &str, value: &str) -> Option<(Key, Place)> {
    let place: Place = serde_json::from_str(value).ok()?;
    let key = key.parse().ok()?;
    place.fingerprint.is_sound().then_some((key, place))
}
