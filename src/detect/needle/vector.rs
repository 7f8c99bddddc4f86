//! The search with vector registers, which looks at 64 places at a time.
//!
//! Each place is looked at through a window of four bytes. A part of each byte is an index into a table that tells, in a bit for
//! each of eight buckets, whether a needle of that bucket may have it there (Hyperscan calls this Teddy). Unlike
//! `aho_corasick::packed`, which takes the beginning of each pattern, a window lies where the needle is rarest, and buckets
//! are filled so that they seldom stop for nothing.
//!
//! What processors can look up at once decides how bytes are told apart: [`seven_bits`] needs AVX-512 with VBMI, and reads 36 GB/s
//! from memory near the core; [`halves`] needs AVX2, and reads 14 (AMD, Zen 4).

mod halves;
mod seven_bits;

use std::{
    arch::x86_64::{__cpuid, _MM_HINT_T0, _mm_prefetch},
    array,
    sync::LazyLock,
};

use super::fingerprint::{self, BY_HALVES, BY_SEVEN_BITS, Bucket, Typical, WINDOW};

/// Places that are looked at together.
const BLOCK: usize = 64;

/// How far ahead of a block memory is asked for, on processors that look no further by themselves than to the end of a page.
const AHEAD: usize = 4096;

/// Whether this is such a processor. From a file that is mapped, a search that asks ahead takes a quarter less with one of Intel's
/// (Sapphire Rapids), and a seventh more with one of AMD's (Zen 4).
static ASKS_AHEAD: LazyLock<bool> = LazyLock::new(|| {
    // It has no processor.
    if cfg!(miri) {
        return true;
    }
    let vendor = __cpuid(0);
    [vendor.ebx, vendor.edx, vendor.ecx]
        .map(u32::to_le_bytes)
        .as_flattened()
        == b"GenuineIntel"
});

/// Bytes of a needle, from its window on, that are compared before the needle is asked for.
const COMPARED: usize = 8;

/// What is looked through at the places of a block.
type Seen = [u8; BLOCK + WINDOW - 1];

/// Buckets of one set of tables.
const BUCKETS: usize = 8;

/// Most needles, since the time to put them into buckets grows with the square of them.
const MAX_NEEDLES: usize = 400;

/// Shortest needle.
const MIN_BYTES: usize = 2;

/// A few times more than there are windows.
const WINDOW_BITS: usize = 1 << 13;

/// With twice as many buckets the search takes half as long again or more, 0.03 to 0.06 ns a byte, and a stop for nothing takes
/// some 10 ns: more buckets pay if they avoid more stops than this.
const WORTH: f64 = 0.002;

/// Needles, in buckets.
#[derive(Debug)]
pub struct Vector {
    tables: Tables,
    members: Members,
}

/// One set for every eight buckets, at most two.
#[derive(Debug)]
enum Tables {
    SevenBits(Vec<seven_bits::Tables>),
    Halves(Vec<halves::Tables>),
}

/// The needles, as they are checked where buckets stop.
#[derive(Debug)]
struct Members {
    buckets: Vec<Vec<Member>>,
    windows: Windows,
}

/// The windows of all needles, by a hash: most stops are for none.
#[derive(Debug)]
struct Windows(Box<[u64; WINDOW_BITS / 64]>);

/// A needle as it is checked where its bucket stops.
#[derive(Debug)]
struct Member {
    needle: usize,
    offset: usize,
    /// What it has from its window on, and which of those bytes count.
    text: u64,
    mask: u64,
}

/// Where in a block buckets stop.
struct Stops<const SETS: usize> {
    /// A bit for each place at which any does.
    places: u64,
    /// Which of each set do, at each place.
    buckets: [[u8; BLOCK]; SETS],
}

/// What is asked for, and of whom.
struct Search<'s> {
    bytes: &'s [u8],
    is_needle: &'s dyn Fn(usize, usize) -> bool,
    found: &'s mut dyn FnMut(usize) -> usize,
}

impl Vector {
    /// `None` if this processor lacks what a search needs, or the needles are too short or too many.
    pub fn new(needles: &[&[u8]]) -> Option<Self> {
        Self::by_seven_bits(needles).or_else(|| Self::by_halves(needles))
    }

    pub(super) fn by_seven_bits(needles: &[&[u8]]) -> Option<Self> {
        let is_fit = seven_bits::is_supported() && are_fit(needles);
        is_fit.then(|| {
            let all = dealt(&BY_SEVEN_BITS, needles);
            let tables = all.chunks(BUCKETS).map(seven_bits::Tables::new).collect();
            Self::with(needles, &all, Tables::SevenBits(tables))
        })
    }

