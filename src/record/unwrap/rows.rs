//! The rows of a table.

use simd_json::tape::Object;

use super::{Finding, Layer, Search, Wrapper};
use crate::record::restored::table::{Row, Table};

impl Search<'_> {
    /// Searches the rows of `table`, and what stands beside it in `object`; whether all of that could be.
    pub(super) fn table<'v>(
        &mut self,
        deeper: &mut [Layer],
        object: &Object<'v, 'v>,
        table: &Table<'v>,
        depth: usize,
        wrapper: &'v dyn Wrapper,
    ) -> bool {
        let mut is_searched = self.rows(deeper, table, depth, wrapper);
        // Names of columns have keys of clients in them, where a store joined keys.
        let beside = object.iter().filter(|(key, _)| !table.keys().contains(key));
        for (key, value) in beside {
            is_searched &= self.entry(deeper, None, object, (key, value), depth, wrapper);
        }
        is_searched && !table.is_ambiguous(object)
    }

    /// Searches the rows of `table`; whether all of them could be.
    pub(super) fn rows<'v>(
        &mut self,
        deeper: &mut [Layer],
        table: &Table<'v>,
        depth: usize,
        wrapper: &'v dyn Wrapper,
    ) -> bool {
        let (mut is_searched, mut has_misfits) = (true, false);
        for row in table.rows() {
            match row {
                // The others are read nevertheless.
                Row::Named(text) => {
                    if !self.reshaped(deeper, &text, depth, wrapper) {
                        (self.found)(Finding::Broken(&text, wrapper));
                    }
                }
                Row::Other(value) => {
                    is_searched &= self.value(deeper, value, depth, wrapper);
                }
                Row::Misfit(value) => {
                    is_searched &= self.value(deeper, value, depth, wrapper);
                    has_misfits = true;
                }
                Row::Beyond(cells) => {
                    for value in cells {
                        self.value(deeper, value, depth, wrapper);
                    }
                    is_searched = false;
                }
            }
        }
        is_searched && !(has_misfits && table.is_of_events())
    }
}
