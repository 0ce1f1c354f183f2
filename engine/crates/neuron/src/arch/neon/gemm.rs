//! Matrix-matrix products of quantised weights with `smmla`: two rows by two tokens at a time.
//!
//! The codes of two rows are repacked once, eight of one row next to eight of the other, and serve all tokens. Four blocks give
//! four registers of 2 x 2 sums; transposed, each of the four products has a register with the sums of its four blocks, whose
//! lanes are the chains of `order.rs`.

use std::arch::aarch64::*;

use super::instructions::smmla;
use super::{Quads, q4_0_bytes, q8_0_bytes, scales};
use crate::activations::{Activations, Token};
use crate::format::{BLOCK, Format, Q8_0_BYTES};
use crate::lanes::Lanes;
use crate::order::CHAINS;
use crate::product;
use crate::{Matrix, Output, Scratch};

/// Bytes of a packed pair of blocks: four times eight codes of each row.
const PAIR: usize = 2 * BLOCK;

/// out.line(t)[i] = dot(row i, token t).
///
/// # Safety
/// The CPU has the features of the backend; the shapes agree.
#[inline]
#[target_feature(enable = "neon,dotprod,i8mm")]
pub(super) unsafe fn gemm(matrix: &Matrix<'_>, x: &Activations, scratch: &mut Scratch, mut out: Output<'_>) {
    let quantised = matches!(matrix.format(), Format::Q4_0 | Format::Q8_0);
    if !quantised || x.tokens() < 2 {
        // SAFETY: this function is compiled for the features.
        unsafe { product::gemm::<Quads<true>>(matrix, x, out) };
        return;
    }
    let blocks = (matrix.cols() / BLOCK).next_multiple_of(CHAINS);
    scratch.panel.resize_dirty(blocks * PAIR);
    scratch.panel_scales.resize_dirty(2 * blocks);
    for row in (0..matrix.rows()).step_by(2) {
        let second = (row + 1).min(matrix.rows() - 1);
        // SAFETY: the buffers have room for the padded blocks; tokens are padded to as many.
        unsafe {
            pack(matrix, [row, second], blocks, &mut scratch.panel, &mut scratch.panel_scales);
            for token in (0..x.tokens()).step_by(2) {
                let other = (token + 1).min(x.tokens() - 1);
                let sums = tile(
                    &scratch.panel,
                    &scratch.panel_scales,
                    blocks,
                    [x.token(token), x.token(other)],
                );
                // A row or token that stands twice gives the same number twice.
                out.line(token)[row] = sums[0];
                out.line(other)[row] = sums[1];
                out.line(token)[second] = sums[2];
                out.line(other)[second] = sums[3];
            }
        }
    }
}

/// Packs two rows, padded with zeros to `blocks` blocks: codes in pairs of eight, and the scales of one row after the other's.
///
/// # Safety
/// The buffers have room.
#[inline]
#[target_feature(enable = "neon,dotprod,i8mm")]
unsafe fn pack(matrix: &Matrix<'_>, rows: [usize; 2], blocks: usize, codes: &mut [u8], all_scales: &mut [f32]) {
    let four = matrix.format() == Format::Q4_0;
    let bytes = matrix.format().block_bytes();
    for group in (0..blocks).step_by(CHAINS) {
        let mut copies = [[0u8; CHAINS * Q8_0_BYTES]; 2];
        for (copy, row) in copies.iter_mut().zip(rows) {
            let row = &matrix.row(row)[group * bytes..];
            let len = row.len().min(CHAINS * bytes);
            copy[..len].copy_from_slice(&row[..len]);
        }
        // A nibble of zero is the code -8, but where the scale is zero, and the activations are, any code will do.
        for b in 0..CHAINS {
            let read = |copy: &[u8; CHAINS * Q8_0_BYTES]| {
                let block = copy[b * bytes..].as_ptr();
                // SAFETY: the copies are sixteen blocks.
                unsafe { if four { q4_0_bytes(block) } else { q8_0_bytes(block) } }
            };
            let (first, second) = (read(&copies[0]), read(&copies[1]));
            let to = codes[(group + b) * PAIR..][..PAIR].as_mut_ptr().cast::<i8>();
            for half in 0..2 {
                // SAFETY: a pair of blocks is four times sixteen bytes.
                unsafe {
                    vst1q_s8(
                        to.add(half * 32),
                        vcombine_s8(vget_low_s8(first[half]), vget_low_s8(second[half])),
                    );
                    vst1q_s8(
                        to.add(half * 32 + 16),
                        vcombine_s8(vget_high_s8(first[half]), vget_high_s8(second[half])),
                    );
                }
            }
        }
        for (row, copy) in copies.iter().enumerate() {
            let to = all_scales[row * blocks + group..][..CHAINS].as_mut_ptr();
            // SAFETY: the copy is sixteen blocks; so many scales were sliced.
            unsafe { scales::<true>(copy.as_ptr(), bytes).store(to) };
        }
    }
}