    pub(super) fn by_halves(needles: &[&[u8]]) -> Option<Self> {
        let is_fit = halves::is_supported() && are_fit(needles);
        is_fit.then(|| {
            let all = dealt(&BY_HALVES, needles);
            let tables = all.chunks(BUCKETS).map(halves::Tables::new).collect();
            Self::with(needles, &all, Tables::Halves(tables))
        })
    }

    fn with<const TABLES: usize>(
        needles: &[&[u8]],
        buckets: &[Bucket<TABLES>],
        tables: Tables,
    ) -> Self {
        let members = Members {
            buckets: buckets
                .iter()
                .map(|bucket| {
                    let members = bucket.members.iter();
                    members.map(|member| Member::new(needles, member)).collect()
                })
                .collect(),
            windows: Windows::of(needles, buckets),
        };
        Self { tables, members }
    }

    #[cfg(test)]
    pub fn is_wide(&self) -> bool {
        self.members.buckets.len() > BUCKETS
    }

    /// Calls `found` with where a needle begins, of which `is_needle` says by its number and where it begins whether it does; it
    /// returns where to go on.
    pub fn scan(
        &self,
        bytes: &[u8],
        is_needle: &dyn Fn(usize, usize) -> bool,
        found: &mut dyn FnMut(usize) -> usize,
    ) {
        let search = Search {
            bytes,
            is_needle,
            found,
        };
        // SAFETY: there are no tables for what this processor lacks.
        unsafe {
            match &self.tables {
                Tables::SevenBits(tables) => match tables.as_slice() {
                    [] => {}
                    [one] => seven_bits::search([one], &self.members, search),
                    [one, other, ..] => seven_bits::search([one, other], &self.members, search),
                },
                Tables::Halves(tables) => match tables.as_slice() {
                    [] => {}
                    [one] => halves::search([one], &self.members, search),
                    [one, other, ..] => halves::search([one, other], &self.members, search),
                },
            }
        }
    }
}

fn are_fit(needles: &[&[u8]]) -> bool {
    let mut all = needles.iter();
    needles.len() <= MAX_NEEDLES && all.all(|needle| needle.len() >= MIN_BYTES)
}

/// Needles in eight buckets, or in sixteen if that pays.
fn dealt<const TABLES: usize>(typical: &Typical<TABLES>, needles: &[&[u8]]) -> Vec<Bucket<TABLES>> {
    let many = typical.merged(typical.buckets(needles), 2 * BUCKETS);
    let few = typical.merged(many.clone(), BUCKETS);
    let cost = |buckets: &[Bucket<TABLES>]| buckets.iter().map(|bucket| bucket.cost).sum::<f64>();
    let is_worth = cost(&few) - cost(&many) > WORTH;
    if is_worth { many } else { few }
}

impl Search<'_> {
    /// Passes as many bytes as `quiet` says of those that it is given, in whose blocks nothing stops, and asks `stops` of the block
    /// behind them. Inlined into whoever has the instructions for that.
    #[inline(always)]
    fn run<const SETS: usize>(
        self,
        members: &Members,
        quiet: impl Fn(&[u8]) -> usize,
        stops: impl Fn(&Seen) -> Option<Stops<SETS>>,
    ) {
        let Self {
            bytes,
            is_needle,
            found,
        } = self;
        let mut end = [0; BLOCK + WINDOW - 1];
        let (mut from, mut at) = (0, 0);
        while at < bytes.len() {
            at += quiet(&bytes[at..]);
            let seen = bytes[at..].first_chunk().unwrap_or_else(|| {
                end[..bytes.len() - at].copy_from_slice(&bytes[at..]);
                end[bytes.len() - at..].fill(0);
                &end
            });
            let first = at;
            at += BLOCK;
            let Some(stops) = stops(seen) else {
                continue;
            };
            let needle = members.first(&stops, &bytes[first..], &|member, place| {
                let start = (first + place).checked_sub(member.offset);
                start.filter(|start| *start >= from && is_needle(member.needle, *start))
            });
            if let Some(start) = needle {
                from = found(start);
                at = from;
            }
        }
    }
}

/// Bytes of the blocks that lie whole before the first of which `any` holds.
#[inline(always)]
fn quiet(bytes: &[u8], any: impl Fn(&Seen) -> bool) -> usize {
    match *ASKS_AHEAD {
        true => quiet_asking::<true>(bytes, any),
        false => quiet_asking::<false>(bytes, any),
    }
}

