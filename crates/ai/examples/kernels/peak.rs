//! The core's peak for a path: its multiply instructions on independent registers, without memory.

use std::time::{Duration, Instant};

use solder_ai::kernels::{Kernel, Path};

/// Multiply-accumulates per nanosecond; 0 for the scalar path, which has no instruction of its own.
pub fn gmacs(kernel: Kernel, limit: Duration) -> f64 {
    #[cfg(target_arch = "x86_64")]
    {
        let (run, per_round): (unsafe fn(u32) -> i32, u32) = match kernel.path() {
            Path::Scalar => return 0.0,
            Path::Sse41 => (x86::sse41, 10 * 8),
            Path::Avx2 => (x86::avx2, 10 * 16),
            Path::AvxVnni => (x86::avx_vnni, 12 * 32),
            Path::Avx512 => (x86::avx512, 12 * 32),
            Path::Avx512Vnni => (x86::avx512_vnni, 12 * 64),
        };
        const ROUNDS: u32 = 2_000;
        let mut best = f64::INFINITY;
        let begin = Instant::now();
        while begin.elapsed() < limit {
            let start = Instant::now();
            // SAFETY: a kernel is a path whose features this machine has.
            std::hint::black_box(unsafe { run(ROUNDS) });
            best = best.min(start.elapsed().as_nanos() as f64);
        }
        f64::from(ROUNDS) * f64::from(per_round) / best
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = (kernel, limit, Path::Scalar, Instant::now());
        0.0
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;
    use std::hint::black_box;

    /// `rounds` times one multiply-accumulate on each of so many registers, which do not wait for each other.
    macro_rules! rounds {
        ($name:ident, $features:literal, $registers:literal, $splat:ident, $lowest:expr,
         |$sum:ident, $factor:ident| $step:expr) => {
            #[target_feature(enable = $features)]
            pub unsafe fn $name(rounds: u32) -> i32 {
                let $factor = $splat(black_box(5));
                let mut sums = [$splat(black_box(3)); $registers];
                for _ in 0..rounds {
                    for sum in &mut sums {
                        let $sum = *sum;
                        *sum = $step;
                    }
                }
                sums.into_iter().map($lowest).fold(0, i32::wrapping_add)
            }
        };
    }

    rounds!(sse41, "sse4.1", 10, _mm_set1_epi32, |sum| _mm_cvtsi128_si32(sum), |sum, factor| {
        _mm_add_epi32(sum, _mm_madd_epi16(sum, factor))
    });
    rounds!(avx2, "avx2", 10, _mm256_set1_epi32, |sum| _mm256_cvtsi256_si32(sum), |sum, factor| {
        _mm256_add_epi32(sum, _mm256_madd_epi16(sum, factor))
    });
    rounds!(
        avx_vnni,
        "avx2,avxvnni",
        12,
        _mm256_set1_epi32,
        |sum| _mm256_cvtsi256_si32(sum),
        |sum, factor| _mm256_dpbusd_avx_epi32(sum, factor, factor)
    );
    rounds!(
        avx512,
        "avx512f,avx512bw",
        12,
        _mm512_set1_epi32,
        |sum| _mm512_cvtsi512_si32(sum),
        |sum, factor| _mm512_add_epi32(sum, _mm512_madd_epi16(sum, factor))
    );
    rounds!(
        avx512_vnni,
        "avx512f,avx512bw,avx512vnni",
        12,
        _mm512_set1_epi32,
        |sum| _mm512_cvtsi512_si32(sum),
        |sum, factor| _mm512_dpbusd_epi32(sum, factor, factor)
    );
}
