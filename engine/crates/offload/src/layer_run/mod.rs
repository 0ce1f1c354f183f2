//! One token through one layer's FFN: clusters go through the stages GIO → GC → UDIO → UDC (lossless: no predictor), on compute threads
//! that take whatever is ready, while the lanes read. (PowerInfer-2, section 4.3; Figure 6)
//!
//! What may be timed differently from run to run is only *when* a stage runs. Look-ups in the cache are made in the order of
//! clusters, whatever order their gates were computed in, and nothing that this layer uses leaves the cache before its end:
//! hits, misses and evictions are the same for any number of threads and lanes. Sums are taken block by block in ascending
//! order at the end, so the result is the same bits.
//!
//! This file is the order of things; `state` what is shared, `ask` and `arrive` the two ends of a read, `compute` the arithmetic.

mod arrive;
mod ask;
mod compute;
mod state;

use std::sync::{Condvar, Mutex, PoisonError};

use flash::{FlashReader, LayerLayout};
use neuron::{Activations, Gating, Kernels};

use crate::error::OffloadError;
use crate::options::{Granularity, Overlap};
use crate::units::Units;
use state::{Fired, Place, SUM, locked};
pub(crate) use state::{Lists, Partials, Scratch, State};

/// What all workers share while the layer runs.
pub(crate) struct LayerRun<'a> {
    pub kernels: Kernels,
    pub units: &'a Units,
    pub layout: &'a LayerLayout,
    pub reader: &'a dyn FlashReader,
    pub layer: u32,
    pub experts: &'a [u32],
    pub x: &'a Activations,
    pub gating: Gating,
    pub overlap: Overlap,
    pub granularity: Granularity,
    pub depth: u32,
    pub state: Mutex<State<'a>>,
    pub changed: Condvar,
    pub partials: Partials,
}

/// A stage that is ready to run.
enum Stage {
    Gate(u32, Place),
    Block(u32, Vec<Fired>),
    Listen,
    Wait,
    Over,
}

