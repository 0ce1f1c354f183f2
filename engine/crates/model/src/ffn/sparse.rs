//! FFNs in memory, lossless and sparse: the gate of every neuron, then up and down only of those that fired.

use std::ops::Range;

use neuron::{Bundles, ClusterScratch, Format, Gating, Kernels, SUM_BLOCK};
use pool::{Pool, Worker};
use spans::{Activity, Tracer, Track};

use super::batched::Batched;
use super::load_packed::{load_packed, piece_bytes};
use super::runs::Blocks;
use super::shape::Shape;
use super::sum::sum_blocks;
use super::transpose::transpose;
use super::weights::FfnFiles;
use super::{FeedForward, FfnBatch, FfnCounters, Route};
use crate::share::{Faults, GRAIN, Shared, Work};
use crate::{Activation, FlashSource, ModelConfig, ModelError, Tensor, TensorSource};

/// One layer: rows of all experts follow each other, all by hidden.
pub(crate) struct SparseLayer {
    pub(crate) gate: Tensor,
    pub(crate) up: Tensor,
    /// Transposed.
    pub(crate) down: Tensor,
}

impl SparseLayer {
    fn bundles(&self) -> Result<Bundles<'_>, ModelError> {
        Ok(Bundles {
            gate: self.gate.matrix()?,
            up: self.up.matrix()?,
            down: self.down.matrix()?,
        })
    }
}

/// The FFNs of a ReLU model, with a row of down for each neuron.
pub struct SparseFfn {
    kernels: Kernels,
    shape: Shape,
    gating: Gating,
    layers: Vec<SparseLayer>,
    requantised: bool,
    counters: FfnCounters,
    /// The sums of all blocks of the token's experts: blocks by hidden.
    partials: Vec<f32>,
    /// For each block, how many of its neurons fired.
    fired: Vec<usize>,
    places: Vec<Place>,
    batched: Batched,
    tracer: Tracer,
}

/// What one thread works with.
#[derive(Default)]
struct Place {
    cluster: ClusterScratch,
    expert: Vec<f32>,
}

impl SparseFfn {
    /// Loads the FFNs of all layers from matrices. Transposes down, unless the file carries it with a row for each neuron.
    pub fn load(source: &dyn TensorSource, config: &ModelConfig, kernels: Kernels) -> Result<Self, ModelError> {
        let gating = gating(config)?;
        let mut requantised = false;
        let mut layers = Vec::with_capacity(config.layers);
        for layer in 0..config.layers {
            let files = FfnFiles::new(source, config, layer);
            let (gate, up) = (files.gate()?, files.up()?);
            let down = match files.down_rows()? {
                Some(rows) => rows,
                None => {
                    let down = files.down()?;
                    requantised |= is_quantised(down.format());
                    transpose(&down, config.experts)?
                }
            };
            layers.push(SparseLayer { gate, up, down });
        }
        Ok(Self::new(config, kernels, gating, layers, requantised))
    }

    /// What [`Self::load`] takes (bytes): the weights, and what it holds besides while it transposes a layer's down.
    pub fn bytes_of(source: &dyn TensorSource, config: &ModelConfig) -> Result<(u64, u64), ModelError> {
        (0..config.layers).try_fold((0, 0), |(held, besides), layer| {
            let (more, down) = FfnFiles::new(source, config, layer).bytes_in_rows()?;
            Ok((held + more, down.max(besides)))
        })
    }

    /// What [`Self::load_packed`] takes (bytes): the weights, and what it holds besides while it reads them.
    pub fn bytes_of_packed(source: &FlashSource) -> (u64, u64) {
        let flash = source.flash();
        let besides = flash.layers().iter().map(piece_bytes).max();
        (flash.ffn_weight_bytes(), besides.unwrap_or(0))
    }

    /// Loads the FFNs of all layers from a packed file whose down is in rows; neurons are put back into the source's order.
    pub fn load_packed(source: &FlashSource, config: &ModelConfig, kernels: Kernels) -> Result<Self, ModelError> {
        let gating = gating(config)?;
        let layers = (0..config.layers)
            .map(|layer| load_packed(source, config, layer))
            .collect::<Result<_, _>>()?;
        let requantised = source.flash().is_requantised();
        Ok(Self::new(config, kernels, gating, layers, requantised))
    }

    pub(super) fn new(
        config: &ModelConfig,
        kernels: Kernels,
        gating: Gating,
        layers: Vec<SparseLayer>,
        requantised: bool,
    ) -> Self {
        Self {
            kernels,
            shape: Shape::of(config),
            gating,
            requantised,
            counters: FfnCounters::new(layers.len()),
            layers,
            partials: Vec::new(),
            fired: Vec::new(),
            places: Vec::new(),
            batched: Batched::default(),
            tracer: Tracer::off(),
        }
    }

    /// Memory of all weights (bytes).
    pub fn bytes(&self) -> u64 {
        let layer = |layer: &SparseLayer| layer.gate.bytes() + layer.up.bytes() + layer.down.bytes();
        self.layers.iter().map(layer).sum()
    }

    /// The sizes of the FFNs.
    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// How gate and up become an activation.
    pub(crate) fn gating(&self) -> Gating {
        self.gating
    }

    /// The kernels that compute.
    pub(crate) fn kernels(&self) -> Kernels {
        self.kernels
    }

    /// The matrices of a layer: rows of all experts follow each other.
    pub(crate) fn bundles(&self, layer: usize) -> Result<Bundles<'_>, ModelError> {
        self.layers[layer].bundles()
    }

    /// Forgets what was counted.
    pub fn clear_counters(&mut self) {
        self.counters.clear();
    }
}

