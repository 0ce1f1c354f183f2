//! A model and a prompt to a text.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use generate::{
    BackendChoice, FfnChoice, FlashUse, GateReads, Granularity, Options, Overlap, PlannedModel, PolicyKind, Report,
    SamplerOptions, Stop, Told,
};
use napi::bindgen_prelude::AsyncTask;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;

use crate::adapting::{AdaptRequest, DecisionDone, SlowRequest, adapt, decision, slow};
use crate::cancel::Cancel;
use crate::failure::{Failure, MemoryPart, among, parts, threads, whole};
use crate::memory::{MemoryPhases, phases};
use crate::shape::{ShapeRequest, ShapedDone, shape, shaped};
use crate::timeline::{TimelineDone, timeline};

/// What to generate, and how. Sizes in bytes.
#[napi(object)]
pub struct GenerateRequest {
    /// A GGUF file or a packed one.
    pub model: String,
    /// The text that is continued.
    pub prompt: String,
    /// At most so many tokens.
    pub tokens: f64,
    /// What the whole process may hold; absent: everything in memory.
    pub memory: Option<f64>,
    /// Sizes of the hot and the cold segment; absent: as much as there is.
    pub hot: Option<f64>,
    /// See `hot`.
    pub cold: Option<f64>,
    /// Compute threads; absent: one for each core.
    pub threads: Option<f64>,
    /// Cores to bind compute threads to, one for each; absent binds none.
    pub cores: Option<Vec<f64>>,
    /// The core of threads that only read.
    pub io_core: Option<f64>,
    /// Another device's flash; absent: this disk as it is.
    pub shape: Option<ShapeRequest>,
    /// `lanes` or `io_uring`.
    pub backend: String,
    /// Lanes, or reads in flight.
    pub reads: f64,
    /// Clusters in flight.
    pub depth: f64,
    /// Neurons of a cluster.
    pub cluster: f64,
    /// What leaves the cold segment first.
    pub policy: String,
    /// `tensor`, `expert`, `matrix`, `cluster` or `neuron`.
    pub granularity: String,
    /// `none`, `matrix` or `cluster`.
    pub overlap: String,
    /// `apart`, `joined` or `bundles`.
    pub gates: String,
    /// `auto`, `dense` or `sparse`.
    pub ffn: String,
    /// A predictor's file; absent: lossless.
    pub predictor: Option<String>,
    /// Whether what the predictor misses is counted.
    pub audit: bool,
    /// The modelled storage becomes slower; absent: it does not.
    pub slow: Option<SlowRequest>,
    /// What can change between tokens does; absent: nothing does.
    pub adapt: Option<AdaptRequest>,
    /// 0 takes the likeliest token.
    pub temperature: f64,
    /// 0 keeps all.
    pub top_k: f64,
    /// 1 keeps all.
    pub top_p: f64,
    /// Of all draws.
    pub seed: f64,
    /// Whether a token that ends a text ends generation.
    pub stop_at_end: bool,
    /// Whether the report has a timeline.
    pub trace: bool,
    /// The model that the plan was made for; absent: not known.
    pub planned: Option<PlannedRequest>,
}

/// The shape of a model.
#[napi(object)]
pub struct PlannedRequest {
    /// As the plan names it.
    pub name: String,
    /// How many.
    pub layers: f64,
    /// Width of the residual stream.
    pub hidden: f64,
    /// Of an expert, or of the FFN.
    pub neurons: f64,
    /// Of a layer; 1 in a dense model.
    pub experts: f64,
}

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

/// Reading the prompt, or generating. Times in nanoseconds.
#[napi(object)]
pub struct PhaseDone {
    /// All of it.
    pub ns: f64,
    /// The part inside the FFNs.
    pub ffn_ns: f64,
    /// Time in reads, the mean over lanes.
    pub disk_ns: f64,
    /// Bytes read from the disk.
    pub disk_bytes: f64,
    /// Clusters of gate rows looked for and missed, units of up and down looked for and missed.
    pub gate_look_ups: f64,
    /// See `gate_look_ups`.
    pub gate_misses: f64,
    /// Of the gates missed, those on their way before attention.
    pub gates_announced: f64,
    /// See `gate_look_ups`.
    pub look_ups: f64,
    /// See `gate_look_ups`.
    pub misses: f64,
}

/// How reads went. Times in nanoseconds.
#[napi(object)]
pub struct ReadsDone {
    /// What served them.
    pub backend: String,
    /// How many.
    pub count: f64,
    /// Half took at most so long.
    pub p50_ns: f64,
    /// 99 % took at most so long.
    pub p99_ns: f64,
    /// The most bytes of buffers that reads held at once.
    pub peak_buffer_bytes: f64,
    /// What a modelled device did to them.
    pub shaped: Option<ShapedDone>,
}

