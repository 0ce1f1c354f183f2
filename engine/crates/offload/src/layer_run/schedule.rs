//! Which stage is next: gates before sums, within the depth of the pipeline, and look-ups in the order of clusters.

use super::LayerRun;
use super::state::{Fired, Place, SUM, State};
use crate::error::OffloadError;
use crate::options::Overlap;

/// A stage that is ready to run.
pub(super) enum Stage {
    Predict(u32),
    Gate(u32, Place),
    Block(u32),
    Listen,
    Wait,
    Over,
}

impl LayerRun<'_> {
    /// What this thread should do now. Gates come before sums, so that reads begin early; at most `depth` clusters are in flight.
    pub(super) fn next(&self, state: &mut State<'_>) -> Stage {
        let listen_or = |state: &State<'_>, otherwise| {
            if state.is_reading() && !state.listening {
                Stage::Listen
            } else {
                otherwise
            }
        };
        if state.error.is_some() {
            return if state.is_reading() {
                listen_or(state, Stage::Wait)
            } else {
                Stage::Over
            };
        }
        if state.blocks_left == 0 && !state.is_reading() {
            return Stage::Over;
        }
        let may_compute = self.overlap != Overlap::Nothing || !state.is_reading();
        if may_compute {
            if let Some(index) = self.next_prediction(state) {
                return Stage::Predict(index);
            }
            if let Some(index) = self.next_gate(state) {
                return Stage::Gate(index, state.lists.gates[index as usize].place);
            }
            if let Some(index) = state.lists.ready_blocks.pop_front() {
                return Stage::Block(index);
            }
        }
        listen_or(state, Stage::Wait)
    }

    /// The next cluster to be predicted, if the pipeline has room. They are taken in order, so the one that all others wait for is
    /// always in the pipeline.
    fn next_prediction(&self, state: &mut State<'_>) -> Option<u32> {
        let is_full = self.overlap == Overlap::Cluster && state.in_flight >= self.depth.max(1);
        if is_full {
            None
        } else {
            state.lists.ready_predictions.pop_front()
        }
    }

    /// The first cluster whose gate can be computed, if the pipeline has room. The one that all others wait for to look up has room too
    /// where the depth is full of clusters that wait for it; where some wait for reads, those make room.
    fn next_gate(&self, state: &mut State<'_>) -> Option<u32> {
        let (place, &first) = state.lists.ready_gates.iter().enumerate().min_by_key(|(_, index)| **index)?;
        // Without a pipeline all gates are computed before any look-up: there is no depth to keep to.
        let is_full = self.overlap == Overlap::Cluster && state.in_flight >= self.depth.max(1);
        if is_full && !self.is_predicted && (first != state.next_look_up || state.reading > 0) {
            return None;
        }
        // The order of the others stays: they come ascending, so the first is the next one almost always.
        state.lists.ready_gates.remove(place)
    }

    /// Look-ups of the clusters whose turn it is.
    pub(super) fn look_up_in_order(&self, state: &mut State<'_>) -> Result<(), OffloadError> {
        let clusters = state.lists.gates.len() as u32;
        if self.overlap != Overlap::Cluster
            && state.lists.gates[state.next_look_up as usize..]
                .iter()
                .any(|gate| gate.fired.is_none())
        {
            return Ok(());
        }
        let mut released = false;
        while state.next_look_up < clusters {
            let index = state.next_look_up;
            let Some(fired) = state.lists.gates[index as usize].fired.take() else {
                break;
            };
            state.next_look_up += 1;
            let route = index / self.units.clusters;
            if !self.granularity.is_one_phase() {
                for neuron in &fired {
                    self.ask_unit(state, route, index, neuron.position / self.units.unit)?;
                }
            }
            self.deal_to_blocks(state, route, index, &fired);
            state.lists.gates[index as usize].spare = fired;
            if state.lists.gates[index as usize].bundles.take().is_some() {
                state.requested_bytes -= self.units.gates_in_flight;
                released = true;
            }
            if state.lists.gates[index as usize].reads == 0 {
                state.in_flight -= 1;
            } else {
                state.reading += 1;
            }
        }
        if released && state.error.is_none() {
            // What they made room for: perhaps nothing else is on its way whose arrival would ask.
            self.ask_on(state)?;
        }
        self.submit(state)
    }

    /// Hands the fired neurons of a cluster to its sum blocks; a block with all it needs becomes ready. Clusters are whole numbers
    /// of blocks.
    fn deal_to_blocks(&self, state: &mut State<'_>, route: u32, cluster: u32, fired: &[Fired]) {
        let lists = &mut state.lists;
        let first_unit = route * self.units.units;
        let first_block = route * self.units.blocks;
        let mut last = None;
        for neuron in fired {
            let here = (neuron.position / SUM, neuron.position / self.units.unit);
            // Neurons come in ascending order: a block waits for a unit once.
            let waits = last != Some(here) && lists.unit(first_unit + here.1).place.0.is_null();
            let block = &mut lists.blocks[(first_block + here.0) as usize];
            block.fired.push(*neuron);
            block.reads += u32::from(waits);
            last = Some(here);
        }
        let positions = self.units.of_cluster(cluster % self.units.clusters);
        for block in positions.start / SUM..positions.end.div_ceil(SUM) {
            let index = first_block + block;
            let block = &mut lists.blocks[index as usize];
            block.dealt = true;
            if block.reads == 0 {
                lists.ready_blocks.push_back(index);
            }
        }
    }
}
