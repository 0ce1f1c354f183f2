//! What a predictor file says about itself, and the writing of it.

use std::path::Path;

use gguf::{Gguf, TensorType, Writer};
use model::{ModelConfig, NeuronPredictor, PredictorInput, Tensor};

use crate::weights::{Parts, PredictorLayer};
use crate::{Predictor, PredictorError};

/// Fingerprint of the model it was fitted for (u64). Absent in files of other programs.
const MODEL: &str = "neuronlab.predictor.model";
/// `ffn_norm` or `ffn_inp`; absent: `ffn_inp`, as PowerInfer has it.
const INPUT: &str = "neuronlab.predictor.input";
/// `relu` or `identity`; absent: `relu`.
const HIDDEN: &str = "neuronlab.predictor.hidden";
/// Thresholds by layer, and by expert within one (f32).
const THRESHOLDS: &str = "neuronlab.predictor.thresholds";
/// XXH64 of what decides the scores (u64): see `content`. In every file with a fingerprint.
const CHECKSUM: &str = "neuronlab.predictor.checksum";
/// PowerInfer's: one threshold for all; absent: 0.
const THRESHOLD: &str = "powerinfer.sparse_threshold";

const INPUTS: [(&str, PredictorInput); 2] = [("ffn_norm", PredictorInput::Normed), ("ffn_inp", PredictorInput::Stream)];
const HIDDENS: [(&str, bool); 2] = [("relu", true), ("identity", false)];

/// The model that a predictor says it was fitted for.
pub(crate) fn fitted_for(gguf: &Gguf, path: &Path) -> Result<Option<u64>, PredictorError> {
    Ok(gguf.metadata.find(MODEL).map_err(|error| error.in_file(path))?)
}

/// A number for everything that the file is used for: the model's fingerprint, the form, and of each layer the thresholds and
/// the bytes of both matrices.
fn content(model: u64, input: PredictorInput, rectified: bool, layers: &[PredictorLayer]) -> u64 {
    let mut digest = model.to_le_bytes().to_vec();
    digest.extend([u8::from(input == PredictorInput::Stream), u8::from(rectified)]);
    for layer in layers {
        digest.extend(layer.thresholds.iter().flat_map(|threshold| threshold.to_le_bytes()));
        for tensor in [&layer.first, &layer.second] {
            digest.extend(flash::xxh64(tensor.data()).to_le_bytes());
        }
    }
    flash::xxh64(&digest)
}

/// Fails when what was read is not what was written. Files of other programs have neither fingerprint nor checksum.
pub(crate) fn verify(gguf: &Gguf, path: &Path, predictor: &Predictor) -> Result<(), PredictorError> {
    let Some(model) = fitted_for(gguf, path)? else {
        return Ok(());
    };
    let found = content(model, predictor.input, predictor.rectified, &predictor.layers);
    let path = path.to_path_buf();
    match gguf.metadata.find(CHECKSUM).map_err(|error| error.in_file(&path))? {
        Some(wanted) if wanted == found => Ok(()),
        Some(wanted) => Err(PredictorError::Checksum { path, found, wanted }),
        None => {
            let what = format!(
                "has no {CHECKSUM}, so it is damaged or of an early version; fit it again with neuronlab train-predictor"
            );
            Err(PredictorError::File { path, what })
        }
    }
}

/// How scores come about and what they must reach.
pub(crate) struct Form {
    pub(crate) input: PredictorInput,
    pub(crate) rectified: bool,
    /// By layer and expert.
    thresholds: Vec<f32>,
}

