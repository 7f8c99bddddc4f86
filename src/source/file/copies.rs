//! Which files may be copies of others: a rotation may copy a file and truncate it, or compress it beside it.

use std::{fs::File, io, path::Path};

use super::{
    fingerprint::{FINGERPRINT_BYTES, Fingerprint, Head},
    read_at,
    tracked::{Phase, Tracked},
};

/// `copy` may be what a rotation makes of `original`: it stands beside it, and extends its name, or its name without the extension
/// (`audit.log.1`, `audit-2026-11-23.log.gz` of `audit.log`; `audit.log.2.gz` of `audit.log.1`).
pub(super) fn is_copy_name(original: &Path, copy: &Path) -> bool {
    let (Some(name), Some(stem), Some(copy_name)) =
        (original.file_name(), original.file_stem(), copy.file_name())
    else {
        return false;
    };
    original.parent() == copy.parent()
        && copy_name.len() > name.len()
        && copy_name
            .as_encoded_bytes()
            .starts_with(stem.as_encoded_bytes())
}

impl Tracked {
    /// It begins as `fingerprint` says, as far as it was read, or on the disk right now.
    pub(super) fn agrees_with(&self, fingerprint: &Fingerprint) -> bool {
        let file = match &self.phase {
            Phase::Waiting(file, _) => Some(file),
            Phase::Reading(follower) => Some(follower.file()),
            Phase::Parked { .. } => None,
        };
        self.fingerprint.agrees_with(fingerprint)
            || file
                .and_then(|file| Head::of(file).ok())
                .is_some_and(|head| head.fingerprint.agrees_with(fingerprint))
    }

    /// `file`, which begins as `head` says, may be a copy of it. Files that begin alike need not be: where both can be
    /// compared, they must hold the same at the end of what both have.
    pub(super) fn may_be_copied_to(&self, file: &File, head: &Head) -> bool {
        if !self.agrees_with(&head.fingerprint) {
            return false;
        }
        let opened;
        let original = match &self.phase {
            Phase::Waiting(file, _) => file,
            Phase::Reading(follower) => follower.file(),
            Phase::Parked { .. } if self.is_at_its_path() => match File::open(&self.path) {
                Ok(file) => {
                    opened = file;
                    &opened
                }
                Err(_) => return true,
            },
            Phase::Parked { .. } => return true,
        };
        match Head::of(original) {
            // It was truncated: its copy is what is left of what it held.
            Ok(now) if !now.fingerprint.agrees_with(&head.fingerprint) => true,
            Ok(now) if now.is_compressed || head.is_compressed => true,
            Ok(_) => end_alike(original, file).unwrap_or(true),
            Err(_) => true,
        }
    }
}

/// Both hold the same just before the end of the shorter one.
fn end_alike(one: &File, other: &File) -> io::Result<bool> {
    let length = one.metadata()?.len().min(other.metadata()?.len());
    let from = length.saturating_sub(FINGERPRINT_BYTES as u64);
    let mut ends = [[0; FINGERPRINT_BYTES]; 2];
    let [end, other_end] = &mut ends;
    // It fits: `FINGERPRINT_BYTES` at most.
    let wanted = (length - from) as usize;
    let read = read_at(one, &mut end[..wanted], from)?;
    let other_read = read_at(other, &mut other_end[..wanted], from)?;
    // What has become shorter meanwhile tells nothing.
    let common = read.min(other_read);
    Ok(end[..common] == other_end[..common])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_extend_the_name_or_its_stem() {
        let is_copy =
            |original: &str, copy: &str| is_copy_name(Path::new(original), Path::new(copy));
        for copy in [
            "a/audit.log.1",
            "a/audit.log.1.gz",
            "a/audit-2026.log",
            "a/audit.1.log",
        ] {
            assert!(is_copy("a/audit.log", copy), "{copy}");
        }
        assert!(is_copy("audit.log.1", "audit.log.2.gz"));
        for other in ["a/audit.log", "b/audit.log.1", "a/kube.log.1", "a/aud.log"] {
            assert!(!is_copy("a/audit.log", other), "{other}");
        }
        assert!(!is_copy("audit.log.1", "audit.log"));
    }
}
