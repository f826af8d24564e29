//! Integer kernels with run-time dispatch: matrix product, convolution, rescaling. The same bits on every path.

mod attention;
mod convolution;
mod epilogue;
mod error;
mod finish;
mod finish_vectors;
mod matrix;
mod packed;
mod path;
mod product;
mod rounding;
mod rows;
mod scratch;
mod tile;
mod words;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use attention::{Attention, AttentionAttributes, AttentionInputs, AttentionScratch};
pub use convolution::{Convolution, ConvolutionAttributes, ConvolutionScratch};
pub use epilogue::{Epilogue, Rescale, Table};
pub use error::KernelError;
pub use finish::{In, Out, finish};
pub use matrix::{Matrix, MatrixMut};
pub use packed::Packed;
pub use path::{Features, Kernel, Path};
pub use product::{product, product_panels};
pub use rows::{LayerNorm, LayerNormAttributes, requantise_rows};
pub use scratch::Scratch;
