//! One file per instruction set. To add one: a file with a type whose only constructor detects the CPU's features, the
//! sixteen lanes of `lanes.rs` for it, and its lines in `kernels.rs`; the contract suite then runs on it by itself.

pub mod reference;

#[cfg(target_arch = "x86_64")]
pub mod avx2;
#[cfg(target_arch = "x86_64")]
pub mod avx512;
#[cfg(target_arch = "aarch64")]
pub mod neon;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod vector_backend;
