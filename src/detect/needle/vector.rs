//! The search with AVX2, which looks at 64 places at a time.
//!
//! Each place is looked at through a window of four bytes. Half a byte is an index into a register of sixteen bytes that tells,
//! in a bit for each of eight buckets, whether a needle of that bucket has it there (Hyperscan calls this Teddy). Unlike
//! `aho_corasick::packed`, which takes the beginning of each pattern, a window lies where the needle is rarest, and buckets
//! are filled so that they seldom stop for nothing.
use std::{
    arch::x86_64::{
        __m256i, _mm_loadu_si128, _mm256_and_si256, _mm256_broadcastsi128_si256, _mm256_cmpeq_epi8,
        _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8,
        _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srli_epi16, _mm256_storeu_si256,
        _mm256_testz_si256,
    },
    array, ptr,
};

use super::fingerprint::{self, Bucket, WINDOW, buckets, merged};

/// Places that are looked at together.
const BLOCK: usize = 2 * LANES;

/// Bytes of a register.
const LANES: usize = 32;

/// What is looked through at the places of a block.
type Seen = [u8; BLOCK + WINDOW - 1];

/// Buckets of one set of tables.
const BUCKETS: usize = 8;

/// Most needles, since the time to put them into buckets grows with the square of them.
const MAX_NEEDLES: usize = 400;

/// Shortest needle. At the places that all of them have, only ASCII stands.
const MIN_BYTES: usize = 2;

/// A few times more than there are windows.
const WINDOW_BITS: usize = 1 << 13;

/// With twice as many buckets the search takes half as long again, 0.06 ns a byte, and a stop for nothing takes some 10 ns:
/// more buckets pay if they avoid more stops than this.
const WORTH: f64 = 0.002;

/// Needles, in buckets.
#[derive(Debug)]
pub struct Vector {
    tables: Vec<Tables>,
    buckets: Vec<Vec<Member>>,
    windows: Windows,
}

/// The windows of all needles, by a hash of what all of them have: most stops are for none.
#[derive(Debug)]
struct Windows(Box<[u64; WINDOW_BITS / 64]>);

/// A needle as it is checked where its bucket stops.
#[derive(Debug)]
struct Member {
    needle: usize,
    offset: usize,
    /// The window, and which of its bytes count.
    window: u32,
    mask: u32,
}

/// For each place of a window, which buckets have a lower half of a byte there, and which an upper.
#[derive(Debug, Default)]
struct Tables([[[u8; 16]; 2]; WINDOW]);

impl Vector {
    /// `None` if this processor has no AVX2, or the needles are too short, too many, or not ASCII.
    pub fn new(needles: &[&[u8]]) -> Option<Self> {
        let is_fit = |needle: &&[u8]| needle.len() >= MIN_BYTES && needle.is_ascii();
        let are_fit = needles.len() <= MAX_NEEDLES && needles.iter().all(is_fit);
        if !are_fit || !is_x86_feature_detected!("avx2") {
            return None;
        }
        let many = merged(buckets(needles), 2 * BUCKETS);
        let few = merged(many.clone(), BUCKETS);
        let cost = |buckets: &[Bucket]| buckets.iter().map(|bucket| bucket.cost).sum::<f64>();
        let is_worth = cost(&few) - cost(&many) > WORTH;
        Some(Self::with(needles, if is_worth { &many } else { &few }))
    }

    fn with(needles: &[&[u8]], all: &[Bucket]) -> Self {
        let member = |member: &fingerprint::Member| {
            let needle = &needles[member.needle][member.offset..];
            let byte = |at| needle.get(at).copied();
            Member {
                needle: member.needle,
                offset: member.offset,
                window: u32::from_le_bytes(array::from_fn(|at| byte(at).unwrap_or(0))),
                mask: u32::from_le_bytes(array::from_fn(|at| byte(at).map_or(0, |_| u8::MAX))),
            }
        };
        Self {
            tables: all.chunks(BUCKETS).map(Tables::new).collect(),
            buckets: all
                .iter()
                .map(|bucket| bucket.members.iter().map(member).collect())
                .collect(),
            windows: Windows::of(needles, all),
        }
    }

