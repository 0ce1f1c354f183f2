//! Pred, and the gates of single neurons that it asks for: what stands before GC when a predictor says which neurons to compute.
//! (PowerInfer-2, section 4.3: Pred, GIO, GC, UDIO, UDC)

use std::sync::Arc;

use cache::{Lookup, Reserve};
use flash::NeuronOrder;
use model::{LowRank, NeuronPredictor, PredictorInput};
use neuron::{Activations, Kernels};
use pool::Pool;

use super::state::{Fired, GATE_TAG, Gate, HOT, Place, Scratch, State};
use super::{Inputs, LayerRun};
use crate::error::OffloadError;
use crate::options::Overlap;

/// A predictor and what it works with.
pub(crate) struct Predicting {
    predictor: Arc<dyn NeuronPredictor>,
    /// What the first matrix gives, and the same as the kernels want it: one for each expert in use.
    sums: Vec<f32>,
    hidden: Vec<Activations>,
    stream: Activations,
    /// Neurons scored, predicted and fired, by layer.
    pub counted: model::PredictedCounters,
}

impl Predicting {
    /// Nothing counted yet.
    pub fn new(predictor: Arc<dyn NeuronPredictor>, layers: usize) -> Self {
        let zeros = || vec![0; layers];
        Self {
            predictor,
            sums: Vec::new(),
            hidden: Vec::new(),
            stream: Activations::new(),
            counted: model::PredictedCounters {
                scored: zeros(),
                predicted: zeros(),
                fired: zeros(),
                missed: zeros(),
            },
        }
    }

    /// The first half of the predictors of these experts: a product with a small matrix each. `x` is the normed input of the FFN,
    /// `stream` what it was before the norm.
    pub fn prepare(
        &mut self,
        kernels: Kernels,
        pool: &mut Pool,
        layer: usize,
        experts: &[u32],
        x: &Activations,
        stream: &[f32],
    ) -> Result<(), OffloadError> {
        let x = match self.predictor.input() {
            PredictorInput::Normed => x,
            PredictorInput::Stream => {
                kernels.quantise(stream, &mut self.stream);
                &self.stream
            }
        };
        self.hidden
            .resize_with(experts.len().max(self.hidden.len()), Activations::new);
        for (&expert, hidden) in experts.iter().zip(&mut self.hidden) {
            let LowRank { first, rectified, .. } = self.predictor.low_rank(layer, expert as usize)?;
            self.sums.clear();
            self.sums.resize(first.rows(), 0.0);
            let error = std::sync::Mutex::new(None);
            pool.run_split(&mut self.sums, 16, |row, part| {
                let outcome = first
                    .slice(row..row + part.len())
                    .and_then(|rows| kernels.gemv(&rows, x, part));
                if let Err(fault) = outcome {
                    error
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner)
                        .get_or_insert(fault);
                }
            });
            if let Some(fault) = error.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
                return Err(fault.into());
            }
            if rectified {
                self.sums.iter_mut().for_each(|sum| *sum = sum.max(0.0));
            }
            kernels.quantise(&self.sums, hidden);
        }
        Ok(())
    }

    /// The second half of each, for the workers of a layer.
    pub fn scores<'a>(&'a self, layer: usize, experts: &[u32], order: &'a NeuronOrder) -> Result<Vec<Scores<'a>>, OffloadError> {
        experts
            .iter()
            .zip(&self.hidden)
            .map(|(&expert, hidden)| {
                Ok(Scores {
                    low_rank: self.predictor.low_rank(layer, expert as usize)?,
                    hidden,
                    order: order.of(layer as u32, expert),
                })
            })
            .collect()
    }
}

/// What is left to compute of an expert's scores.
pub(crate) struct Scores<'a> {
    low_rank: LowRank<'a>,
    hidden: &'a Activations,
    /// The neuron at each place, where the file has them in another order than the model.
    order: Option<&'a [u32]>,
}

