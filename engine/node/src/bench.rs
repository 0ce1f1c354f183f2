//! The tests of llama-bench.

use std::ops::ControlFlow;
use std::time::{Duration, UNIX_EPOCH};

use generate::{BenchOptions, BenchReport, BenchTest, BenchTold};
use napi::bindgen_prelude::AsyncTask;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;

use crate::cancel::Cancel;
use crate::failure::{Failure, MemoryPart, parts, whole};
use crate::memory::{MemoryPhases, phases};
use crate::request::{GenerateRequest, choices};
use crate::spent::{PhaseDone, ReadsDone, ns, phase, reads};

/// What to measure.
#[napi(object)]
pub struct BenchRequest {
    /// How it runs; of its prompt, tokens and sampling nothing is used.
    pub run: GenerateRequest,
    /// Tokens of each prompt test; they come first.
    pub prompts: Vec<f64>,
    /// Tokens of each generation test.
    pub generations: Vec<f64>,
    /// Of each test.
    pub repetitions: f64,
    /// Whether each test is run once unmeasured.
    pub warm_up: bool,
}

/// What happened: the model is loaded (`done` 0), or repetitions are measured.
#[napi(object)]
pub struct BenchStep {
    /// Repetitions of all tests so far.
    pub done: f64,
}

/// One test.
#[napi(object)]
pub struct BenchTestDone {
    /// Tokens read as one prompt, or 0.
    pub prompt: u32,
    /// Tokens generated one by one, or 0.
    pub generation: u32,
    /// When it began: milliseconds since 1970.
    pub started: f64,
    /// Nanoseconds of each repetition.
    pub samples: Vec<f64>,
    /// All of them together.
    pub spent: PhaseDone,
}

/// What was measured.
#[napi(object)]
pub struct BenchDone {
    /// Of the file.
    pub architecture: String,
    /// `gguf` or `packed`.
    pub file: String,
    /// Weights: how many, their bytes, and how most are stored.
    pub parameters: f64,
    /// See `parameters`.
    pub weight_bytes: f64,
    /// See `parameters`.
    pub weights: String,
    /// Where and how FFNs were computed.
    pub ffn: String,
    /// `lossless` or `requantised`.
    pub labels: Vec<String>,
    /// Kernels and threads.
    pub kernels: String,
    /// See `kernels`.
    pub threads: u32,
    /// Loading.
    pub load_ns: f64,
    /// In the order asked for.
    pub tests: Vec<BenchTestDone>,
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
}

type Steps = ThreadsafeFunction<BenchStep, (), BenchStep, napi::Status, false>;

/// The work.
pub struct BenchTask {
    request: BenchRequest,
    cancel: Cancel,
    steps: Steps,
}

fn what(request: &BenchRequest) -> Result<BenchOptions, Failure> {
    let tokens = |name: &str, all: &[f64]| {
        all.iter()
            .map(|&tokens| Ok(whole(name, tokens, 1, 1 << 20)? as usize))
            .collect::<Result<Vec<_>, Failure>>()
    };
    let prompts = tokens("n-prompt", &request.prompts)?.into_iter().map(BenchTest::Prompt);
    let generations = tokens("n-gen", &request.generations)?.into_iter().map(BenchTest::Generation);
    Ok(BenchOptions {
        tests: prompts.chain(generations).collect(),
        repetitions: whole("repetitions", request.repetitions, 1, 1 << 16)? as usize,
        warm_up: request.warm_up,
        seed: whole("seed", request.run.seed, 0, 1 << 52)?,
    })
}

fn done(report: BenchReport) -> BenchDone {
    let facts = report.facts;
    let text = str::to_owned;
    BenchDone {
        architecture: text(facts.architecture),
        file: text(facts.file),
        parameters: facts.weights.count as f64,
        weight_bytes: facts.weights.bytes as f64,
        weights: text(facts.weights.kind),
        ffn: text(facts.ffn),
        labels: facts.labels.iter().map(|&label| text(label)).collect(),
        kernels: text(facts.kernels),
        threads: facts.threads as u32,
        load_ns: ns(facts.load),
        tests: report
            .results
            .iter()
            .map(|result| {
                let (prompt, generation) = match result.test {
                    BenchTest::Prompt(tokens) => (tokens as u32, 0),
                    BenchTest::Generation(tokens) => (0, tokens as u32),
                };
                let started = result.started.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
                BenchTestDone {
                    prompt,
                    generation,
                    started: started.as_millis() as f64,
                    samples: result.samples.iter().map(|&took| ns(took)).collect(),
                    spent: phase(&result.spent),
                }
            })
            .collect(),
        reads: report.flash.map(reads),
        memory: facts.budget.limit.map(|bytes| bytes as f64),
        fixed: parts(&facts.budget.fixed),
        ffn_bytes: facts.budget.ffn as f64,
        hot: facts.budget.decode.hot as f64,
        cold: facts.budget.decode.cold as f64,
        phases: phases(&facts.budget),
        peak_resident: report.peak_resident.map(|bytes| bytes as f64),
    }
}

impl BenchTask {
    fn work(&self) -> Result<BenchDone, Failure> {
        let (options, what) = (choices(&self.request.run)?, what(&self.request)?);
        let report = generate::bench(&options, &what, &mut |told| {
            let done = match told {
                BenchTold::Loaded => Some(0),
                BenchTold::Ran => None,
                BenchTold::Measured { test, done } => Some(test * what.repetitions + done),
            };
            if let Some(done) = done {
                // A caller that is gone hears nothing, and that is no fault.
                let _ = self
                    .steps
                    .call(BenchStep { done: done as f64 }, ThreadsafeFunctionCallMode::NonBlocking);
            }
            match self.cancel.is_set() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        Ok(done(report?))
    }
}

task!(BenchTask, BenchDone, BenchOutcome);

/// Measures; `steps` hears of repetitions.
#[napi]
pub fn bench(request: BenchRequest, cancel: &Cancel, steps: Steps) -> AsyncTask<BenchTask> {
    AsyncTask::new(BenchTask {
        request,
        cancel: cancel.clone(),
        steps,
    })
}