/// The products of the two packed rows with two tokens: row 0 with token 0, 0 with 1, 1 with 0, 1 with 1.
///
/// # Safety
/// The panel and the tokens have `blocks` blocks, a multiple of sixteen.
#[inline]
#[target_feature(enable = "neon,dotprod,i8mm")]
unsafe fn tile(codes: &[u8], all_scales: &[f32], blocks: usize, tokens: [Token<'_>; 2]) -> [f32; 4] {
    // SAFETY: all reads are of blocks below `blocks`.
    unsafe {
        let mut chains = [Quads::<true>::splat(0.0); 4];
        for group in (0..blocks).step_by(CHAINS) {
            for quad in 0..4 {
                let mut sums = [vdupq_n_s32(0); 4];
                for i in 0..4 {
                    let b = group + quad * 4 + i;
                    let w = codes.as_ptr().add(b * PAIR).cast::<i8>();
                    let x = tokens.map(|token| token.codes.as_ptr().add(b * BLOCK));
                    for step in 0..4 {
                        let x = vcombine_s8(vld1_s8(x[0].add(step * 8)), vld1_s8(x[1].add(step * 8)));
                        sums[i] = smmla(sums[i], vld1q_s8(w.add(step * 16)), x);
                    }
                }
                let at = group + quad * 4;
                let row_scales = [
                    vld1q_f32(all_scales.as_ptr().add(at)),
                    vld1q_f32(all_scales.as_ptr().add(blocks + at)),
                ];
                let x_scales = tokens.map(|token| vld1q_f32(token.scales.as_ptr().add(at)));
                for (product, sums) in transpose(sums).into_iter().enumerate() {
                    let scaled = vmulq_f32(vcvtq_f32_s32(sums), row_scales[product / 2]);
                    let chain = &mut chains[product].0[quad];
                    *chain = vfmaq_f32(*chain, scaled, x_scales[product % 2]);
                }
            }
        }
        let mut sums = [0.0; 4];
        for i in 0..4 {
            sums[i] = chains[i].fold();
        }
        sums
    }
}

/// Lane i of register j to lane j of register i.
#[inline]
#[target_feature(enable = "neon")]
fn transpose([a, b, c, d]: [int32x4_t; 4]) -> [int32x4_t; 4] {
    let (ab0, ab1) = (vtrn1q_s32(a, b), vtrn2q_s32(a, b));
    let (cd0, cd1) = (vtrn1q_s32(c, d), vtrn2q_s32(c, d));
    let low = |x, y| vreinterpretq_s32_s64(vtrn1q_s64(vreinterpretq_s64_s32(x), vreinterpretq_s64_s32(y)));
    let high = |x, y| vreinterpretq_s32_s64(vtrn2q_s64(vreinterpretq_s64_s32(x), vreinterpretq_s64_s32(y)));
    [low(ab0, cd0), low(ab1, cd1), high(ab0, cd0), high(ab1, cd1)]
}
