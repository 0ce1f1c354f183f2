//! Models made up: GGUF files of any shape whose neurons fire as asked for.
//!
//! - [`SynthSpec`]: shape, format, and the statistics to plant: share of active neurons, skew over neurons, overlap from token
//!   to token, repetition of experts. [`write`] makes the file, row by row, the same bytes for any number of threads.
//! - [`Recorder`]: an FFN that notes which neurons fired in another; [`Firing`] adds these up.
//! - [`verify`]: runs a file's model in the engine and sets what it saw beside what was planted ([`SynthReport`]).
//! - [`continuation`]: what a file's model says.
//!
//! `design.rs` says how the statistics get in. To plant another one: its field in `spec.rs`, its numbers in `design.rs`.
#![warn(missing_docs)]

mod basis;
mod continuation;
mod design;
mod error;
mod firing;
mod normal;
mod planted;
mod random;
mod record;
mod report;
mod rows;
mod skew;
mod spec;
mod tensors;
mod verify;
mod vocabulary;
mod window;
mod write;

pub use continuation::{Continuation, continuation};
pub use error::SynthError;
pub use firing::Firing;
pub use planted::Planted;
pub use record::{FiringSink, Recorder};
pub use report::{Measured, Row, SynthReport, TOLERANCE, Tolerance};
pub use skew::Skew;
pub use spec::{Shape, Statistics, SynthSpec};
pub use verify::{VerifyOptions, memory_needed, verify, verify_told};
pub use write::{Progress, Told, Written, write, write_told};
