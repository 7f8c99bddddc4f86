//! By which few bytes each needle is looked for, and which needles are looked for together.
//!
//! A vector search holds as many sets of needles apart as a byte has bits. A set stops at every text that has, at each of
//! four places, the lower half of a byte of any of its needles and the upper half of any. So what is put together
//! decides how often the search stops for nothing, which is judged by a text like those of audit logs. A bad guess costs
//! time and nothing else.

use std::{array, collections::HashMap, iter, sync::LazyLock};

/// Bytes of a needle that are looked for.
pub const WINDOW: usize = 4;

/// The words of audit logs, as often as they stand there.
static TYPICAL: LazyLock<Typical> = LazyLock::new(|| Typical::read(include_bytes!("typical.txt")));

/// Most different windows of the typical text that are judged by.
const MAX_GRAMS: usize = 2048;

/// Where in a needle its window begins, by which it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The number of the needle.
    pub needle: usize,
    pub offset: usize,
}

/// Needles that are looked for together.
#[derive(Clone, Debug)]
pub struct Bucket {
    pub halves: Halves,
    pub members: Vec<Member>,
    /// The part of all places in a typical text at which it stops.
    pub cost: f64,
    grams: Box<[[Grams; 2]; WINDOW]>,
}

/// For each place of a window the halves of bytes that may stand there: the lower, then the upper, a bit for each.
pub type Halves = [[u16; 2]; WINDOW];

/// Some windows of the typical text, a bit for each.
type Grams = [u64; MAX_GRAMS / 64];

/// A bucket for each window by which a needle is found, the rarest it has. A needle that is shorter than a window is found
/// with anything behind it; of those, all that begin alike are in one bucket.
pub fn buckets(needles: &[&[u8]]) -> Vec<Bucket> {
    let mut buckets: Vec<Bucket> = Vec::new();
    let mut known: HashMap<&[u8], usize> = HashMap::new();
    for (needle, bytes) in needles.iter().enumerate() {
        let (offset, window) = TYPICAL.rarest_window(bytes);
        let mut bucket = TYPICAL.bucket(halves(window));
        bucket.members.push(Member { needle, offset });
        let alike = match window.len() {
            WINDOW => window,
            _ => &window[..window.len().min(1)],
        };
        match known.get(alike) {
            Some(same) => buckets[*same].take(bucket),
            None => {
                known.insert(alike, buckets.len());
                buckets.push(bucket);
            }
        }
    }
    buckets
}

/// Merges what costs least together until there are no more than `most`. Takes time with the square of their number.
pub fn merged(mut buckets: Vec<Bucket>, most: usize) -> Vec<Bucket> {
    let more =
        |one: &Bucket, other: &Bucket| TYPICAL.cost(one, Some(other)) - one.cost - other.cost;
    // What each costs more with each of those before it.
    let mut costs: Vec<Vec<f64>> = Vec::new();
    for (at, bucket) in buckets.iter().enumerate() {
        costs.push(
            buckets[..at]
                .iter()
                .map(|other| more(bucket, other))
                .collect(),
        );
    }
    while buckets.len() > most {
        let pairs = costs.iter().enumerate().flat_map(|(last, row)| {
            row.iter()
                .enumerate()
                .map(move |(first, cost)| (*cost, first, last))
        });
        let Some((_, first, last)) = pairs.min_by(|(a, ..), (b, ..)| a.total_cmp(b)) else {
            break;
        };
        let other = buckets.remove(last);
        costs.remove(last);
        for row in &mut costs[last..] {
            row.remove(last);
        }
        buckets[first].take(other);
        for (at, bucket) in buckets.iter().enumerate() {
            if at != first {
                let cost = more(bucket, &buckets[first]);
                costs[at.max(first)][at.min(first)] = cost;
            }
        }
    }
    buckets
}

impl Bucket {
    fn take(&mut self, other: Self) {
        self.members.extend(other.members);
        for place in 0..WINDOW {
            for half in 0..2 {
                self.halves[place][half] |= other.halves[place][half];
                let grams = &mut self.grams[place][half];
                *grams = array::from_fn(|word| grams[word] | other.grams[place][half][word]);
            }
        }
        self.cost = TYPICAL.cost(self, None);
    }
}

fn halves(window: &[u8]) -> Halves {
    array::from_fn(|place| match window.get(place) {
        Some(byte) => [1 << (byte & 15), 1 << (byte >> 4)],
        None => [u16::MAX; 2],
    })
}

