//! Fits of gates that are known.

use pool::{Options, Pool};

use super::{Fit, Known, Minibatch};
use crate::random::Stream;

const WIDTH: usize = 48;
const NEURONS: usize = 300;
const RANK: usize = 16;

/// Neurons whose gates depend on few directions of the input, and tokens with what fired.
struct World {
    gate: Vec<f32>,
    inputs: Vec<f32>,
    fired: Vec<u8>,
}

const STRIDE: usize = NEURONS.div_ceil(8);

fn normals(count: usize, stream: &mut Stream) -> Vec<f32> {
    (0..count).map(|_| stream.normal()).collect()
}

impl World {
    fn new(tokens: usize, hidden_rank: usize) -> Self {
        let mut stream = Stream::new(5, 0, 0);
        let (left, right) = (
            normals(NEURONS * hidden_rank, &mut stream),
            normals(hidden_rank * WIDTH, &mut stream),
        );
        let mut gate = vec![0.0; NEURONS * WIDTH];
        for (row, left) in gate.chunks_exact_mut(WIDTH).zip(left.chunks_exact(hidden_rank)) {
            for (factor, right) in left.iter().zip(right.chunks_exact(WIDTH)) {
                row.iter_mut().zip(right).for_each(|(to, from)| *to += factor * from);
            }
            // The first number of every input is 1: a bias, so that one in ten fires.
            row[0] = -1.28 * row[1..].iter().map(|weight| weight * weight).sum::<f32>().sqrt();
        }
        let mut inputs = normals(tokens * WIDTH, &mut stream);
        inputs.chunks_exact_mut(WIDTH).for_each(|input| input[0] = 1.0);
        let mut fired = vec![0; tokens * STRIDE];
        for (input, bits) in inputs.chunks_exact(WIDTH).zip(fired.chunks_exact_mut(STRIDE)) {
            for (neuron, row) in gate.chunks_exact(WIDTH).enumerate() {
                let value: f32 = row.iter().zip(input).map(|(weight, input)| weight * input).sum();
                bits[neuron / 8] |= u8::from(value > 0.0) << (neuron % 8);
            }
        }
        Self { gate, inputs, fired }
    }

    fn known(&self, tokens: usize) -> Known<'_> {
        Known {
            gate: &self.gate,
            up: None,
            inputs: &self.inputs[..tokens * WIDTH],
            width: WIDTH,
        }
    }

    fn batch(&self, tokens: std::ops::Range<usize>) -> Minibatch<'_> {
        Minibatch {
            inputs: &self.inputs[tokens.start * WIDTH..tokens.end * WIDTH],
            fired: &self.fired[tokens.start * STRIDE..tokens.end * STRIDE],
            stride: STRIDE,
        }
    }

    /// Mean of -ln of the chance given to what happened, for a neuron of these tokens.
    fn loss(&self, fit: &Fit, tokens: std::ops::Range<usize>, rectified: bool) -> f64 {
        let (first, second) = fit.weights();
        let (mut sum, count) = (0.0, (tokens.len() * NEURONS) as f64);
        for token in tokens {
            let input = &self.inputs[token * WIDTH..][..WIDTH];
            let dot = |row: &[f32], x: &[f32]| row.iter().zip(x).map(|(a, b)| f64::from(a * b)).sum::<f64>();
            let hidden: Vec<f32> = first
                .chunks_exact(WIDTH)
                .map(|row| dot(row, input) as f32)
                .map(|value| if rectified { value.max(0.0) } else { value })
                .collect();
            for (neuron, row) in second.chunks_exact(RANK).enumerate() {
                let fired = self.fired[token * STRIDE + neuron / 8] >> (neuron % 8) & 1 == 1;
                let score = dot(row, &hidden) * if fired { 1.0 } else { -1.0 };
                sum += (1.0 + (-score).exp()).ln();
            }
        }
        sum / count
    }
}

/// Of a neuron that fires one time in ten, when nothing more is known.
const IGNORANT: f64 = 0.325;

#[test]
fn gates_of_a_low_rank_are_known_before_anything_is_learnt() {
    let world = World::new(800, 5);
    let mut pool = Pool::new(&Options::new(2)).unwrap();
    for rectified in [false, true] {
        let fit = Fit::new(&mut pool, &world.known(400), RANK, rectified, &mut Stream::new(1, 0, 0));
        let loss = world.loss(&fit, 400..800, rectified);
        // Not nearer to nothing: some of a gate always counts as unexplained, so that no chance is a certainty.
        assert!(loss < 0.2 * IGNORANT, "rectified {rectified}: {loss}");
    }
}

#[test]
fn learning_lowers_the_loss_of_tokens_never_seen() {
    // All directions matter, so the start leaves much open.
    let world = World::new(4000, WIDTH);
    let mut pool = Pool::new(&Options::new(2)).unwrap();
    for rectified in [false, true] {
        let mut fit = Fit::new(&mut pool, &world.known(1000), RANK, rectified, &mut Stream::new(1, 0, 0));
        let before = world.loss(&fit, 3600..4000, rectified);
        for _ in 0..4 {
            for first in (0..3600).step_by(24) {
                fit.step(&mut pool, &world.batch(first..first + 24), 1e-3);
            }
        }
        let after = world.loss(&fit, 3600..4000, rectified);
        assert!(
            before < IGNORANT && after < 0.98 * before,
            "rectified {rectified}: {before} to {after}"
        );
    }
}

#[test]
fn threads_change_no_bit() {
    let world = World::new(200, 20);
    let fitted = |threads| {
        let mut pool = Pool::new(&Options::new(threads)).unwrap();
        let mut fit = Fit::new(&mut pool, &world.known(200), RANK, true, &mut Stream::new(1, 2, 3));
        for first in (0..200).step_by(25) {
            fit.step(&mut pool, &world.batch(first..first + 25), 1e-2);
        }
        let (first, second) = fit.weights();
        first
            .iter()
            .chain(second)
            .map(|weight| weight.to_bits())
            .collect::<Vec<u32>>()
    };
    let one = fitted(1);
    for threads in [2, 3, 5] {
        assert!(one == fitted(threads), "{threads} threads");
    }
}
