//! Turns `ffn_down` of one expert ([neurons, width], fastest first) into a row or a tile per neuron.
//!
//! The matrix is read once from front to back, 32 rows at a time: the transposed form is held whole (one expert's), the
//! source never is.

use std::fs::File;
use std::path::Path;

use gguf::TensorInfo;

use super::quantise::{dequantise, quantise_block};
use super::source::read_weights;
use crate::{DownForm, FlashError, WeightFormat};

/// Rows of the source taken together: as many as the largest block along `width` has weights.
const ROWS: usize = 32;
/// Numbers of a cache line.
const LINE: usize = 16;

/// One expert's down in the source, and the form wanted.
pub(super) struct DownSource<'a> {
    pub path: &'a Path,
    pub file: &'a File,
    /// The matrices of all experts, and where this one's begins (bytes from the tensor's first).
    pub tensor: &'a TensorInfo,
    pub from_byte: u64,
    pub neurons: usize,
    pub width: usize,
    pub from: WeightFormat,
    pub to: WeightFormat,
    pub form: DownForm,
}

/// Sums of squares, and the largest difference, over requantised weights.
#[derive(Clone, Copy, Default)]
pub(super) struct Change {
    pub squares: f64,
    pub difference_squares: f64,
    pub worst: f64,
}

impl Change {
    pub fn add(&mut self, other: Self) {
        self.squares += other.squares;
        self.difference_squares += other.difference_squares;
        self.worst = self.worst.max(other.worst);
    }
}

/// Where threads write: each band of rows fills its own columns of every unit, so no two write the same byte.
#[derive(Clone, Copy)]
struct Target {
    address: *mut u8,
    bytes: usize,
}

// SAFETY: threads write disjoint bytes (see `Target`), and the owner reads only after all have joined.
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

impl Target {
    /// Hands `count` bytes from `from` on to `fill`.
    ///
    /// # Safety
    /// No other thread may write or read these bytes meanwhile.
    unsafe fn fill<T>(self, from: usize, count: usize, fill: impl FnOnce(&mut [u8]) -> T) -> T {
        assert!(from + count <= self.bytes, "a unit lies inside the transposed matrix");
        // SAFETY: inside the allocation, as asserted; exclusive by the caller's promise.
        fill(unsafe { std::slice::from_raw_parts_mut(self.address.add(from), count) })
    }
}

/// The units (rows or tiles) of one expert in the source's order, one after the other, and what requantising changed.
pub(super) fn down_units(source: &DownSource<'_>, threads: usize) -> Result<(Vec<u8>, Change), FlashError> {
    let (units, unit) = match source.form {
        DownForm::Rows => (
            source.neurons,
            source.width / source.to.block_weights() as usize * source.to.block_bytes() as usize,
        ),
        DownForm::Tiles => (source.neurons / 32, source.width * source.to.block_bytes() as usize),
    };
    let mut out = vec![0u8; units * unit];
    let target = Target {
        address: out.as_mut_ptr(),
        bytes: out.len(),
    };
    let bands = source.width.div_ceil(ROWS);
    let threads = threads.clamp(1, bands);
    let share = |thread: usize| thread * bands / threads..(thread + 1) * bands / threads;
    let changes: Vec<Result<Change, FlashError>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || serve(source, target, unit, share(thread))))
            .collect();
        let joined = workers.into_iter().map(|worker| worker.join());
        joined
            .map(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let mut change = Change::default();
    for part in changes {
        change.add(part?);
    }
    Ok((out, change))
}

