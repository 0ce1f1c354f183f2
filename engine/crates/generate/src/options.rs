//! What is to be generated, and how.

use std::path::PathBuf;

use cache::PolicyKind;
use flash::BackendChoice;
use model::KvFormat;
use offload::{Division, GateReads, Granularity, OffloadOptions, Overlap};
use text::SamplerOptions;

use crate::{AdaptOptions, FlashShape, PlannedModel, SlowStorage};

/// How FFNs that are in memory are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FfnChoice {
    /// Sparse where the model's activation makes neurons inactive, else dense.
    #[default]
    Auto,
    /// Every neuron, from the matrices as the file has them.
    Dense,
    /// Up and down only where the gate fired; a down that is not in rows is transposed, which requantises Q4_0.
    Sparse,
}

impl FfnChoice {
    /// The name that people type.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Dense => "dense",
            Self::Sparse => "sparse",
        }
    }
}

/// One run.
#[derive(Clone, Debug)]
pub struct Options {
    /// A GGUF file, or a packed file.
    pub model: PathBuf,
    /// The text that is continued.
    pub prompt: String,
    /// At most so many tokens.
    pub tokens: usize,
    /// What the whole process may hold (bytes); `None`: everything in memory.
    pub memory: Option<u64>,
    /// Sizes of the hot and the cold segment (bytes), cut to what is left and to what is of use; `None`: as much as that.
    pub segments: Option<(u64, u64)>,
    /// Compute threads.
    pub threads: usize,
    /// Cores to bind compute threads to, one for each; empty binds none.
    pub cores: Vec<usize>,
    /// How reads reach the disk.
    pub backend: BackendChoice,
    /// The core that threads which only read are bound to.
    pub io_core: Option<usize>,
    /// Slows reads down to those of another device.
    pub shape: Option<FlashShape>,
    /// Makes that device slower from some token on.
    pub slow: Option<SlowStorage>,
    /// Measures while generating, and changes what can be changed between tokens. `None`: as it is.
    pub adapt: Option<AdaptOptions>,
    /// Clusters in flight.
    pub depth: u32,
    /// Neurons of a cluster.
    pub cluster_neurons: u32,
    /// What leaves the cold segment first.
    pub policy: PolicyKind,
    /// Unit of loading.
    pub granularity: Granularity,
    /// Which work may overlap a read.
    pub overlap: Overlap,
    /// How gate rows that are not in memory are read.
    pub gates: GateReads,
    /// Whether what the segments have room for is read before the first token.
    pub preload: bool,
    /// How FFNs in memory are computed.
    pub ffn: FfnChoice,
    /// How keys and values are kept.
    pub kv: KvFormat,
    /// A predictor's file: it and not the gates decides which neurons are computed while generating. `None`: lossless.
    pub predictor: Option<PathBuf>,
    /// Whether every gate is looked at besides, to count what the predictor misses.
    pub audit: bool,
    /// How tokens are chosen.
    pub sampler: SamplerOptions,
    /// Whether a token that ends a text ends generation.
    pub stop_at_end: bool,
    /// Whether what happens when is recorded. A bench records nothing.
    pub trace: bool,
    /// The model that a plan was made for; another one is refused. `None`: nobody knows.
    pub planned: Option<PlannedModel>,
}

impl Options {
    /// The defaults, for a file and a prompt.
    pub fn new(model: impl Into<PathBuf>, prompt: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            prompt: prompt.into(),
            tokens: 128,
            memory: None,
            segments: None,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            cores: Vec::new(),
            backend: BackendChoice::Uring(64),
            io_core: None,
            shape: None,
            slow: None,
            adapt: None,
            depth: 16,
            cluster_neurons: 256,
            policy: PolicyKind::Lru,
            granularity: Granularity::Neuron,
            overlap: Overlap::Cluster,
            gates: GateReads::default(),
            preload: false,
            ffn: FfnChoice::Auto,
            kv: KvFormat::default(),
            predictor: None,
            audit: false,
            sampler: SamplerOptions::default(),
            stop_at_end: true,
            trace: false,
            planned: None,
        }
    }

    pub(crate) fn offload(&self) -> OffloadOptions {
        OffloadOptions {
            prefill: Division::default(),
            decode: Division::default(),
            policy: self.policy,
            cluster_neurons: self.cluster_neurons,
            depth: self.depth,
            granularity: self.granularity,
            overlap: self.overlap,
            gates: self.gates,
            predicted: false,
            every_neuron: false,
            prefill_ahead: 3,
        }
    }
}
