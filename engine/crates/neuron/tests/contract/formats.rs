//! The block layouts, byte by byte, and what quantising costs.

use neuron::{Format, KernelError, f16_to_f32};

use crate::data::{KINDS, Kind, Source, exact, numbers, weights};

#[test]
fn sizes_are_those_of_gguf() {
    for (format, id, bytes_of_64) in [
        (Format::F32, 0, 256),
        (Format::F16, 1, 128),
        (Format::Q4_0, 2, 36),
        (Format::Q8_0, 8, 68),
    ] {
        assert_eq!(format.gguf_id(), id);
        assert_eq!(Format::from_gguf_id(id), Some(format));
        assert_eq!(format.row_bytes(64), Ok(bytes_of_64));
        assert_eq!(format.row_bytes(0), Ok(0));
    }
    assert_eq!(Format::Q6_K.gguf_id(), 14);
    assert_eq!(Format::from_gguf_id(14), Some(Format::Q6_K));
    assert_eq!(Format::Q6_K.row_bytes(512), Ok(420));
    assert!(matches!(
        Format::Q6_K.row_bytes(64),
        Err(KernelError::Ragged { block: 256, .. })
    ));
    assert_eq!(Format::from_gguf_id(3), None);
    assert_eq!(
        Format::Q4_0.row_bytes(33),
        Err(KernelError::Ragged {
            format: Format::Q4_0,
            cols: 33,
            block: 32
        })
    );
    assert!(matches!(
        Format::F32.row_bytes(usize::MAX / 2),
        Err(KernelError::TooLarge { .. })
    ));
}

/// A block written by hand from the format's definition.
#[test]
fn blocks_read_as_defined() {
    // Scale 0.5 is 0x3800. Byte i of Q4_0 has nibble i % 16 low (weight i) and 15 - i high (weight i + 16).
    let mut block = vec![0x00, 0x38];
    block.extend((0..16u8).map(|i| i | (15 - i) << 4));
    let mut values = [f32::NAN; 32];
    Format::Q4_0.dequantise_row(&block, &mut values).unwrap();
    for i in 0..16 {
        assert_eq!(values[i], (i as f32 - 8.0) * 0.5);
        assert_eq!(values[i + 16], (7.0 - i as f32) * 0.5);
    }
    // Scale -2 is 0xc000.
    let mut block = vec![0x00, 0xc0];
    block.extend((0..32).map(|i| (i * 8 - 128) as i8 as u8));
    Format::Q8_0.dequantise_row(&block, &mut values).unwrap();
    for (i, &value) in values.iter().enumerate() {
        assert_eq!(value, (i as f32 * 8.0 - 128.0) * -2.0);
    }
}

/// A superblock written by hand, with a weight of its own value in each of the eight parts of 32.
#[test]
fn superblocks_read_as_defined() {
    let mut block = vec![0u8; 210];
    // d = 0.5; scales 1 to 8 in the first half, -1 to -8 in the second.
    block[208..].copy_from_slice(&[0x00, 0x38]);
    for group in 0..8u8 {
        block[192 + usize::from(group)] = group + 1;
        block[200 + usize::from(group)] = (group + 1).wrapping_neg();
    }
    // First half: low nibbles of bytes 0 and 32 + 5 are weights 0 and 37, high ones weights 64 and 101.
    block[0] = 0x21;
    block[37] = 0x43;
    // Their high bits: byte 128 has those of weight 0 (bits 0, 1) and 64 (bits 4, 5), byte 133 those of 37 (2, 3) and 101 (6, 7).
    block[128] = 0b0011_0010;
    block[133] = 0b1001_1100;
    // Second half, last weight: 255 is the high nibble of byte 127 and the top bits of byte 191.
    block[127] = 0xf0;
    block[191] = 0b1100_0000;
    let mut values = [f32::NAN; 256];
    Format::Q6_K.dequantise_row(&block, &mut values).unwrap();
    // Codes: two high bits, then the nibble. Weight i has scale i / 16.
    assert_eq!(values[0], 0.5 * 1.0 * (0b10_0001 as f32 - 32.0));
    assert_eq!(values[37], 0.5 * 3.0 * (0b11_0011 as f32 - 32.0));
    assert_eq!(values[64], 0.5 * 5.0 * (0b11_0010 as f32 - 32.0));
    assert_eq!(values[101], 0.5 * 7.0 * (0b10_0100 as f32 - 32.0));
    assert_eq!(values[255], 0.5 * -8.0 * (0b11_1111 as f32 - 32.0));
    assert_eq!(values[1], 0.5 * 1.0 * -32.0, "all bits clear is code -32");
    assert_eq!(values[128], 0.5 * 32.0, "scale -1 times code -32");
}