impl Form {
    /// Reads the metadata of a file; what is absent is as PowerInfer has it.
    pub(crate) fn read(gguf: &Gguf, path: &Path, config: &ModelConfig) -> Result<Self, PredictorError> {
        let wrong = |what: String| PredictorError::File {
            path: path.to_path_buf(),
            what,
        };
        let text = |key: &str| gguf.metadata.find::<&str>(key).map_err(|error| error.in_file(path));
        let named = |key, found: Option<&str>, all: &[&str]| match found {
            None => Ok(None),
            Some(found) => match all.iter().position(|&name| name == found) {
                Some(place) => Ok(Some(place)),
                None => Err(wrong(format!("unusable {key}: {found}; must be {}", all.join(" or ")))),
            },
        };
        let input = named(INPUT, text(INPUT)?, &INPUTS.map(|(name, _)| name))?;
        let hidden = named(HIDDEN, text(HIDDEN)?, &HIDDENS.map(|(name, _)| name))?;
        let count = config.layers * config.experts;
        let own = gguf
            .metadata
            .find::<&[f32]>(THRESHOLDS)
            .map_err(|error| error.in_file(path))?;
        let thresholds = match own {
            Some(all) if all.len() == count => all.to_vec(),
            Some(all) => {
                let what = format!("unusable {THRESHOLDS}: {} numbers; must be {count}", all.len());
                return Err(wrong(what));
            }
            None => {
                let of_all: Option<f32> = gguf.metadata.find(THRESHOLD).map_err(|error| error.in_file(path))?;
                vec![of_all.unwrap_or(0.0); count]
            }
        };
        if let Some(bad) = thresholds.iter().find(|threshold| threshold.is_nan()) {
            return Err(wrong(format!("unusable threshold: {bad}; must be a number")));
        }
        Ok(Self {
            input: input.map_or(PredictorInput::Stream, |place| INPUTS[place].1),
            rectified: hidden.is_none_or(|place| HIDDENS[place].1),
            thresholds,
        })
    }

    pub(crate) fn thresholds_of(&self, layer: usize, experts: usize) -> Vec<f32> {
        self.thresholds[layer * experts..(layer + 1) * experts].to_vec()
    }
}

impl Predictor {
    /// Writes a file that [`Predictor::load`] reads, whole or not at all. `model` is the fingerprint of the model that it was
    /// fitted for, `about` says in a line what it was fitted on. Returns its length (bytes).
    pub fn write(&self, path: impl AsRef<Path>, config: &ModelConfig, model: u64, about: &str) -> Result<u64, PredictorError> {
        let input = INPUTS.iter().find(|(_, input)| *input == self.input);
        let hidden = HIDDENS.iter().find(|(_, rectified)| *rectified == self.rectified);
        let thresholds: Vec<f32> = self
            .layers
            .iter()
            .flat_map(|layer| layer.thresholds.iter().copied())
            .collect();
        let mut writer = Writer::new(path);
        writer
            .metadata("general.architecture", "neuronlab-predictor")?
            .metadata("general.description", about)?
            .metadata(MODEL, model)?
            .metadata(INPUT, input.map_or("", |(name, _)| name))?
            .metadata(HIDDEN, hidden.map_or("", |(name, _)| name))?
            .metadata(THRESHOLDS, thresholds)?
            .metadata(CHECKSUM, content(model, self.input, self.rectified, &self.layers))?;
        for index in 0..self.layers.len() {
            let (parts, found) = (Parts::of(config, index), self.low_rank(index, 0)?);
            let (first, second) = (found.first, found.second);
            let kind = |format: neuron::Format| {
                TensorType::from_code(format.gguf_id()).expect("a format of the kernels is one of GGUF's")
            };
            writer.tensor(&parts.first, &parts.shape(first.rows(), first.cols()), kind(first.format()))?;
            writer.tensor(
                &parts.second,
                &parts.shape(second.rows(), second.cols()),
                kind(second.format()),
            )?;
        }
        let mut data = writer.start()?;
        let mut put = |name: &str, tensor: &Tensor| -> Result<(), PredictorError> {
            let matrix = tensor.matrix()?;
            for row in 0..matrix.rows() {
                data.write(name, matrix.row(row))?;
            }
            Ok(())
        };
        for (index, layer) in self.layers.iter().enumerate() {
            let parts = Parts::of(config, index);
            put(&parts.first, &layer.first)?;
            put(&parts.second, &layer.second)?;
        }
        Ok(data.finish()?)
    }
}
