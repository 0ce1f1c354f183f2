//! A model to its predictor.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use generate::blame_of_predictor;
use napi::bindgen_prelude::AsyncTask;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use neuron::Format;
use predictor::{Hidden, PredictorError, Stage, Tally, TrainOptions, TrainReport, train};

use crate::cancel::Cancel;
use crate::failure::{Failure, threads, whole};

/// What to fit, and on what.
#[napi(object)]
pub struct TrainRequest {
    /// The GGUF file.
    pub model: String,
    /// The predictor file.
    pub out: String,
    /// A text; absent: the model's own continuations.
    pub text: Option<String>,
    /// At most so many tokens.
    pub tokens: f64,
    /// Hidden numbers; absent: a quarter of the model's width.
    pub rank: Option<f64>,
    /// Share of the firing neurons to be predicted.
    pub recall: f64,
    /// `identity` or `relu`.
    pub hidden: String,
    /// `auto`, `q8_0` or `f16`.
    pub weights: String,
    /// How often every token is learnt from.
    pub passes: f64,
    /// Of all draws.
    pub seed: f64,
    /// Compute threads; absent: one for each core.
    pub threads: Option<f64>,
}

/// Where fitting is.
#[napi(object)]
pub struct TrainStep {
    /// `speak`, `record`, `fit` or `judge`.
    pub stage: String,
    /// How much of it is done, of so much.
    pub done: f64,
    /// See `done`.
    pub total: f64,
}

/// Neurons of tokens held out, by what was predicted and what happened. Shares; absent where there was nothing to count.
#[napi(object)]
pub struct Shares {
    /// Of the neurons that fired, those predicted.
    pub recall: Option<f64>,
    /// Of the silent neurons, those predicted all the same.
    pub false_positives: Option<f64>,
    /// Of all neurons, those predicted.
    pub predicted: Option<f64>,
    /// Of all neurons, those that fired.
    pub fired: Option<f64>,
}

/// One layer.
#[napi(object)]
pub struct LayerDone {
    /// Which.
    pub layer: u32,
    /// What it came to.
    pub shares: Shares,
    /// Experts without a predictor: too little was seen of them.
    pub blind_experts: u32,
}

/// What was fitted.
#[napi(object)]
pub struct TrainDone {
    /// Length of the file.
    pub bytes: f64,
    /// Fingerprint of the model, 16 hexadecimal digits.
    pub model: String,
    /// Hidden numbers.
    pub rank: u32,
    /// `q8_0` or `f16`.
    pub weights: String,
    /// Tokens learnt from, thresholds were set by, and held out.
    pub learnt: u32,
    /// See `learnt`.
    pub calibrated: u32,
    /// See `learnt`.
    pub held_out: u32,
    /// By layer.
    pub layers: Vec<LayerDone>,
    /// All layers together.
    pub overall: Shares,
    /// Perplexity of the tokens held out, with true gates and with the predictor, and how many of them were scored.
    pub lossless_perplexity: f64,
    /// See `lossless_perplexity`.
    pub predicted_perplexity: f64,
    /// See `lossless_perplexity`.
    pub scored: u32,
    /// Recall while the predictor decided in all layers.
    pub running_recall: Option<f64>,
    /// Seconds of running the model, and of fitting.
    pub recording_seconds: f64,
    /// See `recording_seconds`.
    pub fitting_seconds: f64,
    /// Of the draws.
    pub seed: f64,
}

type Steps = ThreadsafeFunction<TrainStep, (), TrainStep, napi::Status, false>;

/// Steps are told no more often than a terminal is worth.
const BETWEEN_STEPS: Duration = Duration::from_millis(50);

/// The work.
pub struct TrainTask {
    request: TrainRequest,
    cancel: Cancel,
    steps: Steps,
}

impl From<PredictorError> for Failure {
    fn from(error: PredictorError) -> Self {
        let failure = Self::new(blame_of_predictor(&error), error.to_string());
        let named = |name: &str| Self {
            argument: Some(name.to_owned()),
            ..failure.clone()
        };
        match error {
            PredictorError::Input { name, what } => Self::argument(name, what),
            PredictorError::Io { doing: "creating", .. } => named("out"),
            PredictorError::Io { doing: "opening", .. } => named("text"),
            _ => failure,
        }
    }
}

