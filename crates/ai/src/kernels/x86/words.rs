//! The vectors of an epilogue: int32 lanes with 64-bit products, and the loops over rows compiled for each width.

use std::arch::x86_64::*;

use super::super::attention::{Attention, Scores, divide_vectors, weigh_vectors};
use super::super::epilogue::Epilogue;
use super::super::finish::{Out, Sums};
use super::super::finish_vectors::finish_vectors;
use super::super::matrix::{Matrix, MatrixMut};
use super::super::path::Path;
use super::super::rounding::Scaling;
use super::super::rows::{Centre, moments_vectors, normalise_vectors, requantise_vectors};
use super::super::words::{Element, Words};

/// 4 lanes.
pub(crate) struct Words128;
/// 8 lanes.
pub(crate) struct Words256;
/// 16 lanes.
pub(crate) struct Words512;

/// A method of `Words` for each line, from an expression on its arguments.
macro_rules! words {
    ($name:ty, $vector:ty, $lanes:literal, $(fn $method:ident($($argument:ident: $type:ty),*) $(-> $result:ty)? { $body:expr })+) => {
        impl Words for $name {
            type Vector = $vector;
            const LANES: usize = $lanes;
            $(
                #[inline(always)]
                unsafe fn $method($($argument: $type),*) $(-> $result)? {
                    // SAFETY: the caller vouches for the features and for the addresses.
                    unsafe { $body }
                }
            )+
        }
    };
}

words! { Words128, __m128i, 4,
    fn load(from: *const i32) -> __m128i { _mm_loadu_si128(from.cast()) }
    fn load_int16(from: *const i16) -> __m128i { _mm_cvtepi16_epi32(_mm_loadl_epi64(from.cast())) }
    fn load_int8(from: *const i8) -> __m128i { _mm_cvtepi8_epi32(_mm_cvtsi32_si128(from.cast::<i32>().read_unaligned())) }
    fn load_wide(from: *const i64) -> __m128i { _mm_loadu_si128(from.cast()) }
    fn splat_wide(value: i64) -> __m128i { _mm_set1_epi64x(value) }
    fn splat(value: i32) -> __m128i { _mm_set1_epi32(value) }
    fn multiply(x: __m128i, y: __m128i) -> __m128i { _mm_mullo_epi32(x, y) }
    fn multiply_even(x: __m128i, y: __m128i) -> __m128i { _mm_mul_epi32(x, y) }
    fn odd(x: __m128i) -> __m128i { _mm_srli_epi64::<32>(x) }
    fn merge_odd(even: __m128i, odd: __m128i) -> __m128i {
        _mm_blend_epi16::<0xcc>(_mm_srli_epi64::<32>(even), odd)
    }
    fn add_wide(x: __m128i, y: __m128i) -> __m128i { _mm_add_epi64(x, y) }
    fn shift_left(x: __m128i, by: u32) -> __m128i { _mm_sll_epi32(x, _mm_cvtsi32_si128(by as i32)) }
    fn shift_right(x: __m128i, by: u32) -> __m128i { _mm_sra_epi32(x, _mm_cvtsi32_si128(by as i32)) }
    fn clamp(x: __m128i, minimum: __m128i, maximum: __m128i) -> __m128i {
        _mm_min_epi32(_mm_max_epi32(x, minimum), maximum)
    }
    fn add(x: __m128i, y: __m128i) -> __m128i { _mm_add_epi32(x, y) }
    fn subtract(x: __m128i, y: __m128i) -> __m128i { _mm_sub_epi32(x, y) }
    fn minimum(x: __m128i, y: __m128i) -> __m128i { _mm_min_epi32(x, y) }
    fn maximum(x: __m128i, y: __m128i) -> __m128i { _mm_max_epi32(x, y) }
    fn largest(x: __m128i) -> __m128i {{
        let x = _mm_max_epi32(x, _mm_shuffle_epi32::<0b01_00_11_10>(x));
        _mm_max_epi32(x, _mm_shuffle_epi32::<0b10_11_00_01>(x))
    }}
    fn store(to: *mut i32, x: __m128i) { _mm_storeu_si128(to.cast(), x) }
    fn store_int16(to: *mut i16, x: __m128i) { _mm_storel_epi64(to.cast(), _mm_packs_epi32(x, x)) }
    fn store_int8(to: *mut i8, x: __m128i) {{
        let words = _mm_packs_epi32(x, x);
        to.cast::<i32>().write_unaligned(_mm_cvtsi128_si32(_mm_packs_epi16(words, words)))
    }}
}

