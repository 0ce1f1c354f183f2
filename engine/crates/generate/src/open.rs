//! A file by what is in it, not by its name.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use model::{FlashSource, GgufSource, ModelConfig, TensorSource};

use crate::GenerateError;

/// A model file that can be run.
#[derive(Debug)]
pub enum ModelFile {
    /// All tensors, as other programs write them.
    Gguf(GgufSource),
    /// FFNs laid out for flash.
    Packed(FlashSource),
}

impl ModelFile {
    /// Opens a file and reads its tables.
    pub fn open(path: &Path) -> Result<Self, GenerateError> {
        let failed = |source| GenerateError::Io {
            path: path.to_path_buf(),
            source,
        };
        // Opening a pipe would wait for a writer, for ever if there is none.
        if std::fs::metadata(path).is_ok_and(|kind| !kind.is_file() && !kind.is_dir()) {
            return Err(GenerateError::NotAModel {
                path: path.to_path_buf(),
            });
        }
        let mut start = Vec::new();
        File::open(path)
            .map_err(failed)?
            .take(8)
            .read_to_end(&mut start)
            .map_err(failed)?;
        if gguf::MAGICS.iter().any(|magic| start.starts_with(magic)) {
            Ok(Self::Gguf(GgufSource::open(path)?))
        } else if start == flash::MAGIC {
            Ok(Self::Packed(FlashSource::open(path)?))
        } else {
            Err(GenerateError::NotAModel {
                path: path.to_path_buf(),
            })
        }
    }

    /// The tensors outside the FFNs, and the header.
    pub fn source(&self) -> &dyn TensorSource {
        match self {
            Self::Gguf(source) => source,
            Self::Packed(source) => source,
        }
    }
}

/// Bytes of a GGUF file's tensors: those of the FFNs' matrices, and all others. Predictors are loaded where they are asked
/// for, and counted there.
pub(crate) fn tensor_bytes(file: &ModelFile) -> (u64, u64) {
    let gguf = file.source().gguf();
    let is_ffn = |name: &str| {
        ["ffn_gate.", "ffn_up.", "ffn_down.", "ffn_down_t.", "_exps."]
            .iter()
            .any(|part| name.contains(part))
    };
    let is_predictor = |name: &str| name.contains(".fc1") || name.contains(".fc2");
    let sum = |ffn: bool| {
        gguf.tensors
            .iter()
            .filter(|tensor| !is_predictor(&tensor.name) && is_ffn(&tensor.name) == ffn)
            .map(|tensor| tensor.bytes)
            .sum()
    };
    (sum(true), sum(false))
}

/// Share of the neurons of a GGUF file that are wanted for a token, as far as its header tells: all where the activation leaves none
/// inactive, else what flash layouts are made for by default.
pub fn activity(path: &Path) -> f64 {
    /// Mixtral and Llama with ReLU: a tenth. (PowerInfer-2, section 2.2)
    const SPARSE: f64 = 0.1;
    let config = GgufSource::open(path).and_then(|source| ModelConfig::from_gguf(source.gguf()));
    match config {
        Ok(config) if !config.activation.is_sparse() => 1.0,
        // What is wrong with the file is told by who packs it.
        _ => SPARSE,
    }
}

/// The weights of a model, as its GGUF file has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weights {
    /// How many.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How most of the bytes are stored: ggml's name.
    pub kind: &'static str,
}

pub(crate) fn weights(file: &ModelFile) -> Weights {
    let tensors = &file.source().gguf().tensors;
    let mut by_kind = std::collections::BTreeMap::new();
    for tensor in tensors {
        *by_kind.entry(tensor.kind).or_insert(0) += tensor.bytes;
    }
    let most = by_kind.iter().max_by_key(|&(_, &bytes): &(_, &u64)| bytes);
    Weights {
        count: tensors.iter().map(|tensor| tensor.columns() * tensor.rows()).sum(),
        bytes: by_kind.values().sum(),
        kind: most.map_or("none", |(kind, _)| kind.name()),
    }
}
