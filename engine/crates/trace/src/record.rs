//! A text and its continuation through a model, and what fired to a file.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use model::{DenseFfn, FeedForward, GgufSource, KvFormat, Model, ModelConfig, Route, Session, SparseFfn, TensorSource, Want};
use neuron::Kernels;
use pool::{Options, Pool};
use synth::{FiringSink, Progress, Recorder, Told, memory_needed};
use text::{EncodeOptions, Sampler, SamplerOptions, Tokeniser};

use crate::TraceError;
use crate::form::TraceShape;
use crate::write::TraceWriter;

/// Tokens of a chunk, and of a pass over the prompt.
const TOGETHER: usize = 64;

/// What is recorded.
#[derive(Clone, Debug)]
pub struct RecordOptions {
    /// A GGUF file.
    pub model: PathBuf,
    /// The trace.
    pub out: PathBuf,
    /// The text.
    pub prompt: String,
    /// Read the text in pieces of so many tokens, each from an empty KV cache, so that it may be longer than the model's context; the
    /// continuation is of the last piece. `None`: in one.
    pub window: Option<usize>,
    /// Tokens of its continuation; it ends earlier where the model ends it, if `stop_at_end`.
    pub tokens: usize,
    /// See `tokens`.
    pub stop_at_end: bool,
    /// How they are chosen.
    pub sampler: SamplerOptions,
    /// Compute threads.
    pub threads: usize,
    /// Bytes of memory that there are for it; `None`: not known, so as many as it takes.
    pub memory: Option<u64>,
}

/// What was recorded.
#[derive(Clone, Debug)]
pub struct RecordReport {
    /// The model, as the trace has it.
    pub shape: TraceShape,
    /// What the model is.
    pub config: ModelConfig,
    /// Tokens of the prompt, and of the continuation.
    pub prompt_tokens: usize,
    /// See `prompt_tokens`.
    pub generated: usize,
    /// The continuation.
    pub text: String,
    /// Share of the neurons of used experts that fired.
    pub share: Option<f64>,
    /// The trace's length (bytes).
    pub bytes: u64,
}

/// Counts as it passes on.
struct Counted {
    writer: TraceWriter,
    fired: u64,
    seen: u64,
}

impl FiringSink for Counted {
    fn token(&mut self, layer: usize, routes: &[Route], fired: &[&[u32]]) {
        self.fired += fired.iter().map(|one| one.len() as u64).sum::<u64>();
        self.seen += fired.len() as u64;
        self.writer.token(layer, routes, fired);
    }
}

/// Runs the prompt of `options` and its continuation through the model, all in memory, and writes what fired. `told` hears of
/// tokens and may stop it, which leaves nothing behind.
pub fn record(options: &RecordOptions, told: Told<'_>) -> Result<RecordReport, TraceError> {
    let source = GgufSource::open(&options.model)?;
    let metadata = &source.gguf().metadata;
    let config = ModelConfig::from_gguf(source.gguf())?;
    let tokeniser = Tokeniser::from_metadata(metadata)?;
    let mut sampler = Sampler::new(options.sampler.clone())?;
    let prompt = tokeniser.encode(&options.prompt, EncodeOptions::PROMPT);
    let total = prompt.len() + options.tokens;
    let positions = positions(&config, prompt.len(), options)?;
    let needed = memory_needed(&source, &config, positions);
    if let Some(allowed) = options.memory.filter(|&allowed| allowed < needed) {
        return Err(TraceError::DoesNotFit { needed, allowed });
    }
    let shape = TraceShape {
        name: metadata
            .find::<&str>("general.name")
            .ok()
            .flatten()
            .map_or_else(String::new, |name| name.chars().take(256).collect()),
        layers: config.layers as u32,
        experts: config.experts as u32,
        experts_used: config.experts_used as u32,
        neurons: config.neurons as u32,
        neurons_recorded: config.activation.is_sparse(),
    };
    // Before the long work: a folder that is not there should be known now.
    let sink = Arc::new(Mutex::new(Counted {
        writer: TraceWriter::create(&options.out, shape.clone())?,
        fired: 0,
        seen: 0,
    }));
    let mut tell = |done: usize| match told(Progress {
        done: done as u64,
        total: total as u64,
    }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(TraceError::Cancelled),
    };
    let mut session = session(&source, &config, options, positions, &sink)?;
    tell(0)?;
    let mut text = Text::new(&sink);
    for window in prompt.chunks(options.window.unwrap_or(prompt.len())) {
        session.truncate(0)?;
        for batch in window.chunks(TOGETHER) {
            session.forward(batch, Want::Last)?;
            text.heard(batch)?;
            tell(text.done)?;
        }
    }
    prompt.iter().for_each(|&token| sampler.accept(token));
    let mut said = Vec::with_capacity(options.tokens);
    while said.len() < options.tokens {
        let token = sampler.sample(session.last_logits()?)?;
        sampler.accept(token);
        if options.stop_at_end && tokeniser.ends_generation(token) {
            break;
        }
        said.push(token);
        session.forward(&[token], Want::Last)?;
        text.heard(&[token])?;
        tell(text.done)?;
    }
    text.end_chunk()?;
    drop(session);
    let counted = Arc::into_inner(sink)
        .ok_or_else(|| TraceError::malformed("somebody still records"))?
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    let share = (shape.neurons_recorded && counted.seen > 0)
        .then(|| counted.fired as f64 / (counted.seen as f64 * config.neurons as f64));
    Ok(RecordReport {
        bytes: counted.writer.finish(prompt.len() as u32)?,
        shape,
        config,
        prompt_tokens: prompt.len(),
        generated: said.len(),
        text: tokeniser.decode(&said)?,
        share,
    })
}

