//! Summaries of very many things in little memory.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use serde::{Deserialize, Serialize};

use super::{
    SourceCount,
    encoding::{at_most, count, positive},
    text::{KEPT_CHARS, cut},
};

/// Hashes that are kept: below this many a count of distinct things is exact, above it
/// the standard error is 1/√4096, less than two per cent.
pub(super) const HASHES: usize = 4096;

/// Counters that are kept.
const COUNTERS: usize = 64;

/// Parts that the hashes are stored in, so that few of them are written again for each that is
/// new: as many as a `u64` has bits.
const PARTS: u64 = 64;

/// How many distinct things were seen, by the k smallest of their hashes (KMV).
#[derive(Clone, Debug, Default)]
pub(super) struct DistinctCount {
    hashes: BTreeSet<u64>,
    changed: Parts,
}

/// Some of the [`PARTS`]: a bit for each.
#[derive(Clone, Copy, Debug, Default)]
struct Parts(u64);

impl Parts {
    /// By the last bits of `hash`: the first are alike in the smallest hashes.
    fn number(hash: u64) -> u64 {
        hash % PARTS
    }

    fn insert(&mut self, hash: u64) {
        self.0 |= 1 << Self::number(hash);
    }

    fn contains(self, number: u64) -> bool {
        self.0 >> number & 1 == 1
    }
}

impl DistinctCount {
    /// Notes a thing by a hash that is spread evenly over all values.
    pub(super) fn insert(&mut self, hash: u64) {
        let is_full = self.hashes.len() >= HASHES;
        if is_full && self.hashes.last().is_some_and(|&largest| hash >= largest) {
            return;
        }
        if !self.hashes.insert(hash) {
            return;
        }
        self.changed.insert(hash);
        if is_full && let Some(largest) = self.hashes.pop_last() {
            self.changed.insert(largest);
        }
    }

    /// How many distinct things: exact while fewer than 4,096, estimated from there.
    pub(super) fn estimate(&self) -> u64 {
        match self.hashes.last() {
            Some(&largest) if self.hashes.len() >= HASHES => {
                let share = (largest as f64 + 1.0) / (u64::MAX as f64 + 1.0);
                (((HASHES - 1) as f64 / share) as u64).max(HASHES as u64)
            }
            _ => self.hashes.len() as u64,
        }
    }

    /// It is stored in the place of `before`.
    pub(super) fn replace(&mut self, before: &Self) {
        self.changed.0 |= before.changed.0;
        before
            .hashes
            .iter()
            .for_each(|&hash| self.changed.insert(hash));
    }

    /// All parts count as unchanged.
    pub(super) fn unchanged(&mut self) {
        self.changed = Parts::default();
    }

    /// All parts count as changed.
    #[cfg(test)]
    pub(super) fn note_all(&mut self) {
        self.changed = Parts(u64::MAX);
    }

    /// The parts that changed, by number: their hashes in hexadecimal digits. They count as
    /// unchanged from now on.
    pub(super) fn take_changed(&mut self) -> BTreeMap<u64, Vec<String>> {
        let changed = std::mem::take(&mut self.changed);
        let numbers = (0..PARTS).filter(|&number| changed.contains(number));
        let mut parts: BTreeMap<_, _> = numbers.map(|number| (number, Vec::new())).collect();
        for &hash in &self.hashes {
            if let Some(part) = parts.get_mut(&Parts::number(hash)) {
                part.push(format!("{hash:016x}"));
            }
        }
        parts
    }

    /// Takes in part `number` as it was stored.
    ///
    /// # Errors
    ///
    /// If it is no such part: says why.
    pub(super) fn restore(&mut self, number: u64, part: &[String]) -> Result<(), &'static str> {
        for digits in part {
            let is_hash = digits.len() == 16 && digits.bytes().all(|it| it.is_ascii_hexdigit());
            let hash = is_hash.then(|| u64::from_str_radix(digits, 16).ok());
            let hash = hash.flatten().ok_or("a hash is no 16 hexadecimal digits")?;
            if Parts::number(hash) != number {
                return Err("a hash belongs to another part");
            }
            if !self.hashes.insert(hash) {
                return Err("a hash is there twice");
            }
            if self.hashes.len() > HASHES {
                return Err("there are too many hashes");
            }
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.hashes.len()
    }
}

