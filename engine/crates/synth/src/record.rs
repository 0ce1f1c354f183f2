//! An FFN that notes which neurons of another fire.

use std::sync::{Arc, Mutex, PoisonError};

use model::{Activation, FeedForward, FfnBatch, FfnCounters, ModelConfig, ModelError, Route, Tensor, TensorSource};
use neuron::{Activations, Kernels, Output, Scratch};
use pool::Pool;

/// Hears which neurons fired.
pub trait FiringSink: Send {
    /// One token in one layer, tokens in order: its experts in ascending order and, for each, the neurons that fired
    /// (numbered in their expert, ascending). In a model that is not sparse the lists are empty.
    fn token(&mut self, layer: usize, routes: &[Route], fired: &[&[u32]]);
}

/// The weights that decide whether a neuron fires: rows of all experts follow each other.
struct Deciding {
    gate: Tensor,
    /// Of dReLU, where up decides too.
    up: Option<Tensor>,
}

/// Wraps an FFN. Its own copy of the gates (and, for dReLU, ups) says what fired: the same products of the same activations,
/// so the same bits as those of an FFN that is exact. The output is the wrapped one's, untouched.
pub struct Recorder<S: FiringSink> {
    inner: Box<dyn FeedForward>,
    kernels: Kernels,
    layers: Vec<Deciding>,
    experts: usize,
    neurons: usize,
    sink: Arc<Mutex<S>>,
    buffers: Buffers,
}

#[derive(Default)]
struct Buffers {
    gathered: Activations,
    tokens: Vec<u32>,
    scratch: Vec<Scratch>,
    gate: Vec<f32>,
    up: Vec<f32>,
    /// By route.
    fired: Vec<Vec<u32>>,
}

impl<S: FiringSink> Recorder<S> {
    /// Records what `inner`, which computes the FFNs of the model in `source`, does; tells `sink`.
    pub fn new(
        inner: Box<dyn FeedForward>,
        source: &dyn TensorSource,
        config: &ModelConfig,
        kernels: Kernels,
        sink: Arc<Mutex<S>>,
    ) -> Result<Self, ModelError> {
        let shape = [config.hidden as u64, config.neurons as u64, config.experts as u64];
        let plural = if config.router.is_some() { "_exps" } else { "" };
        let load = |layer: usize, part: &str| Tensor::load(source, &format!("blk.{layer}.ffn_{part}{plural}.weight"), &shape);
        let deciding = |layer| {
            Ok::<_, ModelError>(Deciding {
                gate: load(layer, "gate")?,
                up: match config.activation {
                    Activation::DoubleRelu => Some(load(layer, "up")?),
                    Activation::Relu | Activation::Silu => None,
                },
            })
        };
        let sparse = config.activation.is_sparse();
        Ok(Self {
            inner,
            kernels,
            layers: (0..if sparse { config.layers } else { 0 })
                .map(deciding)
                .collect::<Result<_, _>>()?,
            experts: config.experts,
            neurons: config.neurons,
            sink,
            buffers: Buffers::default(),
        })
    }

    /// Fills the lists of all routes of a batch.
    fn decide(&mut self, pool: &mut Pool, layer: usize, batch: &FfnBatch<'_>) -> Result<(), ModelError> {
        let buffers = &mut self.buffers;
        buffers.fired.resize_with(batch.routes.len(), Vec::new);
        buffers.fired.iter_mut().for_each(Vec::clear);
        let Some(deciding) = self.layers.get(layer) else {
            return Ok(());
        };
        for expert in 0..self.experts {
            let of = |route: &Route| route.expert as usize == expert;
            let slots: Vec<usize> = (0..batch.routes.len()).filter(|&slot| of(&batch.routes[slot])).collect();
            if slots.is_empty() {
                continue;
            }
            buffers.tokens.clear();
            buffers
                .tokens
                .extend(slots.iter().map(|slot| (slot / batch.experts_used) as u32));
            batch.activations.gather(&buffers.tokens, &mut buffers.gathered);
            let rows = expert * self.neurons..(expert + 1) * self.neurons;
            let mut products = |tensor: &Tensor, out: &mut Vec<f32>| {
                products(
                    &self.kernels,
                    pool,
                    tensor,
                    rows.clone(),
                    &buffers.gathered,
                    &mut buffers.scratch,
                    out,
                )
            };
            products(&deciding.gate, &mut buffers.gate)?;
            if let Some(up) = &deciding.up {
                products(up, &mut buffers.up)?;
                // What fires is the product, which may round to zero.
                self.kernels.drelu_mul(&mut buffers.gate, &buffers.up)?;
            }
            for (&slot, line) in slots.iter().zip(buffers.gate.chunks_exact(self.neurons)) {
                let fired = (0u32..).zip(line).filter(|(_, value)| **value > 0.0);
                buffers.fired[slot].extend(fired.map(|(neuron, _)| neuron));
            }
        }
        Ok(())
    }
}

/// out (tokens by rows) = these rows times all of `x`.
fn products(
    kernels: &Kernels,
    pool: &mut Pool,
    tensor: &Tensor,
    rows: std::ops::Range<usize>,
    x: &Activations,
    scratch: &mut Vec<Scratch>,
    out: &mut Vec<f32>,
) -> Result<(), ModelError> {
    let (tokens, matrix) = (x.tokens(), tensor.matrix()?.slice(rows)?);
    out.resize(tokens * matrix.rows(), 0.0);
    let threads = pool.threads();
    scratch.resize_with(threads, Scratch::default);
    let mut rest = Output::new(out, tokens, matrix.rows())?;
    let mut parts = Vec::with_capacity(threads);
    for (index, scratch) in scratch.iter_mut().enumerate() {
        let part = pool::share(matrix.rows(), 16, index, threads);
        let (own, after) = rest.split_at(part.len());
        rest = after;
        parts.push((part, Some(own), scratch, Ok(())));
    }
    pool.run_each(&mut parts, |_, (part, own, scratch, result)| {
        if let Some(own) = own.take() {
            *result = matrix
                .slice(part.clone())
                .and_then(|matrix| kernels.gemm(&matrix, x, scratch, own));
        }
    });
    parts.into_iter().try_for_each(|(_, _, _, result)| result)?;
    Ok(())
}

impl<S: FiringSink> FeedForward for Recorder<S> {
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
        self.inner.forward(pool, layer, batch, out)?;
        self.decide(pool, layer, batch)?;
        // A sink that panicked has counted what it could; the text goes on.
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        let used = batch.experts_used;
        for (routes, fired) in batch.routes.chunks_exact(used).zip(self.buffers.fired.chunks_exact(used)) {
            let fired: Vec<&[u32]> = fired.iter().map(Vec::as_slice).collect();
            sink.token(layer, routes, &fired);
        }
        Ok(())
    }

    fn counters(&self) -> Option<&FfnCounters> {
        self.inner.counters()
    }

    fn labels(&self) -> &[&'static str] {
        self.inner.labels()
    }
}
