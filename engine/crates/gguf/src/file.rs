//! The header of a file: what the parser gives.

use std::fs::File;
use std::io::{Cursor, Read, Seek};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::check;
use crate::decode::{read_metadata, read_tensors};
use crate::error::GgufError;
use crate::kind::TensorType;
use crate::metadata::Metadata;
use crate::source::Source;

/// What a file begins with: `GGUF`, or `PWRI`, which PowerInfer's converters write over it in model files whose FFNs are sparse.
/// What follows is the same.
pub const MAGICS: [[u8; 4]; 2] = [*b"GGUF", *b"PWRI"];

/// The alignment of tensor data where `general.alignment` does not say another (bytes).
pub const DEFAULT_ALIGNMENT: u64 = 32;

/// The most that header, metadata and tensor table may take together (bytes): some twelve times those of the largest
/// vocabularies in use. Without it a sparse file could have us allocate as much as its length pretends.
pub const MAX_HEADER_BYTES: u64 = 256 << 20;

/// The largest alignment that is taken (bytes); files in use have 32. Whoever writes the padded header needs as much memory.
pub const MAX_ALIGNMENT: u64 = 1 << 20;

/// Longest key (bytes), by the format's description.
pub(crate) const MAX_KEY_BYTES: u64 = 65_535;
/// Longest tensor name (bytes): ggml keeps 64 with the closing zero.
pub(crate) const MAX_NAME_BYTES: u64 = 63;
/// Most dimensions of a tensor.
pub(crate) const MAX_DIMENSIONS: usize = 4;
/// Arrays within arrays: the format sets no limit, the stack does. No known file goes beyond 1.
pub(crate) const MAX_NESTING: usize = 8;

/// The header of a GGUF file. The data stays where it is: `tensors` say where.
#[derive(Clone, Debug, PartialEq)]
pub struct Gguf {
    /// Whether it begins as PowerInfer's files do ([`MAGICS`]).
    pub is_powerinfer: bool,
    /// Version of the format, 2 or 3.
    pub version: u32,
    /// Alignment of tensor data (bytes), a power of two.
    pub alignment: u64,
    /// Keys and values.
    pub metadata: Metadata,
    /// Tensors in the order of the table.
    pub tensors: Vec<TensorInfo>,
    /// Where tensor data begins (bytes from the start of the file).
    pub data_start: u64,
    /// Length of the whole file (bytes).
    pub file_bytes: u64,
    by_name: Vec<u32>,
}

/// One tensor: what it is and where its data lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name.
    pub name: String,
    /// 1 to 4 dimensions, the fastest first: a matrix of `rows` and `columns` is `[columns, rows]`.
    pub shape: Vec<u64>,
    /// How the weights are stored.
    pub kind: TensorType,
    /// Where its data begins (bytes from the start of the file).
    pub offset: u64,
    /// How many bytes its data has.
    pub bytes: u64,
}

impl TensorInfo {
    /// Weights in a row: the fastest dimension.
    pub fn columns(&self) -> u64 {
        self.shape.first().copied().unwrap_or(1)
    }

    /// Rows: all other dimensions together.
    pub fn rows(&self) -> u64 {
        self.shape.iter().skip(1).product()
    }

    /// Bytes of one row.
    pub fn row_bytes(&self) -> u64 {
        self.bytes / self.rows().max(1)
    }

    /// Reads `out.len()` bytes of its data, from byte `from` of it. An error names the tensor's place in the file.
    pub fn read_at(&self, file: &File, from: u64, out: &mut [u8]) -> Result<(), GgufError> {
        let wanted = out.len() as u64;
        if from.checked_add(wanted).is_none_or(|end| end > self.bytes) {
            let what = format!(
                "read of {wanted} bytes from byte {from} of tensor {}, which has {}",
                self.name, self.bytes
            );
            return Err(GgufError::Misuse { what });
        }
        let at = self.offset + from;
        file.read_exact_at(out, at).map_err(|error| GgufError::Io {
            doing: "reading tensor data",
            at: Some(at),
            error,
        })
    }
}

