//! Where tensors come from: a GGUF file, or a packed flash file.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use flash::FlashFile;
use gguf::Gguf;

use crate::ModelError;

/// What a source knows about a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorEntry {
    /// Sides, fastest first.
    pub shape: Vec<u64>,
    /// GGUF's number of its type.
    pub kind: u32,
    /// Its length (bytes).
    pub bytes: u64,
}

/// A file with a GGUF header and tensors by name.
pub trait TensorSource {
    /// The header: metadata, and the tensors' names and shapes.
    fn gguf(&self) -> &Gguf;

    /// The tensor of that name, if its data can be read here.
    fn entry(&self, name: &str) -> Option<TensorEntry>;

    /// Reads `out.len()` bytes of a tensor, from byte `from` of it.
    fn read(&self, name: &str, from: u64, out: &mut [u8]) -> Result<(), ModelError>;
}

fn open(path: &Path) -> Result<File, ModelError> {
    File::open(path).map_err(|source| ModelError::Io {
        path: path.to_path_buf(),
        doing: "opening",
        source,
    })
}

/// A GGUF file: all tensors.
#[derive(Debug)]
pub struct GgufSource {
    path: PathBuf,
    gguf: Gguf,
    file: File,
}

impl GgufSource {
    /// Opens a file and reads its header.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ModelError> {
        let path = path.as_ref();
        Ok(Self {
            path: path.to_path_buf(),
            gguf: Gguf::open(path)?,
            file: open(path)?,
        })
    }
}

impl TensorSource for GgufSource {
    fn gguf(&self) -> &Gguf {
        &self.gguf
    }

    fn entry(&self, name: &str) -> Option<TensorEntry> {
        self.gguf.tensor(name).map(|tensor| TensorEntry {
            shape: tensor.shape.clone(),
            kind: tensor.kind.code(),
            bytes: tensor.bytes,
        })
    }

    fn read(&self, name: &str, from: u64, out: &mut [u8]) -> Result<(), ModelError> {
        let tensor = self
            .gguf
            .tensor(name)
            .ok_or_else(|| ModelError::tensor(name, "nothing", "in the file"))?;
        tensor
            .read_at(&self.file, from, out)
            .map_err(|error| error.in_file(&self.path).into())
    }
}

/// A packed file: the tensors outside the FFNs, by name. The FFNs are read by whoever computes them.
#[derive(Debug)]
pub struct FlashSource {
    flash: FlashFile,
    gguf: Gguf,
    file: File,
}

impl FlashSource {
    /// Opens a packed file and reads its tables.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ModelError> {
        let path = path.as_ref();
        let flash = FlashFile::open(path)?;
        Ok(Self {
            gguf: flash.gguf()?,
            file: open(path)?,
            flash,
        })
    }

    /// The tables.
    pub fn flash(&self) -> &FlashFile {
        &self.flash
    }

    /// Reads a range of the file, wherever it lies.
    pub(crate) fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<(), ModelError> {
        self.file.read_exact_at(out, offset).map_err(|source| ModelError::Io {
            path: self.flash.path().to_path_buf(),
            doing: "reading",
            source,
        })
    }
}

impl TensorSource for FlashSource {
    fn gguf(&self) -> &Gguf {
        &self.gguf
    }

    fn entry(&self, name: &str) -> Option<TensorEntry> {
        self.flash.dense_named(name).map(|(_, tensor)| TensorEntry {
            shape: tensor.shape.clone(),
            kind: tensor.kind,
            bytes: tensor.bytes,
        })
    }

    fn read(&self, name: &str, from: u64, out: &mut [u8]) -> Result<(), ModelError> {
        let (_, tensor) = self
            .flash
            .dense_named(name)
            .ok_or_else(|| ModelError::tensor(name, "nothing", "in the packed file"))?;
        let end = from.checked_add(out.len() as u64);
        if end.is_none_or(|end| end > tensor.bytes) {
            let what = format!(
                "read of {} bytes from byte {from} of tensor {name}, which has {}",
                out.len(),
                tensor.bytes
            );
            return Err(ModelError::Misuse { what });
        }
        self.read_at(tensor.offset + from, out)?;
        // A whole tensor is checked as it is read; parts of one only by `FlashFile::verify`.
        if from == 0 && out.len() as u64 == tensor.bytes {
            self.flash.verify_bytes(tensor.offset, out)?;
        }
        Ok(())
    }
}