    #[cfg(test)]
    pub fn is_wide(&self) -> bool {
        self.tables.len() > 1
    }

    /// Calls `found` with where a needle begins, of which `is_needle` says by its number and where it begins whether it does; it
    /// returns where to go on.
    pub fn scan(
        &self,
        bytes: &[u8],
        is_needle: &dyn Fn(usize, usize) -> bool,
        found: &mut dyn FnMut(usize) -> usize,
    ) {
        // SAFETY: there is no `Vector` where there is no AVX2.
        unsafe {
            match self.tables.as_slice() {
                [] => {}
                [one] => self.search([one], bytes, is_needle, found),
                [one, other, ..] => self.search([one, other], bytes, is_needle, found),
            }
        }
    }

    #[target_feature(enable = "avx2")]
    fn search<const TABLES: usize>(
        &self,
        tables: [&Tables; TABLES],
        bytes: &[u8],
        is_needle: &dyn Fn(usize, usize) -> bool,
        found: &mut dyn FnMut(usize) -> usize,
    ) {
        let tables = tables.map(|tables| tables.0.map(|halves| halves.map(|half| both(&half))));
        let none = _mm256_setzero_si256();
        let mut end = [0; BLOCK + WINDOW - 1];
        let mut from = 0;
        let mut at = 0;
        while at < bytes.len() {
            let seen = bytes[at..].first_chunk().unwrap_or_else(|| {
                end[..bytes.len() - at].copy_from_slice(&bytes[at..]);
                end[bytes.len() - at..].fill(0);
                &end
            });
            let stops = [
                stops::<0, TABLES>(&tables, seen),
                stops::<LANES, TABLES>(&tables, seen),
            ];
            let [low, high] = stops.map(|stops| {
                let mut stops = stops.into_iter();
                let first = stops.next().unwrap_or(none);
                stops.fold(first, |any, stops| _mm256_or_si256(any, stops))
            });
            at += BLOCK;
            let any = _mm256_or_si256(low, high);
            if _mm256_testz_si256(any, any) == 1 {
                continue;
            }
            let here = stops.map(|stops| stops.map(|stops| stored(stops)));
            let places = placed(low) | placed(high) << LANES;
            let first = at - BLOCK;
            let needle = self.first(&[&here[0], &here[1]], places, seen, &|member, place| {
                let start = (first + place).checked_sub(member.offset);
                start.filter(|start| *start >= from && is_needle(member.needle, *start))
            });
            if let Some(start) = needle {
                from = found(start);
                at = from;
            }
        }
    }

    /// What `check` says of the first needle it finds, at one of the `places` where buckets stop.
    fn first(
        &self,
        stops: &[&[[u8; LANES]]; 2],
        places: u64,
        seen: &Seen,
        check: &dyn Fn(&Member, usize) -> Option<usize>,
    ) -> Option<usize> {
        let mut places = places;
        while places != 0 {
            let place = places.trailing_zeros() as usize;
            places &= places - 1;
            let window: [u8; WINDOW] = array::from_fn(|at| seen[place + at]);
            let window = u32::from_le_bytes(window);
            if !self.windows.may_have(window) {
                continue;
            }
            let stops = stops[place / LANES]
                .iter()
                .map(|stops| stops[place % LANES]);
            for (mut stopped, buckets) in stops.zip(self.buckets.chunks(BUCKETS)) {
                while stopped != 0 {
                    let bucket = &buckets[stopped.trailing_zeros() as usize];
                    stopped &= stopped - 1;
                    let mut members = bucket
                        .iter()
                        .filter(|member| (window ^ member.window) & member.mask == 0);
                    if let Some(found) = members.find_map(|member| check(member, place)) {
                        return Some(found);
                    }
                }
            }
        }
        None
    }
}

