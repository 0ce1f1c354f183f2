//! Rates of the engine's kernels: the same functions, cut and handed out as the engine does, over weights that no cache holds.

mod cells;
mod dense;
mod other;
mod sparse;

use std::sync::Mutex;

use neuron::{Activations, Kernels, Scratch};
use pool::{Options as PoolOptions, Pool};

pub(crate) use cells::cells;

use crate::error::MeasureError;
use crate::results::{Kernel, KernelCell, KernelRow};
use crate::samples::{Effort, Spread};
use crate::slab::{Slab, values};

/// A pool with a thread bound to each of these cores. This thread is bound too, until the pool is dropped.
pub(crate) fn pool_on(cores: &[usize]) -> Result<Pool, MeasureError> {
    let options = PoolOptions {
        cores: cores.to_vec(),
        ..PoolOptions::new(cores.len())
    };
    Ok(Pool::new(&options)?)
}

/// What all cells share.
pub(crate) struct Bench {
    kernels: Kernels,
    effort: Effort,
    slab: Slab,
}

/// What a thread computes with.
#[derive(Default)]
struct Place {
    scratch: Scratch,
    activations: Activations,
    floats: Vec<f32>,
}

fn places(threads: usize) -> Vec<Mutex<Place>> {
    (0..threads).map(|_| Mutex::default()).collect()
}

impl Bench {
    /// With weights of `bytes` in all, more than the processor's caches hold.
    pub fn new(effort: Effort, bytes: usize) -> Result<Self, MeasureError> {
        Ok(Self {
            kernels: Kernels::best(),
            effort,
            slab: Slab::new(bytes)?,
        })
    }

    /// Times one cell.
    pub fn measure(&mut self, cell: KernelCell) -> Result<KernelRow, MeasureError> {
        let rate = match cell.kernel {
            Kernel::Read => self.read(&cell),
            Kernel::Copy => self.copy(&cell),
            Kernel::Dense => self.dense(&cell),
            Kernel::Gather => self.gather(&cell),
            Kernel::UpDown => self.up_down(&cell),
            Kernel::Attention => self.attention(&cell),
            Kernel::Norm => self.norm(&cell),
            Kernel::Product => self.product(&cell),
        }?;
        Ok(KernelRow { cell, rate })
    }

    fn activations(&self, cols: usize, tokens: usize) -> Result<Activations, MeasureError> {
        let mut x = Activations::new();
        self.kernels.quantise_batch(&values(cols * tokens, 7), tokens, &mut x)?;
        Ok(x)
    }
}

/// Keeps the first error of a dispatch.
fn keep<E: Into<MeasureError>>(first: &Mutex<Option<MeasureError>>, result: Result<(), E>) {
    if let Err(error) = result {
        let mut first = first.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        first.get_or_insert(error.into());
    }
}

/// The error of a dispatch, if there was one.
fn kept(first: Mutex<Option<MeasureError>>) -> Result<(), MeasureError> {
    let first = first.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    first.map_or(Ok(()), Err)
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Rows of a chunk, as the model's dispatches cut them: eight chunks a thread, whole cache lines of results.
fn chunk_of(rows: usize, grain: usize, threads: usize) -> usize {
    rows.div_ceil(threads * 8).next_multiple_of(grain)
}

type Rate = Result<Spread, MeasureError>;
