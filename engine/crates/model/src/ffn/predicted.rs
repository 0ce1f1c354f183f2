//! FFNs in memory in which a predictor and not the gate decides which neurons are computed.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use neuron::{Activations, ClusterScratch, SUM_BLOCK};
use pool::{Pool, Worker};
use spans::{Activity, Tracer};

use super::runs::Blocks;
use super::sum::sum_blocks;
use super::{FeedForward, FfnBatch, FfnCounters, LowRank, NeuronPredictor, PredictedCounters, PredictorInput, Route, SparseFfn};
use crate::share::{Faults, GRAIN, Shared, Work};
use crate::{ModelConfig, ModelError};

/// How tokens that come together (a prompt) are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batches {
    /// Every gate: in PowerInfer-2's prefill no predictor runs, because many tokens together use almost every
    /// neuron.
    Exact,
    /// Each token as if it came alone: to measure what predicting costs on a text that is there already.
    Predicted,
}

/// The FFNs of a ReLU model under a predictor. Not lossless: what the predictor misses is missing. The same bits for any
/// number of threads and any kernel backend.
pub struct PredictedFfn {
    exact: SparseFfn,
    predictor: Arc<dyn NeuronPredictor>,
    batches: Batches,
    audit: bool,
    labels: Vec<&'static str>,
    counters: FfnCounters,
    predicted: PredictedCounters,
    /// The residual stream of a token, for a predictor that reads it.
    stream: Activations,
    buffers: Buffers,
    places: Vec<Place>,
    tracer: Tracer,
}

/// Shared by the threads of a dispatch.
#[derive(Default)]
struct Buffers {
    /// What the first matrices give: slots by rank.
    hidden: Vec<f32>,
    /// Sums of blocks: blocks by the width of the stream.
    partials: Vec<f32>,
    /// For each block, how many of its neurons fired.
    fired: Vec<usize>,
}

/// What one thread works with.
#[derive(Default)]
struct Place {
    rectified: Vec<f32>,
    /// Of each expert of the token.
    hidden: Vec<Activations>,
    scores: Vec<f32>,
    slots: Vec<u32>,
    cluster: ClusterScratch,
    expert: Vec<f32>,
}

impl PredictedFfn {
    /// Computes `exact`'s neurons where `predictor` says so. Fails when the predictor has other sizes than the model.
    pub fn new(
        exact: SparseFfn,
        config: &ModelConfig,
        predictor: Arc<dyn NeuronPredictor>,
        batches: Batches,
    ) -> Result<Self, ModelError> {
        for layer in 0..config.layers {
            for expert in 0..config.experts {
                let found = predictor.low_rank(layer, expert)?;
                let (first, second) = (&found.first, &found.second);
                let sizes = [first.cols(), second.rows(), second.cols()];
                let wanted = [config.hidden, config.neurons, first.rows()];
                if sizes != wanted || first.rows() == 0 {
                    let key = format!("sizes of the predictor of layer {layer} (inputs, neurons, rank)");
                    return Err(ModelError::config(key, format!("{sizes:?}"), format!("{wanted:?}")));
                }
            }
        }
        let labels = exact.labels().iter().copied().chain(["predicted"]).collect();
        Ok(Self {
            exact,
            predictor,
            batches,
            audit: false,
            labels,
            counters: FfnCounters::new(config.layers),
            predicted: PredictedCounters::new(config.layers),
            stream: Activations::new(),
            buffers: Buffers::default(),
            places: Vec::new(),
            tracer: Tracer::off(),
        })
    }

    /// From now on computes every gate besides, to count what the predictor misses. The results stay those of predicting.
    pub fn audit(&mut self) {
        self.audit = true;
    }

    /// Memory of all weights and the predictor (bytes).
    pub fn bytes(&self) -> u64 {
        self.exact.bytes() + self.predictor.bytes()
    }

    /// One token. `batch` has been checked and holds only it.
    fn token(&mut self, pool: &mut Pool, layer: usize, batch: &FfnBatch<'_>, out: &mut [f32]) -> Result<(), ModelError> {
        let shape = *self.exact.shape();
        let x = match self.predictor.input() {
            PredictorInput::Normed => batch.activations,
            PredictorInput::Stream => {
                self.exact.kernels().quantise(batch.stream, &mut self.stream);
                &self.stream
            }
        };
        let predictors: Vec<LowRank<'_>> = batch
            .routes
            .iter()
            .map(|route| self.predictor.low_rank(layer, route.expert as usize))
            .collect::<Result<_, _>>()?;
        let rank = predictors.iter().map(|predictor| predictor.first.rows()).max().unwrap_or(0);
        let blocks = batch.experts_used * shape.neurons.div_ceil(SUM_BLOCK);
        let buffers = &mut self.buffers;
        buffers.hidden.resize(batch.experts_used * rank, 0.0);
        buffers.partials.resize(blocks * shape.hidden, 0.0);
        buffers.fired.resize(blocks, 0);
        self.places.resize_with(pool.threads(), Place::default);
        let token = Token {
            ffn: &self.exact,
            layer,
            batch,
            x,
            predictors: &predictors,
            rank,
            audit: self.audit,
            tally: Tally::default(),
        };
        token.compute(pool, buffers, &mut self.places, out)?;
        let tally = &token.tally;
        let counted = |of: &AtomicU64| of.load(Ordering::Relaxed);
        let seen = (batch.routes.len() * shape.neurons) as u64;
        self.counters.add(layer, seen, counted(&tally.fired));
        self.predicted.scored[layer] += seen;
        self.predicted.predicted[layer] += counted(&tally.predicted);
        self.predicted.fired[layer] += counted(&tally.fired);
        self.predicted.missed[layer] += counted(&tally.missed);
        Ok(())
    }
}

