//! What can be wrong with a GGUF file, or with a request for something in it.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::file::MAX_ALIGNMENT;
use crate::kind::TensorType;

/// Every failure of this crate. `at` is a byte offset from the start of the file; the other fields are what the message says.
#[allow(missing_docs)]
#[derive(Debug)]
#[non_exhaustive]
pub enum GgufError {
    /// Another error, and the file that it is about.
    InFile { path: PathBuf, error: Box<GgufError> },
    /// The operating system refused.
    Io {
        doing: &'static str,
        at: Option<u64>,
        error: io::Error,
    },
    /// The first four bytes are not `GGUF`.
    NotGguf { found: Vec<u8> },
    /// A version that this crate does not read.
    Version { found: u32 },
    /// The file ends, or its header's allowance ends, before something that a length or count in it announces.
    Truncated { at: u64, what: String, needed: u64, left: u64 },
    /// A length beyond what the format allows.
    TooLong { at: u64, what: String, length: u64, limit: u64 },
    /// The header asks for more memory than this process can get.
    OutOfMemory { at: u64, what: String, bytes: u64 },
    /// A key or name of no bytes.
    Empty { at: u64, what: String },
    /// Bytes that are not UTF-8, where the format wants text.
    NotUtf8 { at: u64, what: String },
    /// A metadata type code that the format does not have.
    UnknownValueType { at: u64, what: String, code: u32 },
    /// A bool that is neither 0 nor 1.
    BadBool { at: u64, what: String, found: u8 },
    /// Arrays within arrays, too deep.
    TooDeep { at: u64, what: String, limit: usize },
    /// The same key twice.
    DuplicateKey { at: u64, key: String },
    /// The same tensor name twice.
    DuplicateTensor { at: u64, name: String },
    /// `general.alignment` is not a power of two, or larger than [`crate::MAX_ALIGNMENT`].
    BadAlignment { found: u64 },
    /// A shape of no dimensions, of more than four, or with a dimension of 0.
    BadShape { at: u64, tensor: String, shape: Vec<u64> },
    /// A tensor type code that ggml does not have (or no longer has).
    UnknownTensorType { at: u64, tensor: String, code: u32 },
    /// The row length is not a whole number of the type's blocks.
    PartialBlock {
        at: u64,
        tensor: String,
        kind: TensorType,
        row: u64,
    },
    /// The number of weights or of bytes does not fit in 63 bits.
    TooLarge { at: u64, tensor: String, shape: Vec<u64> },
    /// The data does not start at a multiple of the alignment.
    Misaligned {
        at: u64,
        tensor: String,
        offset: u64,
        alignment: u64,
    },
    /// The data lies beyond the end of the file.
    OutsideFile {
        at: u64,
        tensor: String,
        start: u64,
        bytes: u64,
        file: u64,
    },
    /// Two tensors share bytes.
    Overlap {
        at: u64,
        tensor: String,
        start: u64,
        other: String,
        end: u64,
    },
    /// A key that is needed and absent.
    MissingKey { key: String, wanted: &'static str },
    /// A key of another type than wanted.
    WrongType {
        key: String,
        found: String,
        wanted: &'static str,
    },
    /// A number that does not fit in the type wanted, or is outside a stated range.
    OutOfRange { key: String, found: String, wanted: String },
    /// A tensor that is needed and absent.
    MissingTensor { name: String },
    /// A tensor of another shape than the model's own keys say.
    WrongShape {
        name: String,
        found: Vec<u64>,
        wanted: Vec<u64>,
    },
    /// A tensor type that the kernels do not compute with.
    NotComputable { name: String, kind: TensorType },
    /// A weight, or the scale of some, that is NaN or infinite.
    NotFinite { tensor: String, row: u64, found: &'static str },
    /// The writer was used in another order, or with other sizes, than was declared.
    Misuse { what: String },
}

impl GgufError {
    /// Puts the file's path in front of the error.
    pub fn in_file(self, path: impl Into<PathBuf>) -> Self {
        match self {
            GgufError::InFile { .. } => self,
            error => GgufError::InFile {
                path: path.into(),
                error: Box::new(error),
            },
        }
    }

    /// The byte offset that the error is about, where it has one.
    pub fn offset(&self) -> Option<u64> {
        use GgufError::*;
        match self {
            InFile { error, .. } => error.offset(),
            Io { at, .. } => *at,
            NotGguf { .. } => Some(0),
            Version { .. } => Some(4),
            Truncated { at, .. } | TooLong { at, .. } | OutOfMemory { at, .. } | Empty { at, .. } => Some(*at),
            NotUtf8 { at, .. } | UnknownValueType { at, .. } | BadBool { at, .. } | TooDeep { at, .. } => Some(*at),
            DuplicateKey { at, .. } | DuplicateTensor { at, .. } | BadShape { at, .. } => Some(*at),
            UnknownTensorType { at, .. } | PartialBlock { at, .. } | TooLarge { at, .. } => Some(*at),
            Misaligned { at, .. } | OutsideFile { at, .. } | Overlap { at, .. } => Some(*at),
            BadAlignment { .. } | MissingKey { .. } | WrongType { .. } | OutOfRange { .. } => None,
            MissingTensor { .. } | WrongShape { .. } | NotComputable { .. } | NotFinite { .. } | Misuse { .. } => None,
        }
    }
}

impl fmt::Display for GgufError {
    /// Names in a hostile file may hold anything of any length: control characters are escaped, long messages cut.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 1000;
        let message = Message(self).to_string();
        for (index, character) in message.chars().enumerate() {
            match character {
                _ if index == LONGEST => return f.write_str("…"),
                _ if character.is_control() => write!(f, "{}", character.escape_default())?,
                _ => write!(f, "{character}")?,
            }
        }
        Ok(())
    }
}

/// The message as it comes.
struct Message<'a>(&'a GgufError);

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use GgufError::*;
        match self.0 {
            InFile { path, error } => write!(f, "{}: {error}", path.display()),
            Io {
                doing,
                at: Some(at),
                error,
            } => write!(f, "{doing} failed at byte {at}: {error}"),
            Io { doing, at: None, error } => write!(f, "{doing} failed: {error}"),
            NotGguf { found } => write!(
                f,
                "not a GGUF file: starts with {}; expected \"GGUF\" or \"PWRI\"",
                Quoted(found)
            ),
            Version { found: 1 } => write!(
                f,
                "GGUF version 1 at byte 4; versions 2 and 3 are read: convert the model again"
            ),
            Version { found } if (1..=3).contains(&found.swap_bytes()) => {
                write!(
                    f,
                    "a big-endian GGUF file (version {} byte-swapped); a little-endian one is needed",
                    found.swap_bytes()
                )
            }
            Version { found } => write!(f, "unknown GGUF version at byte 4: {found}; versions 2 and 3 are read"),
            Truncated { at, what, needed, left } => {
                write!(
                    f,
                    "{what} at byte {at} needs {needed} bytes, {left} are left: the file is cut short or lies"
                )
            }
            TooLong { at, what, length, limit } => write!(f, "{what} at byte {at} is too long: {length}; at most {limit}"),
            OutOfMemory { at, what, bytes } => write!(f, "no memory for {what} at byte {at}: {bytes} bytes"),
            Empty { at, what } => write!(f, "{what} at byte {at} is empty"),
            NotUtf8 { at, what } => write!(f, "{what} at byte {at} is not UTF-8"),
            UnknownValueType { at, what, code } => write!(f, "{what} at byte {at} has unknown value type {code}; known: 0 to 12"),
            BadBool { at, what, found } => write!(f, "{what} at byte {at} is a bool of {found}; expected 0 or 1"),
            TooDeep { at, what, limit } => write!(f, "{what} at byte {at} nests arrays too deep; at most {limit}"),
            DuplicateKey { at, key } => write!(f, "key {key} at byte {at} is there twice"),
            DuplicateTensor { at, name } => write!(f, "tensor {name} at byte {at} is there twice"),
            BadAlignment { found } => write!(
                f,
                "general.alignment is {found}; expected a power of two of at most {MAX_ALIGNMENT}"
            ),
            BadShape { at, tensor, shape } => {
                write!(
                    f,
                    "tensor {tensor} at byte {at} has shape {shape:?}; expected 1 to 4 dimensions of at least 1"
                )
            }
            UnknownTensorType { at, tensor, code } => {
                write!(f, "tensor {tensor} at byte {at} has unknown type {code}")?;
                match code {
                    4 | 5 => write!(f, " (removed from ggml): convert the model again"),
                    31..=33 => write!(f, " (a repacked Q4_0, removed from ggml): convert the model to Q4_0"),
                    36..=38 => write!(f, " (a repacked IQ4_NL, removed from ggml): convert the model to Q4_0"),
                    _ => write!(f, "; known: 0 to {}", TensorType::LAST_CODE),
                }
            }
            PartialBlock { at, tensor, kind, row } => {
                write!(
                    f,
                    "tensor {tensor} at byte {at} has rows of {row}; {kind} needs a multiple of {}",
                    kind.block_weights()
                )
            }
            TooLarge { at, tensor, shape } => write!(f, "tensor {tensor} at byte {at} has shape {shape:?}: its size overflows"),
            Misaligned {
                at,
                tensor,
                offset,
                alignment,
            } => {
                write!(
                    f,
                    "tensor {tensor} at byte {at} has data offset {offset}; expected a multiple of {alignment}"
                )
            }
            OutsideFile {
                at,
                tensor,
                start,
                bytes,
                file,
            } => {
                write!(
                    f,
                    "tensor {tensor} at byte {at} has {bytes} bytes of data from byte {start}; the file ends at {file}"
                )
            }
            Overlap {
                at,
                tensor,
                start,
                other,
                end,
            } => {
                write!(
                    f,
                    "tensor {tensor} at byte {at} has data from byte {start}, but {other} ends at {end}"
                )
            }
            MissingKey { key, wanted } => write!(f, "key {key} is missing; expected {wanted}"),
            WrongType { key, found, wanted } => write!(f, "key {key} is {found}; expected {wanted}"),
            OutOfRange { key, found, wanted } => write!(f, "key {key} is {found}; expected {wanted}"),
            MissingTensor { name } => write!(f, "tensor {name} is missing"),
            WrongShape { name, found, wanted } => write!(f, "tensor {name} has shape {found:?}; expected {wanted:?}"),
            NotComputable { name, kind } => {
                write!(
                    f,
                    "tensor {name} has type {kind}, which is not computed with; {}",
                    kind.convert_to()
                )
            }
            NotFinite { tensor, row, found } => write!(
                f,
                "tensor {tensor} holds {found} in row {row}; expected finite numbers: convert the model again, or fetch it again"
            ),
            Misuse { what } => f.write_str(what),
        }
    }
}

impl std::error::Error for GgufError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            GgufError::InFile { error, .. } => Some(error.as_ref()),
            GgufError::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// Bytes of unknown origin, shown so that a terminal survives them.
struct Quoted<'a>(&'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}
