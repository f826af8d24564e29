//! Every kernel path of this machine against plain loops, on random and extreme values; what it lacks is reported.
//!
//! `SOLDER_KERNEL_SEED` replays a run, `SOLDER_KERNEL_CASES` makes it longer.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod attention;
mod convolution;
mod epilogue;
mod product;
mod random;
mod rows;
