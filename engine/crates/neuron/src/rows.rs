//! Which rows an operation takes, in which order, and where they lie.

use crate::error::{KernelError, same_length};
use crate::{Format, Matrix};

/// Rows of equal length. Whoever makes one has checked that every row exists and has that length.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rows<'a> {
    /// Rows 0, 1, 2, … of a matrix.
    All(&'a Matrix<'a>),
    /// The rows of a matrix with these numbers.
    Listed(&'a Matrix<'a>, &'a [u32]),
    /// Rows that lie anywhere.
    Scattered(&'a [&'a [u8]]),
}

impl<'a> Rows<'a> {
    /// The bytes of the row at place `place`. Panics when there is no such place.
    #[inline(always)]
    pub(crate) fn row(&self, place: usize) -> &'a [u8] {
        match self {
            Self::All(matrix) => matrix.row(place),
            Self::Listed(matrix, rows) => matrix.row(rows[place] as usize),
            Self::Scattered(rows) => rows[place],
        }
    }

    /// Whether each row follows the one before it in memory, so that the processor foresees them by itself.
    #[inline(always)]
    pub(crate) fn foreseen(&self) -> bool {
        matches!(self, Self::All(_))
    }
}

/// `Ok` when every row of the list exists.
pub(crate) fn check_listed(rows: &[u32], have: usize) -> Result<(), KernelError> {
    match rows.iter().find(|&&row| row as usize >= have) {
        None => Ok(()),
        Some(&row) => Err(KernelError::NoSuchRow {
            row: row as usize,
            rows: have,
        }),
    }
}

/// `Ok` when every row is `cols` weights of this format.
pub(crate) fn check_scattered(format: Format, cols: usize, rows: &[&[u8]]) -> Result<(), KernelError> {
    let bytes = format.row_bytes(cols)?;
    rows.iter()
        .try_for_each(|row| same_length("a row that lies anywhere", row.len(), bytes))
}
