//! Dense products: a matrix times one vector or many, matrix after matrix through memory, as layers follow each other.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use neuron::{Matrix, Output};

use super::{Bench, Rate, chunk_of, keep, kept, locked, places, pool_on};
use crate::error::MeasureError;
use crate::results::KernelCell;
use crate::samples::{sample, time};

impl Bench {
    /// Places of the matrices of a cell in the slab: as many as fit, at least one.
    fn matrices(&mut self, cell: &KernelCell) -> Result<(usize, usize), MeasureError> {
        let row = self.slab.hold(&[(cell.format, cell.cols)], 1)?;
        let bytes = row * cell.rows;
        match self.slab.bytes().len() / bytes {
            0 => Err(MeasureError::System(format!(
                "a matrix of {bytes} bytes; the memory for weights has {}",
                self.slab.bytes().len()
            ))),
            count => Ok((bytes, count)),
        }
    }

    pub(super) fn dense(&mut self, cell: &KernelCell) -> Rate {
        let (bytes, count) = self.matrices(cell)?;
        let (kernels, x) = (self.kernels, self.activations(cell.cols, 1)?);
        let mut pool = pool_on(&cell.cores)?;
        let chunk = chunk_of(cell.rows, 16, pool.threads());
        let mut out = vec![0f32; cell.rows];
        let mut next = 0;
        let times = sample(self.effort, || {
            let data = &self.slab.bytes()[next * bytes..][..bytes];
            next = (next + 1) % count;
            let matrix = Matrix::new(cell.format, cell.rows, cell.cols, data)?;
            let mut chunks: Vec<&mut [f32]> = out.chunks_mut(chunk).collect();
            let fault = Mutex::default();
            let took = time(|| {
                pool.run_each(&mut chunks, |place, out| {
                    let first = place * chunk;
                    let part = matrix.slice(first..first + out.len());
                    keep(&fault, part.and_then(|part| kernels.gemv(&part, &x, out)));
                });
            });
            kept(fault).map(|()| took)
        })?;
        Ok(times.rates(bytes as f64))
    }

    pub(super) fn product(&mut self, cell: &KernelCell) -> Rate {
        let (bytes, count) = self.matrices(cell)?;
        let (kernels, x) = (self.kernels, self.activations(cell.cols, cell.batch)?);
        let mut pool = pool_on(&cell.cores)?;
        let places = places(pool.threads());
        let chunk = chunk_of(cell.rows, 64, pool.threads());
        let mut out = vec![0f32; cell.rows * cell.batch];
        let mut at = 0;
        let times = sample(self.effort, || {
            let data = &self.slab.bytes()[at * bytes..][..bytes];
            at = (at + 1) % count;
            let matrix = Matrix::new(cell.format, cell.rows, cell.cols, data)?;
            let mut rest = Output::new(&mut out, cell.batch, cell.rows)?;
            let mut parts = Vec::new();
            let mut first = 0;
            while first < cell.rows {
                let (mine, others) = rest.split_at(chunk);
                rest = others;
                let rows = first..first + mine.width();
                first = rows.end;
                parts.push(Mutex::new((matrix.slice(rows)?, mine)));
            }
            let (next, fault) = (AtomicUsize::new(0), Mutex::default());
            let took = time(|| {
                pool.run(|worker| {
                    let place = &mut *locked(&places[worker.index()]);
                    while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let (matrix, out) = &mut *locked(part);
                        keep(&fault, kernels.gemm(matrix, &x, &mut place.scratch, out.reborrow()));
                    }
                });
            });
            kept(fault).map(|()| took)
        })?;
        Ok(times.rates(2.0 * (cell.rows * cell.cols * cell.batch) as f64))
    }
}
