//! A model and a prompt to a text.

use std::ops::ControlFlow;

use generate::{Report, Stop, Told};
use napi::bindgen_prelude::AsyncTask;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;

use crate::adapting::{DecisionDone, decision};
use crate::cancel::Cancel;
use crate::failure::{Failure, MemoryPart, parts};
use crate::memory::{MemoryPhases, phases};
use crate::planned::{ModelShapeDone, model_shape};
use crate::request::{GenerateRequest, choices};
use crate::spent::{PhaseDone, ReadsDone, ns, phase, reads};
use crate::timeline::{TimelineDone, timeline};

/// What happened.
#[napi(object)]
pub struct GenerateStep {
    /// `loaded`, `prompt` or `text`.
    pub what: String,
    /// Tokens of the prompt read so far, of so many.
    pub done: u32,
    /// See `done`.
    pub of: u32,
    /// Text that is complete with a token.
    pub text: String,
}

/// What a run was and what it cost.
#[napi(object)]
pub struct GenerateDone {
    /// Of the file.
    pub architecture: String,
    /// Of its model.
    pub shape: ModelShapeDone,
    /// `gguf` or `packed`.
    pub file: String,
    /// Where and how FFNs were computed.
    pub ffn: String,
    /// `lossless`, or of `requantised` and `predicted` those that hold.
    pub labels: Vec<String>,
    /// Kernels and threads.
    pub kernels: String,
    /// See `kernels`.
    pub threads: u32,
    /// Loading.
    pub load_ns: f64,
    /// Tokens of the prompt, and a second.
    pub prompt_tokens: u32,
    /// See `prompt_tokens`.
    pub prompt_rate: f64,
    /// Reading the prompt.
    pub prompt: PhaseDone,
    /// Forward passes a second while generating; absent where there was none.
    pub decode_rate: Option<f64>,
    /// Generating.
    pub decode: PhaseDone,
    /// The tokens, and what each took. The first is chosen from the prompt's logits.
    pub tokens: Vec<u32>,
    /// See `tokens`.
    pub token_ns: Vec<f64>,
    /// The text.
    pub text: String,
    /// `length`, `end`, `context` or `cancelled`.
    pub stop: String,
    /// Share of neurons that fired in generated tokens.
    pub fired: Option<f64>,
    /// Share of neurons that were predicted in generated tokens, where a predictor decided; and the share of those that
    /// would have fired that were, where that was audited.
    pub predicted: Option<f64>,
    /// See `predicted`.
    pub recall: Option<f64>,
    /// Reads, where FFNs are on flash.
    pub reads: Option<ReadsDone>,
    /// The limit of memory.
    pub memory: Option<f64>,
    /// What is always held.
    pub fixed: Vec<MemoryPart>,
    /// FFNs in memory, or what of them can be; of that, the two segments.
    pub ffn_bytes: f64,
    /// See `ffn_bytes`.
    pub hot: f64,
    /// See `ffn_bytes`.
    pub cold: f64,
    /// How memory is divided in each phase, where FFNs are on flash; `hot` and `cold` are those of decode.
    pub phases: Option<MemoryPhases>,
    /// The most that the process ever held.
    pub peak_resident: Option<f64>,
    /// Seed of the draws.
    pub seed: f64,
    /// What was decided between tokens, where that was asked for.
    pub adaptation: Option<Vec<DecisionDone>>,
    /// What happened when, of a run that was traced.
    pub timeline: Option<TimelineDone>,
}

type Steps = ThreadsafeFunction<GenerateStep, (), GenerateStep, napi::Status, false>;

/// The work.
pub struct GenerateTask {
    request: GenerateRequest,
    cancel: Cancel,
    steps: Steps,
}

fn done(report: Report) -> GenerateDone {
    let text = str::to_owned;
    GenerateDone {
        architecture: text(report.architecture),
        shape: model_shape(&report.shape),
        file: text(report.file),
        ffn: text(report.ffn),
        labels: report.labels.iter().map(|&label| text(label)).collect(),
        kernels: text(report.kernels),
        threads: report.threads as u32,
        load_ns: ns(report.load),
        prompt_tokens: report.prompt_tokens as u32,
        prompt_rate: report.prompt_rate(),
        prompt: phase(&report.prompt),
        decode_rate: report.decode_rate(),
        decode: phase(&report.decode),
        tokens: report.rows.iter().map(|row| row.token).collect(),
        token_ns: report.rows.iter().map(|row| ns(row.took)).collect(),
        stop: text(match report.stop {
            Stop::Length => "length",
            Stop::End => "end",
            Stop::ContextFull => "context",
            Stop::Cancelled => "cancelled",
        }),
        fired: report.fired,
        predicted: report.predicted.map(|predicted| predicted.share),
        recall: report.predicted.and_then(|predicted| predicted.recall),
        reads: report.flash.map(reads),
        memory: report.budget.limit.map(|bytes| bytes as f64),
        fixed: parts(&report.budget.fixed),
        ffn_bytes: report.budget.ffn as f64,
        hot: report.budget.decode.hot as f64,
        cold: report.budget.decode.cold as f64,
        phases: phases(&report.budget),
        peak_resident: report.peak_resident.map(|bytes| bytes as f64),
        seed: report.seed as f64,
        adaptation: report.adaptation.map(|decisions| decisions.iter().map(decision).collect()),
        timeline: report.timeline.as_ref().map(timeline),
        text: report.text,
    }
}

impl GenerateTask {
    fn work(&self) -> Result<GenerateDone, Failure> {
        let options = choices(&self.request)?;
        let report = generate::run(&options, &mut |told| {
            let (what, done, of, text) = match told {
                Told::Loaded => ("loaded", 0, 0, ""),
                Told::Prompt { done, of } => ("prompt", done, of, ""),
                Told::Text(text) => ("text", 0, 0, text),
            };
            if what != "text" || !text.is_empty() {
                let step = GenerateStep {
                    what: what.to_owned(),
                    done: done as u32,
                    of: of as u32,
                    text: text.to_owned(),
                };
                // A caller that is gone hears nothing, and that is no fault.
                let _ = self.steps.call(step, ThreadsafeFunctionCallMode::NonBlocking);
            }
            if self.cancel.is_set() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        Ok(done(report?))
    }
}

task!(GenerateTask, GenerateDone, GenerateOutcome);

/// Generates; `steps` hears of everything as it comes.
#[napi]
pub fn generate(request: GenerateRequest, cancel: &Cancel, steps: Steps) -> AsyncTask<GenerateTask> {
    AsyncTask::new(GenerateTask {
        request,
        cancel: cancel.clone(),
        steps,
    })
}
