//! A predictor in memory, and where it comes from.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use model::{FlashSource, GgufSource, LowRank, ModelConfig, ModelError, NeuronPredictor, PredictorInput, Tensor, TensorSource};

use crate::{PredictorError, fingerprint, keys};

/// The predictors of a layer: rows of all experts follow each other.
pub(crate) struct PredictorLayer {
    /// Experts times rank by hidden.
    pub(crate) first: Tensor,
    /// Experts times neurons by rank.
    pub(crate) second: Tensor,
    /// What a score must reach, by expert.
    pub(crate) thresholds: Vec<f32>,
}

/// A low-rank predictor for every expert of every layer of a model.
pub struct Predictor {
    pub(crate) layers: Vec<PredictorLayer>,
    pub(crate) experts: usize,
    pub(crate) input: PredictorInput,
    pub(crate) rectified: bool,
}

/// Names and shape of a layer's tensors, which are PowerInfer's (`fc1`, `fc2`); those of a mixture have the plural that the
/// FFN's have.
pub(crate) struct Parts {
    pub(crate) first: String,
    pub(crate) second: String,
    experts: u64,
}

impl Parts {
    pub(crate) fn of(config: &ModelConfig, layer: usize) -> Self {
        let plural = if config.router.is_some() { "_exps" } else { "" };
        Self {
            first: format!("blk.{layer}.fc1{plural}.weight"),
            second: format!("blk.{layer}.fc2{plural}.weight"),
            experts: config.experts as u64,
        }
    }

    /// Sides of a tensor of `rows` by `cols` for each expert, fastest first.
    pub(crate) fn shape(&self, rows: usize, cols: usize) -> Vec<u64> {
        let mut shape = vec![cols as u64, rows as u64];
        if self.first.contains("_exps") {
            shape.push(self.experts);
        }
        shape
    }
}

impl Predictor {
    /// Loads the predictor in `path` for the model in `source`: one that [`crate::train`] fitted, or those that a model file of
    /// PowerInfer's form carries. Fails when it is another model's.
    pub fn load(path: impl AsRef<Path>, source: &dyn TensorSource, config: &ModelConfig) -> Result<Self, PredictorError> {
        let path = path.as_ref();
        if !config.activation.is_sparse() {
            return Err(PredictorError::NotSparse {
                architecture: config.architecture.name(),
            });
        }
        let file = open(path)?;
        let file = file.as_ref();
        let wrong = |what: String| PredictorError::File {
            path: path.to_path_buf(),
            what,
        };
        let parts = Parts::of(config, 0);
        if file.entry(&parts.first).is_none() {
            return Err(wrong(format!(
                "has no predictor: no tensor {}; fit one with neuronlab train-predictor",
                parts.first
            )));
        }
        let wanted = fingerprint(source)?;
        let found = match keys::fitted_for(file.gguf(), path)? {
            Some(found) => found,
            // A model file that carries its own.
            None => fingerprint(file)?,
        };
        if found != wanted {
            let path: PathBuf = path.to_path_buf();
            return Err(PredictorError::OtherModel { path, found, wanted });
        }
        let form = keys::Form::read(file.gguf(), path, config)?;
        let layers = (0..config.layers)
            .map(|layer| load_layer(file, config, layer, form.thresholds_of(layer, config.experts)))
            .collect::<Result<_, _>>()?;
        let predictor = Self {
            layers,
            experts: config.experts,
            input: form.input,
            rectified: form.rectified,
        };
        keys::verify(file.gguf(), path, &predictor)?;
        Ok(predictor)
    }

    /// The greatest rank of a layer.
    pub fn rank(&self) -> usize {
        self.layers.iter().map(|layer| layer.second.cols()).max().unwrap_or(0)
    }
}

/// A GGUF file, or a packed one: a model file of PowerInfer's form keeps its predictors when it is packed.
fn open(path: &Path) -> Result<Box<dyn TensorSource>, PredictorError> {
    let mut start = [0; flash::MAGIC.len()];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
    Ok(match read {
        Ok(()) if start == flash::MAGIC => Box::new(FlashSource::open(path)?),
        // Whatever is wrong with the file, this says it.
        _ => Box::new(GgufSource::open(path)?),
    })
}

fn load_layer(
    file: &dyn TensorSource,
    config: &ModelConfig,
    layer: usize,
    thresholds: Vec<f32>,
) -> Result<PredictorLayer, PredictorError> {
    let parts = Parts::of(config, layer);
    let entry = file.entry(&parts.first);
    // Layers may differ in rank (PowerInfer, section 5.1: sizes follow a layer's sparsity and skew).
    let rank = entry.and_then(|entry| entry.shape.get(1).copied()).unwrap_or(1) as usize;
    Ok(PredictorLayer {
        first: Tensor::load(file, &parts.first, &parts.shape(rank, config.hidden))?,
        second: Tensor::load(file, &parts.second, &parts.shape(config.neurons, rank))?,
        thresholds,
    })
}

impl NeuronPredictor for Predictor {
    fn input(&self) -> PredictorInput {
        self.input
    }

    fn low_rank(&self, layer: usize, expert: usize) -> Result<LowRank<'_>, ModelError> {
        let found = self.layers.get(layer).filter(|_| expert < self.experts);
        let of = found.ok_or_else(|| ModelError::Misuse {
            what: format!(
                "the predictor of expert {expert} in layer {layer}; there are {} layers of {} experts",
                self.layers.len(),
                self.experts
            ),
        })?;
        let (rank, neurons) = (of.first.rows() / self.experts, of.second.rows() / self.experts);
        Ok(LowRank {
            first: of.first.matrix()?.slice(expert * rank..(expert + 1) * rank)?,
            second: of.second.matrix()?.slice(expert * neurons..(expert + 1) * neurons)?,
            threshold: of.thresholds[expert],
            rectified: self.rectified,
        })
    }

    fn bytes(&self) -> u64 {
        let layer = |layer: &PredictorLayer| layer.first.bytes() + layer.second.bytes();
        self.layers.iter().map(layer).sum()
    }
}
