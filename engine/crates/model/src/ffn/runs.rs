//! Several sum blocks of one token at a time: long lists of rows hide the memory's latency better than short ones.

use std::ops::Range;

use neuron::{Bundles, ClusterScratch, Gating, Kernels, SUM_BLOCK};

use super::Route;
use crate::ModelError;

/// Rows of the next block that are asked for before a block is added: as many as the kernels add at a time.
const ROWS_AHEAD: usize = 4;

/// The blocks of a token's experts, counted through from the first expert's first.
#[derive(Clone, Copy)]
pub(super) struct Blocks<'a> {
    /// Neurons of an expert.
    pub(super) neurons: usize,
    /// The token's.
    pub(super) routes: &'a [Route],
}

impl Blocks<'_> {
    /// The slot of a block's expert among the routes, and its neurons within that expert.
    pub(super) fn of(&self, block: usize) -> (usize, Range<usize>) {
        let per_expert = self.neurons.div_ceil(SUM_BLOCK);
        let (slot, first) = (block / per_expert, block % per_expert * SUM_BLOCK);
        (slot, first..self.neurons.min(first + SUM_BLOCK))
    }

    /// The rows of a block's neurons in matrices where all experts follow each other.
    pub(super) fn rows(&self, block: usize) -> Range<usize> {
        let (slot, neurons) = self.of(block);
        let base = self.routes[slot].expert as usize * self.neurons;
        base + neurons.start..base + neurons.end
    }

    /// The second half of some blocks: ups of the neurons whose gates `scratch` lists, then a sum for each block. `partials` holds
    /// a line of `hidden` for each of them, `fired` gets how many neurons each sum has.
    pub(super) fn up_down(
        &self,
        blocks: Range<usize>,
        (kernels, gating, bundles): (&Kernels, Gating, &Bundles<'_>),
        x: &neuron::Activations,
        scratch: &mut ClusterScratch,
        partials: &mut [f32],
        fired: &mut [usize],
    ) -> Result<(), ModelError> {
        let down = &bundles.down;
        kernels.cluster_up(&bundles.up, gating, x, scratch)?;
        let (mut rows, mut values) = scratch.fired();
        for ((block, partial), fired) in blocks.zip(partials.chunks_exact_mut(down.cols())).zip(fired) {
            let of_block = self.rows(block);
            let count = rows.iter().take_while(|&&row| of_block.contains(&(row as usize))).count();
            let (of_block, later) = rows.split_at(count);
            let (coefficients, other) = values.split_at(count);
            kernels.expect_rows(down, &later[..later.len().min(ROWS_AHEAD)]);
            partial.fill(0.0);
            kernels.axpy_rows(down, of_block, coefficients, partial)?;
            *fired = count;
            (rows, values) = (later, other);
        }
        Ok(())
    }
}
