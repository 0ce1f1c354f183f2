//! What can go wrong while a model is made up or looked at.

use std::fmt;

use gguf::GgufError;
use model::ModelError;
use neuron::KernelError;
use pool::PoolError;

/// Every failure of this crate.
#[derive(Debug)]
#[non_exhaustive]
pub enum SynthError {
    /// A number of the specification that no file can be made with.
    Spec {
        /// Which.
        what: String,
        /// What was asked for.
        found: String,
        /// What would be right.
        wanted: String,
    },
    /// The header of a file could not be read.
    Gguf(GgufError),
    /// The model could not be loaded or run.
    Model(ModelError),
    /// A row could not be quantised.
    Kernel(KernelError),
    /// The compute threads could not be made.
    Pool(PoolError),
    /// The file could not be written: the disk is full, or the folder is not there or not ours to write in.
    Writing(GgufError),
    /// A file that says of nothing planted: it was not made here.
    NotMadeHere,
    /// Running the model would take more memory than there is.
    DoesNotFit {
        /// Bytes that it takes.
        needed: u64,
        /// Bytes that there are.
        allowed: u64,
    },
    /// The caller stopped the work; nothing was left behind.
    Cancelled,
    /// What the recorder saw is not what the FFN counted.
    Disagreement {
        /// The layer.
        layer: usize,
        /// Neurons that fired, as recorded.
        recorded: u64,
        /// The same, as the FFN counted.
        counted: u64,
    },
}

impl SynthError {
    pub(crate) fn spec(what: impl Into<String>, found: impl ToString, wanted: impl Into<String>) -> Self {
        Self::Spec {
            what: what.into(),
            found: found.to_string(),
            wanted: wanted.into(),
        }
    }
}

impl fmt::Display for SynthError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spec { what, found, wanted } => write!(out, "{what} cannot be made: {found}; must be {wanted}"),
            Self::Gguf(error) | Self::Writing(error) => error.fmt(out),
            Self::DoesNotFit { needed, allowed } => {
                write!(out, "running it takes {needed} bytes of memory; {allowed} are there")
            }
            Self::NotMadeHere => {
                out.write_str("says of nothing planted (it has no key neuronlab.synth.seed); should be a file that synth made")
            }
            Self::Cancelled => out.write_str("stopped by the caller"),
            Self::Model(error) => error.fmt(out),
            Self::Kernel(error) => error.fmt(out),
            Self::Pool(error) => error.fmt(out),
            Self::Disagreement {
                layer,
                recorded,
                counted,
            } => write!(
                out,
                "neurons of layer {layer} that fired: {recorded} recorded, {counted} counted by the ffn; must be the same"
            ),
        }
    }
}

impl std::error::Error for SynthError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Gguf(error) | Self::Writing(error) => Some(error),
            Self::Model(error) => Some(error),
            Self::Kernel(error) => Some(error),
            Self::Pool(error) => Some(error),
            Self::Spec { .. } | Self::NotMadeHere | Self::DoesNotFit { .. } | Self::Cancelled | Self::Disagreement { .. } => None,
        }
    }
}

macro_rules! from {
    ($($error:ty => $variant:ident),*) => {
        $(impl From<$error> for SynthError {
            fn from(error: $error) -> Self { Self::$variant(error) }
        })*
    };
}

from!(GgufError => Gguf, ModelError => Model, KernelError => Kernel, PoolError => Pool);