#[test]
fn quantised_rows_are_within_their_step() {
    let mut source = Source::new(50);
    for kind in KINDS {
        let row = numbers(kind, 1024, &mut source);
        for format in Format::ALL {
            if kind == Kind::Huge && format != Format::F32 {
                continue; // scales do not fit in binary16
            }
            let mut bytes = vec![0xff; format.row_bytes(1024).unwrap()];
            format.quantise_row(&row, &mut bytes).unwrap();
            let mut back = vec![f32::NAN; 1024];
            format.dequantise_row(&bytes, &mut back).unwrap();
            for (i, (&was, &is)) in row.iter().zip(&back).enumerate() {
                let block = &row[i / 32 * 32..][..32];
                let greatest = block.iter().fold(0f32, |most, w| most.max(w.abs()));
                // Half a step, plus the rounding of the scale to binary16 (relative 2^-11, absolute 2^-25 when subnormal)
                // times the code. The end of Q4_0's range that has one code fewer may be off by a whole step.
                let (half_step, most) = match format {
                    Format::F32 => (0.0, 0.0),
                    Format::F16 => (greatest * 2f32.powi(-11) + 2f32.powi(-25), 0.0),
                    Format::Q8_0 => (greatest / 254.0, 127.0),
                    Format::Q4_0 => (greatest / 8.0, 8.0),
                    Format::Q6_K => continue, // its steps are another test's
                };
                let bound =
                    half_step * 1.001 + greatest * 2f32.powi(-11) * f32::from(u8::from(most > 0.0)) + most * 2f32.powi(-25);
                assert!(
                    (was - is).abs() <= bound,
                    "{format} {kind:?}: {was:e} came back as {is:e}, bound {bound:e}"
                );
            }
        }
    }
}

/// A group of 16 shares a step. Its scale is a whole number of 1/128 of the superblock's greatest step, so a code may be off by half
/// a step, by a whole one at the end of the range that has one code fewer, and by up to 32 times the scale's own rounding: half of
/// a 1/128 of that greatest step. With d rounded to binary16 all of it grows by 2^-11, and by its absolute error when subnormal.
#[test]
fn six_bit_rows_are_within_their_steps() {
    let mut source = Source::new(53);
    for kind in [Kind::Normal, Kind::Extreme, Kind::Sparse, Kind::Tiny] {
        let row = numbers(kind, 1024, &mut source);
        let mut bytes = vec![0xff; Format::Q6_K.row_bytes(1024).unwrap()];
        Format::Q6_K.quantise_row(&row, &mut bytes).unwrap();
        let mut back = vec![f32::NAN; 1024];
        Format::Q6_K.dequantise_row(&bytes, &mut back).unwrap();
        let greatest = |weights: &[f32]| weights.iter().fold(0f32, |most, w| most.max(w.abs()));
        for (i, (&was, &is)) in row.iter().zip(&back).enumerate() {
            let step = greatest(&row[i / 16 * 16..][..16]) / 32.0;
            let coarsest = greatest(&row[i / 256 * 256..][..256]) / 32.0;
            let bound = (step + 32.0 * coarsest / 256.0) * 1.01 + 128.0 * 32.0 * 2f32.powi(-25);
            assert!(
                (was - is).abs() <= bound,
                "{kind:?}: {was:e} came back as {is:e}, bound {bound:e}"
            );
        }
    }
}

#[test]
fn dequantising_and_quantising_again_changes_nothing() {
    let mut source = Source::new(51);
    for format in Format::ALL {
        let data = weights(format, Kind::Normal, 1, 2048, &mut source);
        let mut values = vec![f32::NAN; 2048];
        format.dequantise_row(&data, &mut values).unwrap();
        let truth = exact(format, &data, 2048);
        assert!(
            values.iter().zip(&truth).all(|(&value, &truth)| match format {
                Format::Q6_K => value == truth as f32,
                _ => f64::from(value) == truth,
            }),
            "{format}: code times scale is exact in f32 (of two scales: rounded once)"
        );
        if format == Format::Q6_K {
            continue; // the scales of its groups are themselves rounded to whole steps, each time anew
        }
        let mut once = vec![0; data.len()];
        format.quantise_row(&values, &mut once).unwrap();
        format.dequantise_row(&once, &mut values).unwrap();
        let mut twice = vec![0; data.len()];
        format.quantise_row(&values, &mut twice).unwrap();
        let mut again = vec![f32::NAN; 2048];
        format.dequantise_row(&twice, &mut again).unwrap();
        for (a, b) in values.iter().zip(&again) {
            assert!((a - b).abs() <= a.abs() * 2e-3, "{format} {a} {b}");
        }
    }
}

#[test]
fn zeros_stay_zeros() {
    for format in Format::ALL {
        let mut bytes = vec![0xff; format.row_bytes(256).unwrap()];
        format.quantise_row(&[0.0; 256], &mut bytes).unwrap();
        let mut back = [f32::NAN; 256];
        format.dequantise_row(&bytes, &mut back).unwrap();
        assert!(back.iter().all(|&value| value == 0.0), "{format}");
    }
    assert_eq!(f16_to_f32(0x8000).to_bits(), (-0.0f32).to_bits());
}
