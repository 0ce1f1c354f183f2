use std::fmt;

use cache::CacheError;
use flash::FlashError;
use model::ModelError;
use neuron::KernelError;

/// Why an out-of-memory FFN cannot go on.
#[derive(Debug)]
#[non_exhaustive]
pub enum OffloadError {
    /// A read failed, or the packed file is not what it says.
    Flash(FlashError),
    /// The memory given to the cache does not work.
    Cache(CacheError),
    /// Shapes that do not fit together: our fault, or a file that lies about them.
    Kernel(KernelError),
    /// A predictor that is not the model's.
    Model(Box<ModelError>),
    /// The packed file is of a form that cannot be computed from flash.
    Form {
        /// What it is.
        what: String,
        /// What would be right.
        wanted: &'static str,
    },
    /// A layer, expert or token that the model does not have.
    Input {
        /// What was asked for.
        what: String,
    },
}

impl fmt::Display for OffloadError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flash(error) => error.fmt(out),
            Self::Cache(error) => error.fmt(out),
            Self::Kernel(error) => error.fmt(out),
            Self::Model(error) => error.fmt(out),
            Self::Form { what, wanted } => write!(out, "{what}; {wanted}"),
            Self::Input { what } => out.write_str(what),
        }
    }
}

impl std::error::Error for OffloadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Flash(error) => Some(error),
            Self::Cache(error) => Some(error),
            Self::Kernel(error) => Some(error),
            Self::Model(error) => Some(error),
            Self::Form { .. } | Self::Input { .. } => None,
        }
    }
}

impl From<FlashError> for OffloadError {
    fn from(error: FlashError) -> Self {
        Self::Flash(error)
    }
}

impl From<CacheError> for OffloadError {
    fn from(error: CacheError) -> Self {
        Self::Cache(error)
    }
}

impl From<KernelError> for OffloadError {
    fn from(error: KernelError) -> Self {
        Self::Kernel(error)
    }
}

impl From<ModelError> for OffloadError {
    fn from(error: ModelError) -> Self {
        Self::Model(Box::new(error))
    }
}
