//! What can go wrong while a trace is written, read or recorded.

use std::fmt;
use std::io;
use std::path::PathBuf;

use model::ModelError;
use pool::PoolError;
use text::TextError;

/// Every failure of this crate.
#[derive(Debug)]
#[non_exhaustive]
pub enum TraceError {
    /// The system refused to read or write a file.
    Io {
        /// Which file.
        path: PathBuf,
        /// What was done: `writing`, `reading`.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A file that is no trace, or a damaged one.
    Malformed {
        /// What is wrong and what would be right.
        what: String,
    },
    /// The model could not be loaded or run.
    Model(ModelError),
    /// The tokeniser or the choice of tokens.
    Text(TextError),
    /// The compute threads could not be made.
    Pool(PoolError),
    /// An argument out of its range.
    Input {
        /// Which.
        name: &'static str,
        /// What is wrong and what would be right.
        what: String,
    },
    /// Running the model would take more memory than there is.
    DoesNotFit {
        /// Bytes that it takes.
        needed: u64,
        /// Bytes that there are.
        allowed: u64,
    },
    /// The caller stopped the work; nothing was left behind.
    Cancelled,
}

impl TraceError {
    pub(crate) fn malformed(what: impl Into<String>) -> Self {
        Self::Malformed { what: what.into() }
    }
}

impl fmt::Display for TraceError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, doing, source } => write!(out, "{}: {doing} failed: {source}", path.display()),
            Self::Malformed { what } => write!(out, "not a sound activation trace: {what}"),
            Self::Model(error) => error.fmt(out),
            Self::Text(error) => error.fmt(out),
            Self::Pool(error) => error.fmt(out),
            Self::Input { name, what } => write!(out, "{name}: {what}"),
            Self::DoesNotFit { needed, allowed } => {
                write!(out, "recording takes {needed} bytes of memory; {allowed} are there")
            }
            Self::Cancelled => out.write_str("stopped by the caller"),
        }
    }
}

impl std::error::Error for TraceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Model(error) => Some(error),
            Self::Text(error) => Some(error),
            Self::Pool(error) => Some(error),
            _ => None,
        }
    }
}

macro_rules! from {
    ($($error:ty => $variant:ident),*) => {
        $(impl From<$error> for TraceError {
            fn from(error: $error) -> Self { Self::$variant(error) }
        })*
    };
}

from!(ModelError => Model, TextError => Text, PoolError => Pool);
