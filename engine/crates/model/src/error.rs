//! What can go wrong between a model file and a token.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

use flash::FlashError;
use gguf::GgufError;
use neuron::KernelError;
use pool::PoolError;

/// Every failure of this crate; [`ModelError::Other`] carries those of an FFN that lives in another one.
#[derive(Debug)]
#[non_exhaustive]
pub enum ModelError {
    /// The GGUF file, or its header inside a packed file.
    Gguf(GgufError),
    /// The packed file.
    Flash(FlashError),
    /// A kernel refused its operands.
    Kernel(KernelError),
    /// The compute threads could not be made.
    Pool(PoolError),
    /// The operating system refused.
    Io {
        /// Which file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A metadata value that no model of this crate has.
    Config {
        /// Which key, or which quantity worked out from keys.
        key: String,
        /// What was found.
        found: String,
        /// What would be right.
        wanted: String,
    },
    /// A tensor that is absent, of another shape or type than the metadata say, or of no use to this architecture.
    Tensor {
        /// Its name.
        name: String,
        /// What was found.
        found: String,
        /// What would be right.
        wanted: String,
    },
    /// Memory that the system does not give.
    OutOfMemory {
        /// What for.
        what: String,
        /// How much (bytes).
        bytes: u64,
    },
    /// A token that the vocabulary does not have.
    Token {
        /// The token.
        token: u32,
        /// Tokens in the vocabulary.
        vocabulary: usize,
    },
    /// More tokens than the KV cache was made for.
    ContextFull {
        /// Positions that would be needed.
        wanted: usize,
        /// Positions that there are.
        capacity: usize,
    },
    /// Numbers between layers, or logits, of which one is NaN or infinite.
    NotFinite {
        /// The position whose numbers they are.
        position: usize,
    },
    /// A call that makes no sense, such as a forward pass over no tokens.
    Misuse {
        /// What is wrong with it and what would be right.
        what: String,
    },
    /// An error of another crate, such as a read error of an FFN that is out of memory.
    Other(Box<dyn Error + Send + Sync>),
}

impl ModelError {
    /// Wraps an error of another crate.
    pub fn other(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }

    pub(crate) fn config(key: impl Into<String>, found: impl ToString, wanted: impl Into<String>) -> Self {
        Self::Config {
            key: key.into(),
            found: found.to_string(),
            wanted: wanted.into(),
        }
    }

    pub(crate) fn tensor(name: impl Into<String>, found: impl ToString, wanted: impl Into<String>) -> Self {
        Self::Tensor {
            name: name.into(),
            found: found.to_string(),
            wanted: wanted.into(),
        }
    }
}

impl fmt::Display for ModelError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gguf(error) => error.fmt(out),
            Self::Flash(error) => error.fmt(out),
            Self::Kernel(error) => error.fmt(out),
            Self::Pool(error) => error.fmt(out),
            Self::Io { path, doing, source } => write!(out, "{}: {doing} failed: {source}", path.display()),
            Self::Config { key, found, wanted } => write!(out, "unusable {key}: {found}; must be {wanted}"),
            Self::Tensor { name, found, wanted } => write!(out, "unusable tensor {name}: {found}; must be {wanted}"),
            Self::OutOfMemory { what, bytes } => {
                write!(
                    out,
                    "no memory for {what}: {bytes} bytes; free some or choose a smaller model or context"
                )
            }
            Self::Token { token, vocabulary } => {
                write!(
                    out,
                    "no such token: {token}; the vocabulary has {vocabulary}, numbered from 0"
                )
            }
            Self::ContextFull { wanted, capacity } => {
                write!(out, "context too short: {wanted} positions wanted; there are {capacity}")
            }
            Self::NotFinite { position } => {
                write!(
                    out,
                    "the numbers at position {position} are not finite: a weight is not, or sums of the model's weights overflow"
                )
            }
            Self::Misuse { what } => out.write_str(what),
            Self::Other(error) => error.fmt(out),
        }
    }
}

impl Error for ModelError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Gguf(error) => Some(error),
            Self::Flash(error) => Some(error),
            Self::Kernel(error) => Some(error),
            Self::Pool(error) => Some(error),
            Self::Io { source, .. } => Some(source),
            Self::Other(error) => Some(&**error),
            _ => None,
        }
    }
}

macro_rules! from_error {
    ($($error:ty => $variant:ident;)*) => {
        $(impl From<$error> for ModelError {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        })*
    };
}

from_error! {
    GgufError => Gguf;
    FlashError => Flash;
    KernelError => Kernel;
    PoolError => Pool;
}
