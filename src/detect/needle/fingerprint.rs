//! By which few bytes each needle is looked for, and which needles are looked for together.
//!
//! A vector search holds as many sets of needles apart as a byte has bits. A set stops at every text that has, at each of
//! four places, what may be a byte of any of its needles, as far as the tables of the search tell bytes apart. So what is put
//! together decides how often the search stops for nothing, which is judged by a text like those of audit logs. A bad guess
//! costs time and nothing else.

use std::{array, iter, mem, sync::LazyLock};

// Its hashes are no defence against chosen keys, which these are not, and begin a scan a tenth sooner.
use hashbrown::HashMap;

/// Bytes of a needle that are looked for.
pub const WINDOW: usize = 4;

/// The judge for a search whose tables tell a byte by seven of its bits.
pub static BY_SEVEN_BITS: LazyLock<Typical<1>> = LazyLock::new(|| Typical::read(TEXT));

/// The judge for a search with two tables for each place, which tell a byte by its lower half and by its upper.
pub static BY_HALVES: LazyLock<Typical<2>> = LazyLock::new(|| Typical::read(TEXT));

/// The words of audit logs, as often as they stand there.
pub const TEXT: &[u8] = include_bytes!("typical.txt");

/// Entries of a table; by halves, an eighth of them.
pub const CLASSES: usize = 128;

/// Most different windows of the typical text that are judged by.
const MAX_GRAMS: usize = 2048;

/// What one more window costs whatever it is, as a part of all places: the more are in a bucket, the more mixtures of them it stops
/// at. From a tenth to ten times as much, 64 decoys that are called alike stop at as few places.
const ONE_MORE: f64 = 1e-5;

/// Where in a needle its window begins, by which it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The number of the needle.
    pub needle: usize,
    pub offset: usize,
}

/// Needles that are looked for together.
#[derive(Clone, Debug)]
pub struct Bucket<const TABLES: usize> {
    /// For each place of a window and each table, which of its entries may be met there, a bit for each.
    pub sets: [[u128; TABLES]; WINDOW],
    pub members: Vec<Member>,
    /// The part of all places in a typical text at which it stops.
    pub cost: f64,
    grams: Box<[[Grams; TABLES]; WINDOW]>,
}

/// Some windows of the typical text, a bit for each.
type Grams = [u64; MAX_GRAMS / 64];

/// Which entry of a table a byte is.
pub fn entry<const TABLES: usize>(byte: u8, table: usize) -> usize {
    usize::from(match (TABLES, table) {
        (1, _) => byte & 0x7f,
        (_, 0) => byte & 15,
        _ => byte >> 4,
    })
}

/// One name for all bytes that the tables cannot tell apart: by halves, they tell all.
fn alike<const TABLES: usize>(byte: u8) -> u8 {
    match TABLES {
        // Of seven bits.
        1 => entry::<1>(byte, 0) as u8,
        _ => byte,
    }
}

/// A text by which is judged how often a bucket would stop.
pub struct Typical<const TABLES: usize> {
    /// How often each byte stands in it, as a part of one, by what it is [`alike`].
    bytes: [f64; 256],
    /// The same of its windows.
    windows: HashMap<[u8; WINDOW], f64>,
    /// How often each window stands in it, as a part of one.
    grams: Vec<f64>,
    /// The windows that have an entry of a table at a place.
    with: Box<[[[Grams; CLASSES]; TABLES]; WINDOW]>,
}

impl<const TABLES: usize> Typical<TABLES> {
    fn read(text: &'static [u8]) -> Self {
        let part = 1.0 / text.len() as f64;
        let mut bytes = [0.0; 256];
        for byte in 0..=u8::MAX {
            // No byte is impossible.
            bytes[usize::from(alike::<TABLES>(byte))] += part / 16.0;
        }
        for byte in text {
            bytes[usize::from(alike::<TABLES>(*byte))] += part;
        }
        let mut windows = HashMap::with_capacity(MAX_GRAMS);
        let mut numbers: HashMap<&[u8], usize> = HashMap::with_capacity(MAX_GRAMS);
        let mut grams = Vec::new();
        let mut with = Box::new([[[[0; MAX_GRAMS / 64]; CLASSES]; TABLES]; WINDOW]);
        for window in text.windows(WINDOW) {
            *windows.entry(seen_as::<TABLES>(window)).or_insert(0.0) += part;
            let number = *numbers.entry(window).or_insert(grams.len());
            match grams.get_mut(number) {
                Some(often) => *often += part,
                None if number < MAX_GRAMS => {
                    grams.push(part);
                    for (byte, with) in window.iter().zip(with.iter_mut()) {
                        for (table, with) in with.iter_mut().enumerate() {
                            let with = &mut with[entry::<TABLES>(*byte, table)];
                            with[number / 64] |= 1 << (number % 64);
                        }
                    }
                }
                None => {}
            }
        }
        Self {
            bytes,
            windows,
            grams,
            with,
        }
    }

