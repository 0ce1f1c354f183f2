//! What a caller can get wrong, as values.

use std::fmt;

use crate::Format;

/// A shape, row number or length that does not fit. Kernels return these instead of panicking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelError {
    /// A row of this format must have a multiple of `block` weights.
    Ragged {
        /// The format of the row.
        format: Format,
        /// How many weights the row was said to have.
        cols: usize,
        /// Weights per block of the format.
        block: usize,
    },
    /// Two lengths that must agree do not.
    Length {
        /// Which length, in words.
        what: &'static str,
        /// What was given.
        got: usize,
        /// What would be right.
        want: usize,
    },
    /// A buffer is shorter than what it must hold.
    TooShort {
        /// Which buffer, in words.
        what: &'static str,
        /// Its length.
        got: usize,
        /// The least that would do.
        want: usize,
    },
    /// A list names a row that the matrix does not have.
    NoSuchRow {
        /// The row asked for.
        row: usize,
        /// How many rows there are.
        rows: usize,
    },
    /// Sizes whose product does not fit in the address space.
    TooLarge {
        /// What was being sized, in words.
        what: &'static str,
    },
    /// A number that must not be zero is zero.
    Zero {
        /// Which number, in words.
        what: &'static str,
    },
}

impl fmt::Display for KernelError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ragged { format, cols, block } => {
                write!(out, "row length does not fit {format}: {cols}; must be a multiple of {block}")
            }
            Self::Length { what, got, want } => write!(out, "wrong length of {what}: {got}; must be {want}"),
            Self::TooShort { what, got, want } => write!(out, "{what} is too short: {got}; needs at least {want}"),
            Self::NoSuchRow { row, rows } => write!(out, "no such row: {row}; the matrix has {rows}"),
            Self::TooLarge { what } => write!(out, "{what} is larger than the address space"),
            Self::Zero { what } => write!(out, "{what} is zero; must be at least 1"),
        }
    }
}

impl std::error::Error for KernelError {}

/// `Ok` when the two agree.
pub(crate) fn same_length(what: &'static str, got: usize, want: usize) -> Result<(), KernelError> {
    if got == want {
        Ok(())
    } else {
        Err(KernelError::Length { what, got, want })
    }
}

/// `Ok` when `got` is enough.
pub(crate) fn long_enough(what: &'static str, got: usize, want: usize) -> Result<(), KernelError> {
    if got >= want {
        Ok(())
    } else {
        Err(KernelError::TooShort { what, got, want })
    }
}
