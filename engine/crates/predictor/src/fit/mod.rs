//! Fitting the predictor of one expert: logistic regression through a low rank.
//!
//! For neuron i and input x the score is s_i = b_i · h with h = relu(A x) (or A x), and sigmoid(s_i) is the chance that it fires.
//! The loss is the mean over tokens of the sum over neurons of -ln of the chance given to what happened. It is a proper
//! scoring rule, so scores rank all neurons of all tokens by their chance: a single threshold on them then predicts fewest for
//! a wanted recall (Neyman and Pearson's lemma). That is why positives get no extra weight.

mod loops;
mod start;

use pool::Pool;

use crate::random::Stream;
pub(crate) use start::Known;

use loops::{Labels, MEAN_DECAY, Rate, RowsMut, SQUARE_DECAY, project, step_inputs, step_neurons};
use start::directions;

/// Neurons whose share in a gradient is summed together; the sums are added in ascending order, so that threads change no bit.
const BLOCK: usize = 256;
/// Rows of A that a thread takes at a time.
const ROWS: usize = 8;

/// Some tokens to learn from.
pub(crate) struct Minibatch<'a> {
    /// Tokens by inputs.
    pub(crate) inputs: &'a [f32],
    /// Tokens by `stride` bytes: a bit for each neuron.
    pub(crate) fired: &'a [u8],
    pub(crate) stride: usize,
}

/// Weights and Adam's moments.
struct Rows {
    weights: Vec<f32>,
    mean: Vec<f32>,
    square: Vec<f32>,
}

impl Rows {
    fn new(weights: Vec<f32>) -> Self {
        let zeros = || vec![0.0; weights.len()];
        Self {
            mean: zeros(),
            square: zeros(),
            weights,
        }
    }

    /// The rows in chunks of so many numbers.
    fn chunks(&mut self, numbers: usize) -> impl Iterator<Item = RowsMut<'_>> {
        self.weights
            .chunks_mut(numbers)
            .zip(self.mean.chunks_mut(numbers))
            .zip(self.square.chunks_mut(numbers))
            .map(|((weights, mean), square)| RowsMut { weights, mean, square })
    }
}

/// A predictor being fitted.
pub(crate) struct Fit {
    width: usize,
    rank: usize,
    rectified: bool,
    /// Rank by inputs.
    first: Rows,
    /// Neurons by rank.
    second: Rows,
    steps: i32,
    buffers: Buffers,
}

#[derive(Default)]
struct Buffers {
    /// What the first matrix gives: rank by tokens.
    across: Vec<f32>,
    /// The same behind ReLU: tokens by rank.
    hidden: Vec<f32>,
    /// Blocks by tokens by rank.
    back: Vec<f32>,
    scratch: Vec<Vec<f32>>,
}

impl Fit {
    /// Begins with the directions that the gates depend on most. Behind ReLU each takes two hidden numbers, one for either sign.
    pub(crate) fn new(pool: &mut Pool, known: &Known<'_>, rank: usize, rectified: bool, stream: &mut Stream) -> Self {
        let width = known.width;
        let count = if rectified { (rank / 2).max(1) } else { rank };
        let (directions, scores) = directions(pool, known, count.min(width), stream);
        let count = directions.len() / width;
        let mut first = vec![0.0; rank * width];
        let mut second = vec![0.0; known.gate.len() / width * rank];
        for (sign, start) in [(1.0, 0), (-1.0, count)] {
            let end = (start + count).min(if rectified { rank } else { count });
            for (to, from) in first.iter_mut().take(end * width).skip(start * width).zip(&directions) {
                *to = sign * from;
            }
            for (to, from) in second.chunks_exact_mut(rank).zip(scores.chunks_exact(count)) {
                for (to, from) in to.iter_mut().take(end).skip(start).zip(from) {
                    *to = sign * from;
                }
            }
        }
        Self {
            width,
            rank,
            rectified,
            first: Rows::new(first),
            second: Rows::new(second),
            steps: 0,
            buffers: Buffers::default(),
        }
    }

    /// Rank by inputs, and neurons by rank.
    pub(crate) fn weights(&self) -> (&[f32], &[f32]) {
        (&self.first.weights, &self.second.weights)
    }

    /// One step at a rate (Adam's alpha).
    pub(crate) fn step(&mut self, pool: &mut Pool, batch: &Minibatch<'_>, rate: f32) {
        self.steps += 1;
        let corrected = (1.0 - SQUARE_DECAY.powi(self.steps)).sqrt() / (1.0 - MEAN_DECAY.powi(self.steps));
        let rate = Rate { step: rate * corrected };
        let (width, rank, tokens) = (self.width, self.rank, batch.inputs.len() / self.width);
        let Buffers {
            across,
            hidden,
            back,
            scratch,
        } = &mut self.buffers;
        let blocks = (self.second.weights.len() / rank).div_ceil(BLOCK);
        across.resize(rank * tokens, 0.0);
        hidden.resize(tokens * rank, 0.0);
        back.clear();
        back.resize(blocks * tokens * rank, 0.0);
        scratch.resize_with(blocks.max(rank.div_ceil(ROWS)), Vec::new);

        let rows = self.first.weights.chunks(ROWS * width);
        let mut tasks: Vec<(&[f32], &mut [f32])> = rows.zip(across.chunks_mut(ROWS * tokens)).collect();
        pool.run_each(&mut tasks, |_, (rows, out)| project(rows, batch.inputs, width, out));
        transpose(across, tokens, hidden);
        if self.rectified {
            hidden.iter_mut().for_each(|value| *value = value.max(0.0));
        }

        let chunks = self.second.chunks(BLOCK * rank);
        let mut tasks: Vec<_> = chunks
            .zip(back.chunks_exact_mut(tokens * rank))
            .zip(&mut *scratch)
            .map(Some)
            .collect();
        pool.run_each(&mut tasks, |block, task| {
            if let Some(((rows, back), scratch)) = task.take() {
                let labels = Labels {
                    bits: batch.fired,
                    stride: batch.stride,
                    first: block * BLOCK,
                };
                step_neurons(rows, hidden, rank, labels, rate, back, scratch);
            }
        });

        let (sum, others) = back.split_at_mut(tokens * rank);
        for other in others.chunks_exact(tokens * rank) {
            for (sum, other) in sum.iter_mut().zip(other) {
                *sum += other;
            }
        }
        if self.rectified {
            for (sum, &hidden) in sum.iter_mut().zip(&*hidden) {
                *sum = if hidden > 0.0 { *sum } else { 0.0 };
            }
        }
        transpose(sum, rank, across);
        let chunks = self.first.chunks(ROWS * width);
        let mut tasks: Vec<_> = chunks.zip(across.chunks(ROWS * tokens)).zip(scratch).map(Some).collect();
        pool.run_each(&mut tasks, |_, task| {
            if let Some(((rows, back), gradient)) = task.take() {
                step_inputs(rows, back, batch.inputs, width, rate, gradient);
            }
        });
    }
}

/// to (columns by rows) = from (rows by `columns`).
fn transpose(from: &[f32], columns: usize, to: &mut [f32]) {
    let rows = from.len() / columns;
    for (row, line) in from.chunks_exact(columns).enumerate() {
        for (column, &value) in line.iter().enumerate() {
            to[column * rows + row] = value;
        }
    }
}

#[cfg(test)]
mod tests;