/// A loop of its own, which calls nothing, so that the tables stay in registers: that is a third of the time.
#[inline(always)]
fn quiet_asking<const AHEAD_TOO: bool>(bytes: &[u8], any: impl Fn(&Seen) -> bool) -> usize {
    let mut at = 0;
    // Behind the first, blocks lie as the processor loads them at once.
    let mut step = BLOCK - bytes.as_ptr().addr() % BLOCK;
    while let Some(seen) = bytes[at..].first_chunk() {
        if AHEAD_TOO {
            // SAFETY: it is no access, and may be asked for whatever stands there, or nothing.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(seen.as_ptr().wrapping_add(AHEAD).cast()) };
        }
        if any(seen) {
            break;
        }
        at += step;
        step = BLOCK;
    }
    at
}

impl Members {
    /// What `check` says of the first needle it finds, at one of the places where buckets stop. The block is at the beginning of
    /// `bytes`.
    fn first<const SETS: usize>(
        &self,
        stops: &Stops<SETS>,
        bytes: &[u8],
        check: &dyn Fn(&Member, usize) -> Option<usize>,
    ) -> Option<usize> {
        let mut places = stops.places;
        while places != 0 {
            let place = places.trailing_zeros() as usize;
            places &= places - 1;
            let text = compared(bytes.get(place..).unwrap_or_default());
            let [a, b, c, d, ..] = text;
            if !self.windows.may_have([a, b, c, d]) {
                continue;
            }
            let text = u64::from_le_bytes(text);
            let sets = stops.buckets.iter().zip(self.buckets.chunks(BUCKETS));
            for (stopped, buckets) in sets {
                let mut stopped = stopped[place];
                while stopped != 0 {
                    let bucket = &buckets[stopped.trailing_zeros() as usize];
                    stopped &= stopped - 1;
                    let mut members = bucket
                        .iter()
                        .filter(|member| (text ^ member.text) & member.mask == 0);
                    if let Some(found) = members.find_map(|member| check(member, place)) {
                        return Some(found);
                    }
                }
            }
        }
        None
    }
}

/// The first bytes, with zeros behind them where there are too few.
fn compared(bytes: &[u8]) -> [u8; COMPARED] {
    let few = || array::from_fn(|at| bytes.get(at).copied().unwrap_or(0));
    bytes.first_chunk().copied().unwrap_or_else(few)
}

impl Member {
    fn new(needles: &[&[u8]], member: &fingerprint::Member) -> Self {
        let needle = &needles[member.needle][member.offset..];
        let count = |at| if at < needle.len() { u8::MAX } else { 0 };
        Self {
            needle: member.needle,
            offset: member.offset,
            text: u64::from_le_bytes(compared(needle)),
            mask: u64::from_le_bytes(array::from_fn(count)),
        }
    }
}

impl Windows {
    fn of<const TABLES: usize>(needles: &[&[u8]], buckets: &[Bucket<TABLES>]) -> Self {
        let mut windows = Self(Box::new([0; WINDOW_BITS / 64]));
        let members = buckets.iter().flat_map(|bucket| &bucket.members);
        for needle in members.map(|member| &needles[member.needle][member.offset..]) {
            match *needle {
                [a, b, c, d, ..] => windows.insert(Self::whole([a, b, c, d])),
                [a, b, c] => windows.insert(Self::start([a, b, c])),
                _ => {
                    let byte = |at| needle.get(at).copied().unwrap_or(0);
                    let starts = (0..=u8::MAX).map(|third| [byte(0), byte(1), third]);
                    starts.for_each(|start| windows.insert(Self::start(start)));
                }
            }
        }
        windows
    }

    fn insert(&mut self, bit: usize) {
        self.0[bit / 64] |= 1 << (bit % 64);
    }

    fn may_have(&self, window: [u8; WINDOW]) -> bool {
        let [a, b, c, _] = window;
        let has = |bit: usize| self.0[bit / 64] >> (bit % 64) & 1 == 1;
        has(Self::whole(window)) || has(Self::start([a, b, c]))
    }

    fn whole(window: [u8; WINDOW]) -> usize {
        Self::bit(u32::from_le_bytes(window))
    }

    /// Of a needle that is shorter than a window.
    fn start([a, b, c]: [u8; 3]) -> usize {
        Self::bit(u32::from_be_bytes([a, b, c, 0]))
    }

    fn bit(bytes: u32) -> usize {
        let hash = bytes.wrapping_mul(0x9e37_79b1);
        hash as usize >> (u32::BITS - WINDOW_BITS.ilog2())
    }
}

/// Which of `buckets`, at most eight, may have each entry of a table at a place of their windows.
fn entries<const TABLES: usize, const ENTRIES: usize>(
    buckets: &[Bucket<TABLES>],
    place: usize,
    table: usize,
) -> [u8; ENTRIES] {
    let with = |entry: usize| {
        let sets = buckets.iter().map(|bucket| bucket.sets[place][table]);
        sets.zip(0..).fold(0, |with, (set, bit)| {
            with | u8::from(set >> entry & 1 == 1) << bit
        })
    };
    array::from_fn(with)
}
