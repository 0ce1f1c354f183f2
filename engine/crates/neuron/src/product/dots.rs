//! Dot products of rows with one vector.

use super::kinds::{Blocks, EightBit, Floats, FourBit, Half, Single, SixBit};
use crate::activations::Token;
use crate::format::{BLOCK, Format, Q8_0_BYTES};
use crate::lanes::{Codes, Lanes};
use crate::order::CHAINS;
use crate::rows::Rows;

/// The chains of R rows with T vectors, all of `cols` numbers.
///
/// # Safety
/// As for `Lanes`; each row has `cols` weights, each vector `cols` numbers and zeros up to the next multiple of sixteen.
#[inline(always)]
pub(crate) unsafe fn float_tile<L: Lanes, F: Floats, const R: usize, const T: usize>(
    rows: [*const u8; R],
    vectors: [*const f32; T],
    cols: usize,
) -> [[L; T]; R] {
    // SAFETY: whole groups of sixteen lie inside the rows; the rest is copied out first; the vectors are padded.
    unsafe {
        let mut chains = [[L::splat(0.0); T]; R];
        let mut at = 0;
        while at + CHAINS <= cols {
            let weights = rows.map(|row| row.add(at * F::BYTES));
            float_step::<L, F, R, T>(weights, vectors, at, &mut chains);
            at += CHAINS;
        }
        if at < cols {
            let mut rest = [[0u8; CHAINS * 4]; R];
            for (rest, row) in rest.iter_mut().zip(rows) {
                std::ptr::copy_nonoverlapping(row.add(at * F::BYTES), rest.as_mut_ptr(), (cols - at) * F::BYTES);
            }
            let mut weights = rows;
            for (weights, rest) in weights.iter_mut().zip(&rest) {
                *weights = rest.as_ptr();
            }
            float_step::<L, F, R, T>(weights, vectors, at, &mut chains);
        }
        chains
    }
}

/// Sixteen columns of `float_tile`.
///
/// # Safety
/// As for `float_tile`; `weights` point at sixteen weights each.
#[inline(always)]
unsafe fn float_step<L: Lanes, F: Floats, const R: usize, const T: usize>(
    weights: [*const u8; R],
    vectors: [*const f32; T],
    at: usize,
    chains: &mut [[L; T]; R],
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut x = [L::splat(0.0); T];
        for t in 0..T {
            x[t] = L::load(vectors[t].add(at));
        }
        for r in 0..R {
            let w = F::load::<L>(weights[r]);
            for t in 0..T {
                chains[r][t] = w.fma(x[t], chains[r][t]);
            }
        }
    }
}

/// Rows that are computed together, a quarter of all apart. Together they keep more memory requests in flight than
/// one does; rows next to each other would share memory pages, which the processor's prefetching takes badly (measured on
/// Zen 4: a read in four far streams is a fifth faster than in one, in four near ones it is slower).
const ROWS_AT_ONCE: usize = 4;

/// How far ahead of the computation a row that is followed by the next is asked for (bytes). The processor foresees such rows by
/// itself, but stops at every page, and gives up when the activations take more of the first cache than the rows leave
/// (measured on Zen 4: nothing lost for short rows, a third won for rows of 14336 columns; at 1 KiB nothing is won).
const STREAM_AHEAD: usize = 2560;

/// Bytes of a cache line.
pub(super) const LINE: usize = 64;

/// Asks for the cache lines of `bytes` bytes at `at`, which may be any address.
///
/// # Safety
/// As for `Lanes`.
#[inline(always)]
pub(crate) unsafe fn prefetch<L: Lanes>(at: *const u8, bytes: usize) {
    let mut line = 0;
    while line < bytes {
        // SAFETY: the caller's promise.
        unsafe { L::prefetch(at.wrapping_add(line)) };
        line += LINE;
    }
}

/// What to ask the memory for while R rows are computed.
#[derive(Clone, Copy)]
pub(super) enum Ahead<const R: usize> {
    /// Nothing.
    Nothing,
    /// What follows each row in memory.
    Stream,
    /// These rows, which may be any addresses: they do not follow each other, so the processor does not foresee them.
    Rows([*const u8; R]),
}

/// Asks for `bytes` bytes of what comes behind row `r`, which is at `row`, as far as the computation has come in it.
///
/// # Safety
/// As for `Lanes`.
#[inline(always)]
unsafe fn ask<L: Lanes, const R: usize>(ahead: Ahead<R>, row: *const u8, r: usize, done: usize, bytes: usize) {
    let from = match ahead {
        Ahead::Nothing => return,
        Ahead::Stream => row.wrapping_add(done + STREAM_AHEAD),
        Ahead::Rows(next) => next[r].wrapping_add(done),
    };
    // SAFETY: the caller's promise.
    unsafe { prefetch::<L>(from, bytes) };
}