impl Gguf {
    /// Reads the header of the file at `path`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, GgufError> {
        let path = path.as_ref();
        let failed = |error| GgufError::Io {
            doing: "opening",
            at: None,
            error,
        };
        // Opening a pipe would wait for a writer, for ever if there is none.
        if std::fs::metadata(path).is_ok_and(|kind| !kind.is_file()) {
            let error = std::io::Error::new(std::io::ErrorKind::InvalidInput, "it is not a regular file");
            return Err(failed(error).in_file(path));
        }
        let file = File::open(path).map_err(failed);
        file.and_then(Self::read).map_err(|error| error.in_file(path))
    }

    /// Reads the header from the start of anything that can be read and sought in.
    pub fn read(input: impl Read + Seek) -> Result<Self, GgufError> {
        let mut source = Source::new(input)?;
        let magic: [u8; 4] = match source.left() {
            4.. => source.take("magic")?,
            short => {
                let mut found = vec![0; short as usize];
                source.fill("magic", &mut found)?;
                return Err(GgufError::NotGguf { found });
            }
        };
        if !MAGICS.contains(&magic) {
            return Err(GgufError::NotGguf { found: magic.to_vec() });
        }
        let version = source.u32("version")?;
        if !(2..=3).contains(&version) {
            return Err(GgufError::Version { found: version });
        }
        let tensor_count = source.u64("tensor count")?;
        let key_count = source.u64("key count")?;

        let metadata = read_metadata(&mut source, key_count)?;
        let alignment = alignment_of(&metadata)?;
        let declared = read_tensors(&mut source, tensor_count)?;
        let header_end = source.at();
        let data_start = header_end
            .checked_next_multiple_of(alignment)
            .ok_or(GgufError::BadAlignment { found: alignment })?;
        let (tensors, by_name) = check::place(declared, data_start, alignment, source.length())?;
        Ok(Self {
            is_powerinfer: magic == MAGICS[1],
            version,
            alignment,
            metadata,
            tensors,
            data_start,
            file_bytes: source.length(),
            by_name,
        })
    }

    /// Reads the header of a whole file held in memory.
    pub fn parse(bytes: &[u8]) -> Result<Self, GgufError> {
        Self::read(Cursor::new(bytes))
    }

    /// The tensor of that name.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        let found = self
            .by_name
            .binary_search_by(|&index| self.tensors[index as usize].name.as_str().cmp(name))
            .ok()?;
        self.tensors.get(self.by_name[found] as usize)
    }

    /// The tensor of that name; an error when it is absent, of another shape than `shape` (fastest first), or of a type
    /// that the kernels do not compute with.
    pub fn need_tensor(&self, name: &str, shape: &[u64]) -> Result<&TensorInfo, GgufError> {
        let tensor = self
            .tensor(name)
            .ok_or_else(|| GgufError::MissingTensor { name: name.to_owned() })?;
        if tensor.shape != shape {
            let (found, wanted) = (tensor.shape.clone(), shape.to_vec());
            return Err(GgufError::WrongShape {
                name: name.to_owned(),
                found,
                wanted,
            });
        }
        if !tensor.kind.is_computable() {
            return Err(GgufError::NotComputable {
                name: name.to_owned(),
                kind: tensor.kind,
            });
        }
        Ok(tensor)
    }

    /// `general.architecture`, the prefix of the model's own keys.
    pub fn architecture(&self) -> Result<&str, GgufError> {
        self.metadata.str("general.architecture")
    }
}

fn alignment_of(metadata: &Metadata) -> Result<u64, GgufError> {
    let alignment = metadata
        .find("general.alignment")?
        .map_or(DEFAULT_ALIGNMENT, |found: u32| found.into());
    if !alignment.is_power_of_two() || alignment > MAX_ALIGNMENT {
        return Err(GgufError::BadAlignment { found: alignment });
    }
    Ok(alignment)
}
