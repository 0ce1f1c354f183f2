//! What can go wrong between a file's name and a text, and whose it is to mend.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

use flash::FlashError;
use gguf::GgufError;
use model::ModelError;
use offload::OffloadError;
use predictor::PredictorError;
use text::TextError;

use crate::budget::Part;

/// Every failure of this crate.
#[derive(Debug)]
#[non_exhaustive]
pub enum GenerateError {
    /// The model: its file, its memory, its arithmetic.
    Model(ModelError),
    /// The packed file or the reads from it.
    Flash(FlashError),
    /// The FFNs that are run from flash.
    Offload(OffloadError),
    /// The predictor's file.
    Predictor(PredictorError),
    /// The tokeniser or the choice of tokens.
    Text(TextError),
    /// The system refused to open or read the file.
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file that is neither of the two kinds that can be run.
    NotAModel {
        /// Which file.
        path: PathBuf,
    },
    /// The memory allowed is too small.
    DoesNotFit {
        /// The least that would work (bytes).
        needed: u64,
        /// What was allowed (bytes).
        allowed: u64,
        /// What needs it.
        parts: Vec<Part>,
        /// What would help besides more memory; may be empty.
        advice: &'static str,
    },
    /// A sound file that cannot be run in this way.
    Unsupported {
        /// What cannot be done.
        what: String,
        /// What can.
        wanted: String,
    },
    /// The caller stopped the work.
    Cancelled,
    /// An argument out of its range.
    Input {
        /// Which: `prompt`, `tokens`, `tests`, `repetitions`.
        name: &'static str,
        /// What is wrong and what would be right.
        what: String,
    },
}

/// Whose a failure is to mend; front ends choose their exit codes by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The caller named a file or an option that is wrong.
    Input,
    /// The honest answer is no: too little memory.
    DoesNotFit,
    /// The honest answer is no: this file cannot be run like this.
    Unsupported,
    /// The disk, or what is on it, is damaged, full or not readable.
    Disk,
    /// The caller stopped the work.
    Cancelled,
    /// A fault of ours.
    Fault,
}

fn of_io(error: &io::Error) -> Blame {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidInput => {
            Blame::Input
        }
        _ => Blame::Disk,
    }
}

/// Whose an error of writing a result is: a name that is no file's is the caller's, all else the disk's.
pub fn blame_of_writing(error: &io::Error) -> Blame {
    match error.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::IsADirectory => Blame::Input,
        _ => Blame::Disk,
    }
}

/// Whose an error of reading or packing a file is. (On Linux 2 is ENOENT, 20 ENOTDIR, 21 EISDIR.)
pub fn blame_of_flash(error: &FlashError) -> Blame {
    match error {
        FlashError::Io {
            action: "open",
            code: Some(2 | 20 | 21),
            ..
        } => Blame::Input,
        FlashError::Io { .. } | FlashError::ShortRead { .. } | FlashError::Checksum { .. } | FlashError::NoSpace { .. } => {
            Blame::Disk
        }
        FlashError::Malformed { .. } | FlashError::Source { .. } | FlashError::Input { .. } => Blame::Input,
        FlashError::Cancelled => Blame::Cancelled,
    }
}

fn of_offload(error: &OffloadError) -> Blame {
    match error {
        OffloadError::Flash(error) => blame_of_flash(error),
        OffloadError::Cache(_) => Blame::DoesNotFit,
        OffloadError::Form { .. } => Blame::Unsupported,
        _ => Blame::Fault,
    }
}

