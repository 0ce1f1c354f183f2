//! The inner loops of fitting, over slices. Each sum has one order, in every build of them, so a fit is the same bits on any
//! CPU: the wider registers of the second build are used for the same sixteen sums side by side, and nothing is fused.

/// Sums that a dot product keeps apart.
const LANES: usize = 16;

#[inline(always)]
fn dot(one: &[f32], other: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (ones, others) = (one.chunks_exact(LANES), other.chunks_exact(LANES));
    let rest: f32 = ones
        .remainder()
        .iter()
        .zip(others.remainder())
        .map(|(one, other)| one * other)
        .sum();
    for (one, other) in ones.zip(others) {
        for lane in 0..LANES {
            lanes[lane] += one[lane] * other[lane];
        }
    }
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
        half /= 2;
    }
    lanes[0] + rest
}

#[inline(always)]
fn axpy(factor: f32, from: &[f32], to: &mut [f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += factor * from;
    }
}

/// How far Adam goes in a step (Kingma, Ba 2015, algorithm 1, with both corrections of bias in the rate).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub(crate) step: f32,
}

/// The decay of the two moments.
pub(crate) const MEAN_DECAY: f32 = 0.9;
pub(crate) const SQUARE_DECAY: f32 = 0.999;
const EPSILON: f32 = 1e-8;

/// Rows of weights with their moments.
pub(crate) struct RowsMut<'a> {
    pub(crate) weights: &'a mut [f32],
    pub(crate) mean: &'a mut [f32],
    pub(crate) square: &'a mut [f32],
}

#[inline(always)]
fn adam(weights: &mut [f32], mean: &mut [f32], square: &mut [f32], gradient: &[f32], rate: Rate) {
    for (((weight, mean), square), &gradient) in weights.iter_mut().zip(mean).zip(square).zip(gradient) {
        *mean = MEAN_DECAY * *mean + (1.0 - MEAN_DECAY) * gradient;
        *square = SQUARE_DECAY * *square + (1.0 - SQUARE_DECAY) * gradient * gradient;
        *weight -= rate.step * *mean / (square.sqrt() + EPSILON);
    }
}

/// out (rows by tokens) = rows (each of `width`) times inputs (tokens by `width`).
#[inline(always)]
fn project_loop(rows: &[f32], inputs: &[f32], width: usize, out: &mut [f32]) {
    let tokens = inputs.len() / width;
    // The inputs are read once for all rows, which are few enough to stay in the cache.
    for (token, input) in inputs.chunks_exact(width).enumerate() {
        for (row, line) in rows.chunks_exact(width).enumerate() {
            out[row * tokens + token] = dot(line, input);
        }
    }
}

/// out (rows by `width`) += factor * factors (rows by tokens) times inputs (tokens by `width`).
#[inline(always)]
fn combine_loop(factors: &[f32], factor: f32, inputs: &[f32], width: usize, out: &mut [f32]) {
    let tokens = inputs.len() / width;
    for (token, input) in inputs.chunks_exact(width).enumerate() {
        for (row, line) in out.chunks_exact_mut(width).enumerate() {
            axpy(factor * factors[row * tokens + token], input, line);
        }
    }
}

/// What is left of a length when a vector lies in the span of others, and f32 does not tell.
pub(crate) const NOTHING: f32 = 1e-5;

/// Makes `row` orthogonal to the rows before it, which are so to each other and of length 1, and of length 1 itself; zero when
/// it lies in their span.
#[inline(always)]
fn orthogonal_loop(before: &[f32], row: &mut [f32]) {
    let whole = dot(row, row).sqrt();
    // Twice is enough (Giraud, Langou, Rozloznik 2005).
    for _ in 0..2 {
        for other in before.chunks_exact(row.len()) {
            axpy(-dot(other, row), other, row);
        }
    }
    let length = dot(row, row).sqrt();
    let factor = if length > NOTHING * whole { 1.0 / length } else { 0.0 };
    row.iter_mut().for_each(|value| *value *= factor);
}

/// One block of neurons: scores, the gradient of the logistic loss, its share in that of `hidden` (added to `back`, tokens by
/// rank), and a step. `fired` has a line of bits for each token, of which the block's start at bit `first`.
#[inline(always)]
fn neurons_loop(
    rows: RowsMut<'_>,
    hidden: &[f32],
    rank: usize,
    labels: Labels<'_>,
    rate: Rate,
    back: &mut [f32],
    scratch: &mut Vec<f32>,
) {
    let tokens = hidden.len() / rank;
    scratch.clear();
    scratch.resize(tokens + rank, 0.0);
    let (errors, gradient) = scratch.split_at_mut(tokens);
    let rows = rows
        .weights
        .chunks_exact_mut(rank)
        .zip(rows.mean.chunks_exact_mut(rank))
        .zip(rows.square.chunks_exact_mut(rank));
    for (index, ((row, mean), square)) in rows.enumerate() {
        for (token, (hidden, error)) in hidden.chunks_exact(rank).zip(&mut *errors).enumerate() {
            let chance = 1.0 / (1.0 + (-dot(row, hidden)).exp());
            *error = (chance - labels.of(token, index)) / tokens as f32;
        }
        gradient.fill(0.0);
        for ((hidden, back), &error) in hidden.chunks_exact(rank).zip(back.chunks_exact_mut(rank)).zip(&*errors) {
            axpy(error, hidden, gradient);
            axpy(error, row, back);
        }
        adam(row, mean, square, gradient, rate);
    }
}