    /// A bucket for each window by which a needle is found: a rare one, and best one that many have. A needle that is shorter
    /// than a window is found with anything behind it; of those, all that begin alike are in one bucket.
    pub fn buckets(&self, needles: &[&[u8]]) -> Vec<Bucket<TABLES>> {
        let mut sharers: HashMap<&[u8], u32> = HashMap::new();
        for window in needles.iter().flat_map(|needle| needle.windows(WINDOW)) {
            *sharers.entry(window).or_default() += 1;
        }
        let mut buckets: Vec<Bucket<TABLES>> = Vec::new();
        let mut known: HashMap<&[u8], usize> = HashMap::new();
        for (needle, bytes) in needles.iter().enumerate() {
            let (offset, window) = self.best_window(bytes, &sharers);
            let mut bucket = self.bucket(window);
            bucket.members.push(Member { needle, offset });
            let alike = match window.len() {
                WINDOW => window,
                _ => &window[..window.len().min(1)],
            };
            match known.get(alike) {
                Some(same) => self.merge(&mut buckets[*same], bucket),
                None => {
                    known.insert(alike, buckets.len());
                    buckets.push(bucket);
                }
            }
        }
        buckets
    }

    /// Merges what costs least together until there are no more than `most`. Takes time with the square of their number.
    pub fn merged(&self, mut buckets: Vec<Bucket<TABLES>>, most: usize) -> Vec<Bucket<TABLES>> {
        let more = |one: &Bucket<TABLES>, other: &Bucket<TABLES>| {
            self.cost(one, Some(other)) - one.cost - other.cost
        };
        // What each costs more with each of those before it.
        let mut costs: Vec<Vec<f64>> = Vec::new();
        for (at, bucket) in buckets.iter().enumerate() {
            let others = buckets[..at].iter();
            costs.push(others.map(|other| more(bucket, other)).collect());
        }
        let mut leasts: Vec<f64> = costs.iter().map(|row| least(row).1).collect();
        while buckets.len() > most.max(1) {
            let last = least(&leasts).0;
            let first = least(&costs[last]).0;
            let other = buckets.remove(last);
            costs.remove(last);
            leasts.remove(last);
            self.merge(&mut buckets[first], other);
            for (at, row) in costs.iter_mut().enumerate().skip(first) {
                let mut changed = match at < last {
                    true => f64::INFINITY,
                    false => row.remove(last),
                };
                if at > first {
                    let cost = more(&buckets[at], &buckets[first]);
                    changed = changed.min(mem::replace(&mut row[first], cost));
                    leasts[at] = leasts[at].min(cost);
                } else {
                    let others = buckets[..at].iter();
                    *row = others.map(|other| more(&buckets[at], other)).collect();
                    changed = f64::NEG_INFINITY;
                }
                if changed <= leasts[at] {
                    leasts[at] = least(row).1;
                }
            }
        }
        buckets
    }