/// A text by which is judged how often a bucket would stop.
struct Typical {
    /// How often each byte stands in it, as a part of one.
    bytes: [f64; 256],
    /// How often each window stands in it, as a part of one.
    grams: Vec<f64>,
    /// Where in `grams` a window is.
    numbers: HashMap<&'static [u8], usize>,
    /// The windows that have a half of a byte at a place.
    with: Box<[[[Grams; 16]; 2]; WINDOW]>,
}

impl Typical {
    fn read(text: &'static [u8]) -> Self {
        let part = 1.0 / text.len() as f64;
        // No byte is impossible.
        let mut bytes = [part / 16.0; 256];
        for byte in text {
            bytes[usize::from(*byte)] += part;
        }
        let mut numbers: HashMap<&'static [u8], usize> = HashMap::new();
        let mut grams = Vec::new();
        let mut with = Box::new([[[[0; MAX_GRAMS / 64]; 16]; 2]; WINDOW]);
        for window in text.windows(WINDOW) {
            let number = *numbers.entry(window).or_insert(grams.len());
            match grams.get_mut(number) {
                Some(often) => *often += part,
                None if number < MAX_GRAMS => {
                    grams.push(part);
                    for (byte, with) in window.iter().zip(with.iter_mut()) {
                        with[0][usize::from(byte & 15)][number / 64] |= 1 << (number % 64);
                        with[1][usize::from(byte >> 4)][number / 64] |= 1 << (number % 64);
                    }
                }
                None => {}
            }
        }
        Self {
            bytes,
            grams,
            numbers,
            with,
        }
    }

    /// Where `needle` has the window that stands in the text most seldom, and that window: all of a shorter needle.
    fn rarest_window<'n>(&self, needle: &'n [u8]) -> (usize, &'n [u8]) {
        let cost = |window: &[u8]| {
            let often = self
                .numbers
                .get(window)
                .and_then(|gram| self.grams.get(*gram));
            let by_chance: f64 = window
                .iter()
                .map(|byte| self.bytes[usize::from(*byte)])
                .product();
            often.copied().unwrap_or(0.0) + by_chance
        };
        let windows = needle.windows(WINDOW).enumerate();
        let judged = windows.map(|(offset, window)| (cost(window), offset, window));
        judged
            .min_by(|(one, ..), (other, ..)| one.total_cmp(other))
            .map(|(_, offset, window)| (offset, window))
            .unwrap_or((0, needle))
    }

    fn bucket(&self, halves: Halves) -> Bucket {
        let grams = array::from_fn(|place| {
            array::from_fn(|half| {
                let with = bits(halves[place][half]).map(|bit| &self.with[place][half][bit]);
                with.fold([0; MAX_GRAMS / 64], |all, some| {
                    array::from_fn(|word| all[word] | some[word])
                })
            })
        });
        let mut bucket = Bucket {
            halves,
            members: Vec::new(),
            cost: 0.0,
            grams: Box::new(grams),
        };
        bucket.cost = self.cost(&bucket, None);
        bucket
    }

    /// Of `one`, merged with `other`: what of the typical text it stops at, and what it would if all bytes stood there by chance.
    fn cost(&self, one: &Bucket, other: Option<&Bucket>) -> f64 {
        let other = other.unwrap_or(one);
        let mut all = [u64::MAX; MAX_GRAMS / 64];
        let mut by_chance = 1.0;
        for place in 0..WINDOW {
            let [low, high] = [0, 1].map(|half| {
                let grams = (&one.grams[place][half], &other.grams[place][half]);
                all = array::from_fn(|word| all[word] & (grams.0[word] | grams.1[word]));
                one.halves[place][half] | other.halves[place][half]
            });
            let upper = bits(high).flat_map(|high| bits(low).map(move |low| high << 4 | low));
            by_chance *= upper.map(|byte| self.bytes[byte]).sum::<f64>();
        }
        let words = all.iter().enumerate();
        let stopped = words.flat_map(|(at, word)| bits(*word).map(move |bit| at * 64 + bit));
        by_chance + stopped.filter_map(|gram| self.grams.get(gram)).sum::<f64>()
    }
}

fn bits(set: impl Into<u64>) -> impl Iterator<Item = usize> + Clone {
    let rest = |set: &u64| Some(set & (set - 1)).filter(|rest| *rest != 0);
    let first = Some(set.into()).filter(|set| *set != 0);
    iter::successors(first, rest).map(|set| set.trailing_zeros() as usize)
}