impl LayerRun<'_> {
    /// Pred: positions of a cluster whose score reaches the threshold, ascending.
    pub(super) fn predict(
        &self,
        index: u32,
        inputs: &Inputs<'_>,
        scratch: &mut Scratch,
        chosen: &mut Vec<u32>,
    ) -> Result<(), OffloadError> {
        let Scores { low_rank, hidden, order } = &inputs.scores[(index / self.units.clusters) as usize];
        let positions = self.units.of_cluster(index % self.units.clusters);
        let places = positions.start as usize..positions.end as usize;
        scratch.values.resize(places.len().max(scratch.values.len()), 0.0);
        let values = &mut scratch.values[..places.len()];
        match order {
            Some(order) => inputs.kernels.gemv_rows(&low_rank.second, &order[places], hidden, values)?,
            None => inputs.kernels.gemv(&low_rank.second.slice(places)?, hidden, values)?,
        }
        chosen.clear();
        // A score that is no number computes its neuron, as in PowerInfer: only what is below the threshold is left out.
        let below = |score: f32| score < low_rank.threshold;
        chosen.extend(
            positions
                .zip(values.iter())
                .filter(|(_, score)| !below(**score))
                .map(|(position, _)| position),
        );
        Ok(())
    }

    /// Look-ups of the gate rows of the clusters whose turn it is.
    pub(super) fn look_up_gates_in_order(&self, state: &mut State<'_>) -> Result<(), OffloadError> {
        let clusters = state.lists.gates.len() as u32;
        // Without a pipeline all is predicted before anything is read.
        let waits = |gate: &Gate| gate.predicted.is_none();
        if self.overlap != Overlap::Cluster && state.lists.gates[state.next_gate_look_up as usize..].iter().any(waits) {
            return Ok(());
        }
        while state.next_gate_look_up < clusters {
            let index = state.next_gate_look_up;
            let Some(chosen) = state.lists.gates[index as usize].predicted.take() else {
                break;
            };
            state.next_gate_look_up += 1;
            let route = index / self.units.clusters;
            state.counters.predicted += chosen.len() as u64;
            for position in &chosen {
                self.ask_gate_unit(state, route, index, position / self.units.gate_unit)?;
            }
            let gate = &mut state.lists.gates[index as usize];
            gate.chosen = chosen;
            if gate.gate_reads == 0 {
                state.lists.ready_gates.push_back(index);
            }
        }
        self.submit(state)
    }

    fn ask_gate_unit(&self, state: &mut State<'_>, route: u32, cluster: u32, unit: u32) -> Result<(), OffloadError> {
        let index = route * self.units.gate_units + unit;
        let entry = state.lists.gate_unit(index);
        if entry.asked {
            return Ok(());
        }
        entry.asked = true;
        entry.cluster = cluster;
        let key = self.units.gate_key(self.layer, self.experts[route as usize], unit);
        let segment = &mut state.cache.segments_mut()[HOT];
        state.counters.gate_look_ups += 1;
        if let Lookup::Hit(slot) = segment.lookup(key)? {
            segment.pin(key)?;
            entry.place = Place(segment.address(slot));
            state.lists.pinned.push((HOT, key));
            return Ok(());
        }
        state.counters.gate_misses += 1;
        entry.reserved = matches!(segment.reserve(key)?, Reserve::Slot { .. });
        state.lists.gates[cluster as usize].gate_reads += 1;
        state.lists.wanted.push_back(index | GATE_TAG);
        Ok(())
    }

    /// The page of a group's gate rows has arrived.
    pub(super) fn take_gate_rows(&self, state: &mut State<'_>, index: u32, pages: &[u8]) -> Result<(), OffloadError> {
        let (route, unit) = (index / self.units.gate_units, index % self.units.gate_units);
        let bytes = self.units.of_gate_unit(unit).len() * self.units.gate_row;
        state.counters.bytes += self.layout.part_span(0, 0).bytes;
        let key = self.units.gate_key(self.layer, self.experts[route as usize], unit);
        let reserved = state.lists.gate_unit(index).reserved;
        let place = self.store(state, HOT, key, reserved, self.units.gate_bytes(), |out| {
            out[..bytes].copy_from_slice(&pages[..bytes]);
            Ok(())
        })?;
        let entry = state.lists.gate_unit(index);
        entry.place = place;
        let cluster = entry.cluster;
        let gate = &mut state.lists.gates[cluster as usize];
        gate.gate_reads -= 1;
        if gate.gate_reads == 0 && cluster < state.next_gate_look_up {
            state.lists.ready_gates.push_back(cluster);
        }
        Ok(())
    }

    /// GC of the neurons that were predicted: which of them fire. `places` are those of their units of gate rows.
    pub(super) fn compute_chosen_gates(
        &self,
        inputs: &Inputs<'_>,
        chosen: &[u32],
        scratch: &mut Scratch,
        fired: &mut Vec<Fired>,
    ) -> Result<(), OffloadError> {
        let row = self.units.gate_row;
        let rows: Vec<&[u8]> = chosen
            .iter()
            .zip(&scratch.places)
            .map(|(position, place)| {
                let at = (position % self.units.gate_unit) as usize * row;
                // SAFETY: a pinned slot or a buffer of the layer, which holds the unit's gate rows until the layer's end.
                unsafe { std::slice::from_raw_parts(place.0.add(at), row) }
            })
            .collect();
        scratch.values.resize(rows.len().max(scratch.values.len()), 0.0);
        let values = &mut scratch.values[..rows.len()];
        inputs
            .kernels
            .gemv_scattered(self.units.gate, self.units.width as usize, &rows, inputs.x, values)?;
        fired.clear();
        fired.extend(
            chosen
                .iter()
                .zip(values.iter())
                .filter(|(_, gate)| inputs.gating.fires(**gate))
                .map(|(&position, &gate)| Fired { position, gate }),
        );
        Ok(())
    }

    /// Where the gate rows of the chosen neurons of a cluster are.
    pub(super) fn places_of_gates(&self, state: &mut State<'_>, index: u32, chosen: &[u32], places: &mut Vec<Place>) {
        let first = index / self.units.clusters * self.units.gate_units;
        places.clear();
        places.extend(
            chosen
                .iter()
                .map(|position| state.lists.gate_unit(first + position / self.units.gate_unit).place),
        );
    }
}