fn serve(source: &DownSource<'_>, target: Target, unit: usize, bands: std::ops::Range<usize>) -> Result<Change, FlashError> {
    let row = source.neurons / source.from.block_weights() as usize * source.from.block_bytes() as usize;
    let mut raw = vec![0u8; ROWS * row];
    let mut numbers = if source.form == DownForm::Rows {
        vec![0f32; ROWS * source.neurons]
    } else {
        Vec::new()
    };
    let mut change = Change::default();
    for band in bands {
        let first = band * ROWS;
        let rows = ROWS.min(source.width - first);
        let raw = &mut raw[..rows * row];
        let from = source.from_byte + (first * row) as u64;
        read_weights(source.path, source.file, source.tensor, from, raw)?;
        match source.form {
            DownForm::Tiles => tiles(source, target, unit, first, raw),
            DownForm::Rows => {
                for (bytes, values) in raw.chunks_exact(row).zip(numbers.chunks_exact_mut(source.neurons)) {
                    dequantise(source.from, bytes, values);
                }
                change.add(columns(source, target, unit, first, rows, &numbers));
            }
        }
    }
    Ok(change)
}

/// Puts the blocks of these rows at their places in the tiles: no number changes.
fn tiles(source: &DownSource<'_>, target: Target, unit: usize, first: usize, raw: &[u8]) {
    let block = source.from.block_bytes() as usize;
    let per_row = source.neurons / 32;
    for (index, row) in raw.chunks_exact(per_row * block).enumerate() {
        for (tile, bytes) in row.chunks_exact(block).enumerate() {
            // SAFETY: output row `first + index` belongs to this band alone.
            unsafe { target.fill(tile * unit + (first + index) * block, block, |out| out.copy_from_slice(bytes)) };
        }
    }
}

/// Writes the part of every neuron's row that these source rows hold.
fn columns(source: &DownSource<'_>, target: Target, unit: usize, first: usize, rows: usize, numbers: &[f32]) -> Change {
    let (weights, bytes) = (source.to.block_weights() as usize, source.to.block_bytes() as usize);
    let lossless = source.from == source.to && weights == 1;
    let length = rows / weights * bytes;
    // One cache line of each row is turned at a time: rows lie a power of two apart, so lines of 32 rows push each other
    // out of the cache before a second neuron could use them.
    let mut turned = [[0f32; ROWS]; LINE];
    let mut back = [0f32; ROWS];
    let mut change = Change::default();
    for begin in (0..source.neurons).step_by(LINE) {
        let count = LINE.min(source.neurons - begin);
        for (index, row) in numbers.chunks_exact(source.neurons).take(rows).enumerate() {
            for (column, value) in turned.iter_mut().zip(&row[begin..begin + count]) {
                column[index] = *value;
            }
        }
        for (offset, column) in turned[..count].iter().enumerate() {
            let fill = |out: &mut [u8]| {
                for (part, block) in column[..rows].chunks_exact(weights).zip(out.chunks_exact_mut(bytes)) {
                    quantise_block(source.to, part, block);
                }
                if !lossless {
                    dequantise(source.to, out, &mut back[..rows]);
                    change.add(change_of(&column[..rows], &back[..rows]));
                }
            };
            let from = (begin + offset) * unit + first / weights * bytes;
            // SAFETY: these columns of every row belong to this band alone.
            unsafe { target.fill(from, length, fill) };
        }
    }
    change
}

/// What became of `before`. Sums run in eight lanes, so that they need not wait for each other.
pub(super) fn change_of(before: &[f32], after: &[f32]) -> Change {
    let (mut squares, mut differences, mut worst) = ([0f32; 8], [0f32; 8], [0f32; 8]);
    let mut total = Change::default();
    // At most 1024 numbers a lane go into a single-precision sum.
    for (before, after) in before.chunks(8192).zip(after.chunks(8192)) {
        for (values, agains) in before.chunks(8).zip(after.chunks(8)) {
            for (lane, (value, again)) in values.iter().zip(agains).enumerate() {
                let difference = value - again;
                squares[lane] += value * value;
                differences[lane] += difference * difference;
                worst[lane] = worst[lane].max(difference.abs());
            }
        }
        total.squares += squares.iter().map(|sum| f64::from(*sum)).sum::<f64>();
        total.difference_squares += differences.iter().map(|sum| f64::from(*sum)).sum::<f64>();
        (squares, differences) = ([0f32; 8], [0f32; 8]);
    }
    total.worst = worst.iter().fold(0f64, |worst, one| worst.max(f64::from(*one)));
    total
}
