//! A word of the stack as a run computes with it.

use revm::primitives::U256;

/// A word as four numbers, the lowest first. They travel one by one: a processor hands on what it has just stored only to
/// a read of the same width.
#[derive(Clone, Copy)]
pub struct Word(pub u64, pub u64, pub u64, pub u64);

impl From<U256> for Word {
    #[inline(always)]
    fn from(word: U256) -> Self {
        let [a, b, c, d] = *word.as_limbs();
        Self(a, b, c, d)
    }
}

impl Word {
    #[inline(always)]
    pub fn whole(self) -> U256 {
        U256::from_limbs([self.0, self.1, self.2, self.3])
    }

    #[inline(always)]
    pub const fn small(value: u64) -> Self {
        Self(value, 0, 0, 0)
    }

    #[inline(always)]
    pub fn truth(value: bool) -> Self {
        Self::small(u64::from(value))
    }

    /// From big-endian bytes, at most 32. Each width reads whole numbers: a loop over bytes would be the longest part of a PUSH.
    #[inline(always)]
    pub fn from_bytes<const LENGTH: usize>(bytes: &[u8; LENGTH]) -> Self {
        // The number whose lowest byte is so many bytes before the end.
        let number = |behind: usize| {
            let end = LENGTH.saturating_sub(behind);
            let mut part = [0u8; 8];
            match end {
                0 => 0,
                1..8 => bytes[..end].iter().fold(0, |number, byte| number << 8 | u64::from(*byte)),
                _ => {
                    part.copy_from_slice(&bytes[end - 8..end]);
                    u64::from_be_bytes(part)
                }
            }
        };
        Self(number(0), number(8), number(16), number(24))
    }

    #[inline(always)]
    pub fn write_to(self, bytes: &mut [u8; 32]) {
        let mut write = |at: usize, number: u64| bytes[at..at + 8].copy_from_slice(&number.to_be_bytes());
        write(24, self.0);
        write(16, self.1);
        write(8, self.2);
        write(0, self.3);
    }

    /// As an index; too large a one as the largest.
    #[inline(always)]
    pub fn index(self) -> usize {
        if self.1 | self.2 | self.3 == 0 { usize::try_from(self.0).unwrap_or(usize::MAX) } else { usize::MAX }
    }

    #[inline(always)]
    pub fn limbs(self, other: Self, work: impl Fn(u64, u64) -> u64) -> Self {
        Self(work(self.0, other.0), work(self.1, other.1), work(self.2, other.2), work(self.3, other.3))
    }

    #[inline(always)]
    pub fn is_zero(self) -> bool {
        self.0 | self.1 | self.2 | self.3 == 0
    }

    #[inline(always)]
    pub fn is(self, other: Self) -> bool {
        self.limbs(other, |one, two| one ^ two).is_zero()
    }

    #[inline(always)]
    pub fn add(self, other: Self) -> Self {
        let (a, carry) = self.0.overflowing_add(other.0);
        let (b, carry) = self.1.carrying_add(other.1, carry);
        let (c, carry) = self.2.carrying_add(other.2, carry);
        let (d, _) = self.3.carrying_add(other.3, carry);
        Self(a, b, c, d)
    }

    /// The difference, and whether it is below zero.
    #[inline(always)]
    pub fn borrowing_sub(self, other: Self) -> (Self, bool) {
        let (a, borrow) = self.0.overflowing_sub(other.0);
        let (b, borrow) = self.1.borrowing_sub(other.1, borrow);
        let (c, borrow) = self.2.borrowing_sub(other.2, borrow);
        let (d, borrow) = self.3.borrowing_sub(other.3, borrow);
        (Self(a, b, c, d), borrow)
    }

    #[inline(always)]
    pub fn sub(self, other: Self) -> Self {
        self.borrowing_sub(other).0
    }

    /// The product, cut to 256 bits.
    #[inline(always)]
    pub fn mul(self, other: Self) -> Self {
        let Self(a, b, c, d) = other;
        let (r0, carry) = self.0.carrying_mul(a, 0);
        let (r1, carry) = self.0.carrying_mul(b, carry);
        let (r2, carry) = self.0.carrying_mul(c, carry);
        let r3 = self.0.wrapping_mul(d).wrapping_add(carry);
        let (r1, carry) = self.1.carrying_mul_add(a, r1, 0);
        let (r2, carry) = self.1.carrying_mul_add(b, r2, carry);
        let r3 = self.1.wrapping_mul(c).wrapping_add(r3).wrapping_add(carry);
        let (r2, carry) = self.2.carrying_mul_add(a, r2, 0);
        let r3 = self.2.wrapping_mul(b).wrapping_add(r3).wrapping_add(carry);
        let r3 = self.3.wrapping_mul(a).wrapping_add(r3);
        Self(r0, r1, r2, r3)
    }

    #[inline(always)]
    pub fn is_less(self, other: Self) -> bool {
        self.borrowing_sub(other).1
    }

    #[inline(always)]
    pub fn is_less_signed(self, other: Self) -> bool {
        let moved = |word: Self| Self(word.0, word.1, word.2, word.3 ^ (1 << 63));
        moved(self).is_less(moved(other))
    }

    #[inline(always)]
    pub fn shift_left(self, by: Self) -> Self {
        match by.index() {
            by @ 0..256 => (self.whole() << by).into(),
            _ => Self::small(0),
        }
    }

    #[inline(always)]
    pub fn shift_right(self, by: Self) -> Self {
        match by.index() {
            by @ 0..256 => (self.whole() >> by).into(),
            _ => Self::small(0),
        }
    }
}
