//! Weights to numbers and back: the plain form, from the formats' definitions. The kernels have fast ones; packing is bound
//! by the disk.

use crate::WeightFormat;

/// Half precision to single, exactly.
pub(super) fn f32_of_f16(half: u16) -> f32 {
    let sign = u32::from(half & 0x8000) << 16;
    let exponent = u32::from(half >> 10) & 0x1f;
    let fraction = u32::from(half & 0x3ff);
    match exponent {
        // Subnormal: a multiple of 2^-24.
        0 => f32::from_bits(sign | (fraction as f32 * (-24f32).exp2()).to_bits()),
        31 => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

/// Single precision to half, to the nearest, ties to even; too large becomes infinite.
pub(super) fn f16_of_f32(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = (bits >> 16) as u16 & 0x8000;
    let magnitude = bits & 0x7fff_ffff;
    if magnitude > 0x7f80_0000 {
        return sign | 0x7e00;
    }
    // 65520 and more rounds past the largest half, 65504.
    if magnitude >= 0x477f_f000 {
        return sign | 0x7c00;
    }
    if magnitude < 0x3880_0000 {
        // Below 2^-14: adding 0.5 leaves the multiple of 2^-24 in the last bits, rounded as the addition rounds.
        let rounded = f32::from_bits(magnitude) + 0.5;
        return sign | (rounded.to_bits() - 0.5f32.to_bits()) as u16;
    }
    let rounded = magnitude + 0xfff + ((magnitude >> 13) & 1);
    sign | ((rounded - (112 << 23)) >> 13) as u16
}

fn half_at(bytes: &[u8]) -> f32 {
    f32_of_f16(u16::from_le_bytes([bytes[0], bytes[1]]))
}

/// A row's weights as numbers; `out` is as long as the row has weights.
pub(super) fn dequantise(format: WeightFormat, row: &[u8], out: &mut [f32]) {
    match format {
        WeightFormat::F32 => {
            for (value, bytes) in out.iter_mut().zip(row.as_chunks::<4>().0) {
                *value = f32::from_le_bytes(*bytes);
            }
        }
        WeightFormat::F16 => {
            for (value, bytes) in out.iter_mut().zip(row.as_chunks::<2>().0) {
                *value = f32_of_f16(u16::from_le_bytes(*bytes));
            }
        }
        WeightFormat::Q8_0 => {
            for (values, block) in out.chunks_exact_mut(32).zip(row.as_chunks::<34>().0) {
                let scale = half_at(block);
                for (value, byte) in values.iter_mut().zip(&block[2..]) {
                    *value = scale * f32::from(byte.cast_signed());
                }
            }
        }
        WeightFormat::Q4_0 => {
            for (values, block) in out.chunks_exact_mut(32).zip(row.as_chunks::<18>().0) {
                let scale = half_at(block);
                let (low, high) = values.split_at_mut(16);
                for ((low, high), byte) in low.iter_mut().zip(high).zip(&block[2..]) {
                    *low = scale * (f32::from(byte & 15) - 8.0);
                    *high = scale * (f32::from(byte >> 4) - 8.0);
                }
            }
        }
    }
}

/// Rounds to the nearest whole number, ties to even, for magnitudes below 2^22: beyond 1.5 x 2^23 singles are whole, so the
/// addition rounds. Without SSE 4.1 (the x86-64 that this crate is compiled for) the library's rounding is a call.
fn nearest(value: f32) -> f32 {
    const WHOLE: f32 = 12_582_912.0;
    (value + WHOLE) - WHOLE
}

/// Writes one block: `weights` are `format.block_weights()` numbers, `out` is `format.block_bytes()` long. Numbers are
/// rounded against the scale as it is stored, so that the error is the least which that scale allows.
pub(super) fn quantise_block(format: WeightFormat, weights: &[f32], out: &mut [u8]) {
    match format {
        WeightFormat::F32 => out.copy_from_slice(&weights[0].to_le_bytes()),
        WeightFormat::F16 => out.copy_from_slice(&f16_of_f32(weights[0]).to_le_bytes()),
        WeightFormat::Q8_0 => {
            let largest = weights.iter().fold(0f32, |largest, weight| largest.max(weight.abs()));
            let half = f16_of_f32(largest / 127.0);
            let scale = f32_of_f16(half);
            let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
            out[..2].copy_from_slice(&half.to_le_bytes());
            for (byte, weight) in out[2..].iter_mut().zip(weights) {
                *byte = (nearest((weight * inverse).clamp(-127.0, 127.0)) as i32 as i8).cast_unsigned();
            }
        }
        WeightFormat::Q4_0 => {
            // The number furthest from zero becomes -8, the end that has one step more.
            let extreme = weights.iter().fold(
                0f32,
                |extreme, weight| if weight.abs() > extreme.abs() { *weight } else { extreme },
            );
            let half = f16_of_f32(extreme / -8.0);
            let scale = f32_of_f16(half);
            let inverse = if scale != 0.0 { 1.0 / scale } else { 0.0 };
            let number = |weight: f32| (nearest((weight * inverse).clamp(-8.0, 7.0)) + 8.0) as i32 as u8;
            out[..2].copy_from_slice(&half.to_le_bytes());
            for (index, byte) in out[2..].iter_mut().enumerate() {
                *byte = number(weights[index]) | number(weights[index + 16]) << 4;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_survives_the_way_to_single_and_back() {
        for half in 0..=u16::MAX {
            let single = f32_of_f16(half);
            if single.is_nan() {
                assert!(f32_of_f16(f16_of_f32(single)).is_nan());
            } else {
                assert_eq!(f16_of_f32(single), half, "{half:04x} is {single}");
            }
        }
        assert_eq!(f32_of_f16(0x3c00), 1.0);
        assert_eq!(f32_of_f16(0x0001), 2f32.powi(-24));
    }

    #[test]
    fn singles_round_to_the_nearest_half_and_ties_to_even() {
        for half in 0..0x7bffu16 {
            let (low, high) = (f32_of_f16(half), f32_of_f16(half + 1));
            let middle = ((f64::from(low) + f64::from(high)) / 2.0) as f32;
            assert_eq!(f16_of_f32(middle), half + (half & 1), "tie above {half:04x}");
            assert_eq!(f16_of_f32(middle.next_down()), half);
            assert_eq!(f16_of_f32(middle.next_up()), half + 1);
        }
        assert_eq!(f16_of_f32(65519.0), 0x7bff);
        assert_eq!(f16_of_f32(65520.0), 0x7c00);
    }

    #[test]
    fn requantising_keeps_each_weight_within_half_a_step() {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(state) / f64::from(u32::MAX) - 0.5
        };
        for _ in 0..500 {
            let weights: Vec<f32> = (0..32).map(|_| (next() * next()) as f32).collect();
            let largest = weights.iter().fold(0f32, |largest, weight| largest.max(weight.abs()));
            // Half a step, and for Q4_0 a whole one at the end of the range that has only seven steps; both scales are
            // themselves rounded to 11 bits.
            for (format, steps) in [(WeightFormat::Q8_0, 0.5 / 127.0), (WeightFormat::Q4_0, 1.0 / 8.0)] {
                let mut block = vec![0; format.block_bytes() as usize];
                quantise_block(format, &weights, &mut block);
                let mut back = vec![0f32; 32];
                dequantise(format, &block, &mut back);
                let bound = largest * steps * 1.001 + largest * 2f32.powi(-11);
                for (weight, again) in weights.iter().zip(&back) {
                    assert!(
                        (weight - again).abs() <= bound,
                        "{}: {weight} became {again}, bound {bound}",
                        format.name()
                    );
                }
            }
        }
    }

    #[test]
    fn a_block_of_zeros_stays_zero() {
        for format in [WeightFormat::Q8_0, WeightFormat::Q4_0] {
            let mut block = vec![0xaa; format.block_bytes() as usize];
            quantise_block(format, &[0.0; 32], &mut block);
            let mut back = vec![1f32; 32];
            dequantise(format, &block, &mut back);
            assert_eq!(back, vec![0f32; 32]);
        }
    }
}
