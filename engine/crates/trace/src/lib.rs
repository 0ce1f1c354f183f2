//! Which experts and which neurons a text used, token by token and layer by layer, as a file.
//!
//! - [`record`]: runs a text and its continuation through a model and writes what fired.
//! - [`TraceWriter`], [`read`]: the file; docs/activation-trace.md describes it byte by byte. It is written in bounded memory,
//!   appears whole or not at all, and every part of it has a checksum.
//!
//! The simulator reads the same files (sim/neurons/trace.ts); test/vectors/activation-trace.* hold both to one form.
#![warn(missing_docs)]

mod checksum;
mod error;
mod form;
mod read;
mod record;
mod write;

pub use error::TraceError;
pub use form::{MAGIC, TraceShape, VERSION};
pub use read::{Fired, Summary, read};
pub use record::{RecordOptions, RecordReport, record};
pub use write::TraceWriter;
