//! Where a matrix-matrix product writes: a table of tokens by rows that threads can share, column range by column range.

use std::marker::PhantomData;

use crate::error::{KernelError, long_enough};

/// A table of `tokens` lines, of which this value may write the columns `0..width`. The lines are `stride` numbers apart.
///
/// `split_at` gives two tables that share the lines but no column, so two threads can fill them at once.
pub struct Output<'a> {
    first: *mut f32,
    tokens: usize,
    stride: usize,
    width: usize,
    of: PhantomData<&'a mut [f32]>,
}

// SAFETY: an `Output` is an exclusive borrow of its columns (no two share one), so it may move to another thread as `&mut` may.
unsafe impl Send for Output<'_> {}

impl<'a> Output<'a> {
    /// The whole of `data`: `tokens` lines of `width`. Fails when `data` is shorter than that.
    pub fn new(data: &'a mut [f32], tokens: usize, width: usize) -> Result<Self, KernelError> {
        let all = tokens
            .checked_mul(width)
            .ok_or(KernelError::TooLarge { what: "the output" })?;
        long_enough("the output", data.len(), all)?;
        Ok(Self {
            first: data.as_mut_ptr(),
            tokens,
            stride: width,
            width,
            of: PhantomData,
        })
    }

    /// Number of lines.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Number of columns that may be written.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The columns before `column`, and those from it on. A column past the end gives an empty second table.
    pub fn split_at(self, column: usize) -> (Self, Self) {
        let column = column.min(self.width);
        let second = match self.tokens {
            0 => self.first,
            // SAFETY: the first line has at least `column` numbers, so the pointer stays inside or one past the data.
            _ => unsafe { self.first.add(column) },
        };
        (
            Self { width: column, ..self },
            Self {
                first: second,
                width: self.width - column,
                ..self
            },
        )
    }

    /// This table for a shorter time, to hand to a kernel without giving it away.
    pub fn reborrow(&mut self) -> Output<'_> {
        Output {
            of: PhantomData,
            ..*self
        }
    }

    /// The writable part of line `token`. Panics when there is no such line.
    #[inline(always)]
    pub fn line(&mut self, token: usize) -> &mut [f32] {
        assert!(token < self.tokens, "no such line: {token}; there are {}", self.tokens);
        // SAFETY: `new` saw that all lines lie inside the data; the columns belong to this value alone, borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.first.add(token * self.stride), self.width) }
    }
}
