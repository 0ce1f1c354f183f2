//! The FFN from flash in which a predictor decides: a type of its own, because its results are not the model's.

use std::sync::Arc;

use flash::{FlashFile, FlashReader};
use model::{FeedForward, FfnBatch, FfnCounters, ModelError, NeuronPredictor, PredictedCounters, Route};
use neuron::{Gating, Kernels};
use pool::Pool;
use spans::Tracer;

use crate::layer_run::Predicting;
use crate::{Needs, Offload, OffloadError, OffloadOptions};

/// The FFNs of a packed file under a memory budget, each neuron computed only where a predictor says so: Pred → GIO → GC → UDIO → UDC.
/// Not lossless: what the predictor misses is missing. A prompt is computed with its true gates. The same bits for any cache size, number
/// of threads and lanes, depth, read backend and eviction policy; the bits of `model::PredictedFfn` with the same rows.
pub struct PredictedOffload {
    inner: Offload,
    labels: Vec<&'static str>,
}

impl PredictedOffload {
    /// As [`Offload::new`]; `experts` are layers, experts of a layer, and experts that a token takes. Errors besides: a predictor of
    /// other sizes than the file's FFNs; a file whose bundles cannot be read neuron by neuron.
    pub fn new(
        reader: Arc<dyn FlashReader>,
        kernels: Kernels,
        gating: Gating,
        experts: (usize, usize, usize),
        predictor: Arc<dyn NeuronPredictor>,
        options: OffloadOptions,
    ) -> Result<Self, OffloadError> {
        let (layers, of_layer, used) = experts;
        check(reader.file(), layers, of_layer, &*predictor)?;
        let options = OffloadOptions {
            predicted: true,
            ..options
        };
        let mut inner = Offload::new(reader, kernels, gating, used as u32, options)?;
        inner.predicting = Some(Predicting::new(predictor, layers));
        let labels = inner.labels.iter().copied().chain(["predicted"]).collect();
        Ok(Self { inner, labels })
    }

    /// Sizes that matter for choosing segments, as [`Offload::needs`].
    pub fn needs(file: &FlashFile, experts_used: u32, options: &OffloadOptions) -> Result<Needs, OffloadError> {
        let options = OffloadOptions {
            predicted: true,
            ..options.clone()
        };
        Offload::needs(file, experts_used, &options)
    }

    /// As [`Offload::preload`].
    pub fn preload(&mut self) -> Result<u64, OffloadError> {
        self.inner.preload()
    }

    /// The FFN without its label: counters, cache, reader.
    pub fn offload(&self) -> &Offload {
        &self.inner
    }
}

fn check(file: &FlashFile, layers: usize, experts: usize, predictor: &dyn NeuronPredictor) -> Result<(), OffloadError> {
    for (layer, layout) in file.layers().iter().enumerate().take(layers) {
        let shape = layout.shape();
        for expert in 0..experts {
            let found = predictor.low_rank(layer, expert)?;
            let (first, second) = (&found.first, &found.second);
            let sizes = [first.cols(), second.rows(), second.cols()];
            let wanted = [shape.width as usize, shape.neurons as usize, first.rows()];
            if sizes != wanted || first.rows() == 0 {
                let what = format!(
                    "the predictor of layer {layer} is for {sizes:?} (inputs, neurons, rank); the model wants {wanted:?}"
                );
                return Err(OffloadError::Input { what });
            }
        }
    }
    Ok(())
}

impl FeedForward for PredictedOffload {
    fn begin_pass(&mut self, tokens: usize) -> Result<(), ModelError> {
        self.inner.begin_pass(tokens)
    }

    fn prepare_to_decode(&mut self) -> Result<(), ModelError> {
        self.inner.prepare_to_decode()
    }

    fn announce(&mut self, layer: usize, routes: &[Route], tokens: usize) -> Result<(), ModelError> {
        self.inner.announce(layer, routes, tokens)
    }

    fn forward(&mut self, pool: &mut Pool, layer: usize, batch: &FfnBatch<'_>, out: &mut [f32]) -> Result<(), ModelError> {
        let before = self.inner.totals();
        self.inner.forward(pool, layer, batch, out)?;
        let after = self.inner.totals();
        if let (1, Some(predicting)) = (batch.tokens, &mut self.inner.predicting) {
            let counted = &mut predicting.counted;
            counted.scored[layer] += batch.routes.len() as u64 * u64::from(self.inner.ground.units.neurons);
            counted.predicted[layer] += after.predicted - before.predicted;
            counted.fired[layer] += after.fired - before.fired;
        }
        Ok(())
    }

    fn trace(&mut self, tracer: &Tracer) {
        self.inner.trace(tracer);
    }

    fn counters(&self) -> Option<&FfnCounters> {
        self.inner.counters()
    }

    fn predicted(&self) -> Option<&PredictedCounters> {
        self.inner.predicting.as_ref().map(|predicting| &predicting.counted)
    }

    fn labels(&self) -> &[&'static str] {
        &self.labels
    }
}
