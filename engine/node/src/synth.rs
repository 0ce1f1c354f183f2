//! Models made up.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use generate::{Blame, blame_of_gguf, blame_of_model, blame_of_written_gguf};
use model::{Activation, Architecture};
use napi::bindgen_prelude::AsyncTask;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use neuron::Format;
use synth::{Progress, Shape, Statistics, SynthError, SynthSpec, write_told};

use crate::cancel::Cancel;
use crate::failure::{Failure, among, threads, whole};

/// What to make up, and where.
#[napi(object)]
pub struct SynthRequest {
    /// The GGUF file.
    pub out: String,
    /// `general.name`.
    pub name: String,
    /// `llama` or `smallthinker`.
    pub architecture: String,
    /// `silu`, `relu` or `drelu`.
    pub activation: String,
    /// `f32`, `f16`, `q8_0` or `q4_0`.
    pub weights: String,
    /// Sizes, as of `synth::Shape`.
    pub hidden: f64,
    /// See `hidden`.
    pub neurons: f64,
    /// See `hidden`.
    pub layers: f64,
    /// See `hidden`.
    pub heads: f64,
    /// See `hidden`.
    pub kv_heads: f64,
    /// See `hidden`.
    pub head_dim: f64,
    /// See `hidden`.
    pub experts: f64,
    /// See `hidden`.
    pub experts_used: f64,
    /// See `hidden`.
    pub vocabulary: f64,
    /// See `hidden`.
    pub context: f64,
    /// Statistics, as of `synth::Statistics`.
    pub share: f64,
    /// As `Skew` reads it: a name, an exponent or points.
    pub skew: String,
    /// See `share`.
    pub overlap: f64,
    /// See `share`.
    pub repeat: Option<f64>,
    /// See `share`.
    pub up_share: f64,
    /// See `share`; absent: random gates.
    pub gate_rank: Option<f64>,
    /// The same seed, the same bytes.
    pub seed: f64,
    /// Threads; absent: one for each core.
    pub threads: Option<f64>,
}

/// Where the work is: bytes written or tokens run.
#[napi(object)]
pub struct SynthStep {
    /// So many are done.
    pub done: f64,
    /// Of so many.
    pub total: f64,
}

/// What was written.
#[napi(object)]
pub struct SynthDone {
    /// The file's length.
    pub bytes: f64,
    /// Seconds.
    pub seconds: f64,
}

pub(crate) type Steps = ThreadsafeFunction<SynthStep, (), SynthStep, napi::Status, false>;

/// Steps are told no more often than a terminal is worth.
const BETWEEN_STEPS: Duration = Duration::from_millis(50);

/// Tells steps now and then, and stops what is cancelled.
pub(crate) fn teller<'a>(cancel: &'a Cancel, steps: &'a Steps) -> impl FnMut(Progress) -> ControlFlow<()> + 'a {
    let mut told: Option<Instant> = None;
    move |progress| {
        if cancel.is_set() {
            return ControlFlow::Break(());
        }
        if told.is_none_or(|at| at.elapsed() >= BETWEEN_STEPS) || progress.done == progress.total {
            told = Some(Instant::now());
            let step = SynthStep {
                done: progress.done as f64,
                total: progress.total as f64,
            };
            // A caller that is gone hears nothing, and that is no fault.
            let _ = steps.call(step, ThreadsafeFunctionCallMode::NonBlocking);
        }
        ControlFlow::Continue(())
    }
}

impl From<SynthError> for Failure {
    fn from(error: SynthError) -> Self {
        let blame = match &error {
            SynthError::Spec { .. } | SynthError::NotMadeHere => Blame::Input,
            SynthError::Gguf(error) => blame_of_gguf(error),
            SynthError::Writing(error) => blame_of_written_gguf(error),
            SynthError::Model(error) => blame_of_model(error),
            SynthError::DoesNotFit { .. } => Blame::DoesNotFit,
            SynthError::Cancelled => Blame::Cancelled,
            _ => Blame::Fault,
        };
        let failure = Self::new(blame, error.to_string());
        match error {
            SynthError::Writing(_) if blame == Blame::Input => Self {
                argument: Some("out".to_owned()),
                ..failure
            },
            SynthError::DoesNotFit { needed, allowed } => Self {
                needed: Some(needed as f64),
                allowed: Some(allowed as f64),
                ..failure
            },
            _ => failure,
        }
    }
}

fn spec(request: &SynthRequest) -> Result<SynthSpec, Failure> {
    let size = |name: &str, value: f64| Ok::<_, Failure>(whole(name, value, 1, 1 << 24)? as usize);
    let architectures = [Architecture::Llama, Architecture::SmallThinker];
    let activations = [Activation::Silu, Activation::Relu, Activation::DoubleRelu];
    Ok(SynthSpec {
        name: request.name.clone(),
        architecture: among("arch", &request.architecture, &architectures, Architecture::name)?,
        activation: among("activation", &request.activation, &activations, Activation::name)?,
        format: Format::ALL
            .into_iter()
            .find(|format| format.name().eq_ignore_ascii_case(&request.weights))
            .ok_or_else(|| {
                Failure::argument(
                    "weights",
                    format!("should be f32, f16, q8_0 or q4_0, got {}", request.weights),
                )
            })?,
        shape: Shape {
            hidden: size("hidden", request.hidden)?,
            neurons: size("neurons", request.neurons)?,
            layers: size("layers", request.layers)?,
            heads: size("heads", request.heads)?,
            kv_heads: size("kv-heads", request.kv_heads)?,
            head_dim: size("head-dim", request.head_dim)?,
            experts: size("experts", request.experts)?,
            experts_used: size("used", request.experts_used)?,
            vocabulary: size("vocabulary", request.vocabulary)?,
            context: size("context", request.context)?,
        },
        statistics: Statistics {
            share: request.share,
            skew: request
                .skew
                .parse()
                .map_err(|error: SynthError| Failure::argument("skew", error.to_string()))?,
            overlap: request.overlap,
            repeat: request.repeat,
            up_share: request.up_share,
            gate_rank: request.gate_rank.map(|rank| size("gate-rank", rank)).transpose()?,
        },
        seed: whole("seed", request.seed, 0, 1 << 52)?,
    })
}

/// The work of writing.
pub struct SynthTask {
    request: SynthRequest,
    cancel: Cancel,
    steps: Steps,
}

impl SynthTask {
    fn work(&self) -> Result<SynthDone, Failure> {
        let (spec, threads) = (spec(&self.request)?, threads(self.request.threads)?);
        let begun = Instant::now();
        let written = write_told(
            &spec,
            Path::new(&self.request.out),
            threads,
            &mut teller(&self.cancel, &self.steps),
        )?;
        Ok(SynthDone {
            bytes: written.bytes as f64,
            seconds: begun.elapsed().as_secs_f64(),
        })
    }
}

task!(SynthTask, SynthDone, SynthOutcome);

/// Writes a model that is made up; `steps` hears of bytes.
#[napi]
pub fn synth(request: SynthRequest, cancel: &Cancel, steps: Steps) -> AsyncTask<SynthTask> {
    AsyncTask::new(SynthTask {
        request,
        cancel: cancel.clone(),
        steps,
    })
}
