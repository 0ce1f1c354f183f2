//! FFNs in memory, every neuron computed: what a SwiGLU model needs, and the yardstick for sparse ones.

use neuron::{Activations, Kernels};
use pool::{Pool, Worker};
use spans::{Activity, Tracer};

use super::batched::Batched;
use super::shape::{Shape, activate};
use super::weights::LayerFfn;
use super::{FeedForward, FfnBatch, Route, SumExperts};
use crate::share::{Faults, GRAIN, Shared, Work};
use crate::{ModelConfig, ModelError, TensorSource};

/// The FFNs of a model, straight from its GGUF matrices.
pub struct DenseFfn {
    kernels: Kernels,
    shape: Shape,
    layers: Vec<LayerFfn>,
    /// Gate values, then activations: experts used by neurons.
    values: Vec<f32>,
    places: Vec<Place>,
    batched: Batched,
    tracer: Tracer,
}

/// What one thread works with.
#[derive(Default)]
struct Place {
    up: Vec<f32>,
    down: Vec<f32>,
    /// The activations of each expert of the token.
    experts: Vec<Activations>,
}

impl DenseFfn {
    /// Loads the FFNs of all layers.
    pub fn load(source: &dyn TensorSource, config: &ModelConfig, kernels: Kernels) -> Result<Self, ModelError> {
        Ok(Self {
            kernels,
            shape: Shape::of(config),
            layers: (0..config.layers)
                .map(|layer| LayerFfn::load(source, config, layer))
                .collect::<Result<_, _>>()?,
            values: Vec::new(),
            places: Vec::new(),
            batched: Batched::default(),
            tracer: Tracer::off(),
        })
    }

    /// Memory of all weights (bytes).
    pub fn bytes(&self) -> u64 {
        self.layers.iter().map(LayerFfn::bytes).sum()
    }
}

impl FeedForward for DenseFfn {
    fn announce(&mut self, _: usize, _: &[Route], _: usize) -> Result<(), ModelError> {
        Ok(())
    }

    fn trace(&mut self, tracer: &Tracer) {
        self.tracer = tracer.clone();
    }

    fn forward(&mut self, pool: &mut Pool, layer: usize, batch: &FfnBatch<'_>, out: &mut [f32]) -> Result<(), ModelError> {
        let begun = self.tracer.begin();
        let result = self.compute(pool, layer, batch, out);
        self.tracer.together(begun, Activity::DenseFfn, Some(layer));
        result
    }
}

impl DenseFfn {
    fn compute(&mut self, pool: &mut Pool, layer: usize, batch: &FfnBatch<'_>, out: &mut [f32]) -> Result<(), ModelError> {
        self.shape.check(layer, batch, out)?;
        let weights = &self.layers[layer];
        if batch.tokens > 1 {
            let batched = &mut self.batched;
            batched.gate_up(&self.kernels, pool, &self.shape, &weights.gate, &weights.up, batch)?;
            batched.down(&self.kernels, pool, &self.shape, &weights.down)?;
            return batched.combine(pool, &self.shape, batch, out);
        }
        self.values.resize(batch.experts_used * self.shape.neurons, 0.0);
        self.places.resize_with(pool.threads(), Place::default);
        let token = Token {
            kernels: &self.kernels,
            shape: &self.shape,
            weights,
            batch,
        };
        token.compute(pool, &mut self.values, &mut self.places, out)
    }
}

/// The FFN of one token.
struct Token<'a> {
    kernels: &'a Kernels,
    shape: &'a Shape,
    weights: &'a LayerFfn,
    batch: &'a FfnBatch<'a>,
}

impl Token<'_> {
    /// One dispatch: gate and up rows, a barrier, down rows.
    fn compute(&self, pool: &mut Pool, values: &mut [f32], places: &mut [Place], out: &mut [f32]) -> Result<(), ModelError> {
        let faults = Faults::default();
        let gate_up = Work::new(values.len(), GRAIN, pool.threads());
        let down = Work::new(out.len(), GRAIN, pool.threads());
        let (values, places, out) = (Shared::new(values), Shared::new(places), Shared::new(out));
        pool.run(|worker: Worker<'_>| {
            // SAFETY: each thread has its own place.
            let place = &mut unsafe { places.part(worker.index()..worker.index() + 1) }[0];
            for chunk in &gate_up {
                // SAFETY: every chunk is handed out once.
                faults.note(self.gate_up(chunk.start, unsafe { values.part(chunk) }, &mut place.up));
            }
            worker.barrier();
            // SAFETY: all values were written before the barrier.
            let values = unsafe { values.all() };
            place.experts.resize_with(self.batch.experts_used, Activations::new);
            for (values, activations) in values.chunks_exact(self.shape.neurons).zip(&mut place.experts) {
                self.kernels.quantise(values, activations);
            }
            for rows in &down {
                // SAFETY: every chunk is handed out once.
                let out = unsafe { out.part(rows.clone()) };
                faults.note(self.down(rows.start, &place.experts, &mut place.down, out));
            }
        });
        faults.result()
    }

    /// Activations of consecutive neurons of the token's experts, counted through from the first expert's first.
    fn gate_up(&self, first: usize, values: &mut [f32], up: &mut Vec<f32>) -> Result<(), ModelError> {
        let (neurons, x) = (self.shape.neurons, self.batch.activations);
        let mut at = 0;
        while at < values.len() {
            let (slot, neuron) = ((first + at) / neurons, (first + at) % neurons);
            let count = (neurons - neuron).min(values.len() - at);
            let row = self.batch.routes[slot].expert as usize * neurons + neuron;
            let gate = &mut values[at..at + count];
            up.resize(count.max(up.len()), 0.0);
            let up = &mut up[..count];
            self.kernels
                .gemv(&self.weights.gate.matrix()?.slice(row..row + count)?, x, gate)?;
            self.kernels
                .gemv(&self.weights.up.matrix()?.slice(row..row + count)?, x, up)?;
            activate(self.kernels, self.shape.activation, gate, up)?;
            at += count;
        }
        Ok(())
    }

    /// Outputs `first..` of the token.
    fn down(&self, first: usize, experts: &[Activations], one: &mut Vec<f32>, out: &mut [f32]) -> Result<(), ModelError> {
        one.resize(out.len().max(one.len()), 0.0);
        let one = &mut one[..out.len()];
        let matrix = self.weights.down.matrix()?;
        let mut sum = SumExperts::new(out);
        for (route, x) in self.batch.routes.iter().zip(experts) {
            let row = route.expert as usize * self.shape.hidden + first;
            self.kernels.gemv(&matrix.slice(row..row + one.len())?, x, one)?;
            sum.add(route.weight, one);
        }
        sum.finish();
        Ok(())
    }
}