    /// Where `needle` has the window that costs least, and that window: all of a shorter needle. What a window costs is shared by
    /// all needles that have it.
    fn best_window<'n>(
        &self,
        needle: &'n [u8],
        sharers: &HashMap<&[u8], u32>,
    ) -> (usize, &'n [u8]) {
        let cost = |window: &[u8]| {
            let sharers = sharers.get(window).copied().unwrap_or(1);
            (self.window_cost(window) + ONE_MORE) / f64::from(sharers)
        };
        let windows = needle.windows(WINDOW).enumerate();
        let judged = windows.map(|(offset, window)| (cost(window), offset, window));
        judged
            .min_by(|(one, ..), (other, ..)| one.total_cmp(other))
            .map(|(_, offset, window)| (offset, window))
            .unwrap_or((0, needle))
    }

    /// How often a window stands in the text, and would if all bytes stood there by chance.
    fn window_cost(&self, window: &[u8]) -> f64 {
        let window = seen_as::<TABLES>(window);
        let often = self.windows.get(&window).copied().unwrap_or(0.0);
        let bytes = window.iter().map(|byte| self.bytes[usize::from(*byte)]);
        often + bytes.product::<f64>()
    }

    /// Of one window; what it is too short for may be anything.
    fn bucket(&self, window: &[u8]) -> Bucket<TABLES> {
        let sets: [[u128; TABLES]; WINDOW] = array::from_fn(|place| {
            array::from_fn(|table| match window.get(place) {
                Some(byte) => 1 << entry::<TABLES>(*byte, table),
                None => u128::MAX,
            })
        });
        let grams = array::from_fn(|place| {
            array::from_fn(|table| {
                let with = bits(sets[place][table]).map(|bit| &self.with[place][table][bit]);
                with.fold([0; MAX_GRAMS / 64], |all, some| {
                    array::from_fn(|word| all[word] | some[word])
                })
            })
        });
        let mut bucket = Bucket {
            sets,
            members: Vec::new(),
            cost: 0.0,
            grams: Box::new(grams),
        };
        bucket.cost = self.cost(&bucket, None);
        bucket
    }

    fn merge(&self, into: &mut Bucket<TABLES>, other: Bucket<TABLES>) {
        into.members.extend(other.members);
        for place in 0..WINDOW {
            for table in 0..TABLES {
                into.sets[place][table] |= other.sets[place][table];
                let grams = &mut into.grams[place][table];
                *grams = array::from_fn(|word| grams[word] | other.grams[place][table][word]);
            }
        }
        into.cost = self.cost(into, None);
    }

    /// Of `one`, merged with `other`: what of the typical text it stops at, and what it would if all bytes stood there by chance.
    fn cost(&self, one: &Bucket<TABLES>, other: Option<&Bucket<TABLES>>) -> f64 {
        let other = other.unwrap_or(one);
        let mut all = [u64::MAX; MAX_GRAMS / 64];
        let mut by_chance = 1.0;
        for place in 0..WINDOW {
            let sets: [u128; TABLES] = array::from_fn(|table| {
                let grams = (&one.grams[place][table], &other.grams[place][table]);
                all = array::from_fn(|word| all[word] & (grams.0[word] | grams.1[word]));
                one.sets[place][table] | other.sets[place][table]
            });
            by_chance *= self.by_chance(&sets);
        }
        if all.iter().fold(0, |some, word| some | word) == 0 {
            return by_chance;
        }
        let words = all.iter().enumerate();
        let stopped =
            words.flat_map(|(at, word)| bits((*word).into()).map(move |bit| at * 64 + bit));
        by_chance + stopped.filter_map(|gram| self.grams.get(gram)).sum::<f64>()
    }

    /// How often a byte is one that all of `sets` have.
    fn by_chance(&self, sets: &[u128; TABLES]) -> f64 {
        match *sets.as_slice() {
            [low, high] => {
                let bytes = bits(high & 0xffff)
                    .flat_map(|high| bits(low & 0xffff).map(move |low| high << 4 | low));
                bytes.map(|byte| self.bytes[byte]).sum()
            }
            _ => bits(sets[0]).map(|entry| self.bytes[entry]).sum(),
        }
    }
}

/// The first of the least of `costs`, and where it stands.
fn least(costs: &[f64]) -> (usize, f64) {
    let costs = costs.iter().copied().enumerate();
    costs
        .min_by(|(_, one), (_, other)| one.total_cmp(other))
        .unwrap_or((0, f64::INFINITY))
}

/// A window, by what its bytes are [`alike`].
fn seen_as<const TABLES: usize>(window: &[u8]) -> [u8; WINDOW] {
    array::from_fn(|at| window.get(at).map_or(0, |byte| alike::<TABLES>(*byte)))
}

fn bits(set: u128) -> impl Iterator<Item = usize> + Clone {
    let rest = |set: &u128| Some(set & (set - 1)).filter(|rest| *rest != 0);
    let first = Some(set).filter(|set| *set != 0);
    iter::successors(first, rest).map(|set| set.trailing_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::btree_set, prelude::*};

    use super::*;

    /// As [`Typical::merged`], asking all anew each time.
    fn merged<const TABLES: usize>(
        typical: &Typical<TABLES>,
        mut buckets: Vec<Bucket<TABLES>>,
        most: usize,
    ) -> Vec<Bucket<TABLES>> {
        while buckets.len() > most {
            let more = |first: usize, last: usize| {
                let (one, other) = (&buckets[last], &buckets[first]);
                typical.cost(one, Some(other)) - one.cost - other.cost
            };
            let pairs =
                (0..buckets.len()).flat_map(|last| (0..last).map(move |first| (first, last)));
            let (first, last) = pairs
                .min_by(|a, b| more(a.0, a.1).total_cmp(&more(b.0, b.1)))
                .expect("there are two or more");
            let other = buckets.remove(last);
            typical.merge(&mut buckets[first], other);
        }
        buckets
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_costs_least_is_merged_first(
            needles in btree_set("(bait|trap|kube|sa|[a-z]{3})-[a-e1-9]{1,4}", 1..24),
            most in 1_usize..9,
        ) {
            let needles: Vec<&[u8]> = needles.iter().map(String::as_bytes).collect();
            let buckets = BY_SEVEN_BITS.buckets(&needles);
            let members = |buckets: Vec<Bucket<1>>| -> Vec<_> {
                buckets.into_iter().map(|bucket| bucket.members).collect()
            };
            let slow = members(merged(&BY_SEVEN_BITS, buckets.clone(), most));
            prop_assert_eq!(members(BY_SEVEN_BITS.merged(buckets, most)), slow);
        }
    }
}
