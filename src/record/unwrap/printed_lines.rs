//! Lines of a text that are events which something printed, beside what in the text is broken.

use std::collections::BTreeMap;

use crate::record::{doubt::printed, stream::csv_row::WholeEvents};

/// The lines of a text that are such events and are to be told.
pub(super) struct PrintedLines<'t> {
    text: &'t [u8],
    /// Where each ends, by where it begins.
    ends: BTreeMap<usize, usize>,
    /// Those that begin from here on go on to the next, or to the end of the text.
    going_on: usize,
}

impl<'t> PrintedLines<'t> {
    /// Of `text`; `rest` is the same without the JSON in it.
    pub fn new(text: &'t [u8], rest: &[u8], whole: &WholeEvents<'t>) -> Self {
        let printed = printed::lines(text, rest).into_iter();
        let printed = printed.filter(|line| !whole.holds(line) || printed::has_keys(line));
        // It may be more than such a line, and on no other is there anything to tell it.
        let doubtful = whole.doubtful().filter(|lines| !whole.holds(lines));
        let place = |line: &[u8]| {
            let start = line.as_ptr().addr() - text.as_ptr().addr();
            (start, start + line.len())
        };
        Self {
            text,
            ends: printed.chain(doubtful).map(place).collect(),
            going_on: text.len(),
        }
    }

    /// Whether one of them is told in place of `broken`, a part of the text: the one in which it begins. Nobody knows where it ends, so that
    /// one goes on. What no line begins with is told in place of those that begin in it: it names what they do.
    pub fn hold(&mut self, broken: &[u8]) -> bool {
        let start = broken.as_ptr().addr() - self.text.as_ptr().addr();
        if !self.ends.contains_key(&start) {
            let inside = self.ends.range(start..start + broken.len());
            let inside: Vec<usize> = inside.map(|(line, _)| *line).collect();
            for line in inside {
                self.ends.remove(&line);
            }
        }
        let before = self.ends.range(..=start).next_back();
        let line = before.map(|(line, _)| *line);
        let line = line.filter(|line| start < self.end(*line));
        self.going_on = self.going_on.min(line.unwrap_or(self.text.len()));
        line.is_some()
    }

    /// All that are to be told, in order.
    pub fn iter(&self) -> impl Iterator<Item = &'t [u8]> {
        let starts = self.ends.keys();
        starts.map(|start| &self.text[*start..self.end(*start)])
    }

    /// Where the line ends that begins at `start`.
    fn end(&self, start: usize) -> usize {
        let next = self.ends.range(start..).nth(1);
        match self.ends.get(&start).filter(|_| start < self.going_on) {
            Some(end) => *end,
            None => next.map_or(self.text.len(), |(next, _)| *next),
        }
    }
}
