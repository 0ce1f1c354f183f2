//! One matrix of weights in memory.

use gguf::TensorType;
use neuron::{Format, Matrix};

use crate::memory::PageBuffer;
use crate::{ModelError, TensorSource};

/// `rows` rows of `cols` weights in whole pages, in a format that the kernels compute with.
pub struct Tensor {
    data: PageBuffer,
    format: Format,
    rows: usize,
    cols: usize,
}

/// The shape of a tensor with its greatest sides of 1 taken off, since writers differ in whether they keep them.
fn same_shape(found: &[u64], wanted: &[u64]) -> bool {
    let side = |shape: &[u64], i: usize| shape.get(i).copied().unwrap_or(1);
    (0..found.len().max(wanted.len())).all(|i| side(found, i) == side(wanted, i))
}

/// What is read before it is looked at: some hundred kilobytes, which are then still in the processor's cache, so that looking costs no
/// memory traffic. Whole blocks, and whole pages of a packed file.
const fn piece_bytes(format: Format) -> usize {
    const MOST: usize = 1 << 19;
    let pages = format.block_bytes() * flash::PAGE as usize;
    if pages > MOST { pages } else { MOST / pages * pages }
}

/// Fails when a weight is no finite number: the whole blocks `bytes` are from byte `from` on of a tensor in that format, with so many
/// weights in a row.
pub(crate) fn check_finite(
    source: &dyn TensorSource,
    name: &dyn Fn() -> String,
    (format, cols): (Format, usize),
    from: u64,
    bytes: &[u8],
) -> Result<(), ModelError> {
    let kind = TensorType::from_code(format.gguf_id()).expect("a format of the kernels is one of GGUF's");
    kind.check_finite(name, cols as u64, from, bytes)
        .map_err(|error| error.in_file(source.path()).into())
}

impl Tensor {
    /// Memory for a matrix, zeros so far; `what` is for the error when there is no memory for it.
    pub fn zeroed(format: Format, rows: usize, cols: usize, what: &str) -> Result<Self, ModelError> {
        let bytes = format.row_bytes(cols)?.checked_mul(rows);
        let bytes = bytes.ok_or_else(|| ModelError::OutOfMemory {
            what: what.to_owned(),
            bytes: u64::MAX,
        })?;
        Ok(Self {
            data: PageBuffer::zeroed(bytes, what)?,
            format,
            rows,
            cols,
        })
    }

    /// Stores `weights`, whole rows, from row `first` on, as the tensor's format says. Fails when they do not fit in there.
    pub fn set_rows(&mut self, first: usize, weights: &[f32]) -> Result<(), ModelError> {
        let rows = weights.len().checked_div(self.cols).unwrap_or(0);
        if rows * self.cols != weights.len() || first.checked_add(rows).is_none_or(|end| end > self.rows) {
            let what = format!(
                "{} weights from row {first} on; must be whole rows of {} and end by row {}",
                weights.len(),
                self.cols,
                self.rows
            );
            return Err(ModelError::Misuse { what });
        }
        let bytes = self.format.row_bytes(self.cols)?;
        let places = self.data[first * bytes..].chunks_exact_mut(bytes.max(1));
        for (row, out) in weights.chunks_exact(self.cols.max(1)).zip(places) {
            self.format.quantise_row(row, out)?;
        }
        Ok(())
    }

    /// Reads the tensor of that name, whose shape (fastest first) must be `shape`; all sides but the first make its rows.
    pub fn load(source: &dyn TensorSource, name: &str, shape: &[u64]) -> Result<Self, ModelError> {
        match Self::find(source, name, shape)? {
            Some(tensor) => Ok(tensor),
            None => Err(ModelError::tensor(
                name,
                "nothing",
                format!("in the file, of shape {shape:?}"),
            )),
        }
    }

    /// Like [`Tensor::load`], for a tensor that may be absent.
    pub fn find(source: &dyn TensorSource, name: &str, shape: &[u64]) -> Result<Option<Self>, ModelError> {
        let Some(entry) = source.entry(name) else {
            return Ok(None);
        };
        if !same_shape(&entry.shape, shape) {
            let found = format!("shape {:?}", entry.shape);
            return Err(ModelError::tensor(name, found, format!("of shape {shape:?}")));
        }
        let format = Format::from_gguf_id(entry.kind).ok_or_else(|| {
            let kind = TensorType::from_code(entry.kind);
            let found = kind.map_or_else(|| format!("type {}", entry.kind), |kind| format!("type {kind}"));
            let advice = kind.map_or("", TensorType::convert_to);
            ModelError::tensor(name, found, format!("F32, F16, Q8_0, Q6_K or Q4_0: {advice}"))
        })?;
        let (cols, rows) = (shape[0] as usize, shape[1..].iter().product::<u64>() as usize);
        let mut tensor = Self::zeroed(format, rows, cols, name)?;
        if tensor.data.len() as u64 != entry.bytes {
            let found = format!("{} bytes", entry.bytes);
            return Err(ModelError::tensor(name, found, format!("{} bytes", tensor.data.len())));
        }
        let mut from = 0;
        for piece in tensor.data.chunks_mut(piece_bytes(format)) {
            source.read(name, from, piece)?;
            check_finite(source, &|| name.to_owned(), (format, cols), from, piece)?;
            from += piece.len() as u64;
        }
        Ok(Some(tensor))
    }

    /// Reads a vector (norm weights, biases) of `length` numbers, as f32.
    pub(crate) fn find_vector(source: &dyn TensorSource, name: &str, length: usize) -> Result<Option<Vec<f32>>, ModelError> {
        let Some(tensor) = Self::find(source, name, &[length as u64])? else {
            return Ok(None);
        };
        let mut vector = vec![0.0; length];
        tensor.format.dequantise_row(&tensor.data, &mut vector)?;
        Ok(Some(vector))
    }

    /// Like [`Tensor::find_vector`], for a vector that must be there.
    pub(crate) fn load_vector(source: &dyn TensorSource, name: &str, length: usize) -> Result<Vec<f32>, ModelError> {
        let found = Self::find_vector(source, name, length)?;
        found.ok_or_else(|| ModelError::tensor(name, "nothing", format!("in the file, {length} numbers")))
    }

    /// All of it, for the kernels.
    pub fn matrix(&self) -> Result<Matrix<'_>, ModelError> {
        Ok(Matrix::new(self.format, self.rows, self.cols, &self.data)?)
    }

    /// How the weights are stored.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Weights in a row.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Its size in memory (bytes).
    pub fn bytes(&self) -> u64 {
        self.data.len() as u64
    }

    /// The bytes, as the file has them.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The bytes, to be filled.
    pub(crate) fn data_mut(&mut self) -> &mut [u8] {
        &mut self.data
    }
}
