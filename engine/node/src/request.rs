//! How a model is to be run: what is typed, as the engine takes it. Shared by all that run one.

use std::path::PathBuf;

use generate::{BackendChoice, FfnChoice, GateReads, Granularity, KvFormat, Options, Overlap, PolicyKind, SamplerOptions};
use napi_derive::napi;

use crate::adapting::{AdaptRequest, SlowRequest, adapt, slow};
use crate::failure::{Failure, among, threads, whole};
use crate::planned::{PlannedRequest, planned};
use crate::shape::{ShapeRequest, shape};

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
    /// Whether what the segments have room for is read before the first token.
    pub preload: bool,
    /// `auto`, `dense` or `sparse`.
    pub ffn: String,
    /// `f16` or `f32`: how keys and values are kept; absent: f16.
    pub kv: Option<String>,
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

const LARGEST_SIZE: u64 = 1 << 52;
const LARGEST_CORE: u64 = 1023;

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
        preload: request.preload,
        ffn: among("ffn", &request.ffn, &ffns, FfnChoice::name)?,
        kv: request
            .kv
            .as_ref()
            .map_or(Ok(KvFormat::default()), |kv| among("kv", kv, &KvFormat::ALL, KvFormat::name))?,
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
