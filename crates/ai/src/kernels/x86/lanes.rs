//! The vectors of a product, and its tiles compiled for each path.
//!
//! `vpmaddubsw` is not used: it saturates at int16, so sums of int8 products would be wrong. The paths without VNNI
//! widen to int16 and use `pmaddwd`, whose sums of two products cannot leave int32. The paths with VNNI use
//! `vpdpbusd` (not the saturating `vpdpbusds`) on the left side + 128; what that adds is taken off by each column's start.

use std::arch::x86_64::*;

use super::super::path::Path;
use super::super::tile::{Lanes, Operands, Tile, tile};

/// Sums in 128 bits.
pub(crate) struct Sse41;
/// Sums in 256 bits.
pub(crate) struct Avx2;
/// Sums in 256 bits, four products an instruction.
pub(crate) struct AvxVnni;
/// Sums in 512 bits.
pub(crate) struct Avx512;
/// Sums in 512 bits, four products an instruction.
pub(crate) struct Avx512Vnni;

/// One `Lanes`: its vector, its widths, and its instructions. SAFETY of all: the caller of the trait vouches for features and addresses.
macro_rules! lanes {
    ($name:ty, $sums:ty, $lanes:literal, $stride:literal, load $load:expr, store $store:expr, spread $spread:expr,
     right $right:expr, product |$s:ident, $l:ident, $r:ident| $product:expr) => {
        impl Lanes for $name {
            type Sums = $sums;
            type Left = $sums;
            type Right = $sums;
            const LANES: usize = $lanes;
            const STRIDE: usize = $stride;

            #[inline(always)]
            unsafe fn load_sums(from: *const i32) -> $sums {
                // SAFETY: the caller vouches for the address and the features.
                unsafe { $load(from.cast()) }
            }
            #[inline(always)]
            unsafe fn store_sums(to: *mut i32, sums: $sums) {
                // SAFETY: the caller vouches for the address and the features.
                unsafe { $store(to.cast(), sums) }
            }
            #[inline(always)]
            unsafe fn spread(from: *const u32) -> $sums {
                // SAFETY: the caller vouches for the address and the features.
                unsafe { $spread(from.read() as i32) }
            }
            #[inline(always)]
            unsafe fn load_right(from: *const i8) -> $sums {
                // SAFETY: the caller vouches for the address and the features.
                unsafe { $right(from) }
            }
            #[inline(always)]
            unsafe fn add_product($s: $sums, $l: $sums, $r: $sums) -> $sums {
                // SAFETY: the caller vouches for the features.
                unsafe { $product }
            }
        }
    };
}

lanes!(Sse41, __m128i, 4, 8, load _mm_loadu_si128, store _mm_storeu_si128, spread _mm_set1_epi32,
    right |from: *const i8| _mm_cvtepi8_epi16(_mm_loadl_epi64(from.cast())),
    product |s, l, r| _mm_add_epi32(s, _mm_madd_epi16(l, r)));
lanes!(Avx2, __m256i, 8, 16, load _mm256_loadu_si256, store _mm256_storeu_si256, spread _mm256_set1_epi32,
    right |from: *const i8| _mm256_cvtepi8_epi16(_mm_loadu_si128(from.cast())),
    product |s, l, r| _mm256_add_epi32(s, _mm256_madd_epi16(l, r)));
lanes!(AvxVnni, __m256i, 8, 32, load _mm256_loadu_si256, store _mm256_storeu_si256, spread _mm256_set1_epi32,
    right |from: *const i8| _mm256_loadu_si256(from.cast()),
    product |s, l, r| _mm256_dpbusd_avx_epi32(s, l, r));
lanes!(Avx512, __m512i, 16, 32, load _mm512_loadu_si512, store _mm512_storeu_si512, spread _mm512_set1_epi32,
    right |from: *const i8| _mm512_cvtepi8_epi16(_mm256_loadu_si256(from.cast())),
    product |s, l, r| _mm512_add_epi32(s, _mm512_madd_epi16(l, r)));
lanes!(Avx512Vnni, __m512i, 16, 64, load _mm512_loadu_si512, store _mm512_storeu_si512, spread _mm512_set1_epi32,
    right |from: *const i8| _mm512_loadu_si512(from.cast()),
    product |s, l, r| _mm512_dpbusd_epi32(s, l, r));

/// The tiles of a path by their width in vectors: a function for each and a table of heights, from one row up.
macro_rules! tiles {
    ($function:ident, $table:ident, $lanes:ty, $features:literal, $([$width:literal: $($height:literal)+])+) => {
        #[target_feature(enable = $features)]
        unsafe fn $function<const M: usize, const J: usize>(operands: Operands) {
            // SAFETY: the features are those of the vectors; the caller vouches for the rest.
            unsafe { tile::<$lanes, M, J>(operands) }
        }
        static $table: &[&[Tile]] = &[$(&[$($function::<$height, $width>),+]),+];
    };
}

tiles!(sse41, SSE41, Sse41, "ssse3,sse4.1", [1: 1 2 3 4 5 6 7 8] [2: 1 2 3 4 5]);
tiles!(avx2, AVX2, Avx2, "avx2", [1: 1 2 3 4 5 6 7 8] [2: 1 2 3 4 5 6]);
tiles!(avx_vnni, AVX_VNNI, AvxVnni, "avx2,avxvnni", [1: 1 2 3 4 5 6 7 8] [2: 1 2 3 4 5 6]);
tiles!(avx512, AVX512, Avx512, "avx512f,avx512bw,avx512dq,avx512vl",
    [1: 1 2 3 4 5 6 7 8 9 10 11 12] [2: 1 2 3 4 5 6 7 8 9 10 11 12] [3: 1 2 3 4 5 6 7 8] [4: 1 2 3 4 5 6]);
tiles!(avx512_vnni, AVX512_VNNI, Avx512Vnni, "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni",
    [1: 1 2 3 4 5 6 7 8 9 10 11 12] [2: 1 2 3 4 5 6 7 8 9 10 11 12] [3: 1 2 3 4 5 6 7 8] [4: 1 2 3 4 5 6]);

/// A path's tiles, by width and height, each less one; none for the scalar path.
pub(crate) fn tiles(path: Path) -> &'static [&'static [Tile]] {
    match path {
        Path::Scalar => &[],
        Path::Sse41 => SSE41,
        Path::Avx2 => AVX2,
        Path::AvxVnni => AVX_VNNI,
        Path::Avx512 => AVX512,
        Path::Avx512Vnni => AVX512_VNNI,
    }
}
