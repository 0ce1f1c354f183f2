//! What can go wrong with a packed file, as values. Every error about bytes names the file, the offset and the length.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Errors of packing, opening and reading. `Clone`, because one failed read can fail several requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlashError {
    /// The operating system refused an operation.
    Io {
        /// What was being done, as a verb: "read", "open", "write".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Byte offset in the file; 0 where none applies.
        offset: u64,
        /// Length of the operation in bytes; 0 where none applies.
        bytes: u64,
        /// `errno`, where there is one.
        code: Option<i32>,
        /// The system's words.
        reason: String,
    },
    /// A read ended before the bytes that the index promises.
    ShortRead {
        /// The file.
        path: PathBuf,
        /// Where the read began.
        offset: u64,
        /// Bytes asked for.
        wanted: u64,
        /// Bytes that came.
        got: u64,
    },
    /// The file is not a packed file, or contradicts itself.
    Malformed {
        /// The file.
        path: PathBuf,
        /// Byte offset of the field that is wrong.
        offset: u64,
        /// What is wrong and what would be right.
        what: String,
    },
    /// Bytes on disk are not the bytes that were written.
    Checksum {
        /// The file.
        path: PathBuf,
        /// Where the damaged part begins.
        offset: u64,
        /// Its length.
        bytes: u64,
        /// What it is: "header", "bundle of layer 3 expert 0 group 17".
        what: String,
        /// Checksum in the index.
        wanted: u64,
        /// Checksum of the bytes found.
        got: u64,
    },
    /// The GGUF file cannot be packed as asked.
    Source {
        /// The GGUF file.
        path: PathBuf,
        /// What is wrong and what would be right.
        what: String,
    },
    /// No room for the packed file.
    NoSpace {
        /// The packed file that was to be.
        path: PathBuf,
        /// Its whole size.
        bytes: u64,
        /// The system's words.
        reason: String,
    },
    /// Options or a request that this file or this machine cannot serve.
    Input {
        /// What is wrong and what would be right.
        what: String,
    },
    /// The caller cancelled.
    Cancelled,
}

impl FlashError {
    pub(crate) fn io(action: &'static str, path: &Path, offset: u64, bytes: u64, error: &io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_path_buf(),
            offset,
            bytes,
            code: error.raw_os_error(),
            reason: error.to_string(),
        }
    }

    pub(crate) fn malformed(path: &Path, offset: u64, what: impl Into<String>) -> Self {
        Self::Malformed {
            path: path.to_path_buf(),
            offset,
            what: what.into(),
        }
    }

    pub(crate) fn source(path: &Path, what: impl Into<String>) -> Self {
        Self::Source {
            path: path.to_path_buf(),
            what: what.into(),
        }
    }

    pub(crate) fn input(what: impl Into<String>) -> Self {
        Self::Input { what: what.into() }
    }
}

impl fmt::Display for FlashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io {
                action,
                path,
                offset,
                bytes: 0,
                reason,
                ..
            } if *offset == 0 => {
                write!(f, "{}: cannot {action}: {reason}", path.display())
            }
            Self::Io {
                action,
                path,
                offset,
                bytes,
                reason,
                ..
            } => {
                write!(
                    f,
                    "{}: cannot {action} {bytes} bytes at offset {offset}: {reason}",
                    path.display()
                )
            }
            Self::ShortRead {
                path,
                offset,
                wanted,
                got,
            } => write!(
                f,
                "{}: short read: {got} of {wanted} bytes at offset {offset}; the file is shorter than its index says",
                path.display()
            ),
            Self::Malformed { path, offset, what } => {
                write!(f, "{}: not a valid packed file, at offset {offset}: {what}", path.display())
            }
            Self::Checksum {
                path,
                offset,
                bytes,
                what,
                wanted,
                got,
            } => write!(
                f,
                "{}: checksum mismatch: {what}, {bytes} bytes at offset {offset} are damaged ({got:x}; the index says {wanted:x}): pack the GGUF file again",
                path.display()
            ),
            Self::Source { path, what } => write!(f, "cannot pack {}: {what}", path.display()),
            Self::NoSpace { path, bytes, reason } => {
                write!(f, "{}: no room: {bytes} bytes are needed: {reason}", path.display())
            }
            Self::Input { what } => f.write_str(what),
            Self::Cancelled => f.write_str("cancelled"),
        }
    }
}

impl std::error::Error for FlashError {}
