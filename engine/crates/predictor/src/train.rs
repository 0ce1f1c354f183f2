//! From a model to a predictor file: run, record, fit, set thresholds, judge, write.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::time::Instant;

use model::{
    Activation, Batches, GgufSource, KvFormat, Model, ModelConfig, PredictedCounters, PredictedFfn, PredictorInput, Session,
    SparseFfn, Tensor, TensorSource, Want, perplexity,
};
use neuron::{Format, Kernels};
use pool::{Options, Pool};
use text::Tokeniser;

use crate::corpus::{self, WINDOW};
use crate::learn::{Deciding, Subject, learn};
use crate::observe::Observed;
use crate::options::{Hidden, TrainOptions};
use crate::records::{RecordShape, Records};
use crate::report::{LayerReport, PerplexityReport, Stage, TrainReport, TrainStep};
use crate::weights::PredictorLayer;
use crate::{Predictor, PredictorError, fingerprint, judge};

/// Positions of a window of perplexity; the second half of each is scored.
const SCORED_WINDOW: usize = 128;

/// Hears of steps; with `Break` the work ends and nothing is left behind.
type Told<'a> = &'a mut dyn FnMut(TrainStep) -> ControlFlow<()>;

fn tell(told: Told<'_>, stage: Stage, done: usize, total: usize) -> Result<(), PredictorError> {
    match told(TrainStep { stage, done, total }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(PredictorError::Cancelled),
    }
}

/// Which tokens are for what: text goes on from one to the next, so each is a stretch of its own.
struct Split {
    learnt: Range<usize>,
    calibrated: Range<usize>,
    held_out: Range<usize>,
}

impl Split {
    fn of(tokens: usize) -> Self {
        let (first, second) = (tokens * 8 / 10, tokens * 9 / 10);
        Self {
            learnt: 0..first,
            calibrated: first..second,
            held_out: second..tokens,
        }
    }
}

/// Fits a predictor and writes it. What was recorded waits in a file without a name, beside `out`.
pub fn train(options: &TrainOptions, told: Told<'_>) -> Result<TrainReport, PredictorError> {
    let begun = Instant::now();
    let source = GgufSource::open(&options.model)?;
    let config = ModelConfig::from_gguf(source.gguf())?;
    if !config.activation.is_sparse() {
        return Err(PredictorError::NotSparse {
            architecture: config.architecture.name(),
        });
    }
    let (rank, format) = options.settle(&config)?;
    let tokeniser = Tokeniser::from_metadata(&source.gguf().metadata)?;
    let work = Work {
        options,
        source: &source,
        config: &config,
        model: Arc::new(Model::load(&source, Kernels::best())?),
        rank,
        format,
    };
    let tokens = match &options.text {
        Some(path) => corpus::of_file(path, &tokeniser, options.tokens)?,
        None => work.speak(&tokeniser, told)?,
    };
    let split = Split::of(tokens.len());
    let held_out = &tokens[split.held_out.clone()];
    let (records, lossless) = work.record(&tokens, held_out, told)?;
    let (recording, begun) = (begun.elapsed(), Instant::now());
    let (predictor, layers) = work.fit(&records, &split, told)?;
    drop(records);
    let predictor = Arc::new(predictor);
    let fitting = begun.elapsed();
    let (predicted, recall) = work.judge(&predictor, held_out, told)?;
    let model = fingerprint(&source)?;
    let about = format!(
        "predicts which neurons fire; fitted by neuronlab on {} tokens of {}, for a recall of {}",
        split.learnt.len(),
        if options.text.is_some() { "a text" } else { "the model's own" },
        options.recall
    );
    let bytes = predictor.write(&options.out, &config, model, &about)?;
    Ok(TrainReport {
        bytes,
        model,
        rank,
        format,
        learnt: split.learnt.len(),
        calibrated: split.calibrated.len(),
        held_out: held_out.len(),
        layers,
        perplexity: PerplexityReport {
            lossless: lossless.perplexity(),
            predicted: predicted.perplexity(),
            scored: predicted.scored,
            recall,
        },
        recording,
        fitting,
        seed: options.seed,
    })
}

/// -ln p of tokens, summed over windows.
#[derive(Clone, Copy, Default)]
struct Surprise {
    sum: f64,
    scored: usize,
}

