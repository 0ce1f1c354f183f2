//! Rows by number beside a stream: what a list costs, out of the near caches and out of memory.

use neuron::{Activations, Format, Kernels, Matrix};

use crate::data::{values, weights};
use crate::timing::processor_seconds;

const TURNS: usize = 25;
/// Rows that stay in the near caches, and bytes of those that do not stay in any.
const NEAR_ROWS: usize = 32;
const FAR_BYTES: usize = 500 << 20;
/// How many of them make a list of sums of rows (a run of blocks), and of rows that are added (those of one block that fire).
const SUMS: usize = 716;
const ADDED: usize = 26;

/// One thread, its time on the processor: dot products of every tenth row, such rows added to a vector, and all rows in sequence.
pub fn lists(kernels: Kernels) {
    println!("\nlists of rows beside a stream, 1 thread, ns on the processor for a block of 32 weights (GB/s)");
    println!("format  columns  rows      dot products       rows added           stream");
    for format in [Format::Q4_0, Format::Q8_0] {
        for cols in [2048, 2560, 4096] {
            let row_bytes = format.row_bytes(cols).expect("whole blocks");
            let mut x = Activations::new();
            kernels.quantise(&values(cols, 7), &mut x);
            for (place, rows, every) in [("near", NEAR_ROWS, 1), ("far", FAR_BYTES / row_bytes, 10)] {
                let slab = weights(format, rows, cols);
                let matrix = Matrix::new(format, rows, cols, slab.bytes()).expect("the sizes agree");
                // Not at even distances, which the processor would foresee.
                let list: Vec<u32> = (0..rows as u32)
                    .filter(|row| (row.wrapping_mul(2_654_435_761) >> 16).is_multiple_of(every))
                    .collect();
                let (mut sums, mut sum) = (vec![0f32; list.len().max(rows / every as usize)], vec![0f32; cols]);
                let factors = [1e-3f32; ADDED];
                // Few rows are taken many times, so that the clock can tell.
                let rounds = (20_000 / list.len()).max(1);
                let streamed = matrix.slice(0..list.len()).expect("rows that exist");
                let mut best = [f64::INFINITY; 3];
                for _ in 0..TURNS {
                    let times = [
                        processor_seconds(|| {
                            for list in (0..rounds).flat_map(|_| list.chunks(SUMS)) {
                                kernels
                                    .gemv_rows(&matrix, list, &x, &mut sums[..list.len()])
                                    .expect("rows that exist");
                            }
                        }),
                        processor_seconds(|| {
                            for list in (0..rounds).flat_map(|_| list.chunks(ADDED)) {
                                kernels
                                    .axpy_rows(&matrix, list, &factors[..list.len()], &mut sum)
                                    .expect("rows that exist");
                            }
                        }),
                        processor_seconds(|| {
                            for _ in 0..rounds {
                                kernels
                                    .gemv(&streamed, &x, &mut sums[..list.len()])
                                    .expect("shapes that agree");
                            }
                        }),
                    ];
                    best = std::array::from_fn(|i| best[i].min(times[i]));
                }
                let [dots, added, stream] = best.map(|seconds| {
                    let rows = (rounds * list.len()) as f64;
                    let (blocks, bytes) = (rows * (cols / 32) as f64, rows * row_bytes as f64);
                    format!("{:6.2} ({:5.1})", seconds / blocks * 1e9, bytes / seconds / 1e9)
                });
                println!("{format:6}  {cols:7}  {place:4}  {dots:>16} {added:>16} {stream:>16}");
            }
        }
    }
}
