//! What runs on a `State`: one call (`one`), many at once (`batch`), and what they give (`outcome`, `columns`).

pub mod arguments;
pub mod batch;
pub mod columns;
pub mod one;
pub mod outcome;
