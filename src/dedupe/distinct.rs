//! The first few distinct strings of many.

use serde::{Deserialize, Serialize};

use super::{
    encoding::at_most,
    text::{KEPT_CHARS, cut},
};

/// Most strings that one list of an incident holds.
pub(super) const LISTED: usize = 10;

/// The first [`LISTED`] distinct strings, in order of first appearance, each cut.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Distinct(#[serde(deserialize_with = "at_most::<LISTED, _, _>")] Vec<String>);

impl Distinct {
    pub(super) fn insert(&mut self, text: &str) {
        let text = cut(text, KEPT_CHARS);
        if self.0.len() < LISTED && !self.0.iter().any(|known| known == text) {
            self.0.push(text.to_owned());
        }
    }

    pub(super) fn as_slice(&self) -> &[String] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_first_few_in_order() {
        let mut list = Distinct::default();
        for text in ["b", "a", "b"] {
            list.insert(text);
        }
        assert_eq!(list.as_slice(), ["b", "a"]);
        for number in 0..100 {
            list.insert(&number.to_string());
        }
        assert_eq!(list.as_slice().len(), LISTED);
    }

    #[test]
    fn long_strings_that_differ_only_beyond_the_cut_are_one() {
        let mut list = Distinct::default();
        list.insert(&format!("{}a", "x".repeat(KEPT_CHARS)));
        list.insert(&format!("{}b", "x".repeat(KEPT_CHARS)));
        assert_eq!(list.as_slice().len(), 1);
    }
}
