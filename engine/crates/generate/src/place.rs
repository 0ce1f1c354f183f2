//! Where the FFNs of a run are: in memory, or on flash under a limit.

use std::sync::Arc;

use flash::FlashReader;
use model::{
    Activation, Batches, DenseFfn, FeedForward, FlashSource, GgufSource, Model, ModelConfig, NeuronPredictor, PredictedFfn,
    SparseFfn,
};
use neuron::{Gating, Kernels};
use offload::{Granularity, Offload, PredictedOffload};
use predictor::Predictor;

use crate::between::{Between, Decisions};
use crate::budget::{self, Budget, Part};
use crate::open::tensor_bytes;
use crate::reading;
use crate::watch::{Counted, Watch, Watched};
use crate::{FfnChoice, GenerateError, ModelFile, Options, resident};

/// What a session is made from.
pub(crate) struct Placed {
    pub model: Arc<Model>,
    pub ffn: Box<dyn FeedForward>,
    /// Where and how FFNs are computed.
    pub name: &'static str,
    pub budget: Budget,
    /// Of FFNs on flash.
    pub reader: Option<Arc<dyn FlashReader>>,
    pub watch: Watch,
    pub decisions: Decisions,
}

/// What decides the place.
pub(crate) struct Wish<'a> {
    pub options: &'a Options,
    pub config: &'a ModelConfig,
    /// Positions of the KV cache, and those of the prompt.
    pub positions: usize,
    pub prompt: usize,
    /// Tokens of a pass whose logits are wanted.
    pub lines: usize,
}

/// What the process holds is counted in steps of so many bytes.
const PROCESS_STEP: u64 = 64 << 20;

