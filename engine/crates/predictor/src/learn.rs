//! One expert's predictor, from what was recorded of it.

use model::Tensor;
use pool::Pool;

use crate::PredictorError;
use crate::fit::{Fit, Known, Minibatch};
use crate::options::{Hidden, TrainOptions};
use crate::random::Stream;
use crate::records::Records;

/// Inputs that a fit's start is taken from.
const SAMPLE: usize = 1024;

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

/// The rows of one expert, in f32.
fn rows_of(tensor: &Tensor, expert: usize, neurons: usize) -> Result<Vec<f32>, PredictorError> {
    let (matrix, width) = (tensor.matrix()?, tensor.cols());
    let mut rows = vec![0.0; neurons * width];
    for (neuron, row) in rows.chunks_exact_mut(width).enumerate() {
        let bytes = matrix.row(expert * neurons + neuron);
        tensor.format().dequantise_row(bytes, row)?;
    }
    Ok(rows)
}

/// The weights that decide whether the neurons of a layer fire: rows of all experts follow each other.
pub(crate) struct Deciding {
    pub(crate) gate: Tensor,
    /// Of dReLU.
    pub(crate) up: Option<Tensor>,
}

/// Some inputs of an expert, evenly spread over its tokens.
fn sample(page: &mut Page, records: &Records, layer: usize, tokens: &[(u32, u32)]) -> Result<Vec<f32>, PredictorError> {
    let every = tokens.len().div_ceil(SAMPLE).max(1);
    let some: Vec<(u32, u32)> = tokens.iter().copied().step_by(every).collect();
    Ok(page.read(records, layer, &some)?.inputs.to_vec())
}

/// Whose predictor it is to be.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) records: &'a Records,
    pub(crate) deciding: &'a Deciding,
    pub(crate) layer: usize,
    pub(crate) expert: usize,
}

/// Fits the predictor of one expert to `tokens` (with their slots). `told` hears which share of the work is done and may stop
/// it. `None` when there are too few tokens.
pub(crate) fn learn(
    pool: &mut Pool,
    subject: Subject<'_>,
    mut tokens: Vec<(u32, u32)>,
    rank: usize,
    options: &TrainOptions,
    told: &mut dyn FnMut(f64) -> Result<(), PredictorError>,
) -> Result<Option<Fit>, PredictorError> {
    let Subject {
        records,
        deciding,
        layer,
        expert,
    } = subject;
    if tokens.len() < FEWEST_TOKENS {
        return Ok(None);
    }
    let mut page = Page::new(records);
    let inputs = sample(&mut page, records, layer, &tokens)?;
    let neurons = records.shape().neurons;
    let gate = rows_of(&deciding.gate, expert, neurons)?;
    let up = match &deciding.up {
        Some(up) => Some(rows_of(up, expert, neurons)?),
        None => None,
    };
    let known = Known {
        gate: &gate,
        up: up.as_deref(),
        inputs: &inputs,
        width: records.shape().hidden,
    };
    let mut stream = Stream::new(options.seed, layer, expert);
    let mut fit = Fit::new(pool, &known, rank, options.hidden == Hidden::Relu, &mut stream);
    drop((gate, up, inputs));
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
    let (first, second) = fit.weights();
    if first.iter().chain(second).all(|weight| weight.is_finite()) {
        Ok(Some(fit))
    } else {
        Err(PredictorError::Diverged { layer, expert })
    }
}
