//! Which kinds of request an incident is made of, and how many of each.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::{
    RequestCount,
    act::resource,
    encoding::{at_most, count},
    text::{KEPT_CHARS, cut},
};
use crate::detect::Request;

/// Most kinds that are told apart; the rest is counted together.
pub(super) const ROWS: usize = 16;

/// Where a hit stands in [`Rows`]: the row's place, or 255 for the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Row(u8);

/// The row of everything beyond the bound.
const REST: Row = Row(u8::MAX);

/// Counts by (verb, resource, code). A row keeps its place while anything is counted in it;
/// the place of an empty row is taken by the next kind.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Rows {
    #[serde(deserialize_with = "at_most::<ROWS, _, _>")]
    rows: Vec<RequestCount>,
    #[serde(deserialize_with = "count")]
    rest: u64,
}

impl Rows {
    /// Counts a request with the code that is known so far, and says where.
    pub(super) fn add(&mut self, request: &Request, code: Option<u16>) -> Row {
        let row = self.find(request, code);
        *self.count(row) += 1;
        row
    }

    /// More is known of a request that stands in `row`: counts it where it belongs, and says where.
    pub(super) fn shift(&mut self, row: Row, request: &Request, code: Option<u16>) -> Row {
        *self.count(row) -= 1;
        self.add(request, code)
    }

    fn find(&mut self, request: &Request, code: Option<u16>) -> Row {
        let resource = resource(request);
        let (verb, resource) = (
            request.verb.as_deref().map(|verb| cut(verb, KEPT_CHARS)),
            resource.as_deref().map(|name| cut(name, KEPT_CHARS)),
        );
        let place = self.rows.iter().position(|row| {
            row.code == code && row.verb.as_deref() == verb && row.resource.as_deref() == resource
        });
        if let Some(place) = place {
            return Row(place as u8);
        }
        let new = || RequestCount {
            verb: verb.map(str::to_owned),
            resource: resource.map(str::to_owned),
            code,
            count: 0,
        };
        match self.rows.iter().position(|row| row.count == 0) {
            Some(empty) => {
                self.rows[empty] = new();
                Row(empty as u8)
            }
            None if self.rows.len() < ROWS => {
                self.rows.push(new());
                Row((self.rows.len() - 1) as u8)
            }
            None => REST,
        }
    }

    fn count(&mut self, row: Row) -> &mut u64 {
        match self.rows.get_mut(usize::from(row.0)) {
            Some(row) => &mut row.count,
            None => &mut self.rest,
        }
    }

    /// Undoes an [`add`](Self::add) that gave `row`; `None` if there was none.
    pub(super) fn take_out(&mut self, row: Row) -> Option<()> {
        if row != REST && usize::from(row.0) >= self.rows.len() {
            return None;
        }
        let count = self.count(row);
        *count = count.checked_sub(1)?;
        Some(())
    }

    /// Requests in all rows.
    pub(super) fn total(&self) -> u64 {
        let counts = self.rows.iter().map(|row| row.count);
        counts.fold(self.rest, u64::saturating_add)
    }

    /// The rows, most frequent first, of equals the earlier first; at the end a nameless
    /// one for the rest.
    pub(super) fn list(&self) -> Vec<RequestCount> {
        let mut list: Vec<_> = self
            .rows
            .iter()
            .filter(|row| row.count > 0)
            .cloned()
            .collect();
        list.sort_by_key(|row| Reverse(row.count));
        if self.rest > 0 {
            list.push(RequestCount {
                verb: None,
                resource: None,
                code: None,
                count: self.rest,
            });
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(resource: &str) -> Request {
        Request {
            verb: Some("get".into()),
            resource: Some(resource.into()),
            ..Request::default()
        }
    }

    #[test]
    fn a_code_moves_the_request_and_leaves_nothing_behind() {
        let mut rows = Rows::default();
        let row = rows.add(&get("pods"), None);
        let row = rows.shift(row, &get("pods"), Some(403));
        rows.shift(row, &get("pods"), Some(403));
        let list = rows.list();
        assert_eq!(list.len(), 1);
        assert_eq!((list[0].code, list[0].count), (Some(403), 1));
    }

    #[test]
    fn beyond_the_bound_the_sum_stays_exact() {
        let mut rows = Rows::default();
        for number in 0..100 {
            let request = get(&number.to_string());
            let row = rows.add(&request, None);
            rows.shift(row, &request, Some(200));
        }
        rows.add(&get("7"), Some(200));
        let list = rows.list();
        assert_eq!(list.len(), ROWS + 1);
        assert_eq!(list[0].resource.as_deref(), Some("7"));
        assert_eq!(list.iter().map(|row| row.count).sum::<u64>(), 101);
        let rest = &list[ROWS];
        assert_eq!(
            (&rest.verb, &rest.resource, rest.code),
            (&None, &None, None)
        );
        assert_eq!(rest.count, 84);
    }
}
