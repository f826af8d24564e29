//! Memory that will be needed soon, asked for before it is.

/// Bytes that the processor fetches together.
const LINE: usize = 64;

/// Asks for all of a value. Only the time of a later look depends on it.
#[inline]
pub fn fetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    for offset in (0..size_of::<T>()).step_by(LINE) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the address lies in the value; and a prefetch reads nothing that could be observed.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast::<i8>().add(offset)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (value, LINE);
}
