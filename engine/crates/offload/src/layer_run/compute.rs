//! GC and UDC: the arithmetic of a stage, on bytes that stay where they are until the layer's end.

use neuron::{Gating, Matrix};

use super::LayerRun;
use super::state::{Fired, Place, Scratch, State};
use crate::error::OffloadError;

impl LayerRun<'_> {
    pub(super) fn place_of(&self, state: &State<'_>, block: u32, position: u32) -> Place {
        let route = block / self.units.blocks;
        state.lists.units[(route * self.units.units + position / self.units.unit) as usize].place
    }

    /// GC: the gate rows of a cluster, and which of its neurons fire.
    pub(super) fn compute_gate(
        &self,
        index: u32,
        place: Place,
        scratch: &mut Scratch,
        fired: &mut Vec<Fired>,
    ) -> Result<(), OffloadError> {
        let positions = self.units.of_cluster(index % self.units.clusters);
        let rows = positions.len();
        // SAFETY: `place` is a pinned slot or a buffer of the layer, both hold all rows of the cluster, and nobody writes to either
        // before the layer's end.
        let bytes = unsafe { std::slice::from_raw_parts(place.0, rows * self.units.gate_row) };
        let matrix = Matrix::new(self.units.gate, rows, self.units.width as usize, bytes)?;
        scratch.values.resize(rows.max(scratch.values.len()), 0.0);
        let values = &mut scratch.values[..rows];
        self.kernels.gemv(&matrix, self.x, values)?;
        fired.clear();
        fired.extend(
            positions
                .zip(values.iter())
                .filter(|(_, gate)| **gate > 0.0)
                .map(|(position, &gate)| Fired { position, gate }),
        );
        Ok(())
    }

    /// UDC: up and down of a block's fired neurons, in ascending order, into the block's partial sum. Returns how many counted.
    pub(super) fn compute_block(&self, index: u32, places: &[Place], scratch: &Scratch) -> Result<usize, OffloadError> {
        if scratch.fired.is_empty() {
            return Ok(0);
        }
        let (width, units) = (self.units.width as usize, self.units);
        // SAFETY: every block is handed out once, blocks do not overlap, and the buffer outlives the run.
        let partial = unsafe { std::slice::from_raw_parts_mut(self.partials.first.add(index as usize * width), width) };
        debug_assert!((index as usize) < self.partials.blocks && self.partials.width == width);
        partial.fill(0.0);
        let mut counted = 0;
        for (neuron, place) in scratch.fired.iter().zip(places) {
            let unit = units.of_unit(neuron.position / units.unit);
            let row = (neuron.position - unit.start) as usize;
            let downs = unit.len() * units.up_row;
            // SAFETY: as in `compute_gate`: the unit's up rows, then its down rows, stay until the layer's end.
            let (up, down) = unsafe {
                (
                    std::slice::from_raw_parts(place.0.add(row * units.up_row), units.up_row),
                    std::slice::from_raw_parts(place.0.add(downs + row * units.down_row), units.down_row),
                )
            };
            let mut value = [0.0];
            self.kernels.gemv(&Matrix::new(units.up, 1, width, up)?, self.x, &mut value)?;
            let mut gate = [neuron.gate];
            match self.gating {
                Gating::Relu => self.kernels.relu_mul(&mut gate, &value)?,
                Gating::DoubleRelu => {
                    self.kernels.drelu_mul(&mut gate, &value)?;
                    if gate[0] <= 0.0 {
                        continue;
                    }
                }
            }
            self.kernels.axpy(units.down, down, gate[0], partial)?;
            counted += 1;
        }
        Ok(counted)
    }
}
