//! One expert's predictor, from what was recorded of it.

use pool::Pool;

use crate::PredictorError;
use crate::fit::{Fit, Minibatch, Start};
use crate::options::{Hidden, TrainOptions};
use crate::random::Stream;
use crate::records::Records;

/// Tokens of a step.
const BATCH: usize = 32;

/// Fewer tokens teach nothing.
pub(crate) const FEWEST_TOKENS: usize = 32;

/// Tokens read back from the recording.
struct Page {
    bytes: Vec<u8>,
    inputs: Vec<f32>,
    fired: Vec<u8>,
    width: usize,
    stride: usize,
}

impl Page {
    fn new(records: &Records) -> Self {
        Self {
            bytes: Vec::new(),
            inputs: Vec::new(),
            fired: Vec::new(),
            width: records.shape().hidden,
            stride: records.shape().bit_bytes(),
        }
    }

    fn read(&mut self, records: &Records, layer: usize, tokens: &[(u32, u32)]) -> Result<Minibatch<'_>, PredictorError> {
        self.inputs.resize(tokens.len() * self.width, 0.0);
        self.fired.resize(tokens.len() * self.stride, 0);
        let places = self
            .inputs
            .chunks_exact_mut(self.width)
            .zip(self.fired.chunks_exact_mut(self.stride));
        for (&token, (input, fired)) in tokens.iter().zip(places) {
            records.read(layer, token, &mut self.bytes, input, fired)?;
        }
        Ok(Minibatch {
            inputs: &self.inputs,
            fired: &self.fired,
            stride: self.stride,
        })
    }
}

/// What all tokens together look like.
struct Summary {
    mean: Vec<f32>,
    square: f32,
    odds: Vec<f32>,
}

fn summary(page: &mut Page, records: &Records, layer: usize, tokens: &[(u32, u32)]) -> Result<Summary, PredictorError> {
    let (width, neurons) = (records.shape().hidden, records.shape().neurons);
    let (mut sums, mut square, mut counts) = (vec![0.0f64; width], 0.0f64, vec![0u32; neurons]);
    for some in tokens.chunks(BATCH) {
        let batch = page.read(records, layer, some)?;
        for input in batch.inputs.chunks_exact(width) {
            for (sum, &value) in sums.iter_mut().zip(input) {
                *sum += f64::from(value);
                square += f64::from(value) * f64::from(value);
            }
        }
        for bits in batch.fired.chunks_exact(batch.stride) {
            for (neuron, count) in counts.iter_mut().enumerate() {
                *count += u32::from(bits[neuron / 8] >> (neuron % 8) & 1);
            }
        }
    }
    let total = tokens.len() as f64;
    // One more that fired and one more that did not keep the odds of the rare finite.
    let odds = |&count: &u32| ((f64::from(count) + 1.0) / (total - f64::from(count) + 1.0)).ln() as f32;
    Ok(Summary {
        mean: sums.iter().map(|sum| (sum / total) as f32).collect(),
        square: (square / (total * width as f64)) as f32,
        odds: counts.iter().map(odds).collect(),
    })
}

/// Fits the predictor of one expert to `tokens` (with their slots). `told` hears which share of the work is done and may stop
/// it. `None` when there are too few tokens.
pub(crate) fn learn(
    pool: &mut Pool,
    records: &Records,
    (layer, expert): (usize, usize),
    mut tokens: Vec<(u32, u32)>,
    rank: usize,
    options: &TrainOptions,
    told: &mut dyn FnMut(f64) -> Result<(), PredictorError>,
) -> Result<Option<Fit>, PredictorError> {
    if tokens.len() < FEWEST_TOKENS {
        return Ok(None);
    }
    let mut page = Page::new(records);
    let found = summary(&mut page, records, layer, &tokens)?;
    let mut stream = Stream::new(options.seed, layer, expert);
    let start = Start {
        mean: &found.mean,
        square: found.square,
        odds: &found.odds,
    };
    let mut fit = Fit::new(&start, rank, options.hidden == Hidden::Relu, &mut stream);
    let steps = options.passes * tokens.len().div_ceil(BATCH);
    let mut step = 0;
    for _ in 0..options.passes {
        stream.shuffle(&mut tokens);
        for some in tokens.chunks(BATCH) {
            told(step as f64 / steps as f64)?;
            let batch = page.read(records, layer, some)?;
            let left = (steps - step) as f32 / steps as f32;
            fit.step(pool, &batch, options.rate * left);
            step += 1;
        }
    }
    Ok(Some(fit))
}
