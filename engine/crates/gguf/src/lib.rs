//! GGUF files, read without trusting a length in them and written so that no half file is ever seen.
//!
//! The format: a header, typed metadata, a table of tensors, then the tensors' data (version 2 and 3, little-endian).
//! The source for every layout fact is the format's own description in the ggml project (`docs/gguf.md`) and, for block sizes,
//! the size assertions beside ggml's block structures.
//!
//! - [`Gguf::open`], [`Gguf::read`], [`Gguf::parse`]: header of a file, of any `Read + Seek`, of a byte slice.
//!   The parser allocates in proportion to the bytes that are really there, whatever the counts in them say.
//! - [`Metadata`]: typed getters whose errors name the key, the type found and the type wanted.
//! - [`Writer`]: metadata in order, tensors declared, data streamed; the file appears under its name complete or not at all.
//! - [`AtomicFile`]: the temporary file behind the writer, of use to other formats too.

mod atomic;
mod check;
mod decode;
mod error;
mod file;
mod finite;
mod kind;
mod metadata;
mod source;
mod strings;
mod unnamed;
mod value;
mod write;

pub use atomic::AtomicFile;
pub use error::GgufError;
pub use file::{DEFAULT_ALIGNMENT, Gguf, MAGICS, MAX_ALIGNMENT, MAX_HEADER_BYTES, TensorInfo};
pub use kind::TensorType;
pub use metadata::{FromValue, Metadata};
pub use strings::Strings;
pub use value::{Array, Value, ValueType};
pub use write::{DataWriter, Writer};
