//! What a file says of the statistics planted in it: metadata keys `neuronlab.synth.*`.

use gguf::{Gguf, Writer};

use crate::design::Design;
use crate::skew::Skew;
use crate::{SynthError, SynthSpec};

/// Where on the curve of activations over neurons a file says what was planted: Bamboo's points up to a half, then fewer.
const POINTS: [f64; 8] = [0.05, 0.1, 0.2, 0.25, 0.3, 0.5, 0.75, 0.9];

/// The statistics planted in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Planted {
    /// The seed of the file.
    pub seed: u64,
    /// Share of neurons active for a token; `None` in a model that is not sparse, as the next two.
    pub share: Option<f64>,
    /// Shares of neurons (hottest first) and of activations: of the rates that the file was made with.
    pub skew: Vec<(f64, f64)>,
    /// Overlap from token to token.
    pub overlap: Option<f64>,
    /// Repetition of experts.
    pub repeat: Option<f64>,
    /// Directions of the input that the gates depend on. Not verified: a predictor fitted to the model shows it.
    pub gate_rank: Option<u64>,
}

impl Planted {
    pub(crate) fn of(spec: &SynthSpec, design: &Design) -> Self {
        let sparse = !design.rates.is_empty();
        Self {
            seed: spec.seed,
            share: sparse.then(|| design.rates.iter().sum::<f64>() / design.rates.len() as f64),
            skew: if sparse {
                let point = |neurons| (neurons, Skew::of_rates(&design.rates, neurons));
                POINTS.map(point).to_vec()
            } else {
                Vec::new()
            },
            overlap: sparse.then_some(spec.statistics.overlap),
            repeat: spec
                .statistics
                .repeat
                .filter(|_| spec.shape.experts > spec.shape.experts_used),
            gate_rank: spec.statistics.gate_rank.map(|rank| rank as u64),
        }
    }

    pub(crate) fn write(&self, writer: &mut Writer) -> Result<(), SynthError> {
        writer.metadata("neuronlab.synth.seed", self.seed)?;
        if let Some(share) = self.share {
            writer.metadata("neuronlab.synth.share", share as f32)?;
        }
        if let Some(overlap) = self.overlap {
            writer.metadata("neuronlab.synth.overlap", overlap as f32)?;
        }
        if let Some(repeat) = self.repeat {
            writer.metadata("neuronlab.synth.repeat", repeat as f32)?;
        }
        if let Some(rank) = self.gate_rank {
            writer.metadata("neuronlab.synth.gate_rank", rank)?;
        }
        if !self.skew.is_empty() {
            let (neurons, activations): (Vec<f32>, Vec<f32>) = self.skew.iter().map(|&(x, y)| (x as f32, y as f32)).unzip();
            writer.metadata("neuronlab.synth.skew.neurons", neurons)?;
            writer.metadata("neuronlab.synth.skew.activations", activations)?;
        }
        Ok(())
    }

    /// What a file says; an error when it was not made here.
    pub fn read(gguf: &Gguf) -> Result<Self, SynthError> {
        let metadata = &gguf.metadata;
        if metadata.get("neuronlab.synth.seed").is_none() {
            return Err(SynthError::NotMadeHere);
        }
        let list = |key: &str| -> Result<Vec<f64>, SynthError> {
            Ok(match metadata.get(key) {
                None => Vec::new(),
                Some(_) => metadata.f32s(key)?.iter().map(|&number| f64::from(number)).collect(),
            })
        };
        let number = |key: &str| Ok::<_, SynthError>(metadata.find::<f32>(key)?.map(f64::from));
        let (neurons, activations) = (
            list("neuronlab.synth.skew.neurons")?,
            list("neuronlab.synth.skew.activations")?,
        );
        Ok(Self {
            seed: metadata.need("neuronlab.synth.seed")?,
            share: number("neuronlab.synth.share")?,
            skew: neurons.into_iter().zip(activations).collect(),
            overlap: number("neuronlab.synth.overlap")?,
            repeat: number("neuronlab.synth.repeat")?,
            gate_rank: metadata.find::<u64>("neuronlab.synth.gate_rank")?,
        })
    }
}
