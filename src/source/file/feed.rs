//! The way from the files to the outlet.

use std::path::Path;

use compact_str::format_compact;

use super::positions::Changes;
use crate::{
    record::framing::{Framer, Piece},
    source::{Block, Outlet},
};

/// The outlet, and whether it holds something that was found and not committed.
pub(super) struct Feed<'a> {
    outlet: &'a mut dyn Outlet,
    holds: bool,
}

impl<'a> Feed<'a> {
    pub(super) fn new(outlet: &'a mut dyn Outlet) -> Self {
        Self {
            outlet,
            holds: false,
        }
    }

    /// Something was found that is to be committed soon.
    pub(super) fn holds(&self) -> bool {
        self.holds
    }

    /// Hands on what was read from the file at `path`.
    pub(super) fn take(&mut self, piece: &Piece<'_>, path: &Path) {
        self.holds |= self.outlet.take(&Block {
            bytes: piece.bytes,
            shape: piece.shape,
            header: piece.header,
            first_part: piece.first_part,
            provenance: &|at| {
                format_compact!("{}:{}", path.display(), piece.offset + at as u64).into()
            },
        });
    }

    /// Hands on the last record of the file at `path`.
    pub(super) fn finish(&mut self, framer: &mut Framer, path: &Path) {
        framer.finish(&mut |piece| self.take(&piece, path));
    }

    /// Commits what was found, and `changes`, which are behind nothing that is not handed on; waits while the pipeline is full.
    pub(super) fn commit(&mut self, changes: &mut Changes) {
        if self.holds || !changes.is_empty() {
            self.outlet.commit(changes.take());
            self.holds = false;
        }
    }

    /// The same, unless the pipeline is full: then nothing is changed.
    pub(super) fn try_commit(&mut self, changes: &mut Changes) {
        if !self.holds && changes.is_empty() {
            return;
        }
        match self.outlet.try_commit(changes.take()) {
            Ok(()) => self.holds = false,
            Err(progress) => changes.put_back(progress),
        }
    }
}
