//! Activations to 8-bit codes.

use crate::activations::TokenMut;
use crate::format::BLOCK;
use crate::half::{f16_to_f32, f32_to_f16};

/// Adding 1.5 * 2^23 leaves the nearest integer (ties to even) in the low bits.
const ROUND: f32 = 12_582_912.0;
/// Blocks whose greatest magnitude is below this are stored as zeros: the inverse of their scale would overflow.
const SMALLEST: f32 = 127.0 * f32::MIN_POSITIVE;

/// To half precision, as llama.cpp keeps the scales of activations: with other scales logits differ by hundredths from its own, and greedy
/// texts part. Beyond what half precision holds the scale stays.
#[inline(always)]
fn rounded(scale: f32) -> f32 {
    let half = f16_to_f32(f32_to_f16(scale));
    if half.is_finite() { half } else { scale }
}

/// Fills `out` from `values`: per block of 32 a code is the nearest integer to 127 * value / (greatest magnitude), and the scale is `step`, the
/// 127th of that magnitude, in half precision. So |value - scale * code| <= step * (1/2 + 127 * (2^-11 + 2^-22)), half a step, the rounding of
/// the scale and three of single precision, where step >= 2^-14; below that the scale is off by 2^-25 at most, 127 times that counts, and blocks with step < 2^-25
/// vanish, as they do in llama.cpp.
/// A last block that is not full, and the padding after it, get zeros.
#[inline(always)]
pub(crate) fn quantise(values: &[f32], out: TokenMut<'_>) {
    out.values[..values.len()].copy_from_slice(values);
    out.values[values.len()..].fill(0.0);
    for (b, block) in out.values.as_chunks::<BLOCK>().0.iter().enumerate() {
        let mut greatest = [0.0f32; 16];
        for j in 0..16 {
            let (low, high) = (block[j].abs(), block[j + 16].abs());
            greatest[j] = if low > high { low } else { high };
        }
        let mut half = 8;
        while half > 0 {
            for j in 0..half {
                greatest[j] = if greatest[j] > greatest[j + half] {
                    greatest[j]
                } else {
                    greatest[j + half]
                };
            }
            half /= 2;
        }
        let (scale, inverse) = if greatest[0] < SMALLEST {
            (0.0, 0.0)
        } else {
            (greatest[0] / 127.0, 127.0 / greatest[0])
        };
        let mut codes = [0i8; BLOCK];
        let mut sum = 0i32;
        for j in 0..BLOCK {
            codes[j] = (block[j] * inverse + ROUND).to_bits() as i8;
            sum += i32::from(codes[j]);
        }
        out.scales[b] = rounded(scale);
        out.offsets[b] = -8 * sum;
        out.codes[b * BLOCK..][..BLOCK].copy_from_slice(&codes);
        let group = b / 4 * (4 * BLOCK);
        let place = b % 4 * (BLOCK / 2);
        out.halves[group + place..][..BLOCK / 2].copy_from_slice(&codes[..BLOCK / 2]);
        out.halves[group + 2 * BLOCK + place..][..BLOCK / 2].copy_from_slice(&codes[BLOCK / 2..]);
    }
}
