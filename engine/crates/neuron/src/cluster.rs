//! A neuron cluster: gate, up and down of some neurons, computed sparsely.

use std::ops::Range;

use crate::error::{KernelError, same_length};
use crate::rows::check_listed;
use crate::{Activations, Kernels, Matrix};

/// How gate and up become the activation of a neuron.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gating {
    /// relu(gate) * up: the up row is read only where the gate fires.
    Relu,
    /// relu(gate) * relu(up), as in TurboSparse and Bamboo.
    DoubleRelu,
    /// silu(gate) * up, as in Llama: every neuron counts.
    Silu,
}

impl Gating {
    /// Whether a neuron with this gate value adds anything.
    #[inline]
    pub fn fires(self, gate: f32) -> bool {
        match self {
            Self::Relu | Self::DoubleRelu => gate > 0.0,
            Self::Silu => true,
        }
    }
}

/// The FFN weights of the neurons of a cluster: row i of each matrix belongs to slot i. `down` is transposed: one row per
/// neuron, as long as the hidden vector. The three may be views into one slab of bundles (`Matrix::strided`).
#[derive(Clone, Copy, Debug)]
pub struct Bundles<'a> {
    /// Neurons by hidden.
    pub gate: Matrix<'a>,
    /// Neurons by hidden.
    pub up: Matrix<'a>,
    /// Neurons by hidden (transposed).
    pub down: Matrix<'a>,
}

/// What the sparse kernel remembers between calls: lists that grow once, and how much work the last call did.
#[derive(Clone, Default)]
pub struct ClusterScratch {
    values: Vec<f32>,
    fired: Vec<u32>,
    firing: Vec<f32>,
}

impl ClusterScratch {
    /// Empty.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lists nothing any more.
    pub fn clear(&mut self) {
        self.fired.clear();
        self.firing.clear();
    }

    /// The slots that fired in the last call, in the order given, and the activation of each.
    pub fn fired(&self) -> (&[u32], &[f32]) {
        (&self.fired, &self.firing)
    }
}

impl Kernels {
    /// Keeps of `rows` those whose gate value is above zero, in order: the compaction between the stages GC and UDIO.
    /// `fired` and `firing` are cleared and get the rows and their gate values.
    pub fn fire(&self, rows: &[u32], gate: &[f32], fired: &mut Vec<u32>, firing: &mut Vec<f32>) -> Result<(), KernelError> {
        same_length("the gate values", gate.len(), rows.len())?;
        fired.clear();
        firing.clear();
        append_fired(rows.iter().copied(), gate, fired, firing);
        Ok(())
    }

    /// The sparse gate-up-down of one sum block. `slots` are rows of the bundles, in ascending order of their neurons and all
    /// of one block of `SUM_BLOCK` neurons; they may be all of the block (the gate then decides: lossless) or those that a
    /// predictor named. `partial` (as long as the hidden vector) is overwritten with the sum of their contributions; when
    /// nothing fires it is zero and 0 is returned. Returns the number of neurons that fired.
    ///
    /// Partials of the blocks of a layer are to be added in ascending order (`Kernels::add`); skip those of 0 neurons.
    ///
    /// When everything is in memory, the same sums are had faster by taking many blocks through each step together:
    /// `cluster_gate` of each, `cluster_up` of all, then `axpy_rows` block by block. Long lists hide the memory's latency better.
    pub fn cluster(
        &self,
        bundles: &Bundles<'_>,
        gating: Gating,
        slots: &[u32],
        x: &Activations,
        scratch: &mut ClusterScratch,
        partial: &mut [f32],
    ) -> Result<usize, KernelError> {
        scratch.clear();
        if gating == Gating::Silu {
            let ClusterScratch { fired, firing, .. } = scratch;
            fired.extend_from_slice(slots);
            firing.resize(slots.len(), 0.0);
            self.gemv_rows(&bundles.gate, slots, x, firing)?;
        } else {
            self.cluster_gate_rows(&bundles.gate, slots, x, scratch)?;
        }
        self.up_down(bundles, gating, x, scratch, partial)
    }

