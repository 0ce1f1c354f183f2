//! The forward pass: tokens in, logits out.

use std::sync::Arc;

use neuron::{Activations, Kernels, Output};
use pool::Pool;
use spans::{Activity, Tracer};

use crate::kv::{KvCache, KvFormat};
use crate::layer::{AttentionBuffers, AttentionStep};
use crate::router::{Choice, Router};
use crate::share::{Faults, GRAIN, Table, Work, Workplace, product};
use crate::{FeedForward, FfnBatch, ModelConfig, ModelError, Route, RouterInput, TensorSource, Weights};

/// A model without its FFNs and without any state: what several sessions may share.
pub struct Model {
    config: ModelConfig,
    weights: Weights,
    kernels: Kernels,
}

impl Model {
    /// Reads the configuration and loads the weights outside the FFNs.
    pub fn load(source: &dyn TensorSource, kernels: Kernels) -> Result<Self, ModelError> {
        let config = ModelConfig::from_gguf(source.gguf())?;
        Ok(Self {
            weights: Weights::load(source, &config)?,
            config,
            kernels,
        })
    }

    /// What the model is.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The weights outside the FFNs.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// The kernels that it computes with.
    pub fn kernels(&self) -> &Kernels {
        &self.kernels
    }
}

/// Which logits a pass is to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// None: the tokens only fill the KV cache.
    Nothing,
    /// Those after the last token.
    Last,
    /// Those after every token.
    All,
}

/// Tokens that go through the layers together at most. More take several passes; the working memory of one is some
/// 4 * tokens * (3 * hidden + 2 * neurons * experts used) bytes.
pub const BATCH: usize = 512;

/// One conversation: a model, where its FFNs are, its KV cache and threads.
pub struct Session {
    model: Arc<Model>,
    ffn: Box<dyn FeedForward>,
    pool: Pool,
    kv: KvCache,
    position: usize,
    /// The position that the last line of logits is for.
    logits_at: Option<usize>,
    places: Vec<Workplace>,
    buffers: Buffers,
    tracer: Tracer,
}

/// Working memory of the forward pass, for the largest batch so far.
#[derive(Default)]
struct Buffers {
    /// The residual stream: tokens by hidden.
    stream: Vec<f32>,
    normed: Vec<f32>,
    activations: Activations,
    /// What attention or the FFN adds to the stream.
    added: Vec<f32>,
    angles: Vec<f32>,
    routes: Vec<Route>,
    router: Router,
    attention: AttentionBuffers,
    logits: Vec<f32>,
}

impl Buffers {
    /// Keeps the logits, and nothing else that a batch of a prompt has made large: tokens that are generated need a hundredth of it.
    fn give_back_batch(&mut self) {
        let logits = std::mem::take(&mut self.logits);
        *self = Self {
            logits,
            ..Self::default()
        };
    }
}

impl Session {
    /// A session with an empty KV cache of `capacity` positions.
    pub fn new(
        model: Arc<Model>,
        ffn: Box<dyn FeedForward>,
        pool: Pool,
        kv: KvFormat,
        capacity: usize,
    ) -> Result<Self, ModelError> {
        let kv = KvCache::new(&model.config, kv, capacity)?;
        let mut places = Vec::new();
        places.resize_with(pool.threads(), Workplace::default);
        Ok(Self {
            model,
            ffn,
            pool,
            kv,
            position: 0,
            logits_at: None,
            places,
            buffers: Buffers::default(),
            tracer: Tracer::off(),
        })
    }

    /// The model.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// Where the FFNs are computed.
    pub fn ffn(&self) -> &dyn FeedForward {
        &*self.ffn
    }

    /// The same, to change it between tokens.
    pub fn ffn_mut(&mut self) -> &mut dyn FeedForward {
        &mut *self.ffn
    }

    /// The KV cache.
    pub fn kv(&self) -> &KvCache {
        &self.kv
    }

    /// From now on all that it does is recorded there.
    pub fn trace(&mut self, tracer: &Tracer) {
        self.tracer = tracer.clone();
        self.ffn.trace(tracer);
    }

    /// Positions filled.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Compute threads.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// The logits after the last position, when the last pass asked for some.
    pub fn last_logits(&self) -> Result<&[f32], ModelError> {
        let (logits, vocabulary) = (&self.buffers.logits, self.model.config.vocabulary);
        if self.logits_at != Some(self.position) || logits.len() < vocabulary {
            let what = format!(
                "no logits at position {}: the last pass there must ask for them",
                self.position
            );
            return Err(ModelError::Misuse { what });
        }
        Ok(&logits[logits.len() - vocabulary..])
    }

