//! Where a fit begins: the directions of the input that the gates depend on most.
//!
//! A neuron fires where its gate g = G x is above zero. The best approximation of G by a matrix of rank r, in the mean square of
//! g over inputs of second moment C, is the projection on the r leading eigenvectors of G C Gᵀ (Eckart and Young, with the
//! inputs' metric). Their span in the input's space is that of the leading eigenvectors of GᵀG C, found by subspace iteration
//! (Halko, Martinsson, Tropp 2011). What is left out of a gate is nearly normal, so the chance that it is above zero is
//! Φ(ĝ / deviation of the rest), which the logistic function of 1.702 times that is within 0.01 of (Camilli 1994).
//!
//! C is shrunk towards a multiple of the identity, because a few thousand tokens do not span a few thousand directions.

use pool::Pool;

use super::loops::{NOTHING, combine, make_orthogonal, project};
use super::{ROWS, transpose};
use crate::random::Stream;

/// Rounds of subspace iteration: the second already separates what matters.
const ROUNDS: usize = 3;
/// Tokens by which the rest of a gate is measured.
const SAMPLE: usize = 256;
/// Logistic and normal distribution function are nearest with this factor.
const LOGISTIC: f32 = 1.702;

/// What is known of an expert before anything is learnt.
pub(crate) struct Known<'a> {
    /// Neurons by width.
    pub(crate) gate: &'a [f32],
    /// The same, of dReLU: directions that it depends on matter as well.
    pub(crate) up: Option<&'a [f32]>,
    /// Some inputs: tokens by width.
    pub(crate) inputs: &'a [f32],
    pub(crate) width: usize,
}

/// The second moment of the inputs, shrunk.
struct Moment<'a> {
    inputs: &'a [f32],
    width: usize,
    /// What a product over all inputs is multiplied by.
    seen: f32,
    /// What the identity is.
    unseen: f32,
}

impl<'a> Moment<'a> {
    fn new(inputs: &'a [f32], width: usize) -> Self {
        let tokens = (inputs.len() / width) as f32;
        let square = inputs.iter().map(|&value| f64::from(value) * f64::from(value)).sum::<f64>() / inputs.len().max(1) as f64;
        // As much of the identity as there would be directions to each token.
        let share = width as f32 / (width as f32 + 8.0 * tokens);
        Self {
            inputs,
            width,
            seen: (1.0 - share) / tokens,
            unseen: share * square as f32,
        }
    }

    /// rows times the moment.
    fn times(&self, pool: &mut Pool, rows: &[f32]) -> Vec<f32> {
        let mut out: Vec<f32> = rows.iter().map(|value| self.unseen * value).collect();
        add_products(pool, rows, self.inputs, self.seen, self.width, &mut out);
        out
    }
}

/// out += factor * (rows · inputsᵀ) · inputs.
fn add_products(pool: &mut Pool, rows: &[f32], inputs: &[f32], factor: f32, width: usize, out: &mut [f32]) {
    let mut tasks: Vec<(&[f32], &mut [f32])> = rows.chunks(ROWS * width).zip(out.chunks_mut(ROWS * width)).collect();
    pool.run_each(&mut tasks, |_, (rows, out)| {
        let mut factors = vec![0.0; rows.len() / width * (inputs.len() / width)];
        project(rows, inputs, width, &mut factors);
        combine(&factors, factor, inputs, width, out);
    });
}

/// rows · inputsᵀ: rows by tokens.
fn products(pool: &mut Pool, rows: &[f32], inputs: &[f32], width: usize) -> Vec<f32> {
    let tokens = inputs.len() / width;
    let mut out = vec![0.0; rows.len() / width * tokens];
    let mut tasks: Vec<(&[f32], &mut [f32])> = rows.chunks(ROWS * width).zip(out.chunks_mut(ROWS * tokens)).collect();
    pool.run_each(&mut tasks, |_, (rows, out)| project(rows, inputs, width, out));
    out
}

fn orthonormalise(rows: &mut [f32], width: usize) {
    for row in 0..rows.len() / width {
        let (before, rest) = rows.split_at_mut(row * width);
        make_orthogonal(before, &mut rest[..width]);
    }
}

/// Directions (rank by width) in which inputs vary independently and by 1, and the scores of the neurons by them (neurons by
/// rank).
pub(crate) fn directions(pool: &mut Pool, known: &Known<'_>, rank: usize, stream: &mut Stream) -> (Vec<f32>, Vec<f32>) {
    let (width, moment) = (known.width, Moment::new(known.inputs, known.width));
    let mut rows: Vec<f32> = (0..rank * width).map(|_| stream.normal()).collect();
    orthonormalise(&mut rows, width);
    for _ in 0..ROUNDS {
        let seen = moment.times(pool, &rows);
        rows.fill(0.0);
        for matrix in [Some(known.gate), known.up].into_iter().flatten() {
            add_products(pool, &seen, matrix, 1.0, width, &mut rows);
        }
        orthonormalise(&mut rows, width);
    }
    let mut moved = moment.times(pool, &rows);
    whiten(&mut rows, &mut moved, width);
    let across = products(pool, &moved, known.gate, width);
    let mut scores = vec![0.0; across.len()];
    transpose(&across, known.gate.len() / width, &mut scores);

    let sample = &known.inputs[..known.inputs.len().min(SAMPLE * width)];
    let gates = products(pool, sample, known.gate, width);
    let (tokens, neurons) = (sample.len() / width, known.gate.len() / width);
    for (neuron, score) in scores.chunks_exact_mut(rank).enumerate() {
        let square: f32 = (0..tokens).map(|token| gates[token * neurons + neuron].powi(2)).sum();
        let whole = square / tokens as f32;
        let explained: f32 = score.iter().map(|value| value * value).sum();
        // Shrinking can make the explained part the larger one; some of a gate is always left.
        let rest = (whole - explained).max(0.02 * whole).max(f32::MIN_POSITIVE);
        let factor = LOGISTIC / rest.sqrt();
        score.iter_mut().for_each(|value| *value *= factor);
    }
    (rows, scores)
}

/// Mixes rows so that, with `moved` = rows · moment, row i · moved j is 1 where i = j and 0 else (Gram and Schmidt in the metric
/// of the moment); mixes `moved` alike.
fn whiten(rows: &mut [f32], moved: &mut [f32], width: usize) {
    for row in 0..rows.len() / width {
        let (before, rest) = rows.split_at_mut(row * width);
        let (moved_before, moved_rest) = moved.split_at_mut(row * width);
        let (own, own_moved) = (&mut rest[..width], &mut moved_rest[..width]);
        let mut whole = [0.0];
        project(own, own_moved, width, &mut whole);
        for (other, other_moved) in before.chunks_exact(width).zip(moved_before.chunks_exact(width)) {
            let mut part = [0.0];
            project(own, other_moved, width, &mut part);
            combine(&[-part[0]], 1.0, other, width, own);
            combine(&[-part[0]], 1.0, other_moved, width, own_moved);
        }
        let mut square = [0.0];
        project(own, own_moved, width, &mut square);
        // A direction that the others hold already, or that no gate depends on, is left empty.
        let is_new = square[0] > NOTHING * whole[0];
        let factor = if is_new { 1.0 / square[0].sqrt() } else { 0.0 };
        own.iter_mut().chain(own_moved).for_each(|value| *value *= factor);
    }
}
