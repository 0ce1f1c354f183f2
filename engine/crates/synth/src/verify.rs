//! Running a file in the engine and setting what it saw beside what was planted.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use model::{
    Activation, DenseFfn, FeedForward, GgufSource, KvFormat, Model, ModelConfig, RouterInput, Session, SparseFfn, TensorSource,
    Want,
};
use neuron::Kernels;
use pool::{Options, Pool};

use crate::SynthError;
use crate::firing::Firing;
use crate::planted::Planted;
use crate::random::{Part, Stream};
use crate::record::Recorder;
use crate::report::{Measured, SynthReport, mean};
use crate::spec::SPECIAL_TOKENS;
use crate::write::{Told, tell};

/// Tokens that go through the model together: enough for its matrix products, few enough to be stopped between.
const TOGETHER: usize = 64;

/// How a file is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyOptions {
    /// Tokens to run, at least 2; `None`: 512 for each use of an expert, at most 4096. The skew is read low with few, because
    /// which neurons are hot has to be found in half of them: by 0.03 with 256, 0.015 with 512.
    pub tokens: Option<usize>,
    /// The same seed, the same tokens.
    pub seed: u64,
    /// Compute threads.
    pub threads: usize,
    /// Bytes of memory that there are for it; `None`: not known, so as many as it takes.
    pub memory: Option<u64>,
}

/// Runs `tokens` random tokens (the same for the same `seed`) through the model at `path`, all in memory, and adds up what
/// fired. What was recorded is checked against the FFN's own counters.
pub fn verify(path: impl AsRef<Path>, tokens: usize, seed: u64, threads: usize) -> Result<SynthReport, SynthError> {
    let options = VerifyOptions {
        tokens: Some(tokens),
        seed,
        threads,
        memory: None,
    };
    verify_told(path, &options, &mut |_| ControlFlow::Continue(()))
}

/// The same, in no more memory than there is: refused before anything large is loaded. `told` hears of the tokens run and may
/// stop it.
pub fn verify_told(path: impl AsRef<Path>, options: &VerifyOptions, told: Told<'_>) -> Result<SynthReport, SynthError> {
    let source = GgufSource::open(path)?;
    let planted = Planted::read(source.gguf())?;
    let config = ModelConfig::from_gguf(source.gguf())?;
    let enough = (512 * config.experts.div_ceil(config.experts_used.max(1))).min(4096);
    let tokens = options.tokens.unwrap_or(enough);
    if tokens < 2 {
        return Err(SynthError::spec("a verification", tokens, "of at least 2 tokens"));
    }
    let needed = memory_needed(&source, &config, tokens);
    if let Some(allowed) = options.memory.filter(|&allowed| allowed < needed) {
        return Err(SynthError::DoesNotFit { needed, allowed });
    }
    let kernels = Kernels::best();
    let model = Arc::new(Model::load(&source, kernels)?);
    tell(told, 0, tokens as u64)?;
    let sparse = config.activation.is_sparse();
    let inner: Box<dyn FeedForward> = if sparse {
        Box::new(SparseFfn::load(&source, &config, kernels)?)
    } else {
        Box::new(DenseFfn::load(&source, &config, kernels)?)
    };
    tell(told, 0, tokens as u64)?;
    let firing = Arc::new(Mutex::new(Firing::new(config.layers, config.experts, config.neurons)));
    let recorder = Recorder::new(inner, &source, &config, kernels, Arc::clone(&firing))?;
    let pool = Pool::new(&Options::new(options.threads))?;
    let mut session = Session::new(model, Box::new(recorder), pool, KvFormat::F16, tokens)?;
    let text = random_text(config.vocabulary, tokens, options.seed);
    let mut done = 0;
    for batch in text.chunks(TOGETHER) {
        tell(told, done, tokens as u64)?;
        session.forward(batch, Want::Nothing)?;
        done += batch.len() as u64;
    }
    tell(told, done, tokens as u64)?;
    let firing = firing.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(counters) = session.ffn().counters().filter(|_| sparse) {
        for (layer, &counted) in counters.fired.iter().enumerate() {
            let recorded = firing.fired(layer);
            // A neuron whose gate is above zero and whose up is exactly zero fires, but a batch does not count it.
            if counted > recorded || recorded - counted > recorded / 100_000 + 1 {
                return Err(SynthError::Disagreement {
                    layer,
                    recorded,
                    counted,
                });
            }
        }
    }
    let layers = 0..firing.layers();
    let routed_alone = config.router.is_some_and(|router| router.input == RouterInput::LayerInput);
    let with_locality = layers.clone().skip(usize::from(routed_alone));
    let measured = Measured {
        tokens,
        share: if sparse {
            layers.clone().filter_map(|layer| firing.share(layer)).collect()
        } else {
            Vec::new()
        },
        skew: skew(&firing, &planted),
        overlap: if sparse {
            layers.filter_map(|layer| firing.overlap(layer)).collect()
        } else {
            Vec::new()
        },
        repeat: match planted.repeat {
            Some(_) => with_locality.filter_map(|layer| firing.repeat(layer)).collect(),
            None => Vec::new(),
        },
    };
    Ok(SynthReport { planted, measured })
}

/// Tokens as the text of such a file has them: any but the special ones.
fn random_text(vocabulary: usize, tokens: usize, seed: u64) -> Vec<u32> {
    let mut stream = Stream::new(seed, Part::Tokens, 0, 0);
    let pieces = (vocabulary - SPECIAL_TOKENS.min(vocabulary - 1)) as u64;
    (0..tokens)
        .map(|_| (vocabulary as u64 - pieces + stream.up_to(pieces)) as u32)
        .collect()
}

/// Memory that a verification, or another use of a [`Recorder`] over so many tokens, takes (bytes): the weights, the recorder's own copy of those that decide, tables and buffers.
pub fn memory_needed(source: &GgufSource, config: &ModelConfig, tokens: usize) -> u64 {
    /// Threads, tables of the file, and what the allocator holds on to.
    const PROCESS: u64 = 96 << 20;
    /// Of a neuron in the tables of `Firing`: four counts of four bytes and a mark.
    const COUNTED: u64 = 17;
    let tensors = |part: &str| -> u64 {
        let of = source.gguf().tensors.iter().filter(|tensor| tensor.name.contains(part));
        of.map(|tensor| tensor.bytes).sum()
    };
    let copied = match config.activation {
        Activation::Silu => 0,
        // Down by neurons is at most twice as long as down by outputs: Q4_0 becomes Q8_0.
        Activation::Relu => tensors(".ffn_gate") + tensors(".ffn_down"),
        Activation::DoubleRelu => tensors(".ffn_gate") + tensors(".ffn_up") + tensors(".ffn_down"),
    };
    let neurons = (config.layers * config.experts * config.neurons) as u64;
    let kv = 4 * (config.layers * config.kv_width() * tokens) as u64;
    let lists = 4 * (TOGETHER * config.experts_used * config.neurons * 4) as u64;
    tensors("") + copied + COUNTED * neurons + kv + lists + PROCESS
}

fn skew(firing: &Firing, planted: &Planted) -> Vec<(f64, f64)> {
    let neurons: Vec<f64> = planted.skew.iter().map(|point| point.0).collect();
    let layers: Vec<Vec<f64>> = (0..firing.layers())
        .map(|layer| firing.activations_of_hottest(layer, &neurons))
        .collect();
    let point = |place: usize| mean(&layers.iter().map(|layer| layer[place]).collect::<Vec<_>>());
    (0..neurons.len()).map(|place| (neurons[place], point(place))).collect()
}
