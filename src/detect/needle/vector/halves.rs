//! With AVX2: half a byte is an index into a register of sixteen bytes, so that each place needs two.

use std::{
    arch::x86_64::{
        __m256i, _mm_loadu_si128, _mm256_and_si256, _mm256_broadcastsi128_si256, _mm256_cmpeq_epi8,
        _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8,
        _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srli_epi16, _mm256_storeu_si256,
        _mm256_testz_si256,
    },
    array, ptr,
};

use super::{BLOCK, Bucket, MIN_BYTES, Members, Search, Seen, Stops, WINDOW, entries, quiet};

/// Bytes of a register.
const LANES: usize = 32;

/// For each place of a window, which buckets have a lower half of a byte there, and which an upper.
#[derive(Debug)]
pub struct Tables {
    halves: [[[u8; 16]; 2]; WINDOW],
    /// At the places that all needles have, only ASCII is looked for.
    is_ascii: bool,
}

impl Tables {
    pub fn new(buckets: &[Bucket<2>]) -> Self {
        let first = buckets.iter().flat_map(|bucket| &bucket.sets[..MIN_BYTES]);
        let is_ascii = first.into_iter().all(|[_, upper]| upper >> 8 == 0);
        Self {
            halves: array::from_fn(|place| array::from_fn(|half| entries(buckets, place, half))),
            is_ascii,
        }
    }
}

pub fn is_supported() -> bool {
    is_x86_feature_detected!("avx2")
}

#[target_feature(enable = "avx2")]
pub fn search<const SETS: usize>(tables: [&Tables; SETS], members: &Members, search: Search<'_>) {
    let is_ascii = tables.iter().all(|tables| tables.is_ascii);
    let tables = tables.map(|tables| tables.halves.map(|halves| halves.map(|half| both(&half))));
    match is_ascii {
        true => run::<true, SETS>(&tables, members, search),
        false => run::<false, SETS>(&tables, members, search),
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn run<const ASCII: bool, const SETS: usize>(
    tables: &[[[__m256i; 2]; WINDOW]; SETS],
    members: &Members,
    search: Search<'_>,
) {
    let any = |seen: &Seen| {
        let [low, high] = looked_up::<ASCII, SETS>(tables, seen).map(|stops| of_any_set(stops));
        let any = _mm256_or_si256(low, high);
        _mm256_testz_si256(any, any) == 0
    };
    search.run(
        members,
        |bytes| quiet(bytes, any),
        |seen| stops::<ASCII, SETS>(tables, seen),
    );
}

#[target_feature(enable = "avx2")]
#[inline]
fn stops<const ASCII: bool, const SETS: usize>(
    tables: &[[[__m256i; 2]; WINDOW]; SETS],
    seen: &Seen,
) -> Option<Stops<SETS>> {
    let halves = looked_up::<ASCII, SETS>(tables, seen);
    let [low, high] = halves.map(|stops| placed(of_any_set(stops)));
    let places = low | high << LANES;
    (places != 0).then(|| {
        let mut buckets = [[0; BLOCK]; SETS];
        for (set, buckets) in buckets.iter_mut().enumerate() {
            buckets[..LANES].copy_from_slice(&stored(halves[0][set]));
            buckets[LANES..].copy_from_slice(&stored(halves[1][set]));
        }
        Stops { places, buckets }
    })
}

/// The buckets of each set that stop at each place of both halves of a block that is seen.
#[target_feature(enable = "avx2")]
#[inline]
fn looked_up<const ASCII: bool, const SETS: usize>(
    tables: &[[[__m256i; 2]; WINDOW]; SETS],
    seen: &Seen,
) -> [[__m256i; SETS]; 2] {
    [
        from::<ASCII, 0, SETS>(tables, seen),
        from::<ASCII, LANES, SETS>(tables, seen),
    ]
}

#[target_feature(enable = "avx2")]
#[inline]
fn of_any_set<const SETS: usize>(stops: [__m256i; SETS]) -> __m256i {
    let none = _mm256_setzero_si256();
    let any = |any, stops| _mm256_or_si256(any, stops);
    stops.into_iter().fold(none, any)
}

/// The buckets of each set that stop at each of the places from `FIRST` on.
#[target_feature(enable = "avx2")]
#[inline]
fn from<const ASCII: bool, const FIRST: usize, const SETS: usize>(
    tables: &[[[__m256i; 2]; WINDOW]; SETS],
    seen: &Seen,
) -> [__m256i; SETS] {
    let half = _mm256_set1_epi8(15);
    let mut all = [_mm256_set1_epi8(-1); SETS];
    for place in 0..WINDOW {
        let bytes = load(seen, FIRST + place);
        // An index of 128 and more gives nothing: right where only ASCII is looked for, wrong where anything will do.
        let lower = match ASCII && place < MIN_BYTES {
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