impl Surprise {
    fn perplexity(&self) -> f64 {
        (self.sum / self.scored.max(1) as f64).exp()
    }
}

/// What all parts of a fit need.
struct Work<'a> {
    options: &'a TrainOptions,
    source: &'a GgufSource,
    config: &'a ModelConfig,
    model: Arc<Model>,
    rank: usize,
    format: Format,
}

impl Work<'_> {
    fn window(&self) -> usize {
        WINDOW.min(self.config.context)
    }

    fn kernels(&self) -> Kernels {
        *self.model.kernels()
    }

    fn pool(&self) -> Result<Pool, PredictorError> {
        Ok(Pool::new(&Options::new(self.options.threads))?)
    }

    fn sparse(&self) -> Result<SparseFfn, PredictorError> {
        Ok(SparseFfn::load(self.source, self.config, self.kernels())?)
    }

    fn session(&self, ffn: Box<dyn model::FeedForward>) -> Result<Session, PredictorError> {
        let (model, pool) = (Arc::clone(&self.model), self.pool()?);
        Ok(Session::new(model, ffn, pool, KvFormat::F16, self.window())?)
    }

    /// The model's own continuations.
    fn speak(&self, tokeniser: &Tokeniser, told: Told<'_>) -> Result<Vec<u32>, PredictorError> {
        let (mut session, total) = (self.session(Box::new(self.sparse()?))?, self.options.tokens);
        let mut tell = |done| tell(told, Stage::Speak, done, total);
        let window = self.window();
        corpus::of_model(&mut session, tokeniser, total, window, self.options.seed, &mut tell)
    }

    /// Runs the tokens through the model, with its true gates, and then those held out once more for their perplexity.
    fn record(&self, tokens: &[u32], held_out: &[u32], told: Told<'_>) -> Result<(Records, Surprise), PredictorError> {
        let shape = RecordShape {
            layers: self.config.layers,
            tokens: tokens.len(),
            hidden: self.config.hidden,
            neurons: self.config.neurons,
            used: self.config.experts_used,
        };
        let records = Records::create(&self.options.out, shape)?;
        let inner = Box::new(self.sparse()?);
        let (ffn, notebook) = Observed::new(inner, self.source, self.config, self.kernels(), records)?;
        let mut session = self.session(Box::new(ffn))?;
        let mut done = 0;
        for window in tokens.chunks(self.window()) {
            tell(told, Stage::Record, done, tokens.len())?;
            session.truncate(0)?;
            session.forward(window, Want::Nothing)?;
            notebook.check()?;
            done += window.len();
        }
        let surprise = self.surprise(&mut session, held_out, &mut || tell(told, Stage::Record, done, tokens.len()))?;
        drop(session);
        let records = notebook.close().ok_or_else(|| {
            let what = "a recording that is still being written to".to_owned();
            model::ModelError::Misuse { what }
        })?;
        Ok((records, surprise))
    }

    fn surprise(
        &self,
        session: &mut Session,
        tokens: &[u32],
        told: &mut dyn FnMut() -> Result<(), PredictorError>,
    ) -> Result<Surprise, PredictorError> {
        let window = SCORED_WINDOW.min(tokens.len()).min(self.window());
        let mut all = Surprise::default();
        for some in tokens.chunks_exact(window) {
            told()?;
            let one = perplexity(session, some, window)?;
            all.sum += one.perplexity.ln() * one.scored as f64;
            all.scored += one.scored;
        }
        Ok(all)
    }

    /// Layer by layer, expert by expert.
    fn fit(&self, records: &Records, split: &Split, told: Told<'_>) -> Result<(Predictor, Vec<LayerReport>), PredictorError> {
        let mut pool = self.pool()?;
        let mut predictor = Predictor {
            layers: Vec::new(),
            experts: self.config.experts,
            input: PredictorInput::Normed,
            rectified: self.options.hidden == Hidden::Relu,
        };
        let mut reports = Vec::new();
        for layer in 0..self.config.layers {
            let blind = self.fit_layer(&mut pool, &mut predictor, records, layer, split, told)?;
            let mut report = LayerReport {
                layer,
                tally: judge::Tally::default(),
                blind_experts: blind,
            };
            for expert in 0..self.config.experts {
                let tokens = records.of_expert(layer, expert, split.held_out.clone());
                let fitted = model::NeuronPredictor::low_rank(&predictor, layer, expert)?;
                report.tally += judge::tally(&mut pool, &self.kernels(), &fitted, records, layer, &tokens)?;
            }
            reports.push(report);
        }
        Ok((predictor, reports))
    }

    fn deciding(&self, layer: usize) -> Result<Deciding, PredictorError> {
        let config = self.config;
        let shape = [config.hidden as u64, config.neurons as u64, config.experts as u64];
        let plural = if config.router.is_some() { "_exps" } else { "" };
        let load = |part: &str| Tensor::load(self.source, &format!("blk.{layer}.ffn_{part}{plural}.weight"), &shape);
        Ok(Deciding {
            gate: load("gate")?,
            up: match config.activation {
                Activation::DoubleRelu => Some(load("up")?),
                Activation::Relu | Activation::Silu => None,
            },
        })
    }

    /// Adds a layer's predictors; returns how many experts are without.
    fn fit_layer(
        &self,
        pool: &mut Pool,
        predictor: &mut Predictor,
        records: &Records,
        layer: usize,
        split: &Split,
        told: Told<'_>,
    ) -> Result<usize, PredictorError> {
        let (experts, hidden, neurons) = (self.config.experts, self.config.hidden, self.config.neurons);
        let (rank, total) = (self.rank, 100 * self.config.layers * experts);
        predictor.layers.push(PredictorLayer {
            first: Tensor::zeroed(self.format, experts * rank, hidden, "a predictor")?,
            second: Tensor::zeroed(self.format, experts * neurons, rank, "a predictor")?,
            thresholds: vec![f32::NEG_INFINITY; experts],
        });
        let (mut blind, deciding) = (0, self.deciding(layer)?);
        for expert in 0..experts {
            let tokens = records.of_expert(layer, expert, split.learnt.clone());
            let before = layer * experts + expert;
            let mut tell = |share: f64| tell(told, Stage::Fit, 100 * before + (100.0 * share) as usize, total);
            let subject = Subject {
                records,
                deciding: &deciding,
                layer,
                expert,
            };
            let fit = learn(pool, subject, tokens.clone(), rank, self.options, &mut tell)?;
            let threshold = match fit {
                None => None,
                Some(fit) => {
                    let (of, (first, second)) = (&mut predictor.layers[layer], fit.weights());
                    of.first.set_rows(expert * rank, first)?;
                    of.second.set_rows(expert * neurons, second)?;
                    let fitted = model::NeuronPredictor::low_rank(predictor, layer, expert)?;
                    let calibrated = records.of_expert(layer, expert, split.calibrated.clone());
                    let mut set = |tokens: &[_]| {
                        judge::threshold(pool, &self.kernels(), &fitted, records, layer, tokens, self.options.recall)
                    };
                    match set(&calibrated)? {
                        Some(threshold) => Some(threshold),
                        // An expert that calibration did not meet: what it learnt from is the second best.
                        None => set(&tokens)?,
                    }
                }
            };
            blind += usize::from(threshold.is_none());
            predictor.layers[layer].thresholds[expert] = threshold.unwrap_or(f32::NEG_INFINITY);
        }
        Ok(blind)
    }

    /// The tokens held out once more, now as the predictor says, with every gate looked at besides.
    fn judge(
        &self,
        predictor: &Arc<Predictor>,
        held_out: &[u32],
        told: Told<'_>,
    ) -> Result<(Surprise, Option<f64>), PredictorError> {
        let predictor: Arc<dyn model::NeuronPredictor> = Arc::clone(predictor) as _;
        let mut ffn = PredictedFfn::new(self.sparse()?, self.config, predictor, Batches::Predicted)?;
        ffn.audit();
        let mut session = self.session(Box::new(ffn))?;
        let mut done = 0;
        let surprise = self.surprise(&mut session, held_out, &mut || {
            tell(told, Stage::Judge, done, held_out.len())?;
            done += SCORED_WINDOW.min(held_out.len() - done);
            Ok(())
        })?;
        Ok((surprise, session.ffn().predicted().and_then(PredictedCounters::recall)))
    }
}
