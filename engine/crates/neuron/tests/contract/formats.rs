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

#[test]
fn dequantising_and_quantising_again_changes_nothing() {
    let mut source = Source::new(51);
    for format in Format::ALL {
        let data = weights(format, Kind::Normal, 1, 2048, &mut source);
        let mut values = vec![f32::NAN; 2048];
        format.dequantise_row(&data, &mut values).unwrap();
        let truth = exact(format, &data, 2048);
        assert!(
            values.iter().zip(&truth).all(|(&value, &truth)| f64::from(value) == truth),
            "{format}: code times scale is exact in f32"
        );
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
        let mut bytes = vec![0xff; format.row_bytes(64).unwrap()];
        format.quantise_row(&[0.0; 64], &mut bytes).unwrap();
        let mut back = [f32::NAN; 64];
        format.dequantise_row(&bytes, &mut back).unwrap();
        assert!(back.iter().all(|&value| value == 0.0), "{format}");
    }
    assert_eq!(f16_to_f32(0x8000).to_bits(), (-0.0f32).to_bits());
}
