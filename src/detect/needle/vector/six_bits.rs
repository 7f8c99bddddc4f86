//! With AVX-512 and VBMI: six bits of a byte are an index into a register of 64 bytes, so that one table a place will do.

use std::{
    arch::x86_64::{
        __m512i, _mm512_and_si512, _mm512_loadu_si512, _mm512_or_si512, _mm512_permutexvar_epi8,
        _mm512_set1_epi8, _mm512_setzero_si512, _mm512_srli_epi16, _mm512_storeu_si512,
        _mm512_ternarylogic_epi32, _mm512_test_epi8_mask,
    },
    array, ptr,
};

use super::{BLOCK, Bucket, Members, Search, Seen, Stops, WINDOW, entries};

/// For each place of a window, which buckets may have a byte there.
#[derive(Debug)]
pub struct Tables([[u8; BLOCK]; WINDOW]);

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
    let tables = tables.map(|tables| tables.0.map(|table| load(&table)));
    search.run(members, |seen| stops(&tables, seen));
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
#[inline]
fn stops<const SETS: usize>(
    tables: &[[__m512i; WINDOW]; SETS],
    seen: &Seen,
) -> Option<Stops<SETS>> {
    let mut stops = [_mm512_set1_epi8(-1); SETS];
    for place in 0..WINDOW {
        let entries = entry(load(from(seen, place)));
        for (stops, tables) in stops.iter_mut().zip(tables) {
            *stops = _mm512_and_si512(*stops, _mm512_permutexvar_epi8(entries, tables[place]));
        }
    }
    let none = _mm512_setzero_si512();
    let any = stops
        .iter()
        .fold(none, |any, stops| _mm512_or_si512(any, *stops));
    let places = _mm512_test_epi8_mask(any, any);
    (places != 0).then(|| Stops {
        places,
        buckets: stops.map(|stops| stored(stops)),
    })
}

/// [`entry`](super::fingerprint::entry) of each byte. The look-up takes no notice of the two bits above.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn entry(bytes: __m512i) -> __m512i {
    // Where the first has a bit, that of the second; else that of the third.
    const CHOICE: i32 = 0xca;
    let low = _mm512_set1_epi8(0x1f);
    _mm512_ternarylogic_epi32::<CHOICE>(low, bytes, _mm512_srli_epi16::<1>(bytes))
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
