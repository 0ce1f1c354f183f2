//! Running a file in the engine and setting what it saw beside what was planted.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use model::{DenseFfn, FeedForward, GgufSource, KvFormat, Model, RouterInput, Session, SparseFfn, TensorSource, Want};
use neuron::Kernels;
use pool::{Options, Pool};

use crate::SynthError;
use crate::firing::Firing;
use crate::planted::Planted;
use crate::random::{Part, Stream};
use crate::record::Recorder;
use crate::spec::SPECIAL_TOKENS;

/// How far measured may lie from planted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Of the share of every layer, relative.
    pub share: f64,
    /// Of the points of the skew, mean over layers, absolute.
    pub skew: f64,
    /// Of overlap and repetition, mean over layers, absolute.
    pub overlap: f64,
}

/// What [`SynthReport::misses`] is usually asked with.
pub const TOLERANCE: Tolerance = Tolerance {
    share: 0.1,
    skew: 0.03,
    overlap: 0.05,
};

/// What the engine saw.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Tokens run.
    pub tokens: usize,
    /// Share of active neurons by layer; empty in a model that is not sparse, as the next two.
    pub share: Vec<f64>,
    /// Share of activations at the planted points' shares of neurons, mean over layers.
    pub skew: Vec<(f64, f64)>,
    /// Overlap by layer.
    pub overlap: Vec<f64>,
    /// Repetition of experts by layer, those left out whose router sees the token alone.
    pub repeat: Vec<f64>,
}

/// Planted beside measured.
#[derive(Clone, Debug, PartialEq)]
pub struct SynthReport {
    /// From the file's metadata.
    pub planted: Planted,
    /// From the run.
    pub measured: Measured,
}

/// Runs `tokens` random tokens (the same for the same `seed`) through the model at `path`, all in memory, and adds up what
/// fired. What was recorded is checked against the FFN's own counters.
pub fn verify(path: impl AsRef<Path>, tokens: usize, seed: u64, threads: usize) -> Result<SynthReport, SynthError> {
    let source = GgufSource::open(path)?;
    let planted = Planted::read(source.gguf())?;
    let kernels = Kernels::best();
    let model = Arc::new(Model::load(&source, kernels)?);
    let config = model.config().clone();
    let sparse = config.activation.is_sparse();
    let inner: Box<dyn FeedForward> = if sparse {
        Box::new(SparseFfn::load(&source, &config, kernels)?)
    } else {
        Box::new(DenseFfn::load(&source, &config, kernels)?)
    };
    let firing = Arc::new(Mutex::new(Firing::new(config.layers, config.experts, config.neurons)));
    let recorder = Recorder::new(inner, &source, &config, kernels, Arc::clone(&firing))?;
    let pool = Pool::new(&Options::new(threads))?;
    let mut session = Session::new(model, Box::new(recorder), pool, KvFormat::F16, tokens)?;
    let mut stream = Stream::new(seed, Part::Tokens, 0, 0);
    let pieces = (config.vocabulary - SPECIAL_TOKENS.min(config.vocabulary - 1)) as u64;
    let text: Vec<u32> = (0..tokens)
        .map(|_| (config.vocabulary as u64 - pieces + stream.up_to(pieces)) as u32)
        .collect();
    session.forward(&text, Want::Nothing)?;
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

fn skew(firing: &Firing, planted: &Planted) -> Vec<(f64, f64)> {
    let neurons: Vec<f64> = planted.skew.iter().map(|point| point.0).collect();
    let layers: Vec<Vec<f64>> = (0..firing.layers())
        .map(|layer| firing.activations_of_hottest(layer, &neurons))
        .collect();
    let point = |place: usize| mean(&layers.iter().map(|layer| layer[place]).collect::<Vec<_>>());
    (0..neurons.len()).map(|place| (neurons[place], point(place))).collect()
}

fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len().max(1) as f64
}

impl SynthReport {
    /// What lies further from the planted than `tolerance`, a line each; none when all is well.
    pub fn misses(&self, tolerance: &Tolerance) -> Vec<String> {
        let (planted, measured) = (&self.planted, &self.measured);
        let mut misses = Vec::new();
        if let Some(share) = planted.share {
            for (layer, &seen) in measured.share.iter().enumerate() {
                if (seen / share - 1.0).abs() > tolerance.share {
                    misses.push(format!("share of layer {layer}: {seen:.4}; planted {share:.4}"));
                }
            }
        }
        for (&(neurons, wanted), &(_, seen)) in planted.skew.iter().zip(&measured.skew) {
            if (seen - wanted).abs() > tolerance.skew {
                misses.push(format!(
                    "activations of the hottest {neurons:.3}: {seen:.4}; planted {wanted:.4}"
                ));
            }
        }
        let both = [
            ("overlap", planted.overlap, &measured.overlap),
            ("repeat", planted.repeat, &measured.repeat),
        ];
        for (name, wanted, seen) in both {
            match wanted {
                Some(wanted) if seen.is_empty() || (mean(seen) - wanted).abs() > tolerance.overlap => {
                    misses.push(format!("{name}: {:.4}; planted {wanted:.4}", mean(seen)));
                }
                _ => {}
            }
        }
        misses
    }
}

impl fmt::Display for SynthReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (planted, measured) = (&self.planted, &self.measured);
        writeln!(out, "{} tokens               planted  measured  by layer", measured.tokens)?;
        let lines = [
            ("share active", planted.share, &measured.share),
            ("overlap", planted.overlap, &measured.overlap),
            ("expert repeat", planted.repeat, &measured.repeat),
        ];
        for (name, wanted, seen) in lines {
            let Some(wanted) = wanted else { continue };
            let (low, high) = seen
                .iter()
                .fold((f64::INFINITY, 0.0f64), |(low, high), &one| (low.min(one), high.max(one)));
            writeln!(out, "{name:24}{wanted:8.4}  {:8.4}  {low:.4} to {high:.4}", mean(seen))?;
        }
        for (&(neurons, wanted), &(_, seen)) in planted.skew.iter().zip(&measured.skew) {
            writeln!(out, "hottest {:5.1} % have      {wanted:8.4}  {seen:8.4}", 100.0 * neurons)?;
        }
        Ok(())
    }
}
