//! What a predictor is to whoever computes FFNs: two small matrices for each expert, and what a score must reach.

use neuron::Matrix;

use crate::ModelError;

/// The vector that a predictor looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PredictorInput {
    /// What the FFN gets: after its norm.
    Normed,
    /// The residual stream before that norm. (PowerInfer's llama graph hands `ffn_inp` to fc1.)
    Stream,
}

/// The predictor of one expert in one layer: `score = second · h`, `h = first · x`, or `h = relu(first · x)` where it is
/// rectified. A neuron is computed when its score is at least the threshold. (PowerInfer: fc1, fc2, `sparse_threshold`.)
#[derive(Clone, Copy, Debug)]
pub struct LowRank<'a> {
    /// Rank by hidden.
    pub first: Matrix<'a>,
    /// Neurons by rank.
    pub second: Matrix<'a>,
    /// What a score must reach; minus infinity where every neuron is to be computed.
    pub threshold: f32,
    /// Whether what the first matrix gives goes through ReLU.
    pub rectified: bool,
}

/// Says which neurons of an FFN to compute, before any of their weights is looked at.
pub trait NeuronPredictor: Send + Sync {
    /// What it reads.
    fn input(&self) -> PredictorInput;

    /// The matrices for an expert of a layer. Fails when there is no such layer or expert.
    fn low_rank(&self, layer: usize, expert: usize) -> Result<LowRank<'_>, ModelError>;

    /// Its memory (bytes).
    fn bytes(&self) -> u64;
}