impl FeedForward for PredictedFfn {
    fn begin_pass(&mut self, tokens: usize) -> Result<(), ModelError> {
        self.exact.begin_pass(tokens)
    }

    fn announce(&mut self, layer: usize, routes: &[Route], tokens: usize) -> Result<(), ModelError> {
        self.exact.announce(layer, routes, tokens)
    }

    fn trace(&mut self, tracer: &Tracer) {
        self.exact.trace(tracer);
        self.tracer = tracer.clone();
    }

    fn forward(&mut self, pool: &mut Pool, layer: usize, batch: &FfnBatch<'_>, out: &mut [f32]) -> Result<(), ModelError> {
        let shape = *self.exact.shape();
        shape.check(layer, batch, out)?;
        if batch.tokens > 1 && self.batches == Batches::Exact {
            let count = |ffn: &SparseFfn| ffn.counters().map_or((0, 0), |all| (all.seen[layer], all.fired[layer]));
            let before = count(&self.exact);
            self.exact.forward(pool, layer, batch, out)?;
            let after = count(&self.exact);
            self.counters.add(layer, after.0 - before.0, after.1 - before.1);
            return Ok(());
        }
        let (hidden, used) = (shape.hidden, batch.experts_used);
        let mut alone = Activations::new();
        for (token, out) in out.chunks_exact_mut(hidden).enumerate() {
            let numbers = token * hidden..(token + 1) * hidden;
            if batch.tokens > 1 {
                batch.activations.gather(&[token as u32], &mut alone);
            }
            let one = FfnBatch {
                tokens: 1,
                stream: &batch.stream[numbers.clone()],
                input: &batch.input[numbers],
                activations: if batch.tokens > 1 { &alone } else { batch.activations },
                routes: &batch.routes[token * used..(token + 1) * used],
                experts_used: used,
            };
            // The predictor is in it: the threads go from one to the other without a common moment.
            let begun = self.tracer.begin();
            self.token(pool, layer, &one, out)?;
            self.tracer.together(begun, Activity::UpDown, Some(layer));
        }
        Ok(())
    }

    fn counters(&self) -> Option<&FfnCounters> {
        Some(&self.counters)
    }

    fn predicted(&self) -> Option<&PredictedCounters> {
        Some(&self.predicted)
    }

    fn labels(&self) -> &[&'static str] {
        &self.labels
    }
}

/// What the threads count.
#[derive(Default)]
struct Tally {
    predicted: AtomicU64,
    fired: AtomicU64,
    missed: AtomicU64,
}

/// The FFN of one token.
struct Token<'a> {
    ffn: &'a SparseFfn,
    layer: usize,
    batch: &'a FfnBatch<'a>,
    /// What the predictors read.
    x: &'a Activations,
    /// By slot.
    predictors: &'a [LowRank<'a>],
    /// The greatest of theirs: lines of `hidden` are so long.
    rank: usize,
    audit: bool,
    tally: Tally,
}

