//! Gates of low rank: sums of few directions of the input, as those of trained models are to a predictor.

use neuron::BLOCK;

use crate::SynthSpec;
use crate::design::Design;
use crate::random::{Part, Stream};

/// The directions that all gates (and, of dReLU, ups) of one expert depend on. The constant block, their bias, is one more.
///
/// Half of them lie in the slow part of the stream, or as many as that has numbers, and the rest in the fast one, so that a row can be
/// made with any share of its variance slow. As random weights do, a sum of them gives a product that is normal over tokens.
pub(crate) struct Basis {
    slow: Directions,
    fast: Directions,
}

impl Basis {
    /// Of rank `rank` in all, at least 3; drawn from layer and expert alone.
    pub(crate) fn new(spec: &SynthSpec, design: &Design, layer: usize, expert: usize, rank: usize) -> Self {
        // More directions than numbers would depend on each other, and the rank would be less than the file says. The fast part has room
        // for the rest: it is at least as wide as the slow one, and a rank is at most half of the stream (`SynthSpec::check`).
        let slow = ((rank - 1) / 2).min(design.slow);
        debug_assert!(rank - 1 - slow <= design.fast);
        let draw = |first: usize, count: usize, cols: usize| {
            let mut numbers = vec![0.0; count * cols];
            for (place, direction) in numbers.chunks_exact_mut(cols).enumerate() {
                Stream::new(spec.seed, Part::GateBasis, layer, expert * rank + first + place).fill(1.0, direction);
            }
            Directions { numbers, cols }
        };
        debug_assert_eq!(design.slow + design.fast + BLOCK, spec.shape.hidden);
        Self {
            slow: draw(0, slow, design.slow),
            fast: draw(slow, rank - 1 - slow, design.fast),
        }
    }

    /// Fills a row's slow and fast part with a random sum of directions each, of these lengths (roots of sums of squares).
    pub(crate) fn fill(&self, stream: &mut Stream, parts: [&mut [f32]; 2], lengths: [f64; 2], coefficients: &mut Vec<f32>) {
        for ((directions, part), length) in [&self.slow, &self.fast].into_iter().zip(parts).zip(lengths) {
            directions.sum(stream, part, coefficients);
            let square: f64 = part.iter().map(|&number| f64::from(number * number)).sum();
            let scale = if square > 0.0 { (length / square.sqrt()) as f32 } else { 0.0 };
            part.iter_mut().for_each(|number| *number *= scale);
        }
    }
}

struct Directions {
    numbers: Vec<f32>,
    cols: usize,
}

impl Directions {
    fn sum(&self, stream: &mut Stream, out: &mut [f32], coefficients: &mut Vec<f32>) {
        coefficients.clear();
        coefficients.resize(self.numbers.len() / self.cols, 0.0);
        stream.fill(1.0, coefficients);
        out.fill(0.0);
        for (direction, &coefficient) in self.numbers.chunks_exact(self.cols).zip(coefficients.iter()) {
            for (out, &number) in out.iter_mut().zip(direction) {
                *out += coefficient * number;
            }
        }
    }
}
