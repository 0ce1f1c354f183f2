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
    for (row, out) in rows.chunks_exact(width).zip(out.chunks_exact_mut(tokens)) {
        for (input, out) in inputs.chunks_exact(width).zip(out) {
            *out = dot(row, input);
        }
    }
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
    /// See `neurons_loop`.
    step_neurons, step_neurons_wide, neurons_loop,
    (rows: RowsMut<'_>, hidden: &[f32], rank: usize, labels: Labels<'_>, rate: Rate, back: &mut [f32], scratch: &mut Vec<f32>)
);
dispatched!(
    /// See `inputs_loop`.
    step_inputs, step_inputs_wide, inputs_loop,
    (rows: RowsMut<'_>, back: &[f32], inputs: &[f32], width: usize, rate: Rate, gradient: &mut Vec<f32>)
);