/// A step of the rows that make hidden numbers: `back` (rows by tokens) is the gradient of what they make of `inputs`.
#[inline(always)]
fn inputs_loop(rows: RowsMut<'_>, back: &[f32], inputs: &[f32], width: usize, rate: Rate, gradient: &mut Vec<f32>) {
    let tokens = inputs.len() / width;
    gradient.resize(width, 0.0);
    let rows = rows
        .weights
        .chunks_exact_mut(width)
        .zip(rows.mean.chunks_exact_mut(width))
        .zip(rows.square.chunks_exact_mut(width));
    for (((row, mean), square), back) in rows.zip(back.chunks_exact(tokens)) {
        gradient.fill(0.0);
        for (input, &back) in inputs.chunks_exact(width).zip(back) {
            axpy(back, input, gradient);
        }
        adam(row, mean, square, gradient, rate);
    }
}

/// Which neurons fired, as bits.
#[derive(Clone, Copy)]
pub(crate) struct Labels<'a> {
    /// Tokens by `stride`.
    pub(crate) bits: &'a [u8],
    pub(crate) stride: usize,
    /// The bit of the first row.
    pub(crate) first: usize,
}

impl Labels<'_> {
    #[inline(always)]
    fn of(&self, token: usize, row: usize) -> f32 {
        let bit = self.first + row;
        f32::from(self.bits[token * self.stride + bit / 8] >> (bit % 8) & 1)
    }
}

/// A loop for the widest registers of this CPU.
macro_rules! dispatched {
    ($(#[$doc:meta])* $name:ident, $wide:ident, $body:ident, ($($argument:ident: $type:ty),*)) => {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2")]
        fn $wide($($argument: $type),*) {
            $body($($argument),*);
        }

        $(#[$doc])*
        pub(crate) fn $name($($argument: $type),*) {
            #[cfg(target_arch = "x86_64")]
            if std::arch::is_x86_feature_detected!("avx2") {
                // SAFETY: the CPU has what the build needs.
                return unsafe { $wide($($argument),*) };
            }
            $body($($argument),*);
        }
    };
}

dispatched!(
    /// See `project_loop`.
    project, project_wide, project_loop, (rows: &[f32], inputs: &[f32], width: usize, out: &mut [f32])
);
dispatched!(
    /// See `combine_loop`.
    combine, combine_wide, combine_loop, (factors: &[f32], factor: f32, inputs: &[f32], width: usize, out: &mut [f32])
);
dispatched!(
    /// See `orthogonal_loop`.
    make_orthogonal, make_orthogonal_wide, orthogonal_loop, (before: &[f32], row: &mut [f32])
);
dispatched!(
    /// See `neurons_loop`.
    step_neurons, step_neurons_wide, neurons_loop,
    (rows: RowsMut<'_>, hidden: &[f32], rank: usize, labels: Labels<'_>, rate: Rate, back: &mut [f32], scratch: &mut Vec<f32>)
);
dispatched!(
    /// See `inputs_loop`.
    step_inputs, step_inputs_wide, inputs_loop,
    (rows: RowsMut<'_>, back: &[f32], inputs: &[f32], width: usize, rate: Rate, gradient: &mut Vec<f32>)
);

#[cfg(test)]
mod tests {
    use super::{combine, combine_loop, make_orthogonal, orthogonal_loop, project, project_loop};

    /// The build for wide registers against the plain one, to the bit, at lengths that are no whole vectors.
    #[test]
    fn both_builds_give_the_same_bits() {
        let numbers = |count: usize, seed: usize| -> Vec<f32> {
            (0..count).map(|i| ((i * 37 + seed * 11) % 101) as f32 / 7.0 - 6.0).collect()
        };
        for (rows, tokens, width) in [(1, 1, 1), (3, 5, 17), (8, 4, 64), (2, 3, 99)] {
            let (left, inputs, factors) = (
                numbers(rows * width, 1),
                numbers(tokens * width, 2),
                numbers(rows * tokens, 3),
            );
            let (mut one, mut other) = (vec![0.0; rows * tokens], vec![0.0; rows * tokens]);
            project(&left, &inputs, width, &mut one);
            project_loop(&left, &inputs, width, &mut other);
            assert_eq!(one, other);
            let exact: f64 = left[..width]
                .iter()
                .zip(&inputs[..width])
                .map(|(a, b)| f64::from(a * b))
                .sum();
            assert!(
                (f64::from(one[0]) - exact).abs() < 1e-3 * (1.0 + exact.abs()),
                "{} {exact}",
                one[0]
            );
            let (mut one, mut other) = (left.clone(), left.clone());
            combine(&factors, 0.5, &inputs, width, &mut one);
            combine_loop(&factors, 0.5, &inputs, width, &mut other);
            assert_eq!(one, other);
            let (mut one, mut other) = (left.clone(), left);
            make_orthogonal(&[], &mut one[..width]);
            orthogonal_loop(&[], &mut other[..width]);
            assert_eq!(one, other);
        }
    }
}
