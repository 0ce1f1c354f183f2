//! Numbers and matrices to time with, and their checks.

use neuron::{Format, Matrix};
use pool::{Options, Pool};

use crate::memory::Slab;

/// Numbers that look random.
pub fn values(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    (0..count).map(|_| next()).collect()
}

/// Quantised rows that look random: 64 different ones.
pub fn patterns(format: Format, cols: usize, seed: u64) -> Vec<Vec<u8>> {
    let row = |i| {
        let mut row = vec![0; format.row_bytes(cols).expect("whole blocks")];
        format
            .quantise_row(&values(cols, seed * 64 + i + 1), &mut row)
            .expect("the sizes agree");
        row
    };
    (0..64).map(row).collect()
}

/// A matrix's bytes, row after row.
pub fn weights(format: Format, rows: usize, cols: usize) -> Slab {
    let (patterns, bytes) = (patterns(format, cols, 0), format.row_bytes(cols).expect("whole blocks"));
    let mut slab = Slab::new(rows * bytes);
    for (i, row) in slab.bytes_mut().chunks_exact_mut(bytes).enumerate() {
        row.copy_from_slice(&patterns[i % 64]);
    }
    slab
}

/// A pool of so many threads.
pub fn pool(threads: usize) -> Pool {
    Pool::new(&Options::new(threads)).expect("threads can be started")
}

/// One thread, and two where there are as many processors.
pub fn thread_counts() -> Vec<usize> {
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    (1..=all.min(2)).collect()
}

/// Their dot product, summed in f64.
pub fn dot(row: &[f32], x: &[f32]) -> f64 {
    row.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum()
}

/// How far a product may be from the f64 sum with the activations as given: 0.03 of |row| |x| / sqrt(columns), which is the size
/// that a product of such numbers has. Rounding activations to eight bits makes an error of 0.0039 of it (uniform numbers up to m
/// in steps of m/127: m/254/sqrt(3) beside m/sqrt(3)); this is seven times as much.
pub fn tolerance(row: &[f32], x: &[f32]) -> f64 {
    0.03 * (dot(row, row) * dot(x, x) / x.len() as f64).sqrt()
}

/// Some rows against an f64 sum with the activations as given; panics when one is wrong.
pub fn check(matrix: &Matrix<'_>, x: &[f32], out: &[f32]) {
    let mut row = vec![0f32; x.len()];
    for i in [0, 1, matrix.rows() / 2, matrix.rows() - 1] {
        matrix
            .format()
            .dequantise_row(matrix.row(i), &mut row)
            .expect("the sizes agree");
        let truth = dot(&row, x);
        assert!(
            (f64::from(out[i]) - truth).abs() <= tolerance(&row, x),
            "row {i}: {} instead of {truth}",
            out[i]
        );
    }
}