words! { Words256, __m256i, 8,
    fn load(from: *const i32) -> __m256i { _mm256_loadu_si256(from.cast()) }
    fn load_int16(from: *const i16) -> __m256i { _mm256_cvtepi16_epi32(_mm_loadu_si128(from.cast())) }
    fn load_int8(from: *const i8) -> __m256i { _mm256_cvtepi8_epi32(_mm_loadl_epi64(from.cast())) }
    fn load_wide(from: *const i64) -> __m256i { _mm256_loadu_si256(from.cast()) }
    fn splat_wide(value: i64) -> __m256i { _mm256_set1_epi64x(value) }
    fn splat(value: i32) -> __m256i { _mm256_set1_epi32(value) }
    fn multiply(x: __m256i, y: __m256i) -> __m256i { _mm256_mullo_epi32(x, y) }
    fn multiply_even(x: __m256i, y: __m256i) -> __m256i { _mm256_mul_epi32(x, y) }
    fn odd(x: __m256i) -> __m256i { _mm256_srli_epi64::<32>(x) }
    fn merge_odd(even: __m256i, odd: __m256i) -> __m256i {
        _mm256_blend_epi32::<0xaa>(_mm256_srli_epi64::<32>(even), odd)
    }
    fn add_wide(x: __m256i, y: __m256i) -> __m256i { _mm256_add_epi64(x, y) }
    fn shift_left(x: __m256i, by: u32) -> __m256i { _mm256_sll_epi32(x, _mm_cvtsi32_si128(by as i32)) }
    fn shift_right(x: __m256i, by: u32) -> __m256i { _mm256_sra_epi32(x, _mm_cvtsi32_si128(by as i32)) }
    fn clamp(x: __m256i, minimum: __m256i, maximum: __m256i) -> __m256i {
        _mm256_min_epi32(_mm256_max_epi32(x, minimum), maximum)
    }
    fn add(x: __m256i, y: __m256i) -> __m256i { _mm256_add_epi32(x, y) }
    fn subtract(x: __m256i, y: __m256i) -> __m256i { _mm256_sub_epi32(x, y) }
    fn minimum(x: __m256i, y: __m256i) -> __m256i { _mm256_min_epi32(x, y) }
    fn maximum(x: __m256i, y: __m256i) -> __m256i { _mm256_max_epi32(x, y) }
    fn largest(x: __m256i) -> __m256i {{
        let x = _mm256_max_epi32(x, _mm256_permute2x128_si256::<1>(x, x));
        let x = _mm256_max_epi32(x, _mm256_shuffle_epi32::<0b01_00_11_10>(x));
        _mm256_max_epi32(x, _mm256_shuffle_epi32::<0b10_11_00_01>(x))
    }}
    fn store(to: *mut i32, x: __m256i) { _mm256_storeu_si256(to.cast(), x) }
    fn store_int16(to: *mut i16, x: __m256i) {
        _mm_storeu_si128(to.cast(), _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256::<1>(x)))
    }
    fn store_int8(to: *mut i8, x: __m256i) {{
        let words = _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256::<1>(x));
        _mm_storel_epi64(to.cast(), _mm_packs_epi16(words, words))
    }}
}

words! { Words512, __m512i, 16,
    fn load(from: *const i32) -> __m512i { _mm512_loadu_si512(from.cast()) }
    fn load_int16(from: *const i16) -> __m512i { _mm512_cvtepi16_epi32(_mm256_loadu_si256(from.cast())) }
    fn load_int8(from: *const i8) -> __m512i { _mm512_cvtepi8_epi32(_mm_loadu_si128(from.cast())) }
    fn load_wide(from: *const i64) -> __m512i { _mm512_loadu_si512(from.cast()) }
    fn splat_wide(value: i64) -> __m512i { _mm512_set1_epi64(value) }
    fn splat(value: i32) -> __m512i { _mm512_set1_epi32(value) }
    fn multiply(x: __m512i, y: __m512i) -> __m512i { _mm512_mullo_epi32(x, y) }
    fn multiply_even(x: __m512i, y: __m512i) -> __m512i { _mm512_mul_epi32(x, y) }
    fn odd(x: __m512i) -> __m512i { _mm512_srli_epi64::<32>(x) }
    fn merge_odd(even: __m512i, odd: __m512i) -> __m512i {
        _mm512_mask_shuffle_epi32::<0xf5>(odd, 0x5555, even)
    }
    fn add_wide(x: __m512i, y: __m512i) -> __m512i { _mm512_add_epi64(x, y) }
    fn shift_left(x: __m512i, by: u32) -> __m512i { _mm512_sll_epi32(x, _mm_cvtsi32_si128(by as i32)) }
    fn shift_right(x: __m512i, by: u32) -> __m512i { _mm512_sra_epi32(x, _mm_cvtsi32_si128(by as i32)) }
    fn clamp(x: __m512i, minimum: __m512i, maximum: __m512i) -> __m512i {
        _mm512_min_epi32(_mm512_max_epi32(x, minimum), maximum)
    }
    fn add(x: __m512i, y: __m512i) -> __m512i { _mm512_add_epi32(x, y) }
    fn subtract(x: __m512i, y: __m512i) -> __m512i { _mm512_sub_epi32(x, y) }
    fn minimum(x: __m512i, y: __m512i) -> __m512i { _mm512_min_epi32(x, y) }
    fn maximum(x: __m512i, y: __m512i) -> __m512i { _mm512_max_epi32(x, y) }
    fn largest(x: __m512i) -> __m512i {{
        let x = _mm512_max_epi32(x, _mm512_shuffle_i64x2::<0b01_00_11_10>(x, x));
        let x = _mm512_max_epi32(x, _mm512_shuffle_i64x2::<0b10_11_00_01>(x, x));
        let x = _mm512_max_epi32(x, _mm512_shuffle_epi32::<0b01_00_11_10>(x));
        _mm512_max_epi32(x, _mm512_shuffle_epi32::<0b10_11_00_01>(x))
    }}
    fn store(to: *mut i32, x: __m512i) { _mm512_storeu_si512(to.cast(), x) }
    fn store_int16(to: *mut i16, x: __m512i) { _mm256_storeu_si256(to.cast(), _mm512_cvtepi32_epi16(x)) }
    fn store_int8(to: *mut i8, x: __m512i) { _mm_storeu_si128(to.cast(), _mm512_cvtepi32_epi8(x)) }
}

