//! What can go wrong with predictors.

use std::fmt;
use std::io;
use std::path::PathBuf;

use gguf::GgufError;
use model::ModelError;
use neuron::KernelError;
use pool::PoolError;
use text::TextError;

/// Every failure of this crate.
#[derive(Debug)]
#[non_exhaustive]
pub enum PredictorError {
    /// A file's header could not be read, or a file not written.
    Gguf(GgufError),
    /// The model could not be loaded or run.
    Model(ModelError),
    /// A row could not be quantised or multiplied.
    Kernel(KernelError),
    /// The compute threads could not be made.
    Pool(PoolError),
    /// The tokeniser, or the choice of tokens.
    Text(TextError),
    /// The system refused to read or write a file.
    Io {
        /// Which file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The predictor of another model.
    OtherModel {
        /// Which file.
        path: PathBuf,
        /// What it was fitted for.
        found: u64,
        /// The model that is run.
        wanted: u64,
    },
    /// A file that is not as it was written.
    Checksum {
        /// Which file.
        path: PathBuf,
        /// The checksum of what was read.
        found: u64,
        /// The checksum that the file says.
        wanted: u64,
    },
    /// A file without a predictor, or with one that cannot be used.
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong and what would be right.
        what: String,
    },
    /// An argument out of its range.
    Input {
        /// Which: `text`, `tokens`, `rank`, `recall`.
        name: &'static str,
        /// What is wrong and what would be right.
        what: String,
    },
    /// A model that needs no predictor.
    NotSparse {
        /// Its architecture.
        architecture: &'static str,
    },
    /// A fit whose weights are no numbers.
    Diverged {
        /// Its layer.
        layer: usize,
        /// Its expert.
        expert: usize,
    },
    /// The caller stopped the work.
    Cancelled,
}

impl fmt::Display for PredictorError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gguf(error) => error.fmt(out),
            Self::Model(error) => error.fmt(out),
            Self::Kernel(error) => error.fmt(out),
            Self::Pool(error) => error.fmt(out),
            Self::Text(error) => error.fmt(out),
            Self::Io { path, doing, source } => write!(out, "{}: {doing} failed: {source}", path.display()),
            Self::OtherModel { path, found, wanted } => write!(
                out,
                "{}: is the predictor of another model: {found:016x}; must be of {wanted:016x}, so fit one with neuronlab train-predictor",
                path.display()
            ),
            Self::Checksum { path, found, wanted } => write!(
                out,
                "{}: checksum of the predictor: {found:016x}; must be {wanted:016x}: the file is damaged, copy it again or fit it again",
                path.display()
            ),
            Self::File { path, what } => write!(out, "{}: {what}", path.display()),
            Self::Input { name, what } => write!(out, "{name}: {what}"),
            Self::NotSparse { architecture } => write!(
                out,
                "a {architecture} model whose activation is silu leaves no neuron inactive, so there is nothing to predict; a relu or drelu model has something"
            ),
            Self::Diverged { layer, expert } => {
                write!(
                    out,
                    "the predictor of expert {expert} in layer {layer} diverged: its weights are not finite"
                )
            }
            Self::Cancelled => out.write_str("cancelled"),
        }
    }
}

impl std::error::Error for PredictorError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Gguf(error) => Some(error),
            Self::Model(error) => Some(error),
            Self::Kernel(error) => Some(error),
            Self::Pool(error) => Some(error),
            Self::Text(error) => Some(error),
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

macro_rules! from {
    ($($error:ty => $variant:ident),*) => {
        $(impl From<$error> for PredictorError {
            fn from(error: $error) -> Self { Self::$variant(error) }
        })*
    };
}

from!(GgufError => Gguf, ModelError => Model, KernelError => Kernel, PoolError => Pool, TextError => Text);
