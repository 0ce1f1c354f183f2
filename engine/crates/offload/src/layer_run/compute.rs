//! GC and UDC: the arithmetic of a stage, on bytes that stay where they are until the layer's end.

use neuron::{Gating, Matrix};

use super::state::{Fired, Place, Scratch, State};
use super::{Inputs, LayerRun};
use crate::error::OffloadError;

impl LayerRun<'_> {
    pub(super) fn place_of(&self, state: &mut State<'_>, block: u32, position: u32) -> Place {
        let route = block / self.units.blocks;
        state.lists.unit(route * self.units.units + position / self.units.unit).place
    }

    /// GC: the gate rows of a cluster, and which of its neurons fire.
    pub(super) fn compute_gate(
        &self,
        inputs: &Inputs<'_>,
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
        inputs.kernels.gemv(&matrix, inputs.x, values)?;
        fired.clear();
        fired.extend(
            positions
                .zip(values.iter())
                .filter(|(_, gate)| inputs.gating.fires(**gate))
                .map(|(position, &gate)| Fired { position, gate }),
        );
        Ok(())
    }

    /// UDC: up and down of a block's fired neurons, in ascending order, into the block's partial sum. Returns how many counted.
    pub(super) fn compute_block(&self, inputs: &Inputs<'_>, index: u32, scratch: &mut Scratch) -> Result<usize, OffloadError> {
        let Scratch {
            values,
            gates,
            fired,
            places,
            ..
        } = scratch;
        let count = fired.len();
        if count == 0 {
            return Ok(0);
        }
        let (width, units) = (self.units.width as usize, self.units);
        // SAFETY: every block is handed out once, blocks do not overlap, and the buffer outlives the run.
        let partial = unsafe { std::slice::from_raw_parts_mut(inputs.partials.first.add(index as usize * width), width) };
        debug_assert!((index as usize) < inputs.partials.blocks && inputs.partials.width == width);
        partial.fill(0.0);
        let (mut ups, mut downs): (Vec<&[u8]>, Vec<&[u8]>) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for (neuron, place) in fired.iter().zip(places.iter()) {
            let unit = units.of_unit(neuron.position / units.unit);
            let row = (neuron.position - unit.start) as usize;
            let first_down = unit.len() * units.up_row;
            // SAFETY: as in `compute_gate`: the unit's up rows, then its down rows, stay until the layer's end.
            unsafe {
                ups.push(std::slice::from_raw_parts(place.0.add(row * units.up_row), units.up_row));
                downs.push(std::slice::from_raw_parts(
                    place.0.add(first_down + row * units.down_row),
                    units.down_row,
                ));
            }
        }
        values.resize(count.max(values.len()), 0.0);
        let up = &mut values[..count];
        inputs.kernels.gemv_scattered(units.up, width, &ups, inputs.x, up)?;
        gates.clear();
        gates.extend(fired.iter().map(|neuron| neuron.gate));
        match inputs.gating {
            Gating::Relu => inputs.kernels.relu_mul(gates, up)?,
            Gating::Silu => inputs.kernels.silu_mul(gates, up)?,
            Gating::DoubleRelu => {
                inputs.kernels.drelu_mul(gates, up)?;
                let mut kept = 0;
                for i in 0..count {
                    if gates[i] > 0.0 {
                        gates[kept] = gates[i];
                        downs[kept] = downs[i];
                        kept += 1;
                    }
                }
                gates.truncate(kept);
                downs.truncate(kept);
            }
        }
        inputs.kernels.axpy_scattered(units.down, &downs, gates, partial)?;
        Ok(downs.len())
    }
}
