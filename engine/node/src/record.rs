//! What fires in a model while it reads and continues a text.

use generate::{Blame, SamplerOptions, available, blame_of_model, blame_of_writing};
use napi::bindgen_prelude::AsyncTask;
use napi_derive::napi;
use trace::{RecordOptions, TraceError, record as run};

use crate::cancel::Cancel;
use crate::failure::{Failure, threads, whole};
use crate::synth::{Steps, teller};

/// What to record, and where.
#[napi(object)]
pub struct RecordRequest {
    /// A GGUF file.
    pub model: String,
    /// The trace.
    pub out: String,
    /// The text.
    pub prompt: String,
    /// Tokens of a piece that the text is read in; absent: the whole text is one.
    pub window: Option<f64>,
    /// Tokens of its continuation, at most.
    pub tokens: f64,
    /// Whether a token that ends a text ends it.
    pub stop_at_end: bool,
    /// 0 takes the likeliest token.
    pub temperature: f64,
    /// Of the draws.
    pub seed: f64,
    /// Threads; absent: one for each core.
    pub threads: Option<f64>,
}

/// What was recorded.
#[napi(object)]
pub struct RecordDone {
    /// Of the file.
    pub name: String,
    /// Of the file.
    pub architecture: String,
    /// `silu`, `relu` or `drelu`.
    pub activation: String,
    /// Sizes.
    pub layers: u32,
    /// See `layers`.
    pub hidden: u32,
    /// See `layers`.
    pub neurons: u32,
    /// See `layers`.
    pub heads: u32,
    /// See `layers`.
    pub kv_heads: u32,
    /// See `layers`.
    pub experts: u32,
    /// See `layers`.
    pub experts_used: u32,
    /// See `layers`.
    pub vocabulary: u32,
    /// Tokens of the prompt and of the continuation.
    pub prompt_tokens: u32,
    /// See `prompt_tokens`.
    pub generated: u32,
    /// The continuation.
    pub text: String,
    /// Share of the neurons of used experts that fired.
    pub share: Option<f64>,
    /// The trace's length.
    pub bytes: f64,
}

impl From<TraceError> for Failure {
    fn from(error: TraceError) -> Self {
        let blame = match &error {
            TraceError::Io { source, .. } => blame_of_writing(source),
            TraceError::Model(error) => blame_of_model(error),
            TraceError::Text(_) | TraceError::Input { .. } => Blame::Input,
            TraceError::DoesNotFit { .. } => Blame::DoesNotFit,
            TraceError::Cancelled => Blame::Cancelled,
            _ => Blame::Fault,
        };
        let failure = Self::new(blame, error.to_string());
        match error {
            TraceError::Input { name, what } => Self::argument(name, what),
            TraceError::DoesNotFit { needed, allowed } => Self {
                needed: Some(needed as f64),
                allowed: Some(allowed as f64),
                ..failure
            },
            _ => failure,
        }
    }
}

/// The work.
pub struct RecordTask {
    request: RecordRequest,
    cancel: Cancel,
    steps: Steps,
}

impl RecordTask {
    fn work(&self) -> Result<RecordDone, Failure> {
        let request = &self.request;
        let options = RecordOptions {
            model: request.model.as_str().into(),
            out: request.out.as_str().into(),
            prompt: request.prompt.clone(),
            window: request
                .window
                .map(|window| whole("window", window, 1, 1 << 24))
                .transpose()?
                .map(|window| window as usize),
            tokens: whole("tokens", request.tokens, 0, 1 << 24)? as usize,
            stop_at_end: request.stop_at_end,
            sampler: SamplerOptions {
                temperature: request.temperature as f32,
                seed: whole("seed", request.seed, 0, 1 << 52)?,
                ..SamplerOptions::default()
            },
            threads: threads(request.threads)?,
            memory: available(),
        };
        if !options.model.exists() {
            return Err(Failure::new(Blame::Input, "there is no such file"));
        }
        let report = run(&options, &mut teller(&self.cancel, &self.steps))?;
        let config = &report.config;
        Ok(RecordDone {
            name: report.shape.name,
            architecture: config.architecture.name().to_owned(),
            activation: config.activation.name().to_owned(),
            layers: config.layers as u32,
            hidden: config.hidden as u32,
            neurons: config.neurons as u32,
            heads: config.heads as u32,
            kv_heads: config.kv_heads as u32,
            experts: config.experts as u32,
            experts_used: config.experts_used as u32,
            vocabulary: config.vocabulary as u32,
            prompt_tokens: report.prompt_tokens as u32,
            generated: report.generated as u32,
            text: report.text,
            share: report.share,
            bytes: report.bytes as f64,
        })
    }
}

task!(RecordTask, RecordDone, RecordOutcome);

/// Records; `steps` hears of tokens.
#[napi]
pub fn record(request: RecordRequest, cancel: &Cancel, steps: Steps) -> AsyncTask<RecordTask> {
    AsyncTask::new(RecordTask {
        request,
        cancel: cancel.clone(),
        steps,
    })
}
