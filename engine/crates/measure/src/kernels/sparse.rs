//! The sparse half of the engine: rows of some neurons, in slots of a cache that lie anywhere, sum block by sum block (what
//! `compute_chosen_gates` and `compute_block` of the crate `offload` do).

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use neuron::{Activations, Format, Kernels, SUM_BLOCK};

use super::{Bench, Place, Rate, keep, kept, locked, places, pool_on};
use crate::error::MeasureError;
use crate::results::KernelCell;
use crate::samples::{sample, time};
use crate::scratch::Numbers;

/// Where slots begin, as in the engine's cache.
const SLOT_ALIGN: usize = 64;

/// What `pack` makes of down where the source has Q4_0.
const DOWN: Format = Format::Q8_0;

/// The neurons of a layer that take part, block by block, and where their slots are.
struct Layer {
    /// Slots in the order in which they are taken, turn after turn.
    order: Vec<usize>,
    /// How many of the order each block takes.
    blocks: Vec<usize>,
    /// Where the next turn begins in the order.
    next: usize,
}

impl Layer {
    fn new(slots: usize, cell: &KernelCell) -> Self {
        let blocks = (0..cell.rows.div_ceil(SUM_BLOCK)).map(|block| {
            let neurons = SUM_BLOCK.min(cell.rows - block * SUM_BLOCK);
            (neurons as f64 * cell.share).round() as usize
        });
        Self {
            order: Numbers::new(3).order(slots),
            blocks: blocks.filter(|&count| count > 0).collect(),
            next: 0,
        }
    }

    fn neurons(&self) -> usize {
        self.blocks.iter().sum()
    }

    /// Each block's places in the order for this turn. The order is gone through again and again.
    fn turn(&mut self) -> Vec<Range<usize>> {
        let mut ranges = Vec::with_capacity(self.blocks.len());
        for &count in &self.blocks {
            if self.next + count > self.order.len() {
                self.next = 0;
            }
            ranges.push(self.next..self.next + count);
            self.next += count;
        }
        ranges
    }
}

/// Up and down of a block's neurons into its partial sum.
#[expect(clippy::too_many_arguments, reason = "the operands of a block")]
fn block(
    kernels: Kernels,
    format: Format,
    data: &[u8],
    stride: usize,
    slots: &[usize],
    x: &Activations,
    place: &mut Place,
    partial: &mut [f32],
) -> Result<(), MeasureError> {
    let up_bytes = format.row_bytes(partial.len())?;
    let down_bytes = DOWN.row_bytes(partial.len())?;
    let (mut ups, mut downs) = (Vec::with_capacity(slots.len()), Vec::with_capacity(slots.len()));
    for slot in slots {
        let slot = &data[slot * stride..];
        ups.push(&slot[..up_bytes]);
        downs.push(&slot[up_bytes..][..down_bytes]);
    }
    partial.fill(0.0);
    // Gates that all fire, then up values: the second half of the buffer.
    place.floats.clear();
    place.floats.resize(2 * slots.len(), 0.5);
    let (gates, up) = place.floats.split_at_mut(slots.len());
    kernels.gemv_scattered(format, partial.len(), &ups, x, up)?;
    kernels.relu_mul(gates, up)?;
    Ok(kernels.axpy_scattered(DOWN, &downs, gates, partial)?)
}

impl Bench {
    pub(super) fn up_down(&mut self, cell: &KernelCell) -> Rate {
        let stride = self.slab.hold(&[(cell.format, cell.cols), (DOWN, cell.cols)], SLOT_ALIGN)?;
        let (data, kernels, x) = (self.slab.bytes(), self.kernels, self.activations(cell.cols, 1)?);
        let mut layer = Layer::new(data.len() / stride, cell);
        let mut pool = pool_on(&cell.cores)?;
        let places = places(pool.threads());
        let partials: Vec<Mutex<Vec<f32>>> = layer.blocks.iter().map(|_| Mutex::new(vec![0.0; cell.cols])).collect();
        let touched = layer.neurons() * (cell.format.row_bytes(cell.cols)? + DOWN.row_bytes(cell.cols)?);
        let times = sample(self.effort, || {
            let blocks = layer.turn();
            let (next, fault) = (AtomicUsize::new(0), Mutex::default());
            let took = time(|| {
                pool.run(|worker| {
                    let place = &mut *locked(&places[worker.index()]);
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some(range) = blocks.get(index) else { break };
                        let (slots, partial) = (&layer.order[range.clone()], &mut *locked(&partials[index]));
                        keep(&fault, block(kernels, cell.format, data, stride, slots, &x, place, partial));
                    }
                });
            });
            kept(fault).map(|()| took)
        })?;
        Ok(times.rates(touched as f64))
    }

    pub(super) fn gather(&mut self, cell: &KernelCell) -> Rate {
        let row = cell.format.row_bytes(cell.cols)?;
        let stride = self.slab.hold(&[(cell.format, cell.cols)], SLOT_ALIGN)?;
        let (data, kernels, x) = (self.slab.bytes(), self.kernels, self.activations(cell.cols, 1)?);
        let mut layer = Layer::new(data.len() / stride, cell);
        let mut pool = pool_on(&cell.cores)?;
        let places = places(pool.threads());
        let touched = layer.neurons() * row;
        let times = sample(self.effort, || {
            let blocks = layer.turn();
            let (next, fault) = (AtomicUsize::new(0), Mutex::default());
            let took = time(|| {
                pool.run(|worker| {
                    let place = &mut *locked(&places[worker.index()]);
                    while let Some(range) = blocks.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let slots = &layer.order[range.clone()];
                        let rows: Vec<&[u8]> = slots.iter().map(|slot| &data[slot * stride..][..row]).collect();
                        place.floats.resize(rows.len(), 0.0);
                        keep(
                            &fault,
                            kernels.gemv_scattered(cell.format, cell.cols, &rows, &x, &mut place.floats),
                        );
                    }
                });
            });
            kept(fault).map(|()| took)
        })?;
        Ok(times.rates(touched as f64))
    }
}
