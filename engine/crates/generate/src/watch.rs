//! FFNs that say how long they took and what they counted, while a session owns them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use model::{FeedForward, FfnBatch, FfnCounters, ModelError, PredictedCounters, Route};
use offload::{LayerCounters, Offload, PredictedOffload};
use pool::Pool;
use spans::Tracer;

use crate::between::Between;

/// What was seen so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    /// Time inside the FFNs, reads that were waited for included.
    pub took: Duration,
    /// Of FFNs on flash; zeros for others.
    pub counters: LayerCounters,
}

/// Handed to whoever asks while the session runs, and after it.
#[derive(Clone, Default)]
pub(crate) struct Watch(Arc<Mutex<Seen>>);

impl Watch {
    pub fn seen(&self) -> Seen {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, took: Duration, counters: LayerCounters) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.took += took;
        seen.counters = counters;
    }
}

/// FFNs that count more than the seam to the forward pass shows.
pub(crate) trait Counted: FeedForward {
    fn counted(&self) -> LayerCounters {
        LayerCounters::default()
    }

    /// FFNs whose plan can change between tokens.
    fn adaptable(&mut self) -> Option<&mut Offload> {
        None
    }
}

impl Counted for model::DenseFfn {}
impl Counted for model::SparseFfn {}
impl Counted for model::PredictedFfn {}
impl Counted for PredictedOffload {
    fn counted(&self) -> LayerCounters {
        self.offload().totals()
    }
}
impl Counted for Offload {
    fn counted(&self) -> LayerCounters {
        self.totals()
    }

    fn adaptable(&mut self) -> Option<&mut Offload> {
        Some(self)
    }
}

/// The FFNs, watched.
pub(crate) struct Watched<F> {
    pub inner: F,
    pub watch: Watch,
    pub between: Option<Between>,
}

impl<F: Counted> FeedForward for Watched<F> {
    fn begin_pass(&mut self, tokens: usize) -> Result<(), ModelError> {
        if let Some(between) = &mut self.between {
            between.begin(tokens, self.inner.adaptable()).map_err(ModelError::other)?;
        }
        self.inner.begin_pass(tokens)
    }

    fn prepare_to_decode(&mut self) -> Result<(), ModelError> {
        self.inner.prepare_to_decode()
    }

    fn announce(&mut self, layer: usize, routes: &[Route], tokens: usize) -> Result<(), ModelError> {
        self.inner.announce(layer, routes, tokens)
    }

    fn forward(&mut self, pool: &mut Pool, layer: usize, batch: &FfnBatch<'_>, out: &mut [f32]) -> Result<(), ModelError> {
        let begun = Instant::now();
        let result = self.inner.forward(pool, layer, batch, out);
        self.watch.note(begun.elapsed(), self.inner.counted());
        result
    }

    fn trace(&mut self, tracer: &Tracer) {
        self.inner.trace(tracer);
    }

    fn counters(&self) -> Option<&FfnCounters> {
        self.inner.counters()
    }

    fn predicted(&self) -> Option<&PredictedCounters> {
        self.inner.predicted()
    }

    fn labels(&self) -> &[&'static str] {
        self.inner.labels()
    }
}