    /// Forgets all positions from `position` on. Fails when there are not so many.
    pub fn truncate(&mut self, position: usize) -> Result<(), ModelError> {
        if position > self.position {
            let what = format!("cannot go back to position {position}: only {} are filled", self.position);
            return Err(ModelError::Misuse { what });
        }
        self.position = position;
        Ok(())
    }

    /// Runs `tokens` through the model after those before. Returns logits as asked for: a line of `vocabulary` numbers for
    /// each token that wants one. When it fails, the positions are as they were before.
    pub fn forward(&mut self, tokens: &[u32], want: Want) -> Result<&[f32], ModelError> {
        let vocabulary = self.model.config.vocabulary;
        if let Some(&token) = tokens.iter().find(|&&token| token as usize >= vocabulary) {
            return Err(ModelError::Token { token, vocabulary });
        }
        if tokens.is_empty() {
            let what = "a forward pass over no tokens; must be at least one".to_owned();
            return Err(ModelError::Misuse { what });
        }
        let wanted = self.position + tokens.len();
        if wanted > self.kv.capacity() {
            return Err(ModelError::ContextFull {
                wanted,
                capacity: self.kv.capacity(),
            });
        }
        let before = self.position;
        self.logits_at = None;
        let lines = match want {
            Want::Nothing => 0,
            Want::Last => 1,
            Want::All => tokens.len(),
        };
        self.buffers.logits.resize(lines * vocabulary, 0.0);
        for (index, batch) in tokens.chunks(BATCH).enumerate() {
            let done = index * BATCH;
            let asked = match want {
                Want::Nothing => 0,
                Want::Last => usize::from(done + batch.len() == tokens.len()),
                Want::All => batch.len(),
            };
            let first_line = if want == Want::All { done } else { 0 };
            let result = self.pass(batch).and_then(|()| self.logits(batch.len(), asked, first_line));
            if let Err(error) = result {
                self.position = before;
                return Err(error);
            }
            self.position += batch.len();
        }
        self.logits_at = (lines > 0).then_some(self.position);
        Ok(&self.buffers.logits)
    }

    /// Tokens are generated from here on: gives back what only a prompt needs, and takes what decoding does. The logits of the last pass stay.
    /// The first token's pass does this otherwise, in its own time.
    pub fn prepare_to_decode(&mut self) -> Result<(), ModelError> {
        self.before_one_token();
        self.ffn.prepare_to_decode()
    }

    fn before_one_token(&mut self) {
        if self.buffers.stream.len() > self.model.config.hidden {
            self.buffers.give_back_batch();
        }
    }

    /// One batch through all layers; leaves the residual stream.
    fn pass(&mut self, tokens: &[u32]) -> Result<(), ModelError> {
        if tokens.len() == 1 {
            self.before_one_token();
        }
        self.ffn.begin_pass(tokens.len())?;
        let (model, buffers) = (&*self.model, &mut self.buffers);
        let (config, weights) = (&model.config, &model.weights);
        let numbers = tokens.len() * config.hidden;
        buffers.stream.resize(numbers, 0.0);
        buffers.normed.resize(numbers, 0.0);
        buffers.added.resize(numbers, 0.0);
        let embedding = weights.embedding.matrix()?;
        for (line, &token) in buffers.stream.chunks_exact_mut(config.hidden).zip(tokens) {
            embedding.format().dequantise_row(embedding.row(token as usize), line)?;
        }
        let dims = weights.rope.dims();
        buffers.angles.resize(tokens.len() * dims, 0.0);
        for token in 0..tokens.len() {
            let angles = &mut buffers.angles[token * dims..][..dims];
            weights.rope.angles(self.position + token, angles)?;
        }
        for layer in 0..config.layers {
            self.layer(layer, tokens.len())?;
        }
        Ok(())
    }

