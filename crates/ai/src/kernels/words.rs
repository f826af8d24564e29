//! Vectors of int32 with 64-bit products, and the types that they are stored as. `x86` has them for each width.

/// int32 lanes.
pub(crate) trait Words {
    /// The vector: int32 lanes, or half as many of 64 bits.
    type Vector: Copy;
    /// int32 lanes.
    const LANES: usize;

    /// Reads `LANES` values.
    unsafe fn load(from: *const i32) -> Self::Vector;
    /// Reads `LANES` int16.
    unsafe fn load_int16(from: *const i16) -> Self::Vector;
    /// Reads `LANES` int8.
    unsafe fn load_int8(from: *const i8) -> Self::Vector;
    /// Reads `LANES` / 2 values.
    unsafe fn load_wide(from: *const i64) -> Self::Vector;
    /// The value in every lane.
    unsafe fn splat(value: i32) -> Self::Vector;
    /// The value in every lane of 64 bits.
    unsafe fn splat_wide(value: i64) -> Self::Vector;
    /// The low half of the products.
    unsafe fn multiply(x: Self::Vector, y: Self::Vector) -> Self::Vector;
    /// The products of the even lanes, in 64 bits.
    unsafe fn multiply_even(x: Self::Vector, y: Self::Vector) -> Self::Vector;
    /// The odd lanes, each in the place of the even lane before it; what is in the odd lanes then is any number.
    unsafe fn odd(x: Self::Vector) -> Self::Vector;
    /// The even lanes of the first from its odd ones, the odd lanes of the second as they are.
    unsafe fn merge_odd(even: Self::Vector, odd: Self::Vector) -> Self::Vector;
    /// The sums in lanes of 64 bits.
    unsafe fn add_wide(x: Self::Vector, y: Self::Vector) -> Self::Vector;
    /// The high half of `x * factor + offset` in 64 bits: factors and offsets of the even lanes, and of the odd lanes in the
    /// even places.
    #[inline(always)]
    unsafe fn high_half(
        x: Self::Vector,
        factors: [Self::Vector; 2],
        offsets: [Self::Vector; 2],
    ) -> Self::Vector {
        // SAFETY: the caller vouches for the features.
        unsafe {
            let even = Self::add_wide(Self::multiply_even(x, factors[0]), offsets[0]);
            let odd = Self::add_wide(Self::multiply_even(Self::odd(x), factors[1]), offsets[1]);
            Self::merge_odd(even, odd)
        }
    }
    /// Shifted to the left.
    unsafe fn shift_left(x: Self::Vector, by: u32) -> Self::Vector;
    /// Shifted to the right, with the sign.
    unsafe fn shift_right(x: Self::Vector, by: u32) -> Self::Vector;
    /// The larger of each pair, then the smaller with `maximum`.
    unsafe fn clamp(x: Self::Vector, minimum: Self::Vector, maximum: Self::Vector) -> Self::Vector;
    /// The sums.
    unsafe fn add(x: Self::Vector, y: Self::Vector) -> Self::Vector;
    /// The differences.
    unsafe fn subtract(x: Self::Vector, y: Self::Vector) -> Self::Vector;
    /// The smaller of each pair.
    unsafe fn minimum(x: Self::Vector, y: Self::Vector) -> Self::Vector;
    /// The larger of each pair.
    unsafe fn maximum(x: Self::Vector, y: Self::Vector) -> Self::Vector;
    /// The largest lane, in every lane.
    unsafe fn largest(x: Self::Vector) -> Self::Vector;
    /// Writes `LANES` int32.
    unsafe fn store(to: *mut i32, x: Self::Vector);
    /// Writes `LANES` int16, which hold the values.
    unsafe fn store_int16(to: *mut i16, x: Self::Vector);
    /// Writes `LANES` int8, which hold the values.
    unsafe fn store_int8(to: *mut i8, x: Self::Vector);
}

/// Lanes of the widest vector.
pub(crate) const LANES_MOST: usize = 16;

/// A type that a vector of int32 is stored as.
pub(crate) trait Element: Copy + Default + Ord + Into<i32> {
    /// The value, which lies within the type.
    fn narrow(value: i32) -> Self;

    /// Reads as many values as there are lanes.
    unsafe fn load<W: Words>(from: *const Self) -> W::Vector;

    /// Stores the lanes, which hold values of the type.
    unsafe fn store<W: Words>(to: *mut Self, x: W::Vector);
}

impl Element for i8 {
    #[inline(always)]
    fn narrow(value: i32) -> i8 {
        value as i8
    }

    #[inline(always)]
    unsafe fn load<W: Words>(from: *const i8) -> W::Vector {
        // SAFETY: the caller vouches for the address and the features.
        unsafe { W::load_int8(from) }
    }

    #[inline(always)]
    unsafe fn store<W: Words>(to: *mut i8, x: W::Vector) {
        // SAFETY: the caller vouches for the address and the features.
        unsafe { W::store_int8(to, x) }
    }
}

impl Element for i16 {
    #[inline(always)]
    fn narrow(value: i32) -> i16 {
        value as i16
    }

    #[inline(always)]
    unsafe fn load<W: Words>(from: *const i16) -> W::Vector {
        // SAFETY: the caller vouches for the address and the features.
        unsafe { W::load_int16(from) }
    }

    #[inline(always)]
    unsafe fn store<W: Words>(to: *mut i16, x: W::Vector) {
        // SAFETY: the caller vouches for the address and the features.
        unsafe { W::store_int16(to, x) }
    }
}

impl Element for i32 {
    #[inline(always)]
    fn narrow(value: i32) -> i32 {
        value
    }

    #[inline(always)]
    unsafe fn load<W: Words>(from: *const i32) -> W::Vector {
        // SAFETY: the caller vouches for the address and the features.
        unsafe { W::load(from) }
    }

    #[inline(always)]
    unsafe fn store<W: Words>(to: *mut i32, x: W::Vector) {
        // SAFETY: the caller vouches for the address and the features.
        unsafe { W::store(to, x) }
    }
}

/// Up to a vector of values, filled up with zeros.
///
/// # Safety
/// The machine has the features of `W`.
#[inline(always)]
pub(crate) unsafe fn load_rest<W: Words, T: Element>(values: &[T]) -> W::Vector {
    let mut rest = [T::default(); LANES_MOST];
    rest[..values.len()].copy_from_slice(values);
    // SAFETY: the buffer holds the widest vector.
    unsafe { T::load::<W>(rest.as_ptr()) }
}

/// Stores the first lanes of a vector.
///
/// # Safety
/// The machine has the features of `W`.
#[inline(always)]
pub(crate) unsafe fn store_rest<W: Words, T: Element>(values: &mut [T], x: W::Vector) {
    let mut rest = [T::default(); LANES_MOST];
    // SAFETY: the buffer holds the widest vector.
    unsafe { T::store::<W>(rest.as_mut_ptr(), x) };
    let length = values.len();
    values.copy_from_slice(&rest[..length]);
}
