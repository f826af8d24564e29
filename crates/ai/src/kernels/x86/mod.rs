//! The vectors of x86-64: `lanes` for products, `words` for everything on int32 after them.

mod lanes;
mod words;

pub(crate) use lanes::tiles;
pub(crate) use words::{divide, finish_tile, moments, normalise, requantise_row, weigh};