impl Wish<'_> {
    /// Divides the memory, then loads. Nothing large is loaded before it is known to fit.
    pub fn place(&self, file: &ModelFile) -> Result<Placed, GenerateError> {
        self.check_predictor()?;
        match file {
            ModelFile::Gguf(source) => self.of_gguf(file, source),
            ModelFile::Packed(source) => self.of_packed(file, source),
        }
    }

    /// Refuses what cannot be predicted before anything is loaded.
    fn check_predictor(&self) -> Result<(), GenerateError> {
        let (what, wanted) = match (&self.options.predictor, self.options.ffn) {
            (None, _) => return Ok(()),
            (Some(_), FfnChoice::Dense) => (
                "FFNs computed densely have no use for a predictor",
                "leave out --predictor, or --ffn dense",
            ),
            (Some(_), _) if !self.config.activation.is_sparse() => {
                return Err(self.not_sparse("has nothing to predict", "leave out --predictor"));
            }
            (Some(_), _) => return Ok(()),
        };
        Err(unsupported(what, wanted))
    }

    /// The predictor that was asked for. Adds what it holds to `fixed`.
    fn predictor(&self, file: &ModelFile, fixed: &mut Vec<Part>) -> Result<Option<Arc<dyn NeuronPredictor>>, GenerateError> {
        let Some(path) = &self.options.predictor else {
            return Ok(None);
        };
        let predictor = Predictor::load(path, file.source(), self.config)?;
        fixed.push(Part {
            name: "predictors",
            bytes: predictor.bytes(),
        });
        Ok(Some(Arc::new(predictor)))
    }

    /// FFNs in memory: lossless, or as a predictor says.
    fn in_memory_ffn(
        &self,
        model: Arc<Model>,
        exact: SparseFfn,
        predictor: Option<Arc<dyn NeuronPredictor>>,
        budget: Budget,
    ) -> Result<Placed, GenerateError> {
        let Some(predictor) = predictor else {
            return Ok(placed(model, exact, None, "sparse in memory", budget, None));
        };
        let mut ffn = PredictedFfn::new(exact, self.config, predictor, Batches::Exact)?;
        if self.options.audit {
            ffn.audit();
        }
        Ok(placed(model, ffn, None, "predicted in memory", budget, None))
    }

    /// What is held in any case. `reading`: threads that read while tokens are computed.
    fn common(&self, file: &ModelFile, reading: u64) -> Vec<Part> {
        let (_, dense) = tensor_bytes(file);
        // In whole steps: it differs by some pages from run to run, and the same run should get the same segments.
        let process = resident().map_or(0, |(now, _)| now.next_multiple_of(PROCESS_STEP));
        let threads = self.options.threads as u64 + reading;
        let mut parts = budget::common(
            self.config,
            process,
            dense,
            (self.positions, self.options.kv),
            self.lines,
            threads,
        );
        parts.extend(budget::of_timeline(self.options));
        parts
    }

    fn in_memory(&self, file: &ModelFile) -> Vec<Part> {
        let mut fixed = self.common(file, 0);
        fixed.push(budget::pass(self.config, self.prompt));
        let bytes = budget::in_memory_pass(self.config, self.prompt);
        fixed.push(Part {
            name: "working memory of the FFNs",
            bytes,
        });
        fixed
    }

    fn of_gguf(&self, file: &ModelFile, source: &GgufSource) -> Result<Placed, GenerateError> {
        let sparse = match (self.options.ffn, self.config.activation.is_sparse()) {
            (FfnChoice::Auto, sparse) => sparse,
            (FfnChoice::Dense, _) => false,
            (FfnChoice::Sparse, true) => true,
            (FfnChoice::Sparse, false) => return Err(self.not_sparse("cannot compute its FFNs sparsely", "leave out --ffn")),
        };
        let advice = "in less memory only a packed file runs: make one with neuronlab pack";
        let mut fixed = self.in_memory(file);
        let ffn = if sparse {
            let (ffn, besides) = SparseFfn::bytes_of(source, self.config)?;
            fixed.push(Part {
                name: "a layer's down while it is transposed",
                bytes: besides,
            });
            ffn
        } else {
            tensor_bytes(file).0
        };
        let predictor = self.predictor(file, &mut fixed)?;
        let budget = budget::whole(self.options.memory, fixed, ffn, advice)?;
        let model = self.load(file)?;
        let kernels = *model.kernels();
        if !sparse {
            let ffn = DenseFfn::load(source, self.config, kernels)?;
            return Ok(placed(model, ffn, None, "dense in memory", budget, None));
        }
        let exact = SparseFfn::load(source, self.config, kernels)?;
        self.in_memory_ffn(model, exact, predictor, budget)
    }

    /// From flash, unless all of it is wanted in memory and has room there.
    fn of_packed(&self, file: &ModelFile, source: &FlashSource) -> Result<Placed, GenerateError> {
        if self.options.ffn == FfnChoice::Dense && self.config.activation.is_sparse() {
            return Err(unsupported(
                "a packed file holds neurons and not matrices: it cannot be computed densely",
                "take the GGUF file for --ffn dense",
            ));
        }
        let all = self.options.memory.is_none() || budget::is_whole(source.flash(), self.options.segments);
        if !(all && self.config.activation.is_sparse()) {
            return self.on_flash(file, source);
        }
        match self.packed_in_memory(file, source) {
            Err(GenerateError::DoesNotFit { .. }) => self.on_flash(file, source),
            placed => placed,
        }
    }

    fn packed_in_memory(&self, file: &ModelFile, source: &FlashSource) -> Result<Placed, GenerateError> {
        let mut fixed = self.in_memory(file);
        let (ffn, besides) = SparseFfn::bytes_of_packed(source);
        fixed.push(Part {
            name: "bundles whose rows are put in their order",
            bytes: besides,
        });
        let predictor = self.predictor(file, &mut fixed)?;
        let budget = budget::whole(self.options.memory, fixed, ffn, "")?;
        let model = self.load(file)?;
        let exact = SparseFfn::load_packed(source, self.config, *model.kernels())?;
        self.in_memory_ffn(model, exact, predictor, budget)
    }

    fn on_flash(&self, file: &ModelFile, source: &FlashSource) -> Result<Placed, GenerateError> {
        if self.options.predictor.is_some() && self.options.audit {
            return Err(unsupported(
                "what a predictor misses can be counted only where every gate is in memory",
                "leave out --audit, or --memory",
            ));
        }
        let gating = match self.config.activation {
            Activation::Relu => Gating::Relu,
            Activation::DoubleRelu => Gating::DoubleRelu,
            Activation::Silu => Gating::Silu,
        };
        let mut offload = self.options.offload();
        offload.every_neuron = gating == Gating::Silu;
        if offload.every_neuron && offload.granularity == Granularity::Neuron {
            // All neurons are wanted: nothing is gained by asking for each.
            offload.granularity = Granularity::Cluster;
        }
        let mut fixed = self.common(file, budget::reading_threads(self.options));
        let predictor = self.predictor(file, &mut fixed)?;
        offload.predicted = predictor.is_some();
        let budget = budget::divide(source.flash(), self.config, &offload, self.options, fixed, self.prompt)?;
        (offload.prefill, offload.decode) = (budget.prefill.division(), budget.decode.division());
        let model = self.load(file)?;
        let tables = source.flash();
        let (reader, shaper) = reading::open(self.options, tables, offload.prefill.reads)?;
        let decisions = Decisions::default();
        let between = |ffn: Option<&Offload>| Between::of(self.options, self.prompt, shaper.clone(), &*reader, ffn, &decisions);
        let kernels = *model.kernels();
        let config = self.config;
        let Some(predictor) = predictor else {
            let mut ffn = Offload::new(Arc::clone(&reader), kernels, gating, config.experts_used as u32, offload)?;
            if self.options.preload {
                ffn.preload()?;
            }
            let between = between(Some(&ffn))?;
            let placed = placed(model, ffn, between, "from flash", budget, Some(reader));
            return Ok(Placed { decisions, ..placed });
        };
        let between = between(None)?;
        let experts = (config.layers, config.experts, config.experts_used);
        let mut ffn = PredictedOffload::new(Arc::clone(&reader), kernels, gating, experts, predictor, offload)?;
        if self.options.preload {
            ffn.preload()?;
        }
        Ok(placed(model, ffn, between, "predicted from flash", budget, Some(reader)))
    }

    fn load(&self, file: &ModelFile) -> Result<Arc<Model>, GenerateError> {
        Ok(Arc::new(Model::load(file.source(), Kernels::best())?))
    }

    fn not_sparse(&self, what: &str, instead: &str) -> GenerateError {
        GenerateError::Unsupported {
            what: format!(
                "a {} model: {what}, because its activation, silu, leaves no neuron inactive",
                self.config.architecture.name()
            ),
            wanted: instead.to_owned(),
        }
    }
}

fn unsupported(what: &str, wanted: &str) -> GenerateError {
    GenerateError::Unsupported {
        what: what.to_owned(),
        wanted: wanted.to_owned(),
    }
}

fn placed<F: Counted + 'static>(
    model: Arc<Model>,
    inner: F,
    between: Option<Between>,
    name: &'static str,
    budget: Budget,
    reader: Option<Arc<dyn FlashReader>>,
) -> Placed {
    let watch = Watch::default();
    let ffn = Box::new(Watched {
        inner,
        watch: watch.clone(),
        between,
    });
    Placed {
        model,
        ffn,
        name,
        budget,
        reader,
        watch,
        decisions: Decisions::default(),
    }
}