    /// The second half of `cluster` (stage UDC) for neurons whose gates are known: `fired` lists their slots and `gates` their
    /// gate values, all above zero.
    #[expect(
        clippy::too_many_arguments,
        reason = "one argument per operand of the sum; a struct would only rename them"
    )]
    pub fn cluster_up_down(
        &self,
        bundles: &Bundles<'_>,
        gating: Gating,
        fired: &[u32],
        gates: &[f32],
        x: &Activations,
        scratch: &mut ClusterScratch,
        partial: &mut [f32],
    ) -> Result<usize, KernelError> {
        same_length("the gate values", gates.len(), fired.len())?;
        scratch.clear();
        scratch.fired.extend_from_slice(fired);
        scratch.firing.extend_from_slice(gates);
        self.up_down(bundles, gating, x, scratch, partial)
    }

    /// The gates of consecutive neurons (stage GC): `rows` of `gate`, which stream faster than rows by number. Adds those that
    /// fired, and their gate values, to what the scratch lists, so that many blocks can go through `cluster_up` together.
    pub fn cluster_gate(
        &self,
        gate: &Matrix<'_>,
        rows: Range<usize>,
        x: &Activations,
        scratch: &mut ClusterScratch,
    ) -> Result<(), KernelError> {
        let part = gate.slice(rows.clone())?;
        scratch.values.resize(part.rows().max(scratch.values.len()), 0.0);
        let values = &mut scratch.values[..part.rows()];
        self.gemv(&part, x, values)?;
        append_fired(rows.map(|row| row as u32), values, &mut scratch.fired, &mut scratch.firing);
        Ok(())
    }

    /// The same for neurons that a predictor named: any rows of `gate`.
    pub fn cluster_gate_rows(
        &self,
        gate: &Matrix<'_>,
        rows: &[u32],
        x: &Activations,
        scratch: &mut ClusterScratch,
    ) -> Result<(), KernelError> {
        scratch.values.resize(rows.len().max(scratch.values.len()), 0.0);
        let values = &mut scratch.values[..rows.len()];
        self.gemv_rows(gate, rows, x, values)?;
        append_fired(rows.iter().copied(), values, &mut scratch.fired, &mut scratch.firing);
        Ok(())
    }

    /// Turns the gate values that the scratch lists into activations: reads the up rows of the neurons that fired, of all blocks
    /// that were added. Afterwards [`ClusterScratch::fired`] lists the neurons whose down rows are to be added, and their
    /// coefficients. Returns how many these are.
    pub fn cluster_up(
        &self,
        up: &Matrix<'_>,
        gating: Gating,
        x: &Activations,
        scratch: &mut ClusterScratch,
    ) -> Result<usize, KernelError> {
        let count = scratch.fired.len();
        scratch.values.resize(count.max(scratch.values.len()), 0.0);
        let values = &mut scratch.values[..count];
        self.gemv_rows(up, &scratch.fired, x, values)?;
        let up = values;
        match gating {
            Gating::Relu => self.relu_mul(&mut scratch.firing, up)?,
            Gating::Silu => self.silu_mul(&mut scratch.firing, up)?,
            Gating::DoubleRelu => {
                self.drelu_mul(&mut scratch.firing, up)?;
                // Where up did not fire the contribution is zero: its down row need not be read.
                let mut kept = 0;
                for i in 0..count {
                    if scratch.firing[i] > 0.0 {
                        scratch.fired[kept] = scratch.fired[i];
                        scratch.firing[kept] = scratch.firing[i];
                        kept += 1;
                    }
                }
                scratch.fired.truncate(kept);
                scratch.firing.truncate(kept);
            }
        }
        Ok(scratch.fired.len())
    }

    fn up_down(
        &self,
        bundles: &Bundles<'_>,
        gating: Gating,
        x: &Activations,
        scratch: &mut ClusterScratch,
        partial: &mut [f32],
    ) -> Result<usize, KernelError> {
        same_length("the partial sum", partial.len(), bundles.down.cols())?;
        check_listed(&scratch.fired, bundles.down.rows())?;
        partial.fill(0.0);
        if scratch.fired.is_empty() {
            return Ok(0);
        }
        let count = self.cluster_up(&bundles.up, gating, x, scratch)?;
        self.axpy_rows(&bundles.down, &scratch.fired, &scratch.firing, partial)?;
        Ok(count)
    }
}

/// Appends the rows whose gate value is above zero, and these values. Which neurons fire cannot be foreseen, so every one is
/// written and the place moves on where it fired: no branch to guess wrong.
fn append_fired(rows: impl Iterator<Item = u32>, gate: &[f32], fired: &mut Vec<u32>, firing: &mut Vec<f32>) {
    let mut end = fired.len();
    fired.resize(end + gate.len(), 0);
    firing.resize(end + gate.len(), 0.0);
    for (row, &value) in rows.zip(gate) {
        fired[end] = row;
        firing[end] = value;
        end += usize::from(value > 0.0);
    }
    fired.truncate(end);
    firing.truncate(end);
}