fn choices(request: &TrainRequest) -> Result<TrainOptions, Failure> {
    let wrong = |name: &str, all: &str, got: &str| Failure::argument(name, format!("should be {all}, got {got}"));
    Ok(TrainOptions {
        text: request.text.as_ref().map(Into::into),
        tokens: whole("tokens", request.tokens, 1, 1 << 24)? as usize,
        rank: match request.rank {
            None => None,
            Some(rank) => Some(whole("rank", rank, 1, 1 << 20)? as usize),
        },
        recall: request.recall,
        hidden: match request.hidden.as_str() {
            "identity" => Hidden::Identity,
            "relu" => Hidden::Relu,
            other => return Err(wrong("hidden", "identity or relu", other)),
        },
        format: match request.weights.as_str() {
            "auto" => None,
            "q8_0" => Some(Format::Q8_0),
            "q4_0" => Some(Format::Q4_0),
            "f16" => Some(Format::F16),
            other => return Err(wrong("weights", "auto, q8_0, q4_0 or f16", other)),
        },
        passes: whole("passes", request.passes, 1, 1 << 16)? as usize,
        seed: whole("seed", request.seed, 0, 1 << 52)?,
        threads: threads(request.threads)?,
        ..TrainOptions::new(&request.model, &request.out)
    })
}

fn shares(tally: &Tally) -> Shares {
    Shares {
        recall: tally.recall(),
        false_positives: tally.false_positives(),
        predicted: tally.share_predicted(),
        fired: tally.share_fired(),
    }
}

fn done(report: &TrainReport) -> TrainDone {
    let layer = |layer: &predictor::LayerReport| LayerDone {
        layer: layer.layer as u32,
        shares: shares(&layer.tally),
        blind_experts: layer.blind_experts as u32,
    };
    TrainDone {
        bytes: report.bytes as f64,
        model: format!("{:016x}", report.model),
        rank: report.rank as u32,
        weights: report.format.name().to_ascii_lowercase(),
        learnt: report.learnt as u32,
        calibrated: report.calibrated as u32,
        held_out: report.held_out as u32,
        layers: report.layers.iter().map(layer).collect(),
        overall: shares(&report.tally()),
        lossless_perplexity: report.perplexity.lossless,
        predicted_perplexity: report.perplexity.predicted,
        scored: report.perplexity.scored as u32,
        running_recall: report.perplexity.recall,
        recording_seconds: report.recording.as_secs_f64(),
        fitting_seconds: report.fitting.as_secs_f64(),
        seed: report.seed as f64,
    }
}

impl TrainTask {
    fn work(&self) -> Result<TrainDone, Failure> {
        let options = choices(&self.request)?;
        let mut told = None;
        let report = train(&options, &mut |step| {
            if self.cancel.is_set() {
                return ControlFlow::Break(());
            }
            let due = told.is_none_or(|(stage, at): (Stage, Instant)| stage != step.stage || at.elapsed() >= BETWEEN_STEPS);
            if due {
                told = Some((step.stage, Instant::now()));
                let step = TrainStep {
                    stage: step.stage.name().to_owned(),
                    done: step.done as f64,
                    total: step.total as f64,
                };
                // A caller that is gone hears nothing, and that is no fault.
                let _ = self.steps.call(step, ThreadsafeFunctionCallMode::NonBlocking);
            }
            ControlFlow::Continue(())
        });
        Ok(done(&report?))
    }
}

task!(TrainTask, TrainDone, TrainOutcome);

/// Fits a predictor; `steps` hears of progress.
#[napi]
pub fn train_predictor(request: TrainRequest, cancel: &Cancel, steps: Steps) -> AsyncTask<TrainTask> {
    AsyncTask::new(TrainTask {
        request,
        cancel: cancel.clone(),
        steps,
    })
}