/// The dot products of R quantised rows with one token.
///
/// # Safety
/// As for `Lanes`; each row has a block per 32 columns of `x`.
#[inline(always)]
pub(super) unsafe fn block_dots<L: Lanes, B: Blocks, const R: usize>(
    rows: [*const u8; R],
    ahead: Ahead<R>,
    x: &Token<'_>,
) -> [f32; R] {
    let blocks = x.cols / BLOCK;
    // SAFETY: whole groups of sixteen blocks lie inside the rows, the rest is copied out first; the token is padded to whole
    // groups.
    unsafe {
        let codes = |b: usize| Codes {
            plain: x.codes.as_ptr().add(b * BLOCK),
            halves: x.halves.as_ptr().add(b * BLOCK),
            offsets: x.offsets.as_ptr().add(b),
        };
        let mut chains = [L::splat(0.0); R];
        if let Ahead::Rows(next) = ahead {
            for next in next {
                // The line that a row ends in, which steps from its start may miss.
                L::prefetch(next.wrapping_add(B::bytes(blocks).saturating_sub(1)));
            }
        }
        let mut b = 0;
        while b + CHAINS <= blocks {
            let scales = L::load(x.scales.as_ptr().add(b));
            for r in 0..R {
                ask::<L, R>(ahead, rows[r], r, B::bytes(b), B::bytes(CHAINS));
                chains[r] = B::products::<L>(rows[r].add(B::bytes(b)), codes(b)).fma(scales, chains[r]);
            }
            b += CHAINS;
        }
        if blocks - b == CHAINS / 2 {
            let scales = L::load(x.scales.as_ptr().add(b));
            for r in 0..R {
                ask::<L, R>(ahead, rows[r], r, B::bytes(b), B::bytes(CHAINS / 2));
                chains[r] = B::products_of_eight::<L>(rows[r].add(B::bytes(b)), codes(b)).fma(scales, chains[r]);
            }
        } else if b < blocks {
            let scales = L::load(x.scales.as_ptr().add(b));
            // Zeros behind the last block; the largest format has this many bytes.
            let mut rest = [0u8; CHAINS * Q8_0_BYTES];
            for r in 0..R {
                std::ptr::copy_nonoverlapping(rows[r].add(B::bytes(b)), rest.as_mut_ptr(), B::bytes(blocks - b));
                chains[r] = B::products::<L>(rest.as_ptr(), codes(b)).fma(scales, chains[r]);
            }
        }
        let mut sums = [0.0; R];
        for r in 0..R {
            sums[r] = chains[r].fold();
        }
        sums
    }
}

/// The dot products of R float rows with one token.
///
/// # Safety
/// As for `Lanes`; each row has as many weights as `x` columns.
#[inline(always)]
unsafe fn float_dots<L: Lanes, F: Floats, const R: usize>(rows: [*const u8; R], _: Ahead<R>, x: &Token<'_>) -> [f32; R] {
    // SAFETY: the caller's promise; the token is padded.
    unsafe {
        let chains = float_tile::<L, F, R, 1>(rows, [x.values.as_ptr()], x.cols);
        let mut sums = [0.0; R];
        for r in 0..R {
            sums[r] = chains[r][0].fold();
        }
        sums
    }
}

/// The loop over the rows: `$dots` is one of the two functions above with its types, its number of rows left open. A macro,
/// because a closure would not be compiled for the backend's CPU features.
macro_rules! for_rows {
    ($dots:ident<$l:ty, $format:ty>, $rows:expr, $x:expr, $out:expr) => {{
        let quarter = $out.len() / ROWS_AT_ONCE;
        if quarter > 0 && !$rows.foreseen() {
            for i in 0..ROWS_AT_ONCE {
                let row = $rows.row(i * quarter);
                // SAFETY: the caller's promise.
                unsafe { prefetch::<$l>(row.as_ptr(), row.len()) };
            }
        }
        for place in 0..quarter {
            let mut rows = [std::ptr::null(); ROWS_AT_ONCE];
            for i in 0..ROWS_AT_ONCE {
                rows[i] = $rows.row(place + i * quarter).as_ptr();
            }
            let ahead = if $rows.foreseen() {
                Ahead::Stream
            } else {
                let mut next = rows;
                for i in 0..ROWS_AT_ONCE {
                    // The place after the last of a quarter is the first of the next, or one of those that are left.
                    next[i] = $rows.row((place + i * quarter + 1).min($out.len() - 1)).as_ptr();
                }
                Ahead::Rows(next)
            };
            // SAFETY: the rows have as many columns as the token.
            let sums = unsafe { $dots::<$l, $format, ROWS_AT_ONCE>(rows, ahead, &$x) };
            for i in 0..ROWS_AT_ONCE {
                $out[place + i * quarter] = sums[i];
            }
        }
        let done = quarter * ROWS_AT_ONCE;
        let left = $out.len() - done;
        if left > 1 {
            // Together as well; the last stands in for those that are missing.
            let mut rows = [std::ptr::null(); ROWS_AT_ONCE];
            for i in 0..ROWS_AT_ONCE {
                rows[i] = $rows.row(done + i.min(left - 1)).as_ptr();
            }
            // SAFETY: as above.
            let sums = unsafe { $dots::<$l, $format, ROWS_AT_ONCE>(rows, Ahead::Nothing, &$x) };
            $out[done..].copy_from_slice(&sums[..left]);
        } else if left == 1 {
            let row = $rows.row(done).as_ptr();
            // SAFETY: as above.
            $out[done] = unsafe { $dots::<$l, $format, 1>([row], Ahead::Nothing, &$x) }[0];
        }
    }};
}

/// out[i] = dot(row at place i, x).
///
/// # Safety
/// As for `Lanes`; every row has as many weights as `x` columns.
#[inline(always)]
pub(crate) unsafe fn dot_rows<L: Lanes>(format: Format, rows: Rows<'_>, x: Token<'_>, out: &mut [f32]) {
    match format {
        Format::F32 => for_rows!(float_dots<L, Single>, rows, x, out),
        Format::F16 => for_rows!(float_dots<L, Half>, rows, x, out),
        Format::Q8_0 => for_rows!(block_dots<L, EightBit>, rows, x, out),
        Format::Q4_0 => for_rows!(block_dots<L, FourBit>, rows, x, out),
        Format::Q6_K => for_rows!(block_dots<L, SixBit>, rows, x, out),
    }
}
