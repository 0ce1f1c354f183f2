//! Where tensors come from: a GGUF file, or a packed flash file.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flash::{FlashFile, PAGE, page_ceil, page_floor};
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

    /// Where the file lies.
    fn path(&self) -> &Path;
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

    fn path(&self) -> &Path {
        &self.path
    }
}

/// A packed file: the tensors outside the FFNs, by name. The FFNs are read by whoever computes them.
#[derive(Debug)]
pub struct FlashSource {
    flash: Arc<FlashFile>,
    gguf: Gguf,
    file: File,
}

impl FlashSource {
    /// Opens a packed file and reads its tables.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ModelError> {
        let path = path.as_ref();
        let flash = Arc::new(FlashFile::open(path)?);
        Ok(Self {
            gguf: flash.gguf()?,
            file: open(path)?,
            flash,
        })
    }

    /// The tables.
    pub fn flash(&self) -> &Arc<FlashFile> {
        &self.flash
    }

    /// Reads a range of the file's data, wherever it lies, and compares every page that it touches with its checksum.
    pub(crate) fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<(), ModelError> {
        let end = offset + out.len() as u64;
        let first = page_ceil(offset).min(end);
        let last = page_floor(end).max(first);
        let (head, rest) = out.split_at_mut((first - offset) as usize);
        let (whole, tail) = rest.split_at_mut((last - first) as usize);
        self.read_inside(offset, head)?;
        self.read_pages(first, whole)?;
        self.read_inside(last, tail)
    }

    /// Less than a page, of one page.
    fn read_inside(&self, offset: u64, out: &mut [u8]) -> Result<(), ModelError> {
        if out.is_empty() {
            return Ok(());
        }
        let mut page = [0; PAGE as usize];
        self.read_pages(page_floor(offset), &mut page)?;
        let from = (offset - page_floor(offset)) as usize;
        out.copy_from_slice(&page[from..from + out.len()]);
        Ok(())
    }

    /// Whole pages, or none.
    fn read_pages(&self, offset: u64, out: &mut [u8]) -> Result<(), ModelError> {
        if out.is_empty() {
            return Ok(());
        }
        self.file.read_exact_at(out, offset).map_err(|source| ModelError::Io {
            path: self.flash.path().to_path_buf(),
            doing: "reading",
            source,
        })?;
        self.flash.verify_pages(offset, out)?;
        Ok(())
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
        self.read_at(tensor.offset + from, out)
    }

    fn path(&self) -> &Path {
        self.flash.path()
    }
}
