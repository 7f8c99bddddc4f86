//! With AVX-512 and VBMI: seven bits of a byte are an index into two registers of 64 bytes, so that one table a place will do.

use std::{
    arch::x86_64::{
        __m512i, _mm512_and_si512, _mm512_loadu_si512, _mm512_permutex2var_epi8,
        _mm512_storeu_si512, _mm512_ternarylogic_epi32, _mm512_test_epi8_mask,
    },
    array, ptr,
};

use super::{BLOCK, Bucket, Members, Search, Seen, Stops, WINDOW, entries, quiet};

/// Those of a table, in both registers.
const ENTRIES: usize = 2 * BLOCK;

/// For each place of a window, which buckets may have a byte there.
#[derive(Debug)]
pub struct Tables([[u8; ENTRIES]; WINDOW]);

impl Tables {
    pub fn new(buckets: &[Bucket<1>]) -> Self {
        Self(array::from_fn(|place| entries(buckets, place, 0)))
    }
}

pub fn is_supported() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vbmi")
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
pub fn search<const SETS: usize>(tables: [&Tables; SETS], members: &Members, search: Search<'_>) {
    let tables = tables.map(|tables| tables.0.map(|table| both(&table)));
    let any = |seen: &Seen| {
        let sets = looked_up(&tables, seen);
        sets.iter()
            .any(|[most, last]| _mm512_test_epi8_mask(*most, *last) != 0)
    };
    search.run(
        members,
        |bytes| quiet(bytes, any),
        |seen| stops(&tables, seen),
    );
}

/// What of each set stops in a block that is seen: the buckets that have its bytes at the first three places of their windows, and
/// at the last.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
#[inline]
fn looked_up<const SETS: usize>(
    tables: &[[[__m512i; 2]; WINDOW]; SETS],
    seen: &Seen,
) -> [[__m512i; 2]; SETS] {
    // All bits that three have.
    const ALL: i32 = 0x80;
    // The look-up takes no notice of the bit above the seven.
    let bytes: [_; WINDOW] = array::from_fn(|place| load(from(seen, place)));
    array::from_fn(|set| {
        let at = |place: usize| {
            let [low, high] = tables[set][place];
            _mm512_permutex2var_epi8(low, bytes[place], high)
        };
        [_mm512_ternarylogic_epi32::<ALL>(at(0), at(1), at(2)), at(3)]
    })
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
#[inline]
fn stops<const SETS: usize>(
    tables: &[[[__m512i; 2]; WINDOW]; SETS],
    seen: &Seen,
) -> Option<Stops<SETS>> {
    let sets = looked_up(tables, seen);
    let tested = sets
        .iter()
        .map(|[most, last]| _mm512_test_epi8_mask(*most, *last));
    let places = tested.fold(0, |any, set| any | set);
    (places != 0).then(|| Stops {
        places,
        buckets: sets.map(|[most, last]| stored(_mm512_and_si512(most, last))),
    })
}

/// A table, in two registers.
#[target_feature(enable = "avx512f")]
#[inline]
fn both(table: &[u8; ENTRIES]) -> [__m512i; 2] {
    let (halves, _) = table.as_chunks();
    array::from_fn(|half| load(&halves[half]))
}

/// The bytes at `place` of the windows of all places.
fn from(seen: &Seen, place: usize) -> &[u8; BLOCK] {
    // Longer than a block by what a window is longer than a byte.
    seen[place..].first_chunk().unwrap_or(&[0; BLOCK])
}

#[target_feature(enable = "avx512f")]
#[inline]
fn load(bytes: &[u8; BLOCK]) -> __m512i {
    // SAFETY: so many bytes may be read, wherever they lie.
    unsafe { _mm512_loadu_si512(ptr::from_ref(bytes).cast()) }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn stored(register: __m512i) -> [u8; BLOCK] {
    let mut bytes = [0; BLOCK];
    // SAFETY: so many bytes may be written, wherever they lie.
    unsafe { _mm512_storeu_si512(ptr::from_mut(&mut bytes).cast(), register) };
    bytes
}