/// The heaviest sources of many, by the SpaceSaving sketch: a source that made more than
/// one in 64 of all hits is certainly among the counters.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct HeavySources(
    #[serde(deserialize_with = "at_most::<COUNTERS, _, _>")] Vec<Counter>,
);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Counter {
    source_ip: Option<String>,
    /// At least as many as the source made.
    #[serde(deserialize_with = "positive")]
    count: u64,
    /// How many of them may have been others', whose counter it took over.
    #[serde(deserialize_with = "count")]
    inherited: u64,
}

impl HeavySources {
    pub(super) fn add(&mut self, source_ip: Option<&str>) {
        let source_ip = source_ip.map(|ip| cut(ip, KEPT_CHARS));
        if let Some(counter) = self
            .0
            .iter_mut()
            .find(|it| it.source_ip.as_deref() == source_ip)
        {
            counter.count += 1;
            return;
        }
        let source_ip = source_ip.map(String::from);
        if self.0.len() < COUNTERS {
            self.0.push(Counter {
                source_ip,
                count: 1,
                inherited: 0,
            });
        } else if let Some(lightest) = self.0.iter_mut().min_by_key(|it| it.count) {
            let inherited = lightest.count;
            *lightest = Counter {
                source_ip,
                count: inherited + 1,
                inherited,
            };
        }
    }

    /// The `most` heaviest, heaviest first; counts are upper bounds. A source is listed only
    /// if at least half of its count is certainly its own: in a flood from a million
    /// addresses with one hit each none is heavier than another, and none is listed.
    pub(super) fn heaviest(&self, most: usize) -> Vec<SourceCount> {
        let mut heavy: Vec<_> = self
            .0
            .iter()
            .filter(|it| it.inherited * 2 <= it.count)
            .collect();
        heavy.sort_by_key(|it| (Reverse(it.count), &it.source_ip));
        let shown = heavy.into_iter().take(most);
        shown
            .map(|it| SourceCount {
                source_ip: it.source_ip.clone(),
                count: it.count,
            })
            .collect()
    }

    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::RequestId;

    fn hash(number: u64) -> u64 {
        let bytes = RequestId::of(&[&number.to_le_bytes()]).to_bytes();
        bytes[..8]
            .iter()
            .fold(0, |hash, &byte| (hash << 8) | u64::from(byte))
    }

    #[test]
    fn distinct_is_exact_when_few_and_close_when_many() {
        let mut distinct = DistinctCount::default();
        for number in 0..4000 {
            distinct.insert(hash(number));
            distinct.insert(hash(number / 2));
        }
        assert_eq!(distinct.estimate(), 4000);
        for number in 0..100_000 {
            distinct.insert(hash(number));
        }
        assert!(
            (95_000..105_000).contains(&distinct.estimate()),
            "{}",
            distinct.estimate()
        );
        assert_eq!(distinct.kept(), HASHES);
    }

    #[test]
    fn a_heavy_source_stands_out_of_many_light_ones() {
        let mut sources = HeavySources::default();
        for number in 0..10_000 {
            sources.add(Some(&format!("10.0.{}.{}", number / 256, number % 256)));
            if number % 4 == 0 {
                sources.add(Some("192.0.2.1"));
            }
        }
        let heaviest = sources.heaviest(10);
        assert_eq!(heaviest[0].source_ip.as_deref(), Some("192.0.2.1"));
        assert!((2500..3000).contains(&heaviest[0].count), "{heaviest:?}");
        assert_eq!(sources.kept(), COUNTERS);
    }

    #[test]
    fn few_sources_are_counted_exactly() {
        let mut sources = HeavySources::default();
        for source in ["b", "a", "c", "a"] {
            sources.add(Some(source));
        }
        sources.add(None);
        let list: Vec<_> = sources
            .heaviest(3)
            .into_iter()
            .map(|it| (it.source_ip, it.count))
            .collect();
        assert_eq!(
            list,
            [
                (Some("a".to_owned()), 2),
                (None, 1),
                (Some("b".to_owned()), 1)
            ]
        );
    }

    /// As an agent of somebody else's may write it.
    #[test]
    fn an_address_that_is_too_long_is_one_source() {
        let long = "x".repeat(KEPT_CHARS + 1);
        let mut sources = HeavySources::default();
        for _ in 0..3 {
            sources.add(Some(&long));
        }
        let heaviest = sources.heaviest(2);
        assert_eq!(heaviest.len(), 1);
        assert_eq!(heaviest[0].count, 3);
    }

    #[test]
    fn where_all_are_equally_light_none_is_accused() {
        let mut sources = HeavySources::default();
        for number in 0..100_000 {
            sources.add(Some(&number.to_string()));
        }
        assert_eq!(sources.heaviest(10), []);
    }
}
