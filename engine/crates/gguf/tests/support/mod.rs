//! What the tests and the fuzzers of this crate share: seeded numbers, seeded files, a hand-written encoder, and what must hold
//! of every input.
#![allow(dead_code)]

pub mod generate;
pub mod invariants;
pub mod mutate;
pub mod random;
pub mod raw;