/// What a run was and what it cost.
#[napi(object)]
pub struct GenerateDone {
    /// Of the file.
    pub architecture: String,
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

/// One of the two.
#[napi(object)]
pub struct GenerateOutcome {
    /// It went wrong.
    pub failure: Option<Failure>,
    /// It went well.
    pub report: Option<GenerateDone>,
}

type Steps = ThreadsafeFunction<GenerateStep, (), GenerateStep, napi::Status, false>;

/// The work.
pub struct GenerateTask {
    request: GenerateRequest,
    cancel: Cancel,
    steps: Steps,
}

const LARGEST_SIZE: u64 = 1 << 52;
const LARGEST_CORE: u64 = 1023;

fn planned(request: &PlannedRequest) -> Result<PlannedModel, Failure> {
    let count = |value: f64| Ok::<_, Failure>(whole("plan", value, 1, 1 << 24)? as usize);
    Ok(PlannedModel {
        name: request.name.clone(),
        layers: count(request.layers)?,
        hidden: count(request.hidden)?,
        neurons: count(request.neurons)?,
        experts: count(request.experts)?,
    })
}

pub(crate) fn choices(request: &GenerateRequest) -> Result<Options, Failure> {
    let size = |name: &str, value: Option<f64>| value.map(|bytes| whole(name, bytes, 0, LARGEST_SIZE)).transpose();
    let count = |name: &str, value: f64, high: u64| whole(name, value, 1, high);
    let reads = count("reads", request.reads, 1024)? as u32;
    let overlaps = [Overlap::Nothing, Overlap::Matrix, Overlap::Cluster];
    let ffns = [FfnChoice::Auto, FfnChoice::Dense, FfnChoice::Sparse];
    // Belady's needs the future.
    let policies: Vec<PolicyKind> = PolicyKind::ALL
        .into_iter()
        .filter(|&policy| policy != PolicyKind::Belady)
        .collect();
    Ok(Options {
        tokens: count("tokens", request.tokens, 1 << 24)? as usize,
        memory: size("memory", request.memory)?,
        segments: size("hot", request.hot)?.zip(size("cold", request.cold)?),
        threads: threads(request.threads)?,
        cores: request
            .cores
            .iter()
            .flatten()
            .map(|&core| Ok(whole("pin", core, 0, LARGEST_CORE)? as usize))
            .collect::<Result<_, Failure>>()?,
        io_core: request
            .io_core
            .map(|core| whole("pin-io", core, 0, LARGEST_CORE))
            .transpose()?
            .map(|core| core as usize),
        shape: request.shape.as_ref().map(shape).transpose()?,
        backend: match request.backend.as_str() {
            "lanes" => BackendChoice::Lanes(reads),
            "io_uring" => BackendChoice::Uring(reads),
            other => {
                return Err(Failure::argument(
                    "backend",
                    format!("should be lanes or io_uring, got {other}"),
                ));
            }
        },
        slow: request.slow.as_ref().map(slow).transpose()?,
        adapt: request.adapt.as_ref().map(adapt).transpose()?,
        depth: count("depth", request.depth, 4096)? as u32,
        cluster_neurons: count("cluster", request.cluster, 1 << 20)? as u32,
        policy: among("policy", &request.policy, &policies, |policy| policy.name())?,
        granularity: among("granularity", &request.granularity, &Granularity::ALL, |granularity| {
            granularity.name()
        })?,
        overlap: among("overlap", &request.overlap, &overlaps, |overlap| overlap.name())?,
        gates: among("gates", &request.gates, &GateReads::ALL, |gates| gates.name())?,
        ffn: among("ffn", &request.ffn, &ffns, FfnChoice::name)?,
        predictor: request.predictor.as_ref().map(PathBuf::from),
        audit: request.audit,
        sampler: SamplerOptions {
            temperature: request.temperature as f32,
            top_k: whole("top-k", request.top_k, 0, 1 << 24)? as usize,
            top_p: request.top_p as f32,
            seed: whole("seed", request.seed, 0, LARGEST_SIZE)?,
            ..SamplerOptions::default()
        },
        stop_at_end: request.stop_at_end,
        trace: request.trace,
        planned: request.planned.as_ref().map(planned).transpose()?,
        ..Options::new(&request.model, &request.prompt)
    })
}

pub(crate) fn ns(time: Duration) -> f64 {
    time.as_nanos() as f64
}

pub(crate) fn phase(of: &generate::Phase) -> PhaseDone {
    PhaseDone {
        ns: ns(of.took),
        ffn_ns: ns(of.ffn),
        disk_ns: ns(of.disk_busy),
        disk_bytes: of.disk_bytes as f64,
        gate_look_ups: of.counters.gate_look_ups as f64,
        gate_misses: of.counters.gate_misses as f64,
        gates_announced: of.counters.gates_announced as f64,
        look_ups: of.counters.look_ups as f64,
        misses: of.counters.misses as f64,
    }
}

pub(crate) fn reads(of: FlashUse) -> ReadsDone {
    ReadsDone {
        backend: of.backend,
        count: of.reads as f64,
        p50_ns: ns(of.p50),
        p99_ns: ns(of.p99),
        peak_buffer_bytes: of.peak_buffer_bytes as f64,
        shaped: of.shaped.map(shaped),
    }
}

fn done(report: Report) -> GenerateDone {
    let text = str::to_owned;
    GenerateDone {
        architecture: text(report.architecture),
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