impl Tables {
    fn new(buckets: &[Bucket]) -> Self {
        let mut tables = Self::default();
        for (bucket, bit) in buckets.iter().zip(0..) {
            for (place, halves) in tables.0.iter_mut().zip(bucket.halves) {
                for (table, half) in place.iter_mut().zip(halves) {
                    for (value, buckets) in table.iter_mut().enumerate() {
                        *buckets |= u8::from(half >> value & 1 == 1) << bit;
                    }
                }
            }
        }
        tables
    }
}

impl Windows {
    fn of(needles: &[&[u8]], buckets: &[Bucket]) -> Self {
        let mut windows = Self(Box::new([0; WINDOW_BITS / 64]));
        let members = buckets.iter().flat_map(|bucket| &bucket.members);
        for needle in members.map(|member| &needles[member.needle][member.offset..]) {
            let byte = |at| needle.get(at).copied();
            let any = if byte(2).is_some() { 1 } else { 256 };
            for third in (0..=u8::MAX).take(any) {
                let third = byte(2).unwrap_or(third);
                let bytes = [byte(0).unwrap_or(0), byte(1).unwrap_or(0), third, 0];
                let bit = Self::bit(u32::from_le_bytes(bytes));
                windows.0[bit / 64] |= 1 << (bit % 64);
            }
        }
        windows
    }

    fn may_have(&self, window: u32) -> bool {
        let bit = Self::bit(window);
        self.0[bit / 64] >> (bit % 64) & 1 == 1
    }

    /// Of the first three bytes.
    fn bit(window: u32) -> usize {
        let hash = (window << 8).wrapping_mul(0x9e37_79b1);
        hash as usize >> (32 - WINDOW_BITS.ilog2())
    }
}

/// The buckets of each set of tables that stop at each of the places from `FIRST` on.
#[target_feature(enable = "avx2")]
#[inline]
fn stops<const FIRST: usize, const TABLES: usize>(
    tables: &[[[__m256i; 2]; WINDOW]; TABLES],
    seen: &Seen,
) -> [__m256i; TABLES] {
    let half = _mm256_set1_epi8(15);
    let mut all = [_mm256_set1_epi8(-1); TABLES];
    for place in 0..WINDOW {
        let bytes = load(seen, FIRST + place);
        // An index of 128 and more gives nothing: right where only ASCII is looked for, wrong where anything will do.
        let lower = match place < MIN_BYTES {
            true => bytes,
            false => _mm256_and_si256(bytes, half),
        };
        let upper = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), half);
        for (all, tables) in all.iter_mut().zip(tables) {
            let [low, high] = tables[place];
            let stops = _mm256_and_si256(
                _mm256_shuffle_epi8(low, lower),
                _mm256_shuffle_epi8(high, upper),
            );
            *all = _mm256_and_si256(*all, stops);
        }
    }
    all
}

/// Where any bucket stops, a bit for each place.
#[target_feature(enable = "avx2")]
#[inline]
fn placed(stops: __m256i) -> u64 {
    let none = _mm256_cmpeq_epi8(stops, _mm256_setzero_si256());
    u64::from(!_mm256_movemask_epi8(none).cast_unsigned())
}

#[target_feature(enable = "avx2")]
#[inline]
fn load(seen: &Seen, at: usize) -> __m256i {
    let bytes: &[u8] = &seen[at..at + LANES];
    // SAFETY: so many bytes may be read, wherever they lie.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
#[inline]
fn stored(register: __m256i) -> [u8; LANES] {
    let mut bytes = [0; LANES];
    // SAFETY: so many bytes may be written, wherever they lie.
    unsafe { _mm256_storeu_si256(ptr::from_mut(&mut bytes).cast(), register) };
    bytes
}

/// A table in both halves of a register, since each half is looked up by itself.
#[target_feature(enable = "avx2")]
#[inline]
fn both(table: &[u8; 16]) -> __m256i {
    // SAFETY: so many bytes may be read, wherever they lie.
    _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(ptr::from_ref(table).cast()) })
}
