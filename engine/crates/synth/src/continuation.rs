//! The text that a file's model goes on with: whether it can be read, and does not run in a circle.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use model::{
    DenseFfn, FeedForward, GenerateOptions, GgufSource, KvFormat, Model, ModelError, Session, SparseFfn, TensorSource, generate,
};
use neuron::Kernels;
use pool::{Options, Pool};
use text::{Sampler, SamplerOptions, Tokeniser};

use crate::SynthError;

/// What a model said.
#[derive(Clone, Debug)]
pub struct Continuation {
    /// The tokens.
    pub tokens: Vec<u32>,
    /// Their text.
    pub text: String,
    /// Share of neurons that fired while it was made, where the FFN counts them.
    pub share: Option<f64>,
}

impl Continuation {
    /// How many different tokens there are among them.
    pub fn different(&self) -> usize {
        let mut tokens = self.tokens.clone();
        tokens.sort_unstable();
        tokens.dedup();
        tokens.len()
    }
}

/// Loads the model at `path` into memory, feeds it `prompt` and takes `tokens` tokens as `sampling` says.
pub fn continuation(
    path: impl AsRef<Path>,
    prompt: &[u32],
    tokens: usize,
    sampling: SamplerOptions,
    threads: usize,
) -> Result<Continuation, SynthError> {
    let source = GgufSource::open(path)?;
    let tokeniser = Tokeniser::from_metadata(&source.gguf().metadata).map_err(ModelError::other)?;
    let kernels = Kernels::best();
    let model = Arc::new(Model::load(&source, kernels)?);
    let config = model.config();
    let ffn: Box<dyn FeedForward> = if config.activation.is_sparse() {
        Box::new(SparseFfn::load(&source, config, kernels)?)
    } else {
        Box::new(DenseFfn::load(&source, config, kernels)?)
    };
    let pool = Pool::new(&Options::new(threads))?;
    let mut session = Session::new(model, ffn, pool, KvFormat::F16, prompt.len() + tokens)?;
    let mut sampler = Sampler::new(sampling).map_err(ModelError::other)?;
    let options = GenerateOptions {
        tokens,
        stop_at_end: true,
    };
    let made = generate(&mut session, &tokeniser, &mut sampler, prompt, options, &mut |_| {
        ControlFlow::Continue(())
    })?;
    let tokens: Vec<u32> = made.rows.iter().map(|row| row.token).collect();
    Ok(Continuation {
        text: tokeniser.decode(&tokens).map_err(ModelError::other)?,
        tokens,
        share: made.counters.and_then(|counters| counters.share_fired()),
    })
}
