//! Where the FFN of every layer is computed: the seam between the forward pass and the place where neurons live.

use neuron::Activations;
use pool::Pool;
use spans::Tracer;

use crate::ModelError;

mod batched;
mod counters;
mod dense;
mod load_packed;
mod low_rank;
mod predicted;
mod runs;
mod shape;
mod sparse;
mod sum;
mod transpose;
mod weights;

pub use counters::{FfnCounters, PredictedCounters};
pub use dense::DenseFfn;
pub use load_packed::check_packed;
pub use low_rank::{LowRank, NeuronPredictor, PredictorInput};
pub use predicted::{Batches, PredictedFfn};
pub use sparse::SparseFfn;
pub use sum::{SumExperts, add_partial};

/// One token's choice of an expert in a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Route {
    /// The expert; 0 in a layer that has one.
    pub expert: u32,
    /// What its output is multiplied by (normalised over the token's experts); 1 in a layer that has one.
    pub weight: f32,
}

/// The input of a layer's FFN for some consecutive tokens.
#[derive(Clone, Copy)]
pub struct FfnBatch<'a> {
    /// Tokens; 1 in decoding.
    pub tokens: usize,
    /// Tokens by hidden: the residual stream, before the FFN norm.
    pub stream: &'a [f32],
    /// Tokens by hidden, after the FFN norm.
    pub input: &'a [f32],
    /// The same, as the kernels want it.
    pub activations: &'a Activations,
    /// Tokens by `experts_used`, for each token in ascending order of expert.
    pub routes: &'a [Route],
    /// Experts of a token.
    pub experts_used: usize,
}

/// Computes the FFNs of a model, wherever their weights are.
///
/// For one token, an implementation sums in this order, so that all of them agree to the bit: the neurons of a block of
/// `SUM_BLOCK` in ascending order, a block's sum onto the expert's in ascending order ([`add_partial`], blocks in which
/// nothing fired left out), the experts' sums times their weights in ascending order ([`SumExperts`]).
pub trait FeedForward: Send {
    /// A pass over so many tokens begins, and nothing was taken for it yet: one token is a step of decoding, more are a part of a prompt.
    /// Who divides memory between the two does it here.
    fn begin_pass(&mut self, _tokens: usize) -> Result<(), ModelError> {
        Ok(())
    }

    /// A prompt has been read, or there is none, and tokens are generated next: who divides memory does so now, rather than in the first of
    /// them. Without this call `begin_pass` does it.
    fn prepare_to_decode(&mut self) -> Result<(), ModelError> {
        Ok(())
    }

    /// Says which experts a layer will use, as soon as the router knows: before attention where the architecture allows, so
    /// that an implementation may read ahead. Called once a layer and pass, before `forward`; `routes` is tokens by experts
    /// used.
    fn announce(&mut self, layer: usize, routes: &[Route], tokens: usize) -> Result<(), ModelError>;

    /// Overwrites `out` (tokens by hidden) with the FFN's contribution to the residual stream.
    fn forward(&mut self, pool: &mut Pool, layer: usize, batch: &FfnBatch<'_>, out: &mut [f32]) -> Result<(), ModelError>;

    /// From now on what it does is recorded there. One that cannot say when it did what records nothing.
    fn trace(&mut self, _tracer: &Tracer) {}

    /// How much work was done so far, by layer; `None` where nothing counts it.
    fn counters(&self) -> Option<&FfnCounters> {
        None
    }

    /// What predicting came to so far; `None` where every gate decides.
    fn predicted(&self) -> Option<&PredictedCounters> {
        None
    }

    /// What the results must be labelled with, one word each: `requantised` where down is not what the source file says,
    /// `predicted` where a predictor and not the gate decides. Empty when the model is the source file's, exactly.
    fn labels(&self) -> &[&'static str] {
        &[]
    }
}

/// FFNs in which the true gate of every neuron decides: what they compute is the model's, to the bit. What promises such
/// results asks for this; [`PredictedFfn`], in which a predictor decides, is none of them.
///
/// ```compile_fail
/// fn lossless(ffn: Box<dyn model::Lossless>) -> Box<dyn model::FeedForward> { ffn }
/// fn not_so(ffn: model::PredictedFfn) { lossless(Box::new(ffn)); }
/// ```
///
/// ```
/// fn lossless(ffn: Box<dyn model::Lossless>) -> Box<dyn model::FeedForward> { ffn }
/// fn well_so(ffn: model::SparseFfn) { lossless(Box::new(ffn)); }
/// ```
pub trait Lossless: FeedForward {}

impl Lossless for DenseFfn {}
impl Lossless for SparseFfn {}
