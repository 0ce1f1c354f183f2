//! Q6_K, byte by byte: what output matrices of Q4_0 files are in.
//!
//! A *superblock* is 256 weights in 210 bytes: 128 bytes of low nibbles, 64 of pairs of high bits, sixteen `i8` scales, one
//! for sixteen weights, and a binary16 `d`. Weight i is `d * scale[i / 16] * (code[i] - 32)` with a code of six bits. Each half
//! of 128 weights has 64 bytes of nibbles and 32 of high bits; of its four parts of 32 weights, part p has its nibbles in
//! bytes `32 * (p % 2)..`, low ones for p < 2 and high ones else, and its high bits at bit 2p.
//!
//! A part is what the kernels call a block: it meets one scale of the activations. The sum that `order.rs` speaks of is then
//! `scale * (sum of sixteen products) + scale * (sum of sixteen)`, at most 2 * 128 * 16 * 32 * 127 < 2^24: exact in f32 as well.

use crate::format::BLOCK;
use crate::half::{f16_to_f32, f32_to_f16};

/// Weights of a superblock.
pub(crate) const SUPERBLOCK: usize = 256;
/// Bytes of a superblock.
pub(crate) const Q6_K_BYTES: usize = HALF_AT + 2;
/// Parts of a superblock: blocks of 32 weights.
pub(crate) const PARTS: usize = SUPERBLOCK / BLOCK;
/// Where the high bits, the scales and `d` are in a superblock.
pub(crate) const HIGH_AT: usize = SUPERBLOCK / 2;
pub(crate) const SCALES_AT: usize = HIGH_AT + SUPERBLOCK / 4;
pub(crate) const HALF_AT: usize = SCALES_AT + GROUPS;
/// Weights that share a scale, and how many such groups a superblock has.
pub(crate) const GROUP: usize = 16;
const GROUPS: usize = SUPERBLOCK / GROUP;

/// What all scales of a superblock are multiplied with.
#[inline(always)]
pub(crate) fn scale(superblock: &[u8]) -> f32 {
    f16_to_f32(u16::from_le_bytes([superblock[HALF_AT], superblock[HALF_AT + 1]]))
}

/// The scale of group `group` (0 to 15).
#[inline(always)]
pub(crate) fn group_scale(superblock: &[u8], group: usize) -> i8 {
    superblock[SCALES_AT + group] as i8
}

/// The codes of part `part` (0 to 7), the offset of 32 taken off.
#[inline(always)]
pub(crate) fn codes(superblock: &[u8], part: usize) -> [i8; BLOCK] {
    let (half, part) = (part / 4, part % 4);
    let nibbles = &superblock[half * 64 + part % 2 * BLOCK..][..BLOCK];
    let highs = &superblock[HIGH_AT + half * BLOCK..][..BLOCK];
    let mut codes = [0; BLOCK];
    for (code, (&nibble, &high)) in codes.iter_mut().zip(nibbles.iter().zip(highs)) {
        let low = nibble >> (part / 2 * 4) & 15;
        *code = (low | (high >> (part * 2) & 3) << 4) as i8 - 32;
    }
    codes
}

/// Reads a superblock into 256 numbers. d times a scale has no more than 19 bits and is exact; times the code is rounded once.
pub(crate) fn dequantise(superblock: &[u8], out: &mut [f32]) {
    let d = scale(superblock);
    for (part, out) in out.chunks_exact_mut(BLOCK).enumerate() {
        let codes = codes(superblock, part);
        for (i, (out, code)) in out.iter_mut().zip(codes).enumerate() {
            *out = d * f32::from(group_scale(superblock, part * 2 + i / GROUP)) * f32::from(code);
        }
    }
}

/// Writes 256 finite weights as a superblock. The weight of greatest magnitude of a group maps to code -32, the end of the range
/// that has one step more, as in Q4_0; of these steps the greatest maps to scale -128. Codes are rounded against the scales as
/// they are stored.
pub(crate) fn quantise(weights: &[f32], out: &mut [u8]) {
    let signed_extreme = |numbers: &[f32]| {
        let further = |extreme: f32, &number: &f32| if number.abs() > extreme.abs() { number } else { extreme };
        numbers.iter().fold(0.0f32, further)
    };
    let inverse = |step: f32| if step == 0.0 { 0.0 } else { 1.0 / step };
    let mut steps = [0.0f32; GROUPS];
    for (step, group) in steps.iter_mut().zip(weights.chunks_exact(GROUP)) {
        *step = signed_extreme(group) / -32.0;
    }
    let half = f32_to_f16(signed_extreme(&steps) / -128.0);
    let d = f16_to_f32(half);
    out.fill(0);
    out[HALF_AT..].copy_from_slice(&half.to_le_bytes());
    for (group, (&step, weights)) in steps.iter().zip(weights.chunks_exact(GROUP)).enumerate() {
        let scale = (step * inverse(d)).round().clamp(-128.0, 127.0) as i8;
        out[SCALES_AT + group] = scale as u8;
        let inverse = inverse(d * f32::from(scale));
        for (i, weight) in weights.iter().enumerate() {
            let code = ((weight * inverse).round().clamp(-32.0, 31.0) as i8 + 32) as u8;
            let (half, at) = (group / 8, group % 8 * GROUP + i);
            let (part, place) = (at / BLOCK, at % BLOCK);
            out[half * 64 + part % 2 * BLOCK + place] |= (code & 15) << (part / 2 * 4);
            out[HIGH_AT + half * BLOCK + place] |= code >> 4 << (part * 2);
        }
    }
}