/// What the system said of a GGUF file, if it said something.
fn said_of_gguf(error: &GgufError) -> Option<&io::Error> {
    let causes = std::iter::successors(Some(error as &(dyn Error + 'static)), |&error| error.source());
    causes.last()?.downcast_ref()
}

/// Whose an error of reading a GGUF file is.
pub fn blame_of_gguf(error: &GgufError) -> Blame {
    said_of_gguf(error).map_or(Blame::Input, of_io)
}

/// Whose an error of writing one is.
pub fn blame_of_written_gguf(error: &GgufError) -> Blame {
    said_of_gguf(error).map_or(Blame::Disk, blame_of_writing)
}

/// Whose an error of reading or fitting a predictor is.
pub fn blame_of_predictor(error: &PredictorError) -> Blame {
    match error {
        PredictorError::Gguf(error) => blame_of_gguf(error),
        PredictorError::Model(error) => blame_of_model(error),
        PredictorError::Io { source, .. } => of_io(source),
        PredictorError::Checksum { .. } => Blame::Disk,
        PredictorError::Text(TextError::BadLogits { .. }) => Blame::Fault,
        PredictorError::Text(_)
        | PredictorError::OtherModel { .. }
        | PredictorError::File { .. }
        | PredictorError::Input { .. } => Blame::Input,
        PredictorError::NotSparse { .. } => Blame::Unsupported,
        PredictorError::Cancelled => Blame::Cancelled,
        _ => Blame::Fault,
    }
}

/// Whose an error of loading or running a model is.
pub fn blame_of_model(error: &ModelError) -> Blame {
    match error {
        ModelError::Gguf(error) => blame_of_gguf(error),
        ModelError::Flash(error) => blame_of_flash(error),
        ModelError::Io { source, .. } => of_io(source),
        ModelError::Config { .. } | ModelError::Tensor { .. } | ModelError::NotFinite { .. } => Blame::Unsupported,
        ModelError::OutOfMemory { .. } => Blame::DoesNotFit,
        ModelError::Other(error) => match (error.downcast_ref(), error.downcast_ref()) {
            (Some(error), _) => of_offload(error),
            (_, Some(error)) => blame_of_flash(error),
            _ => Blame::Fault,
        },
        _ => Blame::Fault,
    }
}

impl GenerateError {
    /// Whose it is to mend.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Model(error) => blame_of_model(error),
            Self::Flash(error) => blame_of_flash(error),
            Self::Offload(error) => of_offload(error),
            Self::Predictor(error) => blame_of_predictor(error),
            Self::Text(TextError::BadLogits { .. }) => Blame::Fault,
            Self::Text(_) | Self::NotAModel { .. } | Self::Input { .. } => Blame::Input,
            Self::Io { source, .. } => of_io(source),
            Self::DoesNotFit { .. } => Blame::DoesNotFit,
            Self::Unsupported { .. } => Blame::Unsupported,
            Self::Cancelled => Blame::Cancelled,
        }
    }
}

impl fmt::Display for GenerateError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model(error) => error.fmt(out),
            Self::Flash(error) => error.fmt(out),
            Self::Offload(error) => error.fmt(out),
            Self::Predictor(error) => error.fmt(out),
            Self::Text(error) => error.fmt(out),
            Self::Io { path, source } if source.kind() == io::ErrorKind::NotFound => {
                write!(out, "{}: there is no such file", path.display())
            }
            Self::Io { path, source } => write!(out, "{}: reading failed: {source}", path.display()),
            Self::NotAModel { path } => write!(
                out,
                "{}: is no model; should be a GGUF file, or one that neuronlab pack made",
                path.display()
            ),
            Self::DoesNotFit {
                needed, allowed, advice, ..
            } => {
                write!(
                    out,
                    "does not fit: {allowed} bytes allowed; the least that works is {needed}; {advice}"
                )
            }
            Self::Unsupported { what, wanted } => write!(out, "{what}; {wanted}"),
            Self::Cancelled => out.write_str("stopped by the caller"),
            Self::Input { name, what } => write!(out, "{name}: {what}"),
        }
    }
}

impl Error for GenerateError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Model(error) => Some(error),
            Self::Flash(error) => Some(error),
            Self::Offload(error) => Some(error),
            Self::Predictor(error) => Some(error),
            Self::Text(error) => Some(error),
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

macro_rules! from_error {
    ($($error:ty => $variant:ident;)*) => {
        $(impl From<$error> for GenerateError {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        })*
    };
}

from_error! {
    ModelError => Model;
    FlashError => Flash;
    OffloadError => Offload;
    PredictorError => Predictor;
    TextError => Text;
}
