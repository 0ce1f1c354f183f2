//! FFNs whose inputs and firing are recorded while a text runs through them.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{FeedForward, FfnBatch, FfnCounters, Lossless, ModelConfig, ModelError, Route, TensorSource};
use neuron::Kernels;
use pool::Pool;
use synth::{FiringSink, Recorder};

use crate::PredictorError;
use crate::records::Records;

/// Pairs the inputs of a batch with what its tokens fired.
pub(crate) struct Notes {
    records: Records,
    /// Of the batch that is being computed: tokens by hidden.
    inputs: Vec<f32>,
    /// The token of the batch that is told next.
    at: usize,
    /// Tokens noted so far, by layer.
    noted: Vec<usize>,
    fault: Option<io::Error>,
}

impl FiringSink for Notes {
    fn token(&mut self, layer: usize, routes: &[Route], fired: &[&[u32]]) {
        let (hidden, token) = (self.records.shape().hidden, self.noted[layer]);
        let input = &self.inputs[self.at * hidden..][..hidden];
        self.at += 1;
        if token == self.records.shape().tokens || self.fault.is_some() {
            return;
        }
        self.noted[layer] += 1;
        let experts = routes.iter().map(|route| route.expert);
        self.fault = self.records.write(layer, token, input, experts, fired).err();
    }
}

/// Handed to whoever runs the session; the FFN in it has the other end.
#[derive(Clone)]
pub(crate) struct Notebook(Arc<Mutex<Notes>>);

impl Notebook {
    fn open(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An error when something could not be noted.
    pub(crate) fn check(&self) -> Result<(), PredictorError> {
        let mut notes = self.open();
        match notes.fault.take() {
            None => Ok(()),
            Some(error) => Err(notes.records.failed("writing", error)),
        }
    }

    /// What was noted; nothing is from here on. `None` while a session still has the FFN.
    pub(crate) fn close(self) -> Option<Records> {
        let notes = Arc::into_inner(self.0)?;
        Some(notes.into_inner().unwrap_or_else(PoisonError::into_inner).records)
    }
}

/// An FFN that is lossless, observed.
pub(crate) struct Observed {
    inner: Recorder<Notes>,
    notes: Arc<Mutex<Notes>>,
}

impl Observed {
    /// Observes `inner`, which computes the FFNs of the model in `source`; as many tokens as `records` has places for.
    pub(crate) fn new(
        inner: Box<dyn Lossless>,
        source: &dyn TensorSource,
        config: &ModelConfig,
        kernels: Kernels,
        records: Records,
    ) -> Result<(Self, Notebook), ModelError> {
        let notes = Arc::new(Mutex::new(Notes {
            noted: vec![0; config.layers],
            records,
            inputs: Vec::new(),
            at: 0,
            fault: None,
        }));
        let inner = Recorder::new(inner, source, config, kernels, Arc::clone(&notes))?;
        let notebook = Notebook(Arc::clone(&notes));
        Ok((Self { inner, notes }, notebook))
    }
}

impl FeedForward for Observed {
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
        {
            let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
            notes.at = 0;
            notes.inputs.clear();
            notes.inputs.extend_from_slice(batch.input);
        }
        self.inner.forward(pool, layer, batch, out)
    }

    fn counters(&self) -> Option<&FfnCounters> {
        self.inner.counters()
    }

    fn labels(&self) -> &[&'static str] {
        self.inner.labels()
    }
}