impl Token<'_> {
    /// One dispatch: what the first matrices give, a barrier, blocks of neurons, a barrier, the sum of the blocks by columns.
    fn compute(&self, pool: &mut Pool, buffers: &mut Buffers, places: &mut [Place], out: &mut [f32]) -> Result<(), ModelError> {
        let (shape, faults) = (self.ffn.shape(), Faults::default());
        let width = shape.hidden;
        let first = Work::new(buffers.hidden.len(), GRAIN, pool.threads());
        let blocks = Work::runs(buffers.fired.len(), pool.threads());
        let columns = Work::new(width, GRAIN, pool.threads());
        let hidden = Shared::new(&mut buffers.hidden);
        let (partials, fired) = (Shared::new(&mut buffers.partials), Shared::new(&mut buffers.fired));
        let (places, out) = (Shared::new(places), Shared::new(out));
        pool.run(|worker: Worker<'_>| {
            // SAFETY: each thread has its own place.
            let place = &mut unsafe { places.part(worker.index()..worker.index() + 1) }[0];
            for chunk in &first {
                // SAFETY: every chunk is handed out once.
                faults.note(self.hidden(chunk.start, unsafe { hidden.part(chunk) }));
            }
            worker.barrier();
            // SAFETY: all was written before the barrier.
            self.take_hidden(unsafe { hidden.all() }, place);
            for run in &blocks {
                // SAFETY: every block is handed out once.
                let (partials, fired) = unsafe { (partials.part(run.start * width..run.end * width), fired.part(run.clone())) };
                faults.note(self.blocks(run, place, partials, fired));
            }
            worker.barrier();
            // SAFETY: all blocks were written before the barrier.
            let (partials, fired) = unsafe { (partials.all(), fired.all()) };
            for columns in &columns {
                // SAFETY: every chunk is handed out once.
                let out = unsafe { out.part(columns.clone()) };
                let per_expert = shape.neurons.div_ceil(SUM_BLOCK);
                let routes = self.batch.routes;
                sum_blocks(
                    routes,
                    per_expert,
                    width,
                    columns.start,
                    partials,
                    fired,
                    &mut place.expert,
                    out,
                );
            }
        });
        faults.result()
    }

    /// What the first matrices give, from `first` on, counted through from the first slot's first.
    fn hidden(&self, first: usize, out: &mut [f32]) -> Result<(), ModelError> {
        let mut at = 0;
        while at < out.len() {
            let (slot, row) = ((first + at) / self.rank, (first + at) % self.rank);
            let matrix = &self.predictors[slot].first;
            let line = (self.rank - row).min(out.len() - at);
            let rows = row.min(matrix.rows())..(row + line).min(matrix.rows());
            let part = &mut out[at..at + rows.len()];
            self.ffn.kernels().gemv(&matrix.slice(rows)?, self.x, part)?;
            at += line;
        }
        Ok(())
    }

    /// Each thread prepares all of it for itself: it is short, and another barrier would cost more.
    fn take_hidden(&self, hidden: &[f32], place: &mut Place) {
        place.hidden.resize_with(self.predictors.len(), Activations::new);
        for ((predictor, line), activations) in self
            .predictors
            .iter()
            .zip(hidden.chunks_exact(self.rank))
            .zip(&mut place.hidden)
        {
            place.rectified.clear();
            place.rectified.extend_from_slice(&line[..predictor.first.rows()]);
            if predictor.rectified {
                place.rectified.iter_mut().for_each(|value| *value = value.max(0.0));
            }
            self.ffn.kernels().quantise(&place.rectified, activations);
        }
    }

    /// Computes some blocks: the scores of all their neurons, the gates of those that reach the threshold, then ups and a sum for
    /// each. `fired` gets how many neurons each sum has.
    fn blocks(
        &self,
        blocks: Range<usize>,
        place: &mut Place,
        partials: &mut [f32],
        fired: &mut [usize],
    ) -> Result<(), ModelError> {
        let (kernels, gating, x) = (self.ffn.kernels(), self.ffn.gating(), self.batch.activations);
        let bundles = self.ffn.bundles(self.layer)?;
        let of = Blocks {
            neurons: self.ffn.shape().neurons,
            routes: self.batch.routes,
        };
        place.slots.clear();
        for block in blocks.clone() {
            let (slot, neurons) = of.of(block);
            let predictor = &self.predictors[slot];
            place.scores.resize(neurons.len(), 0.0);
            let second = predictor.second.slice(neurons)?;
            kernels.gemv(&second, &place.hidden[slot], &mut place.scores)?;
            // A score that is no number computes its neuron, as in PowerInfer: only what is below the threshold is left out.
            let below = |score: f32| score < predictor.threshold;
            let chosen = of.rows(block).zip(&place.scores).filter(|&(_, &score)| !below(score));
            place.slots.extend(chosen.map(|(row, _)| row as u32));
        }
        place.cluster.clear();
        kernels.cluster_gate_rows(&bundles.gate, &place.slots, x, &mut place.cluster)?;
        of.up_down(
            blocks.clone(),
            (&kernels, gating, &bundles),
            x,
            &mut place.cluster,
            partials,
            fired,
        )?;
        let computed: usize = fired.iter().sum();
        self.tally.predicted.fetch_add(place.slots.len() as u64, Ordering::Relaxed);
        self.tally.fired.fetch_add(computed as u64, Ordering::Relaxed);
        if self.audit {
            place.cluster.clear();
            for block in blocks {
                kernels.cluster_gate(&bundles.gate, of.rows(block), x, &mut place.cluster)?;
            }
            let all = kernels.cluster_up(&bundles.up, gating, x, &mut place.cluster)?;
            // Those computed are among all and fire alike, so the difference is what was missed.
            self.tally.missed.fetch_add((all - computed) as u64, Ordering::Relaxed);
        }
        Ok(())
    }
}
