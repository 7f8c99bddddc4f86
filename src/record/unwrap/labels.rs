//! Fields of an event that a shipper made labels of.
//!
//! Loki's labels are those of whoever ships the log. Elsewhere they may be those of a pod, which whoever makes it chooses: an event in
//! them is doubtful, unless what they stand beside tells it.

use simd_json::tape::{Array, Object};

use super::{Finding, Layer, Search, Wrapper, copies::written};
use crate::{
    audit::{Event, Json},
    record::restored::restored,
};

const LABELS: &str = "labels";

/// What `logcli` writes beside the labels of a line.
const OF_LINE: [&str; 2] = ["line", "timestamp"];

/// The labels of `object`, if they are fields of an event.
pub fn of_event<'v>(object: &Object<'v, 'v>) -> Option<Json<'v>> {
    let labels = object.get(LABELS)?;
    let fields = labels.as_object()?;
    let is_event = Event::is_one(&fields) || matches!(restored(&fields, false), Some(Ok(_)));
    is_event.then_some(labels)
}

fn is_event(finding: &Finding<'_>) -> bool {
    matches!(finding, Finding::Event(..))
}

impl Search<'_> {
    /// Searches `labels`, which are fields of an event, and what stands beside them in `object`; whether all of that could be.
    pub(super) fn labelled<'v>(
        &mut self,
        deeper: &mut [Layer],
        object: &Object<'v, 'v>,
        labels: Json<'v>,
        depth: usize,
        wrapper: &'v dyn Wrapper,
    ) -> bool {
        let is_of_line = object.len() == 3 && OF_LINE.iter().all(|key| object.get(*key).is_some());
        let (is_searched, is_told) = self.counting(is_event, |search| {
            search.entries(deeper, object, depth, wrapper)
        });
        let are_searched = match is_told {
            _ if is_of_line => self.value(deeper, labels, depth, wrapper),
            true => true,
            false => self.doubtful(deeper, labels, depth, wrapper),
        };
        is_searched && are_searched
    }

    /// Searches a line of Loki's, and the labels that may stand behind it. Where the line tells an event they are what was taken out of it,
    /// and need not tell one.
    pub(super) fn line_of_loki<'v>(
        &mut self,
        deeper: &mut [Layer],
        array: &Array<'v, 'v>,
        depth: usize,
        wrapper: &'v dyn Wrapper,
    ) -> bool {
        let (is_searched, is_told) = self.counting(is_event, |search| {
            let mut is_all = true;
            for part in array.iter().take(2) {
                is_all &= search.value(deeper, part, depth, wrapper);
            }
            is_all
        });
        let labels = array.iter().nth(2);
        let are_searched = labels.is_none_or(|labels| self.value(deeper, labels, depth, wrapper));
        is_searched && (are_searched || is_told)
    }

    /// Searches `labels`, in which whatever looks like an event is doubtful.
    fn doubtful<'v>(
        &mut self,
        deeper: &mut [Layer],
        labels: Json<'v>,
        depth: usize,
        wrapper: &'v dyn Wrapper,
    ) -> bool {
        let text = labels.as_object().map(|fields| written(&fields));
        let text = text.unwrap_or_default();
        self.doubting(&text, |search| search.value(deeper, labels, depth, wrapper))
    }
}
