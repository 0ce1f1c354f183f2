//! Matrix products over sixteen lanes, told once for every vector backend. The order of additions is that of `order.rs`.
//!
//! `kinds`: the formats as types; `dots`: rows with one vector; `gemm`: rows with many; `axpy`: rows into a vector.

mod axpy;
mod dots;
mod gemm;
mod kinds;

pub(crate) use axpy::axpy_rows;
pub(crate) use dots::{dot_rows, float_tile, prefetch};
pub(crate) use gemm::gemm;
pub(crate) use kinds::Half;
