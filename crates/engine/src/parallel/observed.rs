//! What can be observed of an account: the bits of a record.

/// Its exact balance.
pub const EXACT_BALANCE: u8 = 1;
/// Its balance against a bound.
pub const BALANCE_BOUND: u8 = 1 << 1;
/// Its nonce.
pub const NONCE: u8 = 1 << 2;
/// Its code.
pub const CODE: u8 = 1 << 3;
/// Whether there is an account.
pub const EXISTENCE: u8 = 1 << 4;
/// Whether nonce or code make it non-empty.
pub const ALIVE: u8 = 1 << 5;
/// The last reset: a slot was read above it.
pub const RESET: u8 = 1 << 6;
/// Nonce and funds were taken for granted: it is the sender.
pub const ASSUMED: u8 = 1 << 7;