    fn layer(&mut self, layer: usize, tokens: usize) -> Result<(), ModelError> {
        let model = &*self.model;
        let (config, kernels, weights) = (&model.config, &model.kernels, &model.weights.layers[layer]);
        let buffers = &mut self.buffers;
        let begun = self.tracer.begin();
        let router = config.router.zip(weights.router.as_ref());
        let choice = |gate| Choice {
            gate,
            experts_used: config.experts_used,
        };
        match router {
            Some((router, matrix)) if router.input == RouterInput::LayerInput => {
                kernels.quantise_batch(&buffers.stream, tokens, &mut buffers.activations)?;
                let (x, routes) = (&buffers.activations, &mut buffers.routes);
                let (pool, places) = (&mut self.pool, &mut self.places);
                buffers
                    .router
                    .route(kernels, pool, places, matrix, &choice(router.gate), x, routes)?;
                self.ffn.announce(layer, routes, tokens)?;
            }
            Some(_) => {}
            None => {
                buffers.routes.clear();
                buffers.routes.resize(tokens, Route { expert: 0, weight: 1.0 });
                self.ffn.announce(layer, &buffers.routes, tokens)?;
            }
        }

        norm(model, &buffers.stream, &weights.attention_norm, &mut buffers.normed)?;
        kernels.quantise_batch(&buffers.normed, tokens, &mut buffers.activations)?;
        let step = AttentionStep {
            kernels,
            config,
            weights,
            kind: config.attention(layer),
            rope: &model.weights.rope,
            angles: &buffers.angles,
            first_position: self.position,
            input: &buffers.activations,
        };
        let kv = self.kv.layer(layer);
        step.compute(
            &mut self.pool,
            &mut self.places,
            &mut buffers.attention,
            &kv,
            &mut buffers.added,
        )?;
        kernels.add(&buffers.added, &mut buffers.stream)?;

        norm(model, &buffers.stream, &weights.ffn_norm, &mut buffers.normed)?;
        kernels.quantise_batch(&buffers.normed, tokens, &mut buffers.activations)?;
        if let Some((router, matrix)) = router
            && router.input == RouterInput::FfnNorm
        {
            let (x, routes) = (&buffers.activations, &mut buffers.routes);
            let (pool, places) = (&mut self.pool, &mut self.places);
            buffers
                .router
                .route(kernels, pool, places, matrix, &choice(router.gate), x, routes)?;
            self.ffn.announce(layer, routes, tokens)?;
        }
        let batch = FfnBatch {
            tokens,
            stream: &buffers.stream,
            input: &buffers.normed,
            activations: &buffers.activations,
            routes: &buffers.routes,
            experts_used: config.experts_used,
        };
        self.tracer.together(begun, Activity::Attention, Some(layer));
        self.ffn.forward(&mut self.pool, layer, &batch, &mut buffers.added)?;
        kernels.add(&buffers.added, &mut buffers.stream)?;
        Ok(())
    }

    /// Logits of the last `asked` of the `tokens` in the stream, to lines `first_line..` of the logits.
    fn logits(&mut self, tokens: usize, asked: usize, first_line: usize) -> Result<(), ModelError> {
        if asked == 0 {
            return Ok(());
        }
        let begun = self.tracer.begin();
        let (model, buffers) = (&*self.model, &mut self.buffers);
        let (hidden, vocabulary) = (model.config.hidden, model.config.vocabulary);
        let (stream, normed) = (
            &buffers.stream[(tokens - asked) * hidden..],
            &mut buffers.normed[..asked * hidden],
        );
        // NaN may become the code 0 where activations are quantised, so the stream is asked and not only what comes of it.
        let last = self.position + tokens;
        refuse_not_finite(stream, hidden, last)?;
        norm(model, stream, &model.weights.output_norm, normed)?;
        model.kernels.quantise_batch(normed, asked, &mut buffers.activations)?;
        let lines = &mut buffers.logits[first_line * vocabulary..(first_line + asked) * vocabulary];
        let (x, matrix) = (&buffers.activations, model.weights.logits().matrix()?);
        let work = Work::new(vocabulary, GRAIN, self.pool.threads());
        let (table, faults) = (Table::new(lines, asked, vocabulary)?, Faults::default());
        self.pool.run_each(&mut self.places, |_, place| {
            for rows in &work {
                // SAFETY: every chunk is handed out once.
                let columns: Output<'_> = unsafe { table.columns(rows.clone()) };
                faults.note(product(&model.kernels, &matrix, rows, x, &mut place.scratch, columns));
            }
        });
        self.tracer.together(begun, Activity::Head, None);
        faults.result()?;
        let lines = &buffers.logits[first_line * vocabulary..(first_line + asked) * vocabulary];
        refuse_not_finite(lines, vocabulary, last)
    }
}

/// Fails when a number of these lines is not finite; the last line is of the position before `end`.
fn refuse_not_finite(lines: &[f32], width: usize, end: usize) -> Result<(), ModelError> {
    let count = lines.len() / width.max(1);
    let is_finite = |line: &[f32]| line.iter().fold(true, |finite, number| finite & number.is_finite());
    match lines.chunks_exact(width).position(|line| !is_finite(line)) {
        None => Ok(()),
        Some(index) => Err(ModelError::NotFinite {
            position: end - count + index,
        }),
    }
}

/// The RMS norm of every line of `stream`.
fn norm(model: &Model, stream: &[f32], weight: &[f32], out: &mut [f32]) -> Result<(), ModelError> {
    let hidden = model.config.hidden;
    for (line, out) in stream.chunks_exact(hidden).zip(out.chunks_exact_mut(hidden)) {
        model.kernels.rms_norm(line, weight, model.config.norm_epsilon, out)?;
    }
    Ok(())
}
