//! Down matrices with a row for each neuron.

use neuron::Format;

use crate::{ModelError, Tensor};

/// Rows transposed at a time: their f32 copy stays in the second-level cache. A whole block at least.
const TILE: usize = 32;

/// The format of rows that are made from columns of another. Scales run along a matrix's rows and cannot follow.
pub(crate) fn transposed_format(format: Format) -> Format {
    match format {
        Format::F32 => Format::F32,
        Format::F16 => Format::F16,
        Format::Q8_0 | Format::Q6_K | Format::Q4_0 => Format::Q8_0,
    }
}

/// Transposes the down matrix of every expert: from `experts` times hidden rows by neurons to `experts` times neurons rows by
/// hidden. F32 and F16 keep their bits. The scales of the others run along neurons and cannot follow: these become Q8_0
/// with scales along the row, which is numerically another matrix (`requantised`).
pub(crate) fn transpose(down: &Tensor, experts: usize) -> Result<Tensor, ModelError> {
    let (hidden, neurons) = (down.rows() / experts, down.cols());
    let format = transposed_format(down.format());
    let source = down.matrix()?;
    let mut out = Tensor::zeroed(format, experts * neurons, hidden, "the transposed down matrix")?;
    let row_bytes = format.row_bytes(hidden)?;
    let tile = TILE.max(down.format().block_weights());
    let (mut rows, mut some) = (vec![0.0; tile * hidden], vec![0.0; tile]);
    for expert in 0..experts {
        for first in (0..neurons).step_by(tile) {
            let count = tile.min(neurons - first);
            for output in 0..hidden {
                let bytes = part_of_row(down.format(), source.row(expert * hidden + output), first, count)?;
                down.format().dequantise_row(bytes, &mut some[..count])?;
                for (neuron, &weight) in some[..count].iter().enumerate() {
                    rows[neuron * hidden + output] = weight;
                }
            }
            for neuron in 0..count {
                let at = (expert * neurons + first + neuron) * row_bytes;
                let row = &rows[neuron * hidden..][..hidden];
                format.quantise_row(row, &mut out.data_mut()[at..at + row_bytes])?;
            }
        }
    }
    Ok(out)
}

/// The bytes of weights `first..first + count` of a row; both are multiples of the format's block.
fn part_of_row(format: Format, row: &[u8], first: usize, count: usize) -> Result<&[u8], ModelError> {
    let (start, length) = (format.row_bytes(first)?, format.row_bytes(count)?);
    Ok(&row[start..start + length])
}

#[cfg(test)]
mod tests {
    use super::transpose;
    use crate::Tensor;
    use neuron::Format;

    fn matrix(format: Format, rows: usize, cols: usize) -> Tensor {
        let mut tensor = Tensor::zeroed(format, rows, cols, "a test").unwrap();
        let bytes = format.row_bytes(cols).unwrap();
        for row in 0..rows {
            let weights: Vec<f32> = (0..cols)
                .map(|col| ((row * 31 + col * 17) % 101) as f32 / 50.0 - 1.0)
                .collect();
            format
                .quantise_row(&weights, &mut tensor.data_mut()[row * bytes..(row + 1) * bytes])
                .unwrap();
        }
        tensor
    }

    fn values(tensor: &Tensor) -> Vec<Vec<f32>> {
        let matrix = tensor.matrix().unwrap();
        let row = |row| {
            let mut out = vec![0.0; tensor.cols()];
            tensor.format().dequantise_row(matrix.row(row), &mut out).unwrap();
            out
        };
        (0..tensor.rows()).map(row).collect()
    }

    #[test]
    fn every_weight_stands_at_its_place_and_float_formats_keep_their_bits() {
        let (experts, hidden) = (3, 64);
        for format in Format::ALL {
            let neurons = if format == Format::Q6_K { 512 } else { 96 };
            let down = matrix(format, experts * hidden, neurons);
            let rows = transpose(&down, experts).unwrap();
            assert_eq!((rows.rows(), rows.cols()), (experts * neurons, hidden));
            let (before, after) = (values(&down), values(&rows));
            // Half a step of Q8_0: the largest of a block (here at most 1.01) over 127, and the rounding of its scale.
            let bound = if matches!(format, Format::F32 | Format::F16) {
                0.0
            } else {
                1.05 / 254.0 * 1.02
            };
            for expert in 0..experts {
                for output in 0..hidden {
                    for neuron in 0..neurons {
                        let (was, is) = (
                            before[expert * hidden + output][neuron],
                            after[expert * neurons + neuron][output],
                        );
                        assert!((was - is).abs() <= bound, "{format}: {was} became {is}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_number_of_neurons_that_is_no_multiple_of_the_tile_is_transposed_whole() {
        let down = matrix(Format::F32, 7, 45);
        let (before, after) = (values(&down), values(&transpose(&down, 1).unwrap()));
        for (output, row) in before.iter().enumerate() {
            for (neuron, weight) in row.iter().enumerate() {
                assert_eq!(after[neuron][output], *weight);
            }
        }
    }
}
