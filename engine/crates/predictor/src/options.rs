//! What is to be fitted, and on what.

use std::path::PathBuf;

use model::ModelConfig;
use neuron::{BLOCK, Format};

use crate::PredictorError;
use crate::corpus::FEWEST;

/// How a predictor's hidden numbers come about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hidden {
    /// relu(A x): what PowerInfer's graph computes, so its programs can run the file's tensors.
    Relu,
    /// A x: scores are linear in the input, as gates are.
    #[default]
    Identity,
}

/// A fit.
#[derive(Clone, Debug)]
pub struct TrainOptions {
    /// The model: a GGUF file.
    pub model: PathBuf,
    /// The predictor file to be.
    pub out: PathBuf,
    /// The text; `None`: the model's own continuations.
    pub text: Option<PathBuf>,
    /// At most so many tokens: eight of ten to learn from, one to set thresholds by, one to judge by.
    pub tokens: usize,
    /// Hidden numbers; `None`: a quarter of the model's width, which is what the published predictors of
    /// TurboSparse-Mixtral come to (1036 of 4096).
    pub rank: Option<usize>,
    /// Share of the firing neurons to be predicted.
    pub recall: f64,
    /// How hidden numbers come about.
    pub hidden: Hidden,
    /// How the weights are stored: F16, Q8_0 or Q4_0 (as PowerInfer-2's are, by their size); `None`: Q8_0 where width and rank are whole blocks of it, else F16.
    pub format: Option<Format>,
    /// How often every token is learnt from.
    pub passes: usize,
    /// Adam's rate at the beginning; it falls linearly to zero.
    pub rate: f32,
    /// Decides all draws.
    pub seed: u64,
    /// Compute threads; the result does not depend on them.
    pub threads: usize,
}

impl TrainOptions {
    /// The defaults.
    pub fn new(model: impl Into<PathBuf>, out: impl Into<PathBuf>) -> Self {
        Self {
            model: model.into(),
            out: out.into(),
            text: None,
            tokens: 4096,
            rank: None,
            recall: 0.95,
            hidden: Hidden::default(),
            format: None,
            passes: 10,
            rate: 5e-4,
            seed: 1,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }

    /// Rank and format for a model, or what is wrong with the options.
    pub(crate) fn settle(&self, config: &ModelConfig) -> Result<(usize, Format), PredictorError> {
        let wrong = |name, what| Err(PredictorError::Input { name, what });
        if self.tokens < FEWEST {
            return wrong("tokens", format!("should be at least {FEWEST}, got {}", self.tokens));
        }
        if !(self.recall > 0.0 && self.recall <= 1.0) {
            return wrong("recall", format!("should be above 0 and at most 1, got {}", self.recall));
        }
        let usual = (config.hidden / 4).next_multiple_of(BLOCK).min(config.hidden);
        let rank = self.rank.unwrap_or(usual);
        if rank == 0 || rank > config.hidden {
            let what = format!("should be from 1 to {}, the model's width, got {rank}", config.hidden);
            return wrong("rank", what);
        }
        let blocks = rank.is_multiple_of(BLOCK) && config.hidden.is_multiple_of(BLOCK);
        match self.format {
            None if blocks => Ok((rank, Format::Q8_0)),
            None | Some(Format::F16) => Ok((rank, Format::F16)),
            Some(format @ (Format::Q8_0 | Format::Q4_0)) if blocks => Ok((rank, format)),
            Some(format @ (Format::Q8_0 | Format::Q4_0)) => wrong(
                "rank",
                format!(
                    "should be a multiple of {BLOCK} for {} weights, got {rank}",
                    format.name().to_ascii_lowercase()
                ),
            ),
            Some(other) => wrong("weights", format!("should be f16, q8_0 or q4_0, got {other}")),
        }
    }
}