/// A loop compiled for each width, and the choice among them by path.
macro_rules! by_width {
    ($(#[$documentation:meta])* $name:ident $(<$type:ident>)? ($($argument:ident: $argument_type:ty),*) $(-> $result:ty)?, $generic:ident,
     $narrow:ident, $middle:ident, $wide:ident) => {
        #[target_feature(enable = "ssse3,sse4.1")]
        unsafe fn $narrow $(<$type: Element>)? ($($argument: $argument_type),*) $(-> $result)? {
            // SAFETY: the features are those of the vectors; the caller vouches for the rest.
            unsafe { $generic::<Words128 $(, $type)?>($($argument),*) }
        }
        #[target_feature(enable = "avx2")]
        unsafe fn $middle $(<$type: Element>)? ($($argument: $argument_type),*) $(-> $result)? {
            // SAFETY: the features are those of the vectors; the caller vouches for the rest.
            unsafe { $generic::<Words256 $(, $type)?>($($argument),*) }
        }
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
        unsafe fn $wide $(<$type: Element>)? ($($argument: $argument_type),*) $(-> $result)? {
            // SAFETY: the features are those of the vectors; the caller vouches for the rest.
            unsafe { $generic::<Words512 $(, $type)?>($($argument),*) }
        }
        $(#[$documentation])*
        #[inline]
        pub(crate) unsafe fn $name $(<$type: Element>)? (path: Path, $($argument: $argument_type),*) $(-> $result)? {
            // SAFETY: the caller vouches for the path's features and for the rest.
            unsafe {
                match path {
                    Path::Scalar | Path::Sse41 => $narrow($($argument),*),
                    Path::Avx2 | Path::AvxVnni => $middle($($argument),*),
                    Path::Avx512 | Path::Avx512Vnni => $wide($($argument),*),
                }
            }
        }
    };
}

by_width! {
    /// `finish_vectors` with the vectors of the path.
    ///
    /// # Safety
    /// As `finish_vectors`; the machine has the path, which is not the scalar one.
    finish_tile(sums: Sums<'_>, epilogue: &Epilogue, column: usize, scales: &[i32], out: Out<'_>),
    finish_vectors, finish128, finish256, finish512
}

by_width! {
    /// `weigh_vectors` with the vectors of the path.
    ///
    /// # Safety
    /// As `weigh_vectors`; the machine has the path, which is not the scalar one.
    weigh(attention: &Attention, scored: Scores<'_>, weights: &mut [i8], totals: &mut [u32]),
    weigh_vectors, weigh128, weigh256, weigh512
}

by_width! {
    /// `divide_vectors` with the vectors of the path.
    ///
    /// # Safety
    /// The machine has the path, which is not the scalar one.
    divide<T>(attention: &Attention, sums: Matrix<'_, i32>, totals: &[u32], out: MatrixMut<'_, T>),
    divide_vectors, divide128, divide256, divide512
}

by_width! {
    /// `requantise_vectors` with the vectors of the path.
    ///
    /// # Safety
    /// As `requantise_vectors`; the machine has the path, which is not the scalar one.
    requantise_row<T>(x: &[T], scale_shift: u32, out: &mut [i8]) -> i32,
    requantise_vectors, requantise128, requantise256, requantise512
}

by_width! {
    /// `moments_vectors` with the vectors of the path.
    ///
    /// # Safety
    /// As `moments_vectors`; the machine has the path, which is not the scalar one.
    moments<T>(x: &[T]) -> (i32, i64),
    moments_vectors, moments128, moments256, moments512
}

by_width! {
    /// `normalise_vectors` with the vectors of the path.
    ///
    /// # Safety
    /// As `normalise_vectors`; the machine has the path, which is not the scalar one.
    normalise<T>(x: &[T], centre: Centre, scaling: &Scaling, affine: &Epilogue, out: Out<'_>),
    normalise_vectors, normalise128, normalise256, normalise512
}
