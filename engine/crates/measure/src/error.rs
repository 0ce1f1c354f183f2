//! What can go wrong.

use std::fmt;
use std::io;
use std::path::PathBuf;

use flash::FlashError;

/// Why there is no measurement.
#[derive(Debug)]
pub enum MeasureError {
    /// An option that cannot be.
    Input {
        /// Its name.
        option: &'static str,
        /// What is wrong with it and what would be right.
        what: String,
    },
    /// The scratch file could not be made, filled or read.
    Scratch {
        /// The folder it was to lie in.
        folder: PathBuf,
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// A read of the scratch file failed.
    Read(FlashError),
    /// The system refused threads, cores or memory.
    System(String),
    /// The caller ended it.
    Cancelled,
}

impl MeasureError {
    pub(crate) fn system(what: impl fmt::Display) -> Self {
        Self::System(what.to_string())
    }
}

impl fmt::Display for MeasureError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input { option, what } => write!(out, "{option}: {what}"),
            Self::Scratch { folder, what, source } => {
                write!(out, "{}: cannot {what} a scratch file: {source}", folder.display())?;
                out.write_str(match source.kind() {
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                        "; name a folder with more room, or a smaller scratch file"
                    }
                    io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::NotADirectory => {
                        "; name a folder that exists and that you may write to"
                    }
                    _ => "",
                })
            }
            Self::Read(error) => write!(out, "{error}"),
            Self::System(what) => out.write_str(what),
            Self::Cancelled => out.write_str("cancelled"),
        }
    }
}

impl std::error::Error for MeasureError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Scratch { source, .. } => Some(source),
            Self::Read(error) => Some(error),
            Self::Input { .. } | Self::System(_) | Self::Cancelled => None,
        }
    }
}

impl From<FlashError> for MeasureError {
    fn from(error: FlashError) -> Self {
        Self::Read(error)
    }
}

impl From<pool::PoolError> for MeasureError {
    fn from(error: pool::PoolError) -> Self {
        Self::system(error)
    }
}

impl From<neuron::KernelError> for MeasureError {
    fn from(error: neuron::KernelError) -> Self {
        Self::system(error)
    }
}

impl From<cache::CacheError> for MeasureError {
    fn from(error: cache::CacheError) -> Self {
        Self::system(error)
    }
}
