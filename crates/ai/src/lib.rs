//! Integer graphs, the AI coprocessor: an artefact is parsed under limits and admitted (`artefact`), then planned and
//! run (`execute`) on kernels that are chosen at run time (`kernels`). The same bits on every machine.
//!
//! The formats and formulas are those of `docs/integer-graphs.md`. This crate knows no Python and no EVM.

pub mod artefact;
pub mod execute;
pub mod kernels;
