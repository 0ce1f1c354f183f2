//! What a fit came to.

use std::time::Duration;

use neuron::Format;

use crate::judge::Tally;

/// One layer, on the tokens held out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerReport {
    /// Which.
    pub layer: usize,
    /// What was predicted and what happened.
    pub tally: Tally,
    /// Experts of which too little was seen to fit anything: all their neurons are computed.
    pub blind_experts: usize,
}

/// The same tokens, each predicted from those before, with true gates and with the predictor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PerplexityReport {
    /// With the true gates.
    pub lossless: f64,
    /// With the predictor, in all layers of every token.
    pub predicted: f64,
    /// Tokens scored.
    pub scored: usize,
    /// Recall while it ran so, with inputs that earlier layers' misses had changed.
    pub recall: Option<f64>,
}

/// A fit. Times are of the wall clock.
#[derive(Clone, Debug)]
pub struct TrainReport {
    /// Length of the file (bytes).
    pub bytes: u64,
    /// Fingerprint of the model.
    pub model: u64,
    /// Hidden numbers.
    pub rank: usize,
    /// How weights are stored.
    pub format: Format,
    /// Tokens learnt from.
    pub learnt: usize,
    /// Tokens that thresholds were set by.
    pub calibrated: usize,
    /// Tokens that all figures are of.
    pub held_out: usize,
    /// By layer, in order.
    pub layers: Vec<LayerReport>,
    /// What it does to the model.
    pub perplexity: PerplexityReport,
    /// Running the model and recording.
    pub recording: Duration,
    /// Fitting.
    pub fitting: Duration,
    /// Seed of the draws.
    pub seed: u64,
}

impl TrainReport {
    /// All layers together.
    pub fn tally(&self) -> Tally {
        let mut all = Tally::default();
        self.layers.iter().for_each(|layer| all += layer.tally);
        all
    }
}

/// What a fit tells while it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrainStep {
    /// Which work.
    pub stage: Stage,
    /// How much of it is done, of `total`.
    pub done: usize,
    /// See `done`.
    pub total: usize,
}

/// The work of a fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The model speaks; in tokens.
    Speak,
    /// A text runs through the model; in tokens.
    Record,
    /// Fitting; in experts of layers, a hundredth each.
    Fit,
    /// Perplexity with the predictor; in tokens.
    Judge,
}

impl Stage {
    /// The name that results have.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Speak => "speak",
            Self::Record => "record",
            Self::Fit => "fit",
            Self::Judge => "judge",
        }
    }
}
