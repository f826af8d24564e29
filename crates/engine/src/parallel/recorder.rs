//! Switches for the recorders of the journal, so that a test can show that each one is needed: with one of them off, a
//! named parity test fails. They exist in test builds only; elsewhere every recorder is on and the question costs
//! nothing.

/// What the journal records of what a transaction observes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Recorder {
    /// Exact balances.
    Balance,
    /// Comparisons of balances.
    BalanceBound,
    /// Nonces.
    Nonce,
    /// Code and its hash.
    Code,
    /// Existence before EIP-161.
    Existence,
    /// Emptiness after it.
    Emptiness,
    /// Versions of slots.
    Slot,
    /// Resets below which a slot lies.
    Reset,
}

impl Recorder {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Balance,
        Self::BalanceBound,
        Self::Nonce,
        Self::Code,
        Self::Existence,
        Self::Emptiness,
        Self::Slot,
        Self::Reset,
    ];
}

#[cfg(feature = "recorder-switches")]
static OFF: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(0);

/// Switches one recorder off for the whole process, or all of them on.
#[cfg(feature = "recorder-switches")]
pub fn switch_off(recorder: Option<Recorder>) {
    OFF.store(recorder.map_or(0, |recorder| 1 << recorder as u8), std::sync::atomic::Ordering::SeqCst);
}

/// Whether a recorder records.
#[inline]
pub fn is_on(recorder: Recorder) -> bool {
    #[cfg(feature = "recorder-switches")]
    return OFF.load(std::sync::atomic::Ordering::Relaxed) & (1 << recorder as u8) == 0;
    #[cfg(not(feature = "recorder-switches"))]
    {
        let _ = recorder;
        true
    }
}
