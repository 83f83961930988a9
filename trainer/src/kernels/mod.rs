//! Layers of this project's own, for training on a CPU in float32 or bfloat16, where they are quicker than libtorch's: convolutions, those with
//! large kernels by an algorithm that needs a fraction of the multiplications, and batch norms that read and write their images as seldom as can be.
//!
//! The vector code is that of the crate `kernels`, which the runner uses too. Images lie in memory as image × row × column ×
//! channel. All but [`tensors`] knows slices of numbers and not libtorch.

mod convolution;
pub mod tensors;

pub use convolution::Convolution;
pub use kernels::training::BatchNorm;