impl LayerRun<'_> {
    /// Asks for what is missing of the gates (and, in one phase, of everything), before any thread works.
    pub fn begin(&self) {
        let mut state = locked(&self.state);
        let asked = self.ask_first(&mut state);
        self.note(&mut state, asked);
        let requests = std::mem::take(&mut state.lists.requests);
        let submitted = self.submit(&mut state, requests);
        self.note(&mut state, submitted);
    }

    /// One thread's part of the layer. Returns when nothing is left to do, or after an error when no read is in flight.
    pub fn work(&self, scratch: &mut Scratch) {
        let mut state = locked(&self.state);
        loop {
            match self.next(&mut state) {
                Stage::Over => break,
                Stage::Wait => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Stage::Listen => {
                    state.listening = true;
                    drop(state);
                    let arrived = self.reader.wait();
                    state = locked(&self.state);
                    state.listening = false;
                    if let Some(completion) = arrived {
                        self.take(&mut state, completion);
                    }
                    while let Some(completion) = self.reader.poll() {
                        self.take(&mut state, completion);
                    }
                    self.changed.notify_all();
                }
                Stage::Gate(index, place) => {
                    state.in_flight += 1;
                    let mut fired = std::mem::take(&mut state.lists.gates[index as usize].spare);
                    drop(state);
                    let done = self.compute_gate(index, place, scratch, &mut fired);
                    state = locked(&self.state);
                    self.note(&mut state, done);
                    state.lists.gates[index as usize].fired = Some(fired);
                    let looked_up = self.look_up_in_order(&mut state);
                    self.note(&mut state, looked_up);
                    self.changed.notify_all();
                }
                Stage::Block(index, fired) => {
                    let places: Vec<Place> = fired
                        .iter()
                        .map(|fired| self.place_of(&state, index, fired.position))
                        .collect();
                    drop(state);
                    scratch.fired = fired;
                    let done = self.compute_block(index, &places, scratch);
                    state = locked(&self.state);
                    let block = &mut state.lists.blocks[index as usize];
                    block.fired = std::mem::take(&mut scratch.fired);
                    block.summed = matches!(done, Ok(count) if count > 0);
                    state.blocks_left -= 1;
                    let done = done.map(|count| state.counters.fired += count as u64);
                    self.note(&mut state, done);
                    if state.blocks_left == 0 || state.error.is_some() {
                        self.changed.notify_all();
                    }
                }
            }
        }
        drop(state);
        self.changed.notify_all();
    }

    fn note(&self, state: &mut State<'_>, outcome: Result<(), OffloadError>) {
        if let Err(error) = outcome {
            state.error.get_or_insert(error);
        }
    }

    /// What this thread should do now. Gates come before sums, so that reads begin early; at most `depth` clusters are in flight.
    fn next(&self, state: &mut State<'_>) -> Stage {
        let listen_or = |state: &State<'_>, otherwise| {
            if state.reads_left > 0 && !state.listening {
                Stage::Listen
            } else {
                otherwise
            }
        };
        if state.error.is_some() {
            return if state.reads_left == 0 {
                Stage::Over
            } else {
                listen_or(state, Stage::Wait)
            };
        }
        if state.blocks_left == 0 && state.reads_left == 0 {
            return Stage::Over;
        }
        let may_compute = self.overlap != Overlap::Nothing || state.reads_left == 0;
        if may_compute {
            if let Some(index) = self.next_gate(state) {
                return Stage::Gate(index, state.lists.gates[index as usize].place);
            }
            if let Some(index) = state.lists.ready_blocks.pop_front() {
                return Stage::Block(index, std::mem::take(&mut state.lists.blocks[index as usize].fired));
            }
        }
        listen_or(state, Stage::Wait)
    }

    /// The first cluster whose gate can be computed, if the pipeline has room. The one that all others wait for to look up always
    /// has: clusters whose reads came back earlier may fill the depth before it.
    fn next_gate(&self, state: &mut State<'_>) -> Option<u32> {
        let (place, &first) = state.lists.ready_gates.iter().enumerate().min_by_key(|(_, index)| **index)?;
        // Without a pipeline all gates are computed before any look-up: there is no depth to keep to.
        let is_full = self.overlap == Overlap::Cluster && state.in_flight >= self.depth.max(1);
        if is_full && first != state.next_look_up {
            return None;
        }
        state.lists.ready_gates.swap_remove_back(place)
    }

    /// Look-ups of the clusters whose turn it is.
    fn look_up_in_order(&self, state: &mut State<'_>) -> Result<(), OffloadError> {
        let clusters = state.lists.gates.len() as u32;
        if self.overlap != Overlap::Cluster
            && state.lists.gates[state.next_look_up as usize..]
                .iter()
                .any(|gate| gate.fired.is_none())
        {
            return Ok(());
        }
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
            if state.lists.gates[index as usize].reads == 0 {
                state.in_flight -= 1;
            }
        }
        let requests = std::mem::take(&mut state.lists.requests);
        self.submit(state, requests)
    }

    /// Hands the fired neurons of a cluster to its sum blocks; a block with all it needs becomes ready.
    fn deal_to_blocks(&self, state: &mut State<'_>, route: u32, cluster: u32, fired: &[Fired]) {
        let lists = &mut state.lists;
        let first_unit = route * self.units.units;
        let mut last_unit = None;
        for neuron in fired {
            let index = route * self.units.blocks + neuron.position / SUM;
            let block = &mut lists.blocks[index as usize];
            block.fired.push(*neuron);
            let unit = &mut lists.units[(first_unit + neuron.position / self.units.unit) as usize];
            let here = (index, neuron.position / self.units.unit);
            // Neurons come in ascending order: a block waits for a unit once.
            if unit.place.0.is_null() && last_unit != Some(here) {
                unit.waiting.push(index);
                block.reads += 1;
            }
            last_unit = Some(here);
        }
        let positions = self.units.of_cluster(cluster % self.units.clusters);
        for block in positions.start / SUM..positions.end.div_ceil(SUM) {
            let index = route * self.units.blocks + block;
            let block = &mut lists.blocks[index as usize];
            block.clusters -= 1;
            if block.clusters == 0 && block.reads == 0 {
                lists.ready_blocks.push_back(index);
            }
        }
    }
}
