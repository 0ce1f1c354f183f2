//! How well a model predicts a text.

use std::ops::ControlFlow;

use generate::{PerplexityOptions, PerplexityReport, PerplexityTold};
use napi::bindgen_prelude::AsyncTask;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;

use crate::cancel::Cancel;
use crate::failure::{Failure, MemoryPart, parts, whole};
use crate::request::{GenerateRequest, choices};
use crate::spent::{PhaseDone, ReadsDone, phase, reads};

/// What to score.
#[napi(object)]
pub struct PerplexityRequest {
    /// How it runs; of its prompt, tokens and sampling nothing is used.
    pub run: GenerateRequest,
    /// The text.
    pub text: String,
    /// Tokens of a window.
    pub window: f64,
    /// Windows at most; absent: all.
    pub windows: Option<f64>,
}

/// What happened: the model is loaded (`done` 0), or another window is scored.
#[napi(object)]
pub struct PerplexityStep {
    /// Windows scored.
    pub done: f64,
    /// All of them; 0 while that is not known.
    pub of: f64,
}

/// What came of it.
#[napi(object)]
pub struct PerplexityDone {
    /// Of the file.
    pub architecture: String,
    /// `silu`, `relu` or `drelu`.
    pub activation: String,
    /// `gguf` or `packed`.
    pub file: String,
    /// How most weights are stored.
    pub weights: String,
    /// Where and how FFNs were computed.
    pub ffn: String,
    /// `lossless`, or of `requantised` and `predicted` those that hold.
    pub labels: Vec<String>,
    /// Kernels and threads.
    pub kernels: String,
    /// See `kernels`.
    pub threads: u32,
    /// Tokens of the text, windows, and tokens scored.
    pub tokens: f64,
    /// See `tokens`.
    pub windows: f64,
    /// See `tokens`.
    pub scored: f64,
    /// Of the scored tokens.
    pub perplexity: f64,
    /// Of the perplexity.
    pub standard_error: f64,
    /// Mean of -ln p of each window.
    pub window_losses: Vec<f64>,
    /// All windows.
    pub spent: PhaseDone,
    /// Share of neurons that were predicted, where a predictor decided; and the share of those that would have fired that were,
    /// where that was audited.
    pub predicted: Option<f64>,
    /// See `predicted`.
    pub recall: Option<f64>,
    /// Reads, where FFNs are on flash.
    pub reads: Option<ReadsDone>,
    /// The limit of memory.
    pub memory: Option<f64>,
    /// What is always held.
    pub fixed: Vec<MemoryPart>,
    /// FFNs in memory, or what of them can be.
    pub ffn_bytes: f64,
    /// The most that the process ever held.
    pub peak_resident: Option<f64>,
}

type Steps = ThreadsafeFunction<PerplexityStep, (), PerplexityStep, napi::Status, false>;

/// The work.
pub struct PerplexityTask {
    request: PerplexityRequest,
    cancel: Cancel,
    steps: Steps,
}

fn done(report: PerplexityReport) -> PerplexityDone {
    let facts = report.facts;
    let text = str::to_owned;
    PerplexityDone {
        architecture: text(facts.architecture),
        activation: text(report.activation.name()),
        file: text(facts.file),
        weights: text(facts.weights.kind),
        ffn: text(facts.ffn),
        labels: facts.labels.iter().map(|&label| text(label)).collect(),
        kernels: text(facts.kernels),
        threads: facts.threads as u32,
        tokens: report.tokens as f64,
        windows: report.windows as f64,
        scored: report.scored as f64,
        perplexity: report.perplexity,
        standard_error: report.standard_error,
        window_losses: report.losses,
        spent: phase(&report.spent),
        predicted: report.predicted.map(|predicted| predicted.share),
        recall: report.predicted.and_then(|predicted| predicted.recall),
        reads: report.flash.map(reads),
        memory: facts.budget.limit.map(|bytes| bytes as f64),
        fixed: parts(&facts.budget.fixed),
        ffn_bytes: facts.budget.ffn as f64,
        peak_resident: report.peak_resident.map(|bytes| bytes as f64),
    }
}

impl PerplexityTask {
    fn work(&self) -> Result<PerplexityDone, Failure> {
        let request = &self.request;
        let options = choices(&request.run)?;
        let what = PerplexityOptions {
            window: whole("window", request.window, 1, 1 << 24)? as usize,
            windows: request
                .windows
                .map(|windows| whole("windows", windows, 1, 1 << 32))
                .transpose()?
                .map(|windows| windows as usize),
            ..PerplexityOptions::new(&request.text)
        };
        let report = generate::perplexity(&options, &what, &mut |told| {
            let step = match told {
                PerplexityTold::Loaded => Some((0, 0)),
                PerplexityTold::Ran => None,
                PerplexityTold::Window { done, of, .. } => Some((done, of)),
            };
            if let Some((done, of)) = step {
                let step = PerplexityStep {
                    done: done as f64,
                    of: of as f64,
                };
                // A caller that is gone hears nothing, and that is no fault.
                let _ = self.steps.call(step, ThreadsafeFunctionCallMode::NonBlocking);
            }
            match self.cancel.is_set() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        Ok(done(report?))
    }
}

task!(PerplexityTask, PerplexityDone, PerplexityOutcome);

/// Scores a text; `steps` hears of windows.
#[napi]
pub fn perplexity(request: PerplexityRequest, cancel: &Cancel, steps: Steps) -> AsyncTask<PerplexityTask> {
    AsyncTask::new(PerplexityTask {
        request,
        cancel: cancel.clone(),
        steps,
    })
}