/// Positions that the KV cache needs, if the model has them.
fn positions(config: &ModelConfig, prompt: usize, options: &RecordOptions) -> Result<usize, TraceError> {
    let wrong = |name, what| Err(TraceError::Input { name, what });
    let context = config.context;
    if prompt == 0 {
        return wrong("prompt", "has no tokens; give it some text".to_owned());
    }
    let window = match options.window {
        Some(window) if !(1..=context).contains(&window) => {
            return wrong(
                "window",
                format!("should be from 1 to the model's context, {context}, got {window}"),
            );
        }
        window => window.unwrap_or(prompt).min(prompt),
    };
    // The last piece may be shorter than the others.
    let last = (prompt - 1) % window + 1;
    let total = last.saturating_add(options.tokens);
    if total > context {
        let what = format!(
            "the last {last} tokens of the prompt and the continuation are {total}, more than the model's context of {context}; a longer \
             prompt can be read in windows"
        );
        return wrong("tokens", what);
    }
    Ok(total.max(window))
}

fn session(
    source: &GgufSource,
    config: &ModelConfig,
    options: &RecordOptions,
    positions: usize,
    sink: &Arc<Mutex<Counted>>,
) -> Result<Session, TraceError> {
    let kernels = Kernels::best();
    let model = Arc::new(Model::load(source, kernels)?);
    let inner: Box<dyn FeedForward> = match config.activation.is_sparse() {
        true => Box::new(SparseFfn::load(source, config, kernels)?),
        false => Box::new(DenseFfn::load(source, config, kernels)?),
    };
    let recorder = Recorder::new(inner, source, config, kernels, Arc::clone(sink))?;
    let pool = Pool::new(&Options::new(options.threads))?;
    Ok(Session::new(model, Box::new(recorder), pool, KvFormat::F16, positions)?)
}

/// The tokens run so far, and those that no chunk has yet.
struct Text<'a> {
    sink: &'a Mutex<Counted>,
    pending: Vec<u32>,
    done: usize,
}

impl<'a> Text<'a> {
    fn new(sink: &'a Mutex<Counted>) -> Self {
        Self {
            sink,
            pending: Vec::with_capacity(TOGETHER),
            done: 0,
        }
    }

    fn heard(&mut self, tokens: &[u32]) -> Result<(), TraceError> {
        self.pending.extend_from_slice(tokens);
        self.done += tokens.len();
        if self.pending.len() >= TOGETHER {
            self.end_chunk()
        } else {
            Ok(())
        }
    }

    fn end_chunk(&mut self) -> Result<(), TraceError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        sink.writer.end_chunk(&self.pending)?;
        self.pending.clear();
        Ok(())
    }
}
