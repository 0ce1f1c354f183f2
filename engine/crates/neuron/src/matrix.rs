//! A matrix of weights that lives in somebody else's memory.

use std::ops::Range;

use crate::Format;
use crate::error::{KernelError, long_enough};

/// `rows` rows of `cols` weights, row by row, each row `stride` bytes after the one before.
///
/// A stride larger than a row lets one matrix of a bundle store be seen on its own: with bundles of gate, up and down in
/// one slab, the gate rows are a matrix whose stride is the size of a bundle. The bytes need no alignment.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    format: Format,
    rows: usize,
    cols: usize,
    stride: usize,
    row_bytes: usize,
    data: &'a [u8],
}

impl<'a> Matrix<'a> {
    /// Rows that follow each other without gaps. `data` may be longer than needed.
    pub fn new(format: Format, rows: usize, cols: usize, data: &'a [u8]) -> Result<Self, KernelError> {
        Self::strided(format, rows, cols, format.row_bytes(cols)?, data)
    }

    /// Rows that start `stride` bytes apart, the first at `data[0]`.
    pub fn strided(format: Format, rows: usize, cols: usize, stride: usize, data: &'a [u8]) -> Result<Self, KernelError> {
        let row_bytes = format.row_bytes(cols)?;
        long_enough("the row stride", stride, row_bytes)?;
        let wanted = match rows {
            0 => Some(0),
            _ => (rows - 1)
                .checked_mul(stride)
                .and_then(|before| before.checked_add(row_bytes)),
        };
        long_enough(
            "the matrix data",
            data.len(),
            wanted.ok_or(KernelError::TooLarge { what: "a matrix" })?,
        )?;
        Ok(Self {
            format,
            rows,
            cols,
            stride,
            row_bytes,
            data,
        })
    }

    /// How the weights are stored.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Number of rows (outputs).
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns (inputs).
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Bytes of one row.
    pub fn row_bytes(&self) -> usize {
        self.row_bytes
    }

    /// The bytes of row `row`. Panics when there is no such row, as indexing a slice does.
    #[inline(always)]
    pub fn row(&self, row: usize) -> &'a [u8] {
        debug_assert!(row < self.rows, "row {row} of {}", self.rows);
        &self.data[row * self.stride..][..self.row_bytes]
    }

    /// The rows in `range`, as a matrix: how a caller splits work over threads.
    pub fn slice(&self, range: Range<usize>) -> Result<Self, KernelError> {
        if range.end > self.rows || range.start > range.end {
            return Err(KernelError::NoSuchRow {
                row: range.end.max(range.start),
                rows: self.rows,
            });
        }
        let data = if range.is_empty() {
            &[][..]
        } else {
            &self.data[range.start * self.stride..]
        };
        Ok(Self {
            rows: range.len(),
            data,
            ..*self
        })
    }
}
