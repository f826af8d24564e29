//! The rounding rule and the reciprocal rule of `docs/integer-graphs.md`, plain and for vectors.

use super::error::{KernelError, within};
use super::words::Words;

/// `round_shift(x * factor, shift)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scaling {
    factor: i32,
    shift: u32,
    fast: Option<Fast>,
}

/// The same as a high half: `high_half((x << left) * factor + round) >> shift`.
#[derive(Clone, Copy, Debug)]
struct Fast {
    left: u32,
    factor: i32,
    round: i64,
    shift: u32,
}

/// A `Scaling` in registers.
#[derive(Clone, Copy)]
pub(crate) struct ScalingVectors<W: Words> {
    left: u32,
    factor: W::Vector,
    round: W::Vector,
    shift: u32,
}

impl Scaling {
    /// The rule for |x| up to `largest`, with checked parameters.
    pub(crate) fn checked(factor: i32, shift: u32, largest: i64) -> Result<Scaling, KernelError> {
        within("multiplier", factor.into(), 0, i32::MAX.into())?;
        within("shift", shift.into(), 1, 62)?;
        Ok(Scaling::new(factor, shift, largest))
    }

    /// The rule for |x| up to `largest`: a factor of at least 0, a shift of 1..=62.
    ///
    /// The fast form needs a shift of at least 32: the factor, then x, is shifted to the left where there is room.
    pub(crate) fn new(factor: i32, shift: u32, largest: i64) -> Scaling {
        let missing = 32u32.saturating_sub(shift);
        let up = missing.min(factor.leading_zeros().saturating_sub(1));
        let left = missing - up;
        let fits = largest.checked_shl(left).is_some_and(|shifted| {
            shifted >> left == largest && shifted <= if left == 0 { 1 << 31 } else { (1 << 31) - 1 }
        });
        let shifted = shift + missing;
        let fast = Fast { left, factor: factor << up, round: 1 << (shifted - 1), shift: shifted - 32 };
        Scaling { factor, shift, fast: fits.then_some(fast) }
    }

    /// The plain form.
    #[inline]
    pub(crate) fn apply(&self, x: i32) -> i64 {
        (i64::from(x) * i64::from(self.factor) + (1 << (self.shift - 1))) >> self.shift
    }

    /// Whether vectors can do it.
    pub(crate) fn is_fast(&self) -> bool {
        self.fast.is_some()
    }

    /// The form for vectors; that of 0 where there is none.
    ///
    /// # Safety
    /// The machine has the features of `W`.
    #[inline(always)]
    pub(crate) unsafe fn vectors<W: Words>(&self) -> ScalingVectors<W> {
        let Fast { left, factor, round, shift } =
            self.fast.unwrap_or(Fast { left: 0, factor: 0, round: 0, shift: 0 });
        // SAFETY: the caller vouches for the features.
        unsafe { ScalingVectors { left, factor: W::splat(factor), round: W::splat_wide(round), shift } }
    }
}

impl<W: Words> ScalingVectors<W> {
    /// The rule on each lane.
    ///
    /// # Safety
    /// The machine has the features of `W`.
    #[inline(always)]
    pub(crate) unsafe fn apply(&self, x: W::Vector) -> W::Vector {
        // SAFETY: the caller vouches for the features.
        unsafe {
            let x = if self.left == 0 { x } else { W::shift_left(x, self.left) };
            W::shift_right(W::high_half(x, [self.factor; 2], [self.round; 2]), self.shift)
        }
    }
}

/// `reciprocal(d)` and `bits(d)` for a divisor of 1..2^32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reciprocal {
    value: i32,
    bits: u32,
}

impl Reciprocal {
    /// The reciprocal of `divisor`, which is at least 1.
    pub(crate) fn of(divisor: u32) -> Reciprocal {
        let bits = u32::BITS - divisor.leading_zeros();
        // At most 2^30: the divisor is at least 2^(bits - 1).
        Reciprocal { value: ((1u64 << (bits + 29)) / u64::from(divisor.max(1))) as i32, bits }
    }

    /// Division of |x| up to `largest`, with `fraction_bits` of at most 28 bits after the point.
    pub(crate) fn scaling(self, fraction_bits: u32, largest: i64) -> Scaling {
        Scaling::new(self.value, self.bits + 29 - fraction_bits, largest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reciprocals_are_those_of_the_rule() {
        for divisor in [1u32, 2, 3, 127, 128, 16_256, (1 << 31) - 1, 1 << 31, u32::MAX] {
            let bits = u128::from(divisor).ilog2() + 1;
            let expected = (1u128 << (bits + 29)) / u128::from(divisor);
            let found = Reciprocal::of(divisor);
            assert_eq!((i128::from(found.value) as u128, found.bits), (expected, bits), "{divisor}");
            assert!((1 << 29..=1 << 30).contains(&found.value));
        }
    }

    #[test]
    fn halves_go_up() {
        let half = Scaling::new(1, 1, 1 << 31);
        assert_eq!([-3, -2, -1, 0, 1, 2, 3].map(|x| half.apply(x)), [-1, -1, 0, 0, 1, 1, 2]);
    }

    #[test]
    fn vectors_are_offered_only_where_nothing_overflows() {
        assert!(Scaling::new(i32::MAX, 32, 1 << 31).is_fast());
        assert!(Scaling::new(1, 2, 1 << 31).is_fast());
        assert!(!Scaling::new(i32::MAX, 31, 1 << 31).is_fast());
        assert!(!Scaling::new(i32::MAX, 31, 1 << 30).is_fast());
        assert!(Scaling::new(i32::MAX, 31, (1 << 30) - 1).is_fast());
    }
}
