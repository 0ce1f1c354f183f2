//! Neuron-cluster kernels: everything a forward pass computes, for weights in GGUF's F32, F16, Q8_0, Q6_K and Q4_0.
//!
//! [`Kernels`] is the way in: `Kernels::best()` detects the CPU once, and its methods check shapes and run the backend. All
//! methods are single-threaded over what they are handed; callers split rows ([`Matrix::slice`], [`Output::split_at`]) over
//! their threads, and the result is the same bits however they split. `order.rs` says why.
//!
//! The files: `format`, `q6_k`, `half` (layouts), `matrix`, `rows`, `activations`, `output` (operands), `arch/` (one backend a file), `lanes`
//! and `product` (algorithms told once for all vector backends), `portable/` (small operations), `cluster` (the sparse FFN).
#![warn(missing_docs)]
#![allow(clippy::needless_range_loop, reason = "kernels step several arrays by one index")]

mod activations;
mod aligned;
mod arch;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod attend;
mod attention;
mod backend;
mod cluster;
mod error;
mod format;
mod half;
mod kernels;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod lanes;
mod matrix;
mod order;
mod output;
mod portable;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod product;
mod q6_k;
mod rope;
mod rows;
mod scratch;
mod top;

pub use activations::Activations;
pub use attention::{Attention, KvView};
pub use cluster::{Bundles, ClusterScratch, Gating};
pub use error::KernelError;
pub use format::{BLOCK, Format};
pub use half::{f16_to_f32, f32_to_f16};
pub use kernels::Kernels;
pub use matrix::Matrix;
pub use order::SUM_BLOCK;
pub use output::Output;
pub use rope::{Rope, RopeStyle};
pub use scratch::Scratch;
pub use top::top_k;
