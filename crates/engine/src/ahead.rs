//! Memory that will be needed soon, asked for before it is.

/// Bytes that the processor fetches together.
const LINE: usize = 64;
/// Bytes at the beginning of a list that are asked for: a selector and a few words.
const FIRST: usize = 128;

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

/// Asks for the beginning of some bytes.
#[inline]
pub fn fetch_first(bytes: &[u8]) {
    for line in bytes.iter().take(FIRST).step_by(LINE) {
        fetch(line);
    }
}

/// Asks for memory that will be changed, by its address: it may be free again by now, or somebody else's. It is taken away
/// from other processors at once, where a look and a change would each wait for them.
#[inline]
pub fn claim_at(address: usize, bytes: usize) {
    #[cfg(target_arch = "x86_64")]
    for offset in (0..bytes).step_by(LINE) {
        let line = address.wrapping_add(offset);
        // SAFETY: a prefetch reads and writes nothing that could be observed, and does nothing where there is no memory.
        // (The intrinsic asks for a line to read where the target is not said to have this instruction; a processor
        // without it does nothing.)
        unsafe {
            std::arch::asm!("prefetchw [{}]", in(reg) line, options(nostack, preserves_flags, readonly))
        };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (address, bytes, LINE);
}

/// Asks for a value that will be changed.
#[inline]
pub fn claim<T>(value: &T) {
    claim_at(std::ptr::from_ref(value).addr(), size_of::<T>());
}
