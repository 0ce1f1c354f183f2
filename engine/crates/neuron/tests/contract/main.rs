//! The one contract of all backends. Every test runs on every backend that this CPU can run, checks it against f64 truth with
//! a bound that says where it comes from, against the reference bit for bit, and with dirty output buffers.

mod attention;
mod cluster;
mod data;
mod elementwise;
mod errors;
mod formats;
mod memory;
mod product;
