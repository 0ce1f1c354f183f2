//! Decode: one token through one layer, whose first reads may have begun when its experts were known.

use std::sync::{Mutex, PoisonError};

use model::{Route, SumExperts, add_partial};
use neuron::Activations;
use pool::Pool;
use spans::Activity;

use crate::Offload;
use crate::counters::LayerCounters;
use crate::error::OffloadError;
use crate::layer_run::{Begun, Inputs, LayerRun, Partials, Scratch, StageMemory, State};
use crate::options::GateReads;
use crate::phase::Phase;

/// A layer whose experts are known and whose reads have begun.
pub(crate) struct Announced {
    layer: usize,
    experts: Vec<u32>,
    begun: Begun,
}

impl Offload {
    /// The FFN of one layer for one token. `x` holds the token's normed activations; `routes` its experts, ascending. `out`
    /// is overwritten with the weighted sum of the experts' outputs.
    ///
    /// Errors leave the cache usable: reads in flight are waited for, slots of failed ones are free again.
    pub fn decode(
        &mut self,
        pool: &mut Pool,
        layer: usize,
        routes: &[Route],
        x: &Activations,
        out: &mut [f32],
    ) -> Result<LayerCounters, OffloadError> {
        self.token(pool, layer, routes, x, &[], out)
    }

    /// Begins the reads that a token is certain to need of a layer once its experts are known, so that they go on during attention:
    /// gate rows that are not in memory (and, loading in one phase, all of the experts that is not), as many as may be on their way at
    /// once. Only for FFNs in which every gate decides, and not where gate rows are read apart. The look-ups are the layer's first ones in their order, so nothing but time
    /// depends on whether a layer was announced.
    pub fn begin_early(&mut self, layer: usize, routes: &[Route]) -> Result<(), OffloadError> {
        self.check(layer, routes, self.ground.units.width as usize, 1)?;
        self.enter(Phase::Decode)?;
        self.settle();
        // Pages of single groups are read by the threads that compute, which are busy until then.
        if self.ground.gates == GateReads::Apart {
            return Ok(());
        }
        let experts: Vec<u32> = routes.iter().map(|route| route.expert).collect();
        let stages = self.stages.as_mut().map(StageMemory::stages);
        let state = State::new(
            &mut self.cache,
            std::mem::take(&mut self.lists),
            &self.ground.units,
            self.ground.gates,
            experts.len() as u32,
            stages.map_or(0, |stages| stages.count),
        );
        let run = LayerRun::new(&self.ground, layer, &experts, stages, state);
        run.begin();
        let state = run.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut begun = state.pause();
        begun.counters.gates_announced = begun.counters.gate_misses;
        self.announced = Some(Announced { layer, experts, begun });
        Ok(())
    }

    /// Ends what was announced and is not to be computed: what is being read is taken, and stays where there is a slot for it.
    pub(crate) fn settle(&mut self) {
        let Some(Announced { layer, experts, begun }) = self.announced.take() else {
            return;
        };
        let stages = self.stages.as_mut().map(StageMemory::stages);
        let state = State::resume(&mut self.cache, begun);
        let run = LayerRun::new(&self.ground, layer, &experts, stages, state);
        run.settle();
        let state = run.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        // Nobody wanted the bytes: a read that failed is met again by who does.
        let (lists, counters, _) = state.finish();
        self.lists = lists;
        self.totals += counters;
    }

    /// The same for either kind. `stream` is the residual stream before the norm, for predictors that read it.
    pub(crate) fn token(
        &mut self,
        pool: &mut Pool,
        layer: usize,
        routes: &[Route],
        x: &Activations,
        stream: &[f32],
        out: &mut [f32],
    ) -> Result<LayerCounters, OffloadError> {
        self.check(layer, routes, out.len(), 1)?;
        self.enter(Phase::Decode)?;
        let ground = &self.ground;
        let width = ground.units.width as usize;
        let blocks = routes.len() * ground.units.blocks as usize;
        self.partials.resize((blocks * width).max(self.partials.len()), 0.0);
        while self.scratch.len() < pool.threads() {
            self.scratch.push(Mutex::new(Scratch::default()));
        }
        let experts: Vec<u32> = routes.iter().map(|route| route.expert).collect();
        if let Some(predicting) = &mut self.predicting {
            let begun = ground.tracer.begin();
            predicting.prepare(ground.kernels, pool, layer, &experts, x, stream)?;
            ground.tracer.together(begun, Activity::Predictor, Some(layer));
        }
        let is_announced = |early: &Announced| early.layer == layer && early.experts == experts;
        if !self.announced.as_ref().is_some_and(is_announced) {
            self.settle();
        }
        let ground = &self.ground;
        let scores = match &self.predicting {
            Some(predicting) => predicting.scores(layer, &experts, ground.file.order())?,
            None => Vec::new(),
        };
        let stages = self.stages.as_mut().map(StageMemory::stages);
        let state = match self.announced.take() {
            Some(early) => State::resume(&mut self.cache, early.begun),
            None => State::new(
                &mut self.cache,
                std::mem::take(&mut self.lists),
                &ground.units,
                ground.gates,
                experts.len() as u32,
                stages.map_or(0, |stages| stages.count),
            ),
        };
        let run = LayerRun::new(ground, layer, &experts, stages, state);
        let inputs = Inputs {
            kernels: ground.kernels,
            x,
            gating: ground.gating,
            partials: Partials {
                first: self.partials.as_mut_ptr(),
                width,
                blocks,
            },
            scores,
        };
        run.begin();
        let scratch = &self.scratch;
        pool.run(|worker| {
            run.work(
                &worker,
                &inputs,
                &mut scratch[worker.index()].lock().unwrap_or_else(PoisonError::into_inner),
            );
        });
        let state = run.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let summed: Vec<bool> = state.summed().collect();
        self.waited += state.waited;
        let (lists, counters, error) = state.finish();
        self.lists = lists;
        if layer + 1 == ground.units.layers as usize {
            self.cache.segments_mut().iter_mut().for_each(cache::Segment::end_token);
        }
        self.totals += counters;
        if let Some(error) = error {
            return Err(error);
        }
        let (partials, per_expert) = (&self.partials, ground.units.blocks as usize);
        pool.run_split(out, 64, |first, part| {
            add_experts(routes, &summed, partials, per_expert, width, first, part);
        });
        Ok(counters)
    }
}

impl Drop for Offload {
    /// A slot that is being read keeps the cache's memory alive for good.
    fn drop(&mut self) {
        self.settle();
    }
}

/// The fixed order of the last sums (see [`FeedForward`]), for the columns from `first` on.
fn add_experts(
    routes: &[Route],
    summed: &[bool],
    partials: &[f32],
    per_expert: usize,
    width: usize,
    first: usize,
    out: &mut [f32],
) {
    let mut of_expert = [0.0f32; 64];
    for (chunk, out) in out.chunks_mut(of_expert.len()).enumerate() {
        let column = first + chunk * of_expert.len();
        let of_expert = &mut of_expert[..out.len()];
        let mut experts = SumExperts::new(out);
        for (place, route) in routes.iter().enumerate() {
            of_expert.fill(0.0);
            for block in place * per_expert..(place + 1) * per_expert {
                if summed[block] {
                    add_partial(&partials[block * width + column..][..of_expert.len()], of_expert);
                }
            }
            experts.add(route.weight, of_expert);
        }
        experts.finish();
    }
}
