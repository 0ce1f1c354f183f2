//! Operations written once, in plain loops, for every backend: small next to the matrix products, and of a form that the
//! compiler turns into vector code for whichever instruction set the calling backend enables. Everything is
//! `inline(always)`, because a function is compiled for the features of the function it is inlined into. No loop here
//! leaves the order of additions to the compiler, so all backends agree bit for bit.

mod exponential;
mod quantise;
mod rotary;
mod rows;

pub(crate) use quantise::quantise;
pub(crate) use rotary::rope;
pub(crate) use rows::{add, drelu_mul, relu_mul, rms_norm, scale, silu_mul, softmax};
pub(crate) use rows::{exponentials, narrow, widen};
