//! Rows by tokens, for backends and formats without a kernel of their own.

use std::ops::Range;

use super::dots::{Ahead, block_dots, dot_rows, float_tile};
use super::kinds::{Blocks, EightBit, Floats, FourBit, Half, Single, SixBit};
use crate::activations::Activations;
use crate::format::Format;
use crate::lanes::Lanes;
use crate::matrix::Matrix;
use crate::output::Output;
use crate::rows::Rows;

/// out.line(t)[i] = dot(row i, token t); floats four rows by six tokens at a time (two by two when registers are few), so that a number
/// read is used several times. All rows pass once for each group of such tiles ([`GROUP`]).
///
/// # Safety
/// As for `Lanes`.
#[inline(always)]
pub(crate) unsafe fn gemm<L: Lanes>(matrix: &Matrix<'_>, x: &Activations, out: Output<'_>) {
    // SAFETY: the caller's promise.
    unsafe {
        match (matrix.format(), L::ROOMY) {
            (Format::F32, true) => float_gemm::<L, Single, 4, 6>(matrix, x, out),
            (Format::F32, false) => float_gemm::<L, Single, 2, 2>(matrix, x, out),
            (Format::F16, true) => float_gemm::<L, Half, 4, 6>(matrix, x, out),
            (Format::F16, false) => float_gemm::<L, Half, 2, 2>(matrix, x, out),
            (Format::Q8_0, _) => block_gemm::<L, EightBit>(matrix, x, out),
            (Format::Q4_0, _) => block_gemm::<L, FourBit>(matrix, x, out),
            (Format::Q6_K, _) => block_gemm::<L, SixBit>(matrix, x, out),
        }
    }
}

/// Tiles of `T` tokens, then one of four and of two where so many are left, then a single one.
///
/// # Safety
/// As for `Lanes`.
#[inline(always)]
unsafe fn float_gemm<L: Lanes, F: Floats, const R: usize, const T: usize>(
    matrix: &Matrix<'_>,
    x: &Activations,
    mut out: Output<'_>,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut token = float_tiles::<L, F, R, T>(matrix, x, 0, &mut out);
        if T > 4 {
            token = float_tiles::<L, F, R, 4>(matrix, x, token, &mut out);
        }
        if T > 2 {
            token = float_tiles::<L, F, R, 2>(matrix, x, token, &mut out);
        }
        if token < x.tokens() {
            dot_rows::<L>(matrix.format(), Rows::All(matrix), x.token(token), out.line(token));
        }
    }
}

/// Bytes of activations that a tile of rows meets before the next one's turn: they stay in the second-level cache. Weights pass once for
/// each group, and two threads that let them pass for each tile wait for memory (F16, 14336 x 4096: a fifth slower).
const GROUP: usize = 384 << 10;

/// A tile of tokens with so many bytes or fewer is a group by itself: it stays nearer, which counts more (2048 columns: 5 %).
const SMALL: usize = 64 << 10;

/// As many tiles of tokens as there are from `first` on; returns the first token that is left. Groups of tokens outside, rows
/// inside them, tiles of tokens innermost.
///
/// # Safety
/// As for `Lanes`.
#[inline(always)]
unsafe fn float_tiles<L: Lanes, F: Floats, const R: usize, const T: usize>(
    matrix: &Matrix<'_>,
    x: &Activations,
    first: usize,
    out: &mut Output<'_>,
) -> usize {
    let end = first + (x.tokens() - first) / T * T;
    let tile = T * x.cols() * size_of::<f32>();
    let group = if tile <= SMALL { T } else { (GROUP / tile).max(1) * T };
    for start in (first..end).step_by(group) {
        let tokens = start..end.min(start + group);
        let mut row = 0;
        while row + R <= matrix.rows() {
            // SAFETY: the rows exist.
            unsafe { float_rows::<L, F, R, T>(matrix, row, x, tokens.clone(), out) };
            row += R;
        }
        while row < matrix.rows() {
            // SAFETY: as above.
            unsafe { float_rows::<L, F, 1, T>(matrix, row, x, tokens.clone(), out) };
            row += 1;
        }
    }
    end
}

/// `R` rows from `row` on times whole tiles of tokens.
///
/// # Safety
/// As for `Lanes`.
#[inline(always)]
unsafe fn float_rows<L: Lanes, F: Floats, const R: usize, const T: usize>(
    matrix: &Matrix<'_>,
    row: usize,
    x: &Activations,
    tokens: Range<usize>,
    out: &mut Output<'_>,
) {
    let rows: [*const u8; R] = std::array::from_fn(|r| matrix.row(row + r).as_ptr());
    for token in tokens.step_by(T) {
        let vectors: [*const f32; T] = std::array::from_fn(|t| x.token(token + t).values.as_ptr());
        // SAFETY: rows and tokens have the same number of columns, and tokens are padded.
        let chains = unsafe { float_tile::<L, F, R, T>(rows, vectors, x.cols()) };
        for t in 0..T {
            let line = out.line(token + t);
            for r in 0..R {
                // SAFETY: the caller's promise.
                line[row + r] = unsafe { chains[r][t].fold() };
            }
        }
    }
}

/// Rows outside, tokens inside: a row stays in the cache while the tokens pass.
///
/// # Safety
/// As for `Lanes`.
#[inline(always)]
unsafe fn block_gemm<L: Lanes, B: Blocks>(matrix: &Matrix<'_>, x: &Activations, mut out: Output<'_>) {
    for row in 0..matrix.rows() {
        let this = matrix.row(row).as_ptr();
        for token in 0..x.tokens() {
            // SAFETY: rows and tokens have the same number of columns.
            out.line(token)[row] = unsafe { block_dots::<L, B, 1>([this], Ahead::Nothing, &x.token(token)) }[0];
        }
    }
}