/// Whether transposing means requantising: scales run along neurons.
fn is_quantised(format: Format) -> bool {
    matches!(format, Format::Q8_0 | Format::Q6_K | Format::Q4_0)
}

fn gating(config: &ModelConfig) -> Result<Gating, ModelError> {
    match config.activation {
        Activation::Relu => Ok(Gating::Relu),
        Activation::DoubleRelu => Ok(Gating::DoubleRelu),
        Activation::Silu => {
            let what = "a sparse ffn of a model whose activation is silu; must be relu or drelu".to_owned();
            Err(ModelError::Misuse { what })
        }
    }
}

impl FeedForward for SparseFfn {
    fn announce(&mut self, _: usize, _: &[Route], _: usize) -> Result<(), ModelError> {
        Ok(())
    }

    fn trace(&mut self, tracer: &Tracer) {
        self.tracer = tracer.clone();
    }

    fn forward(&mut self, pool: &mut Pool, layer: usize, batch: &FfnBatch<'_>, out: &mut [f32]) -> Result<(), ModelError> {
        self.shape.check(layer, batch, out)?;
        let weights = &self.layers[layer];
        let seen = (batch.routes.len() * self.shape.neurons) as u64;
        self.places.resize_with(pool.threads(), Place::default);
        let fired = if batch.tokens > 1 {
            // Many tokens together use almost every neuron: gate and up are dense products, only down stays sparse.
            let begun = self.tracer.begin();
            let batched = &mut self.batched;
            batched.gate_up(&self.kernels, pool, &self.shape, &weights.gate, &weights.up, batch)?;
            let fired = batched.down_rows(&self.kernels, pool, &self.shape, &weights.down)?;
            batched.combine(pool, &self.shape, batch, out)?;
            self.tracer.together(begun, Activity::DenseFfn, Some(layer));
            fired
        } else {
            let blocks = batch.experts_used * self.shape.neurons.div_ceil(SUM_BLOCK);
            self.partials.resize(blocks * self.shape.hidden, 0.0);
            self.fired.resize(blocks, 0);
            let token = Token {
                kernels: &self.kernels,
                shape: &self.shape,
                gating: self.gating,
                weights,
                batch,
                layer: layer as u32,
                tracer: &self.tracer,
            };
            token.compute(pool, &mut self.partials, &mut self.fired, &mut self.places, out)?;
            self.fired.iter().map(|&count| count as u64).sum()
        };
        self.counters.add(layer, seen, fired);
        Ok(())
    }

    fn counters(&self) -> Option<&FfnCounters> {
        Some(&self.counters)
    }

    fn labels(&self) -> &[&'static str] {
        if self.requantised { &["requantised"] } else { &[] }
    }
}

/// The FFN of one token.
struct Token<'a> {
    kernels: &'a Kernels,
    shape: &'a Shape,
    gating: Gating,
    weights: &'a SparseLayer,
    batch: &'a FfnBatch<'a>,
    layer: u32,
    tracer: &'a Tracer,
}

impl Token<'_> {
    /// One dispatch: blocks of neurons, a barrier, then the sum of the blocks by columns. `fired` gets how many neurons of each
    /// block fired.
    fn compute(
        &self,
        pool: &mut Pool,
        partials: &mut [f32],
        fired: &mut [usize],
        places: &mut [Place],
        out: &mut [f32],
    ) -> Result<(), ModelError> {
        let (hidden, faults) = (self.shape.hidden, Faults::default());
        let blocks = Work::runs(fired.len(), pool.threads());
        let columns = Work::new(hidden, GRAIN, pool.threads());
        let (partials, fired) = (Shared::new(partials), Shared::new(fired));
        let (places, out) = (Shared::new(places), Shared::new(out));
        pool.run(|worker: Worker<'_>| {
            // SAFETY: each thread has its own place.
            let place = &mut unsafe { places.part(worker.index()..worker.index() + 1) }[0];
            let mut track = self.tracer.thread(worker.index());
            for run in &blocks {
                // SAFETY: every block is handed out once.
                let (partials, fired) = unsafe { (partials.part(run.start * hidden..run.end * hidden), fired.part(run.clone())) };
                faults.note(self.blocks(run, &mut place.cluster, &mut track, partials, fired));
            }
            drop(track);
            worker.barrier();
            // SAFETY: all blocks were written before the barrier.
            let (partials, fired) = unsafe { (partials.all(), fired.all()) };
            for columns in &columns {
                // SAFETY: every chunk is handed out once.
                let out = unsafe { out.part(columns.clone()) };
                sum_blocks(
                    self.batch.routes,
                    self.shape.neurons.div_ceil(SUM_BLOCK),
                    hidden,
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

    /// Computes some blocks: all their gates, then all their ups, then a sum for each. `fired` gets how many neurons each sum has.
    fn blocks(
        &self,
        blocks: Range<usize>,
        scratch: &mut ClusterScratch,
        track: &mut Track<'_>,
        partials: &mut [f32],
        fired: &mut [usize],
    ) -> Result<(), ModelError> {
        let (kernels, x) = (self.kernels, self.batch.activations);
        let bundles = self.weights.bundles()?;
        let of = Blocks {
            neurons: self.shape.neurons,
            routes: self.batch.routes,
        };
        scratch.clear();
        let begun = track.begin();
        for block in blocks.clone() {
            kernels.cluster_gate(&bundles.gate, of.rows(block), x, scratch)?;
        }
        track.end(begun, Activity::Gate, self.layer);
        let begun = track.begin();
        of.up_down(blocks, (kernels, self.gating, &bundles), x, scratch, partials, fired)?;
        track.end(begun, Activity::UpDown, self.layer);
        Ok(())
    }
}
